"""CloudFormation in one region: account.stacks.Stacks over boto3."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from annex_core.account.components import COMPONENT, DIGEST, Component
from annex_core.account.stacks import Stack
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.aws_session import AwsRegion

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient
    from types_boto3_cloudformation.type_defs import ParameterTypeDef, TagTypeDef

_NO_SUCH_STACK = "ValidationError"
"""Of a well-formed name it says no more than that."""


class CloudFormationStacks:
    def __init__(self, client: CloudFormationClient) -> None:
        self._client = client

    def find(self, name: str) -> Stack | None:
        with aws_call("DescribeStacks"):
            try:
                [found] = self._client.describe_stacks(StackName=name)["Stacks"]
            except ClientError as failure:
                if code_of(failure) == _NO_SUCH_STACK:
                    return None
                raise
        return Stack(
            id=found["StackId"],
            status=found["StackStatus"],
            digest=next((tag["Value"] for tag in found.get("Tags", ()) if tag["Key"] == DIGEST), ""),
            parameters={each["ParameterKey"]: each["ParameterValue"] for each in found.get("Parameters", ())},
            outputs={each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", ())},
        )

    def create(self, component: Component, parameters: Mapping[str, str]) -> str:
        with aws_call("CreateStack", changes=True):
            return self._client.create_stack(
                StackName=component.stack,
                TemplateBody=component.template(),
                Parameters=_parameters(parameters),
                Tags=_tags(component),
                Capabilities=["CAPABILITY_NAMED_IAM"],
                OnFailure="DELETE",
                ClientRequestToken=str(uuid.uuid4()),
            )["StackId"]

    def update(self, component: Component, parameters: Mapping[str, str]) -> None:
        with aws_call("UpdateStack", changes=True):
            self._client.update_stack(
                StackName=component.stack,
                TemplateBody=component.template(),
                Parameters=_parameters(parameters),
                Tags=_tags(component),
                Capabilities=["CAPABILITY_NAMED_IAM"],
                ClientRequestToken=str(uuid.uuid4()),
            )

    def delete(self, name: str) -> None:
        with aws_call("DeleteStack", changes=True):
            self._client.delete_stack(StackName=name)

    def failure(self, stack_id: str) -> str:
        with aws_call("DescribeStackEvents"):
            pages = self._client.get_paginator("describe_stack_events").paginate(StackName=stack_id)
            newest_first = [event for page in pages for event in page["StackEvents"]]
        reason = "CloudFormation gives no reason"
        failed = False
        for event in newest_first:
            status, name = event.get("ResourceStatus", ""), event.get("LogicalResourceId")
            if failed and status.endswith("_IN_PROGRESS") and name == event["StackName"]:
                break  # What failed before that isn't what failed now.
            if status.endswith("_FAILED"):
                failed = True
                reason = f"{event.get('ResourceType')} {name}: {event.get('ResourceStatusReason')}"
        return reason


def stacks(region: AwsRegion) -> CloudFormationStacks:
    return CloudFormationStacks(region.cloudformation())


def _parameters(parameters: Mapping[str, str]) -> list[ParameterTypeDef]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()]


def _tags(component: Component) -> list[TagTypeDef]:
    return [{"Key": COMPONENT, "Value": component.name}, {"Key": DIGEST, "Value": component.digest()}]
