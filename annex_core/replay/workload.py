"""What is replayed: jobs with the moment they were submitted, how long they ran and what they asked for."""

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import NamedTuple

from annex_core.planner.runtimes import LONGEST


@dataclass(frozen=True)
class Shape:
    """What all jobs of one kind ask for, and whose they are."""

    owner: str
    cpus: int = 1
    memory_mib: int = 1024
    disk_kib: int = 0
    gpus: int = 0
    requirements: str = "true"
    executable: str = ""
    batch: str = ""


class Arrival(NamedTuple):
    """A job."""

    shape: Shape
    submitted: float
    """Epoch seconds."""
    seconds: float
    """How long it ran."""
    began: float = inf
    """When it first did, epoch seconds; inf where that is not known."""


@dataclass(frozen=True)
class Workload:
    """Jobs in the order of their submission, as columns, since there may be millions."""

    shapes: Sequence[Shape]
    submitted: Sequence[float]
    """Epoch seconds, ascending."""
    seconds: Sequence[float]
    shape: Sequence[int]
    """Index into *shapes*."""
    began: Sequence[float]
    """When each began where it was recorded, epoch seconds; inf where that is not known."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many recorded jobs are not among them, by the reason: a relative clause."""

    period: tuple[float, float] | None = None
    """Epoch seconds, where it is a part of something that was submitted over a longer time."""

    @property
    def span(self) -> tuple[float, float]:
        """From the first submission to the last one, epoch seconds."""
        return self.period or ((self.submitted[0], self.submitted[-1]) if len(self) else (0.0, 0.0))

    def __len__(self) -> int:
        return len(self.submitted)

    @property
    def cpu_hours(self) -> float:
        return sum(s * self.shapes[k].cpus for s, k in zip(self.seconds, self.shape, strict=True)) / 3600


def workload(jobs: Iterable[Arrival], left_out: Mapping[str, int] | None = None) -> Workload:
    """
    The jobs as columns, in order, whatever order they come in.

    What can't have been so is left out: run times and moments that are nothing, negative, endless or absurd tell of a
    clock.

    Args:
        left_out: What whoever recorded them has left out; read when the jobs have been.
    """
    senseless: Counter[str] = Counter()
    numbers: dict[Shape, int] = {}
    submitted, seconds, shape, began = array("d"), array("d"), array("L"), array("d")
    for kind, at, ran, first in jobs:
        if why := _senseless(at, ran):
            senseless[why] += 1
        else:
            submitted.append(at)
            seconds.append(ran)
            shape.append(numbers.setdefault(kind, len(numbers)))
            began.append(first if first >= at else inf)
    order = sorted(range(len(submitted)), key=submitted.__getitem__)
    return Workload(
        tuple(numbers),
        array("d", [submitted[n] for n in order]),
        array("d", [seconds[n] for n in order]),
        array("L", [shape[n] for n in order]),
        array("d", [began[n] for n in order]),
        left_out={**(left_out or {}), **senseless},
    )


def by_owner(jobs: Workload, parts: int) -> list[Workload]:
    """The same jobs as so many workloads at most, alike in size, each owner's in one of them; none is empty."""
    sizes: Counter[str] = Counter()
    for shape, number in Counter(jobs.shape).items():
        sizes[jobs.shapes[shape].owner] += number
    held, into = [0] * parts, dict[str, int]()
    for owner, number in sizes.most_common():
        into[owner] = held.index(min(held))
        held[into[owner]] += number
    shapes: list[list[Shape]] = [[] for _ in held]
    new: list[tuple[int, int]] = []
    for each in jobs.shapes:
        part = into.get(each.owner, 0)
        new.append((part, len(shapes[part])))
        shapes[part].append(each)
    columns = [(array("d"), array("d"), array("L"), array("d")) for _ in held]
    for at, ran, shape, first in zip(jobs.submitted, jobs.seconds, jobs.shape, jobs.began, strict=True):
        part, number = new[shape]
        submitted, seconds, numbers, began = columns[part]
        submitted.append(at)
        seconds.append(ran)
        numbers.append(number)
        began.append(first)
    return [Workload(tuple(its), *each, period=jobs.span) for its, each in zip(shapes, columns, strict=True) if each[0]]


def _senseless(submitted: float, ran: float) -> str | None:
    if not (isfinite(submitted) and submitted >= 0):
        return "that were submitted at no moment that can be"
    if not ran > 0:
        return "that ran for no time, or for less"
    return None if ran <= LONGEST.total_seconds() else "that ran for longer than any job does"
