from datetime import timedelta

from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.planner.strangers import SETTLED, adopt, sighting, strangers
from tests.unit.world import ACCESS_POINT, ALICE, NOW, REGION, annex, carried, fleet, instance, launch


def seen(view, annexes=(), launches=()):
    fleets, instances = strangers(view, annexes, launches, access_point=ACCESS_POINT)
    return [fleet.id for fleet in fleets] + [instance.id for instance in instances]


def test_what_the_journal_knows_is_no_stranger():
    assert seen(RegionView([instance()], [fleet()]), {ALICE}, [launch()]) == []


def test_a_fleet_with_an_unknown_token_is_a_stranger_though_its_annex_is_known():
    assert seen(RegionView([], [fleet("t2")]), {ALICE}, [launch()]) == ["sfr-t2"]


def test_another_access_points_machines_are_no_strangers():
    other = {**carried(), "htcondor:AccessPoint": "other"}
    assert seen(RegionView([instance(tags=other)], [fleet(tags=other)])) == []


def test_strangers_settle_only_when_the_same_ones_are_seen_minutes_apart():
    first = sighting(None, ["i-1"], NOW)
    assert not first.settled(NOW + SETTLED / 2)
    assert sighting(first, ["i-1"], NOW + SETTLED).settled(NOW + SETTLED)
    assert not sighting(first, ["i-1", "i-2"], NOW + SETTLED).settled(NOW + SETTLED)
    assert sighting(first, [], NOW + SETTLED) is None


def test_adopted_annexes_have_the_lease_that_their_tags_name():
    begun, launches = adopt(Place(REGION), [fleet()], [instance()], {}, access_point=ACCESS_POINT)
    assert [(each.key, each.lease_ends, each.project) for each in begun] == [(ALICE, annex().lease_ends, "physics")]
    assert [(each.token, each.fleet, each.hourly_ceiling) for each in launches] == [("t1", "sfr-t1", None)]


def test_an_adopted_life_begins_before_all_that_is_adopted_with_it():
    old = instance("i-0", launched=NOW - timedelta(hours=9))
    (begun,), (launched,) = adopt(Place(REGION), [fleet()], [old], {}, access_point=ACCESS_POINT)
    assert begun.started == old.launched <= launched.intended
