"""A route is looked at before its first launch: over the local cloud, with one thing wrong at a time."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from types_boto3_ec2 import EC2Client

from annex_core.account.checks import Finding
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import ec2_cloud
from annex_core.adapters.preflight import Pool, Preflight
from annex_core.errors import AnnexError
from annex_core.model.route import FleetApi, Market, Route
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.faults import CallFault
from tests.aws.conftest import FLEET_ROLE, REGION

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SERVICES = ("spot.amazonaws.com", "spotfleet.amazonaws.com")

Look = Callable[..., list[Finding]]


@pytest.fixture
def route(subnets: dict[str, str]) -> Route:
    return Route(
        "blue",
        REGION,
        (subnets["us-east-2a"],),
        IMAGE_PARAMETER,
        ("c5.large", "c5.xlarge"),
        fleet_role=FLEET_ROLE,
        max_vcpus=64,
    )


@pytest.fixture
def look(local_cloud: LocalCloud, route: Route, client: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Look:
    """look(**what is other in the route) -> findings; the account has AWS's own roles."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    for service in SERVICES:
        client("iam").create_service_linked_role(AWSServiceName=service)

    def findings(**other: Any) -> list[Finding]:
        region = AwsRegion(REGION, endpoint=local_cloud.url)
        return Preflight(region, ec2_cloud(region), Pool("pool", "ap")).findings(replace(route, **other), NOW)

    return findings


def bad(found: list[Finding]) -> list[Finding]:
    """None without a word on what to do."""
    assert [each.says for each in found if not each.good and not each.cure] == []
    return [each for each in found if not each.good]


@pytest.mark.parametrize("subnets_of", ["its own", "default"])
@pytest.mark.parametrize("api", FleetApi)
def test_nothing_is_wrong_in_an_account_that_is_ready(
    look: Look, ec2: EC2Client, api: FleetApi, subnets_of: str
) -> None:
    found = look(fleet_api=api, **({"subnets": ("default",)} if subnets_of == "default" else {}))
    assert bad(found) == []
    assert ec2.describe_instances()["Reservations"] == []
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []
    says = " ".join(each.says for each in found)
    assert "quota of Spot vCPUs of class Standard is 10000" in says
    assert "a way leads out of" in says
    assert "by a dry run" in says


def test_each_dry_run_is_a_launch_of_its_own(look: Look, control: Any) -> None:
    for _ in range(2):
        look()
    tokens = [call["token"] for call in control("GET", "/calls") if call["action"] == "RunInstances"]
    assert len({*tokens}) == 2
    assert all(tokens)


def test_a_quota_of_nothing_stops_the_launch_and_the_cure_raises_it(look: Look, control: Any) -> None:
    control("PUT", "/settings", {"vcpu_quota": 0})
    [found] = bad(look())
    assert found.stops
    assert "--quota-code L-34B43A08 --desired-value 64" in found.cure


def test_a_subnet_without_a_way_out_stops_the_launch(look: Look, ec2: EC2Client) -> None:
    [table] = ec2.describe_route_tables()["RouteTables"]
    ec2.delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    [found] = bad(look())
    assert found.stops
    assert found.cure.startswith(f"aws ec2 create-route --region {REGION} --route-table-id {table['RouteTableId']}")


def test_a_subnet_s_own_route_table_counts_before_the_main_one(look: Look, ec2: EC2Client, route: Route) -> None:
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=route.subnets[0])
    [found] = bad(look())
    assert f"no route leads out of {route.subnets[0]} ({table})" in found.says


def test_one_good_subnet_is_enough(look: Look, ec2: EC2Client, route: Route, subnets: dict[str, str]) -> None:
    [vpc] = ec2.describe_vpcs()["Vpcs"]
    table = ec2.create_route_table(VpcId=vpc["VpcId"])["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=route.subnets[0])
    [found] = bad(look(subnets=(route.subnets[0], subnets["us-east-2b"])))
    assert not found.stops


def test_an_internet_gateway_is_no_way_for_machines_without_a_public_address(
    look: Look, ec2: EC2Client, route: Route
) -> None:
    ec2.modify_subnet_attribute(SubnetId=route.subnets[0], MapPublicIpOnLaunch={"Value": False})
    [found] = bad(look())
    assert found.cure == (
        f"aws ec2 modify-subnet-attribute --region {REGION} --subnet-id {route.subnets[0]} --map-public-ip-on-launch"
    )


def test_roles_that_are_missing_are_named_with_what_makes_them(look: Look, client: Callable[[str], Any]) -> None:
    client("iam").delete_service_linked_role(RoleName="AWSServiceRoleForEC2SpotFleet")
    [found] = bad(look())
    assert (found.cure, found.stops) == (
        "aws iam create-service-linked-role --aws-service-name spotfleet.amazonaws.com",
        False,
    )
    assert bad(look(fleet_api=FleetApi.EC2_FLEET)) == []


def test_a_key_of_one_s_own_needs_grants_for_who_launches(
    look: Look, ec2: EC2Client, client: Callable[[str], Any]
) -> None:
    key = client("kms").create_key()["KeyMetadata"]
    ec2.modify_ebs_default_kms_key_id(KmsKeyId=key["KeyId"])
    found = bad(look())
    assert [f"--key-id {key['Arn']}" in each.cure for each in found] == [True, True]
    assert {service for service in SERVICES for each in found if f"/{service}/" in each.cure} == {*SERVICES}
    roles = [each.cure.partition("--grantee-principal ")[2].split()[0] for each in found]
    for role in roles:
        client("kms").create_grant(KeyId=key["KeyId"], GranteePrincipal=role, Operations=["Decrypt"])
    assert bad(look()) == []
    client("kms").disable_key(KeyId=key["KeyId"])
    assert [each.cure for each in bad(look())] == [f"aws kms enable-key --region {REGION} --key-id {key['Arn']}"]


DRY_RUNS = {
    FleetApi.SPOT_FLEET: ("CreateLaunchTemplate", "RequestSpotFleet", "RunInstances"),
    FleetApi.EC2_FLEET: ("CreateLaunchTemplate", "CreateFleet", "RunInstances"),
    FleetApi.RUN_INSTANCES: ("RunInstances",),
}
"""The calls that a launch takes."""


@pytest.mark.parametrize(("api", "action"), [(api, action) for api, some in DRY_RUNS.items() for action in some])
def test_a_policy_that_forbids_a_call_of_the_launch_is_told_by_a_dry_run(
    look: Look, local_cloud: LocalCloud, api: FleetApi, action: str
) -> None:
    local_cloud.world.faults.add(CallFault(action, error="UnauthorizedOperation", status=403))
    [found] = bad(look(fleet_api=api))
    assert found.stops
    assert found.says.startswith(f"AWS would not launch it: {action}: UnauthorizedOperation")
    assert "SERVICE_CONTROL_POLICY --target-id 123456789012" in found.cure


@pytest.mark.parametrize("api", FleetApi)
def test_the_calls_that_a_launch_takes_are_run_dry_and_no_other(look: Look, control: Any, api: FleetApi) -> None:
    look(fleet_api=api)
    calls = control("GET", "/calls")
    dry = [call["action"] for call in calls if call["dry_run"]]
    assert (tuple(dry), {call["error"] for call in calls if call["dry_run"]}) == (DRY_RUNS[api], {"DryRunOperation"})
    changing = {"CreateLaunchTemplate", "RequestSpotFleet", "CreateFleet", "RunInstances"}
    assert [call for call in calls if call["action"] in changing and not call["dry_run"]] == []


def test_every_call_that_is_forbidden_is_named(look: Look, local_cloud: LocalCloud) -> None:
    for action in DRY_RUNS[FleetApi.SPOT_FLEET]:
        local_cloud.world.faults.add(CallFault(action, error="UnauthorizedOperation", status=403))
    found = bad(look())
    assert [each.says.split(": ")[1] for each in found] == [*DRY_RUNS[FleetApi.SPOT_FLEET]]


def test_what_aws_refuses_for_another_reason_stops_nothing_and_says_where_settings_stand(
    look: Look, local_cloud: LocalCloud
) -> None:
    local_cloud.world.faults.add(CallFault("RunInstances", error="InvalidGroup.NotFound"))
    [found] = bad(look())
    assert "RunInstances: InvalidGroup.NotFound" in found.says
    assert not found.stops
    assert found.cure == "condor_annex config -route blue, which says where each setting stands"


def test_what_is_wrong_with_a_route_itself_is_said_once(look: Look) -> None:
    [found] = bad(look(volume_gib=1))
    assert found.says.startswith("AWS would not launch it: a volume of 1 GiB can't hold ")


def test_that_there_is_no_capacity_just_now_is_no_obstacle(look: Look, local_cloud: LocalCloud) -> None:
    local_cloud.world.faults.add(CallFault("RunInstances", error="InsufficientInstanceCapacity", status=500))
    assert bad(look()) == []


def test_what_the_credentials_may_not_ask_is_unknown_and_nothing_else_is_lost(
    look: Look, local_cloud: LocalCloud
) -> None:
    local_cloud.world.faults.add(CallFault("GetRole", times=None, error="AccessDenied", status=403))
    found = look()
    assert bad(found) == []
    [unknown] = [each.says for each in found if "not known" in each.says]
    assert "GetRole" in unknown
    assert any("by a dry run" in each.says for each in found)


def test_so_is_a_key_pair_that_is_not_there(look: Look, ec2: EC2Client) -> None:
    with pytest.raises(AnnexError, match="no key pair admin"):
        look(key_name="admin")
    ec2.create_key_pair(KeyName="admin")
    assert bad(look(key_name="admin")) == []


def test_an_image_that_is_not_there_is_no_finding_but_a_failure(look: Look) -> None:
    with pytest.raises(AnnexError, match="ami-none"):
        look(image="ami-none")


def test_on_demand_machines_need_none_of_the_spot_market(look: Look, client: Callable[[str], Any]) -> None:
    for role in ("AWSServiceRoleForEC2Spot", "AWSServiceRoleForEC2SpotFleet"):
        client("iam").delete_service_linked_role(RoleName=role)
    assert bad(look(market=Market.ON_DEMAND)) == []


class WithAnEncryptedImage(AwsRegion):
    """moto knows no encrypted image and no key of a snapshot: they are laid over its answers."""

    def __init__(self, local_cloud: LocalCloud, snapshot: str, key: str) -> None:
        super().__init__(REGION, endpoint=local_cloud.url)
        self._over = {"SnapshotId": snapshot, "Encrypted": True}
        self._key = key

    def ec2_reader(self) -> EC2Client:
        reader = super().ec2_reader()
        reader.meta.events.register("after-call.ec2.DescribeImages", self._image)
        reader.meta.events.register("after-call.ec2.DescribeSnapshots", self._snapshot)
        return reader

    def _image(self, parsed: Any, **_: Any) -> None:
        for image in parsed["Images"]:
            for disk in image["BlockDeviceMappings"]:
                disk["Ebs"] |= self._over

    def _snapshot(self, parsed: Any, **_: Any) -> None:
        for snapshot in parsed["Snapshots"]:
            snapshot["KmsKeyId"] = self._key


@pytest.mark.usefixtures("look")
def test_the_key_of_an_encrypted_image_needs_grants_too(
    local_cloud: LocalCloud, route: Route, ec2: EC2Client, client: Callable[[str], Any]
) -> None:
    key = client("kms").create_key()["KeyMetadata"]["Arn"]
    volume = ec2.create_volume(AvailabilityZone="us-east-2a", Size=8)["VolumeId"]
    region = WithAnEncryptedImage(local_cloud, ec2.create_snapshot(VolumeId=volume)["SnapshotId"], key)
    found = bad(Preflight(region, ec2_cloud(region), Pool("pool", "ap")).findings(route, NOW))
    assert [f"--key-id {key}" in each.cure for each in found] == [True, True]


def test_the_default_vpc_is_looked_at_where_a_route_says_default(look: Look, subnets: dict[str, str]) -> None:
    found = look(subnets=("default",))
    assert bad(found) == []
    said = " ".join(each.says for each in found)
    assert all(subnet in said for subnet in subnets.values())
    assert "by a dry run" in said
