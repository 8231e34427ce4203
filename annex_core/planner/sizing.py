"""How many machines, of which types, the idle jobs that find no room would need."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.wording import counted, size
from annex_core.planner.holdings import Room
from annex_core.planner.matching import Matcher, usable_disk_kib, usable_memory_mib


@dataclass(frozen=True)
class Need:
    """Jobs of one group that nothing asked for so far will serve."""

    group: JobGroup
    jobs: int


@dataclass(frozen=True)
class Choice:
    """Types that hold the same number of the group's jobs each, so that any of them will do."""

    types: tuple[str, ...]
    jobs_each: int

    def machines(self, jobs: int) -> int:
        return math.ceil(jobs / self.jobs_each)


@dataclass(frozen=True)
class Misfit:
    """No type that the route allows can run a job of the group; *reason* names the closest and what it lacks."""

    reason: str


def place(
    groups: Iterable[JobGroup],
    rooms: Sequence[Room],
    types: Mapping[str, InstanceType],
    matcher: Matcher,
    *,
    volume_gib: int,
) -> tuple[Need, ...]:
    """
    Put the idle jobs into the room there is, large jobs first, the least room first, and return what is left over.

    A job goes where its group matches every type that the machine may turn out to be.
    """
    rooms = sorted(rooms, key=lambda each: (each.cpus, each.gpus, each.memory_mib, each.disk_kib, each.types))
    left = [[room.cpus, room.memory_mib, room.disk_kib, room.gpus] for room in rooms]
    needs = []
    for group in sorted(groups, key=lambda each: (-each.cpus, -each.memory_mib)):
        jobs = group.idle
        for room, free in zip(rooms, left, strict=True):
            if jobs == 0:
                break
            kinds = [types[name] for name in room.types if name in types]
            if not kinds or not all(matcher.fits(group, kind, volume_gib=volume_gib) for kind in kinds):
                continue
            here = min(jobs, *(have // want for have, want in zip(free, _wants(group), strict=True) if want > 0))
            jobs -= here
            for at, want in enumerate(_wants(group)):
                free[at] -= here * want
        if jobs:
            needs.append(Need(group, jobs))
    return tuple(needs)


def _wants(group: JobGroup) -> tuple[int, int, int, int]:
    return (max(group.cpus, 1), max(group.memory_mib, 0), max(group.disk_kib, 0), max(group.gpus, 0))


def jobs_per_machine(group: JobGroup, kind: InstanceType, *, volume_gib: int) -> int:
    """How many jobs of the group one empty machine of that type runs at a time."""
    have = (kind.vcpus, usable_memory_mib(kind), usable_disk_kib(volume_gib), kind.gpus)
    return min(available // want for available, want in zip(have, _wants(group), strict=True) if want > 0)


def choices(
    need: Need,
    allowed: Sequence[InstanceType],
    matcher: Matcher,
    *,
    price: Callable[[InstanceType], Decimal | None],
    volume_gib: int,
) -> tuple[Choice, ...] | Misfit:
    """
    The ways to run the needed jobs, the one at the least ceiling price first; of equals the one of fewest vCPUs.

    Args:
        price: USD for an hour of an instance with all that is paid beside it; None is unknown, and dearer than any
            known one.
    """
    fitting: dict[int, list[InstanceType]] = {}
    for kind in allowed:
        each = jobs_per_machine(need.group, kind, volume_gib=volume_gib)
        if each >= 1 and matcher.fits(need.group, kind, volume_gib=volume_gib):
            fitting.setdefault(each, []).append(kind)
    if not fitting:
        return Misfit(_lacking(need.group, allowed, volume_gib))

    def order(kind: InstanceType) -> tuple[bool, Decimal, int, str]:
        hour = price(kind)
        return (hour is None, hour or Decimal(0), kind.vcpus, kind.name)

    def total(each: int) -> tuple[bool, Decimal, int]:
        unknown, hour, vcpus, _ = min(map(order, fitting[each]))
        machines = math.ceil(need.jobs / each)
        return (unknown, machines * hour, machines * vcpus)

    def choice(each: int) -> Choice:
        priced = [kind for kind in fitting[each] if price(kind) is not None] or fitting[each]
        return Choice(tuple(kind.name for kind in sorted(priced, key=order)), each)

    return tuple(choice(each) for each in sorted(sorted(fitting), key=total))


def _lacking(group: JobGroup, allowed: Sequence[InstanceType], volume_gib: int) -> str:
    """Why no type fits, as the end of a sentence that begins "no machine of this route can run it:"."""
    if not allowed:
        return "the route and annex_instance_types leave no instance type that the region has"
    largest = max(allowed, key=lambda kind: (kind.vcpus, kind.memory_mib))
    roomiest = max(allowed, key=lambda kind: (kind.memory_mib, kind.vcpus))
    if group.cpus > largest.vcpus:
        return f"it asks for {counted(group.cpus, 'CPU')}, the largest type, {largest.name}, has {largest.vcpus}"
    if group.memory_mib > usable_memory_mib(roomiest):
        return (
            f"it asks for {size(group.memory_mib)} of memory, the roomiest type, {roomiest.name}, "
            f"has {size(usable_memory_mib(roomiest))}"
        )
    if group.disk_kib > usable_disk_kib(volume_gib):
        asked, has = math.ceil(group.disk_kib / 1024), usable_disk_kib(volume_gib) // 1024
        return f"it asks for {size(asked)} of disk, a machine has {size(has)}"
    if group.gpus and not any(kind.gpus >= group.gpus for kind in allowed):
        return f"it asks for {counted(group.gpus, 'GPU')}, and no type of the route has that many"
    return f"its Requirements don't match any of {', '.join(kind.name for kind in allowed)}"
