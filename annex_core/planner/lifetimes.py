"""
How long a machine is paid for: until the last of its jobs has ended, which hangs on how much run times vary.

Sixteen jobs on one machine keep it until the longest of them is over; on eight machines each is given back when its
own two are. So the less predictable run times are, the smaller machines should be.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import erf, exp, log, log1p, sqrt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from annex_core.model.runtime import Runtime

Numbers: TypeAlias = npt.NDArray[np.float64]

_POINTS = 96
_STEPS = np.linspace(0.0, 1.0, _POINTS)
_NEAREST = np.array([0, *range(_POINTS)])
_FROM, _TO = 0.02, 25.0
"""In mean run times: between these moments it is asked whether a job has ended."""
_LEAST = 1e-9
"""A probability is at least so much, so that it has a logarithm."""
_CONSTANT = 0.01
"""Run times that vary by less are taken to vary by so much."""
_MEAN = 3600.0
"""Seconds, where no run time is expected; they are as if they didn't vary, which leaves size to prices alone."""
_AT_ONCE = np.zeros(_POINTS)
_MANY = 2.0 ** np.arange(10)
_TURNS = 1.5
"""From so many jobs one after the other on a slot on, the last ones of a machine began at any moment."""


class Lifetimes:
    """
    Of the machines that one growth step may buy.

    Args:
        overhead: Seconds that a machine is paid for beside its work: it boots, and is idle before it leaves.
        depth: Jobs that a slot runs one after the other, because the caps make jobs wait for each other; 1 at least.
    """

    def __init__(self, *, overhead: float, depth: float = 1.0) -> None:
        self._overhead = overhead
        self._depth = max(depth, 1.0)
        self._full: dict[Runtime | None, Numbers] = {}
        self._tables: dict[tuple[Runtime | None, ...], Table] = {}

    def full(self, of: Runtime | None, jobs: Numbers) -> Numbers:
        """Seconds that machines are paid for that are full with so many such jobs each."""
        known = self._full.get(of)
        if known is None:
            known = self._full[of] = self.table([of]).until_last_of_many()
        if of is None:
            return known[:1]
        return np.interp(np.log2(np.maximum(jobs, 1.0)), np.log2(_MANY), known)

    def table(self, of: Sequence[Runtime | None]) -> "Table":
        """For machines that jobs of these groups may share."""
        known = self._tables.get(key := tuple(of))
        if known is None:
            known = self._tables[key] = Table(of, self._overhead, self._depth)
        return known


class Table:
    """How likely it is that jobs of each group have ended, moment by moment."""

    def __init__(self, of: Sequence[Runtime | None], overhead: float, depth: float) -> None:
        self._overhead = overhead
        alike = {each: at for at, each in enumerate(dict.fromkeys(of))}
        self._kind_of = np.array([alike[each] for each in of], dtype=np.intp)
        means = [_mean(each) for each in alike if each] or [_MEAN]
        first, last = _FROM * min(means), _TO * max(means)
        at = tuple((first * (last / first) ** _STEPS).tolist())
        turns = depth >= _TURNS
        ended = [_ended(_mean(each), _sigma(each), at, turns) if each else _AT_ONCE for each in alike]
        self._ended = np.array(ended).reshape(-1, _POINTS)
        self._before = np.array([_before(each, depth) if each else _MEAN * depth for each in alike])
        """Seconds until no more jobs wait."""
        edges = np.array([0.0, *at])
        gaps = edges[1:] - edges[:-1]
        self._width = (np.append(gaps, 0.0) + gaps[_NEAREST]) / 2

    def until_last(self, jobs: npt.NDArray[np.int64] | Numbers) -> float:
        """Seconds that a machine with so many jobs of each group is paid for."""
        rows = np.flatnonzero(jobs)
        kinds = np.bincount(self._kind_of[rows], weights=jobs[rows], minlength=len(self._before))
        running = 1 - np.exp(kinds @ self._ended)
        waited = float(kinds @ self._before) / float(kinds.sum())
        return self._overhead + waited + float(self._width[0] + running @ self._width[1:])

    def until_last_of_many(self) -> Numbers:
        """The same of machines that have so many jobs of the first group alone as _MANY says."""
        running = 1 - np.exp(np.outer(_MANY, self._ended[0]))
        found: Numbers = self._overhead + self._before[0] + self._width[0] + running @ self._width[1:]
        return found


def _mean(of: Runtime) -> float:
    return max(of.mean.total_seconds(), 1.0)


def _sigma(of: Runtime) -> float:
    """Of the log-normal distribution with that mean and spread."""
    return max(sqrt(log1p(of.variation**2)), _CONSTANT)


def _before(of: Runtime, depth: float) -> float:
    if depth < _TURNS:
        return _mean(of) * (depth - 1)
    return max(_mean(of) * (depth - exp(_sigma(of) ** 2) / 2), 0.0)


@lru_cache(maxsize=4096)
def _ended(mean: float, sigma: float, at: tuple[float, ...], turns: bool) -> Numbers:
    """
    Logarithms of the probabilities that a job has ended by then.

    Args:
        turns: It began at any moment before, when another one had ended; else just then.
    """
    middle = log(mean) - sigma**2 / 2
    found = np.array([0.5 * (1 + erf((log(each) - middle) / (sigma * sqrt(2)))) for each in at])
    if turns:
        edges = np.array([0.0, *at])
        left = 1 - np.array([0.0, *found])
        found = np.minimum(np.cumsum((left[1:] + left[:-1]) / 2 * np.diff(edges)) / mean, 1.0)
    return np.asarray(np.log(np.maximum(found, _LEAST)), dtype=np.float64)
