"""What machines are bought on which market, by which call, and how those are known that no fleet listing shows."""

from dataclasses import replace
from decimal import Decimal

import pytest

from annex_core.model.annex import LaunchState
from annex_core.model.plan import CancelFleets, CloseLaunch
from annex_core.model.route import FleetApi, Market
from annex_core.model.snapshot import RegionView
from annex_core.planner.holdings import attribute
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, ROUTE, annex, fleets, group, instance, known, launch, living, snapshot, wishing

ON_DEMAND = replace(ROUTE, market=Market.ON_DEMAND)
INSTANT = replace(ROUTE, fleet_api=FleetApi.EC2_FLEET)


@pytest.mark.parametrize(
    ("route", "api", "market"),
    [
        (ROUTE, FleetApi.SPOT_FLEET, Market.SPOT),
        (INSTANT, FleetApi.EC2_FLEET, Market.SPOT),
        (ON_DEMAND, FleetApi.EC2_FLEET, Market.ON_DEMAND),
    ],
)
def test_a_route_says_what_is_bought_and_by_which_call(route, api, market):
    (asked,) = fleets(snapshot([group()], routes={"spot": route}))
    written = asked.as_launch("t", snapshot().at)
    assert (written.api, written.market) == (api, market)


def test_on_demand_machines_count_at_their_list_price_whatever_spot_ones_may_cost():
    dear = replace(ON_DEMAND, max_prices=(("*", Decimal("0.01")),))
    (asked,) = fleets(snapshot([group()], routes={"spot": dear}))
    assert asked.hourly_ceiling > Decimal("0.085")


def test_a_job_that_wants_no_spot_machine_waits_where_the_route_buys_those_and_reads_why():
    of = snapshot([group(wishes=wishing(on_demand=True))])
    assert not fleets(of)
    assert "route spot buys Spot ones" in plan(of).outlooks[ALICE].sentence


def test_a_job_that_wants_no_spot_machine_gets_another_where_the_route_buys_those():
    assert fleets(snapshot([group(wishes=wishing(on_demand=True))], routes={"spot": ON_DEMAND}))


def test_a_machine_is_its_launchs_by_the_client_token_in_its_tags():
    older, newer = launch("t1", target=5), launch("t2", api=FleetApi.EC2_FLEET, fleet="fleet-2")
    machine = instance(client_token="t2")
    assert attribute([machine], [older, newer], {}) == {machine.id: newer}


def test_what_an_instant_answer_did_not_bring_is_not_waited_for_and_said():
    some = launch("t1", target=3, api=FleetApi.EC2_FLEET, closed=snapshot().at, reason="InsufficientInstanceCapacity")
    short = replace(some, intended=snapshot().at)
    of = living([group(4)], at=RegionView(), launches=[short])
    outlook = plan(of).outlooks[ALICE]
    assert "AWS gave less than was asked for (InsufficientInstanceCapacity)" in outlook.sentence
    assert "asked for" not in outlook.sentence.split(".")[0]
    later = replace(some, intended=snapshot().at - ROUTE.grow_interval)
    assert fleets(living([group(4)], at=RegionView(), launches=[later]))


def test_nothing_is_cancelled_of_an_instant_fleet_that_has_ended():
    done = launch("t1", api=FleetApi.EC2_FLEET, fleet="fleet-1", closed=annex().started)
    of = living(at=RegionView(), launches=[done], known=[known("i-1", gone=annex().started)])
    assert not [action for action in plan(of).actions if isinstance(action, CancelFleets | CloseLaunch)]


def test_an_instant_launch_without_an_answer_counts_as_coming():
    asked = launch("t1", target=2, api=FleetApi.EC2_FLEET, state=LaunchState.INTENDED, fleet=None)
    of = living([group(2)], at=RegionView(), launches=[asked])
    assert not fleets(of)
