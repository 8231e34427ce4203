"""Spot prices and zones, asked for in the background."""

import logging
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.adapters.market_file import MarketFile, News
from annex_core.daemon.hands import Errand
from annex_core.daemon.quotes import STALE
from annex_core.errors import NotPermitted, Unavailable
from annex_core.model.place import Place
from annex_core.model.prices import ListPrices, SpotPrices
from tests.unit.fakes import Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, REGION, ROUTE, TYPES, group, instance

ZONE = "zone-of-subnet-1"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
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


def test_what_no_route_is_left_for_is_forgotten_and_not_kept(daemon):
    daemon.cycle()
    [route] = daemon.routes.values()
    west = replace(route, region="us-west-2")
    daemon.routes = {route.name: west}
    daemon.cycle(after=MINUTE)
    assert {*daemon.provisioner.standing.snapshot.offered} == {west.place}
    assert {*MarketFile(daemon.path.with_name("market.json")).read()} == {west.place}


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


# On demand, by AWS's price list.

LISTED = {"c5.large": Decimal("0.09"), "c5.xlarge": Decimal("0.2")}


def bundled(name):
    return TYPES[name].on_demand


def on_demand(daemon):
    known = daemon.provisioner.standing.snapshot.types[PLACE]
    return {name: known[name].on_demand for name in ("c5.large", "c5.xlarge")}


def ceilings(daemon):
    """What the last fleet may bid, by type."""
    return {each.instance_type: each.max_price for each in daemon.cloud.requests[-1].overrides}


def test_the_price_list_is_asked_for_the_types_of_the_routes_once_a_day(daemon):
    for _ in range(24):
        daemon.cycle(after=HOUR)
    assert daemon.price_list.asked == [["c5.large", "c5.xlarge"]]
    daemon.cycle(after=HOUR)
    assert len(daemon.price_list.asked) == 2


def test_what_the_price_list_says_counts_and_where_it_says_nothing_the_bundled_price_does(daemon):
    daemon.price_list.hours = {"c5.large": Decimal("0.09")}
    daemon.cycle()
    assert on_demand(daemon) == {"c5.large": Decimal("0.09"), "c5.xlarge": bundled("c5.xlarge")}


def test_the_log_says_which_prices_are_whose(daemon, caplog):
    caplog.set_level(logging.INFO)
    daemon.price_list.hours = {"c5.large": Decimal("0.09")}
    daemon.cycle()
    said = [each.getMessage() for each in caplog.records]
    assert f"AWS's price list tells on-demand prices in {PLACE} of c5.large" in said
    assert "it tells none that can be believed of c5.xlarge: the bundled ones count" in said


def test_a_list_price_is_the_ceiling_and_what_limits_in_dollars_reckon_with(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large",), max_hourly_cost=Decimal("0.2"))}
    daemon.price_list.hours = {"c5.large": Decimal("0.04")}
    daemon.cycle()
    daemon.queue.groups = [group(40)]
    daemon.cycle()
    assert (ceilings(daemon), daemon.cloud.requests[-1].target) == ({"c5.large": Decimal("0.04")}, 4)


def test_a_type_without_a_bundled_price_is_bought_under_a_limit_in_dollars_once_its_list_price_is_known(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("x9.new",), max_hourly_cost=Decimal(1))}
    daemon.cloud.offers = {"x9.new": {ZONE}}
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert (daemon.cloud.requests, "price of x9.new is not known" in daemon.last_said) == ([], True)
    daemon.price_list.hours = {"x9.new": Decimal("0.3")}
    daemon.cycle(after=timedelta(days=1))
    daemon.cycle()
    assert ceilings(daemon) == {"x9.new": Decimal("0.3")}


def test_no_launch_waits_for_the_price_list_nor_does_a_spot_price(daemon):
    daemon.hung[PLACE, Errand.PRICE_LIST] = Hangs()
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
    assert (quoted(daemon), on_demand(daemon)["c5.large"]) == (daemon.cloud.spot, bundled("c5.large"))


def test_list_prices_outlive_a_restart_and_whatever_age(daemon):
    daemon.price_list.hours = LISTED
    daemon.cycle()
    daemon.restart()
    daemon.cycle(after=HOUR)
    assert (len(daemon.price_list.asked), on_demand(daemon)) == (1, LISTED)
    daemon.price_list.errors = [Unavailable("no")] * 9999
    daemon.cycle(after=timedelta(days=400))
    assert on_demand(daemon) == LISTED


def test_spot_prices_and_list_prices_are_kept_beside_each_other(daemon):
    daemon.price_list.hours = LISTED
    daemon.cycle()
    daemon.cycle(after=2 * HOUR)
    daemon.restart()
    daemon.cycle()
    assert (quoted(daemon), on_demand(daemon)) == (daemon.cloud.spot, LISTED)


def test_where_the_price_list_may_not_be_asked_the_log_says_once_how_to_allow_it(daemon, caplog):
    daemon.price_list.errors = [NotPermitted("GetProducts: AccessDeniedException")] * 99
    for _ in range(48):
        daemon.cycle(after=HOUR / 2)
    said = [each.getMessage() for each in caplog.records if "price list" in each.getMessage()]
    assert len(said) == 1
    assert "GetProducts: AccessDeniedException; allow pricing:GetProducts" in said[0]
    assert on_demand(daemon)["c5.large"] == bundled("c5.large")
    assert len(daemon.price_list.asked) == 24


def test_what_can_be_asked_again_is_asked_within_the_hour(daemon):
    daemon.price_list.errors = [Unavailable("no")]
    daemon.price_list.hours = LISTED
    daemon.cycle()
    daemon.cycle(after=59 * MINUTE)
    assert on_demand(daemon)["c5.large"] == bundled("c5.large")
    daemon.cycle(after=MINUTE)
    assert on_demand(daemon) == LISTED


def test_what_goes_wrong_in_reading_the_price_list_stops_nothing(daemon):
    daemon.price_list.errors = [RuntimeError("of ours")]
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert (len(daemon.cloud.documents), on_demand(daemon)["c5.large"]) == (1, bundled("c5.large"))


def test_where_no_price_list_can_be_asked_the_bundled_prices_count(daemon):
    daemon.price_list = None
    daemon.restart()
    daemon.cycle()
    assert on_demand(daemon)["c5.large"] == bundled("c5.large")


def test_a_type_that_a_route_names_anew_is_looked_up_soon(daemon):
    daemon.cycle()
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large", "x9.new"))}
    daemon.cycle(after=59 * MINUTE)
    daemon.cycle(after=MINUTE)
    daemon.cycle(after=2 * HOUR)
    assert daemon.price_list.asked[1:] == [["c5.large", "x9.new"]]


def test_a_clock_that_ran_ahead_does_not_keep_the_list_for_ever(daemon):
    daemon.cycle(after=timedelta(days=4000))
    daemon.restart()
    daemon.cycle(after=-timedelta(days=4000))
    assert len(daemon.price_list.asked) == 2


def test_a_price_that_changes_moves_nothing_of_what_was_bought_before(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large",), budget=Decimal(3))}
    daemon.price_list.hours = {"c5.large": 10 * bundled("c5.large")}
    list_ = daemon.hung[PLACE, Errand.PRICE_LIST] = Hangs()
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cloud.listed_instances = [instance("i-1", launched=daemon.now)]
    daemon.cycle(after=MINUTE)
    before = recorded(daemon)
    list_.go_on()
    daemon.cycle(after=MINUTE)
    daemon.cycle(after=MINUTE)
    known = daemon.provisioner.standing.snapshot.types[PLACE]["c5.large"].on_demand
    assert known == 10 * bundled("c5.large"), "of which the budget has no room for one"
    assert recorded(daemon) == before
    assert (len(daemon.cloud.documents), daemon.cloud.cancelled, daemon.cloud.terminated) == (1, [], [])


def recorded(daemon):
    """Launches and machines of the journal, with what each may cost."""
    annexes = daemon.journal.annexes()
    launches = [(each.token, each.hourly_ceiling) for each in daemon.journal.launches(annexes)]
    machines = [(each.id, each.hourly_ceiling) for each in daemon.journal.instances(annexes)]
    assert len(launches) == len(machines) == 1
    assert None not in {ceiling for _, ceiling in launches + machines}
    return launches, machines


def test_list_prices_come_back_from_the_file_as_they_were(tmp_path):
    file = MarketFile(tmp_path / "market.json")
    news = News(listed=ListPrices(NOW, frozenset(("c5.large", "x9.new")), {"c5.large": Decimal("0.0301")}))
    file.write({PLACE: news})
    assert MarketFile(tmp_path / "market.json").read() == {PLACE: news}


def test_a_file_of_before_the_price_list_is_read(tmp_path):
    path = tmp_path / "market.json"
    path.write_text(f'{{"{PLACE}": {{"asked": "{NOW.isoformat()}", "hours": [], "offered": {{}}}}}}')
    assert MarketFile(path).read() == {PLACE: News(SpotPrices(NOW, {}), {})}


@pytest.mark.parametrize("usd", ['"0"', '"-1"', '"NaN"', '"Infinity"', '"free"', '"1e999999"', "1", "null", "[]"])
def test_a_list_price_in_the_file_that_is_none_is_left_out(tmp_path, usd):
    path = tmp_path / "market.json"
    listed = f'{{"asked": "{NOW.isoformat()}", "names": ["c5.large"], "hours": {{"c5.large": {usd}}}}}'
    path.write_text(f'{{"{PLACE}": {{"listed": {listed}}}}}')
    assert MarketFile(path).read() == {PLACE: News(listed=ListPrices(NOW, frozenset({"c5.large"}), {}))}
