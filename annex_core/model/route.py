"""A route is the recipe: all that an admin decides about the annexes made by it."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from annex_core.model.place import OWNER, SITE, Place
from annex_core.model.schedule import Schedule

EVERYBODY = "*"
DEFAULT_SUBNETS = "default"
"""In place of subnets: those of the account's default VPC, one in each zone, whosever account it is."""


class Market(StrEnum):
    SPOT = "spot"
    ON_DEMAND = "on-demand"
    SPOT_THEN_ON_DEMAND = "spot-then-on-demand"


class FleetApi(StrEnum):
    """The call of EC2's that machines are asked for with."""

    SPOT_FLEET = "spot-fleet"
    """RequestSpotFleet, a fleet request that AWS fills by and by."""
    EC2_FLEET = "ec2-fleet"
    """CreateFleet of type `instant`, which answers at once with what there is."""
    RUN_INSTANCES = "run-instances"
    """RunInstances: one type in one subnet a call."""


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
    bucket: str | None = None
    """The S3 bucket for bundles, in the route's region; None: a bundle travels in the user data."""
    fleet_role: str | None = None
    """ARN of the role that Spot Fleet launches with (IamFleetRole); no other call needs one."""
    endpoint: str | None = None
    """Another endpoint than AWS's own, such as the local cloud's."""
    credentials: str = SITE
    """Who signs: SITE, `instance-role`, `profile NAME`, or OWNER: each annex's own owner."""
    market: Market = Market.SPOT
    fallback: tuple[str, ...] = ()
    """Other routes, by name, whose machines are bought where AWS has none by this one, in this order."""
    fallback_evictions: int | None = None
    """So many machines of an annex that AWS took back within an hour have on-demand ones bought at once."""
    fallback_after: timedelta = timedelta(minutes=10)
    """For so long AWS must have had no Spot machine of any type, before on-demand ones are bought in their place."""
    on_demand_max_price: Decimal | None = None
    """USD an hour: the most that the list price of an on-demand machine may be that is bought as a fallback."""
    allocation_strategy: str = "priceCapacityOptimized"
    fulfil_within: timedelta = timedelta(minutes=10)
    grow_interval: timedelta = timedelta(minutes=2)
    after: timedelta | None = None
    """How long a job that named no annex has to be idle before it joins one; None: the route is not for such jobs."""
    lifetime: timedelta = timedelta(hours=8)
    max_lifetime: timedelta = timedelta(hours=24)
    idle_timeout: timedelta = timedelta(minutes=5)
    join_within: timedelta = timedelta(minutes=20)
    """An instance that has not joined the pool by then is ended."""
    max_instances: int = 0
    """The most instances of one annex, booting and asked-for ones included; caps of 0 launch nothing."""
    min_instances: int = 0
    """Kept ready without a job while min_schedule says so."""
    min_schedule: Schedule | None = None
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
    metadata_tokens: str = "required"
    """HttpTokens: `optional` for what knows version 1 of instance metadata alone."""
    config_dir: str | None = None
    user_data_file: str | None = None
    """What instances run at boot in place of our boot script: a file on the access point."""
    pilot: bool = False
    """Machines bring their own pilot: they get no bundle and no token, and are not expected in the annexes' pool."""
    tags: tuple[tuple[str, str], ...] = ()
    rebalance: int = 0
    """Machines of one annex that are drained in an hour, at most, because AWS recommends to move off them."""
    reaper: bool = True
    """Nothing is launched where the region's reaper has left no heartbeat lately."""
    probe: bool = True
    """Nothing is launched where our function in the region finds no way to the annex collector."""
    fleet_api: FleetApi = FleetApi.SPOT_FLEET

    # What no macro says, only a create by hand (overridden()).
    config_files: tuple[tuple[str, bytes], ...] = ()
    """Beside those of config_dir."""
    max_prices: tuple[tuple[str, Decimal], ...] = ()
    """USD an hour by instance type, or for all others under *: the most that the Spot market may ask."""
    user_data: str | None = None
    """Instead of the boot script; it wins over user_data_file."""
    default_user_data: str | None = None
    """Where fleet_config brings none."""
    fleet_config: Mapping[str, Any] | None = None
    """A Spot Fleet request configuration as AWS's console exports it."""

    @property
    def by_owner(self) -> bool:
        """Each user's machines are in an account of their own: only of() says where."""
        return self.credentials == OWNER

    def of(self, owner: str) -> "Route":
        """The route as it is for a user's annexes."""
        return replace(self, credentials=f"{OWNER} {owner}") if self.by_owner else self

    def open_to(self, owner: str) -> bool:
        return bool({EVERYBODY, owner} & {*self.owners})

    def zones(self, known: Mapping[str, str]) -> tuple[str, ...]:
        """
        Args:
            known: Zones by subnet, as Cloud.known_zones() has them.
        """
        if DEFAULT_SUBNETS in self.subnets:
            return tuple(zone for subnet, zone in known.items() if subnet == default_subnet(zone))
        return tuple(dict.fromkeys(known[subnet] for subnet in self.subnets if subnet in known))

    @property
    def label(self) -> str:
        """Its name, and for whom it is where it was made for one by of()."""
        return f"{self.name} for {self.place.owner}" if self.place.owner else self.name

    @property
    def place(self) -> Place:
        """Where its machines are, and in whose account."""
        return Place.of(self.region, self.endpoint, self.credentials)

    @property
    def api(self) -> FleetApi:
        """The call that asks for its instances: a Spot Fleet brings no on-demand ones but beside others."""
        on_demand = self.market is Market.ON_DEMAND
        return FleetApi.EC2_FLEET if on_demand and self.fleet_api is FleetApi.SPOT_FLEET else self.fleet_api


def default_subnet(zone: str) -> str:
    """What the default VPC's subnet in a zone goes by, beside its id."""
    return f"{DEFAULT_SUBNETS} {zone}"


_AS_THEY_STAND = (
    "image", "key_name", "instance_profile", "user_data", "default_user_data", "fleet_config", "pilot",
)  # fmt: skip
_LISTS = ("subnets", "security_groups", "instance_types")


def overridden(route: Route, overrides: Mapping[str, Any]) -> Route:
    """
    The route as a create by hand has it.

    Args:
        overrides: Fields of `create` in schemas/request.json, valid by it; those that concern no route are left alone.
    """
    changed: dict[str, Any] = {name: overrides[name] for name in _AS_THEY_STAND if name in overrides}
    changed |= {name: tuple(overrides[name]) for name in _LISTS if name in overrides}
    if "idle_s" in overrides:
        changed["idle_timeout"] = timedelta(seconds=overrides["idle_s"])
    if "market" in overrides:
        changed["market"] = Market(overrides["market"])
    if "fleet_api" in overrides:
        changed["fleet_api"] = FleetApi(overrides["fleet_api"])
    if "tags" in overrides:
        changed["tags"] = tuple((dict(route.tags) | overrides["tags"]).items())
    if "config_files" in overrides:
        named = overrides["config_files"]
        changed["config_files"] = tuple((name, base64.b64decode(named[name])) for name in sorted(named))
    if "max_price_usd" in overrides:
        changed["max_prices"] = tuple((name, Decimal(usd)) for name, usd in overrides["max_price_usd"].items())
    if (config := overrides.get("fleet_config")) is not None:
        changed["volume_gib"] = route.volume_gib + volumes_gib(config)
    return replace(route, **changed) if changed else route


def volumes_gib(fleet_config: Mapping[str, Any]) -> int:
    """What the volumes that it names for one machine have together at most: they cost money beside the root's."""
    return max(
        (
            sum(
                int(each.get("Ebs", {}).get("VolumeSize") or 0)
                for each in specification.get("BlockDeviceMappings") or ()
            )
            for specification in fleet_config.get("LaunchSpecifications") or ()
        ),
        default=0,
    )
