"""Each machine and each fleet in one place only, though several credentials may reach the account that it is in."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from annex_core.model import tags
from annex_core.model.annex import Annex
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
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


def _its_owner_s(view: RegionView, owner: str) -> RegionView:
    return replace(
        view,
        instances=[each for each in view.instances if each.tags.get(tags.OWNER) == owner],
        fleets=[each for each in view.fleets if each.tags.get(tags.OWNER) == owner],
    )


def _own(thing: Instance | Fleet, own: Mapping[AnnexKey, Place]) -> Place | None:
    key = tags.key_of(thing.tags)
    return own.get(key) if key else None
