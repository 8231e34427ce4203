"""
What AWS has just had none of is left alone for a while, by every annex; then it is tried again with one machine.

The first no puts a type in a zone aside for two minutes, a quota for five, each further one for twice as long, an hour
at most; whatever it was, it is forgotten when nobody has met it again for some hours. A machine that AWS gives ends it
at once.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from annex_core.model.annex import Launch
from annex_core.model.place import Place
from annex_core.model.quota import vcpu_class
from annex_core.model.route import Market, Route
from annex_core.model.setback import Setback, Subject
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import clause, sold

FIRST = timedelta(minutes=2)
FIRST_OF_QUOTA = timedelta(minutes=5)
LONGEST = timedelta(hours=1)
"""The least and the most that something is put aside for: a quota is raised, or machines under it end, less often than
capacity comes back."""
FORGOTTEN = timedelta(hours=3)
"""So long after it could have been tried again and was not, nobody knows any more; a later no is a first one."""
_SERIES = timedelta(hours=1)
"""A no that comes so soon after the last one goes on from there, a machine that came between the two or not."""

Pool = tuple[str, str]
"""An instance type in a zone."""
Way = tuple[tuple[str, ...], int]
"""Types that any of will do, and how many machines."""

_TRIED = "one machine is asked for, to see whether there are any again"
_NOT_OFFERED = "the zone does not have it"
_NAMED = 4
"""Types that a sentence names."""


def penalty(setback: Setback) -> timedelta:
    first = FIRST if setback.subject.type or setback.subject.zone else FIRST_OF_QUOTA
    return min(first * (1 << min(setback.tries - 1, 10)), LONGEST)


def until(setback: Setback) -> datetime:
    """When it may be tried again."""
    return setback.last + penalty(setback)


def set_back(before: Setback | None, subject: Subject, why: str, at: datetime) -> Setback:
    """One no more; several at about the same time, of launches that went out together, are one."""
    if before is None or _over(before, at):
        return Setback(subject, why, since=at, last=at)
    if at < until(before) and before.stands:
        return before
    since = before.since if before.stands else at
    return Setback(subject, why, since=since, last=at, tries=before.tries + 1)


def _over(setback: Setback, at: datetime) -> bool:
    if setback.stands:
        return at >= until(setback) + FORGOTTEN
    return at - setback.last >= _SERIES


@dataclass(frozen=True)
class Shortages:
    """What of a route's types AWS lacks, and what of that may be tried again."""

    aside: Mapping[str, str] = field(default_factory=dict)
    """Types that are not to be asked for now at all, and why."""
    left_out: Mapping[Pool, str] = field(default_factory=dict)
    """Of the other types, the zones that they are not to be asked for in."""
    trial: frozenset[str] = frozenset()
    """Types of which one machine may be asked for, to see whether there are any again."""
    since: Mapping[str, datetime] = field(default_factory=dict)
    """Since when there has been none in any zone, of those that are aside or on trial."""
    reason: str | None = None
    """All of *aside* in a sentence for users, its times those of the next tries; None where nothing is aside."""

    @property
    def short(self) -> frozenset[str]:
        """Types that nobody can count on."""
        return frozenset(self.since)


def aside(route: Route, snapshot: Snapshot) -> dict[str | Pool, str]:
    """What the route may not ask for now, as types and as types in a zone, and why."""
    found = shortages(route, snapshot)
    return dict([*found.aside.items(), *found.left_out.items()])


def shortages(route: Route, snapshot: Snapshot) -> Shortages:
    """For the market that the route buys on; one that buys on two is asked for each."""
    market = Market.ON_DEMAND if route.market is Market.ON_DEMAND else Market.SPOT
    standing = _standing(route.place, market, snapshot)
    offered = snapshot.offered.get(route.place, {})
    if not standing and not offered:
        return Shortages()
    tried = _being_tried(route.place, market, snapshot)
    zones = _zones(route, snapshot)
    left: dict[str, str] = {}
    next_try: dict[str, Setback] = {}
    tried_now: list[str] = []
    out: dict[Pool, str] = {}
    trial: set[str] = set()
    since: dict[str, datetime] = {}
    nowhere: list[str] = []
    for name in route.instance_types:
        has = [zone for zone in zones if not zone or name not in offered or zone in offered[name]]
        out |= {(name, zone): _NOT_OFFERED for zone in zones if zone not in has}
        if not has:
            nowhere.append(name)
            left[name] = _NOT_OFFERED
            continue
        by_zone = {zone: _worst(standing, name, zone) for zone in has}
        held = {zone: setback for zone, setback in by_zone.items() if setback}
        if len(held) < len(by_zone):
            out |= {(name, zone): each.why for zone, each in held.items() if snapshot.at < until(each)}
            continue
        since[name] = max(each.since for each in held.values())
        waits = {zone: each for zone, each in held.items() if snapshot.at < until(each)}
        if len(waits) == len(held):
            next_try[name] = min(waits.values(), key=until)
            left[name] = next_try[name].why
        elif any(launch_type == name for launch_type, _ in tried):
            tried_now.append(name)
            left[name] = _TRIED
        else:
            trial.add(name)
            out |= {(name, zone): each.why for zone, each in waits.items()}
    out = {pool: why for pool, why in out.items() if pool[0] not in left}
    return Shortages(left, out, frozenset(trial), since, _reason(next_try, tried_now, nowhere, route))


def to_be_had(ways: Iterable[Way], route: Route, snapshot: Snapshot) -> tuple[tuple[Way, ...], str | None]:
    """
    Of types that any of will do, with how many machines of them, those that may be asked for now.

    Returns:
        Beside them why there is none, where there is none.
    """
    found = shortages(route, snapshot)
    left = []
    for types, machines in ways:
        names = tuple(name for name in types if name not in found.aside)
        if names:
            left.append((names, 1 if found.trial.issuperset(names) else machines))
    return tuple(left), found.reason


def tried(types: Collection[str], route: Route) -> str:
    return f"AWS had no {sold(route.market)} {_some(types)} in {route.place}; {_TRIED}"


def _reason(
    next_try: Mapping[str, Setback], tried_now: Sequence[str], nowhere: Sequence[str], route: Route
) -> str | None:
    """No moment in it is nearer than what it is about: it stays the same from cycle to cycle."""
    quotas = [each.why for each in next_try.values() if not each.subject.type]
    said = list(dict.fromkeys(map(clause, quotas)))
    empty = {name: each for name, each in next_try.items() if each.subject.type}
    if empty:
        again = min(map(until, empty.values()))
        what = f"{sold(route.market)} {_some(empty)} in {route.place}"
        said.append(f"AWS has no {what} now; it is asked for again at {again:%H:%M} UTC at the earliest")
    if tried_now and not empty:
        said.append(tried(tried_now, route))
    if nowhere:
        said.append(f"no zone of the subnets of route {route.name} has {_some(nowhere)} at all")
    return "; ".join(said) or None


def _some(names: Collection[str]) -> str:
    few = sorted(names)[:_NAMED]
    return ", ".join(few) + (f" and {len(names) - len(few)} types more" if len(names) > len(few) else "")


def _standing(place: Place, market: Market, snapshot: Snapshot) -> Mapping[Subject, Setback]:
    return {
        each.subject: each
        for each in snapshot.setbacks
        if each.subject.place == place
        and each.subject.market is market
        and each.stands
        and not _over(each, snapshot.at)
    }


def _zones(route: Route, snapshot: Snapshot) -> tuple[str, ...]:
    """Of the route's subnets; one of an empty name where they are not known."""
    known = snapshot.zones.get(route.place, {})
    return route.zones(known) or ("",)


def _worst(standing: Mapping[Subject, Setback], name: str, zone: str) -> Setback | None:
    """The no that holds longest for a type in a zone."""
    if not standing:
        return None
    some = next(iter(standing))
    kind = vcpu_class(name)
    subjects = [
        Subject(some.place, some.market),
        Subject(some.place, some.market, type=name),
        Subject(some.place, some.market, type=name, zone=zone),
        Subject(some.place, some.market, zone=zone),
    ]
    if kind:
        subjects.append(Subject(some.place, some.market, quota=kind.name))
    found = [standing[each] for each in subjects if each in standing]
    return max(found, key=until, default=None)


def _being_tried(place: Place, market: Market, snapshot: Snapshot) -> set[Pool]:
    """Pools that a launch which is still open may draw from."""
    brought: dict[str, int] = {}
    for known in snapshot.known:
        if known.token:
            brought[known.token] = brought.get(known.token, 0) + 1
    return {
        pool
        for launch in snapshot.launches
        if launch.place == place
        and launch.market is market
        and launch.may_bring
        and brought.get(launch.token, 0) < launch.target
        for pool in _pools(launch)
    }


def _pools(launch: Launch) -> Iterable[Pool]:
    return launch.pools or [(name, "") for name in launch.types]
