"""What becomes of each attribute of a Spot Fleet configuration: kept, overridden and said so, or refused by name."""

from collections.abc import Iterator, Mapping

from annex_core.fleet_file.shape import Json

KEPT = "kept"
MOVED = "moved"
"""Kept, in another place of the request: in the launch template, or in an override."""

FLEET: Mapping[str, str] = {
    "AllocationStrategy": KEPT,
    "Context": KEPT,
    "ExcessCapacityTerminationPolicy": KEPT,
    "IamFleetRole": KEPT,
    "InstanceInterruptionBehavior": KEPT,
    "InstancePoolsToUseCount": KEPT,
    "LaunchSpecifications": MOVED,
    "LaunchTemplateConfigs": MOVED,
    "LoadBalancersConfig": KEPT,
    "OnDemandAllocationStrategy": KEPT,
    "OnDemandMaxTotalPrice": KEPT,
    "OnDemandTargetCapacity": KEPT,
    "SpotMaxTotalPrice": KEPT,
    "SpotPrice": KEPT,
    "TagSpecifications": KEPT,
    "TargetCapacity": KEPT,
    "TargetCapacityUnitType": KEPT,
    "ClientToken": "the annex's own token takes its place",
    "FulfilledCapacity": "AWS says it, nobody asks for it",
    "OnDemandFulfilledCapacity": "AWS says it, nobody asks for it",
    "ReplaceUnhealthyInstances": "false takes its place: a replacement would be bought behind the lease's back",
    "SpotMaintenanceStrategies": "left out: a fleet of Type request has none",
    "TerminateInstancesWithExpiration": "true takes its place: what the lease leaves must end",
    "Type": "request takes its place: a fleet that replaces what ends would outlive the lease",
    "ValidFrom": "the moment of the request takes its place",
    "ValidUntil": "the annex's outer bound takes its place",
}
"""SpotFleetRequestConfigData: KEPT, MOVED, or what takes its place."""

OVERRIDES_AS = {"Type": "request", "TerminateInstancesWithExpiration": True, "ReplaceUnhealthyInstances": False}
"""Where the file says the same as we do, there is nothing to tell."""

SPECIFICATION: Mapping[str, str] = {
    "BlockDeviceMappings": KEPT,
    "EbsOptimized": KEPT,
    "IamInstanceProfile": KEPT,
    "ImageId": KEPT,
    "InstanceType": MOVED,
    "KernelId": KEPT,
    "KeyName": KEPT,
    "Monitoring": KEPT,
    "NetworkInterfaces": KEPT,
    "Placement": MOVED,
    "RamdiskId": MOVED,
    "SecurityGroups": MOVED,
    "SpotPrice": MOVED,
    "SubnetId": MOVED,
    "TagSpecifications": KEPT,
    "UserData": MOVED,
    "WeightedCapacity": MOVED,
    "AddressingType": "a launch template has no such attribute; set AssociatePublicIpAddress of a network interface",
    "InstanceRequirements": "not supported yet; name the InstanceType of each specification",
}
"""SpotFleetLaunchSpecification: KEPT, MOVED, or why it is refused."""

OVERRIDE: Mapping[str, str] = {
    "AvailabilityZone": KEPT,
    "AvailabilityZoneId": KEPT,
    "InstanceType": KEPT,
    "Priority": KEPT,
    "SpotPrice": KEPT,
    "SubnetId": KEPT,
    "WeightedCapacity": KEPT,
    "InstanceRequirements": "not supported yet; name the InstanceType of each override",
}
"""LaunchTemplateOverrides: KEPT, or why it is refused."""

TEMPLATE: Mapping[str, str] = {
    "CapacityReservationSpecification": KEPT,
    "BlockDeviceMappings": KEPT,
    "CpuOptions": KEPT,
    "CreditSpecification": KEPT,
    "DisableApiStop": KEPT,
    "DisableApiTermination": KEPT,
    "EbsOptimized": KEPT,
    "ElasticGpuSpecifications": KEPT,
    "ElasticInferenceAccelerators": KEPT,
    "EnclaveOptions": KEPT,
    "HibernationOptions": KEPT,
    "IamInstanceProfile": KEPT,
    "ImageId": KEPT,
    "InstanceType": MOVED,
    "KernelId": KEPT,
    "KeyName": KEPT,
    "LicenseSpecifications": KEPT,
    "MaintenanceOptions": KEPT,
    "Monitoring": KEPT,
    "NetworkInterfaces": KEPT,
    "NetworkPerformanceOptions": KEPT,
    "Placement": KEPT,
    "PrivateDnsNameOptions": KEPT,
    "RamDiskId": KEPT,
    "SecurityGroupIds": KEPT,
    "SecurityGroups": KEPT,
    "TagSpecifications": KEPT,
    "UserData": MOVED,
    "InstanceInitiatedShutdownBehavior": "terminate takes its place: a stopped instance escapes the lease",
    "MetadataOptions": "the annex's own take their place: tags readable, tokens required",
    "InstanceMarketOptions": "refused: the fleet says how it buys",
    "InstanceRequirements": "refused: not supported yet; name the InstanceType of each override",
    "Operator": "refused: it is for AWS's own services",
    "SecondaryInterfaces": "refused: not supported yet",
}
"""ResponseLaunchTemplateData of a template that a configuration names: KEPT, MOVED, or what happens to it."""


def named(where: str, found: Json, table: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each attribute of *found* that isn't kept; *where* ends in a dot, or is empty."""
    for name in found:
        fate = table.get(name, "refused: not known to condor-annex")
        if fate not in {KEPT, MOVED}:
            yield f"{where}{name}: {fate}"
