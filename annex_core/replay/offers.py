"""What there is to buy in a replay: of each shape how many jobs it runs at a time, and what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.place import Place
from annex_core.model.route import Market, Route
from annex_core.planner.caps import beside
from annex_core.planner.matching import Matcher
from annex_core.planner.rooms import jobs_per_machine
from annex_core.planner.virtual_slot import usable_disk_kib


@dataclass(frozen=True)
class Stock:
    """A route that is replayed, or one that it falls back on, and those of its instance types that exist."""

    route: Route
    types: Mapping[str, InstanceType]


@dataclass(frozen=True, eq=False)
class Offer:
    """A type in a place in a market at a price."""

    kind: InstanceType
    place: Place
    market: Market
    """SPOT or ON_DEMAND."""
    disk_kib: int
    hourly: float
    """USD, with what is paid beside the machine."""
    each: Sequence[int]
    """By shape how many jobs it runs at a time; 0 where they don't match."""


def offers(
    stock: Stock, groups: Sequence[JobGroup], matcher: Matcher, spot_share: float
) -> dict[Market, dict[str, Offer]]:
    """
    All that a route can buy, by market and type.

    Args:
        groups: The shapes.
        spot_share: What a Spot machine costs, as a share of the on-demand price.
    """
    route, types = stock.route, stock.types
    held = holdings(groups, types, matcher, route)
    found: dict[Market, dict[str, Offer]] = {}
    for market, share in ((Market.SPOT, spot_share), (Market.ON_DEMAND, 1.0)):
        if route.market in {market, Market.SPOT_THEN_ON_DEMAND}:
            price = _hourly(types, route, share)
            found[market] = {
                name: Offer(
                    kind,
                    route.place,
                    market,
                    usable_disk_kib(kind, route.volume_gib),
                    price[name],
                    [each[name] for each in held],
                )
                for name, kind in types.items()
            }
    return found


def holdings(
    groups: Sequence[JobGroup], types: Mapping[str, InstanceType], matcher: Matcher, route: Route
) -> list[dict[str, int]]:
    """For each group how many of its jobs a machine of each type runs at a time; 0 where they don't match."""
    volume = route.volume_gib
    return [
        {
            name: jobs_per_machine(group, kind, volume_gib=volume)
            if matcher.fits(group, kind, volume_gib=volume)
            else 0
            for name, kind in types.items()
        }
        for group in groups
    ]


def _hourly(types: Mapping[str, InstanceType], route: Route, share: float) -> dict[str, float]:
    known = [float(kind.on_demand) / kind.vcpus for kind in types.values() if kind.on_demand is not None]
    dearest = max(known, default=0.0)
    return {
        name: float(beside(route))
        # An unknown price is the highest that any of them has for a vCPU.
        + share * (float(kind.on_demand) if kind.on_demand is not None else dearest * kind.vcpus)
        for name, kind in types.items()
    }
