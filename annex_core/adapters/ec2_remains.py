"""What EC2 shows that carries certain tags and is not gone, of every kind that an annex is made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.ec2_answers import tags_of

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import FilterTypeDef

_PAGE = 1000
_TEMPLATES_PAGE = 200
_OVER = {"cancelled", "failed"}


def remains(reader: EC2Client, wanted: Mapping[str, str]) -> list[str]:
    """A phrase for each, such as `instance i-1 (running)`."""
    filters: list[FilterTypeDef] = [{"Name": f"tag:{key}", "Values": [value]} for key, value in wanted.items()]
    return [
        f"{kind} {id_} ({state})" for kind, id_, state, carried in _shown(reader, filters) if _carries(carried, wanted)
    ]


def _shown(reader: EC2Client, filters: list[FilterTypeDef]) -> Iterator[tuple[str, str, str, Mapping[str, str]]]:
    with aws_call("DescribeInstances"):
        pages = reader.get_paginator("describe_instances").paginate(
            Filters=filters, PaginationConfig={"PageSize": _PAGE}
        )
        for page in pages:
            for reservation in page["Reservations"]:
                for each in reservation["Instances"]:
                    if each["State"]["Name"] != "terminated":
                        yield "instance", each["InstanceId"], each["State"]["Name"], tags_of(each.get("Tags", ()))
    with aws_call("DescribeSpotFleetRequests"):
        for request in reader.get_paginator("describe_spot_fleet_requests").paginate():
            for fleet in request["SpotFleetRequestConfigs"]:
                if fleet["SpotFleetRequestState"] not in _OVER:
                    yield (
                        "fleet",
                        fleet["SpotFleetRequestId"],
                        fleet["SpotFleetRequestState"],
                        tags_of(fleet.get("Tags", ())),
                    )
    with aws_call("DescribeVolumes"):
        volumes = reader.get_paginator("describe_volumes").paginate(
            Filters=filters, PaginationConfig={"PageSize": _PAGE}
        )
        for some in volumes:
            for volume in some["Volumes"]:
                yield "volume", volume["VolumeId"], volume["State"], tags_of(volume.get("Tags", ()))
    with aws_call("DescribeLaunchTemplates"):
        templates = reader.get_paginator("describe_launch_templates").paginate(
            Filters=filters, PaginationConfig={"PageSize": _TEMPLATES_PAGE}
        )
        for others in templates:
            for template in others["LaunchTemplates"]:
                yield (
                    "launch template",
                    template["LaunchTemplateId"],
                    template["LaunchTemplateName"],
                    tags_of(template.get("Tags", ())),
                )


def _carries(carried: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whole: a filter's value may hold wildcards."""
    return wanted.items() <= carried.items()
