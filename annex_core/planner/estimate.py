"""When the last of some jobs ends, and what their annex costs until then: played often, each time with other luck."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from math import log, sqrt

from annex_core.model.runtime import Runtime
from annex_core.planner.caps import MINIMUM_BILLED
from annex_core.planner.holdings import NO_START
from annex_core.planner.lineup import Batch, Berth, Lineup

_BOOT_SPREAD = 0.25
_LAST_START_S = NO_START.total_seconds()
_BETWEEN_LEASES_S = 120.0
_LEASES = 60
"""Leases that are looked ahead."""
_MINIMUM_BILLED_S = MINIMUM_BILLED.total_seconds()
_EFFORT = 100_000
"""Blocks of jobs that are played in all."""
_TRIES, _LEAST_TRIES = 40, 5


@dataclass(frozen=True)
class Range:
    """What one try of ten stays below, what half of them do, and what nine of ten do."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True)
class Estimate:
    seconds: Range | None
    """From now until the last of the jobs that are asked about has ended; None where one would never end."""
    usd: Range | None
    """What the annex's machines cost from now until no job of it is left, at expected prices; None is unknown."""
    guessed: bool
    """Of some of the jobs it is not known how long they run."""
    leases: int = 1
    """How many it takes, one after the other, in most tries."""


def estimate(of: Lineup, *, seed: int = 0) -> Estimate:
    """The same lineup gives the same estimate. Interruptions are left out: nobody knows them ahead."""
    asked = [batch for batch in of.batches if batch.asked]
    guessed = any(not batch.runtime.sure for batch in asked)
    if not asked or not all(batch.kinds for batch in asked):
        return Estimate(None, None, guessed)
    blocks = sum(batch.blocks for batch in of.batches)
    luck = random.Random(seed)  # noqa: S311 - run times, and no secrets
    played = [_Try(of, luck).run() for _ in range(min(max(_EFFORT // blocks, _LEAST_TRIES), _TRIES))]
    ended = [each for each in played if each.ended is not None]
    if len(ended) < len(played):
        return Estimate(None, None, guessed)
    known = all(of.hourly.get(berth.kind) is not None for berth in of.berths)
    leases = sorted(each.leases for each in ended)[len(ended) // 2]
    return Estimate(
        seconds=_range(each.ended or 0.0 for each in ended),
        usd=_range(each.usd * of.scale for each in ended) if known else None,
        guessed=guessed,
        leases=leases,
    )


def _range(values: Iterable[float]) -> Range:
    ordered = sorted(values)
    low, middle, high = (ordered[min(int(len(ordered) * share), len(ordered) - 1)] for share in (0.1, 0.5, 0.9))
    return Range(low, middle, high)


@dataclass(eq=False)
class _Machine:
    berth: Berth
    free: list[int]
    running: int = 0
    last_busy: float = 0.0

    def takes(self, want: Sequence[int]) -> bool:
        return all(free >= some for free, some in zip(self.free, want, strict=True))

    def change(self, want: Sequence[int], sign: int) -> None:
        self.free = [free + sign * some for free, some in zip(self.free, want, strict=True)]


@dataclass
class _Played:
    ended: float | None = None
    usd: float = 0.0
    leases: int = 0


@dataclass(order=True)
class _Event:
    at: float
    number: int
    machine: _Machine = field(compare=False)
    given: Sequence[int] = field(compare=False)
    """What becomes free."""
    batch: int | None = field(default=None, compare=False)
    """Whose block has ended; None where a machine has booted, or a job that runs now has ended."""


class _Try:
    """Jobs go to machines as these become free, those that came first before others."""

    def __init__(self, of: Lineup, luck: random.Random) -> None:
        self._of = of
        self._luck = luck
        self._left = [batch.blocks for batch in of.batches]
        self._laws = [_law(batch, luck) for batch in of.batches]
        self._open = {
            kind: [at for at, batch in enumerate(of.batches) if kind in batch.kinds]
            for kind in {berth.kind for berth in of.berths}
        }
        self._events: list[_Event] = []
        self._numbers = 0
        self._last = 0.0
        self._usd = 0.0

    def run(self) -> _Played:
        begins, ends, berths = 0.0, self._of.lease, self._of.berths
        for number in range(1, _LEASES + 1):
            self._live(berths, ends)
            if not any(left for left, batch in zip(self._left, self._of.batches, strict=True) if batch.asked):
                return _Played(self._last, self._usd, number)
            begins = ends + _BETWEEN_LEASES_S
            ends = begins + self._of.life
            # As many of each, asked for anew.
            berths = tuple(replace(berth, since=begins, age=0.0, slots=None) for berth in berths)
            for kind in self._open:
                self._open[kind] = [at for at, batch in enumerate(self._of.batches) if kind in batch.kinds]
        return _Played()

    def _live(self, berths: Iterable[Berth], ends: float) -> None:
        """One lease. What has not ended with it has to be run again."""
        self._events.clear()
        machines = [self._machine(berth) for berth in berths]
        while self._events and self._events[0].at < ends:
            event = heappop(self._events)
            machine, now = event.machine, event.at
            machine.change(event.given, 1)
            machine.last_busy = max(machine.last_busy, now)
            if event.batch is not None:
                machine.running -= 1
                if self._of.batches[event.batch].asked:
                    self._last = max(self._last, now)
            if now < ends - _LAST_START_S:
                self._fill(machine, now, event.batch)
        for event in self._events:
            if event.batch is not None:
                self._left[event.batch] += 1
                event.machine.last_busy = ends
        self._usd += sum(self._cost(machine, ends) for machine in machines)

    def _machine(self, berth: Berth) -> _Machine:
        machine = _Machine(berth, [0, 0, 0, 0], last_busy=berth.since)
        if berth.slots is None:
            mean = self._of.boot
            boots = max(self._luck.gauss(mean, mean * _BOOT_SPREAD), mean / 4)
            whole = self._of.sizes.get(berth.kind, (0, 0, 0, 0))
            self._later(berth.since + max(boots - berth.age, 0.0), machine, whole)
        for slot in berth.slots or ():
            free = (slot.free_cpus, slot.free_memory_mib, slot.free_disk_kib, slot.free_gpus)
            law = _lognormal(self._of.running, 1)
            self._later(self._luck.lognormvariate(*law) if slot.claimed else 0.0, machine, free)
        return machine

    def _later(self, at: float, machine: _Machine, given: Sequence[int], batch: int | None = None) -> None:
        self._numbers += 1
        heappush(self._events, _Event(at, self._numbers, machine, given, batch))

    def _fill(self, machine: _Machine, now: float, before: int | None) -> None:
        """What has become free fits the next of the same jobs exactly; else all that wait are looked at."""
        if before is not None and self._left[before]:
            self._start(machine, now, before)
            return
        kind = machine.berth.kind
        self._open[kind] = [at for at in self._open[kind] if self._left[at]]
        for at in self._open[kind]:
            while self._left[at] and machine.takes(self._of.batches[at].want):
                self._start(machine, now, at)

    def _start(self, machine: _Machine, now: float, at: int) -> None:
        want = self._of.batches[at].want
        self._left[at] -= 1
        machine.change(want, -1)
        machine.running += 1
        self._later(now + self._luck.lognormvariate(*self._laws[at]), machine, want, at)

    def _cost(self, machine: _Machine, ends: float) -> float:
        since, hourly = machine.berth.since, self._of.hourly.get(machine.berth.kind)
        until = min(machine.last_busy + self._of.idle, ends)
        billed = max(until - since, _MINIMUM_BILLED_S if since < ends else 0.0)
        return float(hourly or 0) * billed / 3600


def _law(batch: Batch, luck: random.Random) -> tuple[float, float]:
    """Mean and sigma of the logarithm of a block's seconds; in each try the mean itself is off, the less is known."""
    runtime = batch.runtime
    off = runtime.variation / sqrt(runtime.jobs) if runtime.sure else 1.0
    sigma = sqrt(log(1 + off**2))
    mu, spread = _lognormal(runtime, batch.each)
    return mu + luck.gauss(-(sigma**2) / 2, sigma), spread


def _lognormal(runtime: Runtime, jobs: int) -> tuple[float, float]:
    """Of what so many jobs take one after the other."""
    mean = max(runtime.mean.total_seconds(), 1e-3)
    square = log(1 + (runtime.spread.total_seconds() / mean) ** 2 / jobs)
    return log(mean * jobs) - square / 2, sqrt(square)
