"""What would come of jobs that nobody has submitted: plan after plan, and when the last of them would end."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.runtime import Runtime
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import instance_hour
from annex_core.planner.estimate import estimate
from annex_core.planner.lineup import lineup
from annex_core.planner.matching import Matcher
from annex_core.planner.prospect import prospect
from annex_core.planner.runtimes import PRIOR
from tests.unit.world import (
    ALICE,
    DOMAIN,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    annex,
    fleet,
    fleets,
    group,
    instance,
    launch,
    living,
    slot,
    snapshot,
)

HALF_AN_HOUR = Runtime(timedelta(minutes=30), timedelta(minutes=5), jobs=100)
STEADY = Runtime(timedelta(minutes=30), timedelta(0), jobs=100)


def foreseen(of, groups, route=ROUTE):
    return prospect(of, ALICE, route, groups, Matcher(domain=DOMAIN))


def estimated(of, groups, route=ROUTE, **jobs):
    matcher = Matcher(domain=DOMAIN)
    found = prospect(of, ALICE, route, groups, matcher)
    return estimate(lineup(found, matcher, **jobs))


class TestWhatWouldBeLaunched:
    def test_it_is_what_would_be_launched_were_the_jobs_in_the_queue(self):
        jobs = [group(idle=40), group(idle=3, cpus=8)]
        asked = [each.fleet for each in foreseen(snapshot(), jobs).fleets]
        assert [(each.types, each.target) for each in asked] == [
            (each.types, each.target) for each in fleets(snapshot(jobs))
        ]

    def test_nothing_of_the_present_is_changed(self):
        of = snapshot()
        before = repr(of)
        foreseen(of, [group(idle=40)])
        assert repr(of) == before

    def test_what_a_step_leaves_over_is_asked_for_in_the_next(self):
        """One after the other: each group has a type of its own, and a step asks for four fleets."""
        names = [f"t{n}.x" for n in range(6)]
        types = {name: replace(TYPES["c5.large"], name=name) for name in names}
        route = replace(ROUTE, instance_types=tuple(names))
        jobs = [group(cpus=2, requirements=f'TARGET.EC2InstanceType == "{name}"') for name in names]
        found = foreseen(snapshot(types={REGION: types}, routes={"spot": route}), jobs, route)
        minutes = [each.after / timedelta(minutes=1) for each in found.fleets]
        assert minutes == [0, 0, 0, 0, 2, 2]
        assert not found.cut

    def test_caps_in_use_count_and_the_binding_one_is_named(self):
        there = RegionView([instance(f"i-{n}") for n in range(9)], [fleet()])
        of = living(at=there, launches=[launch(target=9)], slots=[])
        (told,) = foreseen(of, [group(idle=100, cpus=16)]).groups
        assert (told.served, told.waiting) == (1, 99)
        assert told.why_not_more == "the cap of 10 machines is reached (AnnexMaxInstances of route spot)"

    def test_room_that_is_there_is_used_first(self):
        of = living(at=RegionView([instance()], [fleet()]), launches=[launch()], slots=[slot()])
        found = foreseen(of, [group(idle=2)])
        assert found.fleets == ()
        assert [(each.placed, each.served, each.waiting) for each in found.groups] == [(2, 0, 0)]

    def test_within_the_grow_interval_it_is_asked_for_when_the_next_step_is_due(self):
        before = launch(intended=NOW - timedelta(seconds=30), closed=NOW)
        found = foreseen(living(at=RegionView(), launches=[before]), [group(idle=2)])
        assert [each.after for each in found.fleets] == [timedelta(seconds=90)]

    def test_a_job_that_no_type_runs_is_told_the_closest_and_what_it_lacks(self):
        (told,) = foreseen(snapshot(), [group(cpus=64)]).groups
        assert "it asks for 64 CPUs, the largest type, c5.4xlarge, has 16" in told.why_not_more

    def test_jobs_of_the_annex_that_wait_already_come_first(self):
        route = replace(ROUTE, max_instances=1)
        found = foreseen(snapshot([group(idle=16, cpus=1)], routes={"spot": route}), [group(idle=16)], route)
        assert [each.fleet.target for each in found.fleets] == [1]

    @settings(max_examples=100, deadline=None)
    @given(
        st.lists(st.builds(group, idle=st.integers(1, 200), cpus=st.integers(1, 20)), min_size=1, max_size=4),
        st.integers(0, 12),
        st.none() | st.decimals(0, 5, places=2),
    )
    def test_the_caps_hold_over_all_steps_and_of_every_job_is_told_what_becomes_of_it(self, jobs, most, hourly):
        route = replace(ROUTE, max_instances=most, max_hourly_cost=hourly)
        found = foreseen(snapshot(routes={"spot": route}), jobs, route)
        assert sum(each.fleet.target for each in found.fleets) <= most
        if hourly is not None:
            assert sum(each.fleet.hourly_ceiling * each.fleet.target for each in found.fleets) <= hourly
        for each in found.groups:
            assert each.placed + each.served + each.waiting == each.group.idle
            assert bool(each.why_not_more) == bool(each.waiting)


class TestWhenItEnds:
    def test_jobs_that_run_at_once_end_after_boot_and_run_time(self):
        found = estimated(snapshot(), [group(idle=64, expected=STEADY)])
        assert found.seconds.low <= found.seconds.middle <= found.seconds.high
        assert 30 * 60 < found.seconds.middle < 36 * 60
        assert not found.guessed

    def test_where_a_cap_binds_they_take_turns(self):
        route = replace(ROUTE, max_instances=1)
        found = estimated(snapshot(routes={"spot": route}), [group(idle=64, expected=STEADY)], route)
        assert 4 * 1800 < found.seconds.middle < 4 * 1800 + 360

    def test_it_costs_what_the_machines_cost_until_they_leave(self):
        found = estimated(snapshot(), [group(idle=64, expected=STEADY)])
        hour = float(instance_hour(TYPES["c5.4xlarge"], ROUTE))
        busy = found.seconds.middle - 10
        idle = ROUTE.idle_timeout.total_seconds()
        assert found.usd.middle == pytest.approx(4 * hour * (busy + idle) / 3600, rel=0.05)

    def test_the_less_is_known_the_wider_it_is(self):
        sure = estimated(snapshot(), [group(idle=16, expected=HALF_AN_HOUR)]).seconds
        few = replace(HALF_AN_HOUR, jobs=5, spread=timedelta(minutes=20))
        doubtful = estimated(snapshot(), [group(idle=16, expected=few)]).seconds
        guess = estimated(snapshot(), [group(idle=16, expected=PRIOR)])
        widths = [(each.high - each.low) / each.middle for each in (sure, doubtful, guess.seconds)]
        assert widths[0] < widths[1] < widths[2]
        assert guess.guessed

    def test_what_is_busy_now_is_free_later(self):
        """One core is taken by a job of another half hour: the second of two jobs waits for it, or the first."""
        of = living(
            at=RegionView([instance()], [fleet()]),
            launches=[launch()],
            slots=[slot(free_cpus=0), slot(name="slot1_1@i-1", free_cpus=2, claimed=True)],
            routes={"spot": replace(ROUTE, max_instances=1)},
        )
        found = estimated(of, [group(idle=2, expected=STEADY)], replace(ROUTE, max_instances=1))
        assert found.seconds.middle > 1800

    def test_a_lease_that_ends_before_is_followed_by_others(self):
        route = replace(ROUTE, max_instances=1, lifetime=timedelta(hours=2))
        found = estimated(snapshot(routes={"spot": route}), [group(idle=128, expected=STEADY)], route)
        assert found.leases == 3
        assert found.seconds.middle > 8 * 1800

    def test_jobs_that_outlast_every_lease_never_end(self):
        days = Runtime(timedelta(days=3), timedelta(0), jobs=100)
        found = estimated(snapshot(), [group(idle=1, expected=days)])
        assert found.seconds is None

    def test_jobs_that_nothing_runs_never_end(self):
        found = estimated(snapshot(), [group(expected=STEADY), group(cpus=64, expected=STEADY)])
        assert (found.seconds, found.usd) == (None, None)

    def test_a_price_that_is_not_known_makes_the_total_unknown(self):
        route = replace(ROUTE, instance_types=("x9.new",))
        found = estimated(snapshot(routes={"spot": route}), [group(expected=STEADY)], route)
        assert found.seconds
        assert found.usd is None

    def test_more_jobs_than_wait_at_a_time_take_as_long_as_all_of_them(self):
        jobs = group(idle=16, expected=STEADY)
        all_ = estimated(snapshot(), [jobs], jobs={id(jobs): 64})
        assert all_.seconds.middle > 4 * 1800

    def test_the_same_question_has_the_same_answer(self):
        jobs = [group(idle=50, expected=HALF_AN_HOUR)]
        assert estimated(snapshot(), jobs) == estimated(snapshot(), jobs)

    def test_ten_thousand_machines_are_estimated_by_a_part_of_them(self):
        route = replace(ROUTE, max_instances=5000)
        found = estimated(snapshot(routes={"spot": route}), [group(idle=80_000, expected=STEADY)], route)
        assert 30 * 60 < found.seconds.middle < 40 * 60
        hour = float(instance_hour(TYPES["c5.4xlarge"], ROUTE))
        assert found.usd.middle == pytest.approx(5000 * hour * 40 / 60, rel=0.1)


def test_a_budget_is_not_passed_by_all_steps_together():
    route = replace(ROUTE, budget=Decimal(20))
    found = foreseen(snapshot(routes={"spot": route}), [group(idle=500)], route)
    left = annex().lease_ends - NOW + timedelta(hours=1)
    spent = sum(each.fleet.hourly_ceiling * each.fleet.target for each in found.fleets)
    assert 0 < spent * Decimal(left / timedelta(hours=1)) <= 20
