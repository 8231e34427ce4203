"""What died, and of what: kept of each machine that never joined, before it is ended or while AWS still tells."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

from annex_core.adapters.journal import Journal
from annex_core.daemon.regions import Regions
from annex_core.errors import AnnexError
from annex_core.model.annex import KnownInstance
from annex_core.model.death import Death, printed
from annex_core.model.place import Place
from annex_core.model.snapshot import Snapshot
from annex_core.planner.places import homes, places_of
from annex_core.ports import Cloud

AT_ONCE = 20
"""Consoles read in one go, a call each: of like failures twenty tell as much as a thousand."""
PATIENCE = timedelta(seconds=15)
"""No machine lives longer for its last words to be heard."""
TOLD_FOR = timedelta(minutes=50)
"""EC2 lists what has ended for about an hour."""
TRIES = 3

log = logging.getLogger(__name__)


class Deaths:
    def __init__(self, *, journal: Journal, regions: Regions, clock: Callable[[], datetime]) -> None:
        self._journal = journal
        self._regions = regions
        self._clock = clock
        self._tried: Counter[str] = Counter()

    def before_ending(self, place: Place, instances: Collection[str], why: str, snapshot: Snapshot) -> None:
        """Keep what those of *instances* have printed that never joined; that it fails ends nothing later."""
        told = {death.instance for death in snapshot.deaths}
        mine = [known for known in _never_joined(snapshot, place) if known.id in instances and known.id not in told]
        self._keep(place, mine, dict.fromkeys(instances, f"condor_annexd ended it: {why}"))

    def unexplained(self, snapshot: Snapshot) -> Mapping[Place, Sequence[KnownInstance]]:
        """By place, those that are gone by themselves and that nothing is kept of yet."""
        told = {death.instance for death in snapshot.deaths}
        found = {
            place: [
                known
                for known in _never_joined(snapshot, place)
                if known.gone
                and known.id not in told
                and snapshot.at - known.gone < TOLD_FOR
                and self._tried[known.id] < TRIES
            ][:AT_ONCE]
            for place in snapshot.regions
        }
        return {place: some for place, some in found.items() if some}

    def explain(self, place: Place, gone: Sequence[KnownInstance]) -> None:
        """
        Raises:
            AnnexError: AWS doesn't tell now; it is asked again at the next cycle.
        """
        self._tried.update(known.id for known in gone)
        reasons = self._regions[place].cloud.state_reasons([known.id for known in gone])
        listed = [known for known in gone if known.id in reasons]
        self._keep(place, listed, reasons)

    def _keep(self, place: Place, instances: Sequence[KnownInstance], reasons: Mapping[str, str]) -> None:
        started = self._clock()
        for known in instances[:AT_ONCE]:
            if self._clock() - started > PATIENCE:
                break
            boot_log, console = printed(_console(self._regions[place].cloud, known.id))
            reason = reasons[known.id]
            self._journal.keep_death(Death(known.id, known.annex, self._clock(), reason, boot_log, console))
            last = boot_log.rpartition("\n")[2] or "it printed nothing of ours"
            log.error("%s never joined: %s; its last word: %s", known.id, reason, last)


def _never_joined(snapshot: Snapshot, place: Place) -> list[KnownInstance]:
    found = []
    for annex in snapshot.annexes.values():
        if not annex.pilot and place in places_of(annex, snapshot):
            mine = [known for known in snapshot.known_of(annex) if known.joined is None]
            home = homes(annex, mine, snapshot)
            found += [known for known in mine if home[known.id] == place]
    return found


def _console(cloud: Cloud, instance: str) -> str:
    try:
        return cloud.console(instance)
    except AnnexError as error:
        return f"(its console can't be read: {error})"
