"""Size follows how much run times vary: large machines where jobs end together, small ones where the last is late."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from annex_core.model.runtime import Runtime
from annex_core.planner.lifetimes import Lifetimes
from tests.unit.world import ROUTE, fleets, group, snapshot

HOUR = timedelta(hours=1)
ROOMY = replace(ROUTE, max_instances=500)


def varying(variation, mean=HOUR):
    return Runtime(mean, mean * variation, jobs=50, basis="finished jobs of this program")


@pytest.mark.parametrize("variation", [0.1, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("jobs", [1, 2, 16])
def test_a_machine_lives_until_the_last_of_its_jobs_has_ended(variation, jobs):
    luck = np.random.default_rng(4)
    sigma = np.sqrt(np.log1p(variation**2))
    drawn = luck.lognormal(np.log(3600) - sigma**2 / 2, sigma, (20_000, jobs)).max(axis=1).mean()
    found = Lifetimes(overhead=450).table([varying(variation)]).until_last(np.array([jobs]))
    assert found == pytest.approx(450 + drawn, rel=0.04)


def test_a_short_job_beside_a_long_one_does_not_lengthen_its_machines_life():
    table = Lifetimes(overhead=0).table([varying(0.1), varying(0.1, timedelta(minutes=5))])
    alone, together = table.until_last(np.array([1, 0])), table.until_last(np.array([1, 1]))
    assert together == pytest.approx(alone, rel=0.01)
    assert table.until_last(np.array([0, 1])) < alone / 8


def test_where_nothing_is_expected_a_machines_life_does_not_hang_on_its_size():
    lives = Lifetimes(overhead=100)
    assert len({*np.broadcast_to(lives.full(None, np.array([1.0, 4.0, 64.0])), 3).tolist()}) == 1


def sizes(variation, *, route=ROOMY, idle=64):
    expected = None if variation is None else varying(variation)
    of = snapshot([group(idle=idle, memory_mib=500, expected=expected)], routes={"spot": route})
    return [(each.types[0], each.target) for each in fleets(of)]


def test_jobs_that_end_together_get_large_machines_and_unpredictable_ones_small_machines():
    assert sizes(0.01) == [("c5.4xlarge", 4)]
    assert sizes(1.0) == [("c5.large", 32)]
    assert sizes(None) == [("c5.4xlarge", 4)]


def test_where_a_cap_leaves_few_machines_they_are_large_all_the_same():
    assert sizes(1.0, route=replace(ROUTE, max_instances=4)) == [("c5.4xlarge", 4)]


def test_where_many_jobs_share_a_slot_one_after_the_other_the_last_ones_weigh_less():
    at_once, by_turns = Lifetimes(overhead=300), Lifetimes(overhead=300, depth=8)
    jobs = np.array([1.0, 16.0])
    small, large = at_once.full(varying(0.5), jobs)
    assert large > 1.5 * small
    small, large = by_turns.full(varying(0.5), jobs)
    assert large < 1.2 * small
