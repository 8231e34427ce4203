"""A machine filled with jobs of few groups, in plain numbers: for a dozen, several times faster than arrays."""

from collections.abc import Sequence
from math import floor

FEW = 12
"""Groups up to which it is faster."""

Row = tuple[float, float, float, float]
"""CPUs, MiB, KiB of disk and GPUs of one job."""


def fill_few(
    rows: Sequence[Row],
    worth: Sequence[float],
    room: Sequence[float],
    left: Sequence[int],
    groups: Sequence[int],
    haste: int,
) -> dict[int, int]:
    """
    How many jobs of each of *groups* go into the room, bite by bite; Crowd.fill() to the last digit.

    Args:
        rows: Of all groups, like *worth* and *left*, which *groups* point into.
        groups: Of which one job at least fits.
    """
    free = [*room]
    taken: dict[int, int] = {}
    active = list(groups)
    while active:
        best = active[0] if len(active) == 1 else max(active, key=lambda at: _value(rows[at], worth[at], free))
        one = rows[best]
        most = floor(min(have / want for have, want in zip(free, one, strict=True) if want > 0) + 1e-9)
        fit = min(most, left[best] - taken.get(best, 0))
        bite = fit if len(active) == 1 else max(1, fit // haste)
        taken[best] = taken.get(best, 0) + bite
        free = [have - bite * want for have, want in zip(free, one, strict=True)]
        cpus, memory, disk, gpus = free
        active = [
            at
            for at in active
            if taken.get(at, 0) < left[at]
            and rows[at][0] <= cpus
            and rows[at][1] <= memory
            and rows[at][2] <= disk
            and rows[at][3] <= gpus
        ]
    return taken


def _value(want: Row, worth: float, free: Sequence[float]) -> int:
    """What a job is worth for the room it takes, in billionths; max() takes the first of equals, as argmax() does."""
    used = 0.0
    for some, have in zip(want, free, strict=True):
        if some > 0:
            used += some / have
    return round(worth / used * 1e9)
