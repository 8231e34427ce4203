"""What machines of a type and an image really offer, learned from those that joined: the brochure promises more."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from annex_core.model.annex import KnownInstance
from annex_core.model.hardware import Learned
from annex_core.model.route import Route, overridden
from annex_core.model.snapshot import Snapshot

HOLDS = timedelta(days=7)
"""After that the next machine decides anew: a site's own configuration may reserve more, or less, by then."""

Key = tuple[str, str]
"""An instance type, and the AMI that it booted."""


def observed(snapshot: Snapshot) -> dict[Key, Learned]:
    """
    What the machines that have just joined tell and was not known; the least of what several tell.

    Their first word counts alone: later ones tell of disk that jobs have filled.

    Args:
        snapshot: With *known* brought up to date.
    """
    found: dict[Key, Learned] = {}
    for key, seen in _first_words(snapshot):
        before = found.get(key) or snapshot.learned.get(key)
        if before is None or snapshot.at - before.since >= HOLDS:
            found[key] = seen
        elif (least := _least(before, seen)) != before:
            found[key] = least
    return found


def _first_words(snapshot: Snapshot) -> Iterator[tuple[Key, Learned]]:
    joined = {known.id: known for known in snapshot.known if known.joined == snapshot.at and known.image}
    annexes = {annex.id: annex for annex in snapshot.annexes.values()}
    for slot in snapshot.slots or ():
        known = joined.get(slot.instance or "")
        annex = annexes.get(known.annex) if known else None
        if known is None or annex is None or slot.claimed or not slot.of(annex.key, snapshot.domain):
            continue
        if slot.cpus <= 0 or slot.memory_mib <= 0 or slot.disk_kib <= 0 or annex.route not in snapshot.routes:
            continue
        route = _launched_by(known, overridden(snapshot.routes[annex.route], annex.overrides), snapshot)
        taken = max(route.volume_gib * 1024 * 1024 - slot.disk_kib, 0)
        yield (known.type, known.image), Learned(slot.cpus, slot.memory_mib, taken, slot.gpus, since=snapshot.at)


def _launched_by(known: KnownInstance, own: Route, snapshot: Snapshot) -> Route:
    """The annex's own route, or the one that it fell back to, by the image."""
    fallen = (snapshot.routes[name] for name in own.fallback if name in snapshot.routes)
    return next((route for route in (own, *fallen) if image_of(route, snapshot) == known.image), own)


def image_of(route: Route, snapshot: Snapshot) -> str:
    """The AMI of a route, as far as it is known; else what the route calls it."""
    return snapshot.images.get((route.place, route.image), route.image)


def _least(one: Learned, other: Learned) -> Learned:
    return Learned(
        min(one.cpus, other.cpus),
        min(one.memory_mib, other.memory_mib),
        max(one.disk_taken_kib, other.disk_taken_kib),
        min(one.gpus, other.gpus),
        since=one.since,
    )


def as_learned(route: Route, snapshot: Snapshot) -> Snapshot:
    """The snapshot as it was taken, but with the types of the route's place as machines of its image have been seen."""
    image = image_of(route, snapshot)
    kinds = snapshot.types.get(route.place, {})
    seen = {
        name: replace(kinds[name], learned=found)
        for (name, of), found in snapshot.learned.items()
        if of == image and name in kinds and snapshot.at - found.since < HOLDS
    }
    return replace(snapshot, types={**snapshot.types, route.place: {**kinds, **seen}}) if seen else snapshot
