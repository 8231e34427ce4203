"""
Black holes: an image, a type or a zone whose machines don't join, vanish as soon as they have, or fail job after job.

After a few in a row nothing more is asked for there; it is said, loudly; and it is tried again with one machine after a
time that doubles with each further failure. One that works ends it, and so does a day without any.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance
from annex_core.model.outcomes import Outcomes
from annex_core.model.plan import Retag
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.holdings import Holding
from annex_core.planner.shortages import Shortages

A_FEW = 3
"""So many failures in a row are no accident."""
BURNS_FROM = 5
"""A machine on which so many jobs failed within a moment, and none went well, runs no job."""
_FIRST, _LONGEST = timedelta(minutes=30), timedelta(hours=8)
_REMEMBERED = timedelta(hours=24)
_VANISHED = timedelta(minutes=2)
"""A machine that joined and has no work stays for AnnexIdleTimeout; one that is gone so soon did not leave for that."""
_TOUCHED = frozenset({"user_data", "default_user_data", "config_files", "fleet_config", "security_groups", "subnets"})
"""What a create by hand may have changed that keeps machines from joining: they tell of themselves alone."""

Pool = tuple[str, str]
"""An instance type in a zone."""


class Fate(StrEnum):
    WELL = "well"
    NOT_JOINED = "never joined the pool"
    VANISHED = "left the pool as soon as they had joined"
    BURNED = "failed job after job"


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


def closed(annex: Annex, route: Route, held: Holding, snapshot: Snapshot) -> str | None:
    """Why an annex may ask for nothing at all now: its own machines have failed, or all of the route's."""
    seen = holes(route, snapshot)
    failed = of_annex(annex, route, snapshot, seen)
    if len(failed) >= A_FEW:
        last = max(known.gone or known.launched for known, _ in failed)
        tried = held.coming or any(known.joined is None for known in held.instances)
        if snapshot.at - last < pause(len(failed)) or tried:
            how = "started and " + _told(failed)[1]
            return f"{len(failed)} machines in a row {how}; its administrator has to look"
    return seen.closed


def of_annex(annex: Annex, route: Route, snapshot: Snapshot, seen: Holes) -> list[tuple[KnownInstance, Fate]]:
    """Its own failures in a row that are not their type's or their zone's."""
    mine = [known for known in snapshot.known if known.annex == annex.id and known.id not in seen.explained]
    mine.sort(key=lambda known: (known.launched, known.id))
    return _in_a_row((known, fate(known, annex, route.idle_timeout, snapshot)) for known in mine)


def widened(short: Shortages, seen: Holes) -> Shortages:
    """What AWS has none of, and beside it what nothing comes of."""
    if not seen.aside and not seen.left_out:
        return short
    words = [*([short.reason] if short.reason else []), *dict.fromkeys(seen.aside.values())]
    return replace(
        short,
        aside={**seen.aside, **short.aside},
        left_out={**seen.left_out, **short.left_out},
        reason="; ".join(words) or None,
    )


def drained(annex: Annex, snapshot: Snapshot) -> list[Retag]:
    """Machines that fail job after job get no more of them."""
    ids = tuple(known.id for known in burning(snapshot) if known.annex == annex.id and not known.leaving)
    return [Retag(annex, ((((tags.DRAINING, tags.stamp(snapshot.at)),), ids),))] if ids else []


def pause(failures: int) -> timedelta:
    return min(_FIRST * (1 << min(max(failures - A_FEW, 0), 10)), _LONGEST)


def fate(known: KnownInstance, annex: Annex, idle_timeout: timedelta, snapshot: Snapshot) -> Fate | None:
    """What became of a machine; None where that tells nothing, or not yet."""
    if annex.pilot or known.interrupted:
        return None
    had = snapshot.outcomes.get(known.id, Outcomes())
    if known.joined is None:
        return Fate.NOT_JOINED if known.gone else None
    if burns(known, snapshot):
        return Fate.BURNED
    ran = had.well or had.burned or known.drained
    if known.gone and not ran and known.gone - known.joined < min(_VANISHED, idle_timeout / 2):
        return Fate.VANISHED if idle_timeout >= 2 * _VANISHED else None
    return Fate.WELL


def burns(known: KnownInstance, snapshot: Snapshot) -> bool:
    """
    Job after job has failed on it at once, and jobs of its annex went well on another machine.

    Without the second it may as well be the jobs, which nobody but their owner can mend.
    """
    had = snapshot.outcomes.get(known.id, Outcomes())
    if had.well or had.burned < BURNS_FROM:
        return False
    return any(
        each.annex == known.annex and each.id != known.id and snapshot.outcomes.get(each.id, Outcomes()).well
        for each in snapshot.known
    )


def holes(route: Route, snapshot: Snapshot) -> Holes:
    """By what the machines of all annexes of the route tell that booted its image as it is now."""
    if (
        sum(known.joined is None or known.id in snapshot.outcomes or known.gone is not None for known in snapshot.known)
        < A_FEW
    ):
        return Holes()
    image = snapshot.images.get((route.place, route.image), route.image)
    fates = _fates(route, image, snapshot)
    failures = _in_a_row(fates)
    if not failures:
        return Holes()
    well = [known for known, how in fates if how is Fate.WELL]
    if len(failures) >= A_FEW and not _narrower(failures, well):
        return _of_image(Hole(f"image {route.image} by route {route.name}", *_told(failures)), fates, route, snapshot)
    return _of_parts(fates, well, route, snapshot)


def _fates(route: Route, image: str, snapshot: Snapshot) -> list[tuple[KnownInstance, Fate | None]]:
    """Of the machines in question, in the order of their launch."""
    annexes = {
        annex.id: annex
        for annex in snapshot.annexes.values()
        if annex.route == route.name and annex.place == route.place and not _TOUCHED & annex.overrides.keys()
    }
    mine = [
        known
        for known in snapshot.known
        if known.annex in annexes and known.image == image and snapshot.at - known.launched < _REMEMBERED
    ]
    mine.sort(key=lambda known: (known.launched, known.id))
    return [(known, fate(known, annexes[known.annex], route.idle_timeout, snapshot)) for known in mine]


def _in_a_row(fates: Iterable[tuple[KnownInstance, Fate | None]]) -> list[tuple[KnownInstance, Fate]]:
    """The failures since the last machine that worked."""
    found: list[tuple[KnownInstance, Fate]] = []
    for known, how in fates:
        if how is Fate.WELL:
            found = []
        elif how:
            found.append((known, how))
    return found


def _narrower(failures: Sequence[tuple[KnownInstance, Fate]], well: Sequence[KnownInstance]) -> bool:
    """Machines of another type or in another zone have worked: it is not the image."""
    types, zones = {known.type for known, _ in failures}, {known.zone for known, _ in failures}
    return any(known.type not in types or known.zone not in zones for known in well)


def _told(failures: Sequence[tuple[KnownInstance, Fate]]) -> tuple[tuple[KnownInstance, ...], str]:
    how = dict.fromkeys(each.value for _, each in failures)
    return tuple(known for known, _ in failures), " or ".join(how)


def _of_image(
    hole: Hole, fates: Iterable[tuple[KnownInstance, Fate | None]], route: Route, snapshot: Snapshot
) -> Holes:
    if snapshot.at < hole.until:
        return Holes(image=hole, closed=_again(hole))
    if any(how is None and known.launched > hole.last and not known.gone for known, how in fates):
        return Holes(image=hole, closed=f"{hole}; one is tried")
    mine = {annex.id for annex in snapshot.annexes.values() if annex.route == route.name}
    if any(each.may_bring and each.annex in mine and each.intended > hole.last for each in snapshot.launches):
        return Holes(image=hole, closed=f"{hole}; one is tried")
    return Holes(image=hole)


def _of_parts(
    fates: Sequence[tuple[KnownInstance, Fate | None]], well: Sequence[KnownInstance], route: Route, snapshot: Snapshot
) -> Holes:
    types: dict[str, Hole] = {}
    pools: dict[Pool, Hole] = {}
    for name in dict.fromkeys(known.type for known, _ in fates):
        of_type = [(known, how) for known, how in fates if known.type == name]
        failures = _in_a_row(of_type)
        if len(failures) < A_FEW:
            continue
        zones = {known.zone for known, _ in failures}
        if any(known.type == name and known.zone not in zones for known in well):
            for zone in sorted(zones):
                of_pool = _in_a_row([(known, how) for known, how in of_type if known.zone == zone])
                if len(of_pool) >= A_FEW:
                    pools[name, zone] = Hole(f"type {name} in {zone}", *_told(of_pool))
        else:
            types[name] = Hole(f"type {name}", *_told(failures))
    for zone in dict.fromkeys(known.zone for known, _ in fates):
        failures = _in_a_row([(known, how) for known, how in fates if known.zone == zone])
        if len(failures) >= A_FEW and any(known.zone != zone for known in well):
            hole = Hole(f"zone {zone}", *_told(failures))
            if len({known.type for known, _ in failures}) > 1:
                pools |= {(name, zone): hole for name in route.instance_types}
    return _judged(types, pools, fates, snapshot)


def _judged(
    types: Mapping[str, Hole],
    pools: Mapping[Pool, Hole],
    fates: Sequence[tuple[KnownInstance, Fate | None]],
    snapshot: Snapshot,
) -> Holes:
    aside: dict[str, str] = {}
    trial: set[str] = set()
    for name, hole in types.items():
        if snapshot.at < hole.until:
            aside[name] = _again(hole)
        elif _is_tried(name, hole, fates, snapshot):
            aside[name] = f"{hole}; one is tried"
        else:
            trial.add(name)
    left_out = {pool: _again(hole) for pool, hole in pools.items() if snapshot.at < hole.until}
    return Holes(types=types, pools=pools, aside=aside, left_out=left_out, trial=frozenset(trial))


def _is_tried(name: str, hole: Hole, fates: Sequence[tuple[KnownInstance, Fate | None]], snapshot: Snapshot) -> bool:
    return any(
        known.type == name and how is None and not known.gone and known.launched > hole.last for known, how in fates
    ) or any(each.may_bring and name in each.types and each.intended > hole.last for each in snapshot.launches)


def _again(hole: Hole) -> str:
    return f"{hole}; one is tried again at {hole.until:%H:%M} UTC, and the pool's administrator has to look"


def troubles(snapshot: Snapshot) -> list[str]:
    """For the log and for administrators, a sentence each."""
    found: dict[str, None] = {}
    for route in snapshot.routes.values():
        seen = holes(route, snapshot)
        every = [seen.image, *seen.types.values(), *seen.pools.values()]
        found |= dict.fromkeys(f"route {route.name} in {route.place}: {hole}" for hole in every if hole)
    return [*found, *(f"machine {each.id} fails job after job, and gets no more" for each in burning(snapshot))]


def burning(snapshot: Snapshot) -> list[KnownInstance]:
    """Machines that are there and run no job well."""
    if not snapshot.outcomes:
        return []
    return [known for known in snapshot.known if known.gone is None and known.joined and burns(known, snapshot)]
