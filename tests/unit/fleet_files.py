"""Spot Fleet configurations as AWS's console exports them, for tests."""

import copy
from typing import Any

USER_DATA = "IyEvYmluL3NoCmVjaG8gaGVsbG8K"
"""#!/bin/sh, echo hello."""

_SPECIFICATIONS: dict[str, Any] = {
    "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
    "AllocationStrategy": "lowestPrice",
    "InstancePoolsToUseCount": 2,
    "TargetCapacity": "8",
    "SpotPrice": 0.12,
    "ValidFrom": "2017-01-02T10:00:00Z",
    "ValidUntil": "2018-01-02T10:00:00Z",
    "TerminateInstancesWithExpiration": False,
    "Type": "maintain",
    "ReplaceUnhealthyInstances": True,
    "ClientToken": "",
    "InstanceInterruptionBehavior": "terminate",
    "ExcessCapacityTerminationPolicy": "default",
    "TargetCapacityUnitType": "units",
    "Context": None,
    "LaunchSpecifications": [
        {
            "ImageId": "ami-0123456789abcdef0",
            "InstanceType": "c5.large",
            "KeyName": "site",
            "SpotPrice": "0.05",
            "WeightedCapacity": 2,
            "SubnetId": "subnet-0123456789abcdef0, subnet-0123456789abcdef1",
            "UserData": USER_DATA,
            "EbsOptimized": "true",
            "Monitoring": {"Enabled": False},
            "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/annex"},
            "SecurityGroups": [{"GroupId": "sg-0123456789abcdef0"}],
            "Placement": {"Tenancy": "default", "GroupName": "", "AvailabilityZone": None},
            "BlockDeviceMappings": [
                {
                    "DeviceName": "/dev/xvda",
                    "Ebs": {
                        "DeleteOnTermination": True,
                        "VolumeType": "gp2",
                        "VolumeSize": 30,
                        "SnapshotId": "snap-0123456789abcdef0",
                    },
                },
                {"DeviceName": "/dev/xvdb", "VirtualName": "ephemeral0"},
            ],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "CostCenter", "Value": "12, 13=x"}]}],
        },
        {
            "ImageId": "ami-0123456789abcdef0",
            "InstanceType": "c5.xlarge",
            "KeyName": "site",
            "WeightedCapacity": "4",
            "SubnetId": "subnet-0123456789abcdef0",
            "UserData": USER_DATA,
            "EbsOptimized": True,
            "Monitoring": {"Enabled": False},
            "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/annex"},
            "SecurityGroups": [{"GroupId": "sg-0123456789abcdef0"}],
            "Placement": {"Tenancy": "default"},
            "BlockDeviceMappings": [
                {
                    "DeviceName": "/dev/xvda",
                    "Ebs": {
                        "DeleteOnTermination": True,
                        "VolumeType": "gp2",
                        "VolumeSize": "30",
                        "SnapshotId": "snap-0123456789abcdef0",
                    },
                },
                {"DeviceName": "/dev/xvdb", "VirtualName": "ephemeral0"},
            ],
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "CostCenter", "Value": "12, 13=x"}]}],
        },
    ],
    "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": [{"Key": "Group", "Value": "physics"}]}],
}

_TEMPLATES: dict[str, Any] = {
    "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
    "AllocationStrategy": "priceCapacityOptimized",
    "TargetCapacity": 4,
    "Type": "request",
    "LaunchTemplateConfigs": [
        {
            "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-0123456789abcdef0", "Version": "$Latest"},
            "Overrides": [
                {"InstanceType": "c5.large", "SubnetId": "subnet-0123456789abcdef0", "WeightedCapacity": 1},
                {
                    "InstanceType": "m5.large",
                    "AvailabilityZone": "us-east-2b",
                    "SpotPrice": "0.07",
                    "WeightedCapacity": 1.5,
                    "Priority": 2.0,
                },
            ],
        }
    ],
}


def with_specifications(**changed: Any) -> dict[str, Any]:
    """Two specifications that differ in type, place, weight and price alone."""
    return copy.deepcopy(_SPECIFICATIONS) | changed


def with_templates(**changed: Any) -> dict[str, Any]:
    return copy.deepcopy(_TEMPLATES) | changed


def with_specification(**changed: Any) -> dict[str, Any]:
    """One specification, with attributes added or replaced."""
    found = with_specifications()
    found["LaunchSpecifications"] = [found["LaunchSpecifications"][0] | changed]
    return found
