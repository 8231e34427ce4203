"""Work that was lost to interruptions: asked of the schedd for as long as jobs may still be leaving."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from annex_core.adapters.journal import Journal
from annex_core.model.eviction import Eviction
from annex_core.model.snapshot import Snapshot

_NOTICED_LATE = timedelta(minutes=3)
"""A notice comes two minutes before the end; it is seen a cycle later at most."""
_LEAVING = timedelta(minutes=10)
"""So long after it all that has to be known about its jobs is."""


class Losses:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def since(self, snapshot: Snapshot) -> datetime | None:
        """From when on evictions matter; None where no machine was given notice lately."""
        return min((at - _NOTICED_LATE for at in _lately(snapshot).values()), default=None)

    def keep(self, snapshot: Snapshot, evictions: Iterable[Eviction]) -> None:
        """Those that lost a machine which AWS took back."""
        lately = _lately(snapshot)
        of: dict[str, list[Eviction]] = {}
        for known in snapshot.known:
            if known.id in lately:
                hit = [each for each in evictions if each.instance == known.id and _then(each, lately[known.id])]
                of.setdefault(known.annex, []).extend(hit)
        for annex, some in of.items():
            self._journal.keep_evictions(annex, some)


def _then(eviction: Eviction, noticed: datetime) -> bool:
    return eviction.at >= noticed - _NOTICED_LATE


def _lately(snapshot: Snapshot) -> Mapping[str, datetime]:
    """Machines that were given notice, and when that was seen."""
    return {
        known.id: known.interrupted
        for known in snapshot.known
        if known.interrupted and snapshot.at - known.interrupted < _LEAVING
    }
