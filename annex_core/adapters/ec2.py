"""EC2 in one region: ports.Cloud over boto3."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

from annex_core.adapters import ec2_answers as answers
from annex_core.adapters import ec2_launches as launches
from annex_core.adapters import ec2_requests as requests
from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2_history import trouble
from annex_core.adapters.ec2_remains import remains
from annex_core.adapters.ec2_templates import LaunchTemplates
from annex_core.errors import AnnexError, Refused
from annex_core.model import tags
from annex_core.model.hardware import InstanceType
from annex_core.model.route import DEFAULT_SUBNETS, default_subnet
from annex_core.model.supply import Fleet, Instance, OpenRequest
from annex_core.ports import Launched, LaunchRequest, TemplateRef, TemplateRequest, Trouble

if TYPE_CHECKING:
    from types_boto3_ec2 import EC2Client
    from types_boto3_ec2.literals import InstanceTypeType
    from types_boto3_ec2.type_defs import (
        DescribeSpotFleetRequestHistoryRequestTypeDef,
        FilterTypeDef,
        HistoryRecordTypeDef,
    )
    from types_boto3_ssm import SSMClient

_NOT_TERMINATED = ["pending", "running", "shutting-down", "stopping", "stopped"]
_PAGE = 1000
_TYPES_PAGE = 100
_FILTER_VALUES = 200
_BATCH = 100
"""The most fleets a cancel takes; of instances and spot requests, what keeps a failed call cheap to take apart."""
_TAGGED = 500
"""Things in a CreateTags, which takes 1,000."""
_EC2_FLEET = "fleet-"
"""How the ids of EC2 Fleets begin; a Spot Fleet request's begins with sfr-."""
_INSTANT_BATCH = 25
"""The most fleets of type `instant` a DeleteFleets call takes; with more it deletes none."""
_IMAGE_KEPT_S = 3600.0

DEFAULT_FOR_ZONE: FilterTypeDef = {"Name": "default-for-az", "Values": ["true"]}
"""Of the default VPC's subnets, one in each zone."""


class Ec2Cloud:
    """
    What doesn't change at AWS is asked once: types, subnets' zones, images, key pairs; a parameter's value is kept for
    an hour.

    Args:
        reader: For calls that only ask; it may repeat them.
        writer: For calls that change something; it must send each once.
        ssm: For images named by a parameter.
        clock: Seconds, monotonic.
        ahead: How far AWS's clock is ahead of ours.
    """

    def __init__(
        self,
        reader: EC2Client,
        writer: EC2Client,
        ssm: SSMClient,
        *,
        clock: Callable[[], float] = time.monotonic,
        ahead: Callable[[], timedelta] = lambda: timedelta(0),
    ) -> None:
        self.ahead = ahead
        self._reader = reader
        self._writer = writer
        self._ssm = ssm
        self._clock = clock
        self._templates = LaunchTemplates(reader, writer)
        self._types: dict[str, InstanceType | None] = {}
        self._zones: dict[str, str] = {}
        self._default: dict[str, str] = {}
        self._parameters: dict[str, tuple[str, float]] = {}
        self._roots: dict[str, requests.RootVolume] = {}
        self._key_pairs: set[str] = set()

    # What there is.

    def instances(self, pool: str) -> Sequence[Instance]:
        pages = self._reader.get_paginator("describe_instances").paginate(
            Filters=[
                {"Name": f"tag:{tags.POOL}", "Values": [pool]},
                {"Name": "instance-state-name", "Values": _NOT_TERMINATED},
            ],
            PaginationConfig={"PageSize": _PAGE},
        )
        with aws_call("DescribeInstances"):
            found = [
                answers.instance(each)
                for page in pages
                for reservation in page["Reservations"]
                for each in reservation["Instances"]
            ]
        # A filter's value may hold wildcards.
        return [each for each in found if each.tags.get(tags.POOL) == pool]

    def fleets(self, pool: str) -> Sequence[Fleet]:
        with aws_call("DescribeSpotFleetRequests"):
            pages = self._reader.get_paginator("describe_spot_fleet_requests").paginate()
            found = [answers.fleet(each) for page in pages for each in page["SpotFleetRequestConfigs"]]
        return [each for each in found if each.tags.get(tags.POOL) == pool]

    def remains(self, wanted: Mapping[str, str]) -> list[str]:
        return remains(self._reader, wanted)

    def open_requests(self, fleets: Sequence[str]) -> Sequence[OpenRequest]:
        found: list[OpenRequest] = []
        for some in _batches(fleets, _FILTER_VALUES):
            pages = self._reader.get_paginator("describe_spot_instance_requests").paginate(
                Filters=[
                    {"Name": "state", "Values": ["open"]},
                    {"Name": f"tag:{answers.FLEET_TAG}", "Values": some},
                ],
                PaginationConfig={"PageSize": _PAGE},
            )
            with aws_call("DescribeSpotInstanceRequests"):
                found += [answers.open_request(each) for page in pages for each in page["SpotInstanceRequests"]]
        return found

    def fleet_trouble(self, fleet: str, since: datetime) -> Trouble | None:
        records: list[HistoryRecordTypeDef] = []
        asked: DescribeSpotFleetRequestHistoryRequestTypeDef = {"SpotFleetRequestId": fleet, "StartTime": since}
        with aws_call("DescribeSpotFleetRequestHistory"):
            while True:
                page = self._reader.describe_spot_fleet_request_history(**asked)
                records += page["HistoryRecords"]
                if not page.get("NextToken"):
                    return trouble(records)
                asked["NextToken"] = page["NextToken"]

    def console(self, instance: str) -> str:
        with suppress(Refused), aws_call("GetConsoleOutput"):
            return answers.console(self._reader.get_console_output(InstanceId=instance, Latest=True))
        # Types that aren't Nitro refuse to give the latest, and give what was saved some minutes after boot.
        with aws_call("GetConsoleOutput"):
            return answers.console(self._reader.get_console_output(InstanceId=instance))

    def state_reasons(self, ids: Sequence[str]) -> Mapping[str, str]:
        reasons: dict[str, str] = {}
        for some in _batches(ids, _FILTER_VALUES):
            # By filter, not by id: one that AWS lists no more would fail them all.
            pages = self._reader.get_paginator("describe_instances").paginate(
                Filters=[{"Name": "instance-id", "Values": some}], PaginationConfig={"PageSize": _PAGE}
            )
            with aws_call("DescribeInstances"):
                reasons |= {
                    each["InstanceId"]: answers.state_reason(each)
                    for page in pages
                    for reservation in page["Reservations"]
                    for each in reservation["Instances"]
                }
        return reasons

    # What can be had.

    def instance_types(self, names: Iterable[str]) -> Mapping[str, InstanceType]:
        names = list(names)
        for some in _batches([name for name in names if name not in self._types], _FILTER_VALUES):
            # By filter, not by name: one name that the region lacks would fail them all.
            pages = self._reader.get_paginator("describe_instance_types").paginate(
                Filters=[{"Name": "instance-type", "Values": some}], PaginationConfig={"PageSize": _TYPES_PAGE}
            )
            with aws_call("DescribeInstanceTypes"):
                found = [answers.instance_type(each) for page in pages for each in page["InstanceTypes"]]
            self._types |= dict.fromkeys(some) | {each.name: each for each in found}
        return {name: known for name in names if (known := self._types[name]) is not None}

    def spot_prices(self, names: Iterable[str]) -> Mapping[tuple[str, str], Decimal]:
        hours: dict[tuple[str, str], Decimal] = {}
        now = datetime.now(UTC) + self.ahead()  # from a start that is now on, AWS tells the prices in force alone
        for some in _batches(list(names), _TYPES_PAGE):
            pages = self._reader.get_paginator("describe_spot_price_history").paginate(
                InstanceTypes=cast("list[InstanceTypeType]", some), ProductDescriptions=["Linux/UNIX"], StartTime=now
            )
            with aws_call("DescribeSpotPriceHistory"):
                hours |= answers.spot_prices(each for page in pages for each in page["SpotPriceHistory"])
        return hours

    def offered_zones(self, names: Iterable[str]) -> Mapping[str, frozenset[str]]:
        zones: dict[str, set[str]] = {}
        for some in _batches(list(names), _FILTER_VALUES):
            pages = self._reader.get_paginator("describe_instance_type_offerings").paginate(
                LocationType="availability-zone",
                Filters=[{"Name": "instance-type", "Values": some}],
                PaginationConfig={"PageSize": _PAGE},
            )
            with aws_call("DescribeInstanceTypeOfferings"):
                for each in (each for page in pages for each in page["InstanceTypeOfferings"]):
                    zones.setdefault(each["InstanceType"], set()).add(each["Location"])
        return {name: frozenset(some) for name, some in zones.items()}

    def subnet_zones(self, subnets: Sequence[str]) -> Mapping[str, str]:
        if DEFAULT_SUBNETS in subnets:
            return self._default_zones()
        new = [subnet for subnet in subnets if subnet not in self._zones]
        if new:
            with aws_call("DescribeSubnets"):
                found = self._reader.describe_subnets(SubnetIds=new)["Subnets"]
            self._zones |= {each["SubnetId"]: each["AvailabilityZone"] for each in found}
        return {subnet: self._zones[subnet] for subnet in subnets}

    def _default_zones(self) -> Mapping[str, str]:
        if not self._default:
            with aws_call("DescribeSubnets"):
                found = self._reader.describe_subnets(Filters=[DEFAULT_FOR_ZONE])["Subnets"]
            if not found:
                raise Refused("there is no default VPC here, or no subnet in it; AnnexSubnets has to name some")
            self._default = {each["SubnetId"]: each["AvailabilityZone"] for each in found}
            self._zones |= self._default | {default_subnet(zone): zone for zone in self._default.values()}
        return dict(self._default)

    def known_zones(self) -> Mapping[str, str]:
        return dict(self._zones)

    def need_key_pair(self, name: str) -> None:
        if name in self._key_pairs:
            return
        # By filter, not by name: one that there isn't would be an error of many words.
        with aws_call("DescribeKeyPairs"):
            found = self._reader.describe_key_pairs(Filters=[{"Name": "key-name", "Values": [name]}])["KeyPairs"]
        if name not in {each.get("KeyName") for each in found}:
            raise Refused(
                f"there is no key pair {name} in this region; import it there, or name another (AnnexKeyName)"
            )
        self._key_pairs.add(name)

    def resolve_image(self, image: str) -> str:
        ami = image if image.startswith("ami-") else self._parameter(image)
        self._root(ami)
        return ami

    def _parameter(self, name: str) -> str:
        value, asked = self._parameters.get(name, ("", 0.0))
        if not value or self._clock() - asked >= _IMAGE_KEPT_S:
            with aws_call("GetParameter"):
                value = self._ssm.get_parameter(Name=name)["Parameter"]["Value"]
            if not value.startswith("ami-"):
                raise Refused(f"the parameter {name} holds {value[:40]!r}, which is no AMI")
            self._parameters[name] = value, self._clock()
        return value

    def _root(self, ami: str) -> requests.RootVolume:
        if ami not in self._roots:
            with aws_call("DescribeImages"):
                images = self._reader.describe_images(ImageIds=[ami])["Images"]
            if not images:
                raise Refused(f"there is no image {ami} in this region")
            self._roots[ami] = answers.root_volume(images[0])
        return self._roots[ami]

    # What is asked for.

    def template_data(self, template: str, version: str) -> Mapping[str, Any]:
        return self._templates.data(template, version)

    def put_template(self, request: TemplateRequest, *, existing: str | None) -> TemplateRef:
        return self._templates.put(request, self._root(request.image), existing=existing)

    def find_template(self, name: str, wanted: Mapping[str, str]) -> str | None:
        return self._templates.find(name, wanted)

    def delete_template(self, template: str) -> None:
        self._templates.delete(template)

    def encode(self, request: LaunchRequest) -> str:
        inline = request.template if isinstance(request.template, TemplateRequest) else None
        return launches.document(request, self._root(inline.image) if inline else None)

    def objections(self, request: LaunchRequest, image: str) -> Sequence[AnnexError]:
        """Why EC2 wouldn't launch it, by dry runs; empty where it would."""
        return list(launches.objections(self._reader, request, self._root(image)))

    def request(self, document: str) -> Launched:
        launched = launches.send(self._writer, document)
        refusals = (replace(each, zone=each.zone or self._zones.get(each.subnet, "")) for each in launched.refusals)
        return replace(launched, refusals=tuple(refusals))

    # What is ended.

    def cancel_fleets(self, ids: Sequence[str], *, terminate: bool) -> Mapping[str, str]:
        reasons: dict[str, str] = {}
        for some in _batches([each for each in ids if each.startswith(_EC2_FLEET)], _INSTANT_BATCH):
            with aws_call("DeleteFleets", changes=True):
                reasons |= answers.not_deleted(self._writer.delete_fleets(FleetIds=some, TerminateInstances=True))
        for some in _batches([each for each in ids if not each.startswith(_EC2_FLEET)], _BATCH):
            with aws_call("CancelSpotFleetRequests", changes=True):
                answer = self._writer.cancel_spot_fleet_requests(SpotFleetRequestIds=some, TerminateInstances=terminate)
            reasons |= answers.not_cancelled(answer)
        return reasons

    def cancel_open_requests(self, ids: Sequence[str]) -> None:
        for some in _batches(ids, _BATCH):
            with aws_call("CancelSpotInstanceRequests", changes=True):
                self._writer.cancel_spot_instance_requests(SpotInstanceRequestIds=some)

    def terminate(self, ids: Sequence[str]) -> Mapping[str, str]:
        def terminate(batch: list[str]) -> None:
            with aws_call("TerminateInstances", changes=True):
                self._writer.terminate_instances(InstanceIds=batch)

        return _each(ids, _BATCH, terminate)  # one protected instance fails the call for all that stand beside it

    def retag(self, ids: Sequence[str], wanted: Mapping[str, str]) -> Mapping[str, str]:
        def tag(batch: list[str]) -> None:
            with aws_call("CreateTags", changes=True):
                self._writer.create_tags(Resources=batch, Tags=requests.tag_list(wanted))

        return _each(ids, _TAGGED, tag)  # an instance that is gone fails the call for all that stand beside it


def ec2_cloud(region: AwsRegion) -> Ec2Cloud:
    return Ec2Cloud(region.ec2_reader(), region.ec2_writer(), region.ssm(), ahead=region.ahead)


def _each(ids: Sequence[str], size: int, call: Callable[[list[str]], None]) -> Mapping[str, str]:
    """
    Call it with all of *ids*, in their order, halving a batch that is refused.

    Returns:
        The reason for each id that was refused alone.
    """
    reasons: dict[str, str] = {}
    batches = deque(_batches(ids, size))
    while batches:
        batch = batches.popleft()
        try:
            call(batch)
        except Refused as refusal:
            if len(batch) == 1:
                reasons[batch[0]] = str(refusal)
            else:
                batches.extendleft([batch[len(batch) // 2 :], batch[: len(batch) // 2]])
    return reasons


def _batches(ids: Sequence[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(ids), size):
        yield list(ids[start : start + size])
