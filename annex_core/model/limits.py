"""What an administrator allows several annexes together, and what finished ones have cost."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from enum import StrEnum

EACH = "*"
"""In the place of a name: each one that has no line of its own."""


class Kind(StrEnum):
    """Whose limit it is."""

    POOL = "pool"
    OWNER = "owner"
    PROJECT = "project"
    ROUTE = "route"
    ANNEX = "annex"


@dataclass(frozen=True, order=True)
class Subject:
    """Whoever a limit binds."""

    kind: Kind
    name: str = ""
    """An owner's, a project's, a route's, or OWNER/NAME of an annex; the pool has none."""

    def __str__(self) -> str:
        return "all annexes" if self.kind is Kind.POOL else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Limit:
    """What a subject's annexes may have together; None is no limit of that kind."""

    instances: int | None = None
    """Machines at a time, booting and asked-for ones included."""
    vcpus: int | None = None
    """vCPUs at a time."""
    hourly: Decimal | None = None
    """USD an hour, at the price ceilings."""
    budget: Decimal | None = None
    """USD in all since the journal began; of one annex: in each of its lives."""
    monthly: Decimal | None = None
    """USD in each calendar month, by UTC, as AWS bills."""

    @property
    def in_dollars(self) -> bool:
        return any(each is not None for each in (self.hourly, self.budget, self.monthly))


@dataclass(frozen=True)
class PoolLimits:
    """
    Source:
        The knob ANNEX_LIMITS; adapters/pool_limits.py reads it, schemas/limits.json says what may stand there.
    """

    said: Mapping[Subject, Limit] = field(default_factory=dict, hash=False)
    """By subject; those named EACH stand for every one, limit by limit, that its own line leaves open."""
    malformed: str = ""
    """Why they can't be read: nothing may be launched then, for nobody can tell what is allowed."""

    def of(self, subject: Subject) -> Limit:
        own, each = self.said.get(subject, Limit()), self.said.get(Subject(subject.kind, EACH), Limit())
        chosen = {
            name: getattr(each, name) if getattr(own, name) is None else getattr(own, name)
            for name in (one.name for one in fields(Limit))
        }
        return Limit(**chosen)

    def __bool__(self) -> bool:
        return bool(self.said or self.malformed)


UNLIMITED = PoolLimits()


def subjects(*, owner: str, name: str, project: str, route: str) -> tuple[Subject, ...]:
    """All that an annex belongs to, the widest first."""
    return (
        Subject(Kind.POOL),
        Subject(Kind.ROUTE, route),
        Subject(Kind.PROJECT, project),
        Subject(Kind.OWNER, owner),
        Subject(Kind.ANNEX, f"{owner}/{name}"),
    )


@dataclass(frozen=True)
class Spent:
    """What finished lives of annexes have cost, at the ceilings."""

    owner: str
    name: str
    """The annex's."""
    project: str
    route: str
    month: str
    """2026-11, by UTC; empty for earlier ones taken together."""
    usd: Decimal | None
    """None: the price of one of their machines is not known."""
