"""A route is the recipe: all that an admin decides about the annexes made by it."""

from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum

EVERYBODY = "*"


class Market(StrEnum):
    SPOT = "spot"
    ON_DEMAND = "on-demand"
    SPOT_THEN_ON_DEMAND = "spot-then-on-demand"


@dataclass(frozen=True)
class Route:
    """
    The checked Annex* macros of one JOB_ROUTER_ROUTE_<name>, defaults filled in.

    Source:
        schemas/route.json says what each macro may hold; adapters/routes.py makes this from the configuration.
    """

    name: str
    region: str
    subnets: tuple[str, ...]
    image: str
    """An AMI id, or the name of an SSM parameter that holds one (it starts with a slash)."""
    instance_types: tuple[str, ...]
    bucket: str
    """The S3 bucket for bundles, in the route's region."""
    fleet_role: str
    """ARN of the role that Spot Fleet launches with (IamFleetRole)."""
    endpoint: str | None = None
    """Another endpoint than AWS's own, such as the local cloud's."""
    market: Market = Market.SPOT
    allocation_strategy: str = "priceCapacityOptimized"
    fulfil_within: timedelta = timedelta(minutes=10)
    grow_interval: timedelta = timedelta(minutes=2)
    lifetime: timedelta = timedelta(hours=8)
    max_lifetime: timedelta = timedelta(hours=24)
    idle_timeout: timedelta = timedelta(minutes=5)
    join_within: timedelta = timedelta(minutes=20)
    """An instance that has not joined the pool by then is ended."""
    max_instances: int = 0
    """The most instances of one annex, booting and asked-for ones included; caps of 0 launch nothing."""
    max_vcpus: int | None = None
    max_hourly_cost: Decimal | None = None
    """USD an hour for one annex, at the price ceiling of each instance."""
    budget: Decimal | None = None
    """USD for one annex's life."""
    egress_price: Decimal = Decimal(0)
    """USD an hour added to each instance's price, the admin's allowance for egress and public address."""
    owners: tuple[str, ...] = (EVERYBODY,)
    """Who may use the route."""
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    instance_profile: str | None = None
    volume_gib: int = 20
    config_dir: str | None = None
    tags: tuple[tuple[str, str], ...] = ()
