"""EC2's answers as our values."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

from annex_core.adapters.aws_errors import error_of
from annex_core.adapters.ec2_requests import RootVolume
from annex_core.errors import AnnexError, NoCapacity
from annex_core.model.hardware import InstanceType
from annex_core.model.route import Market
from annex_core.model.supply import Fleet, Instance, InstanceState, OpenRequest
from annex_core.model.tags import CLIENT_TOKEN
from annex_core.ports import Launched, Refusal

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import (
        CancelSpotFleetRequestsResponseTypeDef,
        CreateFleetResultTypeDef,
        DeleteFleetsResultTypeDef,
        GetConsoleOutputResultTypeDef,
        ImageTypeDef,
        InstanceTypeDef,
        InstanceTypeInfoTypeDef,
        ReservationResponseTypeDef,
        SpotFleetRequestConfigTypeDef,
        SpotInstanceRequestTypeDef,
        SpotPriceTypeDef,
        TagTypeDef,
    )

FLEET_TAG = "aws:ec2spot:fleet-request-id"
"""AWS's own, on a Spot Fleet's spot requests and, minutes after boot, on its instances."""
_EC2_FLEET_TAG = "aws:ec2:fleet-id"

_DELETED = {"fleetIdDoesNotExist", "fleetNotInDeletableState"}
"""The second is what AWS says of a fleet that is being deleted."""


def tags_of(tags: Iterable[TagTypeDef]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in tags}


def instance(found: InstanceTypeDef) -> Instance:
    tags = tags_of(found.get("Tags", ()))
    return Instance(
        id=found["InstanceId"],
        type=found["InstanceType"],
        zone=found["Placement"]["AvailabilityZone"],
        state=InstanceState(found["State"]["Name"]),
        launched=found["LaunchTime"].astimezone(UTC),
        tags=tags,
        fleet=tags.get(FLEET_TAG) or tags.get(_EC2_FLEET_TAG),
        client_token=tags.get(CLIENT_TOKEN),
        market=Market.SPOT if found.get("InstanceLifecycle") == "spot" else Market.ON_DEMAND,
        address=found.get("PrivateIpAddress"),
        image=found.get("ImageId", ""),
        reason=found.get("StateReason", {}).get("Code", ""),
    )


def console(answer: GetConsoleOutputResultTypeDef) -> str:
    """boto3 has taken the base64 off; what is no UTF-8 in it was replaced."""
    return answer.get("Output", "")


def state_reason(found: InstanceTypeDef) -> str:
    """Such as `Server.SpotInstanceTermination: Spot instance termination`."""
    message = found.get("StateReason", {}).get("Message") or found.get("StateTransitionReason")
    return message or f"AWS gives no reason; it is {found['State']['Name']}"


def fleet(found: SpotFleetRequestConfigTypeDef) -> Fleet:
    config = found["SpotFleetRequestConfig"]
    valid_until = config.get("ValidUntil")
    return Fleet(
        id=found["SpotFleetRequestId"],
        state=found["SpotFleetRequestState"],
        client_token=config.get("ClientToken", ""),
        target=config["TargetCapacity"],
        fulfilled=config.get("FulfilledCapacity", 0.0),
        created=found["CreateTime"].astimezone(UTC),
        valid_until=valid_until.astimezone(UTC) if valid_until else None,
        tags=tags_of(found.get("Tags", ())),
    )


def open_request(found: SpotInstanceRequestTypeDef) -> OpenRequest:
    return OpenRequest(
        id=found["SpotInstanceRequestId"],
        fleet=tags_of(found["Tags"])[FLEET_TAG],
        status=found.get("Status", {}).get("Code", ""),
    )


def instance_type(found: InstanceTypeInfoTypeDef) -> InstanceType:
    # Old types list i386 beside x86_64; what can run arm64 runs nothing else. No type has GPUs of two kinds.
    architectures = found["ProcessorInfo"]["SupportedArchitectures"]
    gpus = found.get("GpuInfo", {}).get("Gpus", ())
    return InstanceType(
        name=found["InstanceType"],
        vcpus=found["VCpuInfo"]["DefaultVCpus"],
        memory_mib=found["MemoryInfo"]["SizeInMiB"],
        architecture="arm64" if "arm64" in architectures else "x86_64",
        gpus=sum(gpu.get("Count", 0) for gpu in gpus),
        gpu=next((gpu.get("Name") for gpu in gpus), None),
        gpu_memory_mib=min((gpu.get("MemoryInfo", {}).get("SizeInMiB", 0) for gpu in gpus), default=0),
    )


def spot_prices(told: Iterable[SpotPriceTypeDef]) -> dict[tuple[str, str], Decimal]:
    """The newest of each type in each zone; what is no price above zero is none."""
    newest: dict[tuple[str, str], tuple[datetime, Decimal]] = {}
    for each in told:
        pool, at = (str(each["InstanceType"]), each["AvailabilityZone"]), each["Timestamp"]
        try:
            usd = Decimal(each["SpotPrice"])
        except InvalidOperation:
            continue
        if usd.is_finite() and usd > 0 and (pool not in newest or at > newest[pool][0]):
            newest[pool] = at, usd
    return {pool: usd for pool, (_, usd) in newest.items()}


def root_volume(found: ImageTypeDef) -> RootVolume:
    device = found.get("RootDeviceName") or "/dev/xvda"
    sizes = {
        mapping["DeviceName"]: mapping["Ebs"].get("VolumeSize", 0)
        for mapping in found.get("BlockDeviceMappings", ())
        if "Ebs" in mapping
    }
    gib = sizes.pop(device, 0)
    return RootVolume(device, gib, tuple(sizes.items()))


def instant_fleet(answer: CreateFleetResultTypeDef) -> Launched:
    """What came, and for what didn't AWS's words, each once: it says them for each type in each subnet."""
    errors: dict[tuple[str, str], AnnexError] = {}
    refusals = []
    for each in answer.get("Errors", ()):
        code, where = each.get("ErrorCode", ""), each.get("LaunchTemplateAndOverrides", {}).get("Overrides", {})
        error, name = error_of("CreateFleet", code, each.get("ErrorMessage", "")), str(where.get("InstanceType", ""))
        errors.setdefault((code, name), error)
        refusals.append(Refusal(error, name, where.get("AvailabilityZone", ""), where.get("SubnetId", "")))
    return Launched(
        fleet=answer["FleetId"],
        instances={
            id_: each["InstanceType"] for each in answer.get("Instances", ()) for id_ in each.get("InstanceIds", ())
        },
        complete=True,
        errors=tuple(errors.values()),
        refusals=tuple(refusals),
    )


def run(answer: ReservationResponseTypeDef, *, asked: int) -> Launched:
    came = {each["InstanceId"]: str(each["InstanceType"]) for each in answer["Instances"]}
    # With fewer than MaxCount EC2 gives no reason; there is but one.
    less = (NoCapacity(f"RunInstances: {len(came)} of {asked} came, for more there is no capacity"),)
    if len(came) >= asked:
        return Launched(fleet=None, instances=came, complete=True)
    return Launched(fleet=None, instances=came, complete=True, errors=less, refusals=tuple(map(Refusal, less)))


def not_deleted(answer: DeleteFleetsResultTypeDef) -> dict[str, str]:
    """Why, by fleet; one that AWS doesn't know any more is gone as it should be."""
    return {
        failed["FleetId"]: f"{failed['Error']['Code']}: {failed['Error']['Message']}"
        for failed in answer.get("UnsuccessfulFleetDeletions", ())
        if failed["Error"]["Code"] not in _DELETED
    }


def not_cancelled(answer: CancelSpotFleetRequestsResponseTypeDef) -> dict[str, str]:
    """Why, by fleet; CancelSpotFleetRequests is a success that may list failures."""
    return {
        failed["SpotFleetRequestId"]: f"{failed['Error']['Code']}: {failed['Error']['Message']}"
        for failed in answer.get("UnsuccessfulFleetRequests", ())
    }
