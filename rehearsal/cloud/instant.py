"""EC2 Fleets of type `instant`: one call that launches what there is, and says what there isn't."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any
from uuid import uuid4

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instances import Instance
from moto.ec2.utils import convert_tag_spec

from rehearsal.cloud import fleet_config
from rehearsal.cloud.life import BY_API, Lives
from rehearsal.cloud.placement import Pool, choose, ranked
from rehearsal.cloud.world import World

FLEET_TAG = "aws:ec2:fleet-id"
MOST_DELETED = 25
"""Instant fleets a DeleteFleets call takes."""
_NO_CAPACITY = (
    "InsufficientInstanceCapacity",
    "We currently do not have sufficient {type} capacity in the Availability Zone you requested ({zone}).",
)
_TOO_DEAR = ("SpotMaxPriceTooLow", "Your Spot request price of {price} is lower than the minimum required.")
_NO_ADDRESSES = (
    "InsufficientFreeAddressesInSubnet",
    "There are not enough free addresses in subnet '{subnet}' to satisfy the requested number of instances.",
)


@dataclass
class InstantFleet:
    id: str
    serial: int
    config: dict[str, Any]
    """CreateFleet's parameters."""
    created: float
    state: str = "active"
    launched: dict[Pool, list[Instance]] = field(default_factory=dict)
    errors: list[tuple[Pool, str, str]] = field(default_factory=list)
    """Pool, code, message."""

    @property
    def lifecycle(self) -> str:
        return str(self.config["TargetCapacitySpecification"]["DefaultTargetCapacityType"])

    @property
    def instances(self) -> list[Instance]:
        return [instance for some in self.launched.values() for instance in some]


class InstantFleets:
    """The EC2 Fleets of one region; World.lock is held by whoever calls."""

    def __init__(self, ec2: EC2Backend, world: World, lives: Lives) -> None:
        self._ec2 = ec2
        self._world = world
        self._lives = lives
        self._serials = count()
        self.fleets: dict[str, InstantFleet] = {}

    def create(self, config: dict[str, Any]) -> InstantFleet:
        """
        CreateFleet: what can be launched is, at once, and nothing later.

        Raises:
            ServiceException: AWS refuses it, or it wants what this cloud doesn't have.
        """
        if config.get("Type", "maintain") != "instant":
            raise EC2ClientError("UnsupportedOperation", "this cloud's EC2 Fleets are of type instant")
        named = convert_tag_spec(config.get("TagSpecifications", []))
        if named.keys() - {"fleet", "instance"}:
            raise EC2ClientError("InvalidParameterValue", "an instant fleet tags resources of type fleet and instance")
        pools = fleet_config.pools(_as_spot_fleet(config), self._ec2)
        now = self._world.clock.now()
        fleet = InstantFleet(f"fleet-{uuid4()}", next(self._serials), config, now)
        spot = fleet.lifecycle == "spot"
        strategy = _strategy(config, spot=spot)
        wanted = config["TargetCapacitySpecification"]["TotalTargetCapacity"]
        for pool, number in self._place(fleet, pools, strategy, wanted, spot=spot).items():
            self._launch(fleet, pool, number, named.get("instance", {}), spot=spot)
        self.fleets[fleet.id] = fleet
        self._ec2.create_tags([fleet.id], named.get("fleet", {}))
        return fleet

    def _place(
        self, fleet: InstantFleet, pools: Sequence[Pool], strategy: str, wanted: float, *, spot: bool
    ) -> Mapping[Pool, int]:
        """How many instances go into each pool; a pool that is full is an error of the fleet."""
        now = self._world.clock.now()
        dear = [pool for pool in pools if spot and not pool.affordable(now, self._world.settings.spot_price_factor)]
        fleet.errors += [(pool, *_said(_TOO_DEAR, pool)) for pool in dear]
        best = [pool for pool in ranked(pools, strategy, seed=self._world.seed, at=now) if pool not in dear]
        held = self._lives.crowd()
        placed: Counter[Pool] = Counter()
        free: dict[str, int] = {}
        filled = 0.0
        while filled < wanted and (pool := choose(best, placed, spread=strategy == "diversified")):
            left = free.setdefault(pool.subnet, self._ec2.get_subnet(pool.subnet).available_ip_address_count)
            room = self._world.faults.room(pool.instance_type, pool.zone, "spot" if spot else "on-demand")
            if room is not None and held[pool.instance_type, pool.zone] >= room:
                fleet.errors.append((pool, *_said(_NO_CAPACITY, pool)))
                best.remove(pool)
            elif not left:
                fleet.errors.append((pool, *_said(_NO_ADDRESSES, pool)))
                best.remove(pool)
            else:
                held[pool.instance_type, pool.zone] += 1
                free[pool.subnet] -= 1
                placed[pool] += 1
                filled += pool.weight
        return placed

    def _launch(self, fleet: InstantFleet, pool: Pool, number: int, tags: Mapping[str, str], *, spot: bool) -> None:
        try:
            made = self._ec2.run_instances(
                pool.image,
                number,
                instance_type=pool.instance_type,
                is_instance_type_default=False,
                subnet_id=pool.subnet,
                lifecycle="spot" if spot else None,
                fleet=fleet.id,
                tags={"instance": {**tags, FLEET_TAG: fleet.id}},
                **pool.launch,
            )
        except ServiceException as error:
            fleet.errors.append((pool, str(error.code), str(error.message)))
        else:
            fleet.launched[pool] = made.instances

    def delete(self, fleet: InstantFleet) -> bool:
        """End its instances too, as AWS always does with one of this type; False where it is deleted already."""
        if fleet.state != "active":
            return False
        alive = [life for each in fleet.instances if (life := self._lives.get(each.id)) and not life.over]
        fleet.state = "deleted_terminating" if alive else "deleted"
        for life in alive:
            self._lives.end(life, BY_API)
        return True


def _said(words: tuple[str, str], pool: Pool) -> tuple[str, str]:
    code, message = words
    return code, message.format(type=pool.instance_type, zone=pool.zone, subnet=pool.subnet, price=pool.max_price)


_SPELT: Mapping[str, str] = {
    "lowest-price": "lowestPrice",
    "prioritized": "lowestPrice",
    "diversified": "diversified",
    "capacity-optimized": "capacityOptimized",
    "capacity-optimized-prioritized": "capacityOptimizedPrioritized",
    "price-capacity-optimized": "priceCapacityOptimized",
}


def _strategy(config: Mapping[str, Any], *, spot: bool) -> str:
    """As Spot Fleet spells it: the choice among pools is the same."""
    options = config.get("SpotOptions" if spot else "OnDemandOptions", {})
    said = options.get("AllocationStrategy", "lowest-price")
    if said not in _SPELT:
        raise EC2ClientError("InvalidParameterValue", f"Invalid AllocationStrategy {said}")
    return _SPELT[said]


def _as_spot_fleet(config: Mapping[str, Any]) -> dict[str, Any]:
    """The parts that offer pools, by the names that Spot Fleet has for them."""

    def renamed(override: Mapping[str, Any]) -> dict[str, Any]:
        return {("SpotPrice" if name == "MaxPrice" else name): value for name, value in override.items()}

    return {
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": part["LaunchTemplateSpecification"],
                "Overrides": [renamed(override) for override in part.get("Overrides", [])],
            }
            for part in config["LaunchTemplateConfigs"]
        ]
    }


def answer(fleet: InstantFleet) -> dict[str, Any]:
    """What CreateFleet says of it, and DescribeFleets to who asks by id."""
    return {
        "FleetId": fleet.id,
        "Instances": [
            {
                "LaunchTemplateAndOverrides": _where(fleet, pool),
                "Lifecycle": fleet.lifecycle,
                "InstanceIds": [each.id for each in some],
                "InstanceType": pool.instance_type,
            }
            for pool, some in fleet.launched.items()
        ],
        "Errors": [
            {
                "LaunchTemplateAndOverrides": _where(fleet, pool),
                "Lifecycle": fleet.lifecycle,
                "ErrorCode": code,
                "ErrorMessage": message,
            }
            for pool, code, message in fleet.errors
        ],
    }


def _where(fleet: InstantFleet, pool: Pool) -> dict[str, Any]:
    return {
        "LaunchTemplateSpecification": fleet.config["LaunchTemplateConfigs"][0]["LaunchTemplateSpecification"],
        "Overrides": {"InstanceType": pool.instance_type, "SubnetId": pool.subnet},
    }
