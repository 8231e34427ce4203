"""Launch templates and Spot Fleets where a fleet configuration has its say: theirs over ours, the lease over both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import ROUND_FLOOR, Decimal
from itertools import groupby
from typing import TYPE_CHECKING, Any, cast

from annex_core.errors import Refused
from annex_core.ports import Override, TemplateRef

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import RequestLaunchTemplateDataTypeDef

_LEASE = ("UserData", "InstanceInitiatedShutdownBehavior", "MetadataOptions")
"""What no configuration changes: the user data is chosen before, the rest makes an instance end and be known."""

_SMALLEST = Decimal("0.000001")

Json = dict[str, Any]


def laid_over(
    ours: RequestLaunchTemplateDataTypeDef, theirs: Mapping[str, Any], *, root: str, root_gib: int
) -> RequestLaunchTemplateDataTypeDef:
    """
    Args:
        root: The image's root device.
        root_gib: The least that its volume can be.

    Raises:
        Refused: Their root volume is smaller.
    """
    base: Json = dict(ours)
    over = {name: value for name, value in theirs.items() if name not in _LEASE}
    if "SecurityGroupIds" in over or "SecurityGroups" in over:
        base.pop("SecurityGroupIds", None)
    made = base | over
    made["BlockDeviceMappings"] = _volumes(base["BlockDeviceMappings"], over.get("BlockDeviceMappings", []), root)
    for volume in made["BlockDeviceMappings"]:
        size = volume.get("Ebs", {}).get("VolumeSize", root_gib)
        if volume["DeviceName"] == root and size < root_gib:
            raise Refused(f"a volume of {size} GiB can't hold {made['ImageId']}, whose root has {root_gib} GiB")
    made["TagSpecifications"] = [
        {"ResourceType": each["ResourceType"], "Tags": _tags(each, over.get("TagSpecifications", []))}
        for each in base["TagSpecifications"]
    ]
    if "NetworkInterfaces" in made:
        # EC2 takes security groups in one of the two places alone.
        groups = made.pop("SecurityGroupIds", [])
        made["NetworkInterfaces"] = [
            ({"Groups": groups} if groups else {}) | dict(each) | {"DeleteOnTermination": True}
            for each in made["NetworkInterfaces"]
        ]
    return cast("RequestLaunchTemplateDataTypeDef", made)


def template_configs(overrides: Iterable[Override], default: TemplateRef) -> list[Json]:
    """LaunchTemplateConfigs: one for each run of overrides that share a template."""
    return [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template.id, "Version": str(template.version)},
            "Overrides": [_override(each) for each in some],
        }
        for template, some in groupby(overrides, key=lambda each: each.template or default)
    ]


def _override(override: Override) -> Json:
    launch: Json = {"InstanceType": override.instance_type} | dict(override.place)
    if override.subnet is not None:
        launch["SubnetId"] = override.subnet
    # JSON has one number where ours is whole: equal requests have to be equal text.
    whole = override.weight == int(override.weight)
    launch["WeightedCapacity"] = int(override.weight) if whole else float(override.weight)
    if override.max_price is not None:
        launch["SpotPrice"] = _for_a_unit(override.max_price, override.weight)
    return launch


def _for_a_unit(price: Decimal, weight: Decimal) -> str:
    """AWS takes the price of a unit of weight, ours is an instance's."""
    if weight <= 1:
        return f"{price:f}"
    return f"{(price / weight).quantize(_SMALLEST, ROUND_FLOOR).normalize():f}"


def _volumes(ours: Iterable[Json], theirs: Iterable[Json], root: str) -> list[Json]:
    """Theirs by device name, ours where they have none; all encrypted, and gone with their instance."""
    own = {each["DeviceName"]: each for each in ours}
    named = {each.get("DeviceName", root): dict(each) for each in theirs}
    for device, each in named.items():
        each["DeviceName"] = device
        if "Ebs" in each:
            default = own.get(device, {}).get("Ebs", {})
            size = {} if "SnapshotId" in each["Ebs"] else {"VolumeSize": default.get("VolumeSize")}
            each["Ebs"] = (
                {name: value for name, value in size.items() if value}
                | dict(each["Ebs"])
                | {"Encrypted": True, "DeleteOnTermination": True}
            )
    return list((own | named).values())


def _tags(ours: Mapping[str, Any], theirs: Iterable[Mapping[str, Any]]) -> list[Json]:
    """Ours win."""
    kind = ours["ResourceType"]
    given = [each for each in theirs if each["ResourceType"] == kind]
    merged = {tag["Key"]: tag.get("Value", "") for each in given for tag in each.get("Tags", [])}
    merged |= {tag["Key"]: tag["Value"] for tag in ours["Tags"]}
    return [{"Key": key, "Value": merged[key]} for key in sorted(merged)]
