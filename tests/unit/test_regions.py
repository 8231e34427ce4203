"""Which credentials reach a region: those of its living annexes, else those of its first route."""

from dataclasses import replace

import pytest

from annex_core.daemon.regions import Region, Regions
from annex_core.errors import NotPermitted
from tests.unit.fakes import FakeCloud, FakeProber, FakeSigns, FakeStore
from tests.unit.world import ALICE, REGION, ROUTE, annex

PHYSICS = replace(ROUTE, name="physics", credentials="profile physics")


@pytest.fixture
def regions():
    made = []

    def make(name, endpoint, credentials):
        if credentials == "profile nobody":
            raise NotPermitted("there is no such profile")
        made.append((name, credentials))
        return Region(name, FakeCloud(), lambda bucket: FakeStore(), FakeSigns(), FakeProber())

    made_of = Regions(make)
    made_of.told = made
    return made_of


def test_a_region_is_reached_by_its_route_s_credentials(regions):
    assert regions.follow([PHYSICS], []) == {}
    assert (regions.told, regions.credentials(REGION)) == ([(REGION, "profile physics")], "profile physics")


def test_two_routes_of_one_region_can_not_have_two_credentials(regions):
    refused = regions.follow([ROUTE, PHYSICS], [])
    assert refused.keys() == {"physics"}
    assert "AnnexCredentials profile physics differs from site" in refused["physics"]


def test_another_region_may_have_others(regions):
    assert regions.follow([ROUTE, replace(PHYSICS, region="us-west-2")], []) == {}


def test_where_an_annex_lives_its_own_credentials_reach_it_whatever_the_route_says_now(regions):
    living = annex(credentials="profile old")
    refused = regions.follow([PHYSICS], [living])
    assert f"annex {ALICE} lives in {REGION} by profile old" in refused["physics"]
    assert regions.told == [(REGION, "profile old")]


def test_credentials_that_are_not_there_refuse_the_route_and_are_tried_again(regions):
    wrong = replace(PHYSICS, credentials="profile nobody")
    for _ in range(2):
        assert regions.follow([wrong], []) == {"physics": "there is no such profile"}
    assert regions.names() == []
    assert regions.follow([PHYSICS], []) == {}
