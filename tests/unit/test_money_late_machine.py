"""Whatever AWS loses, delays or tells twice, cycle after cycle, and whatever the route becomes: no cap is passed."""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from annex_core.model.supply import Instance, InstanceState
from annex_core.planner.caps import instance_hour
from tests.unit.test_money_machine import LAG, Aws, Region
from tests.unit.world import ALICE, NOW, ROUTE, TYPES, group, slot

SLACK = Decimal("0.01")
"""AWS's seconds."""
ROUNDING = Decimal("1e-9")
NAMES = ROUTE.instance_types
PRICES = {name: instance_hour(TYPES[name], ROUTE) for name in NAMES}

routes = st.builds(
    lambda instances, vcpus, hourly, budget, types: replace(
        ROUTE, max_instances=instances, max_vcpus=vcpus, max_hourly_cost=hourly, budget=budget, instance_types=types
    ),
    st.sampled_from([0, 1, 4, 9]),
    st.none() | st.sampled_from([0, 5, 24]),
    st.none() | st.sampled_from([Decimal("0.2"), Decimal("0.9"), Decimal(3)]),
    st.none() | st.sampled_from([Decimal("0.5"), Decimal(3), Decimal(15)]),
    st.sampled_from([NAMES, NAMES[:1], NAMES[1:], NAMES[:0:-1]]),
)


class Unsteady(Region):
    """Lists what has begun only after a while, over several looks, or twice; fleets bring any of their types."""

    def __init__(self):
        super().__init__()
        self.late = timedelta(0)
        self.listed_from = {}
        self.times = 1

    def _told(self, things):
        return [each for each in things if self.now >= self.listed_from[each.id]] * self.times

    def instances(self, pool):
        return self._told(super().instances(pool))

    def fleets(self, pool):
        return self._told(super().fleets(pool))

    def request(self, document):
        try:
            return super().request(document)
        finally:
            for made in self.listed_fleets:
                self.listed_from.setdefault(made.id, self.now + self.late)

    def types_of(self, fleet):
        (asked,) = (each for each in self.requests if each.client_token == fleet.client_token)
        return sorted({each.instance_type for each in asked.overrides})

    def fill(self, fleet, type_):
        self.open[fleet.id] -= 1
        made = f"i-{len(self.machines) + len(self.ended)}"
        self.machines[made] = Instance(made, type_, "a", InstanceState.PENDING, self.now, dict(fleet.tags), fleet.id)
        self.listed_from[made] = self.now + self.late
        return made


@dataclass(frozen=True)
class Used:
    instances: int
    vcpus: int
    hourly: Decimal
    budget: Decimal

    def least(self, other):
        return Used(*(min(pair) for pair in zip(self.amounts, other.amounts, strict=True)))

    def most(self, other):
        return Used(*(max(pair) for pair in zip(self.amounts, other.amounts, strict=True)))

    @property
    def amounts(self):
        return self.instances, self.vcpus, self.hourly, self.budget


class MoneyLate(Aws):
    losses = 2

    def __init__(self):
        super().__init__()
        self.daemon.cloud = self.cloud = Unsteady()
        self.daemon.start()
        self.jobs(60, 0, 0)
        self.may = None

    @initialize(route=routes)
    def it_begins(self, route):
        self.daemon.routes = {ROUTE.name: route}

    @rule(small=st.sampled_from([0, 3, 60]), middle=st.sampled_from([0, 9]), large=st.sampled_from([0, 3]))
    def jobs(self, small, middle, large):
        many = {1: small, 3: middle, 12: large}
        self.daemon.queue.groups = [group(idle, cpus=cpus) for cpus, idle in many.items() if idle]

    @rule(route=routes)
    def the_route_changes(self, route):
        self.daemon.routes = {ROUTE.name: route}

    @rule(seconds=st.sampled_from([0, 20, 49]))
    def listings_lag(self, seconds):
        assert timedelta(seconds=seconds) < LAG
        self.cloud.late = timedelta(seconds=seconds)

    @rule(times=st.integers(1, 2))
    def listings_tell_all_so_often(self, times):
        self.cloud.times = times

    @rule(cycles=st.integers(1, 3))
    def a_request_reaches_aws_several_times(self, cycles):
        """Its answer is lost, and it is sent again under the same token, cycle after cycle."""
        self.cloud.loses_answers = cycles
        self.cycle(121)
        for _ in range(cycles):
            self.cycle(20)
        self.cloud.loses_answers = 0

    @precondition(lambda self: any(self.cloud.open.values()))
    @rule(data=st.data(), most=st.integers(1, 4), tagged=st.booleans())
    def an_open_fleet_fills(self, data, most, tagged):
        fleet = data.draw(st.sampled_from([each for each in self.cloud.listed_fleets if self.cloud.open[each.id]]))
        for _ in range(min(most, self.cloud.open[fleet.id])):
            type_ = data.draw(st.sampled_from(self.cloud.types_of(fleet)))
            made = self.cloud.fill(fleet, type_)
            self.launched[made] = (self.cloud.now, type_)
            if not tagged:
                self.cloud.untagged.add(made)

    @precondition(lambda self: any(self.cloud.open.values()))
    @rule(seconds=st.sampled_from([580, 599, 600]), data=st.data())
    def a_fleet_fills_just_before_it_is_given_up_and_nobody_sees_it(self, seconds, data):
        self.cycle(seconds)
        self.cloud.late = timedelta(seconds=49)
        if any(self.cloud.open.values()):
            self.an_open_fleet_fills(data, 4, tagged=False)
        for _ in range(3):
            self.cycle(20)

    @precondition(lambda self: self.cloud.machines)
    @rule(data=st.data())
    def a_machine_joins_and_is_busy(self, data):
        joined = data.draw(st.sampled_from(sorted(self.cloud.machines)))
        begun, type_ = self.launched[joined]
        if self.cloud.now - begun >= LAG:
            self.daemon.slots.advertised += [slot(joined, ALICE, type=type_, free_cpus=0)]

    @property
    def used(self):
        """By what AWS has, whether it told or not; what is open counts as the dearest that may come of it."""
        lives = {annex.key: annex for annex in self.daemon.journal.annexes()}
        until = lives[ALICE].lease_ends if ALICE in lives else self.cloud.now
        alive = [(self.launched[each][1], 1) for each in self.cloud.machines]
        vcpus = sum(TYPES[name].vcpus for name, _ in alive)
        hourly = sum((PRICES[name] for name, _ in alive), Decimal(0))
        usd = sum(
            (PRICES[name] * _hours(self.cloud.ended.get(each, until) - begun))
            for each, (begun, name) in self.launched.items()
        )
        coming = [(each, self.cloud.open[each.id]) for each in self.cloud.listed_fleets if self.cloud.open[each.id]]
        for fleet, count in coming:
            names = self.cloud.types_of(fleet)
            dearest = max(PRICES[name] for name in names)
            vcpus += count * max(TYPES[name].vcpus for name in names)
            hourly += count * dearest
            usd += count * dearest * _hours(until - self.cloud.now)
        return Used(len(alive) + sum(count for _, count in coming), vcpus, hourly, usd + Decimal(0))

    @invariant()
    def no_cap_in_force_is_passed_and_none_that_was_lowered_is_passed_further(self):
        (route,) = self.daemon.routes.values()
        most = Decimal("Infinity")
        caps = Used(
            route.max_instances,
            most if route.max_vcpus is None else route.max_vcpus,
            most if route.max_hourly_cost is None else route.max_hourly_cost,
            most if route.budget is None else route.budget + SLACK,
        )
        used = self.used
        if self.may is not None:
            most = caps.most(self.may).amounts
            over = [have > may + ROUNDING for have, may in zip(used.amounts, most, strict=True)]
            assert not any(over), (used, caps, self.may)
        self.may = used

    @invariant()
    def no_busy_machine_is_ended_before_the_lease(self):
        busy = {each.instance for each in self.daemon.slots.advertised}
        if self.cloud.now < NOW + ROUTE.lifetime:
            assert not busy & {*self.cloud.terminated}


def _hours(span):
    return Decimal(span / timedelta(hours=1))


TestMoneyLate = MoneyLate.TestCase
TestMoneyLate.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
