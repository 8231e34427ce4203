"""The local cloud's endpoint: the call log, faults on the wire, presigned URLs, the control API."""

import time
from collections.abc import Callable
from typing import Any

import boto3
import pytest
import urllib3
from botocore.config import Config
from botocore.exceptions import ClientError, ReadTimeoutError
from types_boto3_ec2 import EC2Client
from types_boto3_s3 import S3Client

from rehearsal.cloud.cloud import BUCKET, IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.faults import CallFault

Control = Callable[..., Any]

ONCE = Config(read_timeout=5, retries={"total_max_attempts": 1})


@pytest.fixture
def s3(local_cloud: LocalCloud, session: boto3.Session) -> S3Client:
    return session.client("s3", endpoint_url=local_cloud.url)


@pytest.fixture
def impatient(local_cloud: LocalCloud, session: boto3.Session) -> EC2Client:
    """Tries once, and for a second."""
    return session.client("ec2", endpoint_url=local_cloud.url, config=ONCE)


# The call log


def test_every_call_is_logged_by_the_name_that_aws_gives_it(
    local_cloud: LocalCloud, session: boto3.Session, ec2: EC2Client, s3: S3Client, control: Control
) -> None:
    ec2.describe_instances()
    s3.put_object(Bucket=BUCKET, Key="config-blue.tar.gz", Body=b"bundle")
    s3.put_object_tagging(Bucket=BUCKET, Key="config-blue.tar.gz", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.delete_object(Bucket=BUCKET, Key="config-blue.tar.gz")
    session.client("ssm", endpoint_url=local_cloud.url).get_parameter(Name=IMAGE_PARAMETER)
    session.client("sts", endpoint_url=local_cloud.url).get_caller_identity()
    assert [(call["service"], call["action"]) for call in control("GET", "/calls")] == [
        ("ec2", "DescribeInstances"),
        ("s3", "PutObject"),
        ("s3", "PutObjectTagging"),
        ("s3", "DeleteObject"),
        ("ssm", "GetParameter"),
        ("sts", "GetCallerIdentity"),
    ]


def test_a_logged_call_tells_its_outcome_and_its_token(
    fleet: Callable[..., str], control: Control, ec2: EC2Client
) -> None:
    fleet(1, ClientToken="blue_1")
    with pytest.raises(ClientError):
        ec2.terminate_instances(InstanceIds=["i-00000000000000000"])
    asked, refused = control("GET", "/calls")[-2:]
    assert (asked["action"], asked["status"], asked["token"]) == ("RequestSpotFleet", 200, "blue_1")
    assert (refused["status"], refused["error"]) == (400, "InvalidInstanceID.NotFound")
    assert abs(asked["at"] - time.time()) < 5


def test_the_log_can_be_read_from_a_call_on(ec2: EC2Client, control: Control) -> None:
    ec2.describe_instances()
    last = control("GET", "/calls")[-1]["n"]
    ec2.describe_vpcs()
    assert [call["action"] for call in control("GET", f"/calls?since={last}")] == ["DescribeVpcs"]


def test_the_log_can_be_forgotten(ec2: EC2Client, control: Control) -> None:
    ec2.describe_instances()
    control("DELETE", "/calls")
    assert control("GET", "/calls") == []


def test_asking_the_control_api_is_no_call_of_aws(control: Control) -> None:
    control("GET", "/machines")
    assert control("GET", "/calls") == []


# Faults


def test_a_fault_refuses_as_often_as_it_says(impatient: EC2Client, control: Control) -> None:
    rule = {"action": "DescribeInstances", "times": 2, "error": "RequestLimitExceeded", "status": 503}
    control("POST", "/faults", rule)
    for _ in range(2):
        with pytest.raises(ClientError) as refused:
            impatient.describe_instances()
        assert refused.value.response["Error"]["Code"] == "RequestLimitExceeded"
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    impatient.describe_instances()


def test_a_refused_call_did_nothing(ec2: EC2Client, fleet: Callable[..., str], control: Control) -> None:
    control("POST", "/faults", {"action": "RequestSpotFleet", "error": "MaxSpotInstanceCountExceeded"})
    with pytest.raises(ClientError):
        fleet(1)
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []


@pytest.mark.parametrize(
    ("service", "action", "call"),
    [
        ("s3", "PutObject", lambda client: client.put_object(Bucket=BUCKET, Key="k", Body=b"")),
        ("ssm", "GetParameter", lambda client: client.get_parameter(Name=IMAGE_PARAMETER)),
        ("sts", "GetCallerIdentity", lambda client: client.get_caller_identity()),
    ],
)
def test_a_fault_speaks_the_protocol_of_its_service(
    local_cloud: LocalCloud, session: boto3.Session, control: Control, service: Any, action: str, call: Any
) -> None:
    control("POST", "/faults", {"action": action, "error": "AccessDenied", "status": 403})
    client = session.client(service, endpoint_url=local_cloud.url, config=ONCE)
    with pytest.raises(ClientError) as refused:
        call(client)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"


def test_a_lost_answer_is_never_sent_though_the_call_acted(
    impatient: EC2Client, ec2: EC2Client, control: Control
) -> None:
    control("POST", "/faults", {"action": "CreateSecurityGroup", "then": "lose"})
    with pytest.raises(ReadTimeoutError):
        impatient.create_security_group(GroupName="annex", Description="lost")
    assert "annex" in {group["GroupName"] for group in ec2.describe_security_groups()["SecurityGroups"]}
    lost = next(call for call in control("GET", "/calls") if call["action"] == "CreateSecurityGroup")
    assert lost["status"] is None


def test_a_delayed_call_takes_its_time_and_holds_up_no_other(
    impatient: EC2Client, ec2: EC2Client, control: Control
) -> None:
    control("POST", "/faults", {"action": "DescribeVpcs", "delay_s": 30})
    with pytest.raises(ReadTimeoutError):
        impatient.describe_vpcs()
    started = time.monotonic()
    ec2.describe_instances()
    assert time.monotonic() - started < 15


def test_a_dry_run_is_logged_as_one(ec2: EC2Client, control: Control) -> None:
    with pytest.raises(ClientError):
        ec2.describe_instances(DryRun=True)
    ec2.describe_instances()
    assert [call["dry_run"] for call in control("GET", "/calls")] == [True, False]


@pytest.mark.parametrize("action", ["RequestSpotFleet", "CreateFleet", "CreateLaunchTemplate"])
def test_a_dry_run_meets_a_refusal_by_policy_and_uses_up_no_other_fault(local_cloud: LocalCloud, action: str) -> None:
    faults = local_cloud.world.faults
    faults.add(CallFault(action, then="lose"))
    faults.add(CallFault(action, error="RequestLimitExceeded", status=503))
    forbidden = CallFault(action, error="UnauthorizedOperation", status=403)
    faults.add(forbidden)
    assert [faults.take(action, dry_run=True) for _ in range(2)] == [forbidden, None]
    assert [rule["error"] for rule in faults.as_json()] == [None, "RequestLimitExceeded"]


def test_faults_are_listed_with_what_is_left_of_them(impatient: EC2Client, control: Control) -> None:
    control("POST", "/faults", {"action": "DescribeVpcs", "times": 2, "error": "InternalError", "status": 500})
    control("POST", "/faults", {"types": ["c5.large"], "zones": [], "capacity": 0})
    with pytest.raises(ClientError):
        impatient.describe_vpcs()
    assert [rule.get("times", rule.get("capacity")) for rule in control("GET", "/faults")] == [1, 0]


def test_forgotten_faults_do_nothing(impatient: EC2Client, control: Control) -> None:
    control("POST", "/faults", {"action": "DescribeVpcs", "times": None, "error": "InternalError"})
    control("DELETE", "/faults")
    impatient.describe_vpcs()


@pytest.mark.parametrize(
    "rule",
    [
        {"error": "InternalError"},
        {"action": "DescribeVpcs", "eror": "InternalError"},
        {"action": "DescribeVpcs", "then": "explode"},
        {"capacity": -1},
        {"types": "c5.large", "capacity": 0},
        ["DescribeVpcs"],
    ],
)
def test_a_rule_that_is_none_is_refused_with_the_reason(control: Control, rule: object) -> None:
    with pytest.raises(RuntimeError, match="400"):
        control("POST", "/faults", rule)


# S3 and its presigned URLs


@pytest.fixture
def url(s3: S3Client) -> str:
    """A presigned one of an object that is there, good for a minute."""
    s3.put_object(Bucket=BUCKET, Key="config-blue.tar.gz", Body=b"bundle")
    return s3.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": "config-blue.tar.gz"}, ExpiresIn=60)


def test_a_presigned_url_needs_no_credentials(http: urllib3.PoolManager, url: str) -> None:
    assert http.request("GET", url).data == b"bundle"


def test_a_presigned_url_ends(http: urllib3.PoolManager, url: str, settle: Callable[[float], None]) -> None:
    settle(62)
    answer = http.request("GET", url)
    assert (answer.status, b"Request has expired" in answer.data) == (403, True)


def test_a_presigned_url_that_was_mangled_is_a_bad_request(http: urllib3.PoolManager, url: str) -> None:
    assert http.request("GET", url.replace("X-Amz-Expires=60", "X-Amz-Expires=soon")).status == 400
    assert http.request("GET", url.replace("X-Amz-Expires=60", "")).status == 400


def test_an_object_is_not_read_without_a_signature(http: urllib3.PoolManager, url: str) -> None:
    assert http.request("GET", url.partition("?")[0]).status == 403


# The control API


def test_settings_change_while_the_cloud_runs(
    control: Control, fleet: Callable[..., str], instances: Callable[..., list[Any]]
) -> None:
    assert control("PUT", "/settings", {"fill_fraction": 0.5})["fill_fraction"] == 0.5
    fleet(4)
    assert len(instances()) == 2


@pytest.mark.parametrize("wrong", [{"fil_fraction": 1}, {"fill_fraction": 2}, {"boot_delay_s": "soon"}])
def test_a_setting_that_cannot_be_is_refused(control: Control, wrong: object) -> None:
    with pytest.raises(RuntimeError, match="400"):
        control("PUT", "/settings", wrong)


def test_moving_the_clock_makes_due_what_was_to_come(
    control: Control, fleet: Callable[..., str], instances: Callable[..., list[Any]]
) -> None:
    control("PUT", "/settings", {"boot_delay_s": 300})
    fleet(1)
    control("POST", "/clock", {"advance_s": 301})
    assert [each["State"]["Name"] for each in instances()] == ["running"]


def test_the_clock_does_not_go_back(control: Control) -> None:
    with pytest.raises(RuntimeError, match="400"):
        control("POST", "/clock", {"advance_s": -1})


def test_machines_are_listed_with_their_times(control: Control, fleet: Callable[..., str]) -> None:
    name = fleet(1)
    [machine] = control("GET", "/machines")
    assert (machine["type"], machine["fleet"], machine["ended_at"]) == ("c5.large", name, None)
    assert machine["boots_at"] <= time.time()


def test_the_cloud_says_what_a_route_needs_to_know_of_it(control: Control) -> None:
    assert control("GET", "") == {
        "account": "123456789012",
        "bucket": "condor-annex-rehearsal",
        "fleet_role": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        "image_parameter": "/condor-annex/rehearsal/image",
    }


def test_an_unknown_path_is_answered_with_those_that_there_are(control: Control) -> None:
    with pytest.raises(RuntimeError, match="/machines"):
        control("GET", "/machine")


def test_regions_are_apart(local_cloud: LocalCloud, session: boto3.Session, fleet: Callable[..., str]) -> None:
    fleet(1)
    elsewhere = session.client("ec2", endpoint_url=local_cloud.url, region_name="eu-west-1")
    assert elsewhere.describe_instances()["Reservations"] == []
    assert {zone["ZoneName"] for zone in elsewhere.describe_availability_zones()["AvailabilityZones"]} == {
        "eu-west-1a",
        "eu-west-1b",
        "eu-west-1c",
    }


def test_what_moto_does_not_do_is_an_aws_error_too(local_cloud: LocalCloud, session: boto3.Session) -> None:
    client = session.client("ec2", endpoint_url=local_cloud.url, config=ONCE)
    with pytest.raises(ClientError) as refused:
        client.get_spot_placement_scores(TargetCapacity=1, InstanceTypes=["c5.large"])
    assert refused.value.response["Error"]["Code"] == "InternalError"


def test_a_second_cloud_begins_empty(session: boto3.Session) -> None:
    for _ in range(2):
        with LocalCloud() as running:
            client = session.client("ec2", endpoint_url=running.url)
            assert len(client.describe_security_groups()["SecurityGroups"]) == 1
            client.create_security_group(GroupName="annex", Description="of the first")
