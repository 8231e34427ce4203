"""Whatever AWS does, whenever the daemon dies and however late its hands are: no limit that annexes share is passed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from annex_core.adapters.pool_limits import read
from annex_core.daemon.hands import Errand
from annex_core.errors import Refused
from annex_core.model import tags
from annex_core.model.limits import subjects
from annex_core.model.names import AnnexKey
from annex_core.planner.caps import instance_hour
from annex_core.planner.commands import extended
from annex_core.planner.outlay import by_month
from tests.unit.fakes import AtOnce, Hangs
from tests.unit.test_money_machine import LAG, TYPE, Aws
from tests.unit.world import ALICE, BOB, REGION, ROUTE, TYPES, group, slot

EVE = datetime(2026, 11, 30, 21, 30, tzinfo=UTC)
"""Leases go over the turn of the month."""
LIFETIME = timedelta(hours=1)
RED = AnnexKey("alice", "red")
PROJECTS = {ALICE: "physics", RED: "maths", BOB: "physics"}
LIMITS = read("""
    pool MaxInstances=9 MonthlyBudget=1.2
    owner alice MaxInstances=6 MaxHourlyCost=0.5 Budget=0.9
    project physics MaxVcpus=14 MonthlyBudget=0.8
    owner * MaxInstances=5
    annex alice/blue Budget=0.6
""")
OPEN = replace(ROUTE, instance_types=(TYPE,), max_instances=50, lifetime=LIFETIME)
PRICE = instance_hour(TYPES[TYPE], OPEN)


class MoneyTogether(Aws):
    losses = 2

    def __init__(self):
        super().__init__()
        self.daemon.now = self.cloud.now = EVE
        self.daemon.routes = {OPEN.name: OPEN}
        self.daemon.limits = LIMITS
        self.daemon.start()
        self.jobs(dict.fromkeys(PROJECTS, 60))

    @rule(idle=st.fixed_dictionaries({key: st.sampled_from([0, 3, 60]) for key in PROJECTS}))
    def jobs(self, idle):
        self.daemon.queue.groups = [
            group(count, key=key, project=PROJECTS[key]) for key, count in idle.items() if count
        ]

    def before_a_look(self):
        self._timers()
        self.daemon.slots.advertised = [
            slot(each.id, tags.key_of(each.tags), free_cpus=0)
            for each in self.cloud.machines.values()
            if self.cloud.now - each.launched >= LAG
        ]

    def _timers(self):
        """A machine powers itself off at the lease's end, daemon or no daemon."""
        for each in list(self.cloud.machines.values()):
            ends = tags.moment(each.tags, tags.LEASE_ENDS)
            if ends <= self.cloud.now:
                self.cloud.ended[each.id] = ends
                del self.cloud.machines[each.id]
        for fleet in self.cloud.listed_fleets:
            if tags.moment(fleet.tags, tags.LEASE_ENDS) <= self.cloud.now:
                self.cloud.open[fleet.id] = 0

    @rule(hours=st.integers(1, 2))
    def all_that_is_open_fills_and_lives_end(self, hours):
        self.cycle(121)
        for fleet in self.cloud.listed_fleets:
            self._fill(fleet, self.cloud.open[fleet.id])
        for _ in range(hours * 6 + 1):
            self.cycle(601)

    @rule(first=st.sampled_from([*PROJECTS]), then=st.sampled_from([*PROJECTS]), seconds=st.sampled_from([1, 100, 130]))
    def hands_are_slow_and_act_when_another_plan_was_made(self, first, then, seconds):
        hired, slow = self.daemon.provisioner._hands._hired, Hangs()
        quick, hired[REGION, Errand.LAUNCH] = hired.get((REGION, Errand.LAUNCH), AtOnce()), slow
        self.jobs({first: 60})
        self.cycle(121)
        hired[REGION, Errand.LAUNCH] = quick
        self.jobs({then: 60})
        self.cycle(seconds)
        slow.go_on()

    @precondition(lambda self: any(self.cloud.open.values()))
    @rule(data=st.data(), most=st.integers(1, 9), tagged=st.booleans())
    def an_open_fleet_fills(self, data, most, tagged):
        fleet = data.draw(st.sampled_from([each for each in self.cloud.listed_fleets if self.cloud.open[each.id]]))
        made = self._fill(fleet, min(most, self.cloud.open[fleet.id]))
        if not tagged:
            self.cloud.untagged |= made

    def _fill(self, fleet, count):
        made = {self.cloud.fill(fleet) for _ in range(count)}
        self.launched |= dict.fromkeys(made, (self.cloud.now, fleet.tags))
        return made

    @precondition(lambda self: self.daemon.provisioner.standing)
    @rule(data=st.data(), minutes=st.sampled_from([65, 90, 240]))
    def somebody_extends_a_lease(self, data, minutes):
        living = {each.key: each for each in self.daemon.journal.annexes()}
        if not living:
            return
        annex = living[data.draw(st.sampled_from(sorted(living)))]
        snapshot = replace(
            self.daemon.provisioner.standing.snapshot,
            annexes=living,
            launches=self.daemon.journal.launches(living.values()),
            spent=self.daemon.ledger.spent(self.daemon.now),
        )
        try:
            longer = extended(annex, self.daemon.now + timedelta(minutes=minutes), snapshot, self.daemon.now)
        except Refused:
            return
        self.daemon.orders.keep_lease(longer)

    def _uses(self, subject):
        """Machines of a subject, alive or ended, each with its tags; and what may still come of its fleets."""
        return [
            (id_, begun, carried) for id_, (begun, carried) in self.launched.items() if subject in _subjects(carried)
        ], [
            (fleet, count)
            for fleet in self.cloud.listed_fleets
            if (count := self.cloud.open[fleet.id]) and subject in _subjects(fleet.tags)
        ]

    @invariant()
    def no_limit_is_passed(self):
        now = self.cloud.now
        leases = {each.key: each.lease_ends for each in self.daemon.journal.annexes()}
        named = {subject for _, carried in self.launched.values() for subject in _subjects(carried)}
        named |= {subject for fleet in self.cloud.listed_fleets for subject in _subjects(fleet.tags)}
        for subject in named:
            limit = LIMITS.of(subject)
            machines, coming = self._uses(subject)
            alive = sum(id_ in self.cloud.machines for id_, _, _ in machines) + sum(count for _, count in coming)
            assert limit.instances is None or alive <= limit.instances
            assert limit.vcpus is None or alive * TYPES[TYPE].vcpus <= limit.vcpus
            assert limit.hourly is None or alive * PRICE <= limit.hourly
            months = {}
            for id_, begun, carried in machines:
                lease = leases.get(tags.key_of(carried), now)
                ends = self.cloud.ended.get(id_) or min(lease, tags.moment(carried, tags.ENDS_AT_LATEST))
                for month, hours in by_month(begun, ends):
                    months[month] = months.get(month, 0) + PRICE * hours
            for fleet, count in coming:
                for month, hours in by_month(now, max(leases.get(tags.key_of(fleet.tags), now), now)):
                    months[month] = months.get(month, 0) + PRICE * hours * count
            assert limit.monthly is None or all(usd <= limit.monthly + SLACK for usd in months.values())
            if subject.kind != "annex":
                assert limit.budget is None or sum(months.values()) <= limit.budget + SLACK


SLACK = Decimal("0.01")
"""Machines that come and go between two looks, and AWS's seconds."""


def _subjects(carried):
    key = tags.key_of(carried)
    return subjects(owner=key.owner, name=key.name, project=carried[tags.PROJECT], route=carried[tags.ROUTE])


TestMoneyTogether = MoneyTogether.TestCase
TestMoneyTogether.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
