"""One annex's trouble stays its own, and takes no longer than it must."""

import time
from dataclasses import replace
from datetime import timedelta

from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    fleets,
    group,
    instance,
    known,
    living,
    snapshot,
    wishing,
)


class Broken:
    def __getattr__(self, name):
        raise RuntimeError("what a later HTCondor may do")


def test_an_annex_that_cannot_be_planned_stops_no_other():
    of = snapshot([replace(group(), ad=Broken()), group(key=BOB)])
    assert [each.annex.key for each in fleets(of)] == [BOB]
    assert "log" in plan(of).outlooks[ALICE].sentence
    assert any("what a later HTCondor may do" in trouble for trouble in plan(of).troubles)


def test_thousands_of_jobs_that_no_machine_fits_do_not_hold_up_the_others():
    of = snapshot([*(group(cpus=500 + n) for n in range(2000)), group(key=BOB)])
    began = time.monotonic()
    decided = plan(of)
    assert time.monotonic() - began < 30  # one by one they would take minutes
    assert len(decided.outlooks[ALICE].sentence) < 1000


def test_a_cap_that_is_reached_ends_the_plan_and_does_not_try_each_type_in_turn():
    types = {f"c{n}.x": replace(TYPES["c5.xlarge"], name=f"c{n}.x") for n in range(400)}
    route = replace(ROUTE, instance_types=tuple(types), max_instances=3)
    of = snapshot(
        [group(idle=50, memory_mib=1000 + n) for n in range(400)], routes={"spot": route}, types={REGION: types}
    )
    began = time.monotonic()
    assert sum(each.target for each in fleets(of)) == 3
    assert time.monotonic() - began < 15  # type by type it would take minutes


def test_an_idle_time_out_of_zero_would_be_none_at_all_so_it_is_not_passed_on():
    """HTCondor takes STARTD_NOCLAIM_SHUTDOWN = 0 for never, and condor_qedit gives a job any wish."""
    (asked,) = fleets(snapshot([group(wishes=wishing(idle_timeout=timedelta(0)))]))
    assert asked.idle_timeout_s > 0


def test_after_machines_that_never_joined_one_is_tried_before_many():
    lost = [known(f"i-{n}", gone=NOW - timedelta(minutes=45)) for n in range(3)]
    of = living([group(idle=500)], at=RegionView(), known=lost)
    assert [each.target for each in fleets(of)] == [1]


def test_a_machine_of_a_type_that_nothing_is_known_of_stops_a_cap_on_vcpus_not_the_plan():
    odd = instance(type="z9.strange")
    of = living([group()], at=RegionView([odd]), routes={"spot": replace(ROUTE, max_vcpus=100)})
    assert "z9.strange" not in TYPES
    assert not fleets(of)
