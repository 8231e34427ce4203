"""What holds of every plan, whatever the demand, the supply and the caps."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from annex_core.model.annex import LaunchState
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import InstanceState
from annex_core.planner.caps import instance_hour
from annex_core.planner.plan import plan
from tests.unit.strategies import capped_routes, ranks
from tests.unit.test_money_properties import scaled
from tests.unit.world import ALICE, NOW, ROUTE, TYPES, annex, fleet, fleets, group, instance, launch, living

groups = st.lists(
    st.builds(
        group,
        idle=st.integers(1, 300),
        cpus=st.integers(1, 20),
        memory_mib=st.integers(0, 40_000),
        rank=ranks,
    ),
    max_size=4,
)
launches = st.lists(
    st.builds(
        lambda n, target, answered: launch(
            f"t{n}",
            target,
            types=("c5.xlarge",),
            hourly_ceiling=instance_hour(TYPES["c5.xlarge"], ROUTE),
            state=LaunchState.REQUESTED if answered else LaunchState.REFUSED,
        ),
        st.integers(0, 99),
        st.integers(1, 10),
        st.booleans(),
    ),
    max_size=3,
    unique_by=lambda each: each.token,
)


def snapshots(demand, route, asked, came):
    """*came* of each launch's instances have come already."""
    listed = [
        instance(f"i-{each.token}-{n}", type="c5.xlarge", fleet=each.fleet, state=InstanceState.RUNNING)
        for each in asked
        if each.state is LaunchState.REQUESTED
        for n in range(min(came, each.target))
    ]
    shown = [fleet(each.token) for each in asked if each.state is LaunchState.REQUESTED]
    return living(demand, at=RegionView(listed, shown), launches=asked, routes={"spot": route})


worlds = st.builds(snapshots, groups, capped_routes, launches, st.integers(0, 10))

LEFT_OVER_ROOM = snapshots(
    [group(idle=5, cpus=6), group(idle=35)],
    replace(ROUTE, max_instances=5, max_hourly_cost=Decimal("1.83"), grow_interval=timedelta(0)),
    [],
    0,
)
"""The large jobs get no third machine, and the two that they got have room for small ones beside them."""

PUT_OTHERWISE = snapshots(
    [group(idle=1, memory_mib=0), group(idle=1, memory_mib=0), group(idle=4, memory_mib=1841)],
    replace(ROUTE, max_instances=3, grow_interval=timedelta(0)),
    [],
    0,
)
"""The two small jobs are packed beside a large one each, and find room together on the smaller machine first."""


def held(of):
    return sum(each.target for each in of.launches if each.state is LaunchState.REQUESTED)


@settings(max_examples=300, deadline=None)
@given(worlds)
def test_no_cap_is_ever_passed(of):
    asked = fleets(of)
    if not asked:
        return
    route = of.routes["spot"]
    before = held(of)
    dearest = [max(instance_hour(TYPES[name], route) for name in each.types) * each.target for each in asked]
    vcpus = [max(TYPES[name].vcpus for name in each.types) * each.target for each in asked]
    already = before * instance_hour(TYPES["c5.xlarge"], ROUTE)
    assert before + sum(each.target for each in asked) <= route.max_instances
    assert route.max_vcpus is None or before * 4 + sum(vcpus) <= route.max_vcpus
    assert route.max_hourly_cost is None or already + sum(dearest) <= route.max_hourly_cost
    hours = Decimal((annex().lease_ends - NOW) / timedelta(hours=1))
    assert route.budget is None or (already + sum(dearest)) * hours <= route.budget


@settings(max_examples=300, deadline=None)
@given(worlds)
def test_every_idle_job_is_served_or_its_waiting_explained(of):
    decided = plan(of)
    if not of.demand:
        return
    outlook = decided.outlooks[ALICE]
    assert outlook.waiting == 0 or outlook.reason or fleets(of)


@settings(deadline=None)
@given(worlds)
@example(LEFT_OVER_ROOM)
@example(PUT_OTHERWISE)
def test_of_every_group_is_told_what_becomes_of_each_of_its_jobs(of):
    outlook = plan(of).outlooks.get(ALICE)
    told = outlook.groups if outlook else ()
    assert [each.group for each in told] == list(of.demand)
    for each in told:
        assert each.placed + each.served + each.waiting == each.group.idle
        assert min(each.placed, each.served, each.waiting) >= 0
        assert bool(each.why_not_more) == bool(each.waiting)
        assert bool(each.asked) == bool(each.served)
    asked = {name for each in told for some in each.asked for name in some.types}
    assert asked == {name for fleet in fleets(of) for name in fleet.types}


@settings(max_examples=300, deadline=None)
@given(worlds)
@example(LEFT_OVER_ROOM)
@example(PUT_OTHERWISE)
def test_a_plan_carried_out_is_followed_by_one_that_launches_nothing(of):
    """What was asked for serves the demand, or a cap holds the rest back; nothing oscillates."""
    asked = fleets(of)
    if len(asked) == 4:
        return  # a step is cut at four fleets; the next goes on
    made = [
        launch(f"new{n}", each.target, types=each.types, hourly_ceiling=each.hourly_ceiling, intended=of.at)
        for n, each in enumerate(asked)
    ]
    after = replace(of, launches=(*of.launches, *made))
    assert fleets(after) == []


@settings(max_examples=300, deadline=None)
@given(worlds)
def test_no_two_fleets_of_a_step_are_of_the_same_types(of):
    asked = [each.types for each in fleets(of)]
    assert len(asked) == len(set(asked))


@settings(max_examples=100, deadline=None)
@given(worlds)
def test_the_same_snapshot_gives_the_same_plan(of):
    assert plan(of) == plan(of)


@settings(max_examples=150, deadline=None)
@given(worlds, st.sampled_from([Decimal(2), Decimal(10), Decimal("0.25")]))
def test_all_prices_and_all_limits_in_dollars_scaled_together_change_no_plan(of, factor):
    before = [(each.types, each.target) for each in fleets(of)]
    after = [(each.types, each.target) for each in fleets(scaled(of, factor))]
    assert after == before


@settings(max_examples=150, deadline=None)
@given(worlds)
def test_nothing_is_asked_for_at_more_than_its_ceiling(of):
    """AWS is told to stop at the on-demand price, and what is reserved for a machine is no less than that."""
    for asked in fleets(of):
        for name in asked.types:
            assert asked.ceilings[name] == TYPES[name].on_demand
            if asked.hourly_ceiling is not None:
                assert asked.hourly_ceiling >= TYPES[name].on_demand
