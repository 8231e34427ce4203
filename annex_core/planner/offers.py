"""What a type is expected to cost by a route: for the order of choice, never for what is reserved."""

from collections.abc import Callable
from decimal import Decimal

from annex_core.model.hardware import InstanceType
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import beside, ceiling
from annex_core.planner.shortages import shortages


def expected_hour(kind: InstanceType, route: Route, snapshot: Snapshot) -> Decimal | None:
    """As expected() says it of one type."""
    return expected(route, snapshot)(kind)


def expected(route: Route, snapshot: Snapshot) -> Callable[[InstanceType], Decimal | None]:
    """
    What says of a type how many USD an hour of one instance is expected to cost, with what is paid beside it: in the
    cheapest zone of the route's subnets that has it on the Spot market, as far as AWS told prices there; else at the
    most that it may cost. It says None where no price is known, or none that the ceiling allows: dearer than any that
    is.
    """
    known = snapshot.zones.get(route.place, {})
    zones = [known[subnet] for subnet in route.subnets if subnet in known]
    prices = snapshot.prices.get(route.place) if route.market is Market.SPOT else None
    left_out = shortages(route, snapshot).left_out

    def hour(kind: InstanceType) -> Decimal | None:
        price = most = ceiling(kind, route)
        usable = [zone for zone in zones if (kind.name, zone) not in left_out]
        asked = [found for zone in usable if prices and (found := prices.of(kind.name, zone)) is not None]
        if asked:
            price = min(asked)
            if most is not None and price > most:
                return None
        return None if price is None else price + beside(route)

    return hour
