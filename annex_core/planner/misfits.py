"""Why no machine can run a group's jobs: the closest type, and what it lacks."""

import math

import classad2
import numpy as np

from annex_core.model.demand import JobGroup
from annex_core.model.wording import counted, size
from annex_core.planner.matching import Matcher
from annex_core.planner.shelf import Shelf, table, wants
from annex_core.planner.virtual_slot import usable_cpus, usable_disk_kib, usable_gpus, usable_memory_mib

_QUOTED = 120
_REQUESTS = ("RequestCpus", "RequestMemory", "RequestDisk", "RequestGPUs")


def lacking(group: JobGroup, shelf: Shelf, matcher: Matcher) -> str:
    """The end of a sentence that begins "no machine of this route can run it:"."""
    if not shelf.kinds:
        return "the route and annex_instance_types leave no instance type that the region has"
    return _too_much(group, shelf) or _undefined(group) or _unmet(group, shelf, matcher)


def _too_much(group: JobGroup, shelf: Shelf) -> str | None:
    cpus, memory, disk, gpus = wants(group)
    largest = max(shelf.kinds, key=lambda kind: (usable_cpus(kind), usable_memory_mib(kind)))
    roomiest = max(shelf.kinds, key=lambda kind: (usable_memory_mib(kind), kind.vcpus))
    if cpus > usable_cpus(largest):
        return f"it asks for {counted(cpus, 'CPU')}, the largest type, {largest.name}, has {usable_cpus(largest)}"
    if memory > usable_memory_mib(roomiest):
        return (
            f"it asks for {size(memory)} of memory, the roomiest type, {roomiest.name}, "
            f"has {size(usable_memory_mib(roomiest))}"
        )
    if disk > (most := max(usable_disk_kib(kind, shelf.volume_gib) for kind in shelf.kinds)):
        has = most // 1024
        return f"it asks for {size(math.ceil(disk / 1024))} of disk, a machine has {size(has)}"
    if gpus > max(usable_gpus(kind) for kind in shelf.kinds):
        return f"it asks for {counted(gpus, 'GPU')}, and no type of the route has that many"
    if shelf.holds(wants(group)).any():
        return None
    asked = np.flatnonzero(wants(group))
    short = np.maximum(1 - shelf.sizes[asked] / table([wants(group)])[asked], 0).sum(axis=0)
    closest = shelf.kinds[int(np.argmin(short))]
    wanted = _told(cpus, memory, gpus, gpus)
    there = _told(usable_cpus(closest), usable_memory_mib(closest), usable_gpus(closest), gpus)
    return f"it asks for {wanted} on one machine; the closest type, {closest.name}, has {there}"


def _told(cpus: int, memory_mib: int, gpus: int, asked: int) -> str:
    some = [counted(cpus, "CPU"), f"{size(memory_mib)} of memory", *[counted(gpus, "GPU")] * bool(asked)]
    return ", ".join(some)


def _undefined(group: JobGroup) -> str | None:
    for name in _REQUESTS:
        value = group.ad.eval(name) if name in group.ad else 0
        if isinstance(value, classad2.Value) or not isinstance(value, int | float):
            return f"its {name}, {_quoted(str(group.ad.lookup(name)))}, comes to no number"
    return None


def _unmet(group: JobGroup, shelf: Shelf, matcher: Matcher) -> str:
    """The first condition of Requirements that isn't met by the cheapest type, large enough, that meets most."""
    holds = shelf.holds(wants(group))
    cheapest = [np.where(holds & (shelf.kin_of == at), shelf.prices, np.inf) for at in np.unique(shelf.kin_of[holds])]
    kinds = [shelf.kinds[int(np.argmin(prices))] for prices in sorted(cheapest, key=lambda prices: float(prices.min()))]
    lacks = [(matcher.unmet(group, kind, volume_gib=shelf.volume_gib), kind) for kind in kinds]
    unmet, closest = min(lacks, key=lambda each: len(each[0]))
    if not unmet:
        return f"the closest type, {closest.name}, has no room for it"
    if group.gpus and any("requiregpus" in text.lower() for text in unmet) and "RequireGPUs" in group.ad:
        asked = f"{counted(group.gpus, 'GPU')} with {_quoted(str(group.ad.lookup('RequireGPUs')))}"
        has = f"{closest.gpu or 'unknown ones'} of {size(closest.gpu_memory_mib)}"
        return f"it asks for {asked}, and no type has such; the closest, {closest.name}, has {has}"
    return f"the closest type, {closest.name}, doesn't meet its Requirements: {_quoted(unmet[0])}"


def _quoted(text: str) -> str:
    """As a part of a sentence, in one line and not too long; quotes would end an attribute's value."""
    plain = " ".join(text.split()).replace('"', "'")
    return plain if len(plain) <= _QUOTED else plain[: _QUOTED - 3] + "..."
