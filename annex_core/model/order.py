"""What somebody ordered by hand, and what was frozen: kept in the journal, for the planner to follow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.names import AnnexKey

OF_AN_ORDER = frozenset({"instance_types", "market", "fleet_api", "max_price_usd", "fleet_config"})
"""What a create decides for the machines of its own order; its other overrides hold for the whole annex."""

_LIVED_TO_ITS_BOUND = timedelta(minutes=5)
"""A machine that is gone so short a time before its fleet's outer bound was ended by it, and didn't leave for want of
work."""


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
    by_uid: int | None = None
    """That user's, by the kernel's word; None where the journal is older than that."""


class Scope(StrEnum):
    ALL = "all"
    PROJECT = "project"
    ANNEX = "annex"


@dataclass(frozen=True, order=True)
class Frozen:
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
                return AnnexKey(self.owner, self.name).spoken


def refusal(order: Order, launches: Iterable[Launch]) -> str | None:
    """Why AWS refused the order, which is over then; None where it did not."""
    said = [each for each in launches if each.order == order.id and each.state is LaunchState.REFUSED]
    return (said[-1].reason or "AWS refused it") if said else None


def filled(
    order: Order, launches: Iterable[Launch], known: Iterable[KnownInstance], annex: Annex
) -> tuple[tuple[Launch, int], ...]:
    """
    What an order has got already: its launches, and how many machines of each count.

    A launch that may still bring machines counts whole, one that was given up by what it brought, gone ones included.
    One by a fleet configuration counts whole when it is closed, too: its capacity may have come in fewer machines.
    Machines that lived to the outer bound of their fleet while the annex's lease goes on are owed again.

    Args:
        launches: Of the annex.
        known: Its instances, gone ones included.
    """
    brought: dict[str | None, list[KnownInstance]] = {}
    for instance in known:
        brought.setdefault(instance.token, []).append(instance)
    found = []
    for launch in launches:
        if launch.order == order.id:
            came = brought.get(launch.token, [])
            outlived = sum(_outlived(each, launch, annex) for each in came)
            whole = launch.may_bring or (launch.state is LaunchState.REQUESTED and "fleet_config" in order.overrides)
            found.append((launch, (launch.target if whole else len(came)) - outlived))
    return tuple(found)


def _outlived(instance: KnownInstance, launch: Launch, annex: Annex) -> bool:
    bound = launch.ends_at_latest
    if bound is None or bound >= annex.lease_ends or instance.gone is None:
        return False
    return instance.gone >= bound - _LIVED_TO_ITS_BOUND
