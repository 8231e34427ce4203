"""Machines that AWS took back or that never joined make their type dearer for a while, within bounds."""

from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.model.place import Place
from annex_core.model.prices import SpotPrices
from annex_core.model.route import Market
from annex_core.planner.offers import expected
from annex_core.planner.risks import DEAREST, risks
from tests.unit.world import ALICE, NOW, REGION, ROUTE, TYPES, annex, known, launch, snapshot

ZONE = "us-east-2a"
HOUR = timedelta(hours=1)
PLACE = Place(REGION)


def machine(number, **given):
    return known(f"i-{number}", **{"zone": ZONE, "launched": NOW - HOUR, "joined": NOW - HOUR, **given})


def taken_back(number, ago=HOUR / 2, **given):
    return machine(number, interrupted=NOW - ago, gone=NOW - ago, **given)


def never_joined(number, ago=HOUR / 2, **given):
    return machine(number, joined=None, gone=NOW - ago, **given)


def seen(*machines, **given):
    lives = annex(started=NOW - 48 * HOUR, **given)
    return snapshot(annexes={ALICE: lives}, launches=[launch()], known=machines, regions={})


def risk(*machines, market=Market.SPOT, **given):
    return risks(PLACE, market, seen(*machines, **given)).get(("c5.large", ZONE), Decimal(1))


def test_machines_that_do_their_work_cost_what_they_cost():
    assert risk(*map(machine, range(20))) == 1


@pytest.mark.parametrize("lost", [taken_back, never_joined])
def test_what_was_lost_makes_a_type_dearer_the_more_of_it_was(lost):
    few = risk(*map(machine, range(9)), lost(9))
    many = risk(*map(machine, range(9)), *(lost(n) for n in range(9, 18)))
    assert 1 < few < many <= DEAREST


def test_one_loss_alone_says_little():
    assert risk(taken_back(1)) < Decimal("1.3")


def test_however_many_were_lost_there_is_a_bound():
    assert risk(*map(taken_back, range(500))) == DEAREST


def test_it_fades_and_is_over_after_a_day():
    before, after = (
        risk(*(taken_back(n, ago, launched=NOW - 30 * HOUR) for n in range(9))) for ago in (HOUR, 12 * HOUR)
    )
    assert 1 < after < before
    assert risk(*(taken_back(n, 24 * HOUR, launched=NOW - 30 * HOUR) for n in range(9))) == 1


def test_another_zone_or_market_is_no_dearer_for_it():
    lost = [taken_back(n) for n in range(9)]
    assert ("c5.large", "us-east-2b") not in risks(PLACE, Market.SPOT, seen(*lost))
    assert risk(*lost, market=Market.ON_DEMAND) == 1


def test_pilots_that_never_join_are_no_loss():
    assert risk(*map(never_joined, range(9)), pilot=True) == 1


def test_the_cheaper_type_is_no_bargain_where_it_is_taken_back_time_and_again():
    prices = SpotPrices(NOW, {("c5.large", ZONE): Decimal("0.03"), ("c5.xlarge", ZONE): Decimal("0.05")})
    lost = [taken_back(n) for n in range(20)]
    told = {"prices": {PLACE: prices}, "zones": {PLACE: {"subnet-1": ZONE}}, "regions": {}, "launches": [launch()]}
    calm, stormy = snapshot(**told), snapshot(annexes={ALICE: annex()}, known=lost, **told)

    def cheapest(of):
        return min(("c5.large", "c5.xlarge"), key=lambda name: expected(ROUTE, of)(TYPES[name]))

    assert (cheapest(calm), cheapest(stormy)) == ("c5.large", "c5.xlarge")
