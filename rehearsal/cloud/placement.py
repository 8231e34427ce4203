"""Where a fleet's next instance goes: a pure choice among its pools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rehearsal.cloud import prices


@dataclass(frozen=True)
class Pool:
    """An instance type in a subnet, as one launch specification or override of a fleet offers it."""

    instance_type: str
    zone: str
    subnet: str
    weight: float
    """Units of the fleet's target that one instance fills."""
    max_price: float | None
    """USD an hour for one instance; None is the on-demand price."""
    priority: float
    """Of the override; the lower the better."""
    image: str
    launch: Mapping[str, Any] = field(hash=False, compare=False)
    """What else run_instances is called with."""

    def affordable(self, at: float, factor: float) -> bool:
        """
        Args:
            factor: Of all Spot prices (Settings.spot_price_factor).
        """
        ceiling = prices.on_demand(self.instance_type) if self.max_price is None else self.max_price
        return prices.spot(self.instance_type, self.zone, at) * factor <= ceiling

    def unit_price(self, at: float) -> float:
        return prices.spot(self.instance_type, self.zone, at) / self.weight


Ranking = Callable[[Pool], tuple[float, ...]]


def ranked(pools: Sequence[Pool], strategy: str, *, seed: int, at: float) -> list[Pool]:
    """
    The pools, best first, by the fleet's AllocationStrategy.

    How deep a pool is, AWS keeps to itself; here it is a number that *seed*, type and zone decide.
    """

    def depth(pool: Pool) -> float:
        return prices.chance(seed, "depth", pool.instance_type, pool.zone)

    rankings: dict[str, Ranking] = {
        "lowestPrice": lambda pool: (pool.unit_price(at),),
        "diversified": lambda pool: (pool.unit_price(at),),
        "capacityOptimized": lambda pool: (-depth(pool),),
        "capacityOptimizedPrioritized": lambda pool: (pool.priority, -depth(pool)),
        "priceCapacityOptimized": lambda pool: (depth(pool) < 0.5, pool.unit_price(at)),
    }
    return sorted(pools, key=rankings[strategy])


STRATEGIES = (
    "lowestPrice",
    "diversified",
    "capacityOptimized",
    "capacityOptimizedPrioritized",
    "priceCapacityOptimized",
)


def choose(best_first: Sequence[Pool], crowd: Mapping[Pool, int], *, spread: bool) -> Pool | None:
    """
    Args:
        best_first: The pools that have room.
        crowd: How many of the fleet's instances each pool holds or will hold.
        spread: The strategy is `diversified`: as even as it gets, the better pool first.
    """
    if not best_first:
        return None
    return min(best_first, key=lambda pool: crowd.get(pool, 0)) if spread else best_first[0]
