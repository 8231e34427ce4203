"""Machines that are kept ready without a job: off by default, within all caps, and no longer than the schedule says."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.plan import CloseLaunch
from annex_core.model.schedule import ALWAYS, parse
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from annex_core.planner.warm import WARM
from tests.unit.test_plan_properties import worlds
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
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

READY = replace(ROUTE, min_instances=3, min_schedule=ALWAYS)
NOT_NOW = parse("Mon 08:00-18:00")
"""It is a Saturday."""


def world(demand=(), *, machines=0, route=READY, **given):
    """Alice's annex lives, with so many idle machines."""
    ids = [f"i-{number}" for number in range(machines)]
    view = RegionView([instance(each, fleet="sfr-t1") for each in ids], [fleet(target=machines)] if machines else [])
    asked = [launch(target=machines, closed=NOW)] if machines else []
    slots = [slot(each) for each in ids]
    return living(demand, at=view, slots=slots, **{"launches": asked, "routes": {ROUTE.name: route}, **given})


def asked(of):
    return sum(each.target for each in fleets(of))


def test_a_living_annex_gets_the_machines_that_it_lacks():
    (one,) = fleets(world(machines=1))
    assert (one.target, one.order) == (2, WARM)
    assert asked(world()) == 3


def test_what_lives_or_is_on_its_way_counts_whatever_it_was_asked_for():
    assert not fleets(world(machines=3))
    coming = [launch("t2", 2), launch("t3", 1, order=WARM)]
    assert not fleets(world(launches=coming))


def test_jobs_take_the_machines_that_are_ready_and_theirs_are_ready_for_others():
    of = world([group(idle=8)], machines=1)
    assert {each.order for each in fleets(of)} == {None}
    assert asked(of) == 2
    assert not fleets(world([group(idle=6)], machines=3))


def test_jobs_come_first_where_a_cap_leaves_room_for_no_more():
    of = world([group(idle=2, cpus=16)], route=replace(READY, max_instances=3))
    assert {each.types: each.target for each in fleets(of)} == {("c5.4xlarge",): 2, ("c5.large",): 1}


def test_they_are_kept_up_until_the_hours_end_and_the_machines_of_jobs_are_not():
    (ready,) = fleets(world(route=replace(READY, min_schedule=parse("Sat 08:00-18:00"))))
    assert ready.warm_until == NOW.replace(hour=18)
    for_jobs = fleets(world([group(idle=64)], machines=3))
    assert for_jobs
    assert not any(each.warm_until for each in for_jobs)


def test_they_are_told_of_a_day_at_most():
    (ready,) = fleets(world())
    assert ready.warm_until == NOW + timedelta(days=1)


def test_they_are_of_the_types_that_jobs_wanted_last():
    wanted = launch("t2", types=("c5.4xlarge",), closed=NOW)
    (ready,) = fleets(world(launches=[wanted]))
    assert ready.types == ("c5.4xlarge",)


@pytest.mark.parametrize(
    ("changed", "most"),
    [
        ({"max_instances": 2}, 2),
        ({"max_vcpus": 4}, 2),
        ({"max_hourly_cost": Decimal("0.10")}, 1),
        ({"budget": Decimal("0.01")}, 0),
    ],
)
def test_no_cap_and_no_budget_is_passed_for_them(changed, most):
    of = world(route=replace(READY, **changed))
    assert asked(of) == most


def test_an_annex_that_nobody_asked_for_is_not_begun_for_them():
    assert not plan(snapshot(routes={ROUTE.name: READY})).actions


@pytest.mark.parametrize(
    "off",
    [
        {"min_instances": 0},
        {"min_schedule": None},
        {"min_schedule": NOT_NOW},
        {"user_data_file": "/etc/pilot.sh"},
        {"pilot": True},
    ],
    ids=["none", "no schedule", "not now", "another boot script", "pilots"],
)
def test_none_is_kept_ready_where_the_route_does_not_say_so_or_can_not(off):
    assert not fleets(world(route=replace(READY, **off)))


def test_a_frozen_region_and_a_lease_about_to_end_get_none():
    assert not fleets(world(frozen={REGION: "AWS does not answer"}))
    ends = annex(lease_ends=NOW + timedelta(minutes=2))
    assert not fleets(world(annexes={ALICE: ends}))


def test_what_has_not_come_when_the_hours_end_is_given_up():
    waiting = [launch("t2", 2, order=WARM)]
    view = RegionView([], [fleet("t2", target=2, fulfilled=0.0)])
    during = living([], at=view, launches=waiting, routes={ROUTE.name: READY})
    after = living([], at=view, launches=waiting, routes={ROUTE.name: replace(READY, min_schedule=NOT_NOW)})
    assert not [action for action in plan(during).actions if isinstance(action, CloseLaunch)]
    (closed,) = (action for action in plan(after).actions if isinstance(action, CloseLaunch))
    assert closed.why == "machines are kept ready no more"


def test_why_there_are_fewer_is_told():
    told = plan(world(route=replace(READY, max_instances=2))).outlooks[ALICE]
    assert "Fewer machines are kept ready than should be: the cap of 2 machines is reached" in told.sentence


@settings(max_examples=200, deadline=None)
@given(worlds, st.sampled_from([{"min_instances": 5}, {"min_instances": 5, "min_schedule": NOT_NOW}]))
def test_off_it_changes_no_plan(of, off):
    routes = {name: replace(route, **off) for name, route in of.routes.items()}
    changed = plan(replace(of, routes=routes))
    before = plan(of)
    assert [each.target for each in _launches(changed)] == [each.target for each in _launches(before)]
    assert [each.types for each in _launches(changed)] == [each.types for each in _launches(before)]
    assert {key: each.sentence for key, each in changed.outlooks.items()} == {
        key: each.sentence for key, each in before.outlooks.items()
    }


def _launches(of):
    return [action for action in of.actions if hasattr(action, "target")]


@settings(max_examples=200, deadline=None)
@given(worlds)
def test_with_as_many_as_it_says_a_plan_asks_for_no_more_of_them(of):
    routes = {name: replace(route, min_instances=5, min_schedule=ALWAYS) for name, route in of.routes.items()}
    ready = replace(of, routes=routes)
    held = sum(each.target for each in of.launches if each.may_bring)
    wanted = sum(each.target for each in _launches(plan(ready)) if each.order == WARM)
    assert held + wanted <= max(5, held)
