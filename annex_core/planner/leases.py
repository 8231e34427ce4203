"""
What is due to end, by the tags that AWS shows; the journal is not asked.

The daemon and the reaper decide by this very module: it is packed into the reaper's function, so that it and what it
imports stay small and pure.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from annex_core.model import tags

_UNREADABLE = timedelta(hours=24)

_OVER = {"cancelled", "failed", "cancelled_terminating", "shutting-down", "terminated"}
"""States of fleet requests and instances that are gone, or on their way without any help."""


class Leased(NamedTuple):
    """A fleet request or an instance, as far as its lease goes."""

    id: str
    state: str
    """AWS's word for it."""
    since: datetime
    """When it was asked for or launched."""
    tags: Mapping[str, str]

    @property
    def over(self) -> bool:
        return self.state in _OVER


@dataclass(frozen=True)
class Due:
    ids: tuple[str, ...]
    """What must end now."""
    unreadable: tuple[str, ...]
    """Whose lease can't be read: they end at EndsAtLatest, else 24 hours after their launch."""


def ends(carried: Mapping[str, str], launched: datetime) -> tuple[datetime, bool]:
    """
    When a tagged thing must end.

    Returns:
        The moment, and whether its lease could be read. Never for ever, never now.
    """
    lease = tags.moment(carried, tags.LEASE_ENDS)
    bound = tags.moment(carried, tags.ENDS_AT_LATEST)
    if lease is None:
        return bound or launched + _UNREADABLE, False
    return (min(lease, bound) if bound else lease), True


def due(things: Iterable[Leased], now: datetime) -> Due:
    """
    Args:
        things: Ours; whose they are is for the caller to say. What is over already is left out here.
    """
    ids, unreadable = [], []
    alike: dict[tuple[str | None, str | None], tuple[datetime, bool]] = {}
    for thing in things:
        if thing.over:
            continue
        said = thing.tags.get(tags.LEASE_ENDS), thing.tags.get(tags.ENDS_AT_LATEST)
        end, read = alike.get(said) or ends(thing.tags, thing.since)
        if read:
            alike[said] = end, read  # of thousands of machines most carry the same
        if end <= now:
            ids.append(thing.id)
        if not read:
            unreadable.append(thing.id)
    return Due(tuple(ids), tuple(unreadable))
