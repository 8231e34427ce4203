"""An annex that is ended by hand: at once, or when the jobs that run on it have ended."""

from collections.abc import Mapping
from datetime import timedelta

from annex_core.model import tags
from annex_core.model.annex import Annex, Ending, LaunchState
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.plan import Action, CancelFleets, CloseLaunch, DropFreeze, Terminate
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import InstanceState
from annex_core.planner.holdings import REQUESTS_LISTED
from annex_core.planner.places import places_of
from annex_core.planner.retagging import retags

_FOLLOWED = timedelta(minutes=5)
"""Within this time machines have seen their tag and say that they drain; an image that doesn't follow it never says."""


def ended_by_hand(annex: Annex, snapshot: Snapshot) -> list[Action]:
    """In each place that it has machines in and that answers, whatever the others do."""
    shown = [place for place in places_of(annex, snapshot) if place in snapshot.regions]
    if not shown:
        return []
    ended = [action for place in shown for action in _ended_in(place, annex, snapshot)]
    if annex.ending is Ending.NOW:
        return ended
    return [*_closing(annex, snapshot), *retags(annex, snapshot), *ended]


def _ended_in(place: Place, annex: Annex, snapshot: Snapshot) -> list[Action]:
    view = snapshot.regions[place]
    fleets = [fleet.id for fleet in view.fleets_of(annex.key) if fleet.live and _ours(fleet.tags, snapshot)]
    alive = [
        instance.id
        for instance in view.instances_of(annex.key)
        if instance.state not in {InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}
        and _ours(instance.tags, snapshot)
    ]
    if annex.ending is Ending.NOW:
        return _all(place, view, fleets, alive, "it was ended by hand, at once", annex)
    if not alive and not any(action.launch.place == place for action in _closing(annex, snapshot)):
        return _all(place, view, fleets, [], "it was ended by hand, and its machines are gone", annex)
    drained = tuple(each for each in alive if _is_drained(each, annex, snapshot))
    return [Terminate(place, drained, why="drained", by=annex.ended_by)] if drained else []


def dropped_freezes(snapshot: Snapshot) -> list[Action]:
    """An end by hand holds for jobs that were in the queue, not for ever."""
    if snapshot.demand is None:
        return []
    return [
        DropFreeze(each)
        for each in snapshot.freezes
        if each.after_end
        and (key := AnnexKey(each.owner, each.name)) not in snapshot.annexes
        and key not in snapshot.counts
    ]


def _ours(carried: Mapping[str, str], snapshot: Snapshot) -> bool:
    return carried.get(tags.ACCESS_POINT) == snapshot.access_point


def _all(place: Place, view: RegionView, fleets: list[str], alive: list[str], why: str, annex: Annex) -> list[Action]:
    ending = {fleet.id for fleet in view.fleets if fleet.state == "cancelled_terminating"}
    some = tuple(each for each in fleets if each not in ending)
    by = annex.ended_by
    actions: list[Action] = [CancelFleets(place, some, terminate=True, why=why, by=by)] if some else []
    return [*actions, Terminate(place, tuple(alive), why=why, by=by)] if alive else actions


def _closing(annex: Annex, snapshot: Snapshot) -> list[CloseLaunch]:
    return [
        CloseLaunch(launch, "the annex was ended by hand", annex.ended_by)
        for launch in snapshot.launches_of(annex)
        if launch.state is LaunchState.REQUESTED
        and launch.may_bring
        and snapshot.at - launch.intended >= REQUESTS_LISTED
    ]


def _is_drained(instance: str, annex: Annex, snapshot: Snapshot) -> bool:
    """No job runs on it, and none can start: it never joined, or it says so, or it had time enough to say so."""
    if snapshot.slots is None:
        return False
    slots = [slot for slot in snapshot.slots_of(annex.key) if slot.instance == instance]
    if any(slot.claimed for slot in slots):
        return False
    told = annex.ending_since is not None and snapshot.at - annex.ending_since >= _FOLLOWED
    return told or not slots or all(slot.draining for slot in slots)
