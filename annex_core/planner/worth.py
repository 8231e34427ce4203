"""No machine whose boot outlasts the work there is for it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from heapq import nlargest

from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.snapshot import Snapshot
from annex_core.model.supply import Slot
from annex_core.planner.holdings import Holding
from annex_core.planner.matching import Matcher
from annex_core.planner.rooms import Need, jobs_per_machine

BOOT = timedelta(minutes=3)
"""From launch to joining the pool, until one has been seen to do it."""
_LATEST = 20

TOO_SHORT = "the machines there are will have run them before another could have booted"


def boot(snapshot: Snapshot) -> timedelta:
    """How long the latest machines took from their launch to the pool, on average."""
    joined = ((known.joined, known.joined - known.launched) for known in snapshot.known if known.joined)
    latest = nlargest(_LATEST, joined)
    if not latest:
        return BOOT
    return max(sum((took for _, took in latest), timedelta(0)) / len(latest), timedelta(0))


def refuted(counts: JobCounts, held: Holding, slots: Sequence[Slot], now: datetime, *, boot_takes: timedelta) -> bool:
    """
    Whether history was wrong about the annex's jobs.

    All that run were expected to be over within a boot's time, and one has been at it for longer.
    """
    if not _quick(counts, boot_takes):
        return False
    ids = {known.id for known in held.instances}
    return any(each.instance in ids and each.busy_since and now - each.busy_since > boot_takes for each in slots)


def soon(
    group: JobGroup,
    held: Holding,
    counts: JobCounts,
    types: Mapping[str, InstanceType],
    matcher: Matcher,
    *,
    boot_takes: timedelta,
    volume_gib: int,
) -> int:
    """
    How many slots for such jobs the annex will have had for a while when a new machine could have booted.

    Machines that have joined count only where all that runs on them is known to be over by then.
    """
    quick = counts.running == 0 or _quick(counts, boot_takes)
    machines: list[tuple[tuple[str, ...], int]] = [
        ((known.type,), 1) for known in held.instances if quick or known.joined is None
    ]
    machines += [(launch.types, count) for launch, count in held.outstanding]
    return sum(_slots(group, names, types, matcher, volume_gib) * count for names, count in machines)


def _quick(counts: JobCounts, boot_takes: timedelta) -> bool:
    running = counts.running_for
    return running is not None and running.sure and running.mean <= boot_takes


def _slots(
    group: JobGroup, names: tuple[str, ...], types: Mapping[str, InstanceType], matcher: Matcher, volume_gib: int
) -> int:
    """How many of the group's jobs a machine of any of these types runs at a time; 0 where one doesn't fit."""
    found = [types[name] for name in names if name in types]
    if not found or not all(matcher.fits(group, kind, volume_gib=volume_gib) for kind in found):
        return 0
    return min(jobs_per_machine(group, kind, volume_gib=volume_gib) for kind in found)


def worth(wanted: int, need: Need, each: int, *, boot_takes: timedelta, slots: int) -> int:
    """
    How many of *wanted* machines find work that lasts as long as their boot.

    Args:
        each: The group's jobs that one of them runs at a time.
        slots: What soon() counted: they do some of the work while a new machine would boot.

    Returns:
        All of them, unless run times are known well and are shorter than a boot; one at least where nothing else will
        ever run the jobs.
    """
    expected = need.group.expected
    if expected is None or not expected.sure or expected.mean >= boot_takes:
        return wanted
    run, takes = expected.mean.total_seconds(), boot_takes.total_seconds()
    left = need.jobs * run - slots * (takes - run)
    useful = int(left // (takes * each))
    return min(wanted, max(useful, 0 if slots else 1))
