"""What is still to be asked for to fill the orders of one annex."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from annex_core.model.annex import Annex
from annex_core.model.hardware import InstanceType
from annex_core.model.order import Order, filled, refusal
from annex_core.model.route import Route, overridden
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import instance_hour
from annex_core.planner.fallback import decided


@dataclass(frozen=True)
class Shortfall:
    """An order that has not got all its machines yet."""

    order: Order
    route: Route
    """As the order has it."""
    ways: tuple[tuple[tuple[str, ...], int], ...]
    """Types of which any will do, and how many machines of them; the best first. Empty: the region has none."""
    fresh: bool
    """Nothing was asked for to fill it so far."""

    @property
    def machines(self) -> int:
        """By the best way; 1 where none is known."""
        return self.ways[0][1] if self.ways else 1


def shortfalls(annex: Annex, route: Route, snapshot: Snapshot) -> tuple[Shortfall, ...]:
    """
    The annex's orders that lack machines, oldest first. One that AWS refused is over.

    Args:
        route: The annex's own, its overrides in force.
    """
    launches = snapshot.launches_of(annex)
    known = snapshot.known_of(annex)
    types = snapshot.types.get(annex.place, {})
    found = []
    for order in snapshot.orders_of(annex):
        if refusal(order, launches):
            continue
        got = filled(order, launches, known, annex)
        its = decided(annex, overridden(route, order.overrides), snapshot)
        if order.instances is not None:
            lacking = order.instances - sum(count for _, count in got)
        else:
            lacking = (order.slots or 0) - sum(count * _least(launch.types, types) for launch, count in got)
        if lacking > 0:
            fresh = not any(launch.order == order.id for launch in launches)
            found.append(Shortfall(order, its, ways(order, lacking, its, types), fresh))
    return tuple(found)


def ways(
    order: Order, lacking: int, route: Route, types: Mapping[str, InstanceType]
) -> tuple[tuple[tuple[str, ...], int], ...]:
    """
    How *lacking* machines, or vCPUs where the order counts those, can be had: of types that whoever ordered named, any
    will do; else those of one size, the size first that costs least in all, of equals the one of fewest vCPUs.
    """
    kinds = [types[name] for name in route.instance_types if name in types]
    if not kinds:
        return ()
    if order.instances is not None and "instance_types" in order.overrides:
        return ((tuple(kind.name for kind in kinds), lacking),)
    sizes: dict[int, list[InstanceType]] = {}
    for kind in kinds:
        sizes.setdefault(kind.vcpus, []).append(kind)
    found = []
    for vcpus, some in sizes.items():
        machines = lacking if order.instances is not None else math.ceil(lacking / vcpus)
        hours = [(instance_hour(kind, route), kind.name) for kind in some]
        priced = sorted((hour, name) for hour, name in hours if hour is not None)
        names = tuple(name for _, name in priced) or tuple(sorted(name for _, name in hours))
        cost = (not priced, machines * priced[0][0] if priced else Decimal(0), machines * vcpus)
        found.append((cost, names, machines))
    return tuple((names, machines) for _, names, machines in sorted(found, key=lambda each: each[0]))


def _least(names: Iterable[str], types: Mapping[str, InstanceType]) -> int:
    """vCPUs that one machine surely has; one of a type that we know nothing of counts as many, not to buy twice."""
    sizes: Sequence[int] = [types[name].vcpus if name in types else 1 << 20 for name in names]
    return min(sizes, default=1 << 20)
