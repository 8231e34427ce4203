"""What AWS has just had none of: put aside for a while, and tried again with one."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.model.route import Market
from annex_core.model.setback import Subject
from annex_core.planner.shortages import FIRST, FORGOTTEN, LONGEST, aside, penalty, set_back, shortages, until
from tests.unit.world import NOW, REGION, ROUTE, known, launch, setback, snapshot

A, B = "us-east-2a", "us-east-2b"
TWO_ZONES = replace(ROUTE, subnets=("subnet-1", "subnet-2"), instance_types=("c5.large", "m5.large"))
ZONES = {REGION: {"subnet-1": A, "subnet-2": B}}
MINUTE = timedelta(minutes=1)
SHORT = Subject(REGION, Market.SPOT, "c5.large", A)


def seen(*setbacks, route=TWO_ZONES, **given):
    return shortages(route, snapshot(zones=ZONES, setbacks=setbacks, **given))


def noes(*after):
    """A setback after noes so long one after the other, the last one now."""
    at, found = NOW - sum(after, timedelta(0)), None
    found = set_back(None, SHORT, "no capacity", at)
    for each in after:
        at += each
        found = set_back(found, SHORT, "no capacity", at)
    return found


def test_where_nothing_was_short_nothing_is_left_out():
    assert aside(TWO_ZONES, snapshot(zones=ZONES)) == {}


def test_a_type_that_one_zone_lacks_is_asked_for_in_the_others():
    found = seen(setback(zone=A))
    assert (dict(found.left_out), dict(found.aside), found.short) == ({("c5.large", A): "no capacity"}, {}, frozenset())


def test_a_type_that_all_zones_lack_is_not_asked_for_and_others_are():
    found = seen(setback(zone=A), setback(zone=B))
    assert found.aside == {"c5.large": "no capacity"}
    assert (
        found.reason == "AWS has no Spot c5.large in us-east-2 now; it is asked for again at 12:01 UTC at the earliest"
    )


def test_a_type_that_other_zones_than_the_routes_lack_is_asked_for():
    assert aside(TWO_ZONES, snapshot(zones=ZONES, setbacks=[setback(zone="us-east-2c")])) == {}


@pytest.mark.parametrize("elsewhere", [{"place": "eu-west-1"}, {"market": Market.ON_DEMAND}])
def test_what_another_region_or_market_lacks_is_asked_for_here(elsewhere):
    assert aside(TWO_ZONES, snapshot(zones=ZONES, setbacks=[setback(zone="", **elsewhere)])) == {}


def test_a_shortage_of_no_zone_in_particular_is_one_of_all():
    assert {*seen(setback(zone="")).aside} == {"c5.large"}


def test_zones_that_are_not_known_yet_hide_no_shortage_of_the_region():
    found = shortages(TWO_ZONES, snapshot(setbacks=[setback(zone="")]))
    assert {*found.aside} == {"c5.large"}


def test_after_its_time_one_machine_is_asked_for():
    found = seen(setback(zone=A, ago=FIRST), setback(zone=B, ago=FIRST))
    assert (dict(found.aside), found.trial, found.short) == ({}, {"c5.large"}, {"c5.large"})


def test_it_is_tried_in_the_zones_whose_time_is_over():
    found = seen(setback(zone=A, ago=FIRST), setback(zone=B))
    assert (found.trial, {*found.left_out}) == ({"c5.large"}, {("c5.large", B)})


def test_while_one_is_asked_for_no_annex_asks_for_another():
    trying = launch(types=("c5.large",), intended=NOW, annex="another")
    found = seen(setback(zone="", ago=FIRST), launches=[trying])
    assert (found.trial, found.aside) == (
        frozenset(),
        {"c5.large": "one machine is asked for, to see whether there are any again"},
    )


def test_while_one_is_asked_for_at_an_endpoint_of_a_routes_own_no_annex_asks_for_another():
    route = replace(TWO_ZONES, endpoint="http://127.0.0.1:4566")
    trying = launch(types=("c5.large",), intended=NOW, annex="another", place=route.place)
    assert not seen(setback(place=route.place, ago=FIRST), route=route, launches=[trying]).trial


def test_a_launch_that_brought_all_it_asked_for_tries_nothing():
    filled = launch(types=("c5.large",), intended=NOW, target=1)
    found = seen(setback(zone="", ago=FIRST), launches=[filled], known=[known("i-1", token=filled.token)])
    assert found.trial == {"c5.large"}


def test_a_machine_that_came_ends_it():
    assert seen(setback(zone="", lifted=NOW)).short == frozenset()


def test_a_machine_that_came_before_ends_nothing():
    assert seen(setback(zone="", lifted=NOW - timedelta(hours=1))).short == {"c5.large"}


def test_what_nobody_has_tried_for_hours_is_forgotten():
    assert seen(setback(zone="", ago=FIRST + FORGOTTEN)).short == frozenset()


def test_the_standard_quota_is_one_for_many_families():
    full = setback(type_="", zone="", quota="Standard")
    route = replace(TWO_ZONES, instance_types=("c5.large", "m7g.large", "t3.micro", "g5.xlarge", "p4d.24xlarge"))
    assert {*seen(full, route=route).aside} == {"c5.large", "m7g.large", "t3.micro"}


def test_short_is_counted_from_when_the_last_zone_had_none():
    found = seen(setback(zone=A, ago=timedelta(minutes=50), tries=6), setback(zone=B, ago=10 * MINUTE, tries=4))
    assert found.since == {"c5.large": NOW - 10 * MINUTE}


def test_it_is_put_aside_for_twice_as_long_each_time_and_an_hour_at_most():
    waits, found = [], None
    at = NOW
    for _ in range(8):
        found = set_back(found, SHORT, "no capacity", at)
        waits.append(penalty(found))
        at = until(found)
    assert waits == [MINUTE * each for each in (2, 4, 8, 16, 32, 60, 60, 60)]
    assert waits[-1] == LONGEST


def test_noes_of_launches_that_went_out_together_are_one():
    assert noes(timedelta(seconds=30), timedelta(seconds=30)).tries == 1


def test_noes_one_after_the_other_are_one_series():
    assert noes(5 * MINUTE, 5 * MINUTE).since == NOW - 10 * MINUTE


def test_a_no_after_hours_is_a_first_one():
    assert noes(5 * MINUTE, timedelta(hours=4)).tries == 1


def test_one_machine_in_between_does_not_make_the_next_no_a_first_one():
    before = replace(noes(5 * MINUTE), lifted=NOW + MINUTE)
    after = set_back(before, SHORT, "no capacity", NOW + 6 * MINUTE)
    assert (after.tries, after.since, after.stands) == (3, NOW + 6 * MINUTE, True)


def test_an_hour_of_machines_makes_the_next_no_a_first_one():
    before = replace(noes(5 * MINUTE), lifted=NOW + MINUTE)
    assert set_back(before, SHORT, "no capacity", NOW + timedelta(hours=1)).tries == 1
