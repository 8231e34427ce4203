"""Idle jobs put into the room there is: what finds none is needed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.planner.few import FEW, Row, fill_few
from annex_core.planner.holdings import Room
from annex_core.planner.lifetimes import Numbers
from annex_core.planner.matching import Matcher
from annex_core.planner.shelf import sizes, table, wants

Counts = npt.NDArray[np.int64]

_WORTH = np.array([1.0, 1 / 8192, 0.0, 12.0])
"""Of a CPU, a MiB, a KiB of disk and a GPU, as prices go: what is worth more for the room it takes goes in first."""
_HASTE = 4
"""A machine is filled by so many bites at a group, so that jobs of different wants are mixed."""


@dataclass(frozen=True)
class Need:
    """Jobs of one group that nothing asked for so far will serve."""

    group: JobGroup
    jobs: int


@dataclass(frozen=True)
class Crowd:
    """Groups of jobs as columns of numbers, large jobs first."""

    groups: tuple[JobGroup, ...]
    wants: Numbers
    """A row each of CPUs, MiB, KiB of disk and GPUs."""
    worth: Numbers

    @cached_property
    def rows(self) -> Sequence[Row]:
        """*wants*, group by group."""
        return [(cpus, memory, disk, gpus) for cpus, memory, disk, gpus in self.wants.T.tolist()]

    def fill(self, room: Numbers, left: Counts, may: npt.NDArray[np.bool_], *, worth: Numbers | None = None) -> Counts:
        """
        How many jobs of each group go into one machine with that much free.

        Args:
            left: Jobs there are of each group.
            may: Which groups match the machine.
            worth: Of one job of each group; what is worth more for the room it takes goes in first. None: by its size.
        """
        worth = self.worth if worth is None else worth
        taken = np.zeros(len(left), dtype=np.int64)
        free = room.copy()
        active = np.flatnonzero(may & (left > 0) & self.fit(free))
        if 0 < active.size <= FEW:
            few = fill_few(self.rows, worth.tolist(), free.tolist(), left.tolist(), active.tolist(), _HASTE)
            taken[list(few)] = list(few.values())
            return taken
        want = self.wants[:, active]
        while active.size:
            best = 0
            if active.size > 1:
                used = np.divide(want, free[:, None], out=np.zeros_like(want), where=want > 0).sum(axis=0)
                best = int(np.argmax(np.round(worth[active] / used, 9)))
            group, one = active[best], want[:, best].copy()
            most = np.floor((free[one > 0] / one[one > 0]).min() + 1e-9)
            fit = int(min(most, left[group] - taken[group]))
            bite = fit if active.size == 1 else max(1, fit // _HASTE)
            taken[group] += bite
            free -= bite * one
            still = (want <= free[:, None]).all(axis=0) & (taken[active] < left[active])
            active, want = active[still], want[:, still]
        return taken

    def fit(self, room: Numbers) -> npt.NDArray[np.bool_]:
        """Of which groups one job fits by its size."""
        return np.asarray((self.wants <= room[:, None]).all(axis=0), dtype=np.bool_)


def crowd(groups: Iterable[JobGroup]) -> Crowd:
    ordered = tuple(sorted(groups, key=lambda each: (-each.cpus, -each.memory_mib)))
    columns = table(map(wants, ordered))
    return Crowd(ordered, columns, _WORTH @ columns)


def place(
    groups: Iterable[JobGroup],
    rooms: Sequence[Room],
    types: Mapping[str, InstanceType],
    matcher: Matcher,
    *,
    volume_gib: int,
) -> tuple[Need, ...]:
    """
    Put the idle jobs into the room there is, the least room first, and return what is left over, large jobs first.

    A job goes where its group matches every type that the machine may turn out to be.
    """
    all_ = crowd(groups)
    left = np.array([group.idle for group in all_.groups], dtype=np.int64)
    alike = Counter(rooms)
    for room in sorted(alike, key=lambda each: (each.cpus, each.gpus, each.memory_mib, each.disk_kib, each.types)):
        size = np.array([room.cpus, room.memory_mib, room.disk_kib, room.gpus], dtype=np.float64)
        kinds = [types[name] for name in room.types if name in types]
        could = (left > 0) & all_.fit(size)
        if not kinds or not could.any():
            continue
        known: dict[int, bool] = {}
        machines = alike[room]
        while machines:
            taken = all_.fill(size, left, could)
            # Compared are those alone that would be put here.
            for at in np.flatnonzero(taken).tolist():
                if at not in known:
                    known[at] = all(matcher.fits(all_.groups[at], kind, volume_gib=volume_gib) for kind in kinds)
                could[at] = known[at]
            if not taken.any():
                break
            if not could[taken > 0].all():
                continue
            times = min(machines, times_over(left, taken))
            left -= times * taken
            machines -= times
    return tuple(Need(group, int(jobs)) for group, jobs in zip(all_.groups, left, strict=True) if jobs)


def jobs_per_machine(group: JobGroup, kind: InstanceType, *, volume_gib: int) -> int:
    """How many jobs of the group one empty machine of that type runs at a time."""
    have = sizes(kind, volume_gib)
    return min(available // want for available, want in zip(have, wants(group), strict=True) if want > 0)


def times_over(left: Counts, taken: Counts) -> int:
    """How often the same can be taken again."""
    some = taken > 0
    return int((left[some] // taken[some]).min())
