"""One annex: what it may ask for now, and the sentence that says why not more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from annex_core.model.annex import Annex, LaunchState
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.plan import LaunchFleet, Outlook
from annex_core.model.route import EVERYBODY, Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import clause, counted
from annex_core.planner.caps import Allowance, Caps, allowance, caps, committed, instance_hour, queued_limits
from annex_core.planner.holdings import Holding, anything_left, whole_machine
from annex_core.planner.matching import Matcher
from annex_core.planner.safeguard import unsafe
from annex_core.planner.sizing import Choice, Misfit, choices, place
from annex_core.planner.worth import TOO_SHORT, boot, soon, worth

FLEETS_A_STEP = 4
GROUPS_A_STEP = 16
"""A growth step asks for at most so many fleets, for so many groups of jobs; what is left waits for the next step."""

_LAST_CALL = timedelta(minutes=10)
_TOO_LATE = timedelta(minutes=3)
"""In a lease's last two minutes no job is started (START in bundle/annex.config), and a machine takes one to come."""

_REASONS_TOLD = 3
_LEAST_IDLE = timedelta(seconds=5)
"""AnnexIdleTimeout's least; to HTCondor an idle time-out of 0 is none, and machines would stay until the lease ends."""

_TRY_AGAIN = timedelta(seconds=15)
_DOUBLED_AT_MOST = 6
"""After a try that failed before a fleet was asked for; each further one doubles the wait, to 16 minutes in the end."""

_NEVER_JOINED = 3
_PAUSE = timedelta(minutes=30)


@dataclass(frozen=True)
class Growth:
    launches: tuple[LaunchFleet, ...]
    outlook: Outlook


def new_annex(key: AnnexKey, groups: Sequence[JobGroup], route: Route, snapshot: Snapshot) -> Annex:
    """The annex that these jobs would begin now."""
    wished = [group.wishes.lifetime for group in groups if group.wishes.lifetime is not None]
    return Annex(
        id=annex_id(key, access_point=snapshot.access_point),
        key=key,
        project=max(groups, key=lambda group: group.idle).project,
        route=route.name,
        region=route.region,
        endpoint=route.endpoint,
        started=snapshot.at,
        lease_ends=snapshot.at + min([*(wished or [route.lifetime]), route.max_lifetime]),
        ends_at_latest=snapshot.at + route.max_lifetime,
        limits=queued_limits(key, groups, snapshot),
        pilot=route.pilot,
    )


def grow(
    annex: Annex,
    route: Route,
    groups: Sequence[JobGroup],
    held: Holding,
    snapshot: Snapshot,
    matcher: Matcher,
) -> Growth:
    """
    Decide one annex's growth step.

    Args:
        annex: Living, or from new_annex().
        groups: Its idle jobs.
        held: What it holds, from the same snapshot.
    """
    types = snapshot.types.get(annex.region, {})
    needs = place(groups, held.rooms, types, matcher, volume_gib=route.volume_gib)
    waiting = sum(need.jobs for need in needs)
    reasons = [_hold(annex, route, groups, held, snapshot)] if waiting else []
    launches: dict[tuple[str, ...], LaunchFleet] = {}
    stuck: set[int] = set()
    limits = caps(route, annex.limits)
    kinds = _allowed(route, groups, types)
    on_trial = len(_never_joined(annex, snapshot)) >= _NEVER_JOINED
    counts, boot_takes = snapshot.counts.get(annex.key, JobCounts()), boot(snapshot)
    left = 0 if any(reasons) else 1 if on_trial else GROUPS_A_STEP
    while left and len(launches) < FLEETS_A_STEP:
        need = next((each for each in needs if id(each.group) not in stuck), None)
        if need is None:
            break
        ways = choices(
            need,
            kinds,
            matcher,
            price=lambda kind: instance_hour(kind, route),
            volume_gib=route.volume_gib,
        )
        if isinstance(ways, Misfit):
            reasons.append(f"no machine of route {route.name} can run them, {ways.reason}")
            stuck.add(id(need.group))
        else:
            slots = soon(need.group, held, counts, types, matcher, boot_takes=boot_takes, volume_gib=route.volume_gib)
            wanted = [
                worth(way.machines(need.jobs), need, way.jobs_each, boot_takes=boot_takes, slots=slots) for way in ways
            ]
            offers = [
                (way, _allowance(annex, route, limits, way, min(machines, 1 if on_trial else machines), held, snapshot))
                for way, machines in zip(ways, wanted, strict=True)
            ]
            reasons.append(offers[0][1].reason if wanted[0] else TOO_SHORT)
            way, allowed = next((offer for offer in offers if offer[1].instances), offers[0])
            if allowed.instances:
                fleet = _fleet(annex, route, groups, limits, way, allowed.instances, types)
                before = launches.get(fleet.types)
                launches[fleet.types] = replace(fleet, target=fleet.target + before.target) if before else fleet
                held = _with(held, fleet, snapshot, types, route)
                needs = place(groups, held.rooms, types, matcher, volume_gib=route.volume_gib)
                left -= 1
            else:
                stuck.add(id(need.group))
    said = [reason for reason in dict.fromkeys(reasons) if reason]
    if len(said) > _REASONS_TOLD:
        said[_REASONS_TOLD:] = [
            f"and {counted(len(said) - _REASONS_TOLD, 'group')} of jobs more for reasons of this kind"
        ]
    return Growth(tuple(launches.values()), _outlook(annex, held, waiting, said, snapshot))


def _hold(annex: Annex, route: Route, groups: Sequence[JobGroup], held: Holding, snapshot: Snapshot) -> str | None:
    """What keeps an annex from growing at all just now."""
    if not {EVERYBODY, annex.key.owner} & {*route.owners}:
        return f"route {route.name} is not open to {annex.key.owner}; its administrator lists who may use it"
    if any(group.wishes.on_demand for group in groups) or route.market is not Market.SPOT:
        return "on-demand machines can't be had yet, only Spot ones"
    if annex.pilot or route.pilot:
        return f"route {route.name} is for pilots of another pool, and jobs of this queue can't run there"
    if annex.region in snapshot.frozen:
        return snapshot.frozen[annex.region]
    if why := unsafe(annex, route, snapshot):
        return why
    for region, view in sorted(snapshot.regions.items()):
        if region != annex.region and anything_left(annex.key, view, snapshot.access_point):
            return (
                f"there are machines of it in {region} still, from before the journal was lost; they have to end first"
            )
    if annex.region not in snapshot.regions:
        return f"AWS does not answer in {annex.region}"
    if snapshot.slots is None:
        return "the annex collector does not answer"
    mine = [launch for launch in snapshot.launches if launch.annex == annex.id]
    if any(launch.state is LaunchState.INTENDED for launch in mine):
        return "AWS has not answered the last request yet"
    left = annex.lease_ends - snapshot.at
    if left < max(_TOO_LATE, min(_LAST_CALL, (annex.lease_ends - annex.started) / 4)):
        return "the annex's lease is about to end; a new one begins after it"
    failure = snapshot.failures.get(annex.id)
    if failure and snapshot.at - failure.last < _TRY_AGAIN * 2 ** min(failure.tries - 1, _DOUBLED_AT_MOST):
        return "the next try comes in a while"
    paused = _paused(annex, held, snapshot)
    if paused:
        return paused
    newest = max(mine, key=lambda launch: launch.intended, default=None)
    if newest and snapshot.at - newest.intended < route.grow_interval:
        if newest.state is LaunchState.REFUSED:
            return f"AWS refused the last request ({clause(newest.reason or '')}); the next try comes soon"
        return "more are asked for step by step"
    return None


def _paused(annex: Annex, held: Holding, snapshot: Snapshot) -> str | None:
    """Machines that never joined are money for nothing: after a few, wait, then try again with one."""
    failed = _never_joined(annex, snapshot)
    if len(failed) < _NEVER_JOINED:
        return None
    if snapshot.at - max(failed) < _PAUSE or held.instances or held.coming:
        return f"{len(failed)} machines in a row started and never joined the pool; its administrator has to look"
    return None


def _never_joined(annex: Annex, snapshot: Snapshot) -> list[datetime]:
    """When machines ended that never joined, since the last one that did; of pilots none is expected to."""
    if annex.pilot:
        return []
    mine = [known for known in snapshot.known if known.annex == annex.id]
    last_joined = max((known.launched for known in mine if known.joined), default=None)
    return [
        known.gone
        for known in mine
        if known.gone and not known.joined and (last_joined is None or known.launched > last_joined)
    ]


def _allowed(route: Route, groups: Sequence[JobGroup], types: Mapping[str, InstanceType]) -> tuple[InstanceType, ...]:
    names = [name for name in route.instance_types if name in types]
    for group in groups:
        if group.wishes.instance_types:
            names = [name for name in names if name in group.wishes.instance_types]
    return tuple(types[name] for name in names)


def _allowance(
    annex: Annex,
    route: Route,
    limits: Caps,
    choice: Choice,
    wanted: int,
    held: Holding,
    snapshot: Snapshot,
) -> Allowance:
    types = snapshot.types.get(annex.region, {})
    kinds = [types[name] for name in choice.types]
    return allowance(
        wanted,
        max(kinds, key=lambda kind: (kind.vcpus, kind.name)),
        _dearest(choice.types, types, route),
        limits,
        held,
        committed(
            annex,
            [known for known in snapshot.known if known.annex == annex.id],
            held.outstanding,
            snapshot.at,
        ),
        held_vcpus=_vcpus(held, types),
        left=annex.lease_ends - snapshot.at,
    )


def _dearest(names: Sequence[str], types: Mapping[str, InstanceType], route: Route) -> Decimal | None:
    prices = [instance_hour(types[name], route) for name in names]
    return None if None in prices else max(price for price in prices if price is not None)


def _vcpus(held: Holding, types: Mapping[str, InstanceType]) -> int | None:
    """vCPUs held and on their way, at most; None where a type is unknown."""
    kinds: list[tuple[str, ...]] = [(known.type,) for known in held.instances]
    kinds += [launch.types for launch, count in held.outstanding for _ in range(count)]
    if any(not names or any(name not in types for name in names) for names in kinds):
        return None
    return sum(max(types[name].vcpus for name in names) for names in kinds)


def _fleet(
    annex: Annex,
    route: Route,
    groups: Sequence[JobGroup],
    limits: Caps,
    choice: Choice,
    target: int,
    types: Mapping[str, InstanceType],
) -> LaunchFleet:
    wished = [group.wishes.idle_timeout for group in groups if group.wishes.idle_timeout is not None]
    names = tuple(name for name in choice.types if not limits.in_dollars or types[name].on_demand is not None)
    return LaunchFleet(
        annex=annex,
        types=names,
        ceilings={name: types[name].on_demand for name in names},
        target=target,
        hourly_ceiling=_dearest(names, types, route),
        idle_timeout_s=int(max(min([*wished, route.idle_timeout]), _LEAST_IDLE).total_seconds()),
    )


def _with(
    held: Holding, fleet: LaunchFleet, snapshot: Snapshot, types: Mapping[str, InstanceType], route: Route
) -> Holding:
    """The holding once the fleet has been asked for: what is asked for counts as bought."""
    room = whole_machine(fleet.types, types, route.volume_gib)
    return replace(
        held,
        outstanding=(*held.outstanding, (fleet.as_launch("", snapshot.at), fleet.target)),
        rooms=(*held.rooms, *[room] * fleet.target),
    )


def _outlook(annex: Annex, held: Holding, waiting: int, reasons: Sequence[str], snapshot: Snapshot) -> Outlook:
    booting = sum(known.joined is None for known in held.instances)
    joined = len(held.instances) - booting
    parts = [
        f"{count} {word}"
        for count, word in ((held.coming, "asked for"), (booting, "booting"), (joined, "joined"))
        if count
    ]
    machines = f"machines: {', '.join(parts)}" if parts else "no machine yet"
    sentence = f"Annex {annex.key.name}: {machines}."
    told = snapshot.obstacles
    obstacles = {clause(told[launch.token]) for launch, _ in held.outstanding if launch.token in told}
    if obstacles:
        sentence += f" AWS has not filled the request: {'; '.join(sorted(obstacles))}."
    if not reasons:
        return Outlook(sentence, waiting)
    reason = "; ".join(map(clause, reasons))
    return Outlook(f"{sentence} Jobs wait: {reason}.", waiting, reason)
