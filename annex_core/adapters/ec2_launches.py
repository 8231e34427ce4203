"""Launches: one request of ours as the call of EC2's that asks for it, and that call's answer."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from annex_core.adapters import ec2_answers as answers
from annex_core.adapters import ec2_requests as requests
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.model.route import FleetApi
from annex_core.ports import Launched, LaunchRequest

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client


def document(request: LaunchRequest, root: requests.RootVolume | None = None) -> str:
    """
    {"api": ..., "parameters": {...}} as JSON with sorted keys: equal requests are equal text.

    Moments are text in it, which boto3 takes as they stand: nothing on the way back from the journal can shift them.

    Args:
        root: Of the image, where no launch template holds it.
    """
    match request.api:
        case FleetApi.SPOT_FLEET:
            parameters = requests.spot_fleet(request)
        case FleetApi.EC2_FLEET:
            parameters = requests.ec2_fleet(request)
        case FleetApi.RUN_INSTANCES:
            parameters = requests.run_instances(request, root)
    return json.dumps({"api": request.api, "parameters": parameters}, sort_keys=True, separators=(",", ":"))


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


def _create_fleet(ec2: EC2Client, parameters: dict[str, Any]) -> Launched:
    with aws_call("CreateFleet", changes=True):
        return answers.instant_fleet(ec2.create_fleet(**parameters))


def _run_instances(ec2: EC2Client, parameters: dict[str, Any]) -> Launched:
    if "UserData" in parameters:
        # boto3 encodes the user data of this call itself, and of no other.
        parameters = {**parameters, "UserData": base64.b64decode(parameters["UserData"])}
    with aws_call("RunInstances", changes=True):
        return answers.run(ec2.run_instances(**parameters), asked=parameters["MaxCount"])


def dry_run(ec2: EC2Client, request: LaunchRequest, root: requests.RootVolume) -> None:
    """
    Ask EC2 whether it would launch a machine of it, by RunInstances with DryRun: nothing is launched.

    Raises:
        NotPermitted: A policy forbids it, of the credentials' own or of the organisation's.
        Refused, OverQuota, NoCapacity: It wouldn't.
    """
    with aws_call("RunInstances"):
        try:
            parameters = requests.run_instances(request, root)
            parameters.pop("UserData", None)
            ec2.run_instances(**parameters, DryRun=True)
        except ClientError as answer:
            if code_of(answer) != "DryRunOperation":
                raise


_SENT = {
    FleetApi.SPOT_FLEET: _request_spot_fleet,
    FleetApi.EC2_FLEET: _create_fleet,
    FleetApi.RUN_INSTANCES: _run_instances,
}
