"""Our values as parameters of EC2 calls."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from annex_core.adapters.ec2_configured import laid_over, template_configs
from annex_core.errors import Refused
from annex_core.model.route import Market
from annex_core.model.tags import CLIENT_TOKEN, stamp
from annex_core.ports import LaunchRequest, TemplateRef, TemplateRequest

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        LaunchTemplateBlockDeviceMappingRequestTypeDef,
        LaunchTemplateEbsBlockDeviceRequestTypeDef,
        RequestLaunchTemplateDataTypeDef,
        TagTypeDef,
    )

_USER_DATA_BYTES = 16384
"""EC2's limit, before base64."""


@dataclass(frozen=True)
class RootVolume:
    """What an image says of its root volume; one that is launched must not be smaller."""

    device: str
    gib: int
    others: tuple[tuple[str, int], ...] = ()
    """Its other EBS volumes, by device, in GiB; 0 where it doesn't say."""


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """In the order of the keys, so that equal tags are equal requests."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


def launch_template(request: TemplateRequest, data: RequestLaunchTemplateDataTypeDef) -> dict[str, Any]:
    """CreateLaunchTemplate's parameters."""
    return {
        "LaunchTemplateName": request.name,
        "ClientToken": request.client_token,
        "LaunchTemplateData": data,
        "TagSpecifications": [{"ResourceType": "launch-template", "Tags": tag_list(request.tags)}],
    }


def launch_template_data(request: TemplateRequest, root: RootVolume) -> RequestLaunchTemplateDataTypeDef:
    """
    Everything of an instance but its type and subnet.

    Instance and volume are tagged, and nothing else: EC2 fails a launch whose template tags what the launch doesn't
    bring, and Spot Fleet documents no more than these two.

    Raises:
        Refused: The user data is too long, or the volume smaller than the image's.
    """
    user_data = request.user_data.encode()
    if len(user_data) > _USER_DATA_BYTES:
        raise Refused(f"the user data is {len(user_data)} bytes, and EC2 takes {_USER_DATA_BYTES}")
    if request.volume_gib < root.gib and not request.data.get("BlockDeviceMappings"):
        raise Refused(f"a volume of {request.volume_gib} GiB can't hold {request.image}, whose root has {root.gib} GiB")
    tags = tag_list(request.tags)
    data: RequestLaunchTemplateDataTypeDef = {
        "ImageId": request.image,
        "UserData": base64.b64encode(user_data).decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "optional" if request.metadata_tokens == "optional" else "required",
            "HttpPutResponseHopLimit": 1,
            "InstanceMetadataTags": "enabled",
        },
        "BlockDeviceMappings": [
            {
                "DeviceName": root.device,
                "Ebs": {
                    "VolumeSize": request.volume_gib,
                    "VolumeType": "gp3",
                    "Encrypted": True,
                    "DeleteOnTermination": True,
                },
            },
            *(_other(device, gib) for device, gib in root.others),
        ],
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": tags},
            {"ResourceType": "volume", "Tags": tags},
        ],
    }
    if request.security_groups:
        data["SecurityGroupIds"] = list(request.security_groups)
    if request.key_name:
        data["KeyName"] = request.key_name
    if request.instance_profile:
        profile = request.instance_profile
        data["IamInstanceProfile"] = {"Arn": profile} if profile.startswith("arn:") else {"Name": profile}
    if not request.data:
        return data
    return laid_over(data, request.data, root=root.device, root_gib=root.gib)


def _other(device: str, gib: int) -> LaunchTemplateBlockDeviceMappingRequestTypeDef:
    """An image may want a volume of its to outlive the machine. Of what isn't said here, the image's own word holds."""
    volume: LaunchTemplateEbsBlockDeviceRequestTypeDef = {"Encrypted": True, "DeleteOnTermination": True}
    if gib:
        volume["VolumeSize"] = gib
    return {"DeviceName": device, "Ebs": volume}


_EC2_FLEET_SPELLS = {
    "lowestPrice": "lowest-price",
    "diversified": "diversified",
    "capacityOptimized": "capacity-optimized",
    "capacityOptimizedPrioritized": "capacity-optimized-prioritized",
    "priceCapacityOptimized": "price-capacity-optimized",
}
"""Spot Fleet's names of allocation strategies, as EC2 Fleet has them."""


def spot_fleet(request: LaunchRequest) -> dict[str, Any]:
    """RequestSpotFleet's parameters."""
    if request.fleet_role is None:
        raise Refused("a Spot Fleet is launched with a role, and the route names none (AnnexFleetRole)")
    config = {
        "Type": "request",
        "ClientToken": request.client_token,
        "IamFleetRole": request.fleet_role,
        "AllocationStrategy": request.allocation_strategy,
        "TargetCapacity": request.target if request.capacity is None else request.capacity,
        "ValidFrom": stamp(request.valid_from),
        "ValidUntil": stamp(request.valid_until),
        "TerminateInstancesWithExpiration": True,
        "ReplaceUnhealthyInstances": False,
        "InstanceInterruptionBehavior": "terminate",
        "LaunchTemplateConfigs": template_configs(request.overrides, _made(request.template)),
        "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": tag_list(request.tags)}],
    }
    return {"SpotFleetRequestConfig": config | dict(request.attributes)}


def ec2_fleet(request: LaunchRequest) -> dict[str, Any]:
    """
    CreateFleet's parameters, for a fleet of type `instant`: what it doesn't bring at once it never brings.

    Its instances get their tags here too, the client token among them, by which a listing shows whose they are.
    """
    spot = request.market is Market.SPOT
    return {
        "Type": "instant",
        "ClientToken": request.client_token,
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": _named(request.template),
                "Overrides": [
                    {"InstanceType": each.instance_type, "WeightedCapacity": 1}
                    | ({"SubnetId": each.subnet} if each.subnet else {})
                    | ({"MaxPrice": _dollars(each.max_price)} if spot and each.max_price is not None else {})
                    for each in request.overrides
                ],
            }
        ],
        "TargetCapacitySpecification": {
            "TotalTargetCapacity": request.target,
            "DefaultTargetCapacityType": "spot" if spot else "on-demand",
        },
        "TagSpecifications": [
            {"ResourceType": "fleet", "Tags": tag_list(request.tags)},
            {"ResourceType": "instance", "Tags": _instance_tags(request)},
        ],
    } | (
        {
            "SpotOptions": {
                "AllocationStrategy": _EC2_FLEET_SPELLS[request.allocation_strategy],
                "InstanceInterruptionBehavior": "terminate",
            }
        }
        if spot
        else {"OnDemandOptions": {"AllocationStrategy": "lowest-price"}}
    )


def spot_fleet_unmade(request: LaunchRequest, root: RootVolume) -> dict[str, Any]:
    """RequestSpotFleet's parameters before there is a launch template: with a launch specification in its place."""
    template = yet_to_make(request)
    data: dict[str, Any] = {**launch_template_data(template, root)}
    (where,) = request.overrides
    specification: dict[str, Any] = {
        "ImageId": data["ImageId"],
        "InstanceType": where.instance_type,
        **({"SubnetId": where.subnet} if where.subnet else {}),
        **{name: data[name] for name in ("KeyName", "IamInstanceProfile", "BlockDeviceMappings") if name in data},
        "SecurityGroups": [{"GroupId": group} for group in data.get("SecurityGroupIds", ())],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": tag_list(template.tags)}],
    }
    config = spot_fleet(replace(request, template=_TO_BE))["SpotFleetRequestConfig"]
    del config["LaunchTemplateConfigs"]
    return {"SpotFleetRequestConfig": config | {"LaunchSpecifications": [specification]}}


def ec2_fleet_unmade(request: LaunchRequest) -> dict[str, Any]:
    """
    CreateFleet's parameters before there is a launch template, without which that call can't be: they name one by an id
    that nothing has. Only for a dry run.

    Source:
        Karpenter 1.3 checked its rights so (pkg/controllers/nodeclass/validation.go), under policies that ask for a tag
        of launch templates, as ours do: the dry run looks at the call's policies, and for no template.
    """
    return ec2_fleet(replace(request, template=_TO_BE))


_TO_BE = TemplateRef("lt-0123456789abcdef0", 1)


def run_instances(request: LaunchRequest, root: RootVolume | None) -> dict[str, Any]:
    """
    RunInstances' parameters: one type in one subnet, as many of them as there are.

    Args:
        root: Of the image, where the call says itself what else a launch template would.
    """
    (where,) = request.overrides
    parameters: dict[str, Any] = {
        "ClientToken": request.client_token,
        "MinCount": 1,
        "MaxCount": request.target,
        "InstanceType": where.instance_type,
        **({"SubnetId": where.subnet} if where.subnet else {}),
        "TagSpecifications": [
            {"ResourceType": "instance", "Tags": _instance_tags(request)},
            {"ResourceType": "volume", "Tags": tag_list(request.tags)},
        ],
    }
    if isinstance(request.template, TemplateRef):
        parameters["LaunchTemplate"] = _named(request.template)
    else:
        parameters = {**launch_template_data(request.template, root or RootVolume("/dev/xvda", 0)), **parameters}
    if request.market is Market.SPOT:
        options = {"SpotInstanceType": "one-time", "InstanceInterruptionBehavior": "terminate"}
        if where.max_price is not None:
            options["MaxPrice"] = _dollars(where.max_price)
        parameters["InstanceMarketOptions"] = {"MarketType": "spot", "SpotOptions": options}
    return parameters


def _named(template: TemplateRef | TemplateRequest) -> dict[str, str]:
    made = _made(template)
    return {"LaunchTemplateId": made.id, "Version": str(made.version)}


def _made(template: TemplateRef | TemplateRequest) -> TemplateRef:
    if not isinstance(template, TemplateRef):
        raise TypeError(f"a fleet is launched from a launch template, which {template.name} is not yet")
    return template


def yet_to_make(request: LaunchRequest) -> TemplateRequest:
    """What the launch template would hold that the launch has none of yet."""
    if isinstance(request.template, TemplateRef):
        raise TypeError(f"the launch template {request.template.id} is made already")
    return request.template


def _instance_tags(request: LaunchRequest) -> list[TagTypeDef]:
    return tag_list({**request.tags, CLIENT_TOKEN: request.client_token})


def _dollars(price: Decimal) -> str:
    return f"{price:f}"
