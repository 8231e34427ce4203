"""How long a job is expected to run."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from math import sqrt

SURE_FROM = 5
"""Finished jobs of a kind before their run times hold anything back."""


@dataclass(frozen=True)
class Runtime:
    """
    Expected run time of jobs of one kind.

    Source:
        planner/runtimes.py, out of the schedd's history.
    """

    mean: timedelta
    spread: timedelta
    """Standard deviation of one job."""
    jobs: int = 0
    """Finished jobs that it rests on; 0 is a guess."""
    basis: str = "a guess"
    """What those jobs had in common, in words."""

    @property
    def sure(self) -> bool:
        return self.jobs >= SURE_FROM

    @property
    def variation(self) -> float:
        """The coefficient of variation: spread in means."""
        return self.spread / self.mean if self.mean else 0.0


Expect = Callable[[str, str, str], Runtime]
"""How long a job of this owner, executable and batch is expected to run."""


def mixed(parts: Iterable[tuple[Runtime, int]]) -> Runtime | None:
    """
    The run time of one job drawn from several kinds.

    Args:
        parts: Each kind and how many jobs of it there are.

    Returns:
        None where there are no jobs. It is as sure as the least sure part.
    """
    some = [(runtime, count) for runtime, count in parts if count > 0]
    total = sum(count for _, count in some)
    if not total:
        return None
    mean = sum(runtime.mean.total_seconds() * count for runtime, count in some) / total
    square = sum((runtime.spread.total_seconds() ** 2 + runtime.mean.total_seconds() ** 2) * n for runtime, n in some)
    weakest = min((runtime for runtime, _ in some), key=lambda runtime: runtime.jobs)
    spread = sqrt(max(square / total - mean**2, 0.0))
    return Runtime(timedelta(seconds=mean), timedelta(seconds=spread), weakest.jobs, weakest.basis)
