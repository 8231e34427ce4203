"""Launches: one request of ours as the call of EC2's that asks for it, and that call's answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from annex_core.adapters import ec2_answers as answers
from annex_core.adapters import ec2_requests as requests
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.ec2_templates import GONE
from annex_core.errors import AnnexError, NoCapacity, NotPermitted, OverQuota, Refused
from annex_core.model.route import FleetApi
from annex_core.ports import Launched, LaunchRequest

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client

_WOULD = {"DryRunOperation", *GONE}
"""A dry run's good answers; a launch template that is yet to be made is missing to nobody."""


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


def objections(ec2: EC2Client, request: LaunchRequest, root: requests.RootVolume) -> Iterator[AnnexError]:
    """
    Ask EC2 of each call that the launch takes whether it would do it, by DryRun: nothing is launched or made.

    RunInstances is asked of in any case: whoever asks for a fleet needs its right, too, and its dry run alone looks at
    what it is given beside policies.

    Args:
        request: For one machine, with what the launch template would hold.

    Returns:
        NotPermitted where a policy forbids a call, the credentials' own or the organisation's; Refused or OverQuota
        where EC2 wouldn't do it. That there is no capacity just now is none.
    """
    for name, ask in _DRY[request.api]:
        try:
            with aws_call(name):
                try:
                    ask(ec2, request, root)
                except ClientError as answer:
                    if code_of(answer) not in _WOULD:
                        raise
        except NoCapacity:
            continue
        except (NotPermitted, Refused, OverQuota) as error:
            yield error


def _dry_template(ec2: EC2Client, request: LaunchRequest, root: requests.RootVolume) -> None:
    template = requests.yet_to_make(request)
    data = requests.launch_template_data(template, root)
    data.pop("UserData", None)
    ec2.create_launch_template(**requests.launch_template(template, data), DryRun=True)


def _dry_spot_fleet(ec2: EC2Client, request: LaunchRequest, root: requests.RootVolume) -> None:
    ec2.request_spot_fleet(**requests.spot_fleet_unmade(request, root), DryRun=True)


def _dry_ec2_fleet(ec2: EC2Client, request: LaunchRequest, _: requests.RootVolume) -> None:
    ec2.create_fleet(**requests.ec2_fleet_unmade(request), DryRun=True)


def _dry_run_instances(ec2: EC2Client, request: LaunchRequest, root: requests.RootVolume) -> None:
    parameters = requests.run_instances(request, root)
    parameters.pop("UserData", None)
    ec2.run_instances(**parameters, DryRun=True)


_TEMPLATE, _MACHINE = ("CreateLaunchTemplate", _dry_template), ("RunInstances", _dry_run_instances)
_DRY = {
    FleetApi.SPOT_FLEET: (_TEMPLATE, ("RequestSpotFleet", _dry_spot_fleet), _MACHINE),
    FleetApi.EC2_FLEET: (_TEMPLATE, ("CreateFleet", _dry_ec2_fleet), _MACHINE),
    FleetApi.RUN_INSTANCES: (_MACHINE,),
}

_SENT = {
    FleetApi.SPOT_FLEET: _request_spot_fleet,
    FleetApi.EC2_FLEET: _create_fleet,
    FleetApi.RUN_INSTANCES: _run_instances,
}
