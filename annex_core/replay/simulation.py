"""A discrete-event replay of a workload through one route: the policy decides, the cloud model and the slots follow."""

from array import array
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from heapq import heappop, heappush
from math import inf, isnan, nan
from typing import Any

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.route import Market, Route
from annex_core.planner.holdings import NO_START
from annex_core.planner.matching import Matcher
from annex_core.planner.runtimes import Finished, Runtimes
from annex_core.planner.virtual_slot import usable_memory_mib
from annex_core.replay.asking import INTERVAL_S, Ask, Policy
from annex_core.replay.cloud import CloudModel
from annex_core.replay.groups import group_of
from annex_core.replay.offers import Offer, Stock, offers
from annex_core.replay.outcome import Ledger, Outcome
from annex_core.replay.workload import Workload
from annex_core.replay.yard import Machine, Yard

ANNEX = "replay"
"""The name of everybody's annex."""
REACTION_S = 2.0
"""From a job's coming until the daemon plans."""
_FILL_S = 10.0
_REFILL_S = 60.0
_LAST_START_S = NO_START.total_seconds()
_EVICTIONS = 10
"""A job that lost its machine so often is given up: its run may never end."""
_LEARNED_WHOLE, _LEARNED_EACH = 256, 16
"""Of each shape's jobs, so many are learned from; then one of so many."""


class Simulation:
    """
    Args:
        types: The route's instance types that exist, by name.
        fallbacks: The routes that it names as such.
    """

    def __init__(
        self,
        jobs: Workload,
        route: Route,
        types: Mapping[str, InstanceType],
        cloud: CloudModel,
        policy: Policy,
        fallbacks: Sequence[Stock] = (),
    ) -> None:
        self.jobs = jobs
        self.route = route
        self.types = types
        self.cloud = cloud
        self.policy = policy
        self.matcher = Matcher(domain="replay")
        self.groups: list[JobGroup] = [group_of(shape, ANNEX, route.name) for shape in jobs.shapes]
        self.yards: dict[AnnexKey, Yard] = {}
        self.runtimes = Runtimes()
        for group in self.groups:
            self.yards.setdefault(group.key, Yard(group.key, cloud.luck(group.key.owner)))
        self._yard_of = [self.yards[group.key] for group in self.groups]
        stocks = (Stock(route, types), *fallbacks)
        self.routes = {stock.route.name: stock.route for stock in stocks}
        self.types_in: dict[Place, dict[str, InstanceType]] = {}
        """What there is in each place of all those routes' types."""
        for stock in stocks:
            self.types_in.setdefault(stock.route.place, {}).update(stock.types)
        self._offers = {
            stock.route.name: offers(stock, self.groups, self.matcher, cloud.spot_share) for stock in stocks
        }
        self._own = next(iter(self._offers[route.name].values()))
        everything = [
            offer for by_market in self._offers.values() for named in by_market.values() for offer in named.values()
        ]
        self._can_run = [any(offer.each[shape] for offer in everything) for shape in range(len(self.groups))]
        self._size = [(g.cpus, g.memory_mib, g.disk_kib, g.gpus) for g in self.groups]
        self._heap: list[tuple[float, int, Any, Any]] = []
        self._events = 0
        self._bought = 0
        self.began = array("d", [nan]) * len(jobs)
        """When each job began at last, epoch seconds; nan where it never did."""
        self._ended = [0] * len(jobs.shapes)
        self._evicted: dict[int, int] = {}
        self._timeout = policy.idle_timeout(route)
        self.after = route.after.total_seconds() if route.after is not None else 0.0
        """Seconds that a job waits at home before it joins the annex."""
        self.ledger = Ledger(*jobs.span)

    def each(self, shape: int, kind: str) -> int:
        """How many jobs of the shape a machine of the type runs at a time; 0 where they don't match."""
        return self._own[kind].each[shape]

    def hourly(self, kind: str) -> float:
        """USD."""
        return self._own[kind].hourly

    def offers(self, kinds: Sequence[str], route: Route | None = None) -> tuple[Offer, ...]:
        """
        What there is to buy of some types.

        Args:
            route: The replayed one, or one that it falls back on, with the market that is meant; None: the replayed one
                on its first market.
        """
        named = self._offers[route.name][route.market] if route else self._own
        return tuple(named[kind] for kind in kinds)

    def run(self) -> Outcome:
        """Play it to the end: no job is left that something may still run."""
        jobs, heap, after = self.jobs, self._heap, self.after
        submitted, shapes = jobs.submitted, jobs.shape
        life = self.route.lifetime.total_seconds() - _LAST_START_S
        too_long = f"ran longer than an annex of route {self.route.name} lives"
        unserved = self.ledger.unserved
        at, count = 0, len(jobs)
        while at < count or heap:
            if at < count and (not heap or submitted[at] + after <= heap[0][0]):
                shape = shapes[at]
                if self.runs_at_home(at):
                    self.ledger.ran_at_home(submitted[at], jobs.began[at])
                elif not self._can_run[shape]:
                    unserved[f"of {self._described(shape)} could run on no type of route {self.route.name}"] += 1
                elif jobs.seconds[at] > life:
                    unserved[too_long] += 1
                else:
                    self._arrive(at, shape, submitted[at] + after)
                at += 1
                continue
            now, number, what, argument = heappop(heap)
            if number >= 0:
                self._end(number, what, argument, now)
            else:
                what(argument, now)
        if left := sum(yard.waiting for yard in self.yards.values()):
            unserved["still waited when nothing more was to come: the caps and budgets keep them"] += left
        return self.ledger.outcome(self.policy.name)

    def _described(self, shape: int) -> str:
        of = self.jobs.shapes[shape]
        program = f"{of.executable}: " if of.executable else ""
        return f"{of.owner} ({program}{of.cpus} CPUs, {of.memory_mib} MB, {of.gpus} GPUs)"

    # --- jobs ---

    def runs_at_home(self, job: int) -> bool:
        """The route is for jobs that named no annex, and this one began before it would have joined."""
        return self.route.after is not None and self.jobs.began[job] <= self.jobs.submitted[job] + self.after

    def _free_at_home(self, job: int, now: float) -> None:
        shape = self.jobs.shape[job]
        yard = self._yard_of[shape]
        if isnan(self.began[job]):
            yard.idle[shape].remove(job)
            if not yard.idle[shape]:
                del yard.idle[shape]
            self.ledger.ran_at_home(self.jobs.submitted[job], now)
            self.plan_soon(yard, now + REACTION_S)

    def _arrive(self, job: int, shape: int, now: float) -> None:
        yard = self._yard_of[shape]
        waiting = yard.idle.get(shape)
        if waiting is None and shape not in yard.blocked and yard.free and now < yard.lease_ends - _LAST_START_S:
            for machine in yard.free:
                if self._room(machine, shape):
                    self._start(job, shape, machine, now)
                    return
            yard.blocked.add(shape)
        if waiting is None:
            yard.idle[shape] = deque((job,))
        else:
            waiting.append(job)
        self.plan_soon(yard, now + REACTION_S)
        if self.route.after is not None and self.jobs.began[job] < inf:
            self._later(self.jobs.began[job], self._free_at_home, job)

    def _room(self, machine: Machine, shape: int) -> bool:
        cpus, memory, disk, gpus = self._size[shape]
        return (
            machine.cpus >= cpus
            and machine.memory >= memory
            and machine.disk >= disk
            and machine.gpus >= gpus
            and machine.offer.each[shape] > 0
        )

    def _start(self, job: int, shape: int, machine: Machine, now: float) -> None:
        cpus, memory, disk, gpus = self._size[shape]
        machine.cpus -= cpus
        machine.memory -= memory
        machine.disk -= disk
        machine.gpus -= gpus
        machine.slot = None
        machine.idle_since = None
        machine.jobs[job] = self.began[job] = now
        if machine.cpus <= 0:
            machine.yard.free.pop(machine, None)
        running = machine.yard.running
        running[shape] = running.get(shape, 0) + 1
        heappush(self._heap, (now + self.jobs.seconds[job], job, machine, now))

    def _end(self, job: int, machine: Machine, began: float, now: float) -> None:
        if machine.jobs.get(job) != began:
            return  # its machine went before
        del machine.jobs[job]
        shape, yard = self.jobs.shape[job], machine.yard
        self.ledger.job(self.jobs.submitted[job], began, now, self._size[shape][0])
        self._learn(shape, now - began)
        waiting = yard.idle.get(shape)
        if waiting and now < yard.lease_ends - _LAST_START_S:
            after = waiting.popleft()
            if not waiting:
                del yard.idle[shape]
            machine.jobs[after] = self.began[after] = now
            heappush(self._heap, (now + self.jobs.seconds[after], after, machine, now))
            return
        yard.running[shape] -= 1
        self._release(machine, shape)
        self._fill(machine, now)

    def _learn(self, shape: int, seconds: float) -> None:
        self._ended[shape] += 1
        if self._ended[shape] <= _LEARNED_WHOLE or self._ended[shape] % _LEARNED_EACH == 0:
            of = self.jobs.shapes[shape]
            self.runtimes.learn(Finished(of.owner, of.executable, of.batch, seconds))

    def _release(self, machine: Machine, shape: int) -> None:
        cpus, memory, disk, gpus = self._size[shape]
        machine.cpus += cpus
        machine.memory += memory
        machine.disk += disk
        machine.gpus += gpus
        machine.slot = None
        machine.yard.free[machine] = None
        machine.yard.blocked.clear()

    def _fill(self, machine: Machine, now: float) -> None:
        """Start on a machine what has waited longest and fits."""
        yard = machine.yard
        if yard.idle and now < yard.lease_ends - _LAST_START_S:
            for shape in sorted(yard.idle, key=lambda each: yard.idle[each][0]):
                waiting = yard.idle[shape]
                while waiting and self._room(machine, shape):
                    self._start(waiting.popleft(), shape, machine, now)
                if not waiting:
                    del yard.idle[shape]
                if machine.cpus <= 0:
                    break
        if not machine.jobs and machine.idle_since is None:
            machine.idle_since = now
            self._later(now + self._timeout, self._out_of_work, (machine, now))

    # --- machines ---

    def _out_of_work(self, argument: tuple[Machine, float], now: float) -> None:
        machine, since = argument
        if machine.up and machine.idle_since == since:
            self.end(machine, now)

    def _fulfil(self, ask: Ask, now: float) -> None:
        """Bring what the cloud has of what was asked for; try again while it is wanted."""
        yard = ask.yard
        offer = next((offer for offer in ask.offers if not self._short_of(offer, now)), None)
        if not self.policy.is_open(ask.token):
            yard.coming -= ask.count
            yard.short.pop(ask.token, None)
        elif offer is None:
            if ask.token not in yard.short:
                yard.short[ask.token] = now
                self.plan_soon(yard, now + REACTION_S)
            self._later(now + _REFILL_S, self._fulfil, ask)
        else:
            yard.coming -= ask.count
            yard.short.pop(ask.token, None)
            for _ in range(ask.count):
                self._begin(yard, offer, ask.token, now)

    def _short_of(self, offer: Offer, now: float) -> bool:
        return offer.market is Market.SPOT and self.cloud.short_of(offer.place, offer.kind.name, now)

    def _begin(self, yard: Yard, offer: Offer, token: str, now: float) -> None:
        self._bought += 1
        ready = now + self.cloud.boots_in(yard.luck)
        machine = Machine(f"i-{self._bought:06d}", offer, yard, token, now, ready)
        yard.machines[machine.id] = machine
        self._later(ready, self._joined, machine)
        lost = self.cloud.interrupted_in(yard.luck) if offer.market is Market.SPOT else None
        if lost is not None:
            self._later(now + lost, self._interrupted, machine)

    def _joined(self, machine: Machine, now: float) -> None:
        if machine.id not in machine.yard.machines:
            return
        kind = machine.kind
        machine.up, machine.known = True, None
        machine.cpus, machine.memory = kind.vcpus, usable_memory_mib(kind)
        machine.disk, machine.gpus = machine.offer.disk_kib, kind.gpus
        machine.yard.free[machine] = None
        machine.yard.blocked.clear()
        self._fill(machine, now)

    def _interrupted(self, machine: Machine, now: float) -> None:
        if machine.id in machine.yard.machines:
            self.end(machine, now, taken_back=True)

    def end(self, machine: Machine, now: float, *, taken_back: bool = False) -> None:
        """It is gone; what ran on it waits again, before all others."""
        yard = machine.yard
        del yard.machines[machine.id]
        yard.free.pop(machine, None)
        machine.up = False
        for job, began in sorted(machine.jobs.items(), reverse=True):
            shape = self.jobs.shape[job]
            self.ledger.evicted(began, now, self._size[shape][0])
            yard.running[shape] -= 1
            self._evicted[job] = self._evicted.get(job, 0) + 1
            if self._evicted[job] < _EVICTIONS:
                yard.idle.setdefault(shape, deque()).appendleft(job)
            else:
                self.ledger.unserved[f"lost their machine {_EVICTIONS} times, and were given up"] += 1
        machine.jobs.clear()
        self.ledger.machine(machine.launched, machine.ready, now, machine.kind.vcpus, machine.offer.hourly)
        if machine.known is not None and yard.annex is not None:
            at = datetime.fromtimestamp(now, UTC)
            yard.gone.append(replace(machine.known, gone=at, interrupted=at if taken_back else None))
        if yard.idle:
            self.plan_soon(yard, now + REACTION_S)

    # --- the policy ---

    def _later(self, at: float, what: Callable[[Any, float], None], argument: object) -> None:
        self._events -= 1
        heappush(self._heap, (at, self._events, what, argument))

    def plan_soon(self, yard: Yard, at: float) -> None:
        """Ask the policy about an annex at that moment, or as soon after it as it may be asked again."""
        at = max(at, yard.planned + INTERVAL_S)
        if yard.plan_at is None or at < yard.plan_at:
            yard.plan_at = at
            self._later(at, self._plan, (yard, at))

    def _plan(self, argument: tuple[Yard, float], now: float) -> None:
        yard, at = argument
        if yard.plan_at != at:
            return  # it was asked sooner
        yard.plan_at, yard.planned = None, now
        self.ledger.plans += 1
        decision = self.policy.decide(self, yard, now)
        for machine in list(decision.gives_up):
            self.end(machine, now)
        for other in decision.about:
            other.plan_at, other.planned = None, now
        for ask in decision.asks:
            ask.yard.coming += ask.count
            self._later(now + _FILL_S, self._fulfil, ask)
        if decision.again is not None:
            self.plan_soon(yard, decision.again)
