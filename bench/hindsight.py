"""
What a workload costs somebody who knows all of it beforehand: a linear programme over time (scipy's HiGHS).

Time is cut into steps. Of each type there are so many machines in each step, in fractions, and so many of them new; of
each kind of job (shape, step of arrival, steps it runs) so many start in each step on each type. Machines have room
for what runs on them, all of a type together; every job starts no later than it did where it is compared with. Paid
are a machine's boot, then each step, at least AWS's least time, with all that an instance costs beside itself.

No planner can do it for less: machines end the moment that nothing runs on them, jobs move between machines of a type
at no cost, and nothing is booted in vain.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, floor, isnan

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import coo_array

from annex_core.planner.lifetimes import Numbers
from annex_core.planner.shelf import sizes, wants
from annex_core.replay.simulation import Simulation

_LEAST_BILLED_S = 60.0
_RESOURCES = 4


@dataclass(frozen=True)
class Kind:
    """Jobs that the programme does not tell apart."""

    shape: int
    arrived: int
    """Step."""
    runs: int
    """Steps."""


@dataclass
class _Rows:
    """Inequalities, entry by entry: the sum of each row is at most its bound."""

    row: list[int] = field(default_factory=list)
    column: list[int] = field(default_factory=list)
    value: list[float] = field(default_factory=list)
    bound: list[float] = field(default_factory=list)

    def add(self, entries: Mapping[int, float], bound: float) -> None:
        at = len(self.bound)
        self.row += [at] * len(entries)
        self.column += entries.keys()
        self.value += entries.values()
        self.bound.append(bound)

    def array(self, columns: int) -> coo_array:
        return coo_array((self.value, (self.row, self.column)), shape=(len(self.bound), columns))


def least_dollars(world: Simulation, began: Sequence[float], *, step_s: float) -> float:
    """
    Dollars of the programme for the workload that *world* played.

    Args:
        began: When each of its jobs began at last, epoch seconds.
        step_s: Run times and arrivals are cut down to whole steps, so that it is a bound whatever they are.
    """
    return _Programme(world, began, step_s).dollars()


class _Programme:
    def __init__(self, world: Simulation, began: Sequence[float], step_s: float) -> None:
        self._world = world
        self._step_s = step_s
        jobs = world.jobs
        start = jobs.submitted[0]
        self._latest: dict[Kind, Counter[int]] = {}
        """Of each kind how many began in each step."""
        for at, (submitted, ran, shape) in enumerate(zip(jobs.submitted, jobs.seconds, jobs.shape, strict=True)):
            if isnan(began[at]):
                continue  # it never ran
            kind = Kind(shape, floor((submitted - start) / step_s + 1e-6), max(floor(ran / step_s + 1e-6), 1))
            latest = max(ceil((began[at] - start) / step_s - 1e-6), kind.arrived)
            self._latest.setdefault(kind, Counter())[latest] += 1
        self._shapes = sorted({kind.shape for kind in self._latest})
        self._steps = max(max(began) + kind.runs for kind, began in self._latest.items())
        self._types = self._worthwhile()
        self._columns = 0
        self._cost: dict[int, float] = {}
        self._rows = _Rows()

    def _worthwhile(self) -> tuple[str, ...]:
        """Types of which no other one gives as much of everything for a dollar, to the same shapes."""
        world = self._world
        names = [name for name in world.types if any(world.each(shape, name) for shape in self._shapes)]
        gib = world.route.volume_gib
        value: dict[str, Numbers] = {
            name: np.array(
                [*sizes(world.types[name], gib), *(world.each(shape, name) for shape in self._shapes)], dtype=np.float64
            )
            / world.hourly(name)
            for name in names
        }
        return tuple(
            name
            for at, name in enumerate(names)
            if not any(
                (value[other] >= value[name]).all() and ((value[other] > value[name]).any() or other_at < at)
                for other_at, other in enumerate(names)
                if other != name
            )
        )

    def dollars(self) -> float:
        alive = {name: self._new(self._steps) for name in self._types}
        fresh = {name: self._new(self._steps) for name in self._types}
        hours = self._step_s / 3600
        for name in self._types:
            hourly = self._world.hourly(name)
            boot = max(self._world.cloud.boot.total_seconds(), _LEAST_BILLED_S - self._step_s) / 3600
            for step in range(self._steps):
                self._cost[alive[name] + step] = hourly * hours
                self._cost[fresh[name] + step] = hourly * boot
                before = {alive[name] + step - 1: -1.0} if step else {}
                self._rows.add({alive[name] + step: 1.0, fresh[name] + step: -1.0, **before}, 0.0)
        running = {(shape, name): self._new(self._steps) for shape in self._shapes for name in self._types_of(shape)}
        self._starts(running)
        self._room(alive, running)
        cost = np.zeros(self._columns)
        for column, each in self._cost.items():
            cost[column] = each
        solved = linprog(cost, A_ub=self._rows.array(self._columns).tocsr(), b_ub=self._rows.bound, method="highs-ipm")
        if not solved.success:
            raise RuntimeError(f"HiGHS: {solved.message}")
        return float(solved.fun)

    def _new(self, columns: int) -> int:
        """The first of so many new columns."""
        self._columns += columns
        return self._columns - columns

    def _types_of(self, shape: int) -> list[str]:
        return [name for name in self._types if self._world.each(shape, name)]

    def _starts(self, running: Mapping[tuple[int, str], int]) -> None:
        """Jobs start in time; what runs in a step is what ran in the one before, and has started, and has not ended."""
        change: dict[tuple[int, str, int], dict[int, float]] = {}
        for kind, latest in self._latest.items():
            last = max(latest)
            so_far, begun = 0, dict[int, float]()
            for step in range(kind.arrived, last + 1):
                for name in self._types_of(kind.shape):
                    column = self._new(1)
                    begun[column] = -1.0
                    change.setdefault((kind.shape, name, step), {})[column] = 1.0
                    change.setdefault((kind.shape, name, step + kind.runs), {})[column] = -1.0
                so_far += latest[step]
                if step < last:
                    sum_ = self._new(1)  # of those that have begun: so that rows stay short
                    self._rows.add({**begun, sum_: 1.0}, 0.0)
                    begun = {sum_: -1.0}
                    if latest[step]:
                        self._rows.add({sum_: -1.0}, -float(so_far))
            self._rows.add(begun, -float(so_far))
        for (shape, name), first in running.items():
            for step in range(self._steps):
                before = {first + step - 1: 1.0} if step else {}
                self._rows.add({**change.get((shape, name, step), {}), **before, first + step: -1.0}, 0.0)

    def _room(self, alive: Mapping[str, int], running: Mapping[tuple[int, str], int]) -> None:
        world = self._world
        want = {shape: wants(world.groups[shape]) for shape in self._shapes}
        for name in self._types:
            have = sizes(world.types[name], world.route.volume_gib)
            here = [shape for shape in self._shapes if (shape, name) in running]
            for step in range(self._steps):
                for resource in range(_RESOURCES):
                    asked = {running[s, name] + step: float(want[s][resource]) for s in here if want[s][resource]}
                    if asked:
                        scale = max(asked.values())
                        entries = {column: each / scale for column, each in asked.items()}
                        self._rows.add({**entries, alive[name] + step: -have[resource] / scale}, 0.0)
                for shape in here:
                    most = world.each(shape, name)
                    self._rows.add({running[shape, name] + step: 1 / most, alive[name] + step: -1.0}, 0.0)
