"""Whether a launch that AWS has not answered may be sent again: it asks for machines if the first sending was lost."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from annex_core.model.annex import Annex, Launch
from annex_core.model.limits import Limit
from annex_core.model.route import overridden
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import caps
from annex_core.planner.commons import Commons, unreadable
from annex_core.planner.growth import closed_to, frozen_by
from annex_core.planner.outlay import Outlay
from annex_core.planner.safeguard import unsafe


def barred(launches: Iterable[tuple[Launch, Annex]], snapshot: Snapshot) -> dict[str, str]:
    """
    What has come since launches were decided for which they would not be decided now, by client token; what is
    unanswered counts as bought. Where it can't be told, nothing may be sent again.
    """
    found, commons = {}, None
    for launch, annex in launches:
        try:
            commons = commons or Commons(snapshot)
            why = _barred(launch, annex, snapshot, commons)
        except Exception as error:  # noqa: BLE001 - whatever it is, leases end all the same
            why = f"what is allowed can't be told: {error!r}"
        if why:
            found[launch.token] = why
    return found


def _barred(launch: Launch, annex: Annex, snapshot: Snapshot, commons: Commons) -> str | None:
    if frozen := frozen_by(annex, snapshot.freezes):
        return frozen
    if snapshot.pool_limits.malformed:
        return unreadable(snapshot.pool_limits.malformed)
    for name in dict.fromkeys((annex.route, launch.route or annex.route)):
        if name not in snapshot.routes:
            return f"route {name} is not in the configuration any more"
        route = overridden(snapshot.routes[name], annex.overrides).of(annex.key.owner)
        closed = closed_to(annex.key, route) or snapshot.frozen.get(launch.place)
        if why := closed or (unsafe(annex, route, snapshot) if route.place == launch.place else None):
            return why
    if any(_passed(limit, taken) for limit, taken in _bounds(annex, snapshot, commons)):
        return "it would be over a cap or a budget that was lowered since"
    return None


def _bounds(annex: Annex, snapshot: Snapshot, commons: Commons) -> Iterator[tuple[Limit, Outlay]]:
    own = commons.own(annex)
    route = overridden(snapshot.routes[annex.route], annex.overrides).of(annex.key.owner)
    its = caps(route, annex.limits)
    yield Limit(its.instances, its.vcpus, its.hourly, its.budget), own
    for share in commons.shares(annex):
        yield share.limit, share.others + own


def _passed(limit: Limit, taken: Outlay) -> bool:
    """What is not known, such as the size of a type that the route names no more, may be too much."""
    pairs: list[tuple[Decimal | int | None, Decimal | int | None]] = [
        (limit.instances, taken.instances),
        (limit.vcpus, taken.vcpus.known),
        (limit.hourly, taken.hourly.known),
        (limit.budget, taken.total.known),
        *((limit.monthly, taken.in_month(month)) for month in taken.months),
    ]
    return any(most is not None and (have is None or have > most) for most, have in pairs)
