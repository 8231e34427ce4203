"""Machines by another route, in another region, for jobs that stay in their annex; and an annex in two places."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.model.annex import Ending, LaunchState
from annex_core.model.place import Place
from annex_core.model.plan import CancelFleets, CloseLaunch, FinishAnnex, LaunchFleet, Retag, Terminate
from annex_core.model.route import Market
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView
from annex_core.planner.holdings import remember
from annex_core.planner.shortages import LONGEST
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    actions,
    annex,
    carried,
    fleet,
    fleets,
    group,
    instance,
    known,
    launch,
    sentence,
    setback,
    snapshot,
    wishing,
)

MINUTE = timedelta(minutes=1)
HOME, WEST = Place(REGION), Place("us-west-2")
FIRST = replace(ROUTE, instance_types=("c5.large", "c5.xlarge"), fallback=("west",))
OTHER = replace(
    FIRST, name="west", region=WEST, subnets=("subnet-9",), image="ami-9", instance_types=("c5.xlarge",), fallback=()
)


def short(*names, place=HOME, market=Market.SPOT, ago=20 * MINUTE):
    return [
        setback(name, since=NOW - ago, place=place, market=market, tries=6) for name in names or FIRST.instance_types
    ]


def seen(*groups, first=FIRST, other=OTHER, **given):
    return snapshot(
        groups,
        **{
            "routes": {"spot": first, "west": other},
            "regions": {HOME: RegionView(), WEST: RegionView()},
            "types": {HOME: TYPES, WEST: TYPES},
            "signs": {HOME: Signs(heartbeat=NOW), WEST: Signs(heartbeat=NOW)},
            **given,
        },
    )


def asked(of):
    return [(each.route.name, each.route.market, each.types) for each in fleets(of)]


def test_as_long_as_the_route_has_machines_no_other_is_asked():
    assert {name for name, _, _ in asked(seen(group(4)))} == {"spot"}


def test_where_it_has_none_the_next_route_is_asked_at_once():
    some = seen(group(4), setbacks=short(ago=2 * MINUTE))
    assert asked(some) == [("west", Market.SPOT, ("c5.xlarge",))]
    [only] = fleets(some)
    assert (only.annex.route, only.annex.place, only.as_launch("t", NOW).place) == ("spot", HOME, WEST)
    assert "Spot machines of route west are asked for in their place" in sentence(some)


def test_it_goes_on_in_the_order_that_the_route_names_them():
    third = replace(OTHER, name="east", region="us-east-1", subnets=("subnet-7",))
    east = Place("us-east-1")
    first = replace(FIRST, fallback=("west", "east"))
    some = seen(
        group(4),
        routes={"spot": first, "west": OTHER, "east": third},
        regions={HOME: RegionView(), WEST: RegionView(), east: RegionView()},
        types={HOME: TYPES, WEST: TYPES, east: TYPES},
        signs={place: Signs(heartbeat=NOW) for place in (HOME, WEST, east)},
        setbacks=[*short(), *short("c5.xlarge", place=WEST)],
    )
    assert {name for name, _, _ in asked(some)} == {"east"}


def test_on_demand_machines_come_after_the_spot_ones_of_all_routes():
    first = replace(FIRST, market=Market.SPOT_THEN_ON_DEMAND)
    assert asked(seen(group(4), first=first, setbacks=short())) == [("west", Market.SPOT, ("c5.xlarge",))]
    none = seen(group(4), first=first, setbacks=[*short(), *short("c5.xlarge", place=WEST)])
    assert {each[:2] for each in asked(none)} == {("spot", Market.ON_DEMAND)}


def test_a_fallback_that_buys_on_demand_is_waited_for_as_the_route_says():
    other = replace(OTHER, market=Market.ON_DEMAND)
    assert asked(seen(group(4), other=other, setbacks=short(ago=5 * MINUTE))) == []
    assert {each[:2] for each in asked(seen(group(4), other=other, setbacks=short()))} == {("west", Market.ON_DEMAND)}


def test_the_annex_is_no_larger_for_having_fallen_back():
    some = seen(
        group(400), first=replace(FIRST, max_instances=3), other=replace(OTHER, max_instances=50), setbacks=short()
    )
    assert sum(each.target for each in fleets(some)) == 3
    tight = seen(group(400), other=replace(OTHER, max_instances=2), setbacks=short())
    assert sum(each.target for each in fleets(tight)) == 2


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"frozen": {WEST: "AWS does not answer in us-west-2"}}, "AWS does not answer in us-west-2"),
        ({"signs": {HOME: Signs(heartbeat=NOW), WEST: Signs()}}, "there is no reaper in us-west-2"),
        ({"regions": {HOME: RegionView()}}, "AWS does not answer in us-west-2"),
        ({"unready": {"west": "no way out of its subnets"}}, "no way out of its subnets"),
        ({"other": replace(OTHER, owners=("bob",))}, "route west is not open to alice"),
    ],
)
def test_where_the_other_route_can_t_launch_nothing_is_and_the_jobs_are_told(given, why):
    some = seen(group(4), setbacks=short(), **given)
    assert asked(some) == []
    assert why in sentence(some)


def test_a_fallback_that_is_not_in_force_is_none():
    assert asked(seen(group(4), routes={"spot": FIRST}, setbacks=short())) == []


def test_pilots_don_t_fall_back_to_machines_that_are_none():
    assert asked(seen(group(4), other=replace(OTHER, pilot=True), setbacks=short())) == []


def test_an_annex_whose_create_decided_something_keeps_to_its_route():
    decided = annex(overrides={"image": "ami-7"})
    assert asked(seen(group(4), annexes={ALICE: decided}, setbacks=short())) == []


def test_jobs_that_may_not_run_on_spot_machines_get_none_elsewhere():
    first = replace(FIRST, market=Market.ON_DEMAND)
    some = seen(group(4, wishes=wishing(on_demand=True)), first=first, setbacks=short(market=Market.ON_DEMAND))
    assert asked(some) == []


def test_after_so_many_machines_that_aws_took_back_on_demand_ones_are_bought_at_once_and_only_for_an_hour():
    first = replace(FIRST, market=Market.SPOT_THEN_ON_DEMAND, fallback=(), fallback_evictions=3)

    def bought(number, ago=10 * MINUTE):
        taken = [
            known(f"i-{n}", interrupted=NOW - ago, gone=NOW - ago, joined=NOW - 2 * LONGEST) for n in range(number)
        ]
        some = seen(group(4), first=first, annexes={ALICE: annex(started=NOW - 9 * LONGEST)}, known=taken)
        return {market for _, market, _ in asked(some)}

    assert bought(2) == {Market.SPOT}
    assert bought(3) == {Market.ON_DEMAND}
    assert bought(3, ago=LONGEST) == {Market.SPOT}


# An annex in two places.

EMPTY = RegionView()
T_HOME = launch("home", place=HOME, target=2)
T_WEST = launch("west", place=WEST, target=2, fleet="sfr-west")


def two(*groups, at_home=EMPTY, at_west=EMPTY, lives=None, **given):
    return seen(
        *groups,
        **{
            "annexes": {ALICE: lives or annex()},
            "launches": [T_HOME, T_WEST],
            "regions": {HOME: at_home, WEST: at_west},
            **given,
        },
    )


def view(*ids, token):
    machines = [instance(id_, fleet=f"sfr-{token}", launched=NOW - 4 * MINUTE) for id_ in ids]
    return RegionView(instances=machines, fleets=[fleet(token, id=f"sfr-{token}")])


BOTH = {"at_home": view("i-1", token="home"), "at_west": view("i-2", token="west")}


def test_machines_of_both_places_are_the_annex_s():
    some = two(**BOTH)
    assert {(each.id, each.token, each.gone) for each in some.known} == {("i-1", "home", None), ("i-2", "west", None)}


def test_a_place_that_does_not_answer_takes_no_machine_away_and_launches_none():
    some = replace(two(group(40), **BOTH), regions={HOME: BOTH["at_home"]}, at=NOW + 5 * MINUTE)
    assert remember(some) == ()
    assert actions(some, LaunchFleet) == []
    assert "AWS does not answer in us-west-2" in sentence(some)


def test_a_machine_that_is_gone_in_one_place_is_gone():
    gone = replace(two(**BOTH), regions={HOME: BOTH["at_home"], WEST: RegionView()}, at=NOW + 5 * MINUTE)
    assert [(each.id, each.gone is not None) for each in remember(gone)] == [("i-2", True)]


def test_the_machines_elsewhere_count_against_the_cap():
    some = two(group(40), first=replace(FIRST, max_instances=4), **BOTH)
    assert actions(some, LaunchFleet) == []


def test_leases_are_moved_in_both_places():
    longer = annex(lease_ends=NOW + timedelta(hours=9))
    found = actions(two(lives=longer, **BOTH), Retag)
    assert {(each.place, ids) for each in found for _, ids in each.changes} == {
        (HOME, ("sfr-home", "i-1")),
        (WEST, ("sfr-west", "i-2")),
    }


def test_an_end_at_once_ends_all_of_both_places():
    ending = annex(ending=Ending.NOW, ending_since=NOW)
    some = two(lives=ending, **BOTH)
    assert {(each.place, each.instances) for each in actions(some, Terminate)} == {(HOME, ("i-1",)), (WEST, ("i-2",))}
    assert {(each.place, each.fleets) for each in actions(some, CancelFleets)} == {
        (HOME, ("sfr-home",)),
        (WEST, ("sfr-west",)),
    }


def test_it_is_over_when_nothing_is_left_in_either_place():
    over = annex(lease_ends=NOW - MINUTE)
    closed = [replace(each, state=LaunchState.REQUESTED, closed=NOW - 9 * MINUTE) for each in (T_HOME, T_WEST)]
    nothing = two(lives=over, launches=closed)
    assert actions(nothing, FinishAnnex)
    assert not actions(two(lives=over, launches=closed, at_west=BOTH["at_west"]), FinishAnnex)
    assert not actions(replace(nothing, regions={HOME: RegionView()}), FinishAnnex)


def test_requests_are_given_up_and_spent_fleets_cancelled_where_they_are():
    old = replace(T_WEST, intended=NOW - 20 * MINUTE)
    some = two(launches=[old], at_west=RegionView(fleets=[fleet("west", id="sfr-west")]))
    assert [each.launch for each in actions(some, CloseLaunch)] == [old]
    closed = two(
        launches=[replace(old, closed=NOW - 5 * MINUTE)], at_west=RegionView(fleets=[fleet("west", id="sfr-west")])
    )
    assert [(each.place, each.fleets) for each in actions(closed, CancelFleets)] == [(WEST, ("sfr-west",))]


def test_machines_that_never_join_are_ended_where_they_are():
    late = [instance("i-2", fleet="sfr-west", launched=NOW - 40 * MINUTE, tags=carried())]
    some = two(at_west=RegionView(instances=late, fleets=[fleet("west", id="sfr-west")]))
    assert [(each.place, each.instances) for each in actions(some, Terminate)] == [(WEST, ("i-2",))]
