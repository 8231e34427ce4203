"""Whatever AWS does to answers, listings and tags, and whenever the daemon dies, no cap and no budget is passed."""

import tempfile
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from annex_core.errors import NoCapacity, NotPermitted, OutcomeUnknown, Unavailable
from annex_core.model.supply import Instance, InstanceState, OpenRequest
from annex_core.planner.caps import instance_hour
from tests.unit.fakes import FakeCloud
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, NOW, ROUTE, TYPES, group, slot

CAP = 6
LAG = timedelta(seconds=50)
"""For so long EC2 may leave out of a listing what has just begun."""
BUDGET = Decimal(9)
TYPE = "c5.large"
LIMITED = replace(ROUTE, instance_types=(TYPE,), max_instances=CAP, budget=BUDGET, max_hourly_cost=Decimal("0.7"))
PRICE = instance_hour(TYPES[TYPE], LIMITED)


class Region(FakeCloud):
    """EC2 as it is: fleets fill bit by bit, listings lag behind by one look, AWS's tag comes late or never."""

    def __init__(self):
        super().__init__()
        self.now = NOW
        self.machines = {}
        self.ended = {}
        self.unlisted = set()
        self.untagged = set()
        self.open = {}
        self.unlisted_fleets = set()

    def instances(self, pool):
        self._may_fail("instances")
        return [
            replace(each, fleet=None) if each.id in self.untagged else each
            for each in self.machines.values()
            if each.id not in self.unlisted or self.now - each.launched >= LAG
        ]

    def fleets(self, pool):
        return [
            each for each in self.listed_fleets if each.id not in self.unlisted_fleets or self.now - each.created >= LAG
        ]

    def request(self, document):
        before = len(self.listed_fleets)
        try:
            return super().request(document)
        finally:
            for made in self.listed_fleets[before:]:
                self.open[made.id] = made.target
                self.listed_fleets[-1] = replace(made, created=self.now)

    def open_requests(self, fleets):
        return [OpenRequest(f"{each}/{n}", each) for each in fleets for n in range(self.open.get(each, 0))]

    def cancel_open_requests(self, ids):
        for each in ids:
            self.open[each.partition("/")[0]] -= 1

    def cancel_fleets(self, ids, *, terminate):
        for each in ids:
            self.open[each] = 0
        self.terminate([each.id for each in self.machines.values() if each.fleet in ids])
        return super().cancel_fleets(ids, terminate=terminate)

    def terminate(self, ids):
        self.terminated += ids
        for each in ids:
            if self.machines.pop(each, None):
                self.ended[each] = self.now
        return {}

    def fill(self, fleet):
        self.open[fleet.id] -= 1
        made = f"i-{len(self.machines) + len(self.ended)}"
        self.machines[made] = Instance(made, TYPE, "a", InstanceState.PENDING, self.now, dict(fleet.tags), fleet.id)
        return made


class Aws(RuleBasedStateMachine):
    """A daemon and its region, and what AWS does to them."""

    losses = 1
    """So many answers of AWS's are lost in a row."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.daemon = Daemon(Path(self.folder.name) / "journal.db")
        self.daemon.cloud = self.cloud = Region()
        self.launched = {}

    def teardown(self):
        self.daemon.journal.close()
        self.folder.cleanup()

    @rule(seconds=st.sampled_from([1, 20, 121, 301, 601]))
    def cycle(self, seconds):
        self.cloud.now = self.daemon.now + timedelta(seconds=seconds)
        self.before_a_look()
        self.daemon.cycle(after=timedelta(seconds=seconds))
        self.cloud.unlisted.clear()
        self.cloud.unlisted_fleets.clear()

    def before_a_look(self):
        """What machines do by themselves."""

    @rule()
    def the_daemon_dies(self):
        self.daemon.restart()

    @rule(error=st.sampled_from([Unavailable, NotPermitted, NoCapacity]))
    def aws_refuses(self, error):
        self.cloud.errors["request"] = [error("as it may")]
        self.cycle(121)
        self.cloud.errors.clear()

    @rule(dies=st.booleans(), error=st.sampled_from([None, NotPermitted, NoCapacity, OutcomeUnknown]))
    def aws_acts_does_not_answer_does_not_list_it_and_says_otherwise_later(self, dies, error):
        before = len(self.cloud.listed_fleets)
        self.cloud.loses_answers = self.losses
        self.cycle(121)
        if dies:
            self.daemon.restart()
        self.cloud.unlisted_fleets |= {each.id for each in self.cloud.listed_fleets[before:]}
        self.cloud.errors["request"] = [error("as it may")] if error else []
        self.cycle(20)
        self.cloud.loses_answers = 0
        self.cloud.errors.clear()

    @precondition(lambda self: self.cloud.machines)
    @rule(data=st.data())
    def a_machine_is_interrupted(self, data):
        self.cloud.terminate([data.draw(st.sampled_from(sorted(self.cloud.machines)))])
        self.cloud.terminated.pop()

    @precondition(lambda self: self.cloud.machines)
    @rule(data=st.data())
    def a_young_machine_is_missing_in_the_next_listing(self, data):
        self.cloud.unlisted.add(data.draw(st.sampled_from(sorted(self.cloud.machines))))
        self.cycle(20)

    @rule()
    def tags_arrive(self):
        self.cloud.untagged.clear()


class Money(Aws):
    def __init__(self):
        super().__init__()
        self.daemon.routes = {LIMITED.name: LIMITED}
        self.daemon.start()
        self.daemon.queue.groups = [group(60)]

    @rule(idle=st.sampled_from([0, 3, 60]))
    def jobs(self, idle):
        self.daemon.queue.groups = [group(idle)] if idle else []

    @precondition(lambda self: any(self.cloud.open.values()))
    @rule(most=st.integers(1, 3), tagged=st.booleans())
    def the_newest_open_fleet_fills(self, most, tagged):
        fleet = [each for each in self.cloud.listed_fleets if self.cloud.open[each.id]][-1]
        for _ in range(min(most, self.cloud.open[fleet.id])):
            made = self.cloud.fill(fleet)
            self.launched[made] = self.cloud.now
            if not tagged:
                self.cloud.untagged.add(made)

    @precondition(lambda self: self.cloud.machines)
    @rule(data=st.data())
    def a_machine_joins_and_is_busy(self, data):
        joined = data.draw(st.sampled_from(sorted(self.cloud.machines)))
        if self.cloud.now - self.launched[joined] >= LAG:
            self.daemon.slots.advertised += [slot(joined, ALICE, free_cpus=0)]

    @invariant()
    def no_more_machines_than_the_cap(self):
        assert len(self.cloud.machines) + sum(self.cloud.open.values()) <= CAP

    @invariant()
    def no_more_dollars_than_the_budget(self):
        lives = {annex.key: annex for annex in self.daemon.journal.annexes()}
        if ALICE not in lives:
            return
        until = lives[ALICE].lease_ends
        hours = sum(
            ((self.cloud.ended.get(each, until) - begun) / timedelta(hours=1) for each, begun in self.launched.items()),
            0.0,
        )
        hours += sum(self.cloud.open.values()) * ((until - self.cloud.now) / timedelta(hours=1))
        assert Decimal(hours) * PRICE <= BUDGET + Decimal("0.01")

    @invariant()
    def no_busy_machine_is_ended_before_the_lease(self):
        busy = {each.instance for each in self.daemon.slots.advertised}
        if self.cloud.now < NOW + LIMITED.lifetime:
            assert not busy & set(self.cloud.terminated)


TestMoney = Money.TestCase
TestMoney.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
