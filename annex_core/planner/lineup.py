"""An annex as it would stand: its machines, those to come, and the jobs that they are for; what an estimate plays."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from math import ceil

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.runtime import Runtime
from annex_core.model.supply import Slot
from annex_core.planner.holdings import outstanding
from annex_core.planner.matching import Matcher
from annex_core.planner.offers import expected
from annex_core.planner.places import places_of
from annex_core.planner.prospect import Prospect
from annex_core.planner.rooms import jobs_per_machine
from annex_core.planner.runtimes import PRIOR
from annex_core.planner.shelf import sizes, wants
from annex_core.planner.worth import boot

FILL_S = 10.0
"""From a fleet request to the launch of its instances, where AWS has them."""
_WHOLE = 1000
"""More jobs of a group are played in blocks that are run one after the other, as far as every slot has some."""
_BLOCKS_A_SLOT = 4
_BLOCKS_A_LEASE = 10
_MOST = 20_000
"""Of more blocks, one of so many is played, on one of as many machines."""

Sizes = tuple[int, int, int, int]
"""CPUs, MiB, KiB of disk, GPUs."""


@dataclass(frozen=True)
class Berth:
    """A machine that is there, or that will be."""

    kind: str
    since: float
    """Seconds from now; from then on it costs."""
    age: float = 0.0
    """Seconds that it has been booting for."""
    slots: tuple[Slot, ...] | None = None
    """Of one that has joined."""


@dataclass(frozen=True)
class Batch:
    """A group's jobs."""

    group: JobGroup
    want: Sizes
    blocks: int
    each: int
    """Jobs of a block."""
    runtime: Runtime
    kinds: frozenset[str]
    """Types that run them."""
    asked: bool
    """They are asked about; the others wait in the queue."""


@dataclass(frozen=True)
class Lineup:
    berths: tuple[Berth, ...]
    batches: tuple[Batch, ...]
    """In the order in which they came."""
    sizes: dict[str, Sizes]
    hourly: dict[str, Decimal | None]
    """USD that an hour of a type is expected to cost; None is unknown."""
    running: Runtime
    """Of the jobs that run now."""
    boot: float
    lease: float
    """Seconds until it ends."""
    life: float
    """Seconds of a lease."""
    idle: float
    """Seconds after which a machine without a job leaves."""
    scale: int = 1
    """One machine and one block here stand for so many."""


def lineup(found: Prospect, matcher: Matcher, jobs: Mapping[int, int] | None = None) -> Lineup:
    """
    Args:
        jobs: By the id() of a group how many jobs it will have had in the end, where more come than wait at a time.
    """
    world, annex, route = found.world, found.annex, found.route
    types: dict[str, InstanceType] = {}
    for at in [*(each.fleet.route.place for each in found.fleets), *reversed(places_of(annex, world))]:
        types |= world.types.get(at, {})
    berths = (*_there(found), *_to_come(found))
    kinds = [kind for name in {each.kind for each in berths} if (kind := types.get(name))]
    hour = expected(route, world)
    fits = {
        id(group): {
            kind.name: jobs_per_machine(group, kind, volume_gib=route.volume_gib)
            for kind in kinds
            if matcher.fits(group, kind, volume_gib=route.volume_gib)
        }
        for group in world.demand or ()
        if group.key == annex.key
    }
    many = Counter(each.kind for each in berths)
    ours = {id(each.group) for each in found.groups}
    waiting = [group for group in world.demand or () if group.key == annex.key]
    life = min(route.lifetime, route.max_lifetime)
    batches = [
        _batch(group, (jobs or {}).get(id(group), group.idle), fits[id(group)], many, life, asked=id(group) in ours)
        for group in sorted(waiting, key=lambda group: id(group) in ours)
        # What others of the annex wait for in vain holds nothing up.
        if id(group) in ours or fits[id(group)]
    ]
    counts = world.counts.get(annex.key)
    scale = max(1, sum(batch.blocks for batch in batches) // _MOST)
    return Lineup(
        berths=_thinned(berths, scale),
        batches=tuple(replace(batch, blocks=ceil(batch.blocks / scale)) for batch in batches),
        sizes={kind.name: sizes(kind, route.volume_gib) for kind in kinds},
        hourly={kind.name: hour(kind) for kind in kinds},
        running=(counts.running_for if counts else None) or PRIOR,
        boot=boot(world).total_seconds(),
        lease=max((annex.lease_ends - world.aws_now(annex.place)).total_seconds(), 0.0),
        life=life.total_seconds(),
        idle=route.idle_timeout.total_seconds(),
        scale=scale,
    )


def _thinned(berths: Sequence[Berth], scale: int) -> tuple[Berth, ...]:
    """One of each *scale* of a kind, the first always."""
    seen: Counter[tuple[str, float, bool]] = Counter()
    kept = []
    for each in berths:
        like = each.kind, each.since, each.slots is None
        if seen[like] % scale == 0:
            kept.append(each)
        seen[like] += 1
    return tuple(kept)


def _there(found: Prospect) -> list[Berth]:
    """Machines that live."""
    world, annex = found.world, found.annex
    slots: dict[str, list[Slot]] = {}
    for slot in world.slots_of(annex.key):
        if slot.instance:
            slots.setdefault(slot.instance, []).append(slot)
    return [
        Berth(
            known.type,
            since=0.0,
            age=(world.at - known.launched).total_seconds(),
            slots=tuple(slots.get(known.id, ())) if known.joined else None,
        )
        for known in world.known_of(annex)
        if known.gone is None
    ]


def _to_come(found: Prospect) -> list[Berth]:
    """Machines that were asked for, or would be; of a fleet's types the first."""
    world, annex = found.world, found.annex
    later = {each.token: each.after.total_seconds() for each in found.fleets}
    launches = [launch for launch in world.launches_of(annex) if launch.types]
    return [
        Berth(launch.types[0], since=later.get(launch.token, 0.0) + FILL_S)
        for launch, count in outstanding(launches, world.known_of(annex))
        for _ in range(count)
    ]


def _batch(
    group: JobGroup, jobs: int, fits: Mapping[str, int], many: Counter[str], life: timedelta, *, asked: bool
) -> Batch:
    runtime = group.expected or PRIOR
    slots = sum(fit * many[name] for name, fit in fits.items())
    each = jobs // max(_WHOLE, _BLOCKS_A_SLOT * slots)
    each = max(1, min(each, int(life / _BLOCKS_A_LEASE / max(runtime.mean, timedelta(seconds=1)))))
    kinds = frozenset(name for name, fit in fits.items() if fit)
    return Batch(group, wants(group), ceil(jobs / each), each, runtime, kinds, asked)
