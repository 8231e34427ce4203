"""
Where an annex's machines come from, in the route's order: Spot ones, then on-demand ones where the route allows them.

Jobs don't move. A later stage serves a group of jobs for as long as AWS has none of what the earlier ones would give
it; as soon as AWS gives such machines again, growth is back there.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from annex_core.model.annex import Annex, Launch
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import sold
from annex_core.planner.shortages import shortages

_AT_ONCE = timedelta(minutes=1)
"""By then AWS has said whether it fills a request."""


@dataclass(frozen=True)
class Stage:
    route: Route
    """With the market that is meant now."""
    waits: timedelta = timedelta(0)
    """For so long AWS must have had none of what the earlier stages would give."""


def stages(route: Route, snapshot: Snapshot) -> tuple[Stage, ...]:
    """The first one is what is asked for as long as there is any of it."""
    if route.market is not Market.SPOT_THEN_ON_DEMAND:
        return (Stage(route),)
    return (Stage(replace(route, market=Market.SPOT)), Stage(on_demand(route, snapshot), route.fallback_after))


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


def decided(route: Route, snapshot: Snapshot) -> Route:
    """The first stage of which AWS has any type, for what is ordered by hand; the first of all where it has none."""
    all_of_it = stages(route, snapshot)
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


def announced(lacked: Mapping[int, datetime], stage: Stage) -> str:
    """What jobs are told that wait for a stage to begin."""
    begins = min(lacked.values()) + stage.waits
    return f"if that stays so, {sold(stage.route.market)} machines are asked for from {begins:%H:%M} UTC on"


def patience(launch: Launch, annex: Annex, route: Route, snapshot: Snapshot) -> timedelta:
    """How long a request that AWS doesn't fill is waited for: less where another stage may serve its jobs."""
    all_of_it = stages(route, snapshot)
    if launch.annex != annex.id or launch.token not in snapshot.obstacles or len(all_of_it) == 1:
        return route.fulfil_within
    for stage, after in pairwise(all_of_it):
        mine = stage.route.market is launch.market and stage.route.place == launch.place
        if mine and shortages(stage.route, snapshot).short.issuperset(launch.types):
            return min(route.fulfil_within, max(after.waits, _AT_ONCE))
    return route.fulfil_within


def none_left(stage: Stage) -> str | None:
    """Why a stage has no type to ask for, whatever AWS has."""
    if stage.route.instance_types:
        return None
    most = stage.route.on_demand_max_price
    return f"no type of route {stage.route.name} has a list price of ${most} an hour at most (AnnexOnDemandMaxPrice)"


def in_their_place(stage: Stage) -> str:
    return f"{sold(stage.route.market)} machines are asked for in their place"
