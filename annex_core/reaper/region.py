"""EC2 and Systems Manager in the reaper's region, in as few calls as there can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from annex_core.adapters.aws_errors import aws_call, code_of
from annex_core.model import tags
from annex_core.model.signs import FREEZE, HEARTBEAT
from annex_core.planner.leases import Leased

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.type_defs import InstanceTypeDef, SpotFleetRequestConfigTypeDef, TagTypeDef
    from types_boto3_ssm import SSMClient

T = TypeVar("T")

_PAGE = 1000
_FILTER_VALUES = 200
_FLEET_TAG = "aws:ec2spot:fleet-request-id"
_NOT_OVER = ["pending", "running", "stopping", "stopped"]


@dataclass(frozen=True)
class Fleet:
    """A Spot Fleet request."""

    lease: Leased
    target: float
    fulfilled: float

    @property
    def may_launch(self) -> bool:
        return self.lease.state in {"submitted", "active", "modifying"} and self.fulfilled < self.target


@dataclass(frozen=True)
class Template:
    """A launch template."""

    id: str
    tags: Mapping[str, str]


class Region:
    """
    All that carries the tag htcondor:Pool, of whatever pool. A call that fails raises an AnnexError.

    Args:
        clock: The function's own, aware. Leases are measured by AWS's, which each answer tells.
    """

    def __init__(self, ec2: EC2Client, ssm: SSMClient, clock: Callable[[], datetime]) -> None:
        self._ec2 = ec2
        self._ssm = ssm
        self._clock = clock
        self._ahead = timedelta(0)
        ec2.meta.events.register("after-call", self._note_the_time)

    def now(self) -> datetime:
        """AWS's time, as of its last answer."""
        return self._clock() + self._ahead

    def _note_the_time(self, parsed: Mapping[str, Any], **_: object) -> None:
        said = parsed.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if said:
            self._ahead = parsedate_to_datetime(said) - self._clock()

    # What there is

    def fleets(self) -> list[Fleet]:
        with aws_call("DescribeSpotFleetRequests"):
            pages = self._ec2.get_paginator("describe_spot_fleet_requests").paginate(
                PaginationConfig={"PageSize": _PAGE}
            )
            return _fleets(each for page in pages for each in page["SpotFleetRequestConfigs"])

    def these_fleets(self, ids: Sequence[str]) -> list[Fleet]:
        with aws_call("DescribeSpotFleetRequests"):
            pages = self._ec2.get_paginator("describe_spot_fleet_requests").paginate(SpotFleetRequestIds=ids)
            return _fleets(each for page in pages for each in page["SpotFleetRequestConfigs"])

    def instances(self) -> list[Leased]:
        """Those of every kind of annex: an on-demand one, and an instant fleet, show in nothing but instances."""
        return self._instances({"Name": "tag-key", "Values": [tags.POOL]})

    def these_instances(self, ids: Sequence[str]) -> list[Leased]:
        """
        Args:
            ids: At most 200. What is gone by now is left out: to ask by filter is no error then.
        """
        return self._instances({"Name": "instance-id", "Values": list(ids)})

    def _instances(self, which: Any) -> list[Leased]:
        pages = self._ec2.get_paginator("describe_instances").paginate(
            Filters=[which, {"Name": "instance-state-name", "Values": _NOT_OVER}],
            PaginationConfig={"PageSize": _PAGE},
        )
        with aws_call("DescribeInstances"):
            found = [
                _instance(each)
                for page in pages
                for reservation in page["Reservations"]
                for each in reservation["Instances"]
            ]
        return [each for each in found if tags.POOL in each.tags]

    def open_requests(self, fleets: Sequence[str]) -> list[str]:
        """The ids of these fleets' spot requests that may still be filled."""
        found: list[str] = []
        for some in batches(fleets, _FILTER_VALUES):
            pages = self._ec2.get_paginator("describe_spot_instance_requests").paginate(
                Filters=[{"Name": "state", "Values": ["open"]}, {"Name": f"tag:{_FLEET_TAG}", "Values": some}],
                PaginationConfig={"PageSize": _PAGE},
            )
            with aws_call("DescribeSpotInstanceRequests"):
                found += [each["SpotInstanceRequestId"] for page in pages for each in page["SpotInstanceRequests"]]
        return found

    def templates(self, bounds: Sequence[str]) -> list[Template]:
        """
        Args:
            bounds: What the tag htcondor:EndsAtLatest is like, such as 2026-11-*; at most 200.
        """
        pages = self._ec2.get_paginator("describe_launch_templates").paginate(
            Filters=[
                {"Name": "tag-key", "Values": [tags.POOL]},
                {"Name": f"tag:{tags.ENDS_AT_LATEST}", "Values": list(bounds)},
            ]
        )
        with aws_call("DescribeLaunchTemplates"):
            return [
                Template(each["LaunchTemplateId"], _tags(each.get("Tags", ())))
                for page in pages
                for each in page["LaunchTemplates"]
            ]

    # What is ended

    def cancel_fleets(self, ids: Sequence[str], *, terminate: bool) -> dict[str, str]:
        """
        Args:
            ids: At most 100.

        Returns:
            Why, for each that AWS did not cancel: it says so inside a success.
        """
        with aws_call("CancelSpotFleetRequests", changes=True):
            answer = self._ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=ids, TerminateInstances=terminate)
        return {
            failed["SpotFleetRequestId"]: f"{failed['Error']['Code']}: {failed['Error']['Message']}"
            for failed in answer.get("UnsuccessfulFleetRequests", ())
        }

    def cancel_open_requests(self, ids: Sequence[str]) -> None:
        with aws_call("CancelSpotInstanceRequests", changes=True):
            self._ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)

    def terminate(self, ids: Sequence[str]) -> None:
        """All of them or, where one is protected, none."""
        with aws_call("TerminateInstances", changes=True):
            self._ec2.terminate_instances(InstanceIds=ids)

    def delete_template(self, template: str) -> None:
        with aws_call("DeleteLaunchTemplate", changes=True):
            self._ec2.delete_launch_template(LaunchTemplateId=template)

    # What is said

    def freeze(self) -> str:
        """What the parameter holds; an empty list where there is none."""
        with aws_call("GetParameter"):
            try:
                return self._ssm.get_parameter(Name=FREEZE)["Parameter"]["Value"]
            except ClientError as failure:
                if code_of(failure) == "ParameterNotFound":
                    return "[]"
                raise

    def leave_heartbeat(self, text: str) -> None:
        with aws_call("PutParameter", changes=True):
            self._ssm.put_parameter(Name=HEARTBEAT, Value=text, Type="String", Overwrite=True)


def batches(ids: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])


def _fleets(found: Iterable[SpotFleetRequestConfigTypeDef]) -> list[Fleet]:
    made = [_fleet(each) for each in found]
    return [each for each in made if tags.POOL in each.lease.tags]


def _fleet(found: SpotFleetRequestConfigTypeDef) -> Fleet:
    config = found["SpotFleetRequestConfig"]
    lease = Leased(
        found["SpotFleetRequestId"], found["SpotFleetRequestState"], found["CreateTime"], _tags(found.get("Tags", ()))
    )
    return Fleet(lease, config["TargetCapacity"], config.get("FulfilledCapacity", 0.0))


def _instance(found: InstanceTypeDef) -> Leased:
    return Leased(found["InstanceId"], found["State"]["Name"], found["LaunchTime"], _tags(found.get("Tags", ())))


def _tags(found: Iterable[TagTypeDef]) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in found}
