"""What is due to end, by the tags that AWS shows; the journal is not asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from annex_core.model import tags
from annex_core.model.snapshot import RegionView

_UNREADABLE = timedelta(hours=24)


@dataclass(frozen=True)
class Due:
    fleets: tuple[str, ...]
    instances: tuple[str, ...]
    unreadable: tuple[str, ...]
    """Ids whose lease can't be read: they end at EndsAtLatest, else 24 hours after their launch."""


def ends(carried: Mapping[str, str], launched: datetime) -> tuple[datetime, bool]:
    """
    When a tagged thing must end.

    Returns:
        The moment, and whether its lease could be read. Never for ever, never now.
    """
    lease = tags.moment(carried, tags.LEASE_ENDS)
    bound = tags.moment(carried, tags.ENDS_AT_LATEST)
    if lease is None:
        return bound or launched + _UNREADABLE, False
    return (min(lease, bound) if bound else lease), True


def due(view: RegionView, now: datetime, *, access_point: str) -> Due:
    fleets, instances, unreadable = [], [], []
    for fleet in view.fleets:
        if fleet.tags.get(tags.ACCESS_POINT) == access_point and fleet.live and fleet.state != "cancelled_terminating":
            end, read = ends(fleet.tags, fleet.created)
            if end <= now:
                fleets.append(fleet.id)
            if not read:
                unreadable.append(fleet.id)
    for instance in view.instances:
        if instance.tags.get(tags.ACCESS_POINT) == access_point and instance.state != "shutting-down":
            end, read = ends(instance.tags, instance.launched)
            if end <= now:
                instances.append(instance.id)
            if not read:
                unreadable.append(instance.id)
    return Due(tuple(fleets), tuple(instances), tuple(unreadable))
