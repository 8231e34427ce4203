"""The instance types that an annex may have, as columns of numbers: what can't fit is left out without matching."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.planner.lifetimes import Lifetimes, Numbers
from annex_core.planner.virtual_slot import Kin, kin, usable_cpus, usable_disk_kib, usable_gpus, usable_memory_mib

Mask: TypeAlias = npt.NDArray[np.bool_]

_UNKNOWN = 1e9
"""A price that isn't known, in the cheapest known ones, for each vCPU: dearer than any number of known machines."""
_HEAD = 24


def wants(group: JobGroup) -> tuple[int, int, int, int]:
    """CPUs, MiB, KiB of disk and GPUs of one job; what a job leaves open is none, and matching decides."""
    return (max(group.cpus, 1), max(group.memory_mib, 0), max(group.disk_kib, 0), max(group.gpus, 0))


def sizes(kind: InstanceType, volume_gib: int) -> tuple[int, int, int, int]:
    """The same of an empty machine."""
    return (usable_cpus(kind), usable_memory_mib(kind), usable_disk_kib(kind, volume_gib), usable_gpus(kind))


def table(rows: Iterable[Iterable[float]]) -> Numbers:
    """What *rows* say of each thing as columns: comparisons along them are several times faster."""
    numbers = np.array([tuple(row) for row in rows], dtype=np.float64)
    return np.ascontiguousarray(numbers.reshape(len(numbers), 4).T)


@dataclass(frozen=True)
class Shelf:
    """Small types first; all arrays have their order."""

    kinds: tuple[InstanceType, ...]
    volume_gib: int
    prices: Numbers
    """Of an hour of each, in the cheapest one's: so that the order of types doesn't hang on the currency."""
    lives: Lifetimes = field(default_factory=lambda: Lifetimes(overhead=0.0), compare=False, repr=False)

    @cached_property
    def sizes(self) -> Numbers:
        """A row each of CPUs, MiB, KiB of disk and GPUs."""
        return table(sizes(kind, self.volume_gib) for kind in self.kinds)

    @cached_property
    def _of_one(self) -> Numbers:
        """What a CPU, MiB, KiB or GPU is of a machine; 0 of what it has none of."""
        return np.divide(1.0, self.sizes, out=np.zeros_like(self.sizes), where=self.sizes > 0)

    @cached_property
    def kins(self) -> tuple[Kin, ...]:
        return tuple(dict.fromkeys(map(kin, self.kinds)))

    @cached_property
    def kin_of(self) -> npt.NDArray[np.intp]:
        place = {each: at for at, each in enumerate(self.kins)}
        return np.array([place[kin(kind)] for kind in self.kinds], dtype=np.intp)

    @cached_property
    def architectures(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(kind.architecture for kind in self.kinds))

    @cached_property
    def architecture_of(self) -> npt.NDArray[np.intp]:
        place = {each: at for at, each in enumerate(self.architectures)}
        return np.array([place[kind.architecture] for kind in self.kinds], dtype=np.intp)

    def holds(self, want: Sequence[float] | Numbers) -> Mask:
        """Which types have room for so much of everything."""
        return np.asarray((self.sizes >= np.array(want, dtype=np.float64)[:, None]).all(axis=0), dtype=np.bool_)

    def orders(self, group: JobGroup, jobs: int, among: Mask) -> Iterator[tuple[int, float]]:
        """
        Types by what a job of the group costs on them.

        Returns:
            Indices of the types with what a job costs as its share of such a machine when it is full, for as long as
            the machine is paid for, in turns by what the *jobs* cost alone on as many machines as they need, and by
            that share. Of equals the smaller type first.
        """
        used = (np.array(wants(group), dtype=np.float64)[:, None] * self._of_one).max(axis=0)
        with np.errstate(divide="ignore"):  # what holds none is not among them
            each = np.floor(1 / used + 1e-9)
            machines = np.ceil(jobs / each)
        hours = self.lives.full(group.expected, np.minimum(each, jobs)) / 3600
        share = np.where(among, np.round(self.prices * used * hours, 9), np.inf)
        alone = np.where(among, np.round(self.prices * machines * hours, 9), np.inf)
        for at in _in_turns(_cheapest_first(alone), _cheapest_first(share)):
            yield at, float(share[at])


def shelf(
    kinds: Iterable[InstanceType],
    price: Callable[[InstanceType], Decimal | None],
    *,
    volume_gib: int,
    lives: Lifetimes | None = None,
) -> Shelf:
    """
    Args:
        price: USD for an hour of an instance with all that is paid beside it; None is unknown, and dearer than any
            known one.
    """
    ordered = tuple(sorted(kinds, key=lambda kind: (kind.vcpus, kind.memory_mib, kind.name)))
    priced = [price(kind) for kind in ordered]
    unit = min((each for each in priced if each), default=Decimal(1))
    relative = [
        _UNKNOWN * kind.vcpus if each is None else float(each / unit)
        for kind, each in zip(ordered, priced, strict=True)
    ]
    return Shelf(ordered, volume_gib, np.array(relative, dtype=np.float64), lives or Lifetimes(overhead=0.0))


def _cheapest_first(costs: Numbers) -> Iterator[int]:
    """Places of finite costs; few are asked for mostly, and the others are not sorted before they are."""
    most = np.finfo(np.float64).max
    limit = min(np.partition(costs, _HEAD)[_HEAD], most) if len(costs) > _HEAD else most
    for some in (costs <= limit, (costs > limit) & (costs <= most)):
        at = np.flatnonzero(some)
        yield from at[np.argsort(costs[at], kind="stable")].tolist()


def _in_turns(first: Iterator[int], second: Iterator[int]) -> Iterator[int]:
    """What both tell, each once."""
    seen = set()
    for pair in zip(first, second, strict=True):
        for each in pair:
            if each not in seen:
                seen.add(each)
                yield each
