"""Money has no unit but its own: scaled, it changes no plan; and nothing is asked for above its ceiling."""

import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.adapters.pool_limits import read
from annex_core.model.annex import LaunchState
from annex_core.model.demand import Limits
from annex_core.model.limits import PoolLimits, Spent
from annex_core.model.plan import LaunchFleet
from annex_core.model.prices import SpotPrices
from annex_core.model.route import Market
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import ADDRESS_HOUR, VOLUME_GIB_HOUR, ceiling, instance_hour
from annex_core.planner.plan import plan
from tests.unit.strategies import ranks
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    fleet,
    fleets,
    group,
    instance,
    launch,
    living,
    snapshot,
    wishing,
)

BESIDE = ADDRESS_HOUR + VOLUME_GIB_HOUR * ROUTE.volume_gib
"""USD an hour of a machine's address and volume: what is added to an allowance for egress scales them with the rest."""

dollars = st.none() | st.decimals(0, 60, places=2)
routes = st.builds(
    lambda hourly, budget, egress, market, most: replace(
        ROUTE,
        max_instances=most,
        max_hourly_cost=hourly,
        budget=budget,
        egress_price=egress,
        market=market,
        grow_interval=timedelta(0),
        instance_types=(*ROUTE.instance_types, "x9.new"),
    ),
    dollars,
    dollars,
    st.decimals(0, 1, places=3),
    st.sampled_from([Market.SPOT, Market.ON_DEMAND]),
    st.integers(1, 60),
)
groups = st.lists(
    st.builds(
        lambda key, idle, cpus, hourly, budget, rank: group(
            idle, key=key, cpus=cpus, rank=rank, wishes=wishing(limits=Limits(None, hourly, budget))
        ),
        st.sampled_from([ALICE, BOB]),
        st.integers(1, 200),
        st.integers(1, 18),
        dollars,
        dollars,
        ranks,
    ),
    min_size=1,
    max_size=4,
)
limits = st.lists(
    st.builds(
        "{} {}={}".format,
        st.sampled_from(["pool", "owner alice", "owner *", "project physics", "route spot", "annex bob/blue"]),
        st.sampled_from(["MaxHourlyCost", "Budget", "MonthlyBudget"]),
        st.decimals(0, 100, places=2),
    ),
    max_size=4,
    unique_by=lambda line: line.rsplit(" ", 1)[0],
).map(lambda lines: read("\n".join(lines)))
past = st.lists(
    st.builds(
        Spent, st.just("alice"), st.just("old"), st.just("physics"), st.just("spot"),
        st.sampled_from(["", "2026-11"]), st.none() | st.decimals(0, 50, places=2),
    ),
    max_size=2,
)  # fmt: skip


prices = st.dictionaries(st.sampled_from([*ROUTE.instance_types]), st.decimals("0.1", "1.5", places=2))
"""What the Spot market asks in our zone, as a part of the list price; more than all of it is above the ceiling."""


def world(demand, route, common, spent, came, market):
    asked = [launch("t1", 5, types=("c5.xlarge",), hourly_ceiling=instance_hour(TYPES["c5.xlarge"], route))]
    listed = [instance(f"i-{n}", type="c5.xlarge", fleet="sfr-t1") for n in range(came)]
    at = RegionView(listed, [fleet("t1")])
    hours = {(name, "zone-1"): part * TYPES[name].on_demand for name, part in market.items()}
    return living(
        demand,
        at=at,
        launches=asked,
        routes={"spot": route},
        pool_limits=common,
        spent=spent,
        zones={REGION: {"subnet-1": "zone-1"}},
        prices={REGION: SpotPrices(NOW, hours)},
    )


worlds = st.builds(world, groups, routes, limits, past, st.integers(0, 5), prices)


def times(amount, factor):
    return None if amount is None else amount * factor


def scaled(of, factor):
    """The same world in another currency."""
    route = of.routes["spot"]
    egress = route.egress_price * factor + BESIDE * (factor - 1)
    other = replace(
        route,
        egress_price=egress,
        max_hourly_cost=times(route.max_hourly_cost, factor),
        budget=times(route.budget, factor),
    )

    def limited(each):
        return Limits(each.max_instances, times(each.max_hourly_cost, factor), times(each.budget, factor))

    def said(each):
        return replace(
            each,
            hourly=times(each.hourly, factor),
            budget=times(each.budget, factor),
            monthly=times(each.monthly, factor),
        )

    return replace(
        of,
        routes={"spot": other},
        types={REGION: {name: replace(kind, on_demand=times(kind.on_demand, factor)) for name, kind in TYPES.items()}},
        demand=[replace(each, wishes=replace(each.wishes, limits=limited(each.wishes.limits))) for each in of.demand],
        annexes={key: replace(life, limits=limited(life.limits)) for key, life in of.annexes.items()},
        launches=[replace(each, hourly_ceiling=times(each.hourly_ceiling, factor)) for each in of.launches],
        known=[replace(each, hourly_ceiling=times(each.hourly_ceiling, factor)) for each in of.known],
        spent=[replace(each, usd=times(each.usd, factor)) for each in of.spent],
        prices={
            place: replace(each, hours={pool: usd * factor for pool, usd in each.hours.items()})
            for place, each in of.prices.items()
        },
        pool_limits=PoolLimits({subject: said(each) for subject, each in of.pool_limits.said.items()}),
    )


def decided(of):
    """A plan without its amounts of money."""
    made = plan(of)
    deeds = [
        (each.annex.key, each.types, each.target) if isinstance(each, LaunchFleet) else (type(each), _what(each))
        for each in made.actions
    ]
    told = {key: (re.sub(r"\$[\d.E+]+", "$", each.sentence), each.waiting) for key, each in made.outlooks.items()}
    return deeds, told


def _what(action):
    return getattr(action, "changes", None) or getattr(getattr(action, "launch", None), "token", None) or str(action)


@settings(max_examples=200, deadline=None)
@given(worlds, st.sampled_from([Decimal(2), Decimal(7), Decimal(1000), Decimal("1.25")]))
def test_all_prices_and_money_limits_scaled_together_change_no_plan(of, factor):
    assert decided(scaled(of, factor)) == decided(of)


@settings(max_examples=200, deadline=None)
@given(worlds)
def test_nothing_is_asked_for_above_its_ceiling_or_without_one_where_dollars_are_limited(of):
    route = of.routes["spot"]
    for each in fleets(of):
        assert set(each.ceilings) == set(each.types)
        for name in each.types:
            most = each.ceilings[name]
            assert most == ceiling(TYPES[name], route)
            assert most is None or most <= TYPES[name].on_demand
            assert each.hourly_ceiling is None or instance_hour(TYPES[name], route) <= each.hourly_ceiling
        limited = route.max_hourly_cost is not None or route.budget is not None
        assert not limited or None not in each.ceilings.values()


@settings(max_examples=100, deadline=None)
@given(worlds, st.decimals(0, 60, places=2))
def test_a_budget_of_one_annex_leaves_as_much_whoever_sets_it(of, budget):
    """What a route says is counted by a step, what the access point says by all annexes together."""
    free = replace(of.routes["spot"], budget=None)
    alone = replace(of, demand=[each for each in of.demand if each.key == ALICE], pool_limits=PoolLimits({}), spent=())
    by_route = replace(alone, routes={"spot": replace(free, budget=budget)})
    by_limits = replace(alone, routes={"spot": free}, pool_limits=read(f"annex alice/blue Budget={budget}"))
    assert [(each.types, each.target) for each in fleets(by_route)] == [
        (each.types, each.target) for each in fleets(by_limits)
    ]


@settings(max_examples=100, deadline=None)
@given(worlds)
def test_what_is_put_aside_is_never_less_than_what_any_type_may_cost(of):
    for each in fleets(of):
        written = each.as_launch("t", NOW)
        assert written.state is LaunchState.INTENDED
        prices = [instance_hour(TYPES[name], each.route) for name in each.types]
        assert written.hourly_ceiling == (None if None in prices else max(prices))


@pytest.mark.parametrize("minutes", [-4, 0, 4])
@pytest.mark.parametrize("lease", [timedelta(minutes=30), timedelta(hours=1)])
def test_a_budget_is_reckoned_by_aws_s_clock_which_leases_go_by(lease, minutes):
    cost = instance_hour(TYPES["c5.large"], ROUTE) * Decimal(lease / timedelta(hours=1))
    budget = cost * 20 + Decimal("0.001")
    route = replace(ROUTE, instance_types=("c5.large",), budget=budget, max_instances=50, lifetime=lease)
    ahead = timedelta(minutes=minutes)
    some = fleets(snapshot([group(100)], regions={REGION: RegionView(ahead=ahead)}, routes={"spot": route}))
    assert sum(each.target for each in some) == 20
    (life,) = {each.annex for each in some}
    open_ = [each.as_launch(f"t{number}", NOW) for number, each in enumerate(some)]
    later = snapshot(
        [group(100)], at=NOW + timedelta(minutes=5), regions={REGION: RegionView(ahead=ahead)}, routes={"spot": route},
        annexes={life.key: life}, launches=[replace(each, state=LaunchState.REQUESTED) for each in open_],
    )  # fmt: skip
    assert fleets(later) == []
