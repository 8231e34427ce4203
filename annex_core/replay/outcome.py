"""What a replay came to, and the curves it is drawn from."""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from annex_core.model.wording import counted

_LEAST_BIN = 60.0
_BINS = 720


@dataclass(frozen=True)
class Curves:
    """Step functions of time, one value a bin: what was in use or wanted at the bin's start."""

    start: float
    """Epoch seconds."""
    width: float
    """Seconds of a bin."""
    wanted: Sequence[float]
    """vCPUs that waiting and running jobs ask for."""
    busy: Sequence[float]
    """vCPUs that jobs ran on."""
    paid: Sequence[float]
    """vCPUs of machines that were paid for, booting ones included."""


@dataclass(frozen=True)
class Outcome:
    """Money in US dollars, times in seconds, amounts of work in vCPU-hours."""

    name: str
    jobs: int
    unserved: int
    """Jobs that never ran."""
    why_unserved: tuple[str, ...]
    at_home: int
    """Jobs that began at home before a machine of the annex had a slot for them; they cost nothing."""
    dollars: float
    mean_wait: float
    """From submission to the end, less the job's own run time: what was run twice counts as waiting."""
    p95_wait: float
    useful: float
    paid: float
    boot: float
    lost: float
    """Run, and run again elsewhere."""
    joined: float
    machines: int
    plans: int
    """How often the policy was asked."""
    ended: float
    """When the last job ended, epoch seconds."""
    curves: Curves

    @property
    def waste(self) -> float:
        """The share of what was paid for that did no lasting work."""
        return 1 - self.useful / self.paid if self.paid else 0.0

    @property
    def utilisation(self) -> float:
        """The share of what had joined that ran jobs."""
        return (self.useful + self.lost) / self.joined if self.joined else 0.0


@dataclass
class Ledger:
    """Adds up while a replay runs."""

    start: float
    end: float
    dollars: float = 0.0
    useful: float = 0.0
    paid: float = 0.0
    boot: float = 0.0
    lost: float = 0.0
    joined: float = 0.0
    machines: int = 0
    ended: float = 0.0
    plans: int = 0
    """How often the policy was asked."""
    unserved: Counter[str] = field(default_factory=Counter)
    """Jobs that never ran, by what is to be said of them."""
    at_home: int = 0
    """Jobs that ran at home."""
    waits: "array[float]" = field(default_factory=lambda: array("d"))

    def __post_init__(self) -> None:
        self.width = max((self.end - self.start) / _BINS, _LEAST_BIN)
        self.steps: dict[str, list[float]] = {"wanted": [], "busy": [], "paid": []}
        """Of each curve by how much it rises at a bin's start."""

    def add(self, other: "Ledger") -> None:
        """Take in what another one of the same span has of other owners."""
        for name in ("dollars", "useful", "paid", "boot", "lost", "joined", "machines", "plans", "at_home"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.ended = max(self.ended, other.ended)
        self.unserved.update(other.unserved)
        self.waits.extend(other.waits)
        for name, its in other.steps.items():
            self.steps[name] = [sum(both) for both in zip_longest(self.steps[name], its, fillvalue=0.0)]

    def job(self, submitted: float, began: float, ended: float, cpus: int) -> None:
        """A job has run to its end."""
        ran = ended - began
        self.useful += ran * cpus
        self.waits.append(began - submitted)
        self.ended = max(self.ended, ended)
        self._mark("wanted", submitted, ended, cpus)
        self._mark("busy", began, ended, cpus)

    def ran_at_home(self, submitted: float, began: float) -> None:
        """A job has begun where it would have run anyhow."""
        self.at_home += 1
        self.waits.append(began - submitted)

    def evicted(self, began: float, ended: float, cpus: int) -> None:
        """A job's machine went before its end."""
        self.lost += (ended - began) * cpus
        self._mark("busy", began, ended, cpus)

    def machine(self, launched: float, ready: float, gone: float, vcpus: int, hourly: float) -> None:
        """A machine has gone; it may never have been ready."""
        self.machines += 1
        self.dollars += max(gone - launched, 60.0) / 3600 * hourly
        self.paid += (gone - launched) * vcpus
        self.boot += (min(ready, gone) - launched) * vcpus
        self.joined += max(gone - ready, 0.0) * vcpus
        self._mark("paid", launched, gone, vcpus)

    def slot(self, launched: float, ready: float, gone: float, vcpus: float, hourly: float) -> None:
        """A part of a machine was paid for, from *launched* to *gone*."""
        self.dollars += (gone - launched) / 3600 * hourly
        self.paid += (gone - launched) * vcpus
        self.boot += (ready - launched) * vcpus
        self.joined += (gone - ready) * vcpus
        self._mark("paid", max(launched, self.start), gone, vcpus)

    def _mark(self, curve: str, since: float, until: float, amount: float) -> None:
        steps = self.steps[curve]
        first, last = int((since - self.start) / self.width) + 1, int((until - self.start) / self.width) + 1
        if last >= len(steps):
            steps.extend([0] * (last + 64 - len(steps)))
        steps[first] += amount
        steps[last] -= amount

    def curves(self) -> Curves:
        bins = min(int((max(self.ended, self.end) - self.start) / self.width) + 2, 4 * _BINS)
        return Curves(self.start, self.width, *(_summed(each, bins) for each in self.steps.values()))

    def outcome(self, name: str) -> Outcome:
        waits = sorted(self.waits)
        unserved = self.unserved.total()
        hours = 3600.0
        return Outcome(
            name=name,
            jobs=len(waits) + unserved,
            unserved=unserved,
            why_unserved=tuple(f"{counted(number, 'job')} {why}" for why, number in self.unserved.most_common()),
            at_home=self.at_home,
            dollars=self.dollars,
            mean_wait=sum(waits) / len(waits) if waits else 0.0,
            p95_wait=waits[min(int(len(waits) * 0.95), len(waits) - 1)] if waits else 0.0,
            useful=self.useful / hours,
            paid=self.paid / hours,
            boot=self.boot / hours,
            lost=self.lost / hours,
            joined=self.joined / hours,
            machines=self.machines,
            plans=self.plans,
            ended=self.ended,
            curves=self.curves(),
        )


def _summed(steps: Sequence[float], bins: int) -> list[float]:
    level = 0.0
    found = []
    for number in range(bins):
        level += steps[number] if number < len(steps) else 0
        found.append(level)
    return found
