"""One region may be reached by several credentials; what is known goes by place."""

from dataclasses import replace

import pytest

from annex_core.daemon.regions import Region, Regions
from annex_core.errors import NotPermitted, Unavailable
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.planner.places import once
from tests.unit.fakes import FakeCloud, FakeProber, FakeSigns, FakeStore
from tests.unit.world import ALICE, REGION, ROUTE, annex, fleet, instance

PHYSICS = replace(ROUTE, name="physics", credentials="profile physics")


@pytest.fixture
def regions():
    made = []

    def make(place):
        if place.credentials == "profile nobody":
            raise NotPermitted("there is no such profile")
        made.append(place)
        return Region(place, FakeCloud(), lambda bucket: FakeStore(), FakeSigns(), FakeProber())

    made_of = Regions(make)
    made_of.told = made
    return made_of


@pytest.mark.parametrize(
    "parts",
    [
        ("us-east-2", None, "site"),
        ("us-east-2", None, "instance-role"),
        ("eu-central-1", "http://127.0.0.1:4566", "site"),
        ("eu-central-1", "http://[::1]:4566", "profile seen by all at work"),
    ],
)
def test_a_place_is_made_of_parts_and_tells_them(parts):
    place = Place.of(*parts)
    assert (place.region, place.endpoint, place.credentials) == parts


def test_a_place_reads_well():
    assert Place.of("us-east-2") == "us-east-2"
    assert Place.of("us-east-2", None, "profile physics") == "us-east-2 by profile physics"


def test_each_place_is_made_once_and_by_its_own_credentials(regions):
    for _ in range(2):
        assert regions.follow([ROUTE, PHYSICS, replace(PHYSICS, name="too")], []) == {}
    assert regions.told == regions.places() == [REGION, f"{REGION} by profile physics"]
    assert regions[PHYSICS.place].place == PHYSICS.place


def test_what_was_reached_before_is_there_while_another_place_is_made():
    """Other threads launch, end and ask what remains while the cycle's follows the routes."""
    seen = []

    def make(place):
        seen.append(made_of.places())
        return Region(place, FakeCloud(), lambda bucket: FakeStore(), FakeSigns(), FakeProber())

    made_of = Regions(make)
    made_of.follow([ROUTE], [])
    made_of.follow([PHYSICS, ROUTE], [])
    assert seen == [[], [REGION]]


def test_where_an_annex_lives_its_own_credentials_reach_it_whatever_the_route_says_now(regions):
    living = annex(credentials="profile old")
    assert regions.follow([PHYSICS], [living]) == {}
    assert regions.places() == [f"{REGION} by profile old", f"{REGION} by profile physics"]


def test_a_place_that_nobody_names_any_more_is_not_asked_any_more(regions):
    regions.follow([ROUTE, PHYSICS], [])
    regions.follow([ROUTE], [])
    assert regions.places() == [REGION]
    with pytest.raises(Unavailable, match="no route and no annex is in us-east-2 by profile physics"):
        regions[PHYSICS.place]


def test_credentials_that_are_not_there_refuse_the_route_and_are_tried_again(regions):
    wrong = replace(PHYSICS, credentials="profile nobody")
    for _ in range(2):
        assert regions.follow([wrong], []) == {"physics": "there is no such profile"}
    assert regions.places() == []
    assert regions.follow([PHYSICS], []) == {}


class TestOneAccountByTwoCredentials:
    here, there = Place(REGION), PHYSICS.place

    def test_a_machine_and_a_fleet_are_counted_in_the_place_of_their_annex(self):
        shown = RegionView([instance()], [fleet()])
        seen = once({self.here: shown, self.there: shown}, [annex(credentials="profile physics")])
        assert seen[self.here] == RegionView()
        assert seen[self.there] == shown

    def test_those_of_no_annex_that_is_known_are_counted_once(self):
        shown = RegionView([instance()], [fleet()])
        seen = once({self.there: shown, self.here: shown}, [])
        assert seen[self.here] == shown
        assert seen[self.there] == RegionView()

    def test_what_its_own_place_does_not_show_stays_where_it_is_seen(self):
        seen = once({self.here: RegionView([instance()])}, [annex(ALICE, credentials="profile physics")])
        assert [each.id for each in seen[self.here].instances] == [instance().id]
