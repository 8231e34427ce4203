"""Spot prices and zones, asked for in the background."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.adapters.market_file import MarketFile, News
from annex_core.daemon.hands import Errand
from annex_core.daemon.quotes import STALE
from annex_core.errors import NotPermitted
from annex_core.model.place import Place
from annex_core.model.prices import SpotPrices
from tests.unit.fakes import Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, REGION, ROUTE, TYPES, group

ZONE = "zone-of-subnet-1"
MINUTE = timedelta(minutes=1)
PLACE = Place(REGION)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large", "c5.xlarge"))}
    made.cloud.offers = {"c5.large": {ZONE}, "c5.xlarge": {ZONE}}
    made.cloud.spot = {("c5.large", ZONE): Decimal("0.03"), ("c5.xlarge", ZONE): Decimal("0.01")}
    yield made
    made.journal.close()


def quoted(daemon):
    known = daemon.provisioner.standing.snapshot.prices.get(PLACE)
    return dict(known.hours) if known else {}


def test_prices_are_asked_for_once_an_hour_and_known_ever_after(daemon):
    for _ in range(59):
        daemon.cycle(after=MINUTE)
    assert (daemon.cloud.times_quoted, quoted(daemon)) == (1, daemon.cloud.spot)
    daemon.cycle(after=2 * MINUTE)
    assert daemon.cloud.times_quoted == 2


def test_a_restart_asks_nothing_anew(daemon):
    daemon.cycle()
    daemon.restart()
    daemon.cycle(after=MINUTE)
    assert (daemon.cloud.times_quoted, quoted(daemon)) == (1, daemon.cloud.spot)


def test_no_launch_waits_for_a_price(daemon):
    daemon.hung[PLACE, Errand.QUOTES] = Hangs()
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert (len(daemon.cloud.documents), quoted(daemon)) == (1, {})


def test_what_costs_least_on_the_spot_market_is_asked_for_first(daemon):
    daemon.cycle()
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert daemon.journal.launches(daemon.journal.annexes())[0].types[0] == "c5.xlarge"


def test_whatever_a_machine_is_expected_to_cost_its_ceiling_is_bid_and_reserved(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large",), max_hourly_cost=Decimal("0.2"))}
    daemon.cloud.spot = {("c5.large", ZONE): Decimal("0.001")}
    daemon.cycle()
    daemon.queue.groups = [group(40)]
    daemon.cycle()
    [request] = daemon.cloud.requests
    assert [each.max_price for each in request.overrides] == [TYPES["c5.large"].on_demand]
    assert request.target == 2, "at 0.001 it would be dozens"


def test_where_prices_may_not_be_asked_for_they_count_as_the_highest_and_machines_are_bought_all_the_same(daemon):
    daemon.cloud.errors["spot_prices"] = [NotPermitted("no")] * 9
    daemon.queue.groups = [group()]
    for _ in range(9):
        daemon.cycle(after=MINUTE)
    assert (daemon.cloud.times_quoted, len(daemon.cloud.documents), quoted(daemon)) == (1, 1, {})
    daemon.cycle(after=2 * MINUTE)
    assert daemon.cloud.times_quoted == 2


def test_a_price_of_yesterday_is_unknown(daemon):
    daemon.cycle()
    daemon.cloud.errors["spot_prices"] = [NotPermitted("no")] * 99
    daemon.cycle(after=STALE - MINUTE)
    assert quoted(daemon)
    daemon.cycle(after=MINUTE)
    assert not quoted(daemon)


def test_a_type_that_a_route_names_anew_is_asked_about_soon(daemon):
    daemon.cycle()
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large", "x9.new"))}
    daemon.cloud.offers["x9.new"] = {ZONE}
    daemon.cloud.spot["x9.new", ZONE] = Decimal("0.002")
    daemon.cycle(after=11 * MINUTE)
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert quoted(daemon)["x9.new", ZONE] == Decimal("0.002")
    assert daemon.journal.launches(daemon.journal.annexes())[0].types[0] == "x9.new"
    daemon.cycle(after=11 * MINUTE)
    assert daemon.cloud.times_quoted == 2, "and then no sooner than the others"


def test_a_type_that_a_zone_does_not_have_is_not_asked_for_there(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large",), subnets=("subnet-1", "subnet-2"))}
    daemon.cycle()
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert [each.subnet for each in daemon.cloud.requests[-1].overrides] == ["subnet-1"]


def test_a_type_that_no_zone_of_the_route_has_is_said(daemon):
    daemon.cloud.offers = {"c5.large": {"us-east-2z"}, "c5.xlarge": {"us-east-2z"}}
    daemon.cycle()
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert "no zone of the subnets of route spot has c5.large, c5.xlarge at all" in daemon.last_said


def test_news_come_back_from_the_file_as_they_were(tmp_path):
    file = MarketFile(tmp_path / "market.json")
    news = News(SpotPrices(NOW, {("c5.large", ZONE): Decimal("0.0301")}), {"c5.large": frozenset({ZONE})})
    by_profile = Place.of(REGION, credentials="profile physics")
    file.write({PLACE: news, by_profile: news})
    assert MarketFile(tmp_path / "market.json").read() == {PLACE: news, by_profile: news}


@pytest.mark.parametrize("content", ["", "[]", '{"us-east-2": 1}', '{"us-east-2": {"asked": "x"}}', "\x00"])
def test_a_file_that_is_no_such_file_is_as_good_as_none(tmp_path, content):
    path = tmp_path / "market.json"
    path.write_text(content)
    assert MarketFile(path).read() == {}
