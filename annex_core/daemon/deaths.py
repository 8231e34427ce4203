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
from annex_core.model.snapshot import Snapshot
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

    def before_ending(self, region: str, instances: Collection[str], why: str, snapshot: Snapshot) -> None:
        """Keep what those of *instances* have printed that never joined; that it fails ends nothing later."""
        told = {death.instance for death in snapshot.deaths}
        mine = [known for known in _never_joined(snapshot, region) if known.id in instances and known.id not in told]
        self._keep(region, mine, dict.fromkeys(instances, f"condor_annexd ended it: {why}"))

    def unexplained(self, snapshot: Snapshot) -> Mapping[str, Sequence[KnownInstance]]:
        """By region, those that are gone by themselves and that nothing is kept of yet."""
        told = {death.instance for death in snapshot.deaths}
        found = {
            region: [
                known
                for known in _never_joined(snapshot, region)
                if known.gone
                and known.id not in told
                and snapshot.at - known.gone < TOLD_FOR
                and self._tried[known.id] < TRIES
            ][:AT_ONCE]
            for region in snapshot.regions
        }
        return {region: some for region, some in found.items() if some}

    def explain(self, region: str, gone: Sequence[KnownInstance]) -> None:
        """
        Raises:
            AnnexError: AWS doesn't tell now; it is asked again at the next cycle.
        """
        self._tried.update(known.id for known in gone)
        reasons = self._regions[region].cloud.state_reasons([known.id for known in gone])
        listed = [known for known in gone if known.id in reasons]
        self._keep(region, listed, reasons)

    def _keep(self, region: str, instances: Sequence[KnownInstance], reasons: Mapping[str, str]) -> None:
        started = self._clock()
        for known in instances[:AT_ONCE]:
            if self._clock() - started > PATIENCE:
                break
            boot_log, console = printed(_console(self._regions[region].cloud, known.id))
            reason = reasons[known.id]
            self._journal.keep_death(Death(known.id, known.annex, self._clock(), reason, boot_log, console))
            last = boot_log.rpartition("\n")[2] or "it printed nothing of ours"
            log.error("%s never joined: %s; its last word: %s", known.id, reason, last)


def _never_joined(snapshot: Snapshot, region: str) -> list[KnownInstance]:
    ids = {annex.id for annex in snapshot.annexes.values() if annex.region == region and not annex.pilot}
    return [known for known in snapshot.known if known.annex in ids and known.joined is None]


def _console(cloud: Cloud, instance: str) -> str:
    try:
        return cloud.console(instance)
    except AnnexError as error:
        return f"(its console can't be read: {error})"
