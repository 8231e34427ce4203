"""What instances printed and why they ended, as the daemon's adapter gets it."""

import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.stub import Stubber
from types_boto3_ec2 import EC2Client

from annex_core.adapters.ec2 import Ec2Cloud
from rehearsal.cloud.cloud import LocalCloud
from rehearsal.cloud.process import ProcessLauncher


@pytest.fixture
def local_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with LocalCloud(launcher=ProcessLauncher(tmp_path / "machines")) as running:
        yield running


@pytest.fixture
def cloud(ec2: EC2Client, session: boto3.Session, local_cloud: LocalCloud) -> Ec2Cloud:
    return Ec2Cloud(ec2, ec2, session.client("ssm", endpoint_url=local_cloud.url))


def launched(ec2: EC2Client, image: str, script: str) -> str:
    made = ec2.run_instances(
        ImageId=image,
        MinCount=1,
        MaxCount=1,
        InstanceType="c5.large",
        UserData=script,
        InstanceInitiatedShutdownBehavior="terminate",
    )
    return made["Instances"][0]["InstanceId"]


def test_what_a_machine_printed_and_why_it_ended_are_told_after_its_end(
    cloud: Ec2Cloud, ec2: EC2Client, image: str
) -> None:
    machine = launched(ec2, image, "#!/bin/sh\necho last words\n")
    end = time.monotonic() + 15
    while "Client.InstanceInitiatedShutdown" not in cloud.state_reasons([machine])[machine]:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert cloud.console(machine) == "last words\n"


def test_an_instance_that_is_listed_no_more_has_no_reason_and_spoils_no_other_s(
    cloud: Ec2Cloud, ec2: EC2Client, image: str
) -> None:
    machine = launched(ec2, image, "#!/bin/sh\nsleep 30\n")
    assert cloud.state_reasons([machine, "i-00000000000000000"]).keys() == {machine}


def test_a_type_that_can_not_give_the_latest_output_gives_what_was_saved() -> None:
    client = boto3.Session(aws_access_key_id="a", aws_secret_access_key="b", region_name="us-east-2").client("ec2")
    with Stubber(client) as stubber:
        stubber.add_client_error(
            "get_console_output",
            "UnsupportedOperation",
            "This instance type does not support retrieving the latest console logs.",
            expected_params={"InstanceId": "i-1", "Latest": True},
        )
        stubber.add_response("get_console_output", {"Output": "b2xk"}, {"InstanceId": "i-1"})
        assert Ec2Cloud(client, client, None).console("i-1") == "old"  # type: ignore[arg-type]
