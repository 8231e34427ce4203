"""How our records look in AWS's answers; moto turns these into XML by botocore's model of each action."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS

from rehearsal.cloud import prices
from rehearsal.cloud.clock import epoch, utc
from rehearsal.cloud.spot_fleet import Event, SpotFleet, SpotRequest

_PRODUCT = "Linux/UNIX"
_DAY_S = 86_400


def fleet(of: SpotFleet, tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """
    Args:
        of: The fleet request.
        tags: As moto's describe_tags answers them.
    """
    return {
        "SpotFleetRequestId": of.id,
        "SpotFleetRequestState": of.state,
        "ActivityStatus": of.activity,
        "CreateTime": utc(of.created),
        "SpotFleetRequestConfig": of.config | {"FulfilledCapacity": of.fulfilled},
        "Tags": [{"Key": tag["key"], "Value": tag["value"]} for tag in tags],
    }


def cancelled_fleet(of: SpotFleet, before: str) -> dict[str, Any]:
    return {
        "SpotFleetRequestId": of.id,
        "CurrentSpotFleetRequestState": of.state,
        "PreviousSpotFleetRequestState": before,
    }


def uncancelled_fleet(name: str, of: SpotFleet | None, *, malformed: bool) -> dict[str, Any]:
    if of:
        code, message = "fleetRequestNotInCancellableState", f"The fleet request {name} is {of.state}"
    elif malformed:
        code, message = "fleetRequestIdMalformed", f"The fleet request id {name} is malformed"
    else:
        code, message = "fleetRequestIdDoesNotExist", f"The fleet request {name} does not exist"
    return {"SpotFleetRequestId": name, "Error": {"Code": code, "Message": message}}


def active_instance(request: SpotRequest) -> dict[str, Any]:
    return {
        "InstanceId": request.instance.id if request.instance else None,
        "InstanceType": request.pool.instance_type,
        "SpotInstanceRequestId": request.id,
        "InstanceHealth": "healthy",
    }


def history(of: SpotFleet, events: Sequence[Event], start: datetime) -> dict[str, Any]:
    return {
        "SpotFleetRequestId": of.id,
        "StartTime": start,
        "LastEvaluatedTime": utc(events[-1].at) if events else start,
        "HistoryRecords": [
            {
                "Timestamp": utc(event.at),
                "EventType": event.kind,
                "EventInformation": {
                    "EventSubType": event.subtype,
                    "EventDescription": event.text,
                    "InstanceId": event.instance,
                },
            }
            for event in events
        ],
    }


def spot_request(request: SpotRequest, tags: Mapping[str, str]) -> dict[str, Any]:
    pool = request.pool
    price = prices.on_demand(pool.instance_type) if pool.max_price is None else pool.max_price
    return {
        "SpotInstanceRequestId": request.id,
        "State": request.state,
        "Type": "one-time",
        "CreateTime": utc(request.created),
        "InstanceId": request.instance.id if request.instance else None,
        "InstanceInterruptionBehavior": "terminate",
        "LaunchSpecification": {
            "ImageId": pool.image,
            "InstanceType": pool.instance_type,
            "Placement": {"AvailabilityZone": pool.zone},
            "SubnetId": pool.subnet,
            "Monitoring": {"Enabled": False},
        },
        "LaunchedAvailabilityZone": pool.zone if request.instance else None,
        "ProductDescription": _PRODUCT,
        "SpotPrice": f"{price:.6f}",
        "Status": {"Code": request.code, "Message": request.message, "UpdateTime": utc(request.updated)},
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
        "ValidUntil": request.fleet.config.get("ValidUntil"),
    }


class Filters:
    """Those of DescribeSpotInstanceRequests, AWS's wildcards included."""

    def __init__(self, given: Mapping[str, Sequence[str]]) -> None:
        self._given = given

    def pass_request(self, request: SpotRequest, tags: Mapping[str, str]) -> bool:
        """
        Raises:
            EC2ClientError: There is no filter of such a name, or this cloud lacks it.
        """
        return all(
            any(fnmatchcase(value, pattern) for value in _values(name, request, tags) for pattern in patterns)
            for name, patterns in self._given.items()
        )


def _values(name: str, request: SpotRequest, tags: Mapping[str, str]) -> Sequence[str]:
    if name.startswith("tag:"):
        key = name.removeprefix("tag:")
        return [tags[key]] if key in tags else []
    attributes = {
        "tag-key": list(tags),
        "state": [request.state],
        "status-code": [request.code],
        "type": ["one-time"],
        "spot-instance-request-id": [request.id],
        "instance-id": [request.instance.id] if request.instance else [],
        "launch.image-id": [request.pool.image],
        "launch.instance-type": [request.pool.instance_type],
        "launched-availability-zone": [request.pool.zone] if request.instance else [],
    }
    if name not in attributes:
        raise EC2ClientError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return attributes[name]


def price_rows(
    region: str,
    *,
    types: Sequence[str],
    zones: Sequence[str],
    products: Sequence[str],
    start: datetime | None,
    end: datetime | None,
    now: float,
    factor: float,
) -> Iterator[dict[str, Any]]:
    """
    SpotPriceHistory; without a start, that of the last day.

    Args:
        types, zones, products: Empty is all of them.
        factor: Of all Spot prices (Settings.spot_price_factor).
    """
    if products and not any(product.startswith(_PRODUCT) for product in products):
        return
    last = min(now, epoch(end)) if end else now
    first = min(last, epoch(start)) if start else last - _DAY_S
    for offer in INSTANCE_TYPE_OFFERINGS["availability-zone"].get(region, []):
        kind, zone = offer["InstanceType"], offer["Location"]
        if (types and kind not in types) or (zones and zone not in zones):
            continue
        for moment, price in prices.changes(kind, zone, first, last):
            yield {
                "InstanceType": kind,
                "AvailabilityZone": zone,
                "ProductDescription": _PRODUCT,
                "SpotPrice": f"{price * factor:.6f}",
                "Timestamp": utc(moment),
            }
