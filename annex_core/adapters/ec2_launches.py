"""Launches: one request of ours as the call of EC2's that asks for it, and that call's answer."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from annex_core.adapters import ec2_requests as requests
from annex_core.adapters.aws_errors import aws_call
from annex_core.errors import Refused
from annex_core.model.route import FleetApi
from annex_core.ports import Launched, LaunchRequest

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client


def document(request: LaunchRequest) -> str:
    """
    {"api": ..., "parameters": {...}} as JSON with sorted keys: equal requests are equal text.

    Moments are text in it, which boto3 takes as they stand: nothing on the way back from the journal can shift them.
    """
    if request.api is not FleetApi.SPOT_FLEET:
        raise Refused(f"machines can't be asked for by {request.api} yet")
    whole = {"api": request.api, "parameters": requests.spot_fleet(request)}
    return json.dumps(whole, sort_keys=True, separators=(",", ":"))


def send(ec2: EC2Client, text: str) -> Launched:
    """
    Args:
        ec2: Sends each call once.
        text: From document(); without an envelope it is RequestSpotFleet's parameters, as journals of old have them.
    """
    whole = json.loads(text)
    api, parameters = (whole["api"], whole["parameters"]) if "api" in whole else (FleetApi.SPOT_FLEET, whole)
    return _SENT[FleetApi(api)](ec2, parameters)


def _request_spot_fleet(ec2: EC2Client, parameters: dict[str, Any]) -> Launched:
    with aws_call("RequestSpotFleet", changes=True):
        return Launched(ec2.request_spot_fleet(**parameters)["SpotFleetRequestId"])


_SENT = {FleetApi.SPOT_FLEET: _request_spot_fleet}
