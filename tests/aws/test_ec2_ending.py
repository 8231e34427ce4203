"""Cancelling and terminating: what stays is named, and one that refuses doesn't save its neighbours."""

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from types_boto3_ec2 import EC2Client

from annex_core.adapters.ec2 import Ec2Cloud
from annex_core.errors import OutcomeUnknown, Throttled


@pytest.fixture
def ec2() -> EC2Client:
    return boto3.client("ec2", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")


@pytest.fixture
def cloud(ec2: EC2Client) -> Ec2Cloud:
    ssm = boto3.client("ssm", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")
    return Ec2Cloud(ec2, ec2, ssm)


@pytest.fixture
def stub(ec2: EC2Client) -> Iterator[Stubber]:
    with Stubber(ec2) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def instances(ec2: EC2Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Five instances that run, in an account of their own."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        image = ec2.register_image(Name="annex")["ImageId"]
        answer = ec2.run_instances(ImageId=image, InstanceType="c5.large", MinCount=5, MaxCount=5)
        yield [each["InstanceId"] for each in answer["Instances"]]


def states(ec2: EC2Client, ids: list[str]) -> list[str]:
    found = {
        each["InstanceId"]: each["State"]["Name"]
        for reservation in ec2.describe_instances(InstanceIds=ids)["Reservations"]
        for each in reservation["Instances"]
    }
    return [found[id_] for id_ in ids]


def test_instances_are_terminated_in_one_call(ec2: EC2Client, cloud: Ec2Cloud, instances: list[str]) -> None:
    calls: list[str] = []
    ec2.meta.events.register("before-call.ec2.TerminateInstances", lambda model, **_: calls.append(model.name))
    assert cloud.terminate(instances) == {}
    assert states(ec2, instances) == ["terminated"] * 5
    assert len(calls) == 1


def test_a_lease_is_written_to_all_of_them_in_one_call(ec2: EC2Client, cloud: Ec2Cloud, instances: list[str]) -> None:
    calls: list[str] = []
    ec2.meta.events.register("before-call.ec2.CreateTags", lambda model, **_: calls.append(model.name))
    assert cloud.retag(instances, {"htcondor:LeaseEnds": "2026-11-21T08:30:00Z"}) == {}
    tagged = ec2.describe_tags(Filters=[{"Name": "key", "Values": ["htcondor:LeaseEnds"]}])["Tags"]
    assert {each["ResourceId"] for each in tagged} == set(instances)
    assert len(calls) == 1


def test_a_machine_that_is_gone_keeps_no_other_from_its_lease(cloud: Ec2Cloud, stub: Stubber) -> None:
    tags = [{"Key": "htcondor:LeaseEnds", "Value": "2026-11-21T08:30:00Z"}]
    for batch in (["i-1", "i-2", "i-3"], ["i-1"], ["i-2", "i-3"], ["i-2"], ["i-3"]):
        asked = {"Resources": batch, "Tags": tags}
        if "i-2" in batch:
            stub.add_client_error(
                "create_tags", "InvalidInstanceID.NotFound", http_status_code=400, expected_params=asked
            )
        else:
            stub.add_response("create_tags", {}, asked)
    assert set(cloud.retag(["i-1", "i-2", "i-3"], {"htcondor:LeaseEnds": "2026-11-21T08:30:00Z"})) == {"i-2"}


def test_a_protected_instance_does_not_save_the_others(ec2: EC2Client, cloud: Ec2Cloud, instances: list[str]) -> None:
    ec2.modify_instance_attribute(InstanceId=instances[3], DisableApiTermination={"Value": True})
    reasons = cloud.terminate(instances)
    assert list(reasons) == [instances[3]]
    assert "OperationNotPermitted" in reasons[instances[3]]
    assert states(ec2, instances) == ["terminated", "terminated", "terminated", "running", "terminated"]


def test_an_instance_ec2_does_not_know_does_not_save_the_others(
    ec2: EC2Client, cloud: Ec2Cloud, instances: list[str]
) -> None:
    reasons = cloud.terminate(["i-0123456789abcdef0", *instances])
    assert list(reasons) == ["i-0123456789abcdef0"]
    assert states(ec2, instances) == ["terminated"] * 5


def test_a_throttled_termination_is_not_taken_apart(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_client_error("terminate_instances", service_error_code="RequestLimitExceeded", http_status_code=503)
    with pytest.raises(Throttled):
        cloud.terminate(["i-1", "i-2"])


def test_no_call_ends_more_than_a_hundred(cloud: Ec2Cloud, stub: Stubber) -> None:
    ids = [f"i-{n}" for n in range(150)]
    for some in (ids[:100], ids[100:]):
        stub.add_response("terminate_instances", {"TerminatingInstances": []}, {"InstanceIds": some})
    assert cloud.terminate(ids) == {}


def test_a_fleet_is_cancelled_with_or_without_its_instances(cloud: Ec2Cloud, stub: Stubber) -> None:
    for terminate in (True, False):
        stub.add_response(
            "cancel_spot_fleet_requests", {}, {"SpotFleetRequestIds": ["sfr-1"], "TerminateInstances": terminate}
        )
        assert cloud.cancel_fleets(["sfr-1"], terminate=terminate) == {}


def test_a_fleet_that_aws_did_not_cancel_is_named_with_the_reason(cloud: Ec2Cloud, stub: Stubber) -> None:
    failed = {
        "SpotFleetRequestId": "sfr-2",
        "Error": {"Code": "fleetRequestNotInCancellableState", "Message": "it is cancelled"},
    }
    stub.add_response("cancel_spot_fleet_requests", {"UnsuccessfulFleetRequests": [failed]})
    assert cloud.cancel_fleets(["sfr-1", "sfr-2"], terminate=True) == {
        "sfr-2": "fleetRequestNotInCancellableState: it is cancelled"
    }


def test_fleets_are_cancelled_a_hundred_at_a_time(cloud: Ec2Cloud, stub: Stubber) -> None:
    ids = [f"sfr-{n}" for n in range(101)]
    for some in (ids[:100], ids[100:]):
        stub.add_response("cancel_spot_fleet_requests", {}, {"SpotFleetRequestIds": some, "TerminateInstances": True})
    assert cloud.cancel_fleets(ids, terminate=True) == {}


def test_a_cancel_without_a_clear_answer_leaves_the_outcome_unknown(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_client_error("cancel_spot_fleet_requests", service_error_code="InternalError", http_status_code=500)
    with pytest.raises(OutcomeUnknown):
        cloud.cancel_fleets(["sfr-1"], terminate=True)


def test_open_requests_are_cancelled_by_their_ids(cloud: Ec2Cloud, stub: Stubber) -> None:
    stub.add_response(
        "cancel_spot_instance_requests",
        {"CancelledSpotInstanceRequests": []},
        {"SpotInstanceRequestIds": ["sir-1", "sir-2"]},
    )
    cloud.cancel_open_requests(["sir-1", "sir-2"])


def test_nothing_to_end_is_no_call(cloud: Ec2Cloud, stub: Stubber) -> None:
    cloud.cancel_open_requests([])
    assert cloud.cancel_fleets([], terminate=True) == {}
    assert cloud.terminate([]) == {}
