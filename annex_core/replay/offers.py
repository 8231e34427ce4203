"""What the types of a route hold of each shape, and what they cost in a replay."""

from collections.abc import Mapping, Sequence

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.route import Market, Route
from annex_core.planner.caps import beside
from annex_core.planner.matching import Matcher
from annex_core.planner.rooms import jobs_per_machine


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


def hourly_prices(types: Mapping[str, InstanceType], route: Route, spot_share: float) -> dict[str, float]:
    """
    What an hour of each type costs, in USD: its price, and what is paid beside it.

    Args:
        spot_share: What a spot machine costs, as a share of the on-demand price.
    """
    share = spot_share if route.market is not Market.ON_DEMAND else 1.0
    known = [float(kind.on_demand) / kind.vcpus for kind in types.values() if kind.on_demand is not None]
    dearest = max(known, default=0.0)
    return {
        name: float(beside(route))
        # An unknown price is the highest that any of them has for a vCPU.
        + share * (float(kind.on_demand) if kind.on_demand is not None else dearest * kind.vcpus)
        for name, kind in types.items()
    }
