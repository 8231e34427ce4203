"""What each annex holds: instances by their state of life, what is still on its way, and the room for more jobs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import JobCounts
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Instance, InstanceState, Slot
from annex_core.planner.places import homes, places_of, types_of
from annex_core.planner.virtual_slot import usable_cpus, usable_disk_kib, usable_gpus, usable_memory_mib

_ALIVE = {InstanceState.PENDING, InstanceState.RUNNING, InstanceState.STOPPING, InstanceState.STOPPED}
_USUALLY_FILLED = timedelta(seconds=30)
_CLOCK_SKEW = timedelta(minutes=2)
REQUESTS_LISTED = timedelta(seconds=30)
"""A fleet request has its spot requests only seconds later: to close it at once would find none and leave them open."""
ADVERTISED_AGAIN = timedelta(minutes=5)
"""So long after it was away, the annex collector has heard of all execution points that there are, whatever their
route."""
_ONCE_AT_LEAST = timedelta(seconds=90)
"""None advertises less often than each minute."""
NO_START = timedelta(minutes=2)
"""Before a lease's or a machine's end no job is started (START in bundle/annex.config)."""
_LAST_JOB = NO_START + timedelta(minutes=1)
LISTED_SURELY = timedelta(minutes=1)
"""EC2 may list what has just begun in one answer and not in the next."""


def advertised_again(snapshot: Snapshot) -> timedelta:
    """
    How long after it was away the annex collector has heard of all execution points of the annexes.

    Source:
        UPDATE_INTERVAL in bundle/annex.config: a fifth of the idle time-out, a minute at most.
    """
    routes = [snapshot.routes.get(annex.route) for annex in snapshot.annexes.values()]
    longest = max((route.idle_timeout if route else ADVERTISED_AGAIN for route in routes), default=ADVERTISED_AGAIN)
    return min(max(longest, _ONCE_AT_LEAST), ADVERTISED_AGAIN)


class Room(NamedTuple):
    """Room for jobs on one machine that is there or on its way."""

    types: tuple[str, ...]
    """What the machine is, or may turn out to be."""
    cpus: int
    memory_mib: int
    disk_kib: int
    gpus: int


@dataclass(frozen=True)
class Holding:
    """One annex's supply. Nothing here is a guess downwards: what may still come is counted as coming."""

    instances: tuple[KnownInstance, ...] = ()
    """Alive at AWS."""
    joined: frozenset[str] = frozenset()
    """Ids of those with a slot in the annex collector, by the identity the collector stamped."""
    outstanding: tuple[tuple[Launch, int], ...] = ()
    """Launches that may still bring instances, and how many."""
    rooms: tuple[Room, ...] = ()

    @property
    def taken_back(self) -> int:
        """Machines that AWS has given notice and that are still there."""
        return sum(known.interrupted is not None for known in self.instances)

    @property
    def coming(self) -> int:
        return sum(count for _, count in self.outstanding)


def attribute(
    instances: Iterable[Instance], launches: Sequence[Launch], seen: Mapping[str, KnownInstance]
) -> dict[str, Launch | None]:
    """
    Say which launch each instance came of.

    By the client token in its tags, which what comes of EC2 Fleet and RunInstances carries; by the fleet that AWS's own
    tag names; until that tag is there, minutes after boot, it is a guess: the oldest
    launch of the same annex and type that was intended before the instance began and has brought less than it asked
    for, one that is still open before one that was given up.

    Args:
        instances: Of one annex.
        launches: Of that annex.
        seen: What earlier listings already attributed, by instance id; that stands until the tag says otherwise.

    Returns:
        The launch by instance id; None where none fits.
    """
    by_token = {launch.token: launch for launch in launches}
    by_fleet = {launch.fleet: launch for launch in launches if launch.fleet}
    brought = dict.fromkeys(by_token, 0)
    for known in seen.values():
        if known.token in brought:
            brought[known.token] += 1
    found: dict[str, Launch | None] = {}
    once = {instance.id: instance for instance in instances}  # a page may tell again what another one told
    for instance in sorted(once.values(), key=lambda each: (each.launched, each.id)):
        before = seen[instance.id].token if instance.id in seen else None
        launch = by_token.get(instance.client_token or "") or by_fleet.get(instance.fleet or "")
        if launch is None and before:
            launch = by_token.get(before)
        elif launch is None:
            launch = _guess(instance, launches, brought)
        if launch is not None and launch.token != before:
            brought[launch.token] += 1
            if before in brought:
                brought[before] -= 1
        found[instance.id] = launch
    return found


def _guess(instance: Instance, launches: Iterable[Launch], brought: Mapping[str, int]) -> Launch | None:
    """A launch that AWS refused brought nothing, and one that was given up nothing that began later."""
    could = [
        each
        for each in launches
        if brought[each.token] < each.target
        and instance.type in each.types
        and each.state is not LaunchState.REFUSED
        and each.intended - _CLOCK_SKEW <= instance.launched
        and (each.closed is None or instance.launched <= each.closed + _CLOCK_SKEW)
    ]
    return min(could, key=lambda each: (not each.may_bring, each.intended), default=None)


def remember(snapshot: Snapshot) -> tuple[KnownInstance, ...]:
    """
    What the journal should know of instances after this snapshot: new ones attributed, joined and gone ones marked.

    Returns:
        Only records that differ from the snapshot's own.
    """
    changed: list[KnownInstance] = []
    for key, annex in snapshot.annexes.items():
        views = [snapshot.regions[place] for place in places_of(annex, snapshot) if place in snapshot.regions]
        if not views:
            continue
        listed = [instance for view in views for instance in _of(view, key, snapshot)]
        launches = snapshot.launches_of(annex)
        mine = {known.id: known for known in snapshot.known_of(annex)}
        origin = attribute(listed, launches, mine)
        slots = snapshot.slots_of(key)
        joined, noticed = _instances(slots), _instances(slot for slot in slots if slot.interrupted_at)
        for instance in listed:
            now = _updated(instance, mine.get(instance.id), origin[instance.id], annex, joined, snapshot)
            now = _told_to_leave(now, instance, noticed, snapshot.at)
            changed += [now] if now != mine.get(instance.id) else []
        here = {instance.id for instance in listed}
        home = homes(annex, mine.values(), snapshot)
        changed += [
            replace(known, gone=snapshot.at)
            for known in mine.values()
            if known.gone is None
            and known.id not in here
            and home[known.id] in snapshot.regions
            and (known.joined or snapshot.at - known.launched >= LISTED_SURELY)
        ]
    return tuple(changed)


def with_memory(snapshot: Snapshot, changed: Iterable[KnownInstance]) -> Snapshot:
    """The snapshot with *known* brought up to date by what remember() returned."""
    merged = {known.id: known for known in snapshot.known} | {known.id: known for known in changed}
    return replace(snapshot, known=tuple(merged.values()))


def _updated(
    instance: Instance,
    known: KnownInstance | None,
    launch: Launch | None,
    annex: Annex,
    joined: frozenset[str],
    snapshot: Snapshot,
) -> KnownInstance:
    now = known or KnownInstance(
        id=instance.id,
        annex=annex.id,
        token=launch.token if launch else None,
        type=instance.type,
        launched=instance.launched,
        hourly_ceiling=launch.hourly_ceiling if launch else None,
        image=instance.image,
    )
    now = replace(now, zone=instance.zone, market=instance.market)
    if launch and now.token != launch.token:
        now = replace(now, token=launch.token, hourly_ceiling=launch.hourly_ceiling)
    if now.joined is None and instance.id in joined:
        now = replace(now, joined=snapshot.at)
    if instance.state in _ALIVE:
        now = replace(now, gone=None)  # one listing left it out, and it runs and costs all the same
    elif now.gone is None:
        now = replace(now, gone=snapshot.at)
    return now


def _told_to_leave(known: KnownInstance, instance: Instance, noticed: frozenset[str], now: datetime) -> KnownInstance:
    """By its slot's word or AWS's, that it is taken back; by its tag, that it drains."""
    if known.interrupted is None and (instance.id in noticed or instance.taken_back):
        known = replace(known, interrupted=now)
    if known.drained is None and tags.DRAINING in instance.tags:
        known = replace(known, drained=tags.moment(instance.tags, tags.DRAINING) or now)
    return known


def _of(view: RegionView, key: AnnexKey, snapshot: Snapshot) -> list[Instance]:
    return [
        instance for instance in view.instances_of(key) if instance.tags.get(tags.ACCESS_POINT) == snapshot.access_point
    ]


def anything_left(key: AnnexKey, view: RegionView, access_point: str) -> bool:
    """Does the place show a machine, or a fleet that may bring one, that carries the tags of this annex?"""
    carried = [instance.tags for instance in view.instances_of(key)]
    carried += [fleet.tags for fleet in view.fleets_of(key) if fleet.live]
    return any(each.get(tags.ACCESS_POINT) == access_point for each in carried)


def _instances(slots: Iterable[Slot]) -> frozenset[str]:
    return frozenset(slot.instance for slot in slots if slot.instance)


def overdue(snapshot: Snapshot) -> tuple[Launch, ...]:
    """Launches that AWS has answered but not filled in half a minute: its history may say why."""
    return tuple(
        launch
        for launch in snapshot.launches
        if launch.may_bring
        and launch.fleet
        and launch.place in snapshot.regions
        and snapshot.at - launch.intended > _USUALLY_FILLED
        and sum(known.token == launch.token for known in snapshot.known) < launch.target
    )


def as_answered(snapshot: Snapshot) -> Snapshot:
    """With what AWS has not answered yet taken for granted, and a route's first look for well ended."""
    launches = [
        replace(each, state=LaunchState.REQUESTED) if each.state is LaunchState.INTENDED else each
        for each in snapshot.launches
    ]
    unready = {name: why for name, why in snapshot.unready.items() if name not in snapshot.unseen_routes}
    return replace(snapshot, launches=launches, unready=unready)


def outstanding(launches: Iterable[Launch], known: Iterable[KnownInstance]) -> tuple[tuple[Launch, int], ...]:
    """
    Launches that may still bring instances, and how many.

    Args:
        launches: Of one annex.
        known: Its instances, gone ones included.
    """
    brought = Counter(each.token for each in known)
    return tuple(
        (launch, launch.target - brought[launch.token])
        for launch in launches
        if launch.may_bring and brought[launch.token] < launch.target
    )


def holding(key: AnnexKey, annex: Annex, snapshot: Snapshot, *, volume_gib: int) -> Holding:
    """
    What one annex holds.

    Args:
        snapshot: With *known* brought up to date by remember().
        volume_gib: The volume that the annex's instances get.
    """
    types = types_of(annex, snapshot)
    mine = snapshot.known_of(annex)
    alive = tuple(known for known in mine if known.gone is None)
    launches = snapshot.launches_of(annex)
    coming = outstanding(launches, mine)
    over = {each.token for each in launches if _at_its_bound(each, annex, snapshot.at)}
    here = {known.id for known in alive if not known.leaving and known.token not in over}
    all_ = snapshot.slots_of(key)
    joined = _instances(all_)
    slots = [slot for slot in all_ if slot.instance in here]
    leaving = {known.id for known in alive if known.leaving}
    elsewhere = sum(slot.claimed for slot in all_ if slot.instance in leaving)
    rooms = [
        Room((slot.type or "",), slot.free_cpus, slot.free_memory_mib, slot.free_disk_kib, slot.free_gpus)
        for slot in [
            *(slot for slot in slots if not slot.claimed),
            *_without_job(slots, max(snapshot.counts.get(key, JobCounts()).running - elsewhere, 0)),
        ]
    ]
    booting = Counter(known.type for known in alive if known.joined is None and known.id in here)
    to_come = [((name,), count) for name, count in booting.items()] + [(each.types, count) for each, count in coming]
    for names, count in to_come:
        rooms += [whole_machine(names, types, volume_gib)] * count
    return Holding(alive, joined, coming, tuple(rooms))


def _at_its_bound(launch: Launch, annex: Annex, now: datetime) -> bool:
    """Its machines start no more job, for it ends; the annex goes on, so that jobs need other ones."""
    bound = launch.ends_at_latest
    return bound is not None and bound < annex.lease_ends and bound - now < _LAST_JOB


def _without_job(slots: Iterable[Slot], running: int) -> Sequence[Slot]:
    """
    As many claimed slots as run no job, the smallest: their jobs have not begun, and wait as it seems, or have ended.

    Only that there are such slots can be told, not which: a startd's news of a claim or of a job's end takes seconds to
    the collector, the schedd's answer none. A job whose machine is lost still runs, for the schedd: then there seem to
    be fewer.
    """
    claimed = sorted(
        (slot for slot in slots if slot.claimed), key=lambda each: (each.free_cpus, each.free_memory_mib, each.name)
    )
    return claimed[: max(len(claimed) - running, 0)]


def whole_machine(names: tuple[str, ...], types: Mapping[str, InstanceType], volume_gib: int) -> Room:
    """An empty machine of whichever of *names* has least; a type we know nothing of has no room."""
    kinds = [types[name] for name in names if name in types]
    if not kinds:
        return Room(names, 0, 0, 0, 0)
    return Room(
        names,
        min(usable_cpus(kind) for kind in kinds),
        min(usable_memory_mib(kind) for kind in kinds),
        min(usable_disk_kib(kind, volume_gib) for kind in kinds),
        min(usable_gpus(kind) for kind in kinds),
    )


def hourly(holding_: Holding) -> Decimal | None:
    """USD an hour at the ceilings, what is on its way included; None where one ceiling is unknown."""
    ceilings = [known.hourly_ceiling for known in holding_.instances]
    ceilings += [launch.hourly_ceiling for launch, count in holding_.outstanding for _ in range(count)]
    return None if None in ceilings else sum((price for price in ceilings if price is not None), Decimal(0))
