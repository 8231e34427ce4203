"""What each call that asks for machines has to keep: one suite over the port, on the local cloud."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import boto3
import pytest
from botocore.config import Config
from types_boto3_ec2 import EC2Client
from types_boto3_ec2.type_defs import InstanceTypeDef

from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import Ec2Cloud, ec2_cloud
from annex_core.errors import NoCapacity, OutcomeUnknown, Throttled
from annex_core.model import tags
from annex_core.model.names import AnnexKey
from annex_core.model.route import FleetApi, Market
from annex_core.ports import Launched, LaunchRequest, Override, TemplateRequest
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.faults import CallFault, CapacityFault

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Backend:
    api: FleetApi
    market: Market
    action: str
    inline: bool = False
    """Without a launch template."""

    @property
    def answers_at_once(self) -> bool:
        return self.api is not FleetApi.SPOT_FLEET

    def __str__(self) -> str:
        return f"{self.api} {self.market}{' without template' * self.inline}"


BACKENDS = (
    Backend(FleetApi.SPOT_FLEET, Market.SPOT, "RequestSpotFleet"),
    Backend(FleetApi.EC2_FLEET, Market.SPOT, "CreateFleet"),
    Backend(FleetApi.EC2_FLEET, Market.ON_DEMAND, "CreateFleet"),
    Backend(FleetApi.RUN_INSTANCES, Market.ON_DEMAND, "RunInstances"),
    Backend(FleetApi.RUN_INSTANCES, Market.SPOT, "RunInstances", inline=True),
)

WITH_A_FLEET = [each for each in BACKENDS if each.api is not FleetApi.RUN_INSTANCES]
INSTANT = [each for each in BACKENDS if each.api is FleetApi.EC2_FLEET]

Ask = Callable[[LaunchRequest], Launched]
Shown = Callable[[], list[InstanceTypeDef]]


@pytest.fixture(params=BACKENDS, ids=str)
def backend(request: pytest.FixtureRequest) -> Backend:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalCloud]:
    """One for all: what a test makes carries a pool's tag of its own, and none of it lives on."""
    with LocalCloud() as running:
        yield running


@pytest.fixture(scope="module")
def region(aws: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> AwsRegion:
    file = tmp_path_factory.mktemp("aws") / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    return AwsRegion("us-east-2", endpoint=aws.url, credentials_file=str(file))


@pytest.fixture(scope="module")
def ec2(region: AwsRegion) -> EC2Client:
    return region.ec2_reader()


@pytest.fixture(scope="module")
def cloud(region: AwsRegion) -> Ec2Cloud:
    return ec2_cloud(region)


@pytest.fixture
def pool(cloud: Ec2Cloud, aws: LocalCloud) -> Iterator[str]:
    name = uuid4().hex
    yield name
    aws.world.faults.clear()
    cloud.cancel_fleets([each.id for each in cloud.fleets(name)], terminate=True)
    cloud.terminate([each.id for each in cloud.instances(name)])
    for _ in range(3):
        aws.tick()


@pytest.fixture
def carried(pool: str) -> dict[str, str]:
    return tags.AnnexTags(
        key=AnnexKey("alice", "blue"),
        project="physics",
        route="spot",
        pool=pool,
        access_point="ap.example",
        lease_ends=NOW + timedelta(hours=8),
        ends_at_latest=NOW + timedelta(hours=24),
    ).as_dict()


@pytest.fixture
def wanted(backend: Backend, cloud: Ec2Cloud, ec2: EC2Client, pool: str, carried: dict[str, str]) -> LaunchRequest:
    """Three instances of a type: of two types in all zones, or of one in one where the call can say no more."""
    template = TemplateRequest(
        name=f"condor-annex-{pool}",
        client_token=f"{pool}_t",
        image=cloud.resolve_image(IMAGE_PARAMETER),
        user_data="#!/bin/sh\n:\n",
        tags=carried,
        volume_gib=30,
    )
    zones = sorted(ec2.describe_subnets()["Subnets"], key=lambda each: each["AvailabilityZone"])
    subnets = [each["SubnetId"] for each in zones]
    everywhere = tuple(Override(kind, subnet, None) for kind in ("c5.large", "m5.large") for subnet in subnets)
    return LaunchRequest(
        api=backend.api,
        market=backend.market,
        client_token=f"{pool}_f",
        template=template if backend.inline else cloud.put_template(template, existing=None),
        overrides=everywhere[:1] if backend.api is FleetApi.RUN_INSTANCES else everywhere,
        target=3,
        allocation_strategy="priceCapacityOptimized",
        valid_from=NOW,
        valid_until=NOW + timedelta(hours=24),
        fleet_role="arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        tags=carried,
    )


@pytest.fixture
def ask(cloud: Ec2Cloud, aws: LocalCloud) -> Ask:
    def send(request: LaunchRequest) -> Launched:
        launched = cloud.request(cloud.encode(request))
        for _ in range(3):
            aws.tick()
        return launched

    return send


@pytest.fixture
def shown(ec2: EC2Client, cloud: Ec2Cloud, pool: str) -> Shown:
    """In EC2's own words."""

    def describe() -> list[InstanceTypeDef]:
        found = ec2.describe_instances(InstanceIds=[each.id for each in cloud.instances(pool)])["Reservations"]
        return [each for some in found for each in some["Instances"]]

    return describe


def test_as_many_machines_come_as_were_asked_for(cloud: Ec2Cloud, ask: Ask, wanted: LaunchRequest, pool: str) -> None:
    ask(wanted)
    assert len(cloud.instances(pool)) == 3


def test_an_answer_that_says_all_names_the_machines_and_their_types(
    backend: Backend, cloud: Ec2Cloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    launched = ask(wanted)
    listed = {each.id: each.type for each in cloud.instances(pool)} if backend.answers_at_once else {}
    assert (launched.complete, launched.instances) == (backend.answers_at_once, listed)
    assert launched.errors == ()


def test_they_are_of_the_market_that_was_asked_for(
    backend: Backend, ask: Ask, shown: Shown, wanted: LaunchRequest
) -> None:
    ask(wanted)
    spot = backend.market is Market.SPOT
    assert {each.get("InstanceLifecycle") for each in shown()} == {"spot" if spot else None}


def test_machines_and_volumes_carry_every_tag_lease_and_outer_bound_among_them(
    cloud: Ec2Cloud, ec2: EC2Client, ask: Ask, wanted: LaunchRequest, pool: str, carried: dict[str, str]
) -> None:
    ask(wanted)
    for each in cloud.instances(pool):
        assert carried.items() <= each.tags.items()
    volumes = ec2.describe_volumes(Filters=[{"Name": "tag:htcondor:Pool", "Values": [pool]}])["Volumes"]
    assert len(volumes) == 3
    for volume in volumes:
        assert carried.items() <= {tag["Key"]: tag["Value"] for tag in volume["Tags"]}.items()


def test_a_listing_shows_which_launch_they_came_of(
    backend: Backend, cloud: Ec2Cloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    launched = ask(wanted)
    assert {each.fleet for each in cloud.instances(pool)} == {launched.fleet}
    token = wanted.client_token if backend.answers_at_once else None
    assert {each.client_token for each in cloud.instances(pool)} == {token}


def test_what_an_annex_decides_of_a_machine_arrives(
    ec2: EC2Client, ask: Ask, shown: Shown, wanted: LaunchRequest
) -> None:
    ask(wanted)
    machine = shown()[0]
    options, id_ = machine["MetadataOptions"], machine["InstanceId"]
    assert (options["HttpTokens"], options["InstanceMetadataTags"]) == ("required", "enabled")
    behaviour = ec2.describe_instance_attribute(InstanceId=id_, Attribute="instanceInitiatedShutdownBehavior")
    assert behaviour["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}
    assert ec2.describe_instance_attribute(InstanceId=id_, Attribute="userData")["UserData"] == {
        "Value": "IyEvYmluL3NoCjoK"
    }
    volumes = ec2.describe_volumes(Filters=[{"Name": "attachment.instance-id", "Values": [id_]}])["Volumes"]
    assert {(volume["Size"], volume["Encrypted"]) for volume in volumes} == {(30, True)}


def test_the_same_document_sent_again_launches_nothing_more(
    cloud: Ec2Cloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    first, second = ask(wanted), ask(wanted)
    assert first == second
    assert len(cloud.instances(pool)) == 3


def test_another_request_under_a_used_token_is_an_unknown_outcome_and_launches_nothing(
    cloud: Ec2Cloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    ask(wanted)
    with pytest.raises(OutcomeUnknown, match="IdempotentParameterMismatch"):
        ask(replace(wanted, target=4))
    assert len(cloud.instances(pool)) == 3


def test_a_shortage_brings_what_there_is_and_a_reason(
    backend: Backend, cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    aws.world.faults.add(CapacityFault(0, zones=("us-east-2b", "us-east-2c")))
    aws.world.faults.add(CapacityFault(1, types=("c5.large",)))
    aws.world.faults.add(CapacityFault(0, types=("m5.large",)))
    launched = ask(wanted)
    assert len(cloud.instances(pool)) == 1
    if backend.answers_at_once:
        assert {type(error) for error in launched.errors} == {NoCapacity}
        assert {type(each.error) for each in launched.refusals} == {NoCapacity}
    else:
        still_open = cloud.open_requests([launched.fleet or ""])
        assert {each.status for each in still_open} == {"capacity-not-available"}
        assert "InsufficientInstanceCapacity" in _history(cloud, launched)


def test_a_shortage_says_of_which_type_in_which_zone(
    cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest
) -> None:
    cloud.subnet_zones([*{each.subnet or "": None for each in wanted.overrides}])
    aws.world.faults.add(CapacityFault(0))
    if wanted.api is FleetApi.RUN_INSTANCES:
        with pytest.raises(NoCapacity):  # of the one type in the one zone that was asked for
            ask(wanted)
        return
    launched = ask(wanted)
    told = {(each.type, each.zone) for each in launched.refusals}
    if wanted.api is FleetApi.SPOT_FLEET and (trouble := cloud.fleet_trouble(launched.fleet or "", NOW - HOUR)):
        told = {(each.type, each.zone) for each in trouble.refusals}
    assert told - {("", "")} == {(name, f"us-east-2{zone}") for name in ("c5.large", "m5.large") for zone in "abc"}


def _history(cloud: Ec2Cloud, launched: Launched) -> str:
    trouble = cloud.fleet_trouble(launched.fleet or "", NOW - HOUR)
    return trouble.words if trouble else ""


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("RequestLimitExceeded", 503, Throttled),
        ("InternalError", 500, OutcomeUnknown),
    ],
)
def test_a_call_that_fails_says_what_to_do_next_and_can_be_sent_again(
    backend: Backend, cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest, pool: str,
    code: str, status: int, kind: type[Exception],
) -> None:  # fmt: skip
    aws.world.faults.add(CallFault(backend.action, error=code, status=status))
    with pytest.raises(kind, match=f"{backend.action}: {code}"):
        ask(wanted)
    assert cloud.instances(pool) == []
    ask(wanted)
    assert len(cloud.instances(pool)) == 3


def test_a_launch_whose_answer_was_lost_is_found_by_sending_it_again(
    backend: Backend, region: AwsRegion, cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    hasty = boto3.client(
        "ec2",
        region_name="us-east-2",
        endpoint_url=aws.url,
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="hush",
        config=Config(read_timeout=3, retries={"total_max_attempts": 1}),
    )
    aws.world.faults.add(CallFault(backend.action, then="lose"))
    with pytest.raises(OutcomeUnknown):
        Ec2Cloud(region.ec2_reader(), hasty, region.ssm()).request(cloud.encode(wanted))
    ask(wanted)
    assert len(cloud.instances(pool)) == 3


def test_terminated_machines_are_gone_and_nothing_comes_in_their_place(
    cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    ask(wanted)
    assert cloud.terminate([each.id for each in cloud.instances(pool)]) == {}
    for _ in range(3):
        aws.tick()
    assert cloud.instances(pool) == []


@pytest.mark.parametrize("backend", WITH_A_FLEET, ids=str, indirect=True)
def test_cancelling_a_fleet_with_its_machines_leaves_nothing(
    cloud: Ec2Cloud, aws: LocalCloud, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    launched = ask(wanted)
    assert cloud.cancel_fleets([launched.fleet or ""], terminate=True) == {}
    for _ in range(3):
        aws.tick()
    assert cloud.instances(pool) == []
    assert not any(fleet.may_launch for fleet in cloud.fleets(pool))


@pytest.mark.parametrize("backend", INSTANT, ids=str, indirect=True)
def test_an_instant_fleet_is_in_no_listing_and_deleted_once_is_deleted(
    cloud: Ec2Cloud, ec2: EC2Client, ask: Ask, wanted: LaunchRequest, pool: str
) -> None:
    fleet = ask(wanted).fleet or ""
    assert cloud.fleets(pool) == []
    assert ec2.describe_fleets()["Fleets"] == []
    assert [each["FleetId"] for each in ec2.describe_fleets(FleetIds=[fleet])["Fleets"]] == [fleet]
    cloud.cancel_fleets([fleet], terminate=True)
    assert cloud.cancel_fleets([fleet], terminate=True) == {}
