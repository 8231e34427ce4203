"""The port as the daemon uses it, over HTTP, against the local cloud: what AWS would keep, this keeps."""

import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import Ec2Cloud, ec2_cloud
from annex_core.adapters.s3 import bundle_store
from annex_core.errors import OutcomeUnknown, Refused, Throttled
from annex_core.model.route import FleetApi, Market, Route
from annex_core.ports import LaunchRequest, Override, TemplateRef, TemplateRequest
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.faults import CallFault
from rehearsal.cloud.settings import Settings

POOL = "pool.example"
TAGS = {
    "htcondor:Pool": POOL,
    "htcondor:AccessPoint": "ap.example",
    "htcondor:Owner": "alice",
    "htcondor:AnnexName": "blue",
}


@pytest.fixture
def aws() -> Iterator[LocalCloud]:
    """Fleets fill to the half at once, and the rest stays open."""
    with LocalCloud(settings=Settings(fill_fraction=0.5)) as running:
        yield running


@pytest.fixture
def region(aws: LocalCloud, tmp_path: Path) -> AwsRegion:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    return AwsRegion("us-east-2", endpoint=aws.url, credentials_file=str(file))


@pytest.fixture
def cloud(region: AwsRegion) -> Ec2Cloud:
    return ec2_cloud(region)


@pytest.fixture
def template(cloud: Ec2Cloud) -> TemplateRef:
    return cloud.put_template(template_request(cloud), existing=None)


@pytest.fixture
def fleet_request(region: AwsRegion, cloud: Ec2Cloud, template: TemplateRef) -> LaunchRequest:
    """Four instances of a type, in any zone."""
    subnets = [each["SubnetId"] for each in region.ec2_reader().describe_subnets()["Subnets"]]
    now = datetime.now(UTC)
    return LaunchRequest(
        api=FleetApi.SPOT_FLEET,
        market=Market.SPOT,
        client_token="blue-0123456789_f1",
        template=template,
        overrides=tuple(Override("c5.large", subnet, None) for subnet in cloud.subnet_zones(subnets)),
        target=4,
        allocation_strategy="priceCapacityOptimized",
        valid_from=now,
        valid_until=now + timedelta(hours=8),
        fleet_role="arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        tags=TAGS,
    )


def template_request(cloud: Ec2Cloud) -> TemplateRequest:
    return TemplateRequest(
        name="condor-annex-blue-0123456789",
        client_token="blue-0123456789_t1",
        image=cloud.resolve_image(IMAGE_PARAMETER),
        user_data="#!/bin/sh\n",
        tags=TAGS,
    )


def ask(cloud: Ec2Cloud, aws: LocalCloud, request: LaunchRequest) -> str:
    fleet = cloud.request(cloud.encode(request)).fleet or ""
    aws.tick()
    return fleet


def test_a_fleet_is_listed_as_it_was_asked_for(cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest) -> None:
    id_ = ask(cloud, aws, fleet_request)
    [fleet] = cloud.fleets(POOL)
    assert (fleet.id, fleet.client_token, fleet.target) == (id_, "blue-0123456789_f1", 4)
    assert fleet.valid_until == fleet_request.valid_until.replace(microsecond=0)
    assert fleet.tags == TAGS


def test_its_instances_carry_the_template_s_tags(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    id_ = ask(cloud, aws, fleet_request)
    aws.tick()
    found = cloud.instances(POOL)
    assert len(found) == 2
    assert {(each.type, each.fleet, each.tags["htcondor:Owner"]) for each in found} == {("c5.large", id_, "alice")}


def test_the_same_document_sent_again_is_the_same_fleet(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    document = cloud.encode(fleet_request)
    assert cloud.request(document) == cloud.request(document)
    assert len(cloud.fleets(POOL)) == 1


def test_another_request_under_a_used_token_is_an_unknown_outcome(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    ask(cloud, aws, fleet_request)
    with pytest.raises(OutcomeUnknown, match="IdempotentParameterMismatch"):
        ask(cloud, aws, replace(fleet_request, target=5))


def test_a_request_whose_answer_was_lost_is_found_by_sending_it_again(
    region: AwsRegion, cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    hasty = boto3.client(
        "ec2",
        region_name="us-east-2",
        endpoint_url=aws.url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="hush",
        config=Config(read_timeout=3, retries={"total_max_attempts": 1}),
    )
    impatient = Ec2Cloud(region.ec2_reader(), hasty, region.ssm())
    document = cloud.encode(fleet_request)
    aws.world.faults.add(CallFault("RequestSpotFleet", then="lose"))
    with pytest.raises(OutcomeUnknown):
        impatient.request(document)
    [lost] = cloud.fleets(POOL)
    assert cloud.request(document).fleet == lost.id


def test_a_throttled_request_made_no_fleet(cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest) -> None:
    aws.world.faults.add(CallFault("RequestSpotFleet", error="RequestLimitExceeded", status=503))
    with pytest.raises(Throttled):
        ask(cloud, aws, fleet_request)
    assert cloud.fleets(POOL) == []


def test_cancelling_what_is_open_leaves_what_runs(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    id_ = ask(cloud, aws, fleet_request)
    still_open = cloud.open_requests([id_])
    assert {each.fleet for each in still_open} == {id_}
    assert len(still_open) == 2
    cloud.cancel_open_requests([each.id for each in still_open])
    assert cloud.open_requests([id_]) == []
    assert len(cloud.instances(POOL)) == 2


def test_cancelling_a_fleet_with_termination_ends_its_instances(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    id_ = ask(cloud, aws, fleet_request)
    assert cloud.cancel_fleets([id_], terminate=True) == {}
    aws.tick()
    assert cloud.instances(POOL) == []
    assert [each.may_launch for each in cloud.fleets(POOL)] == [False]


def test_a_fleet_that_aws_does_not_know_is_named_with_the_reason(cloud: Ec2Cloud) -> None:
    unknown = "sfr-01234567-89ab-cdef-0123-456789abcdef"
    assert "fleetRequestIdDoesNotExist" in cloud.cancel_fleets([unknown], terminate=True)[unknown]


def test_a_fleet_whose_ceiling_is_too_low_says_so_in_its_history(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    cheap = replace(fleet_request, overrides=(replace(fleet_request.overrides[0], max_price=Decimal("0.0001")),))
    id_ = ask(cloud, aws, cheap)
    aws.tick()
    assert "launchSpecUnusable" in str(cloud.fleet_trouble(id_, datetime.now(UTC) - timedelta(hours=1)))


def test_a_bundle_is_fetched_by_its_url_without_credentials(region: AwsRegion, aws: LocalCloud) -> None:
    store = bundle_store(region, aws.bucket)
    store.put("config-blue.tar.gz", b"bundle", TAGS)
    url = store.url("config-blue.tar.gz", expires_in=60)
    with urllib.request.urlopen(url) as answer:  # noqa: S310 - the store's own, and http
        assert answer.read() == b"bundle"


def test_the_first_fleet_of_an_annex_takes_five_calls(
    region: AwsRegion, cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest
) -> None:
    """Image, zones and types were asked when the route was read."""
    cloud.instance_types(["c5.large"])
    before = len(aws.calls.since(0))

    cloud.instances(POOL)
    cloud.fleets(POOL)
    cloud.instance_types(["c5.large"])
    cloud.subnet_zones([each.subnet for each in fleet_request.overrides])
    bundle_store(region, aws.bucket).put("config-red.tar.gz", b"bundle", TAGS)
    red = replace(template_request(cloud), name="condor-annex-red", client_token="red_t1")
    template = cloud.put_template(red, existing=None)
    ask(cloud, aws, replace(fleet_request, template=template))

    assert [call["action"] for call in aws.calls.since(0)[before:]] == [
        "DescribeInstances",
        "DescribeSpotFleetRequests",
        "PutObject",
        "CreateLaunchTemplate",
        "RequestSpotFleet",
    ]


def test_what_carries_an_annex_s_tags_is_shown_until_all_of_it_is_gone(
    cloud: Ec2Cloud, aws: LocalCloud, fleet_request: LaunchRequest, template: TemplateRef
) -> None:
    id_ = ask(cloud, aws, fleet_request)
    aws.tick()
    shown = cloud.remains(TAGS)
    assert sorted(each.split(" i-")[0].split(" vol-")[0].split(" sfr-")[0].split(" lt-")[0] for each in shown) == [
        "fleet",
        "instance",
        "instance",
        "launch template",
        "volume",
        "volume",
    ]
    for another in ("blu", "b*"):
        assert cloud.remains(TAGS | {"htcondor:AnnexName": another}) == []
    cloud.cancel_fleets([id_], terminate=True)
    for _ in range(3):
        aws.tick()
    assert [each.split()[0] for each in cloud.remains(TAGS)] == ["launch"]
    cloud.delete_template(template.id)
    assert cloud.remains(TAGS) == []


def test_prices_and_zones_are_those_of_the_region(cloud: Ec2Cloud) -> None:
    zones = cloud.offered_zones(["c5.large", "z9.imaginary"])
    prices = cloud.spot_prices(["c5.large"])
    assert zones == {"c5.large": frozenset({"us-east-2a", "us-east-2b", "us-east-2c"})}
    assert {zone for _, zone in prices} == zones["c5.large"]
    assert all(0 < price < Decimal("0.1") for price in prices.values())


def test_the_default_vpcs_subnets_are_one_for_each_zone_and_asked_for_once(cloud: Ec2Cloud, aws: LocalCloud) -> None:
    zones = cloud.subnet_zones(["default"])
    before = len(aws.calls.since(0))
    assert cloud.subnet_zones(["default"]) == zones
    assert len(aws.calls.since(0)) == before
    assert sorted(zones.values()) == ["us-east-2a", "us-east-2b", "us-east-2c"]
    assert cloud.subnet_zones([*zones]) == zones
    anywhere = Route(name="r", region="us-east-2", subnets=("default",), image="", instance_types=())
    assert sorted(anywhere.zones(cloud.known_zones())) == sorted(zones.values())


def test_where_there_is_no_default_vpc_it_is_refused(cloud: Ec2Cloud, region: AwsRegion) -> None:
    ec2 = region.ec2_writer()
    for subnet in cloud.subnet_zones(["default"]):
        ec2.delete_subnet(SubnetId=subnet)
    with pytest.raises(Refused, match="no default VPC here, or no subnet in it; AnnexSubnets"):
        ec2_cloud(region).subnet_zones(["default"])
