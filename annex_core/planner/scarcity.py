"""What caps make of sizes: where few machines may be had they are large, and jobs wait for each other on them."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from annex_core.planner.lifetimes import Numbers
from annex_core.planner.rooms import Need
from annex_core.planner.shelf import Shelf, wants


def asked_for(needs: Iterable[Need]) -> Numbers:
    """CPUs, MiB, KiB of disk and GPUs that all the jobs want together."""
    total = np.zeros(4)
    for need in needs:
        total += np.array(wants(need.group), dtype=np.float64) * need.jobs
    return total


def depth(total: Numbers, kinds: Shelf, allowed: Callable[[str], int], *, held_vcpus: int) -> float:
    """
    How many jobs a slot would run one after the other, at least 1.

    Args:
        total: What the jobs want.
        allowed: How many machines of a type the caps leave room for.
        held_vcpus: Of machines that there are: jobs will wait for those, too.
    """
    if not kinds.kinds:
        return 1.0
    each = _machines(total, kinds)
    cost = np.where(np.isfinite(each), kinds.prices * each, np.inf)
    some = {0, int(np.argmin(cost)), len(kinds.kinds) - 1}
    turns = [
        each[at] / (many + held_vcpus / kinds.kinds[at].vcpus)
        for at in sorted(some)
        if (many := allowed(kinds.kinds[at].name)) and np.isfinite(each[at])
    ]
    return max(min(turns, default=1.0), 1.0)


def weighed(kinds: Shelf, total: Numbers, machines: int) -> Shelf:
    """
    The shelf on which a type is as much dearer as so few machines of it would be too few for the jobs.

    Where the largest are too few, none is blamed for what that one lacks too.

    Args:
        machines: How many may be had, whatever their size; 1 at least.
    """
    if not kinds.kinds:
        return kinds
    each = _machines(total, kinds)
    enough = max(float(machines), float(each.min()), 1.0)
    if not np.isfinite(enough) or not (each > enough).any():
        return kinds
    return replace(kinds, prices=kinds.prices * np.maximum(np.minimum(each, 1e6) / enough, 1.0))


def _machines(total: Numbers, kinds: Shelf) -> Numbers:
    """How many of each type would hold all the jobs, GPUs left out: few types have them."""
    with np.errstate(divide="ignore", invalid="ignore"):
        each = np.nan_to_num(total[:3, None] / kinds.sizes[:3], nan=0.0, posinf=np.inf)
    return np.asarray(each.max(axis=0), dtype=np.float64)
