"""What a type is expected to cost, which orders it among others and reserves nothing."""

from dataclasses import replace
from decimal import Decimal

from annex_core.model.prices import SpotPrices
from annex_core.model.route import Market
from annex_core.planner.caps import beside, instance_hour
from annex_core.planner.offers import expected
from tests.unit.world import NOW, REGION, ROUTE, TYPES, setback, snapshot

A, B = "us-east-2a", "us-east-2b"
TWO_ZONES = replace(ROUTE, subnets=("subnet-1", "subnet-2"))
LARGE = TYPES["c5.large"]


def hour(kind=LARGE, route=TWO_ZONES, prices=(), **given):
    told = {(name, zone): Decimal(usd) for name, zone, usd in prices}
    seen = snapshot(zones={REGION: {"subnet-1": A, "subnet-2": B}}, prices={REGION: SpotPrices(NOW, told)}, **given)
    found = expected(route, seen)(kind)
    return None if found is None else found - beside(route)


def test_it_is_the_price_of_the_cheapest_zone():
    assert hour(prices=[("c5.large", A, "0.04"), ("c5.large", B, "0.03")]) == Decimal("0.03")


def test_a_zone_in_which_the_route_has_no_subnet_is_not_asked():
    assert hour(prices=[("c5.large", A, "0.04"), ("c5.large", "us-east-2c", "0.01")]) == Decimal("0.04")


def test_a_zone_that_has_none_now_is_not_asked():
    short = setback("c5.large", B, last=NOW)
    prices = [("c5.large", A, "0.04"), ("c5.large", B, "0.03")]
    assert hour(prices=prices, setbacks=[short]) == Decimal("0.04")


def test_a_price_that_is_not_known_is_the_most_that_it_may_be():
    assert hour() == LARGE.on_demand
    assert expected(TWO_ZONES, snapshot())(LARGE) == instance_hour(LARGE, TWO_ZONES)


def test_what_has_no_price_at_all_is_dearer_than_all_that_has_one():
    assert hour(TYPES["x9.new"]) is None


def test_what_costs_more_than_its_ceiling_is_no_offer():
    assert hour(prices=[("c5.large", A, "0.90"), ("c5.large", B, "0.99")]) is None


def test_a_type_that_nobody_has_seen_costs_what_the_market_asks():
    assert hour(TYPES["x9.new"], prices=[("x9.new", A, "0.50")]) == Decimal("0.50")


def test_on_demand_the_list_price_counts():
    route = replace(TWO_ZONES, market=Market.ON_DEMAND)
    assert hour(route=route, prices=[("c5.large", A, "0.01")]) == LARGE.on_demand
