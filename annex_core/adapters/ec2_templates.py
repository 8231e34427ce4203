"""An annex's launch template: one for each annex, found again when the answer to its making was lost."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from annex_core.adapters import ec2_requests as requests
from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.adapters.ec2_answers import tags_of
from annex_core.errors import Refused, Unavailable
from annex_core.model import tags
from annex_core.ports import TemplateRef, TemplateRequest

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import (
        DescribeLaunchTemplateVersionsRequestTypeDef,
        RequestLaunchTemplateDataTypeDef,
        ValidationWarningTypeDef,
    )

log = logging.getLogger(__name__)

_TAKEN = {"InvalidLaunchTemplateName.AlreadyExistsException", "IdempotentParameterMismatch"}
"""A repeat may say either: its token is known with other user data, or its name is."""
GONE = {"InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"}
_SAME_ANNEX = (tags.POOL, tags.ACCESS_POINT, tags.OWNER, tags.NAME)


class LaunchTemplates:
    def __init__(self, reader: EC2Client, writer: EC2Client) -> None:
        self._reader = reader
        self._writer = writer

    def put(self, request: TemplateRequest, root: requests.RootVolume, *, existing: str | None) -> TemplateRef:
        """
        Raises:
            Refused: Also where a template of that name is another's.
        """
        data = requests.launch_template_data(request, root)
        put = self._add_version(existing, request, data) if existing else None
        put = put or self._create(request, data)
        put = put or self._add_version(self._taken_by_us(request), request, data)
        if put is None:
            raise Unavailable(f"the launch template {request.name} was deleted while it was asked for")
        return put

    def data(self, template: str, version: str) -> Mapping[str, Any]:
        """What a template says, anybody's; it is asked for each time, for $Latest moves."""
        named: DescribeLaunchTemplateVersionsRequestTypeDef = {"Versions": [version]}
        if template.startswith("lt-"):
            named["LaunchTemplateId"] = template
        else:
            named["LaunchTemplateName"] = template
        with aws_call("DescribeLaunchTemplateVersions"):
            found = self._reader.describe_launch_template_versions(**named)["LaunchTemplateVersions"]
        if not found:
            raise Refused(f"there is no version {version} of the launch template {template}")
        return dict(found[0]["LaunchTemplateData"])

    def delete(self, template: str) -> None:
        with aws_call("DeleteLaunchTemplate", changes=True):
            try:
                self._writer.delete_launch_template(LaunchTemplateId=template)
            except ClientError as failure:
                if code_of(failure) not in GONE:
                    raise

    def _create(self, request: TemplateRequest, data: RequestLaunchTemplateDataTypeDef) -> TemplateRef | None:
        """None: there is one of that name, or was one made with that token."""
        with aws_call("CreateLaunchTemplate", changes=True):
            try:
                answer = self._writer.create_launch_template(**requests.launch_template(request, data))
            except ClientError as failure:
                if code_of(failure) in _TAKEN:
                    return None
                raise
        _log_warning(request, answer.get("Warning"))
        created = answer["LaunchTemplate"]
        return TemplateRef(created["LaunchTemplateId"], created["LatestVersionNumber"])

    def _add_version(
        self, template: str, request: TemplateRequest, data: RequestLaunchTemplateDataTypeDef
    ) -> TemplateRef | None:
        """None: the template is gone. A version is whole: it takes nothing over from the ones before."""
        with aws_call("CreateLaunchTemplateVersion", changes=True):
            try:
                answer = self._writer.create_launch_template_version(
                    LaunchTemplateId=template, ClientToken=request.client_token, LaunchTemplateData=data
                )
            except ClientError as failure:
                if code_of(failure) in GONE:
                    return None
                raise
        _log_warning(request, answer.get("Warning"))
        return TemplateRef(template, answer["LaunchTemplateVersion"]["VersionNumber"])

    def find(self, name: str, wanted: Mapping[str, str]) -> str | None:
        # By filter, not by name: one that there isn't would be an error.
        with aws_call("DescribeLaunchTemplates"):
            found = self._reader.describe_launch_templates(
                Filters=[{"Name": "launch-template-name", "Values": [name]}]
            )["LaunchTemplates"]
        for template in found:
            its = tags_of(template.get("Tags", ()))
            if all(its.get(key) == wanted.get(key) for key in _SAME_ANNEX):
                return template["LaunchTemplateId"]
        return None

    def _taken_by_us(self, request: TemplateRequest) -> str:
        found = self.find(request.name, request.tags)
        if found is None:
            raise Refused(f"there is a launch template {request.name} that isn't this annex's")
        return found


def _log_warning(request: TemplateRequest, warning: ValidationWarningTypeDef | None) -> None:
    """EC2 makes the template all the same; whether a launch fails is for the fleet's history to say."""
    for error in (warning or {}).get("Errors", ()):
        log.warning("launch template %s: %s: %s", request.name, error.get("Code"), error.get("Message"))
