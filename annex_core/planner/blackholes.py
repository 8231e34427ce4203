"""
Black holes: an image, a type or a zone whose machines don't join, vanish as soon as they have, or fail job after job.

After a few in a row nothing more is asked for there; it is said, loudly; and it is tried again with one machine after a
time that doubles with each further failure. One that works ends it, and so does a day without any.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance
from annex_core.model.plan import Retag
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.experience import Experience, Failure, Fate, Lot, in_a_row
from annex_core.planner.holdings import Holding
from annex_core.planner.retagging import tagged
from annex_core.planner.shortages import Pool, Shortages

A_FEW = 3
"""So many failures in a row are no accident."""
_FIRST, _LONGEST = timedelta(minutes=30), timedelta(hours=8)


@dataclass(frozen=True)
class Hole:
    what: str
    failures: tuple[KnownInstance, ...]
    """In a row, oldest first."""
    how: str

    @property
    def last(self) -> datetime:
        return max(each.gone or each.launched for each in self.failures)

    @property
    def until(self) -> datetime:
        """When one is tried again."""
        return self.last + pause(len(self.failures))

    def __str__(self) -> str:
        return f"the last {len(self.failures)} machines of {self.what} {self.how}"


@dataclass(frozen=True)
class Holes:
    """What a route may not ask for, as planner/shortages.py says what AWS has none of."""

    image: Hole | None = None
    """All of it, then."""
    types: Mapping[str, Hole] = field(default_factory=dict)
    pools: Mapping[Pool, Hole] = field(default_factory=dict)
    aside: Mapping[str, str] = field(default_factory=dict)
    """Types that are not to be asked for now, and why."""
    left_out: Mapping[Pool, str] = field(default_factory=dict)
    """Zones that other types are not to be asked for in."""
    trial: frozenset[str] = frozenset()
    """Types of which one machine may be asked for."""
    closed: str | None = None
    """Why nothing may be asked for at all now."""

    @property
    def alone(self) -> bool:
        """One machine may be asked for, of whatever type."""
        return self.image is not None and self.closed is None

    @property
    def explained(self) -> frozenset[str]:
        """Machines whose failures are their type's or their zone's, and no fault of their annex."""
        return frozenset(each.id for hole in [*self.types.values(), *self.pools.values()] for each in hole.failures)


@dataclass(frozen=True)
class _Found:
    """The holes of a route, whatever may be tried again by now."""

    image: Hole | None = None
    types: Mapping[str, Hole] = field(default_factory=dict)
    pools: Mapping[Pool, Hole] = field(default_factory=dict)


class BlackHoles:
    """Those of one snapshot, looked for once for each route."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._experience = Experience(snapshot)
        self._found: dict[tuple[object, ...], _Found] = {}

    def of(self, route: Route, snapshot: Snapshot) -> Holes:
        """
        By what the machines of all annexes of the route tell that booted its image as it is now.

        Args:
            snapshot: With what the plan has asked for so far: of two annexes one tries.
        """
        if self._experience.failed < A_FEW:
            return Holes()
        lots = self._experience.of_route(route)
        key = route.name, route.place, route.image, route.idle_timeout, route.instance_types
        if key not in self._found:
            self._found[key] = _search(lots, route)
        found = self._found[key]
        if found.image:
            return _of_image(found.image, lots, route, snapshot)
        return _of_parts(found, lots, snapshot) if found.types or found.pools else Holes()

    def of_annex(self, annex: Annex, route: Route, seen: Holes) -> list[Failure]:
        """Its own failures in a row that are no fault of their type or zone; none where they are too few to matter."""
        if self._experience.failed < A_FEW:
            return []
        lots, explained = self._experience.of_annex(annex, route.idle_timeout), seen.explained
        return in_a_row(lot for lot in lots if lot[0].id not in explained)

    def closed(self, annex: Annex, route: Route, held: Holding, snapshot: Snapshot) -> str | None:
        """Why an annex may ask for nothing at all now: its own machines have failed, or all of the route's."""
        seen = self.of(route, snapshot)
        failed = self.of_annex(annex, route, seen)
        if len(failed) >= A_FEW:
            last = max(known.gone or known.launched for known, _ in failed)
            tried = held.coming or any(known.joined is None for known in held.instances)
            if snapshot.at - last < pause(len(failed)) or tried:
                how = "started and " + _told(failed)[1]
                return f"{len(failed)} machines in a row {how}; its administrator has to look"
        return seen.closed

    def drained(self, annex: Annex, snapshot: Snapshot) -> list[Retag]:
        """Machines that fail job after job get no more of them."""
        burning = self._experience.burning()
        ids = tuple(known.id for known in burning if known.annex == annex.id and not known.leaving)
        return tagged(annex, (tags.DRAINING, tags.stamp(snapshot.at)), ids, snapshot)

    def troubles(self, snapshot: Snapshot) -> list[str]:
        """For the log and for administrators, a sentence each."""
        found: dict[str, None] = {}
        for route in snapshot.routes.values():
            seen = self.of(route, snapshot)
            every = [seen.image, *seen.types.values(), *seen.pools.values()]
            found |= dict.fromkeys(f"route {route.name} in {route.place}: {hole}" for hole in every if hole)
        burning = self._experience.burning()
        return [*found, *(f"machine {each.id} fails job after job, and gets no more" for each in burning)]


def widened(short: Shortages, seen: Holes, reclaimed: Mapping[Pool, str]) -> Shortages:
    """What AWS has none of, and beside it what nothing comes of and what AWS has just taken back."""
    if not seen.aside and not seen.left_out and not reclaimed:
        return short
    words = [*([short.reason] if short.reason else []), *dict.fromkeys(seen.aside.values())]
    return replace(
        short,
        aside={**seen.aside, **short.aside},
        left_out={**reclaimed, **seen.left_out, **short.left_out},
        reason="; ".join(words) or None,
    )


def pause(failures: int) -> timedelta:
    return min(_FIRST * (1 << min(max(failures - A_FEW, 0), 10)), _LONGEST)


def _search(lots: Sequence[Lot], route: Route) -> _Found:
    """The widest that no machine which works speaks against."""
    if sum(how not in {None, Fate.WELL} for _, how in lots) < A_FEW:
        return _Found()
    failures, well = in_a_row(lots), [known for known, how in lots if how is Fate.WELL]
    if len(failures) >= A_FEW and not _narrower(failures, well):
        return _Found(image=Hole(f"image {route.image} by route {route.name}", *_told(failures)))
    types: dict[str, Hole] = {}
    pools: dict[Pool, Hole] = {}
    for name in dict.fromkeys(known.type for known, _ in lots):
        of_type = [lot for lot in lots if lot[0].type == name]
        failures = in_a_row(of_type)
        zones = {known.zone for known, _ in failures}
        if len(failures) < A_FEW:
            continue
        if any(known.type == name and known.zone not in zones for known in well):
            for zone in sorted(zones):
                of_pool = in_a_row(lot for lot in of_type if lot[0].zone == zone)
                if len(of_pool) >= A_FEW:
                    pools[name, zone] = Hole(f"type {name} in {zone}", *_told(of_pool))
        else:
            types[name] = Hole(f"type {name}", *_told(failures))
    for zone in dict.fromkeys(known.zone for known, _ in lots):
        failures = in_a_row(lot for lot in lots if lot[0].zone == zone)
        several = len({known.type for known, _ in failures}) > 1
        if len(failures) >= A_FEW and several and any(known.zone != zone for known in well):
            hole = Hole(f"zone {zone}", *_told(failures))
            pools |= {(name, zone): hole for name in route.instance_types}
    return _Found(types=types, pools=pools)


def _narrower(failures: Sequence[Failure], well: Sequence[KnownInstance]) -> bool:
    """Machines of another type or in another zone have worked: it is not the image."""
    types, zones = {known.type for known, _ in failures}, {known.zone for known, _ in failures}
    return any(known.type not in types or known.zone not in zones for known in well)


def _told(failures: Sequence[Failure]) -> tuple[tuple[KnownInstance, ...], str]:
    how = dict.fromkeys(each.value for _, each in failures)
    return tuple(known for known, _ in failures), " or ".join(how)


def _of_image(hole: Hole, lots: Sequence[Lot], route: Route, snapshot: Snapshot) -> Holes:
    if snapshot.at < hole.until:
        return Holes(image=hole, closed=_again(hole))
    own = {annex.id: annex.route for annex in snapshot.annexes.values()}
    booting = any(how is None and known.launched > hole.last and not known.gone for known, how in lots)
    if booting or any(
        each.may_bring and (each.route or own.get(each.annex)) == route.name and each.intended > hole.last
        for each in snapshot.launches
    ):
        return Holes(image=hole, closed=f"{hole}; one is tried")
    return Holes(image=hole)


def _of_parts(found: _Found, lots: Sequence[Lot], snapshot: Snapshot) -> Holes:
    aside: dict[str, str] = {}
    trial: set[str] = set()
    for name, hole in found.types.items():
        if snapshot.at < hole.until:
            aside[name] = _again(hole)
        elif _is_tried(name, hole, lots, snapshot):
            aside[name] = f"{hole}; one is tried"
        else:
            trial.add(name)
    left_out = {pool: _again(hole) for pool, hole in found.pools.items() if snapshot.at < hole.until}
    return Holes(types=found.types, pools=found.pools, aside=aside, left_out=left_out, trial=frozenset(trial))


def _is_tried(name: str, hole: Hole, lots: Sequence[Lot], snapshot: Snapshot) -> bool:
    since = hole.last
    booting = any(
        known.type == name and how is None and not known.gone and known.launched > since for known, how in lots
    )
    return booting or any(each.may_bring and name in each.types and each.intended > since for each in snapshot.launches)


def _again(hole: Hole) -> str:
    return f"{hole}; one is tried again at {hole.until:%H:%M} UTC, and the pool's administrator has to look"
