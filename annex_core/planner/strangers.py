"""
What AWS shows of this access point's that the journal can't explain: it was lost, or restored from an older day.

Nothing is launched in a place with strangers until two full listings, minutes apart, show the same ones; then they
are taken into the journal, so that caps count them, and they end with the lease that their tags name.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from annex_core.model import tags
from annex_core.model.annex import Annex, Launch, LaunchState
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import Fleet, Instance
from annex_core.planner.leases import ends

SETTLED = timedelta(minutes=2)
"""EC2's listings may lag behind by this much."""


@dataclass(frozen=True)
class Sighting:
    """Strangers as they were first seen together."""

    ids: frozenset[str]
    since: datetime

    def settled(self, now: datetime) -> bool:
        return now - self.since >= SETTLED


def strangers(
    view: RegionView, annexes: Collection[AnnexKey], launches: Collection[Launch], *, access_point: str
) -> tuple[list[Fleet], list[Instance]]:
    """
    Live fleets whose client token, and instances whose annex, the journal doesn't know. What names no annex at all
    can't be taken into the journal, and does not ask for it: it is left to its lease.

    Args:
        annexes: The living ones.
        launches: Theirs.
    """
    tokens = {launch.token for launch in launches}
    ids = {launch.fleet for launch in launches}

    def known(fleet: Fleet) -> bool:
        return tags.key_of(fleet.tags) in annexes and (fleet.client_token in tokens or fleet.id in ids)

    fleets = [
        fleet
        for fleet in view.fleets
        if fleet.live
        and fleet.tags.get(tags.ACCESS_POINT) == access_point
        and tags.key_of(fleet.tags)
        and not known(fleet)
    ]
    instances = [
        instance
        for instance in view.instances
        if instance.tags.get(tags.ACCESS_POINT) == access_point
        and (key := tags.key_of(instance.tags))
        and key not in annexes
    ]
    return fleets, instances


def sighting(before: Sighting | None, ids: Collection[str], now: datetime) -> Sighting | None:
    """The sighting to keep: the earlier one while the same strangers are seen, none when there are none."""
    if not ids:
        return None
    if before and before.ids == frozenset(ids):
        return before
    return Sighting(frozenset(ids), now)


def adopt(
    place: Place,
    fleets: Collection[Fleet],
    instances: Collection[Instance],
    annexes: Mapping[AnnexKey, Annex],
    *,
    access_point: str,
) -> tuple[list[Annex], list[Launch]]:
    """
    The records that the journal lacks, as far as the tags can tell. Prices stay unknown, which no cap in dollars takes
    for zero.
    """
    found: dict[AnnexKey, Annex] = {}
    launches = []
    born = [(fleet.tags, fleet.created) for fleet in fleets] + [(each.tags, each.launched) for each in instances]
    for carried, since in sorted(born, key=lambda each: each[1]):
        key = tags.key_of(carried)
        if key is None or key in annexes or key in found:
            continue
        lease, _ = ends(carried, since)
        found[key] = Annex(
            id=annex_id(key, access_point=access_point),
            key=key,
            project=carried.get(tags.PROJECT, key.owner),
            route=carried.get(tags.ROUTE, ""),
            region=place.region,
            endpoint=place.endpoint,
            credentials=place.credentials,
            started=since,
            lease_ends=lease,
            ends_at_latest=tags.moment(carried, tags.ENDS_AT_LATEST) or lease,
            pilot=carried.get(tags.PILOT) == "true",
        )
    for fleet in fleets:
        key = tags.key_of(fleet.tags)
        if key is None:
            continue
        annex = annexes.get(key) or found[key]
        launches.append(
            Launch(
                token=fleet.client_token or fleet.id,
                annex=annex.id,
                place=place,
                target=fleet.target,
                types=(),
                hourly_ceiling=None,
                intended=max(fleet.created, annex.started),
                state=LaunchState.REQUESTED,
                fleet=fleet.id,
            )
        )
    return list(found.values()), launches
