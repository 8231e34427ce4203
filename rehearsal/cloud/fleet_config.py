"""SpotFleetRequestConfig as AWS reads it: what is wrong with it, and the pools it offers."""

from collections.abc import Iterator, Mapping
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.utils import convert_tag_spec, parse_user_data
from moto.iam.models import iam_backends

from rehearsal.cloud.clock import epoch
from rehearsal.cloud.placement import STRATEGIES, Pool

_DEFAULTS: dict[str, Any] = {
    "Type": "maintain",
    "AllocationStrategy": "lowestPrice",
    "ExcessCapacityTerminationPolicy": "default",
    "InstanceInterruptionBehavior": "terminate",
    "ReplaceUnhealthyInstances": False,
    "TerminateInstancesWithExpiration": False,
    "OnDemandTargetCapacity": 0,
}
_MOST_TARGET, _MOST_POOLS = 10_000, 300


def _refused(reason: str) -> EC2ClientError:
    return EC2ClientError("InvalidSpotFleetRequestConfig", reason)


def complete(given: Mapping[str, Any], backend: EC2Backend, now: float) -> dict[str, Any]:
    """
    The configuration with AWS's defaults filled in.

    Raises:
        EC2ClientError: AWS refuses it, or it wants what this cloud doesn't have.
    """
    config = _DEFAULTS | dict(given)
    if config["Type"] not in {"request", "maintain"}:
        raise _refused(f"Invalid Type {config['Type']}: a Spot Fleet is of type request or maintain")
    if config["AllocationStrategy"] not in STRATEGIES:
        raise _refused(f"Invalid AllocationStrategy {config['AllocationStrategy']}")
    if not 1 <= config["TargetCapacity"] <= _MOST_TARGET:
        raise _refused(f"TargetCapacity must be between 1 and {_MOST_TARGET}")
    if config["OnDemandTargetCapacity"]:
        raise EC2ClientError("UnsupportedOperation", "this cloud's Spot Fleets have no on-demand part")
    if bool(config.get("LaunchSpecifications")) == bool(config.get("LaunchTemplateConfigs")):
        raise _refused("Exactly one of LaunchSpecifications and LaunchTemplateConfigs must be specified")
    if "ValidUntil" in config and epoch(config["ValidUntil"]) <= now:
        raise _refused("ValidUntil is in the past")
    kinds = set(convert_tag_spec(config.get("TagSpecifications", [])))
    if kinds - {"spot-fleet-request"}:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"The value for `ResourceType` must be `spot-fleet-request`, but got `{', '.join(kinds)}` instead.",
        )
    roles = iam_backends[backend.account_id][backend.partition].roles.values()
    if config["IamFleetRole"] not in {role.arn for role in roles}:
        raise _refused(f"Parameter: SpotFleetRequestConfig.IamFleetRole is invalid: {config['IamFleetRole']}")
    return config


def pools(config: Mapping[str, Any], backend: EC2Backend) -> list[Pool]:
    """
    Every (type, subnet) that the fleet may launch into, in the order of its configuration.

    Raises:
        EC2ClientError: A template, subnet or type isn't there, or two subnets share a zone.
    """
    found = [
        *(pool for spec in config.get("LaunchSpecifications", []) for pool in _of_specification(spec, config, backend)),
        *(pool for part in config.get("LaunchTemplateConfigs", []) for pool in _of_template(part, config, backend)),
    ]
    if not 1 <= len(found) <= _MOST_POOLS:
        raise _refused(f"A fleet has between 1 and {_MOST_POOLS} launch pools, not {len(found)}")
    subnets: dict[str, str] = {}
    for pool in found:
        if pool.instance_type not in INSTANCE_TYPES:
            raise _refused(f"Invalid instance type {pool.instance_type}")
        if pool.weight <= 0:
            raise _refused("WeightedCapacity must be above 0")
        if subnets.setdefault(pool.zone, pool.subnet) != pool.subnet:
            raise _refused(f"Subnets {subnets[pool.zone]} and {pool.subnet} are both in {pool.zone}")
    return found


def _of_template(part: Mapping[str, Any], config: Mapping[str, Any], backend: EC2Backend) -> Iterator[Pool]:
    named = part["LaunchTemplateSpecification"]
    version = backend._get_template_from_args(named)  # noqa: SLF001 - moto's only look-up by id or name and version
    template = version.data
    image = str(template.get("ImageId", ""))
    if not image.startswith("ami-"):
        raise _refused(f"The launch template's ImageId must be an AMI id, not {image or 'absent'}")
    pinned = {"LaunchTemplateId": version.template.id, "Version": str(version.number)}
    for override in part.get("Overrides") or [{}]:
        if "InstanceRequirements" in override:
            raise EC2ClientError("UnsupportedOperation", "this cloud chooses by instance type, not by requirements")
        yield from _in_each_subnet(
            config,
            backend,
            where=override,
            instance_type=override.get("InstanceType") or template.get("InstanceType", ""),
            image=image,
            launch={"launch_template": pinned, "user_data": None, "security_group_names": []},
        )


def _of_specification(spec: Mapping[str, Any], config: Mapping[str, Any], backend: EC2Backend) -> Iterator[Pool]:
    launch = {
        "user_data": parse_user_data(spec.get("UserData")),
        "security_group_names": [],
        "security_group_ids": [group["GroupId"] for group in spec.get("SecurityGroups", []) if "GroupId" in group],
        "key_name": spec.get("KeyName"),
        "profile": spec.get("IamInstanceProfile"),
        "block_device_mappings": spec.get("BlockDeviceMappings"),
        "nics": spec.get("NetworkInterfaces", []),
        "tags": convert_tag_spec(spec.get("TagSpecifications", [])),
    }
    where = dict(spec) | {"AvailabilityZone": spec.get("Placement", {}).get("AvailabilityZone")}
    yield from _in_each_subnet(
        config,
        backend,
        where=where,
        instance_type=spec.get("InstanceType", ""),
        image=spec.get("ImageId", ""),
        launch=launch,
    )


def _in_each_subnet(
    config: Mapping[str, Any],
    backend: EC2Backend,
    *,
    where: Mapping[str, Any],
    instance_type: str,
    image: str,
    launch: Mapping[str, Any],
) -> Iterator[Pool]:
    """One pool for each subnet that *where* names; for a zone its default subnet; else all default subnets."""
    if where.get("SubnetId"):
        subnets = [backend.get_subnet(name.strip()) for name in where["SubnetId"].split(",")]
    else:
        defaults = backend.get_default_subnets()
        zones = [name.strip() for name in (where.get("AvailabilityZone") or ",".join(sorted(defaults))).split(",")]
        subnets = [defaults[zone] for zone in zones if zone in defaults]
    price = where.get("SpotPrice") or config.get("SpotPrice")
    for subnet in subnets:
        yield Pool(
            instance_type=instance_type,
            zone=subnet.availability_zone,
            subnet=subnet.id,
            weight=float(where.get("WeightedCapacity") or 1),
            max_price=float(price) if price else None,
            priority=float(where.get("Priority") or 0),
            image=image,
            launch=launch,
        )
