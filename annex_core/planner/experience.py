"""What became of the machines there were: the experience that plans learn from, looked through once for all annexes."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum
from functools import cached_property

from annex_core.model.annex import Annex, KnownInstance
from annex_core.model.outcomes import Outcomes
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.learned import image_of

BURNS_FROM = 5
"""A machine on which so many jobs failed within a moment, and none went well, runs no job."""
_REMEMBERED = timedelta(hours=24)
_VANISHED = timedelta(minutes=2)
"""A machine that joined and has no work stays for AnnexIdleTimeout; one that is gone so soon did not leave for that."""
_TOUCHED = frozenset({"user_data", "default_user_data", "config_files", "fleet_config", "security_groups", "subnets"})
"""What a create by hand may have changed that keeps machines from joining: they tell of themselves alone."""
_NONE = Outcomes()


class Fate(StrEnum):
    WELL = "well"
    NOT_JOINED = "never joined the pool"
    VANISHED = "left the pool as soon as they had joined"
    BURNED = "failed job after job"


Lot = tuple[KnownInstance, Fate | None]
"""A machine and what became of it; None where that tells nothing, or not yet."""
Failure = tuple[KnownInstance, Fate]


class Experience:
    """Of one snapshot; routes and annexes ask one after the other, and what was looked through is kept."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._of_route: dict[tuple[object, ...], tuple[Lot, ...]] = {}

    @cached_property
    def failed(self) -> int:
        """How many machines may have failed, at most: where they are few, none has to be looked at closely."""
        early = sum(
            known.joined is None or known.gone - known.joined < _VANISHED
            for known in self._snapshot.known
            if known.gone
        )
        return early + sum(had.burned > 0 for had in self._snapshot.outcomes.values())

    @cached_property
    def _known(self) -> dict[str, list[KnownInstance]]:
        """By annex id, in the order of their launch."""
        found: dict[str, list[KnownInstance]] = {}
        for known in sorted(self._snapshot.known, key=lambda known: (known.launched, known.id)):
            found.setdefault(known.annex, []).append(known)
        return found

    @cached_property
    def _annexes(self) -> dict[tuple[str, str], list[Annex]]:
        """By route and place, those whose machines are as the route says."""
        found: dict[tuple[str, str], list[Annex]] = {}
        for annex in self._snapshot.annexes.values():
            if not annex.pilot and not _TOUCHED & annex.overrides.keys():
                found.setdefault((annex.route, annex.place), []).append(annex)
        return found

    @cached_property
    def _fallen_back(self) -> list[KnownInstance]:
        """Machines of another image than their annex's own route has: another route's, or what that one had before."""
        routes = self._snapshot.routes
        images = {route.name: image_of(route, self._snapshot) for route in routes.values() if route.fallback}
        return [
            known
            for annexes in self._annexes.values()
            for annex in annexes
            if annex.route in images
            for known in self._known.get(annex.id, ())
            if known.image and known.image != images[annex.route]
        ]

    def of_annex(self, annex: Annex, idle_timeout: timedelta) -> Sequence[Lot]:
        """All that there were in its life."""
        if annex.pilot:
            return []
        return [(known, self.fate(known, idle_timeout)) for known in self._known.get(annex.id, ())]

    def of_route(self, route: Route) -> Sequence[Lot]:
        """Those of the last day, of all annexes of the route, that booted its image as it is now."""
        image = image_of(route, self._snapshot)
        key = route.name, route.place, image, route.idle_timeout
        if key not in self._of_route:
            own = (
                known
                for annex in self._annexes.get((route.name, route.place), ())
                for known in self._known.get(annex.id, ())
            )
            lots = [
                (known, self.fate(known, route.idle_timeout))
                for known in {known.id: known for known in (*own, *self._fallen_back)}.values()
                if known.image == image and self._snapshot.at - known.launched < _REMEMBERED
            ]
            self._of_route[key] = tuple(sorted(lots, key=lambda lot: (lot[0].launched, lot[0].id)))
        return self._of_route[key]

    def fate(self, known: KnownInstance, idle_timeout: timedelta) -> Fate | None:
        """
        Args:
            idle_timeout: A machine that leaves by itself has had no job for so long.
        """
        if known.interrupted:
            return None
        if known.joined is None:
            return Fate.NOT_JOINED if known.gone else None
        had = self._snapshot.outcomes.get(known.id, _NONE)
        if had.burned and self.burns(known):
            return Fate.BURNED
        if known.gone and not (had.well or had.burned or known.drained) and known.gone - known.joined < _VANISHED:
            return Fate.VANISHED if idle_timeout >= 2 * _VANISHED else None
        return Fate.WELL

    def burns(self, known: KnownInstance) -> bool:
        """
        Job after job has failed on it at once, and jobs of its annex went well on another machine.

        Without the second it may as well be the jobs, which nobody but their owner can mend.
        """
        had = self._snapshot.outcomes.get(known.id, _NONE)
        if had.well or had.burned < BURNS_FROM:
            return False
        others = self._known.get(known.annex, ())
        return any(each.id != known.id and self._snapshot.outcomes.get(each.id, _NONE).well for each in others)

    def burning(self) -> list[KnownInstance]:
        """Machines that are there and run no job well."""
        if not self._snapshot.outcomes:
            return []
        return [known for known in self._snapshot.known if known.gone is None and known.joined and self.burns(known)]


def in_a_row(lots: Iterable[Lot]) -> list[Failure]:
    """The failures since the last machine that worked."""
    found: list[Failure] = []
    for known, how in lots:
        if how is Fate.WELL:
            found = []
        elif how:
            found.append((known, how))
    return found
