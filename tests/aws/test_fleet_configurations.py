"""A Spot Fleet configuration as AWS's console exports it, from the create that brings it to what is sent to EC2."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import boto3
import pytest

from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import Ec2Cloud
from annex_core.adapters.fleet_files import completed
from annex_core.adapters.journal import Journal
from annex_core.adapters.s3 import bundle_store
from annex_core.daemon.describing import Site
from annex_core.daemon.launching import Launcher
from annex_core.daemon.regions import Region, Regions
from annex_core.errors import Refused
from annex_core.model.annex import Annex, LaunchState
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import Route, overridden
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.settings import Settings
from tests.unit.fakes import FakeProber, FakeSigns, FakeTokens
from tests.unit.fleet_files import with_specifications, with_templates
from tests.unit.world import ACCESS_POINT, DOMAIN, ROUTE, annex

ROLE = "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role"


@dataclass
class Bench:
    """A launcher over the local cloud, and what it has sent."""

    cloud: Ec2Cloud
    launcher: Launcher
    journal: Journal
    route: Route
    image: str
    subnets: list[str]
    sent: list[dict[str, str]]
    annex: Annex

    def launch(self, config: Mapping[str, Any], **create: Any) -> None:
        body, _ = completed({"name": "blue", "fleet_config": config, **create}, self.route)
        route = overridden(self.route, body)
        prices = dict(route.max_prices)
        self.launcher.launch(
            LaunchFleet(
                annex=self.annex,
                types=route.instance_types,
                ceilings={name: prices.get(name, Decimal("0.2")) for name in route.instance_types},
                target=body["instances"],
                hourly_ceiling=Decimal("0.5"),
                idle_timeout_s=300,
                route=route,
                order="1",
            )
        )

    def calls(self, action: str) -> list[dict[str, str]]:
        return [each for each in self.sent if each["Action"] == action]

    def here(self, config: dict[str, Any]) -> dict[str, Any]:
        """With this cloud's image and subnets."""
        for each in config.get("LaunchSpecifications", []):
            each["ImageId"] = self.image
            each["SubnetId"] = ",".join(self.subnets)
            each["BlockDeviceMappings"][0]["DeviceName"] = "/dev/sda1"
        return config


_NUMBERS = count()
_SIGNED_BY = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "hush"}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalCloud]:
    with LocalCloud(settings=Settings(fill_fraction=0.0)) as running:
        ec2 = boto3.client("ec2", region_name="us-east-2", endpoint_url=running.url, **_SIGNED_BY)
        for name in ("site", "other", "theirs"):
            ec2.create_key_pair(KeyName=name)
        yield running


@pytest.fixture
def site(tmp_path: Path, aws: LocalCloud) -> Iterator[Bench]:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    sent: list[dict[str, str]] = []
    region = AwsRegion("us-east-2", endpoint=aws.url, credentials_file=str(file))
    writer = region.ec2_writer()
    writer.meta.events.register(
        "before-send.ec2.*",
        lambda request, **_: sent.append(dict(parse_qsl(request.body, keep_blank_values=True))),
    )
    cloud = Ec2Cloud(region.ec2_reader(), writer, region.ssm())
    regions = Regions(
        lambda place: Region(place, cloud, lambda bucket: bundle_store(region, bucket), FakeSigns(), FakeProber())
    )
    subnets = [each["SubnetId"] for each in region.ec2_reader().describe_subnets()["Subnets"]][:2]
    image = cloud.resolve_image(IMAGE_PARAMETER)
    route = overridden(ROUTE, {"image": image, "subnets": subnets})
    route = Route(**{**vars(route), "bucket": aws.bucket, "fleet_role": ROLE})
    regions.follow([route], [])
    journal = Journal(tmp_path / "journal.db")
    launcher = Launcher(
        site=Site("pool", ACCESS_POINT, DOMAIN, "ap.example:9618", DOMAIN),
        journal=journal,
        regions=regions,
        tokens=FakeTokens(),
        clock=partial(datetime.now, UTC),
    )
    now = datetime.now(UTC)
    its = annex(
        id=f"blue-{next(_NUMBERS)}",
        started=now,
        lease_ends=now + timedelta(hours=2),
        ends_at_latest=now + timedelta(hours=24),
    )
    yield Bench(cloud, launcher, journal, route, image, subnets, sent, its)
    journal.close()


def under(call: Mapping[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): value for name, value in call.items() if name.startswith(prefix)}


def test_more_attributes_than_the_withdrawn_tool_could_hold_arrive(site: Bench) -> None:
    site.launch(site.here(with_specifications()))

    [template] = site.calls("CreateLaunchTemplate")
    data = under(template, "LaunchTemplateData.")
    assert data["KeyName"] == "site"
    assert data["EbsOptimized"] == "true"
    assert data["Monitoring.Enabled"] == "false"
    assert data["IamInstanceProfile.Arn"] == "arn:aws:iam::123456789012:instance-profile/annex"
    assert data["SecurityGroupId.1"] == "sg-0123456789abcdef0"
    assert data["Placement.Tenancy"] == "default"
    assert data["UserData"] == "IyEvYmluL3NoCmVjaG8gaGVsbG8K"
    assert data["BlockDeviceMapping.1.Ebs.VolumeSize"] == "30"
    [fleet] = site.calls("RequestSpotFleet")
    assert len(template) + len(fleet) > 60


def test_without_the_key_pair_that_it_names_nothing_is_made(site: Bench) -> None:
    config = site.here(with_specifications())
    config["LaunchSpecifications"][-1]["KeyName"] = "gone"
    with pytest.raises(Refused, match="no key pair gone"):
        site.launch(config)
    assert not site.calls("CreateLaunchTemplate")
    assert not site.calls("RequestSpotFleet")


def test_numbers_arrive_as_numbers_weights_and_prices_among_them(site: Bench) -> None:
    site.launch(site.here(with_specifications()))

    config = under(site.calls("RequestSpotFleet")[0], "SpotFleetRequestConfig.")
    assert config["TargetCapacity"] == "8"
    assert config["InstancePoolsToUseCount"] == "2"
    pools = under(config, "LaunchTemplateConfigs.1.Overrides.")
    found = {
        (pools[f"{i}.InstanceType"], pools[f"{i}.SubnetId"], pools[f"{i}.WeightedCapacity"], pools[f"{i}.SpotPrice"])
        for i in range(1, 5)
    }
    assert found == {
        (kind, subnet, weight, price)
        for kind, weight, price in (("c5.large", "2", "0.05"), ("c5.xlarge", "4", "0.12"))
        for subnet in site.subnets
    }


def test_what_would_defeat_the_lease_is_replaced_on_the_wire(site: Bench) -> None:
    site.launch(site.here(with_specifications()))

    config = under(site.calls("RequestSpotFleet")[0], "SpotFleetRequestConfig.")
    assert config["Type"] == "request"
    assert config["TerminateInstancesWithExpiration"] == "true"
    assert config["ReplaceUnhealthyInstances"] == "false"
    assert config["ValidUntil"] == site.annex.ends_at_latest.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert config["ClientToken"].startswith("blue-")
    data = under(site.calls("CreateLaunchTemplate")[0], "LaunchTemplateData.")
    assert data["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert {data[f"BlockDeviceMapping.{i}.Ebs.DeleteOnTermination"] for i in (1,)} == {"true"}


def tags(call: Mapping[str, str], prefix: str) -> dict[str, str]:
    found = under(call, prefix)
    return {found[f"{i}.Key"]: found[f"{i}.Value"] for i in range(1, len(found) // 2 + 1)}


def test_tags_arrive_whatever_they_hold_beside_the_annexs_own(site: Bench) -> None:
    site.launch(site.here(with_specifications()))

    instance = tags(site.calls("CreateLaunchTemplate")[0], "LaunchTemplateData.TagSpecification.1.Tag.")
    assert instance["CostCenter"] == "12, 13=x"
    assert instance["htcondor:AnnexName"] == "blue"
    fleet = tags(site.calls("RequestSpotFleet")[0], "SpotFleetRequestConfig.TagSpecification.1.Tag.")
    assert fleet["Group"] == "physics"
    assert fleet["htcondor:Pool"] == "pool"


def test_specifications_that_differ_get_a_version_each(site: Bench) -> None:
    config = site.here(with_specifications())
    config["LaunchSpecifications"][1]["KeyName"] = "other"

    site.launch(config)

    fleet = site.calls("RequestSpotFleet")[0]
    versions = [fleet[f"SpotFleetRequestConfig.LaunchTemplateConfigs.{i}.LaunchTemplateSpecification.Version"]
                for i in (1, 2)]  # fmt: skip
    assert versions == ["1", "2"]
    assert site.calls("CreateLaunchTemplateVersion")[0]["LaunchTemplateData.KeyName"] == "other"


def test_what_the_command_asks_for_beats_what_the_file_says(site: Bench) -> None:
    site.launch(site.here(with_specifications()), slots=4, user_data="#!/bin/sh\ntrue\n")

    assert site.calls("RequestSpotFleet")[0]["SpotFleetRequestConfig.TargetCapacity"] == "4"
    assert site.calls("CreateLaunchTemplate")[0]["LaunchTemplateData.UserData"] == "IyEvYmluL3NoCnRydWUK"


def theirs(site: Bench, **data: Any) -> str:
    made = site.cloud._writer.create_launch_template(
        LaunchTemplateName=f"theirs-{site.annex.id}",
        LaunchTemplateData={"ImageId": site.image, "KeyName": "theirs", **data},
    )["LaunchTemplate"]["LaunchTemplateId"]
    site.sent.clear()
    return made


def by_template(site: Bench, template: str) -> dict[str, Any]:
    config = with_templates()
    config["LaunchTemplateConfigs"][0]["LaunchTemplateSpecification"]["LaunchTemplateId"] = template
    config["LaunchTemplateConfigs"][0]["Overrides"][0]["SubnetId"] = site.subnets[0]
    return config


def test_a_launch_template_is_copied_into_ours(site: Bench) -> None:
    theirs_ = theirs(site)

    site.launch(by_template(site, theirs_))

    [made] = site.calls("CreateLaunchTemplate")
    assert made["LaunchTemplateData.KeyName"] == "theirs"
    fleet = under(site.calls("RequestSpotFleet")[0], "SpotFleetRequestConfig.LaunchTemplateConfigs.1.")
    assert fleet["LaunchTemplateSpecification.LaunchTemplateId"] != theirs_
    assert fleet["Overrides.2.AvailabilityZone"] == "us-east-2b"
    assert fleet["Overrides.2.WeightedCapacity"] == "1.5"
    assert fleet["Overrides.2.Priority"] == "2.0"
    assert fleet["Overrides.2.SpotPrice"] == "0.07"


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"DisableApiTermination": True}, "DisableApiTermination"),
        ({"HibernationOptions": {"Configured": True}}, "HibernationOptions"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": False}}]},
            "DeleteOnTermination",
        ),
        ({"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 900}}]}, "900 GiB"),
    ],
)
def test_a_template_that_would_defeat_the_lease_ends_the_order(site: Bench, data: dict[str, Any], named: str) -> None:
    site.launch(by_template(site, theirs(site, **data)))

    assert not site.sent
    [launch] = site.journal.launches(site.journal.annexes())
    assert launch.state is LaunchState.REFUSED
    assert named in (launch.reason or "")


def test_where_the_file_names_no_place_the_routes_subnets_are_taken(site: Bench) -> None:
    config = site.here(with_specifications())
    for each in config["LaunchSpecifications"]:
        del each["SubnetId"]

    site.launch(config)

    fleet = site.calls("RequestSpotFleet")[0]
    found = {value for name, value in fleet.items() if name.endswith(".SubnetId")}
    assert found == set(site.subnets)
