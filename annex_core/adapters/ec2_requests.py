"""Our values as parameters of EC2 calls."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from annex_core.errors import Refused
from annex_core.model.tags import stamp
from annex_core.ports import LaunchRequest, Override, TemplateRequest

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import RequestLaunchTemplateDataTypeDef, TagTypeDef

_USER_DATA_BYTES = 16384
"""EC2's limit, before base64."""


@dataclass(frozen=True)
class RootVolume:
    """What an image says of its root volume; one that is launched must not be smaller."""

    device: str
    gib: int


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """In the order of the keys, so that equal tags are equal requests."""
    return [{"Key": key, "Value": tags[key]} for key in sorted(tags)]


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
    if request.volume_gib < root.gib:
        raise Refused(f"a volume of {request.volume_gib} GiB can't hold {request.image}, whose root has {root.gib} GiB")
    tags = tag_list(request.tags)
    data: RequestLaunchTemplateDataTypeDef = {
        "ImageId": request.image,
        "UserData": base64.b64encode(user_data).decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {
            "HttpEndpoint": "enabled",
            "HttpTokens": "required",
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
            }
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
    return data


def spot_fleet(request: LaunchRequest) -> dict[str, Any]:
    """RequestSpotFleet's parameters."""
    config = {
        "Type": "request",
        "ClientToken": request.client_token,
        "IamFleetRole": request.fleet_role,
        "AllocationStrategy": request.allocation_strategy,
        "TargetCapacity": request.target,
        "ValidFrom": stamp(request.valid_from),
        "ValidUntil": stamp(request.valid_until),
        "TerminateInstancesWithExpiration": True,
        "ReplaceUnhealthyInstances": False,
        "InstanceInterruptionBehavior": "terminate",
        "LaunchTemplateConfigs": [
            {
                "LaunchTemplateSpecification": {
                    "LaunchTemplateId": request.template.id,
                    "Version": str(request.template.version),
                },
                "Overrides": list(_overrides(request.overrides)),
            }
        ],
        "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": tag_list(request.tags)}],
    }
    return {"SpotFleetRequestConfig": config}


def _overrides(overrides: Iterable[Override]) -> Iterable[dict[str, Any]]:
    for override in overrides:
        launch: dict[str, Any] = {
            "InstanceType": override.instance_type,
            "SubnetId": override.subnet,
            "WeightedCapacity": 1,
        }
        if override.max_price is not None:
            launch["SpotPrice"] = f"{override.max_price:f}"
        yield launch
