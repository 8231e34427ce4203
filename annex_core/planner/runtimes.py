"""How long jobs run, learned from those that have finished, by owner, executable and batch."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from math import isfinite, sqrt

from annex_core.model.runtime import SURE_FROM, Runtime

PRIOR = Runtime(mean=timedelta(hours=1), spread=timedelta(hours=1))
"""Of jobs whose owner has no history: long enough that no machine is held back for it."""

LONGEST = timedelta(days=400)
"""Longer than any job runs; what history says beyond it is a clock's error."""

_REMEMBERED = 200
"""Jobs of a kind after which the older ones begin to fade: programs and their input change."""

KINDS_KEPT = 50_000
"""Of more kinds, those not seen for longest are forgotten: a batch name may be new with every submit."""

Kind = tuple[str, ...]
"""(owner), (owner, executable) or (owner, executable, batch)."""

_BASIS = {1: "the owner's finished jobs", 2: "finished jobs of this program", 3: "finished jobs of this batch"}


@dataclass(frozen=True)
class Finished:
    """One job that ran to its end."""

    owner: str
    executable: str
    batch: str
    seconds: float
    """How long its last run took, as the history has it: it may be anything."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds it belongs to, the narrowest last."""
        return _kinds(self.owner, self.executable, self.batch)


@dataclass(frozen=True)
class Tally:
    """Mean and variance (seconds) of so many jobs, in which the latest count most."""

    jobs: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def with_(self, seconds: float) -> "Tally":
        weight = 1 / min(self.jobs + 1, _REMEMBERED)
        off = seconds - self.mean
        return Tally(self.jobs + 1, self.mean + weight * off, (1 - weight) * (self.variance + weight * off * off))


class Runtimes:
    """What has been learned. It forgets slowly, and keeps at most KINDS_KEPT kinds."""

    def __init__(self, tallies: Mapping[Kind, Tally] | None = None) -> None:
        self._tallies: dict[Kind, Tally] = dict(tallies or {})
        self.senseless = 0
        """Finished jobs that were left out: none, negative, endless or absurd run times."""

    def learn(self, job: Finished) -> None:
        """
        Take one finished job in, oldest first.

        A job that ran for no time at all never began, and one that ran for longer than LONGEST, or for less than
        nothing, tells of a clock.
        """
        if not (isfinite(job.seconds) and 0 < job.seconds <= LONGEST.total_seconds()):
            self.senseless += 1
            return
        for kind in job.kinds:
            # Taken out and put back, so that what was seen last stands last.
            self._tallies[kind] = self._tallies.pop(kind, Tally()).with_(job.seconds)
        while len(self._tallies) > KINDS_KEPT:
            del self._tallies[next(iter(self._tallies))]

    def expected(self, owner: str, executable: str = "", batch: str = "") -> Runtime:
        """The run time of such a job, by the narrowest kind of which enough have finished; else PRIOR."""
        for kind in reversed(_kinds(owner, executable, batch)):
            tally = self._tallies.get(kind)
            if tally and tally.jobs >= SURE_FROM:
                mean, spread = timedelta(seconds=tally.mean), timedelta(seconds=sqrt(tally.variance))
                return Runtime(mean, spread, tally.jobs, _BASIS[len(kind)])
        return PRIOR

    def items(self) -> Iterator[tuple[Kind, Tally]]:
        """All that has been learned, what was seen last at the end."""
        yield from self._tallies.items()


def _kinds(owner: str, executable: str, batch: str) -> tuple[Kind, ...]:
    kinds: list[Kind] = [(owner,)]
    if executable:
        kinds.append((owner, executable))
        if batch:
            kinds.append((owner, executable, batch))
    return tuple(kinds)
