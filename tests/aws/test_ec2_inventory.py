"""What EC2 shows, as our values; and that what doesn't change is asked once."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber
from moto import mock_aws
from types_boto3_ec2 import EC2Client
from types_boto3_ssm import SSMClient

from annex_core.adapters.ec2 import Ec2Cloud
from annex_core.errors import AnnexError, NoCapacity, OverVcpuQuota, Refused, Unavailable
from annex_core.model.hardware import InstanceType
from annex_core.model.supply import Fleet, InstanceState, OpenRequest

POOL_TAG = {"Key": "htcondor:Pool", "Value": "pool.example"}
T0 = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/fleet"


class Clock:
    """Seconds, moved by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ec2() -> EC2Client:
    return boto3.client("ec2", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")


@pytest.fixture
def ssm() -> SSMClient:
    return boto3.client("ssm", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")


@pytest.fixture
def stub(ec2: EC2Client) -> Iterator[Stubber]:
    with Stubber(ec2) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cloud(ec2: EC2Client, ssm: SSMClient, clock: Clock) -> Ec2Cloud:
    return Ec2Cloud(ec2, ec2, ssm, clock=clock)


@pytest.fixture
def account(ec2: EC2Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[EC2Client]:
    """An account of its own, with a default VPC and two images."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        for name in ("old", "new"):
            ec2.register_image(Name=name, RootDeviceName="/dev/sda1")
        yield ec2


@pytest.fixture
def calls(ec2: EC2Client, ssm: SSMClient) -> list[str]:
    """The calls made from here on, by name."""
    made: list[str] = []
    for client in (ec2, ssm):
        client.meta.events.register("before-call", lambda model, **_: made.append(model.name))
    return made


def run(account: EC2Client, count: int, tags: dict[str, str]) -> list[str]:
    image = account.describe_images()["Images"][0]["ImageId"]
    answer = account.run_instances(
        ImageId=image,
        InstanceType="c5.large",
        MinCount=count,
        MaxCount=count,
        TagSpecifications=[
            {"ResourceType": "instance", "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
        ],
    )
    return [each["InstanceId"] for each in answer["Instances"]]


# Instances.


def test_an_instance_is_known_by_its_tags_place_and_state(account: EC2Client, cloud: Ec2Cloud) -> None:
    [id_] = run(account, 1, {"htcondor:Pool": "pool.example", "htcondor:AnnexName": "blue"})
    [instance] = cloud.instances("pool.example")
    assert (instance.id, instance.type, instance.state) == (id_, "c5.large", InstanceState.RUNNING)
    assert instance.zone.startswith("us-east-2")
    assert instance.tags["htcondor:AnnexName"] == "blue"
    assert instance.address is not None
    assert instance.launched.tzinfo is UTC


def test_another_pool_s_instances_are_not_ours(account: EC2Client, cloud: Ec2Cloud) -> None:
    run(account, 1, {"htcondor:Pool": "pool2.example"})
    assert cloud.instances("pool.example") == []


def test_a_star_in_a_pool_s_name_is_no_wildcard(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_response(
        "describe_instances",
        {"Reservations": [{"Instances": [{**INSTANCE, "Tags": [{"Key": "htcondor:Pool", "Value": "pool.example"}]}]}]},
    )
    assert cloud.instances("pool.*") == []


def test_terminated_instances_are_not_listed(account: EC2Client, cloud: Ec2Cloud) -> None:
    account.terminate_instances(InstanceIds=run(account, 1, {"htcondor:Pool": "pool.example"}))
    assert cloud.instances("pool.example") == []


def test_stopped_instances_are_listed(account: EC2Client, cloud: Ec2Cloud) -> None:
    account.stop_instances(InstanceIds=run(account, 1, {"htcondor:Pool": "pool.example"}))
    assert [each.state for each in cloud.instances("pool.example")] == [InstanceState.STOPPED]


INSTANCE: dict[str, Any] = {
    "InstanceId": "i-1",
    "InstanceType": "c5.large",
    "Placement": {"AvailabilityZone": "us-east-2a"},
    "State": {"Name": "pending"},
    "LaunchTime": T0,
    "Tags": [POOL_TAG],
}


def test_every_page_of_instances_is_read(cloud: Ec2Cloud, stub: Stubber) -> None:
    asked: dict[str, Any] = {
        "Filters": [
            {"Name": "tag:htcondor:Pool", "Values": ["pool.example"]},
            {"Name": "instance-state-name", "Values": ["pending", "running", "shutting-down", "stopping", "stopped"]},
        ],
        "MaxResults": 1000,
    }
    first = {"Reservations": [{"Instances": [INSTANCE]}], "NextToken": "more"}
    second = {"Reservations": [{"Instances": [{**INSTANCE, "InstanceId": "i-2"}]}]}
    stub.add_response("describe_instances", first, asked)
    stub.add_response("describe_instances", second, {**asked, "NextToken": "more"})
    assert [each.id for each in cloud.instances("pool.example")] == ["i-1", "i-2"]


def test_a_listing_that_breaks_off_is_unavailable_not_short(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_response("describe_instances", {"Reservations": [{"Instances": [INSTANCE]}], "NextToken": "more"})
    stub.add_client_error("describe_instances", service_error_code="InternalError", http_status_code=500)
    with pytest.raises(Unavailable):
        cloud.instances("pool.example")


def test_aws_own_tag_names_an_instance_s_fleet(cloud: Ec2Cloud, stub: Stubber) -> None:
    tags = [POOL_TAG, {"Key": "aws:ec2spot:fleet-request-id", "Value": "sfr-1"}]
    stub.add_response("describe_instances", {"Reservations": [{"Instances": [{**INSTANCE, "Tags": tags}]}]})
    assert [each.fleet for each in cloud.instances("pool.example")] == ["sfr-1"]


def test_until_that_tag_is_there_the_fleet_is_not_known(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_response("describe_instances", {"Reservations": [{"Instances": [INSTANCE]}]})
    assert [each.fleet for each in cloud.instances("pool.example")] == [None]


# Fleet requests.


def fleet(id_: str, *tags: dict[str, str], **config: Any) -> dict[str, Any]:
    return {
        "SpotFleetRequestId": id_,
        "SpotFleetRequestState": "active",
        "CreateTime": T0,
        "SpotFleetRequestConfig": {"IamFleetRole": ROLE, "TargetCapacity": 5, **config},
        "Tags": list(tags),
    }


def test_a_fleet_is_known_by_its_token_capacity_and_end(cloud: Ec2Cloud, stub: Stubber) -> None:
    ours = fleet("sfr-1", POOL_TAG, ClientToken="blue_1", FulfilledCapacity=2.0, ValidUntil=T0.replace(hour=20))
    stub.add_response("describe_spot_fleet_requests", {"SpotFleetRequestConfigs": [ours]})
    assert cloud.fleets("pool.example") == [
        Fleet(
            id="sfr-1",
            state="active",
            client_token="blue_1",
            target=5,
            fulfilled=2.0,
            created=T0,
            valid_until=T0.replace(hour=20),
            tags={"htcondor:Pool": "pool.example"},
        )
    ]


def test_of_all_the_account_s_fleets_only_ours_count(cloud: Ec2Cloud, stub: Stubber) -> None:
    other = {"Key": "htcondor:Pool", "Value": "pool2.example"}
    stub.add_response(
        "describe_spot_fleet_requests",
        {"SpotFleetRequestConfigs": [fleet("sfr-1"), fleet("sfr-2", other), fleet("sfr-3", POOL_TAG)]},
    )
    assert [each.id for each in cloud.fleets("pool.example")] == ["sfr-3"]


def test_every_page_of_fleets_is_read(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_response(
        "describe_spot_fleet_requests", {"SpotFleetRequestConfigs": [fleet("sfr-1", POOL_TAG)], "NextToken": "more"}, {}
    )
    stub.add_response(
        "describe_spot_fleet_requests", {"SpotFleetRequestConfigs": [fleet("sfr-2", POOL_TAG)]}, {"NextToken": "more"}
    )
    assert [each.id for each in cloud.fleets("pool.example")] == ["sfr-1", "sfr-2"]


def test_the_unfilled_part_of_fleets_is_their_open_spot_requests(cloud: Ec2Cloud, stub: Stubber) -> None:
    tag = {"Key": "aws:ec2spot:fleet-request-id", "Value": "sfr-2"}
    stub.add_response(
        "describe_spot_instance_requests",
        {"SpotInstanceRequests": [{"SpotInstanceRequestId": "sir-1", "State": "open", "Tags": [tag]}]},
        {
            "Filters": [
                {"Name": "state", "Values": ["open"]},
                {"Name": "tag:aws:ec2spot:fleet-request-id", "Values": ["sfr-1", "sfr-2"]},
            ],
            "MaxResults": 1000,
        },
    )
    assert cloud.open_requests(["sfr-1", "sfr-2"]) == [OpenRequest("sir-1", "sfr-2")]


def test_a_filter_never_holds_more_values_than_ec2_takes(cloud: Ec2Cloud, stub: Stubber) -> None:
    for _ in range(2):
        stub.add_response(
            "describe_spot_instance_requests", {"SpotInstanceRequests": []}, {"Filters": ANY, "MaxResults": ANY}
        )
    assert cloud.open_requests([f"sfr-{n}" for n in range(201)]) == []


def test_no_fleets_have_no_open_requests_and_nobody_is_asked(cloud: Ec2Cloud, stub: Stubber) -> None:
    assert cloud.open_requests([]) == []


def event(minute: int, kind: str, subtype: str, description: str | None = None) -> dict[str, Any]:
    words = {"EventSubType": subtype} | ({"EventDescription": description} if description else {})
    return {"EventType": kind, "Timestamp": T0.replace(minute=minute), "EventInformation": words}


def words(cloud: Ec2Cloud) -> str | None:
    trouble = cloud.fleet_trouble("sfr-1", T0)
    return trouble.words if trouble else None


def history(stub: Stubber, *events: dict[str, Any]) -> None:
    stub.add_response(
        "describe_spot_fleet_request_history",
        {"HistoryRecords": list(events)},
        {"SpotFleetRequestId": "sfr-1", "StartTime": T0},
    )


def test_a_fleet_s_trouble_is_the_newest_error_of_its_history(cloud: Ec2Cloud, stub: Stubber) -> None:
    history(
        stub,
        event(3, "error", "spotInstanceCountLimitExceeded", "Max spot instance count exceeded"),
        event(1, "error", "iamFleetRoleInvalid", "no such role"),
    )
    assert words(cloud) == "spotInstanceCountLimitExceeded: Max spot instance count exceeded"


def test_a_ceiling_below_the_spot_price_is_trouble_too(cloud: Ec2Cloud, stub: Stubber) -> None:
    history(stub, event(3, "information", "launchSpecUnusable", "c5.large, us-east-2a, below the Spot price"))
    assert words(cloud) == "launchSpecUnusable: c5.large, us-east-2a, below the Spot price"


def test_an_error_may_lack_a_description(cloud: Ec2Cloud, stub: Stubber) -> None:
    history(stub, event(3, "error", "allLaunchSpecsTemporarilyBlacklisted"))
    assert words(cloud) == "allLaunchSpecsTemporarilyBlacklisted"


def test_launches_and_changes_of_state_are_no_trouble(cloud: Ec2Cloud, stub: Stubber) -> None:
    history(stub, event(1, "fleetRequestChange", "active"), event(2, "instanceChange", "launched"))
    assert cloud.fleet_trouble("sfr-1", T0) is None


def test_every_page_of_a_history_is_read(cloud: Ec2Cloud, stub: Stubber) -> None:
    asked = {"SpotFleetRequestId": "sfr-1", "StartTime": T0}
    first = {"HistoryRecords": [event(1, "error", "old")], "NextToken": "more"}
    stub.add_response("describe_spot_fleet_request_history", first, asked)
    second = {"HistoryRecords": [event(2, "error", "new")]}
    stub.add_response("describe_spot_fleet_request_history", second, {**asked, "NextToken": "more"})
    assert words(cloud) == "new"


Refused_ = tuple[type[AnnexError], str, str]
_FULL = 'Repeated errors have occurred processing the launch specification "c5.large, ami-1, Linux/UNIX, us-east-2a".'


@pytest.mark.parametrize(
    ("told", "refusal"),
    [
        (
            (
                "information",
                "launchSpecTemporarilyBlacklisted",
                f"{_FULL} (Service: AmazonEC2; Status Code: 500; Error Code: InsufficientInstanceCapacity)",
            ),
            (NoCapacity, "c5.large", "us-east-2a"),
        ),
        (
            ("information", "launchSpecTemporarilyBlacklisted", f"{_FULL} (Error Code: InvalidKeyPair.NotFound)"),
            (Refused, "c5.large", "us-east-2a"),
        ),
        (
            ("error", "launchSpecTemporarilyBlacklisted", f"{_FULL} (Error Code: MaxSpotInstanceCountExceeded)"),
            (OverVcpuQuota, "c5.large", "us-east-2a"),
        ),
        (
            ("information", "launchSpecUnusable", "m7i-flex.large, ami-1, Linux/UNIX, us-west-2-lax-1a: Spot price"),
            (NoCapacity, "m7i-flex.large", "us-west-2-lax-1a"),
        ),
        (("error", "allLaunchSpecsTemporarilyBlacklisted", None), (NoCapacity, "", "")),
        (("error", "spotInstanceCountLimitExceeded", "Max spot instance count exceeded"), (OverVcpuQuota, "", "")),
        (("error", "iamFleetRoleInvalid", "no such role"), (Refused, "", "")),
    ],
)
def test_a_history_says_what_is_short_and_where(
    cloud: Ec2Cloud, stub: Stubber, told: tuple[str, str, str | None], refusal: Refused_
) -> None:
    history(stub, event(1, *told))
    trouble = cloud.fleet_trouble("sfr-1", T0)
    assert trouble
    assert [(type(each.error), each.type, each.zone) for each in trouble.refusals] == [refusal]


def test_a_quota_that_is_used_up_is_not_lost_behind_a_later_shortage(cloud: Ec2Cloud, stub: Stubber) -> None:
    history(
        stub,
        event(1, "error", "spotInstanceCountLimitExceeded", "Max spot instance count exceeded"),
        event(2, "error", "allLaunchSpecsTemporarilyBlacklisted"),
        event(3, "error", "allLaunchSpecsTemporarilyBlacklisted"),
    )
    trouble = cloud.fleet_trouble("sfr-1", T0)
    assert trouble
    assert [type(each.error) for each in trouble.refusals] == [NoCapacity, OverVcpuQuota]


# Types, zones, images.


def test_a_type_is_described_without_a_price(account: EC2Client, cloud: Ec2Cloud) -> None:
    assert cloud.instance_types(["c5.large"]) == {
        "c5.large": InstanceType("c5.large", vcpus=2, memory_mib=4096, architecture="x86_64")
    }


def test_gpus_and_architecture_are_told(account: EC2Client, cloud: Ec2Cloud) -> None:
    types = cloud.instance_types(["g4dn.xlarge", "m6g.large", "t1.micro"])
    assert types["g4dn.xlarge"].gpus == 1
    assert types["m6g.large"].architecture == "arm64"
    assert types["t1.micro"].architecture == "x86_64"


def test_a_type_that_the_region_lacks_is_absent(account: EC2Client, cloud: Ec2Cloud) -> None:
    assert cloud.instance_types(["c5.large", "c5.enormous"]).keys() == {"c5.large"}


def test_types_are_asked_once_also_those_that_are_absent(account: EC2Client, cloud: Ec2Cloud, calls: list[str]) -> None:
    for _ in range(2):
        cloud.instance_types(["c5.large", "c5.enormous"])
    assert calls == ["DescribeInstanceTypes"]


def test_subnets_have_zones_that_are_asked_once(account: EC2Client, cloud: Ec2Cloud, calls: list[str]) -> None:
    subnets = {each["SubnetId"]: each["AvailabilityZone"] for each in account.describe_subnets()["Subnets"]}
    calls.clear()
    assert cloud.subnet_zones(list(subnets)) == subnets
    assert cloud.subnet_zones(list(subnets)) == subnets
    assert calls == ["DescribeSubnets"]


def test_a_key_pair_is_looked_for_once_and_one_that_is_not_there_is_refused_by_name(
    account: EC2Client, cloud: Ec2Cloud, calls: list[str]
) -> None:
    with pytest.raises(Refused, match="no key pair admi"):
        cloud.need_key_pair("admi*")
    account.create_key_pair(KeyName="admin")
    with pytest.raises(Refused, match="no key pair admi"):
        cloud.need_key_pair("admi*")
    calls.clear()
    for _ in range(2):
        cloud.need_key_pair("admin")
    assert calls == ["DescribeKeyPairs"]


def test_a_subnet_that_is_not_there_is_refused_by_name(account: EC2Client, cloud: Ec2Cloud) -> None:
    with pytest.raises(Refused, match="subnet-0123"):
        cloud.subnet_zones(["subnet-0123"])


def test_an_ami_is_itself_and_looked_at_once(account: EC2Client, cloud: Ec2Cloud, calls: list[str]) -> None:
    ami = account.describe_images()["Images"][0]["ImageId"]
    calls.clear()
    assert [cloud.resolve_image(ami), cloud.resolve_image(ami)] == [ami, ami]
    assert calls == ["DescribeImages"]


def test_an_ami_that_is_not_there_is_refused(account: EC2Client, cloud: Ec2Cloud) -> None:
    with pytest.raises(Refused, match="ami-0123"):
        cloud.resolve_image("ami-0123")


def test_a_parameter_names_an_ami_for_an_hour(
    account: EC2Client, ssm: SSMClient, cloud: Ec2Cloud, clock: Clock
) -> None:
    old, new = (image["ImageId"] for image in account.describe_images()["Images"][:2])
    ssm.put_parameter(Name="/site/annex/image", Value=old, Type="String")
    assert cloud.resolve_image("/site/annex/image") == old
    ssm.put_parameter(Name="/site/annex/image", Value=new, Type="String", Overwrite=True)
    clock.now += 3599
    assert cloud.resolve_image("/site/annex/image") == old
    clock.now += 1
    assert cloud.resolve_image("/site/annex/image") == new


def test_a_parameter_that_is_not_there_is_refused(account: EC2Client, cloud: Ec2Cloud) -> None:
    with pytest.raises(Refused, match="GetParameter: ParameterNotFound"):
        cloud.resolve_image("/site/annex/image")


def test_a_parameter_that_holds_no_ami_is_refused(account: EC2Client, ssm: SSMClient, cloud: Ec2Cloud) -> None:
    ssm.put_parameter(Name="/site/annex/image", Value="latest", Type="String")
    with pytest.raises(Refused, match="'latest', which is no AMI"):
        cloud.resolve_image("/site/annex/image")


# Prices.


def test_of_each_type_in_each_zone_the_newest_price_counts(cloud: Ec2Cloud, stub: Stubber) -> None:
    def row(usd: str, zone: str, minute: int) -> dict[str, Any]:
        at = T0.replace(minute=minute)
        return {"InstanceType": "c5.large", "AvailabilityZone": zone, "SpotPrice": usd, "Timestamp": at}

    told = [row("0.04", "us-east-2a", 1), row("0.05", "us-east-2a", 9), row("0.03", "us-east-2b", 1)]
    told += [row("0.0", "us-east-2c", 1), row("free", "us-east-2d", 1), row("NaN", "us-east-2e", 1)]
    stub.add_response(
        "describe_spot_price_history",
        {"SpotPriceHistory": told},
        {"InstanceTypes": ["c5.large"], "ProductDescriptions": ["Linux/UNIX"], "StartTime": ANY},
    )
    assert cloud.spot_prices(["c5.large"]) == {
        ("c5.large", "us-east-2a"): Decimal("0.05"),
        ("c5.large", "us-east-2b"): Decimal("0.03"),
    }


def test_of_no_type_no_price_is_asked_for(cloud: Ec2Cloud, stub: Stubber) -> None:
    assert (cloud.spot_prices([]), cloud.offered_zones([])) == ({}, {})
