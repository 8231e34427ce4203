"""The whole decision: a snapshot in, actions and sentences out."""

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import PurePath
from traceback import extract_tb
from typing import TypeVar

from annex_core.model import tags
from annex_core.model.annex import Annex, Launch, LaunchState
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.plan import (
    Action,
    CancelFleets,
    CloseLaunch,
    FinishAnnex,
    GroupOutlook,
    LaunchFleet,
    Outlook,
    Plan,
    Terminate,
)
from annex_core.model.route import Route, overridden
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.wording import clause
from annex_core.planner.admission import NOT_ROUTED, admitted, with_others
from annex_core.planner.commons import Commons, turns
from annex_core.planner.ending import dropped_freezes, ended_by_hand
from annex_core.planner.fallback import patience
from annex_core.planner.growth import frozen_by, grow, machines, new_annex
from annex_core.planner.holdings import ADVERTISED_AGAIN, REQUESTS_LISTED, Holding, anything_left, holding
from annex_core.planner.learned import as_learned
from annex_core.planner.leases import Due, Leased, due
from annex_core.planner.matching import Matcher
from annex_core.planner.places import homes, places_of, types_of, unseen
from annex_core.planner.rebalancing import rebalanced
from annex_core.planner.retagging import retags
from annex_core.planner.sharing import shared_with
from annex_core.planner.shrink import Shrinking, shrunk, unneeded
from annex_core.planner.warm import WARM, to_keep_ready, warm_until

T = TypeVar("T")

_LATE_FILL = timedelta(minutes=1)
"""Spot requests that were just cancelled can still have been filled; a fleet is not given up before this."""
_VOLUME_GIB = Route.volume_gib
_PLANNED = "planned"
"""In place of a client token: a machine whose launch is not known has none, and is not of these."""


def plan(snapshot: Snapshot, matcher: Matcher | None = None) -> Plan:
    """
    Decide everything that is to be done now. The same snapshot gives the same plan.

    Args:
        snapshot: With *known* and the annexes' limits brought up to date (holdings.with_memory, caps.tightened).
        matcher: What was matched before. What it had no time for goes on where it stopped.
    """
    leases = {place: _due(place, snapshot) for place in sorted(snapshot.regions)}
    actions = [*_ended(leases), *dropped_freezes(snapshot)]
    outlooks: dict[AnnexKey, Outlook] = {}
    troubles = _troubles(snapshot, leases)
    matcher = matcher or Matcher(domain=snapshot.domain)
    demand = _by_key(snapshot.demand or ())
    matcher.begin(askers=len(demand))
    commons, seen = _tried("what annexes have together", partial(Commons, snapshot), None, troubles), snapshot
    if commons is None:  # no limit is known: nothing is launched, and leases end all the same
        return Plan(tuple(actions), {key: _failed(key, groups) for key, groups in demand.items()}, tuple(troubles))
    troubles += _tried("what comes of machines", partial(commons.black_holes.troubles, snapshot), [], troubles)
    for key in turns({*snapshot.annexes, *demand}, snapshot):
        groups = demand.get(key, [])
        failed: tuple[list[Action], Outlook | None] = [], _failed(key, groups)
        its_actions, outlook = _tried(
            f"annex {key}", partial(_decide, key, groups, snapshot, matcher, commons), failed, troubles
        )
        actions += its_actions
        snapshot = _with_launches(its_actions, snapshot)
        if outlook:
            outlooks[key] = outlook
    closing = {action.launch.token for action in actions if isinstance(action, CloseLaunch)}
    less = _tried("what is over a limit", partial(shrunk, seen, commons, closing), Shrinking(), troubles)
    return Plan((*actions, *less.actions), outlooks, (*troubles, *less.told))


def _tried(part: str, decide: Callable[[], T], otherwise: T, troubles: list[str]) -> T:
    """What a part of the plan comes to; what ails one must not stop the others, and is told with the troubles."""
    try:
        return decide()
    except Exception as error:  # noqa: BLE001 - whatever it is
        at = extract_tb(error.__traceback__)[-1]
        troubles.append(f"{part} can't be planned: {error!r} in {PurePath(at.filename).name}, line {at.lineno}")
        return otherwise


def _failed(key: AnnexKey, groups: Sequence[JobGroup]) -> Outlook:
    why = "condor_annexd failed on it; its log says how"
    return _unplanned(f"Annex {key.name}: {why}.", groups, why)


def _decide(
    key: AnnexKey, groups: Sequence[JobGroup], snapshot: Snapshot, matcher: Matcher, commons: Commons
) -> tuple[list[Action], Outlook | None]:
    """What is to be done about one annex, and what its jobs are told; None where it has no idle jobs."""
    annex = snapshot.annexes.get(key)
    if annex and annex.lease_ends <= snapshot.aws_now(annex.place):
        ended = f"Annex {key.name}: its lease has ended; a new one begins when its machines are gone."
        return _finished(annex, snapshot), _unplanned(ended, groups, "the lease has ended")
    if annex and annex.ending:
        ending = f"Annex {key.name} ends: {machines(_held(annex, snapshot, _VOLUME_GIB))}."
        its_end = [*ended_by_hand(annex, snapshot), *_finished(annex, snapshot)]
        return its_end, _unplanned(ending, groups, "it was ended")
    actions: list[Action] = []
    outlook = None
    idle: frozenset[str] = frozenset()
    stuck: frozenset[str] = frozenset()
    orders = annex is not None and bool(snapshot.orders_of(annex))
    if annex is None and (shared := shared_with(key, snapshot)):
        sentence = f"Annex {key.name} is for anybody's jobs: {machines(shared)}. Jobs wait: it grows by command alone."
        return [], _unplanned(sentence, groups, "it is for anybody's jobs, and grows by command alone")
    chosen = _route(key, annex, groups, snapshot)
    if isinstance(chosen, str):
        outlook = _unplanned(f"Annex {key.name}: {clause(chosen)}.", groups, chosen)
        held = _held(annex, snapshot, _VOLUME_GIB)
    else:
        seen = as_learned(chosen, snapshot)
        held = _held(annex, seen, chosen.volume_gib)
        taken, others = admitted(groups)
        if taken or orders or (annex and to_keep_ready(annex, chosen, held, snapshot)):
            its = annex or new_annex(key, taken, chosen, snapshot)
            growth = grow(its, chosen, taken, held, snapshot, matcher, commons)
            commons.ask(its, growth.launches)
            actions += growth.launches
            outlook, stuck = growth.outlook, growth.stuck
            if taken and not outlook.waiting:
                may_go = [each for each in held.outstanding if not each[0].order]
                idle = unneeded(may_go, taken, held, types_of(its, seen), matcher, volume_gib=chosen.volume_gib)
        if others:
            outlook = with_others(outlook, others, key.name)
    if annex:
        actions += retags(annex, snapshot)
        if not isinstance(chosen, str):
            actions += rebalanced(annex, chosen, snapshot)
            actions += commons.black_holes.drained(annex, snapshot)
        if snapshot.demand is not None and not groups:
            idle = frozenset(launch.token for launch, _ in held.outstanding if not launch.order)
        actions += _tidied(annex, None if isinstance(chosen, str) else chosen, held, idle, stuck, snapshot)
    return actions, outlook


def _unplanned(sentence: str, groups: Sequence[JobGroup], why: str) -> Outlook:
    """Nothing is decided for any of the jobs, all for the same reason."""
    by_group = tuple(GroupOutlook(group, waiting=group.idle, why_not_more=why) for group in groups)
    return Outlook(sentence, sum(group.idle for group in groups), why, groups=by_group)


def _with_launches(actions: Sequence[Action], snapshot: Snapshot) -> Snapshot:
    """What one annex asks for, the next one sees: of what AWS had none, or nothing came, one of them tries."""
    asked = [each for each in actions if isinstance(each, LaunchFleet)]
    if not asked:
        return snapshot
    launches = (each.as_launch(_PLANNED, snapshot.at) for each in asked)
    begun = {each.annex.key: each.annex for each in asked if each.annex.key not in snapshot.annexes}
    annexes = {**snapshot.annexes, **begun} if begun else snapshot.annexes
    return replace(snapshot, launches=(*snapshot.launches, *launches), annexes=annexes)


def _by_key(groups: Sequence[JobGroup]) -> Mapping[AnnexKey, list[JobGroup]]:
    found: dict[AnnexKey, list[JobGroup]] = {}
    for group in groups:
        found.setdefault(group.key, []).append(group)
    return found


def _held(annex: Annex | None, snapshot: Snapshot, volume_gib: int) -> Holding:
    return holding(annex.key, annex, snapshot, volume_gib=volume_gib) if annex else Holding()


def _route(key: AnnexKey, annex: Annex | None, groups: Sequence[JobGroup], snapshot: Snapshot) -> Route | str:
    """The annex's own route, or the one its first jobs passed; else why there is none."""
    names = [annex.route] if annex else sorted({group.route for group in groups if group.route})
    if not names:
        return NOT_ROUTED
    name = names[0]
    if name in snapshot.routes:
        return overridden(snapshot.routes[name], annex.overrides if annex else {}).of(key.owner)
    if name in snapshot.refused_routes:
        return f"route {name} can't be used ({clause(snapshot.refused_routes[name])}); ask the pool's administrator"
    return f"route {name} is not in the configuration any more; ask the pool's administrator"


def _ended(leases: Mapping[Place, tuple[Due, Due]]) -> list[Action]:
    """Cancel and terminate what is due in each place, whoever asked for it and whatever the journal says."""
    actions: list[Action] = []
    for place, (fleets, instances) in leases.items():
        if fleets.ids:
            actions.append(CancelFleets(place, fleets.ids, terminate=True, why="the lease has ended"))
        if instances.ids:
            actions.append(Terminate(place, instances.ids, why="the lease has ended"))
    return actions


def _due(place: Place, snapshot: Snapshot) -> tuple[Due, Due]:
    """Of the fleets and of the instances of this access point's."""
    view, now, mine = snapshot.regions[place], snapshot.aws_now(place), snapshot.access_point
    fleets = [each for each in view.fleets if each.tags.get(tags.ACCESS_POINT) == mine]
    instances = [each for each in view.instances if each.tags.get(tags.ACCESS_POINT) == mine]
    return (
        due((Leased(each.id, each.state, each.created, each.tags) for each in fleets), now),
        due((Leased(each.id, each.state, each.launched, each.tags) for each in instances), now),
    )


def _finished(annex: Annex, snapshot: Snapshot) -> list[Action]:
    mine = snapshot.launches_of(annex)
    if any(launch.state is LaunchState.INTENDED for launch in mine):
        return []  # what comes of it would be a stranger's
    if unseen(annex, snapshot):
        return []
    if any(anything_left(annex.key, snapshot.regions[it], snapshot.access_point) for it in places_of(annex, snapshot)):
        return []
    return [FinishAnnex(annex)]


def _tidied(
    annex: Annex,
    route: Route | None,
    held: Holding,
    idle: Container[str],
    stuck: Container[str],
    snapshot: Snapshot,
) -> list[Action]:
    """
    Give up what was not filled, cancel fleets that are spent, end machines that never joined.

    Args:
        idle: Tokens of launches that no job waits for any more.
        stuck: Of launches whose jobs could have other machines.
    """
    actions: list[Action] = []
    outstanding = {launch.token for launch, _ in held.outstanding}
    frozen = frozen_by(annex, snapshot.freezes)
    warm = route is not None and warm_until(route, snapshot.at) is not None
    spent: dict[Place, list[str]] = {}
    for launch in snapshot.launches_of(annex):
        view = snapshot.regions.get(launch.place)
        if launch.state is not LaunchState.REQUESTED or view is None:
            continue
        fleet = view.fleet(launch.fleet)
        cancelled = fleet is not None and not fleet.may_launch
        age = snapshot.at - launch.intended
        within = patience(launch, annex, route, snapshot, stuck=stuck) if route else Route.fulfil_within
        if launch.closed is None and cancelled and age >= REQUESTS_LISTED:
            actions.append(CloseLaunch(launch, "AWS lists it as cancelled"))
        elif launch.closed is None and age >= within:
            # A filled one too: until AWS's tag comes, its machine may be another fleet's, and its own request open.
            actions.append(CloseLaunch(launch, f"not filled within {within}"))
        elif launch.token in outstanding:
            if frozen and age >= REQUESTS_LISTED:
                actions.append(CloseLaunch(launch, frozen))
            elif launch.token in idle and age >= REQUESTS_LISTED:
                actions.append(CloseLaunch(launch, "no job waits for it any more"))
            elif launch.order == WARM and not warm and age >= REQUESTS_LISTED:
                actions.append(CloseLaunch(launch, "machines are kept ready no more"))
        elif _is_spent(launch, annex, held, view, snapshot.at):
            spent.setdefault(launch.place, []).append(launch.fleet or "")
    actions += [
        CancelFleets(place, tuple(some), terminate=True, why="nothing of it is left and nothing is open")
        for place, some in spent.items()
    ]
    return actions + _never_joined(annex, route, held, snapshot)


def _is_spent(launch: Launch, annex: Annex, held: Holding, view: RegionView, now: datetime) -> bool:
    """Cancelling it would end no machine: none is its, or may be its as long as AWS has not tagged it."""
    if launch.closed and now - launch.closed < _LATE_FILL:
        return False
    if any(known.token == launch.token for known in held.instances):
        return False
    if any(instance.fleet in {launch.fleet, None} for instance in view.instances_of(annex.key)):
        return False
    fleet = view.fleet(launch.fleet)
    return fleet is not None and fleet.may_launch


def _never_joined(annex: Annex, route: Route | None, held: Holding, snapshot: Snapshot) -> list[Action]:
    within = route.join_within if route else Route.join_within
    if annex.pilot:
        return []
    if snapshot.slots_since is None or snapshot.at - snapshot.slots_since < min(within, ADVERTISED_AGAIN):
        return []
    overdue = [each for each in held.instances if each.joined is None and snapshot.at - each.launched > within]
    late: dict[Place, list[str]] = {}
    for id_, place in homes(annex, overdue, snapshot).items():
        view = snapshot.regions.get(place, RegionView())
        if view.shows(id_):  # just ended, it is held for a while still
            late.setdefault(place, []).append(id_)
    return [Terminate(place, tuple(ids), why=f"not joined within {within}") for place, ids in late.items()]


def _troubles(snapshot: Snapshot, leases: Mapping[Place, tuple[Due, Due]]) -> list[str]:
    """What nobody asked for, in sentences for the log and for administrators."""
    # A slot of an annex that is over says what it is: its ad outlives its machine by minutes.
    found = [
        f"slot {slot.name} claims annex {slot.claimed_name!r} but joined as {slot.identity}; no job goes there"
        for slot in snapshot.slots or ()
        if not slot.claimed and not slot.identity.endswith(f".{slot.claimed_name}@{snapshot.domain}")
    ]
    names = {slot.instance for slot in snapshot.slots or ()}
    found += [
        f"instance {known.id} had joined and its slot ad is gone while AWS still shows it"
        for known in (snapshot.known if snapshot.slots is not None else ())
        if known.joined and known.gone is None and known.id not in names
    ]
    for place, (fleets, instances) in leases.items():
        unreadable = (*fleets.unreadable, *instances.unreadable)
        found += [f"{each} in {place} carries no readable lease; it ends 24 hours after launch" for each in unreadable]
    return found
