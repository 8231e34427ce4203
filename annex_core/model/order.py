"""What somebody ordered by hand, and what was frozen: kept in the journal, for the planner to follow."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.names import AnnexKey

OF_AN_ORDER = frozenset({"instance_types", "market", "fleet_api", "max_price_usd"})
"""What a create decides for the machines of its own order; its other overrides hold for the whole annex."""

_LIVED_TO_ITS_BOUND = timedelta(minutes=10)


@dataclass(frozen=True)
class Order:
    """
    Machines that a create asked for. It is filled once: what leaves idle is not replaced.

    Source:
        `create` in schemas/request.json.
    """

    id: str
    annex: str
    """The annex id."""
    placed: datetime
    by: str
    """The user who asked."""
    instances: int | None = None
    slots: int | None = None
    """vCPUs; exactly one of the two."""
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of the create, of OF_AN_ORDER."""

    def machines(self, vcpus: int) -> int:
        """How many of that size it takes."""
        return self.instances if self.instances is not None else math.ceil((self.slots or 0) / vcpus)


class Scope(StrEnum):
    ALL = "all"
    PROJECT = "project"
    ANNEX = "annex"


@dataclass(frozen=True, order=True)
class Freeze:
    """Nothing is launched for what it names."""

    scope: Scope
    owner: str = ""
    """Of the annex; empty for the other scopes."""
    name: str = ""
    """The annex's or the project's."""
    since: datetime | None = field(default=None, compare=False)
    by: str = field(default="", compare=False)
    after_end: bool = field(default=False, compare=False)
    """It came of an end by hand, and goes when no job of the annex is left in the queue."""

    def holds(self, key: AnnexKey, project: str) -> bool:
        match self.scope:
            case Scope.ALL:
                return True
            case Scope.PROJECT:
                return self.name == project
            case Scope.ANNEX:
                return AnnexKey(self.owner, self.name) == key

    def __str__(self) -> str:
        match self.scope:
            case Scope.ALL:
                return "everything"
            case Scope.PROJECT:
                return f"project {self.name}"
            case Scope.ANNEX:
                return f"annex {self.name} of {self.owner}"


def refusal(order: Order, launches: Iterable[Launch]) -> str | None:
    """Why AWS refused the order, which is over then; None where it did not."""
    said = [each for each in launches if each.order == order.id and each.state is LaunchState.REFUSED]
    return (said[-1].reason or "AWS refused it") if said else None


def ordered(order: Order, launches: Iterable[Launch], known: Iterable[KnownInstance], annex: Annex) -> tuple[int, int]:
    """
    Machines that were asked for to fill an order, and how many of them have to be asked for anew.

    A launch that may still bring machines counts whole, one that was given up counts by what it brought. Machines that
    lived to the outer bound of their fleet while the annex's lease went on are owed again.

    Args:
        launches: Of the annex.
        known: Its instances, gone ones included.
    """
    asked = owed = 0
    brought: dict[str | None, list[KnownInstance]] = {}
    for instance in known:
        brought.setdefault(instance.token, []).append(instance)
    for launch in launches:
        if launch.order != order.id:
            continue
        came = brought.get(launch.token, [])
        asked += launch.target if launch.may_bring else len(came)
        bound = launch.ends_at_latest
        if bound and bound < annex.lease_ends:
            owed += sum(each.gone is not None and each.gone >= bound - _LIVED_TO_ITS_BOUND for each in came)
    return asked, owed
