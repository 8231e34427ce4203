"""
Each machine and each fleet in one place only, though several credentials may reach the account that it is in; and each
annex in all places that it has machines in, its own and those of the routes that it fell back to.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Fleet, Instance


def once(views: Mapping[Place, RegionView], annexes: Iterable[Annex]) -> dict[Place, RegionView]:
    """
    The views, with what several of them show left in the place of its annex, else in the first one that shows it.

    Two profiles of one account show the same machines. Counted twice they would stand against each other's growth, and
    be ended twice. And what carries another's name in the account of a user's own keys is that user's word alone: it is
    left out, for it would stand against the other's annexes.
    """
    views = {place: _its_owner_s(view, place.owner) if place.owner else view for place, view in views.items()}
    own = {annex.key: annex.place for annex in annexes}
    kept: dict[str, Place] = {}
    for place, view in sorted(views.items()):
        things: list[Instance | Fleet] = [*view.instances, *view.fleets]
        for each in things:
            if each.id not in kept or place == _own(each, own):
                kept[each.id] = place
    return {
        place: replace(
            view,
            instances=[each for each in view.instances if kept[each.id] == place],
            fleets=[each for each in view.fleets if kept[each.id] == place],
        )
        for place, view in views.items()
    }


def places_of(annex: Annex, snapshot: Snapshot) -> tuple[Place, ...]:
    """The annex's own first, then those that it asked for machines in by another route."""
    asked = (launch.place for launch in snapshot.launches_of(annex))
    return tuple(dict.fromkeys([annex.place, *asked]))


def unseen(annex: Annex, snapshot: Snapshot) -> Place | None:
    """A place of the annex's that AWS does not show now; None where all is known."""
    return next((place for place in places_of(annex, snapshot) if place not in snapshot.regions), None)


def homes(annex: Annex, known: Iterable[KnownInstance], snapshot: Snapshot) -> dict[str, Place]:
    """Where each of an annex's machines is, by its id: where AWS shows it, or its launch was made, or the annex is."""
    some = list(known)
    if not some:
        return {}
    places = {launch.token: launch.place for launch in snapshot.launches_of(annex)}
    shown = {
        each.id: place
        for place in places_of(annex, snapshot)
        for each in some
        if snapshot.regions.get(place, RegionView()).shows(each.id)
    }
    return {each.id: shown.get(each.id) or places.get(each.token or "") or annex.place for each in some}


def types_of(annex: Annex, snapshot: Snapshot, *, first: Place | None = None) -> Mapping[str, InstanceType]:
    """
    The types of all places of an annex.

    Args:
        first: Where a type that several places have is priced; else in the annex's own.
    """
    places = dict.fromkeys([first or annex.place, *places_of(annex, snapshot)])
    if len(places) == 1:
        return snapshot.types.get(annex.place, {})
    merged: dict[str, InstanceType] = {}
    for place in reversed(places):
        merged |= snapshot.types.get(place, {})
    return merged


def _its_owner_s(view: RegionView, owner: str) -> RegionView:
    return replace(
        view,
        instances=[each for each in view.instances if each.tags.get(tags.OWNER) == owner],
        fleets=[each for each in view.fleets if each.tags.get(tags.OWNER) == owner],
    )


def _own(thing: Instance | Fleet, own: Mapping[AnnexKey, Place]) -> Place | None:
    key = tags.key_of(thing.tags)
    return own.get(key) if key else None
