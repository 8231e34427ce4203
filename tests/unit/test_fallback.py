"""On-demand machines in place of Spot ones that AWS has none of, and back."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.model.annex import LaunchState
from annex_core.model.order import Order
from annex_core.model.plan import CloseLaunch
from annex_core.model.route import FleetApi, Market
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from annex_core.planner.shortages import FIRST
from tests.unit.world import (
    NOW,
    ROUTE,
    annex,
    fleet,
    fleets,
    group,
    launch,
    living,
    sentence,
    setback,
    snapshot,
    wishing,
)

MINUTE = timedelta(minutes=1)
BOTH = replace(ROUTE, market=Market.SPOT_THEN_ON_DEMAND, instance_types=("c5.large", "c5.xlarge"))


def short(*names, since=20 * MINUTE, last=MINUTE, market=Market.SPOT):
    return [
        setback(name, since=NOW - since, last=NOW - last, market=market, tries=3)
        for name in names or BOTH.instance_types
    ]


def seen(*groups, route=BOTH, **given):
    return snapshot(groups or [group(4)], **{"routes": {"spot": route}, **given})


def asked(of):
    return [(each.route.market, each.types, each.target) for each in fleets(of)]


def test_as_long_as_there_are_spot_machines_they_are_bought():
    assert {market for market, _, _ in asked(seen())} == {Market.SPOT}


def test_for_a_while_jobs_wait_for_spot_machines():
    waiting = seen(setbacks=short(since=5 * MINUTE))
    assert asked(waiting) == []
    assert "if that stays so, on-demand machines are asked for from 12:05 UTC on" in sentence(waiting)


def test_then_on_demand_ones_are_bought():
    [(market, _, _)] = asked(seen(setbacks=short()))
    assert market is Market.ON_DEMAND
    assert "on-demand machines are asked for in their place" in sentence(seen(setbacks=short()))


def test_on_demand_machines_are_asked_of_ec2_fleet_and_spot_ones_of_a_spot_fleet():
    [spot] = fleets(seen(group(2)))
    [bought] = fleets(seen(group(2), setbacks=short()))
    assert (spot.route.api, bought.route.api) == (FleetApi.SPOT_FLEET, FleetApi.EC2_FLEET)


def test_one_type_that_is_short_is_no_reason_to_pay_more_for_jobs_that_another_runs():
    assert {market for market, _, _ in asked(seen(setbacks=short("c5.large")))} == {Market.SPOT}


def test_jobs_that_other_spot_machines_run_do_not_pay_for_those_that_none_runs():
    small, large = group(1, cpus=2), group(1, cpus=4, memory_mib=4096)
    found = asked(seen(small, large, setbacks=short("c5.xlarge")))
    assert [(market, types) for market, types, _ in found] == [
        (Market.SPOT, ("c5.large",)),
        (Market.ON_DEMAND, ("c5.xlarge",)),
    ]


def test_while_one_spot_machine_is_tried_the_others_are_bought_on_demand():
    route = replace(BOTH, max_instances=40, instance_types=("c5.large",))
    found = asked(seen(group(20, cpus=2), setbacks=short("c5.large", last=8 * MINUTE), route=route))
    assert [(market, machines) for market, _, machines in found] == [(Market.SPOT, 1), (Market.ON_DEMAND, 19)]


def test_when_one_has_come_all_are_spot_machines_again():
    back = [replace(each, lifted=NOW) for each in short()]
    assert {market for market, _, _ in asked(seen(setbacks=back))} == {Market.SPOT}


def test_types_dearer_than_the_ceiling_are_not_bought_on_demand():
    bought = asked(seen(setbacks=short(), route=replace(BOTH, on_demand_max_price=Decimal("0.1"))))
    assert [(market, types) for market, types, _ in bought] == [(Market.ON_DEMAND, ("c5.large",))]


def test_a_type_of_unknown_price_is_not_bought_where_there_is_a_ceiling():
    route = replace(BOTH, instance_types=("x9.new",), on_demand_max_price=Decimal(10))
    nothing = seen(setbacks=short("x9.new"), route=route)
    assert asked(nothing) == []
    assert "no type of route spot has a list price of $10 an hour at most" in sentence(nothing)


def test_the_caps_hold_for_both_together():
    running = [launch(f"t{n}", target=1, types=("c5.large",)) for n in range(9)]
    some = living([group(40)], at=RegionView(), routes={"spot": BOTH}, setbacks=short(), launches=running)
    assert sum(target for _, _, target in asked(some)) <= ROUTE.max_instances - 9


def test_an_hourly_limit_counts_on_demand_machines_at_their_list_price():
    route = replace(BOTH, max_hourly_cost=Decimal("0.2"))
    bought = asked(seen(group(40), setbacks=short(), route=route))
    assert sum(target for _, _, target in bought) == 1


def test_what_is_short_on_demand_too_is_not_asked_for():
    nothing = seen(setbacks=[*short(), *short(market=Market.ON_DEMAND)])
    assert asked(nothing) == []
    assert "AWS has no on-demand c5.large, c5.xlarge in us-east-2 now" in sentence(nothing)


def test_a_route_of_spot_machines_buys_no_other():
    assert asked(seen(setbacks=short(), route=replace(BOTH, market=Market.SPOT))) == []


def test_jobs_that_may_not_run_on_spot_machines_are_told_that_the_route_buys_some():
    wish = seen(group(wishes=wishing(on_demand=True)))
    assert asked(wish) == []
    assert "annex_on_demand" in sentence(wish)


@pytest.mark.parametrize(
    ("setbacks", "market"), [([], Market.SPOT), (short(since=5 * MINUTE), Market.SPOT), (short(), Market.ON_DEMAND)]
)
def test_an_order_by_hand_is_filled_with_what_there_is(setbacks, market):
    order = Order("o1", annex().id, NOW, "alice", instances=3, slots=None)
    some = living(at=RegionView(), routes={"spot": BOTH}, orders=[order], setbacks=setbacks)
    assert [(each[0], each[2]) for each in asked(some)] == [(market, 3)]


def closed(route, ago, *groups, told="AWS has none", setbacks=(), **given):
    open_ = launch(types=("c5.large",), intended=NOW - ago, state=LaunchState.REQUESTED)
    some = living(
        groups or [group(4)],
        at=RegionView(fleets=[fleet()]),
        routes={"spot": route},
        launches=[open_],
        setbacks=setbacks,
        obstacles={open_.token: told} if told else {},
        **given,
    )
    return any(isinstance(action, CloseLaunch) for action in plan(some).actions)


def test_a_request_that_aws_has_nothing_for_is_given_up_when_the_fallback_is_due():
    soon = replace(BOTH, fallback_after=3 * MINUTE)
    assert closed(soon, 4 * MINUTE, setbacks=short(since=4 * MINUTE))
    assert closed(soon, 2 * MINUTE, setbacks=short(since=4 * MINUTE)), "it was tried when the fallback was due already"
    assert not closed(soon, 4 * MINUTE, setbacks=short(since=2 * MINUTE))
    assert not closed(soon, MINUTE / 2, setbacks=short(since=4 * MINUTE))


def test_on_demand_machines_come_before_spot_ones_that_cost_far_more():
    route = replace(BOTH, instance_types=("c5.large", "c5.4xlarge"))
    waiting, due = (
        seen(group(1), setbacks=short("c5.large", since=since), route=route) for since in (9 * MINUTE, 11 * MINUTE)
    )
    assert asked(waiting) == []
    assert asked(due) == [(Market.ON_DEMAND, ("c5.large",), 1)]


SPOT = replace(BOTH, market=Market.SPOT)
ONE_SHORT = short("c5.large")


def test_one_that_other_types_can_replace_is_given_up_after_a_minute():
    assert closed(SPOT, MINUTE, setbacks=ONE_SHORT)
    assert closed(BOTH, MINUTE, setbacks=ONE_SHORT)
    assert not closed(SPOT, MINUTE / 2, setbacks=ONE_SHORT)


def test_one_is_waited_for_whose_jobs_nothing_else_can_run_now():
    picky = group(2, requirements='TARGET.EC2InstanceType == "c5.large"')
    assert not closed(SPOT, 9 * MINUTE, group(2), picky, setbacks=ONE_SHORT)
    assert not closed(SPOT, 9 * MINUTE, setbacks=short()), "AWS has none of anything"
    assert not closed(replace(SPOT, max_vcpus=2), 9 * MINUTE, setbacks=ONE_SHORT), "a larger one is over the cap"
    assert closed(replace(SPOT, max_vcpus=4), MINUTE, setbacks=ONE_SHORT)


def test_one_is_waited_for_where_what_there_is_costs_far_more():
    dear = replace(SPOT, instance_types=("c5.large", "c5.4xlarge"))
    assert not closed(dear, 9 * MINUTE, setbacks=ONE_SHORT)


def test_one_is_waited_for_where_nothing_else_may_be_asked_for_now():
    for given in (
        {"frozen": {ROUTE.place: "frozen"}},
        {"slots": None},
        {"signs": {}},
        {"unready": {"spot": "not yet"}},
    ):
        assert not closed(SPOT, MINUTE, setbacks=ONE_SHORT, **given), given


def test_a_request_that_aws_may_still_fill_is_waited_for():
    soon = replace(BOTH, fallback_after=3 * MINUTE)
    assert not closed(soon, 4 * MINUTE, told=None, setbacks=short("c5.large"))
    assert not closed(soon, 4 * MINUTE)


def test_without_a_fallback_it_is_waited_for_as_long_as_the_route_says():
    assert not closed(SPOT, 9 * MINUTE, setbacks=short())


def test_a_trial_is_one_also_where_there_is_a_fallback():
    found = asked(seen(group(1), setbacks=short(last=FIRST * 4)))
    assert [(market, target) for market, _, target in found] == [(Market.SPOT, 1)]
