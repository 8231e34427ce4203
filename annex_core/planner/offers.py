"""What a type is expected to cost by a route: for the order of choice, never for what is reserved."""

from collections.abc import Callable
from decimal import Decimal

from annex_core.model.hardware import InstanceType
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import beside, ceiling
from annex_core.planner.risks import risks
from annex_core.planner.shortages import shortages


def expected(route: Route, snapshot: Snapshot) -> Callable[[InstanceType], Decimal | None]:
    """
    What says of a type how many USD an hour of one instance is expected to cost, with what is paid beside it: in the
    cheapest zone of the route's subnets that has it on the Spot market, as far as AWS told prices there; else at the
    most that it may cost. Where machines were taken back or never joined lately, it is dearer (risks.py).

    It says None where no price is known, or none that the ceiling allows: dearer than any that is.
    """
    one = Decimal(1)
    known = snapshot.zones.get(route.place, {})
    zones = route.zones(known)
    prices = snapshot.prices.get(route.place) if route.market is Market.SPOT else None
    left_out = shortages(route, snapshot).left_out
    market = Market.ON_DEMAND if route.market is Market.ON_DEMAND else Market.SPOT
    risk = risks(route.place, market, snapshot)

    def hour(kind: InstanceType) -> Decimal | None:
        most = ceiling(kind, route)
        asked: list[Decimal] = []
        unknown = not zones
        for zone in zones:
            if (kind.name, zone) in left_out:
                continue
            price = prices.of(kind.name, zone) if prices else None
            if price is None:
                unknown = True
            elif most is None or price <= most:
                asked.append(price * risk.get((kind.name, zone), one))
        if not asked and unknown and most is not None:
            asked.append(most * max((risk.get((kind.name, zone), one) for zone in zones), default=one))
        return min(asked) + beside(route) if asked else None

    return hour
