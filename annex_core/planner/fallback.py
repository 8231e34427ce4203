"""
Where an annex's machines come from, in the route's order: its Spot ones, those of the routes that it names as
fallbacks, then on-demand ones where they allow them.

Jobs don't move. A later stage serves a group of jobs for as long as AWS has none of what the earlier ones would give
it; as soon as AWS gives such machines again, growth is back there.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TypeVar

from annex_core.model.annex import Annex, Launch
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import sold
from annex_core.planner.shortages import shortages

_AT_ONCE = timedelta(minutes=1)
"""By then AWS has said whether it fills a request."""
_EVICTIONS_COUNT = timedelta(hours=1)

N = TypeVar("N", int, Decimal)


@dataclass(frozen=True)
class Stage:
    route: Route
    """With the market that is meant now."""
    waits: timedelta = timedelta(0)
    """For so long AWS must have had none of what the earlier stages would give."""
    fallback: bool = False
    """It is another route than the annex's own."""


def stages(annex: Annex, route: Route, snapshot: Snapshot) -> tuple[Stage, ...]:
    """
    The first one is what is asked for as long as there is any of it.

    Args:
        route: The annex's own, with its overrides in force. Routes that it names as fallbacks know nothing of what a
            create by hand decided, and an annex of such decisions has none; their own fallbacks don't count.
    """
    named = [] if annex.overrides else [snapshot.routes[name] for name in route.fallback if name in snapshot.routes]
    others = [bounded(each.of(annex.key.owner), route) for each in named if each.pilot == route.pilot]
    spot, later = [], []
    for each in (route, *others):
        waits = timedelta(0) if each is route else _waits(each, route)
        if each.market is Market.SPOT_THEN_ON_DEMAND:
            spot.append(Stage(replace(each, market=Market.SPOT), waits, each is not route))
            later.append(Stage(on_demand(each, snapshot), route.fallback_after, each is not route))
        else:
            spot.append(Stage(each, waits, each is not route))
    found = (*spot, *later)
    if _evicted(annex, route, snapshot):
        return tuple(replace(each, waits=timedelta(0)) for each in found if lasting(each)) or found
    return found


def _waits(route: Route, first: Route) -> timedelta:
    """Spot machines elsewhere cost about the same: at once. On-demand ones don't."""
    return first.fallback_after if route.market is Market.ON_DEMAND else timedelta(0)


def evictions(annex: Annex, snapshot: Snapshot) -> int:
    """Machines of the annex that AWS took back within an hour."""
    mine = (known.interrupted for known in snapshot.known_of(annex))
    return sum(at is not None and snapshot.at - at < _EVICTIONS_COUNT for at in mine)


def _evicted(annex: Annex, route: Route, snapshot: Snapshot) -> bool:
    most = route.fallback_evictions
    return most is not None and evictions(annex, snapshot) >= most


def bounded(route: Route, first: Route) -> Route:
    """A fallback within the caps of the annex's own route: an annex is no larger for having fallen back."""
    return replace(
        route,
        max_instances=min(route.max_instances, first.max_instances),
        max_vcpus=_tighter(route.max_vcpus, first.max_vcpus),
        max_hourly_cost=_tighter(route.max_hourly_cost, first.max_hourly_cost),
        budget=_tighter(route.budget, first.budget),
        grow_interval=first.grow_interval,
        fulfil_within=first.fulfil_within,
    )


def _tighter(one: N | None, other: N | None) -> N | None:
    return min((each for each in (one, other) if each is not None), default=None)


def on_demand(route: Route, snapshot: Snapshot) -> Route:
    """The route as it buys at list prices: without types whose price is unknown or over AnnexOnDemandMaxPrice."""
    most, types = route.on_demand_max_price, snapshot.types.get(route.place, {})
    if most is None:
        return replace(route, market=Market.ON_DEMAND)
    names = tuple(
        name
        for name in route.instance_types
        if name in types and (price := types[name].on_demand) is not None and price <= most
    )
    return replace(route, market=Market.ON_DEMAND, instance_types=names)


def decided(annex: Annex, route: Route, snapshot: Snapshot) -> Route:
    """The first stage of which AWS has any type, for what is ordered by hand; the first of all where it has none."""
    all_of_it = stages(annex, replace(route, fallback=()), snapshot)
    for before, stage in pairwise(all_of_it):
        since = shortages(before.route, snapshot).since
        names = [name for name in before.route.instance_types if name in snapshot.types.get(route.place, {})]
        if not names or any(name not in since for name in names):
            return before.route
        if snapshot.at - max(since[name] for name in names) >= stage.waits and stage.route.instance_types:
            return stage.route
    return all_of_it[0].route


def due(lacked: Mapping[int, datetime], stage: Stage, now: datetime) -> frozenset[int]:
    """Of groups that AWS has had nothing for since then, those that the stage may serve."""
    return frozenset(group for group, since in lacked.items() if now - since >= stage.waits)


def lasting(stage: Stage) -> bool:
    """AWS doesn't take its machines back."""
    return stage.route.market is Market.ON_DEMAND


def announced(lacked: Mapping[int, datetime], stage: Stage) -> str:
    """What jobs are told that wait for a stage to begin."""
    begins = min(lacked.values()) + stage.waits
    return f"if that stays so, {_machines(stage)} are asked for from {begins:%H:%M} UTC on"


def patience(
    launch: Launch, annex: Annex, route: Route, snapshot: Snapshot, *, stuck: Container[str] = ()
) -> timedelta:
    """
    How long a request that AWS doesn't fill is waited for: less where another stage, or other types, may serve its
    jobs.

    Args:
        stuck: Tokens of those for which other types may.
    """
    if launch.token in stuck:
        return min(route.fulfil_within, _AT_ONCE)
    all_of_it = stages(annex, route, snapshot)
    if launch.annex != annex.id or launch.token not in snapshot.obstacles or len(all_of_it) == 1:
        return route.fulfil_within
    for stage, after in pairwise(all_of_it):
        mine = stage.route.market is launch.market and stage.route.place == launch.place
        since = shortages(stage.route, snapshot).since
        if mine and all(name in since for name in launch.types):
            begins = max(since[name] for name in launch.types) + after.waits
            return min(route.fulfil_within, max(begins - launch.intended, _AT_ONCE))
    return route.fulfil_within


def none_left(stage: Stage) -> str | None:
    """Why a stage has no type to ask for, whatever AWS has."""
    if stage.route.instance_types:
        return None
    most = stage.route.on_demand_max_price
    return f"no type of route {stage.route.name} has a list price of ${most} an hour at most (AnnexOnDemandMaxPrice)"


def in_their_place(stage: Stage) -> str:
    return f"{_machines(stage)} are asked for in their place"


def _machines(stage: Stage) -> str:
    by = f" of route {stage.route.name}" if stage.fallback else ""
    return f"{sold(stage.route.market)} machines{by}"
