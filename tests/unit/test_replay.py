"""A replay keeps its books: every job is run or explained, and what is paid is what machines there were."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import inf
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.hardware import InstanceType
from annex_core.model.limits import EACH, Kind, Limit, PoolLimits, Subject
from annex_core.model.place import Place
from annex_core.model.route import Market, Route
from annex_core.planner.shortages import LONGEST
from annex_core.replay.asking import Policy
from annex_core.replay.cloud import CloudModel
from annex_core.replay.offers import Offer, Stock
from annex_core.replay.oracle import oracle
from annex_core.replay.outcome import Outcome
from annex_core.replay.planning import Planner
from annex_core.replay.policies import Feedback, Fixed, IdleShare
from annex_core.replay.side_by_side import replayed
from annex_core.replay.simulation import Simulation
from annex_core.replay.workload import Arrival, Shape, Workload, by_owner, workload
from annex_core.replay.yard import Yard
from tests.unit.world import ROUTE, TYPES

CALM = CloudModel(boot_spread=0, shortage=0, interruptions=0)
ALL: list[Callable[[], Policy]] = [lambda: Planner("route"), lambda: Fixed(3), Feedback, IdleShare]
ONE = Shape("alice", memory_mib=512)
BIG = Shape("alice", cpus=500)
OWNERS = [replace(ONE, owner=owner) for owner in ("alice", "bob", "carol")]


def at_once(count: int, seconds: float = 600.0, shape: Shape = ONE, since: float = 1e9) -> list[Arrival]:
    return [Arrival(shape, since, seconds)] * count


def simulation(
    jobs: Workload,
    policy: Policy,
    cloud: CloudModel = CALM,
    route: Route = ROUTE,
    types: dict[str, InstanceType] = TYPES,
    fallbacks: Sequence[Stock] = (),
) -> Simulation:
    return Simulation(jobs, route, types, cloud, policy, fallbacks)


def played(arrivals: list[Arrival], policy: Policy | None = None, **given: object) -> Outcome:
    return simulation(workload(arrivals), policy or Planner("route"), **given).run()  # type: ignore[arg-type]


def test_jobs_wait_for_a_boot_and_the_plan() -> None:
    found = played(at_once(4))
    assert (found.jobs, found.unserved) == (4, 0)
    assert CALM.boot.total_seconds() < found.mean_wait < CALM.boot.total_seconds() + 30
    assert found.useful == pytest.approx(4 * 600 / 3600)


def test_what_is_paid_is_the_machine_from_launch_to_its_idle_timeout() -> None:
    only = {"c5.xlarge": TYPES["c5.xlarge"]}
    found = played(at_once(4), types=only)
    idle = ROUTE.idle_timeout.total_seconds()
    assert found.machines == 1
    assert found.paid == pytest.approx(4 * (150 + 600 + idle) / 3600)
    assert found.dollars == pytest.approx(
        found.paid / 4 * simulation(workload(at_once(1)), Fixed(1)).hourly("c5.xlarge")
    )


class Short(CloudModel):
    """Of everything in the route's region, for two hours."""

    def short_of(self, place: Place, kind: str, at: float) -> bool:
        return place.region == ROUTE.region and at < 1e9 + 7200


SHORT = Short(boot_spread=0, interruptions=0)


BURST = replace(ROUTE, after=timedelta(minutes=10))


@pytest.mark.parametrize("play", [*ALL, None])
def test_jobs_that_named_no_annex_join_one_when_they_have_waited_at_home(
    play: Callable[[], Policy] | None,
) -> None:
    soon, late, never = (Arrival(ONE, 1e9, 600.0, 1e9 + began) for began in (600, 50_000, inf))
    jobs = workload([soon] * 2 + [late] * 3 + [never])
    found = simulation(jobs, play(), route=BURST).run() if play else oracle(simulation(jobs, Fixed(1), route=BURST))
    assert (found.jobs, found.at_home, found.unserved) == (6, 2, 0)
    assert found.useful == pytest.approx(4 * 600 / 3600)
    assert found.mean_wait >= 600
    named = simulation(jobs, play()).run() if play else oracle(simulation(jobs, Fixed(1)))
    assert (named.at_home, named.useful) == (0, pytest.approx(6 * 600 / 3600))


def test_they_run_wherever_a_slot_is_free_first() -> None:
    one = replace(BURST, max_instances=1, instance_types=("c5.large",))
    jobs = [Arrival(ONE, 1e9, 3000.0, 1e9 + began) for began in (4000, 4000, 1200, 1300)]
    found = played(jobs, route=one, types={"c5.large": TYPES["c5.large"]})
    assert (found.at_home, found.machines, found.unserved) == (2, 1, 0)
    assert found.ended < 1e9 + 600 + 300 + 3000


def test_no_machine_is_waited_for_that_all_jobs_have_gone_home_before() -> None:
    found = played([Arrival(ONE, 1e9, 3000.0, 1e9 + 800)], route=BURST, cloud=SHORT)
    assert (found.at_home, found.machines, found.dollars) == (1, 0, 0)


@pytest.mark.parametrize("policy", ALL)
def test_what_no_type_can_run_is_counted_and_explained(policy: Callable[[], Policy]) -> None:
    found = played([*at_once(2), *at_once(3, shape=BIG)], policy())
    assert (found.jobs, found.unserved) == (5, 3)
    assert "500 CPUs" in found.why_unserved[0]


@pytest.mark.parametrize("policy", ALL)
def test_the_cap_binds_every_policy(policy: Callable[[], Policy]) -> None:
    capped = replace(ROUTE, max_instances=2, instance_types=("c5.large",))
    found = played(at_once(40), policy(), route=capped, types={"c5.large": TYPES["c5.large"]})
    assert found.unserved == 0
    assert max(found.curves.paid) <= 2 * 2
    assert found.ended > 1e9 + 40 / 4 * 600


def limited(subject: Subject, **given: Any) -> Planner:
    return Planner("route", PoolLimits({subject: Limit(**given)}))


def of_three(jobs: int, since: float = 1e9) -> list[Arrival]:
    return [arrival for shape in OWNERS for arrival in at_once(jobs, shape=shape, since=since)]


@pytest.mark.parametrize(
    ("subject", "most"), [(Subject(Kind.POOL), 4), (Subject(Kind.ROUTE, "spot"), 4), (Subject(Kind.OWNER, EACH), 12)]
)
def test_what_annexes_may_have_together_binds_them_together_and_all_have_their_turn(
    subject: Subject, most: int
) -> None:
    free, bound = (played(of_three(12), policy) for policy in (None, limited(subject, vcpus=4)))
    assert (bound.unserved, free.unserved) == (0, 0)
    assert max(free.curves.paid) > 12 >= most >= max(bound.curves.paid)
    assert bound.mean_wait > free.mean_wait


def test_what_a_months_budget_has_no_room_for_waits_for_the_next_month() -> None:
    turn = datetime(2001, 10, 1, tzinfo=UTC).timestamp()
    policy = limited(Subject(Kind.POOL), monthly=Decimal(1))
    found = played(of_three(40, since=turn - 6 * 3600), policy)
    assert found.unserved == 0
    assert found.ended > turn
    assert found.mean_wait > 3600
    assert found.dollars < 2


def test_jobs_that_a_budget_never_has_room_for_are_told_of_and_the_replay_ends() -> None:
    for none in ({"monthly": Decimal(0)}, {"budget": Decimal(0)}, {"instances": 0}):
        found = played(of_three(2), limited(Subject(Kind.POOL), **none))
        assert (found.unserved, found.dollars) == (6, 0)
        assert "caps and budgets keep them" in found.why_unserved[0]


def test_the_same_seed_is_the_same_luck() -> None:
    rough = CloudModel(shortage=0.2, interruptions=0.5, seed=5)
    jobs = at_once(30, seconds=3000)
    assert played(jobs, cloud=rough) == played(jobs, cloud=rough)
    assert played(jobs, cloud=rough) != played(jobs, cloud=replace(rough, seed=6))


def of_several_owners() -> Workload:
    arrivals = [Arrival(shape, 1e9 + 900.0 * n, 3000.0 + 40 * n) for n in range(20) for shape in OWNERS[: 1 + n % 3]]
    return workload([*arrivals, *at_once(2, shape=replace(BIG, owner="carol"))])


def test_each_owners_jobs_are_in_one_part_and_none_is_lost() -> None:
    jobs = of_several_owners()
    for parts in (1, 2, 3, 7):
        divided = by_owner(jobs, parts)
        assert len(divided) == min(parts, 3)
        assert {part.span for part in divided} == {jobs.span}
        owners = [{part.shapes[shape].owner for shape in part.shape} for part in divided]
        assert sorted(owner for each in owners for owner in each) == ["alice", "bob", "carol"]
        its = [
            sorted((part.shapes[k].owner, part.shapes[k].cpus, at, ran)
                   for k, at, ran in zip(part.shape, part.submitted, part.seconds, strict=True))
            for part in (jobs, *divided)
        ]  # fmt: skip
        assert sorted(each for part in its[1:] for each in part) == its[0]


def test_owners_played_side_by_side_come_to_what_they_come_to_together() -> None:
    rough, jobs = CloudModel(shortage=0.2, interruptions=0.5, seed=5), of_several_owners()
    whole, divided = (
        replayed(jobs, ROUTE, TYPES, rough, Planner("route"), processes=processes) for processes in (1, 2)
    )
    assert whole.unserved == 2
    assert whole.lost > 0
    for name, value in vars(whole).items():
        if name != "curves":
            assert getattr(divided, name) == (pytest.approx(value) if isinstance(value, float) else value), name
    for curve in ("wanted", "busy", "paid"):
        assert getattr(divided.curves, curve) == pytest.approx(getattr(whole.curves, curve))


def test_what_is_interrupted_runs_again_and_is_counted_as_lost() -> None:
    rough = replace(CALM, interruptions=0.3)
    found = played(at_once(20, seconds=3000), cloud=rough)
    assert found.unserved == 0
    assert found.lost > 0
    assert found.useful == pytest.approx(20 * 3000 / 3600)


def test_on_demand_machines_are_not_interrupted_and_cost_their_whole_price() -> None:
    given = replace(ROUTE, market=Market.ON_DEMAND)
    rough = replace(CALM, interruptions=10.0, spot_share=0.3)
    found = played(at_once(20, seconds=3000), IdleShare(), cloud=rough, route=given)
    assert found.lost == 0
    assert simulation(workload(at_once(1)), Fixed(1), rough, given).hourly("c5.large") > 0.085


def test_what_was_short_for_two_hours_is_asked_for_again_and_not_at_the_leases_end() -> None:
    outcome = played(at_once(4), cloud=SHORT)
    assert outcome.unserved == 0
    assert 7000 < outcome.mean_wait < 7200 + LONGEST.total_seconds() + 300


def test_what_one_type_lacks_another_one_has_at_once() -> None:
    class One(CloudModel):
        def short_of(self, place: Place, kind: str, at: float) -> bool:
            return kind == "c5.large"

    outcome = played(at_once(8), cloud=One(boot_spread=0, interruptions=0))
    assert outcome.mean_wait < 120 + 120 + CALM.boot.total_seconds() + 30


class Noting(Simulation):
    """Where and in which market each machine was bought."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.bought: list[tuple[str, Market]] = []

    def _begin(self, yard: Yard, offer: Offer, token: str, now: float) -> None:
        self.bought.append((offer.place, offer.market))
        super()._begin(yard, offer, token, now)


def test_in_a_shortage_the_other_route_or_the_other_market_serves_and_then_spot_does_again() -> None:
    west = Stock(replace(ROUTE, name="west", region="us-west-2"), TYPES)
    jobs = at_once(8) + at_once(8, since=1e9 + 4 * 3600)
    after = ROUTE.fallback_after.total_seconds()

    def ran(route: Route, *fallbacks: Stock) -> tuple[Outcome, list[tuple[str, Market]]]:
        world = Noting(workload(jobs), route, TYPES, SHORT, Planner("route"), fallbacks)
        outcome = world.run()
        return outcome, list(dict.fromkeys(world.bought))

    alone, spot = ran(ROUTE)
    both, elsewhere = ran(replace(ROUTE, fallback=("west",)), west)
    lasting, mixed = ran(replace(ROUTE, market=Market.SPOT_THEN_ON_DEMAND))
    assert spot == [(ROUTE.region, Market.SPOT)]
    assert elsewhere == [("us-west-2", Market.SPOT), (ROUTE.region, Market.SPOT)]
    assert mixed == [(ROUTE.region, Market.ON_DEMAND), (ROUTE.region, Market.SPOT)]
    assert both.mean_wait < after
    assert after / 2 < lasting.mean_wait < 2 * after < alone.mean_wait
    assert alone.unserved == both.unserved == lasting.unserved == 0


def test_on_demand_machines_cost_their_whole_price_where_they_stand_in_for_spot_ones() -> None:
    route = replace(ROUTE, market=Market.SPOT_THEN_ON_DEMAND, instance_types=("c5.large",))
    only = {"c5.large": TYPES["c5.large"]}
    found = played(at_once(2), cloud=replace(SHORT, spot_share=0.01), route=route, types=only)
    assert found.dollars / found.machines > float(only["c5.large"].on_demand or 0) * 600 / 3600


def test_after_so_many_evictions_as_the_route_says_on_demand_machines_run_what_is_left() -> None:
    rough = replace(CALM, interruptions=6.0)
    jobs = at_once(40, seconds=3000)
    given = replace(ROUTE, market=Market.SPOT_THEN_ON_DEMAND, fallback_evictions=2)
    assert played(jobs, cloud=rough, route=given).lost < played(jobs, cloud=rough).lost / 2


def test_jobs_that_outlast_a_lease_are_run_in_the_next_one_where_they_fit_and_the_replay_ends() -> None:
    brief = replace(ROUTE, lifetime=timedelta(hours=1))
    found = played(at_once(8, seconds=1500) + at_once(8, seconds=1500, since=1e9 + 2400), route=brief)
    assert found.unserved == 0
    assert found.lost > 0


@pytest.mark.parametrize("policy", ALL)
def test_a_job_longer_than_any_annex_lives_is_told_of_and_the_replay_ends(policy: Callable[[], Policy]) -> None:
    found = played([*at_once(2), *at_once(1, seconds=10 * 86400)], policy())
    assert (found.jobs, found.unserved) == (3, 1)
    assert "ran longer than an annex of route spot lives" in found.why_unserved[0]


@pytest.mark.parametrize("policy", ALL)
def test_jobs_that_are_always_interrupted_are_given_up_and_the_replay_ends(policy: Callable[[], Policy]) -> None:
    found = played(at_once(3, seconds=20_000), policy(), cloud=replace(CALM, interruptions=60))
    assert found.unserved == 3
    assert "lost their machine 10 times" in found.why_unserved[0]
    assert found.lost > 0


def test_a_fixed_annex_is_of_its_size() -> None:
    found = played(at_once(10, seconds=300), Fixed(7), route=replace(ROUTE, max_instances=50))
    assert found.machines == 7


def test_feedback_grows_by_its_rate() -> None:
    slow, fast = (played(at_once(200, seconds=3000), Feedback(rate)) for rate in (0.2, 5.0))
    assert slow.mean_wait > fast.mean_wait
    assert slow.unserved == fast.unserved == 0


def test_idle_share_asks_for_a_share_of_what_waits() -> None:
    wide = replace(ROUTE, max_instances=500)
    third, all_ = (played(at_once(90, seconds=3000), IdleShare(by), route=wide) for by in (3, 1))
    assert third.mean_wait > all_.mean_wait


def test_a_planner_is_asked_on_change_only() -> None:
    found = played(at_once(4, seconds=6 * 3600), route=replace(ROUTE, lifetime=timedelta(hours=12)))
    assert found.plans < 10


ARRIVALS = st.lists(
    st.builds(
        Arrival,
        st.builds(
            Shape,
            owner=st.sampled_from(["alice", "bob"]),
            cpus=st.sampled_from([1, 2, 8]),
            memory_mib=st.sampled_from([256, 2000, 6000]),
        ),
        st.floats(1e9, 1e9 + 20_000),
        st.floats(1, 5000),
    ),
    min_size=1,
    max_size=60,
)


@settings(max_examples=150, deadline=None)
@given(arrivals=ARRIVALS, which=st.sampled_from(range(len(ALL))), seed=st.integers(0, 99))
def test_the_books_balance(arrivals: list[Arrival], which: int, seed: int) -> None:
    cloud = CloudModel(shortage=0.1, interruptions=0.05, seed=seed)
    found = played(arrivals, ALL[which](), cloud=cloud)
    work = sum(each.seconds * each.shape.cpus for each in arrivals) / 3600
    assert (found.jobs, found.unserved) == (len(arrivals), 0)
    assert found.useful == pytest.approx(work)
    assert found.useful + found.lost <= found.joined + 1e-6
    assert found.joined + found.boot == pytest.approx(found.paid)


@pytest.mark.parametrize("policy", ALL)
def test_nobody_is_as_quick_or_as_cheap_as_the_oracle_over_long_jobs_of_one_shape(policy: Callable[[], Policy]) -> None:
    jobs = [Arrival(ONE, 1e9 + 700 * number, 5000.0) for number in range(40)]
    best = oracle(simulation(workload(jobs), Fixed(1)))
    found = played(jobs, policy())
    assert (best.mean_wait, best.unserved) == (0, 0)
    assert best.useful == pytest.approx(found.useful)
    assert best.dollars < found.dollars


def test_the_oracle_keeps_a_slot_over_a_gap_shorter_than_a_boot_and_pays_no_boot_for_it() -> None:
    def cost(gap: float) -> float:
        jobs = [Arrival(ONE, at, 600.0) for at in (1e9, 1e9 + 600 + gap)]
        return oracle(simulation(workload(jobs), Fixed(1))).paid * 3600

    boot = CALM.boot.total_seconds()
    assert cost(20) == pytest.approx(boot + 600 + 20 + 600)
    assert cost(2 * boot) == pytest.approx(2 * (boot + 600))


def test_the_oracle_says_what_it_can_not_run() -> None:
    best = oracle(simulation(workload(at_once(2, shape=BIG)), Fixed(1)))
    assert (best.jobs, best.unserved, best.dollars) == (2, 2, 0)
    assert best.why_unserved
