"""No machine is bought whose boot outlasts the work there is for it."""

from dataclasses import replace
from datetime import timedelta

from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.plan import LaunchFleet
from annex_core.model.runtime import Runtime
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, NOW, ROUTE, fleet, fleets, group, instance, known, launch, living, slot, snapshot

FULL = replace(ROUTE, instance_types=("c5.large",), max_instances=500)


def lasting(seconds: float, idle: int, jobs: int = 50) -> JobGroup:
    expected = Runtime(timedelta(seconds=seconds), timedelta(seconds=seconds / 10), jobs)
    return replace(group(idle), expected=expected)


def asked(of: Snapshot) -> int:
    return sum(action.target for action in fleets(of))


def of(jobs: JobGroup) -> Snapshot:
    return snapshot([jobs], routes={FULL.name: FULL})


def test_a_thousand_short_jobs_get_as_many_machines_as_have_a_boots_time_of_work_each() -> None:
    assert asked(of(lasting(3600, 1000))) == 500
    assert asked(of(lasting(10, 1000))) == 1000 * 10 // (180 * 2)


def test_one_short_job_gets_a_machine_where_nothing_else_would_ever_run_it() -> None:
    assert asked(of(lasting(10, 1))) == 1


def test_run_times_that_rest_on_a_few_jobs_hold_nothing_back() -> None:
    assert asked(of(lasting(10, 1000, jobs=4))) == 500


def with_one_machine(jobs: JobGroup, counts: JobCounts) -> Snapshot:
    """It has joined and is busy."""
    return living(
        [jobs],
        at=RegionView((instance(),), (fleet(),)),
        launches=(launch(),),
        known=(known("i-1", launched=NOW - timedelta(minutes=10), joined=NOW - timedelta(minutes=7)),),
        slots=(slot(free_cpus=0),),
        counts={ALICE: counts},
        routes={FULL.name: FULL},
    )


def test_what_the_machines_there_are_will_have_run_in_a_boots_time_buys_nothing_and_says_so() -> None:
    quick = Runtime(timedelta(seconds=10), timedelta(seconds=1), 50)
    seen = with_one_machine(lasting(10, 20), JobCounts(idle=20, running=2, running_for=quick))
    decided = plan(seen)
    assert not [action for action in decided.actions if isinstance(action, LaunchFleet)]
    assert "will have run them before another could have booted" in decided.outlooks[ALICE].sentence


def test_machines_whose_jobs_may_run_for_hours_are_not_waited_for() -> None:
    for running in (Runtime(timedelta(hours=5), timedelta(hours=1), 50), None):
        seen = with_one_machine(lasting(10, 20), JobCounts(idle=20, running=2, running_for=running))
        assert asked(seen) == 1


def test_a_boot_takes_as_long_as_the_latest_machines_took() -> None:
    joined = tuple(
        known(f"i-{n}", launched=NOW - timedelta(hours=1), joined=NOW - timedelta(minutes=30), gone=NOW)
        for n in range(3)
    )
    seen = living([lasting(600, 12)], at=RegionView(), known=joined, routes={FULL.name: FULL})
    assert asked(seen) == 12 * 600 // (1800 * 2)


def test_a_job_that_outlasts_what_history_told_of_it_ends_the_trust_in_that_history() -> None:
    quick = Runtime(timedelta(seconds=10), timedelta(seconds=1), 50)

    def asked_with_a_job_that_runs_for(minutes: float) -> int:
        seen = with_one_machine(lasting(10, 20), JobCounts(idle=20, running=2, running_for=quick))
        busy = slot(name="slot1_1@i-1", free_cpus=0, claimed=True, busy_since=NOW - timedelta(minutes=minutes))
        return asked(replace(seen, slots=(*(seen.slots or ()), busy)))

    assert asked_with_a_job_that_runs_for(2) == 0
    assert asked_with_a_job_that_runs_for(4) == 10
