"""A Spot Fleet configuration as AWS's console exports it, made into what an annex can ask for and still end."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from annex_core.errors import BadRequest
from annex_core.fleet_file import tagging
from annex_core.fleet_file.launching import Specification, amount, specifications, templates
from annex_core.fleet_file.shape import Json, conform
from annex_core.fleet_file.treatment import FLEET, KEPT, MOVED, OVERRIDES_AS

_ACCOUNT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):role/.+")
_OURS = {"IamFleetRole", "TargetCapacity", "TagSpecifications", "SpotPrice", "InstanceInterruptionBehavior"}
"""Kept, but each in a field of its own."""
_TOLD = 8
"""Of many things that are wrong with a file, how many are told."""


@dataclass(frozen=True)
class FleetConfig:
    """
    What a configuration asks for, without what would defeat the lease.

    Source:
        SpotFleetRequestConfigData of EC2; schemas/spot-fleet.json.
    """

    specifications: tuple[Specification, ...]
    attributes: Json = field(hash=False)
    """Of the fleet itself, as RequestSpotFleet takes them."""
    tags: Mapping[str, str] = field(hash=False)
    """For the fleet request."""
    target: int | None
    """TargetCapacity, in weights."""
    role: str | None
    """IamFleetRole; None: the route's."""
    notes: tuple[str, ...]
    """What was overridden, a sentence for each, for whoever wrote the file."""

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(pool.instance_type for each in self.specifications for pool in each.pools))

    @property
    def lightest(self) -> Decimal:
        """The least weight that an instance may have: the most instances for a capacity."""
        return min(pool.weight for each in self.specifications for pool in each.pools)

    def instances(self, capacity: int) -> int:
        """The most instances that AWS may launch for that capacity."""
        return int((capacity / self.lightest).to_integral_value(ROUND_CEILING))

    def capacity(self, instances: int) -> int:
        """The most capacity that can't bring more than so many instances; 0 where even 1 could."""
        return int(instances * self.lightest)

    def max_prices(self) -> Mapping[str, Decimal]:
        """USD an hour by type, the dearest of its pools; a type with one pool that names no price has none."""
        pools = [pool for each in self.specifications for pool in each.pools]
        open_ended = {pool.instance_type for pool in pools if pool.max_price is None}
        found: dict[str, Decimal] = {}
        for pool in pools:
            if pool.max_price is not None and pool.instance_type not in open_ended:
                found[pool.instance_type] = max(pool.max_price, found.get(pool.instance_type, Decimal(0)))
        return found


def fleet_config(found: object, schema: Mapping[str, Any]) -> FleetConfig:
    """
    Args:
        found: The file's JSON, bare or as `SpotFleetRequestConfig` of a call's parameters.
        schema: schemas/spot-fleet.json.

    Raises:
        BadRequest: It can't be kept as it is; the sentence names attributes.
    """
    if isinstance(found, dict) and found.keys() == {"SpotFleetRequestConfig"}:
        found = found["SpotFleetRequestConfig"]
    config, misfits = conform(found, schema)
    _tell(misfits)
    wrong: list[str] = []
    notes = [
        f"{name}: {fate}"
        for name, fate in FLEET.items()
        if name in config and fate not in {KEPT, MOVED} and not _same(name, config[name])
    ]
    made = _instances(config, wrong, notes)
    _refuse(config, wrong)
    amount("SpotMaxTotalPrice", config.get("SpotMaxTotalPrice"), wrong)
    _tell(wrong)
    attributes = {name: value for name, value in config.items() if FLEET[name] == KEPT and name not in _OURS}
    return FleetConfig(
        specifications=made,
        attributes=attributes,
        tags=tagging.of(config.get("TagSpecifications", []), "spot-fleet-request"),
        target=config.get("TargetCapacity"),
        role=config.get("IamFleetRole"),
        notes=tuple(notes),
    )


def _tell(wrong: Sequence[str]) -> None:
    if wrong:
        more = f"; and {len(wrong) - _TOLD} more" if len(wrong) > _TOLD else ""
        raise BadRequest("the fleet configuration: " + "; ".join(wrong[:_TOLD]) + more)


def foreign_role(role: str, ours: str) -> str | None:
    """The sentence that refuses another account's role; both are ARNs."""
    theirs, own = _ACCOUNT.fullmatch(role), _ACCOUNT.fullmatch(ours)
    if theirs is None:
        return f"the fleet configuration: IamFleetRole: {role!r} is no role's ARN"
    if own and theirs[1] != own[1]:
        return (
            f"the fleet configuration: IamFleetRole: {role} is account {theirs[1]}'s, and this annex is launched in"
            f" account {own[1]}; leave it out, and the route's takes its place"
        )
    return None


def _instances(config: Json, wrong: list[str], notes: list[str]) -> tuple[Specification, ...]:
    has = [name for name in ("LaunchSpecifications", "LaunchTemplateConfigs") if config.get(name)]
    if len(has) != 1:
        wrong.append("it takes either LaunchSpecifications or LaunchTemplateConfigs, " + ("not both" if has else "one"))
        return ()
    dearest = config.get("SpotPrice")
    amount("SpotPrice", dearest, wrong)
    if "LaunchSpecifications" in config and has == ["LaunchSpecifications"]:
        return specifications(config["LaunchSpecifications"], dearest, wrong, notes)
    return templates(config["LaunchTemplateConfigs"], dearest, wrong)


def _refuse(config: Json, wrong: list[str]) -> None:
    """What goes with no lease, and what this version can't count or price."""
    behaviour = config.get("InstanceInterruptionBehavior", "terminate")
    if behaviour != "terminate":
        wrong.append(
            f"InstanceInterruptionBehavior: {behaviour}: an interrupted instance would stay, and cost, after its lease;"
            " terminate is the one that goes"
        )
    if config.get("OnDemandTargetCapacity"):
        wrong.append(
            "OnDemandTargetCapacity: a fleet is bought on one market; ask for the on-demand part with"
            " condor_annex create -market on-demand"
        )
    if config.get("TargetCapacityUnitType", "units") != "units":
        wrong.append("TargetCapacityUnitType: it goes with InstanceRequirements, which are not supported yet")
    if config.get("TargetCapacity", 1) < 1:
        wrong.append("TargetCapacity: it has to be at least 1")
    wrong += tagging.refused("TagSpecifications", config.get("TagSpecifications", []), tagging.FLEET)


def _same(name: str, value: object) -> bool:
    return name in OVERRIDES_AS and OVERRIDES_AS[name] == value
