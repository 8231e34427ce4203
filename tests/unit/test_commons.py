"""What several annexes may have together: no plan passes it, and the sentence says whose limit binds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from annex_core.adapters.pool_limits import read
from annex_core.errors import Refused
from annex_core.model.annex import LaunchState
from annex_core.model.limits import Spent
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import instance_hour
from annex_core.planner.commands import extended
from annex_core.planner.plan import plan
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    annex,
    carried,
    fleet,
    fleets,
    group,
    instance,
    known,
    launch,
    sentence,
    snapshot,
)

RED = AnnexKey("alice", "red")
KEYS = (ALICE, RED, BOB)
ONE_TYPE = replace(ROUTE, instance_types=("c5.large",), max_instances=100)
HOUR = instance_hour(TYPES["c5.large"], ONE_TYPE)
"""$0.092."""


def world(limits, demand=None, **given):
    demand = demand or dict.fromkeys(KEYS, 500)
    groups = [group(idle=idle, key=key) for key, idle in demand.items()]
    return snapshot(groups, **{"routes": {"spot": ONE_TYPE}, "pool_limits": read(limits), **given})


def asked(of):
    """Machines by annex, in the plan's order."""
    found = {}
    for each in fleets(of):
        found[each.annex.key] = found.get(each.annex.key, 0) + each.target
    return found


@pytest.mark.parametrize(
    ("limits", "most", "whose"),
    [
        ("pool MaxInstances=7", {ALICE: 7}, "the cap of 7 machines for all annexes is reached (ANNEX_LIMITS)"),
        ("owner alice MaxInstances=7", {ALICE: 7, BOB: 100}, "the cap of 7 machines for owner alice is reached"),
        ("owner * MaxVcpus=8", {ALICE: 4, BOB: 4}, "the cap of 8 vCPUs for owner alice is reached"),
        ("project physics MaxVcpus=9", {ALICE: 4}, "the cap of 9 vCPUs for project physics is reached"),
        ("route spot MaxHourlyCost=1", {ALICE: 10}, "the limit of $1 an hour for route spot is reached"),
        ("annex alice/red Budget=0", {ALICE: 100, BOB: 100}, "the budget of $0 for annex alice/red has no room"),
        ("pool MonthlyBudget=5", {ALICE: 6}, "the monthly budget of $5 for all annexes has no room for more"),
        ("owner alice Budget=0", {BOB: 100}, "the budget of $0 for owner alice has no room for more"),
    ],
)
def test_annexes_together_keep_within_a_limit_and_are_told_which(limits, most, whose):
    assert asked(world(limits)) == most
    assert whose in sentence(world(limits), RED)


def test_limits_that_cannot_be_read_launch_nothing_and_say_so():
    of = world("", pool_limits=replace(read(""), malformed="owner alice: 'MaxInstance=1' is no limit"))
    assert asked(of) == {}
    assert "ANNEX_LIMITS can't be read (owner alice: 'MaxInstance=1' is no limit)" in sentence(of, BOB)


def living(limits, machines, demand=None, **given):
    """Each annex lives, with so many machines that have joined."""
    lives = {key: annex(key) for key in machines}
    listed, remembered, asked_for = [], [], []
    for key, count in machines.items():
        token = f"{key.owner}-{key.name}"
        asked_for.append(
            launch(token, max(count, 1), annex=lives[key].id, hourly_ceiling=HOUR, closed=NOW - timedelta(minutes=1))
        )
        for number in range(count):
            id_ = f"i-{token}-{number}"
            listed.append(instance(id_, tags=carried(key), fleet=f"sfr-{token}"))
            remembered.append(
                known(
                    id_,
                    annex=lives[key].id,
                    token=token,
                    hourly_ceiling=HOUR,
                    launched=NOW,
                    joined=NOW,
                )
            )
    view = RegionView(listed, [])
    return world(
        limits,
        demand,
        **{"annexes": lives, "known": remembered, "launches": asked_for, "regions": {REGION: view}, **given},
    )


def test_who_has_fewest_machines_comes_first():
    of = living("pool MaxInstances=20", {ALICE: 1, RED: 3, BOB: 5})
    assert asked(of) == {ALICE: 11}
    of = living("pool MaxInstances=20", {ALICE: 3, RED: 3, BOB: 5})
    assert asked(of) == {BOB: 9}


def test_machines_of_other_annexes_count():
    assert asked(living("owner alice MaxInstances=5", {ALICE: 2, RED: 2, BOB: 9})) == {ALICE: 1, BOB: 91}


def test_what_hands_have_not_asked_for_yet_counts_as_bought():
    slow = [each for each in fleets(world("")) if each.annex.key == RED]
    waits = world("pool MaxInstances=103", {ALICE: 500}, under_way=[(NOW, slow)])
    assert asked(waits) == {ALICE: 3}
    written = [
        replace(each.as_launch(f"red{n}", NOW), state=LaunchState.REQUESTED, fleet=f"sfr-{n}")
        for n, each in enumerate(slow)
    ]
    both = replace(waits, annexes={RED: annex(RED)}, launches=written)
    assert asked(both) == {ALICE: 3}


def test_a_monthly_budget_outlives_the_annexes_that_spent_it():
    past = Spent("alice", "old", "physics", "spot", "2026-11", Decimal(90))
    of = world("project physics MonthlyBudget=100", {ALICE: 500}, spent=[past])
    assert asked(of) == {ALICE: int(10 // (HOUR * 8))}
    of = world("project physics MonthlyBudget=100", {ALICE: 500}, spent=[replace(past, month="")])
    assert asked(of) == {ALICE: 100}


def test_an_owners_budget_goes_over_lives_and_an_annexs_over_one():
    past = Spent("alice", "blue", "physics", "spot", "", Decimal(99))
    assert asked(world("owner alice Budget=100", {ALICE: 500}, spent=[past])) == {ALICE: 1}
    assert asked(world("annex alice/blue Budget=74", {ALICE: 500}, spent=[past])) == {ALICE: 100}


def test_what_nobody_knows_the_cost_of_leaves_a_budget_no_room():
    past = Spent("alice", "blue", "physics", "spot", "2026-11", None)
    assert asked(world("owner alice MonthlyBudget=100", {ALICE: 500, BOB: 500}, spent=[past])) == {BOB: 100}


def test_a_lease_over_the_turn_of_the_month_takes_of_both_months():
    late = datetime(2026, 11, 30, 22, tzinfo=UTC)
    spent = [Spent("bob", "old", "x", "spot", "2026-11", Decimal(99))]
    of = world("pool MonthlyBudget=100", {ALICE: 500}, at=late, spent=spent)
    of = replace(of, signs={REGION: replace(of.signs[REGION], heartbeat=late)})
    # Two hours of the lease are in November, where a dollar is left; six are in December, where nothing is spent yet.
    assert asked(of) == {ALICE: int(1 // (HOUR * 2))}
    assert asked(replace(of, spent=[])) == {ALICE: 100}


def test_a_type_without_a_price_is_not_bought_under_a_common_limit_in_dollars():
    both = replace(ONE_TYPE, instance_types=("c5.large", "x9.new"))
    for limits in ("pool MaxHourlyCost=1000", "owner alice MonthlyBudget=1000000"):
        of = world(limits, {ALICE: 500}, routes={"spot": both})
        assert {name for action in plan(of).actions for name in action.types} == {"c5.large"}


def test_machines_that_the_journal_does_not_know_count_where_they_are_shown():
    stray = [instance(f"i-{n}", tags=carried(RED)) for n in range(4)]
    of = world("owner alice MaxInstances=6", {ALICE: 500}, regions={Place.of(REGION): RegionView(stray, [])})
    assert asked(of) == {ALICE: 2}


def test_a_machine_whose_ceiling_is_not_known_counts_at_its_types_list_price():
    stray = [instance("i-1", tags=carried(RED))]
    of = world(f"owner alice MaxHourlyCost={3 * HOUR}", {ALICE: 500}, regions={Place.of(REGION): RegionView(stray, [])})
    assert asked(of) == {ALICE: 2}


class TestExtension:
    def test_a_lease_is_not_moved_where_that_passes_a_common_budget(self):
        of = living("owner alice MonthlyBudget=4", {ALICE: 2, RED: 2, BOB: 2})
        longer = NOW + timedelta(hours=20)
        with pytest.raises(Refused, match=r"owner alice would cost \$.* at most, and the monthly budget .* is \$4"):
            extended(of.annexes[ALICE], longer, of, NOW)
        assert extended(of.annexes[BOB], longer, of, NOW).lease_ends == longer
        assert extended(of.annexes[ALICE], NOW + timedelta(hours=9), of, NOW)

    def test_nor_while_nobody_can_tell_what_is_allowed(self):
        of = replace(living("", {BOB: 1}), pool_limits=replace(read(""), malformed="x"))
        with pytest.raises(Refused, match="ANNEX_LIMITS can't be read"):
            extended(of.annexes[BOB], NOW + timedelta(hours=9), of, NOW)

    def test_a_lease_may_always_be_cut_short(self):
        of = living("owner * Budget=0", {BOB: 1})
        assert extended(of.annexes[BOB], NOW + timedelta(hours=2), of, NOW)


class TestQuotas:
    def shown(self, count):
        return RegionView([], [fleet(f"x{n}", tags={}) for n in range(count)])

    def test_no_fleet_is_asked_for_where_awss_quota_of_them_is_reached(self):
        of = world("", {ALICE: 5}, regions={REGION: self.shown(1000)})
        assert asked(of) == {}
        assert "1,000 fleet requests are active in us-east-2, which is AWS's quota" in sentence(of, ALICE)

    def test_what_a_plan_gives_one_annex_is_taken_off_for_the_next(self):
        of = world("", {ALICE: 5, RED: 5, BOB: 5}, regions={REGION: self.shown(998)})
        assert len(asked(of)) == 2
        assert "AWS's quota" in sentence(of, BOB)


def test_a_machine_in_a_place_that_the_annex_fell_back_to_counts_by_that_places_types():
    west = Place.of("us-west-2")
    of = living("owner alice MaxVcpus=6", {ALICE: 1}, {ALICE: 500})
    far = replace(of.launches[0], token="far", fleet="sfr-far", place=west, types=("g9.only",), closed=None)
    only = replace(TYPES["c5.large"], name="g9.only")
    of = replace(of, launches=[*of.launches, far], types={**of.types, west: {"g9.only": only}})
    of = replace(of, regions={**of.regions, west: RegionView([], [fleet("far", tags=carried())])})
    assert asked(of) == {ALICE: 1}
