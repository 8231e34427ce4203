"""The lease as tags: what the journal wants of it, compared with what AWS shows."""

from collections.abc import Collection
from datetime import datetime
from typing import TypeAlias

from annex_core.model import tags
from annex_core.model.annex import Annex
from annex_core.model.place import Place
from annex_core.model.plan import Retag
from annex_core.model.snapshot import Snapshot
from annex_core.model.supply import InstanceState
from annex_core.planner.places import homes, places_of

Tags: TypeAlias = tuple[tuple[str, str], ...]

_GOING = {InstanceState.SHUTTING_DOWN, InstanceState.TERMINATED}


def retags(annex: Annex, snapshot: Snapshot) -> list[Retag]:
    """
    Bring the tags of an annex's fleets and machines to what its lease is now, whenever they came.

    Each ends with the lease or at its own outer bound, whichever comes first. Fleets come first: what they launch
    meanwhile has the tags of their template, and is seen here at the next look around. Like tags come together, in the
    order of the first id that gets them.
    """
    shown = [place for place in places_of(annex, snapshot) if place in snapshot.regions]
    return [found for place in shown if (found := _in(place, annex, snapshot))]


def _in(place: Place, annex: Annex, snapshot: Snapshot) -> Retag | None:
    view = snapshot.regions[place]
    shown = [(fleet.id, fleet.tags) for fleet in view.fleets_of(annex.key) if fleet.live]
    shown += [(each.id, each.tags) for each in view.instances_of(annex.key) if each.state not in _GOING]
    by_bound: dict[str | None, Tags] = {}
    found: dict[Tags, list[str]] = {}
    for id_, carried in shown:
        if carried.get(tags.ACCESS_POINT) != snapshot.access_point:
            continue
        bound = carried.get(tags.ENDS_AT_LATEST)
        if bound not in by_bound:
            by_bound[bound] = _wanted(annex, tags.moment(carried, tags.ENDS_AT_LATEST))
        if any(carried.get(key) != value for key, value in by_bound[bound]):
            found.setdefault(by_bound[bound], []).append(id_)
    changes = tuple((some, tuple(ids)) for some, ids in found.items())
    return Retag(annex, place, changes, annex.ended_by if annex.ending else annex.lease_by) if changes else None


def tagged(annex: Annex, tag: tuple[str, str], ids: Collection[str], snapshot: Snapshot) -> list[Retag]:
    """Give some of an annex's machines a tag, each where it is."""
    home = homes(annex, [known for known in snapshot.known if known.id in ids], snapshot)
    return [
        Retag(annex, place, (((tag,), tuple(each for each in ids if home.get(each) == place)),))
        for place in dict.fromkeys(home[each] for each in ids if each in home)
    ]


def _wanted(annex: Annex, bound: datetime | None) -> Tags:
    """
    Args:
        bound: Its own outer one.
    """
    ends = min(annex.lease_ends, bound) if bound else annex.lease_ends
    wanted = [(tags.LEASE_ENDS, tags.stamp(ends))]
    if annex.ending_since:
        wanted.append((tags.DRAINING, tags.stamp(annex.ending_since)))
    return tuple(wanted)
