"""Instances of the local cloud and the machines behind them, and RunInstances where moto falls short."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from types_boto3_ec2 import EC2Client

from rehearsal.cloud.cloud import LocalCloud
from rehearsal.cloud.faults import CapacityFault
from rehearsal.cloud.launcher import Machine
from rehearsal.cloud.settings import Settings

Run = Callable[..., list[str]]
Settle = Callable[[float], None]
Instances = Callable[..., list[Any]]


class Bench:
    """A launcher whose machines are records: the test says when one ends."""

    def __init__(self) -> None:
        self.booted: list[Machine] = []
        self.broken = False
        self.status: int | None = None
        self.killed = 0

    def start(self, machine: Machine) -> "Bench":
        if self.broken:
            raise OSError("no room")
        self.booted.append(machine)
        return self

    def poll(self) -> int | None:
        return self.status

    def kill(self) -> None:
        self.killed += 1

    def console(self) -> str:
        return "hello from the machine\n"


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def local_cloud(bench: Bench) -> Iterator[LocalCloud]:
    with LocalCloud(launcher=bench, settings=Settings(boot_delay_s=60)) as running:
        yield running


@pytest.fixture
def settle(local_cloud: LocalCloud) -> Settle:
    """As elsewhere, and each machine that is starting or being killed is waited for."""

    def advance(seconds: float) -> None:
        local_cloud.world.clock.advance(seconds)
        for _ in range(3):
            local_cloud.tick()
            for life in local_cloud.lives.all():
                if work := life.work:
                    work.exception()

    return advance


@pytest.fixture
def run(ec2: EC2Client, image: str) -> Run:
    """run(count, **RunInstances) -> ids."""

    def launch(count: int = 1, **more: Any) -> list[str]:
        wanted = {"ImageId": image, "InstanceType": "c5.large", "MinCount": count, "MaxCount": count} | more
        return [each["InstanceId"] for each in ec2.run_instances(**wanted)["Instances"]]

    return launch


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response["Error"]["Code"]


# The machine's life


def test_an_instance_is_pending_until_its_machine_has_started(
    bench: Bench, run: Run, instances: Instances, settle: Settle
) -> None:
    run()
    settle(59)
    assert ([each["State"]["Name"] for each in instances()], bench.booted) == (["pending"], [])
    settle(2)
    assert ([each["State"]["Name"] for each in instances()], len(bench.booted)) == (["running"], 1)


def test_the_jitter_spreads_boots_and_is_the_same_every_time(session: boto3.Session) -> None:
    def boots() -> list[float]:
        with LocalCloud(settings=Settings(boot_delay_s=60, boot_jitter_s=30), seed=7) as running:
            client = session.client("ec2", endpoint_url=running.url)
            image = client.describe_images()["Images"][0]["ImageId"]
            client.run_instances(ImageId=image, InstanceType="c5.large", MinCount=3, MaxCount=3)
            lives = list(running.lives.all())
            return [round(life.boots_at - lives[0].boots_at, 2) for life in lives]

    first = boots()
    assert first == boots()
    assert len(set(first)) == 3
    assert max(first) - min(first) <= 30


def test_a_machine_is_what_its_instance_is(bench: Bench, run: Run, instances: Instances, settle: Settle) -> None:
    volume = [{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 20}}]
    [name] = run(
        UserData="#!/bin/sh\necho ok\n", BlockDeviceMappings=volume, Placement={"AvailabilityZone": "us-east-2b"}
    )
    settle(61)
    [machine] = bench.booted
    assert machine == Machine(
        instance_id=name,
        instance_type="c5.large",
        address=instances()[0]["PrivateIpAddress"],
        zone="us-east-2b",
        hostname=instances()[0]["PrivateDnsName"],
        vcpus=2,
        memory_mib=4096,
        disk_gib=20,
        user_data="#!/bin/sh\necho ok\n",
        image="",
        metadata="",
    )


def test_a_machine_that_ends_terminates_its_instance(
    bench: Bench, run: Run, instances: Instances, settle: Settle
) -> None:
    run(InstanceInitiatedShutdownBehavior="terminate")
    settle(61)
    bench.status = 0
    settle(1)
    [instance] = instances()
    assert instance["State"]["Name"] == "terminated"
    assert instance["StateReason"]["Code"] == "Client.InstanceInitiatedShutdown"


def test_a_machine_that_ends_only_stops_where_its_launch_did_not_say_terminate(
    bench: Bench, run: Run, instances: Instances, settle: Settle
) -> None:
    run()
    settle(61)
    bench.status = 0
    settle(1)
    assert instances()[0]["State"]["Name"] == "stopped"


def test_terminating_kills_the_machine(
    bench: Bench, ec2: EC2Client, run: Run, instances: Instances, settle: Settle
) -> None:
    [name] = run()
    settle(61)
    answer = ec2.terminate_instances(InstanceIds=[name])["TerminatingInstances"][0]
    assert (answer["PreviousState"]["Name"], answer["CurrentState"]["Name"]) == ("running", "shutting-down")
    settle(1)
    [instance] = instances()
    assert (bench.killed, instance["State"]["Name"]) == (1, "terminated")
    assert instance["StateReason"]["Code"] == "Client.UserInitiatedShutdown"


def test_an_instance_terminated_while_pending_never_boots(
    bench: Bench, ec2: EC2Client, run: Run, settle: Settle
) -> None:
    ec2.terminate_instances(InstanceIds=run())
    settle(61)
    assert bench.booted == []


def test_a_machine_that_cannot_boot_ends_its_instance(
    bench: Bench, run: Run, instances: Instances, settle: Settle
) -> None:
    bench.broken = True
    run()
    settle(61)
    [instance] = instances()
    assert (instance["State"]["Name"], instance["StateReason"]["Code"]) == ("terminated", "Server.InternalError")


def test_stopping_the_cloud_kills_every_machine(bench: Bench, session: boto3.Session) -> None:
    with LocalCloud(launcher=bench) as running:
        client = session.client("ec2", endpoint_url=running.url)
        image = client.describe_images()["Images"][0]["ImageId"]
        client.run_instances(ImageId=image, InstanceType="c5.large", MinCount=3, MaxCount=3)
        running.tick()
    assert bench.killed == 3


def test_a_gone_instance_gives_its_address_back(ec2: EC2Client, run: Run, settle: Settle, instances: Instances) -> None:
    before = ec2.describe_network_interfaces()["NetworkInterfaces"]
    first = run()
    address = instances()[0]["PrivateIpAddress"]
    ec2.terminate_instances(InstanceIds=first)
    settle(1)
    assert ec2.describe_network_interfaces()["NetworkInterfaces"] == before
    assert ec2.describe_volumes()["Volumes"] == []
    run()
    assert instances(instance_state_name="pending")[0]["PrivateIpAddress"] == address


def test_a_stopped_instance_boots_again_when_started(
    bench: Bench, ec2: EC2Client, run: Run, instances: Instances, settle: Settle
) -> None:
    names = run()
    settle(61)
    ec2.stop_instances(InstanceIds=names)
    settle(1)
    assert instances()[0]["State"]["Name"] == "stopped"
    ec2.start_instances(InstanceIds=names)
    settle(61)
    assert (instances()[0]["State"]["Name"], len(bench.booted)) == ("running", 2)


# RunInstances and TerminateInstances


def test_the_same_launch_sent_twice_launches_once(run: Run, instances: Instances) -> None:
    assert run(2, ClientToken="t") == run(2, ClientToken="t")
    assert len(instances()) == 2


def test_a_used_token_is_refused_for_another_launch(run: Run) -> None:
    run(1, ClientToken="t")
    with pytest.raises(ClientError) as refused:
        run(2, ClientToken="t")
    assert code(refused) == "IdempotentParameterMismatch"


def test_as_many_are_launched_as_there_is_capacity_for(local_cloud: LocalCloud, run: Run) -> None:
    local_cloud.world.faults.add(CapacityFault(2))
    assert len(run(MinCount=1, MaxCount=5)) == 2


def test_fewer_than_the_least_is_a_refusal(local_cloud: LocalCloud, run: Run, instances: Instances) -> None:
    local_cloud.world.faults.add(CapacityFault(2))
    with pytest.raises(ClientError) as refused:
        run(MinCount=3, MaxCount=5)
    assert (code(refused), instances()) == ("InsufficientInstanceCapacity", [])


def test_a_launch_takes_the_settings_of_its_template(
    ec2: EC2Client, template: Callable[..., str], instances: Instances
) -> None:
    used = template(
        InstanceType="m5.large",
        UserData=b64encode(b"from the template").decode(),
        MetadataOptions={"HttpTokens": "required"},
        InstanceInitiatedShutdownBehavior="terminate",
    )
    ec2.run_instances(LaunchTemplate={"LaunchTemplateId": used}, MinCount=1, MaxCount=1)
    [instance] = instances()
    assert (instance["InstanceType"], instance["MetadataOptions"]["HttpTokens"]) == ("m5.large", "required")
    told = ec2.describe_instance_attribute(
        InstanceId=instance["InstanceId"], Attribute="instanceInitiatedShutdownBehavior"
    )
    assert told["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"ImageId": "ami-00000000000000000"}, "InvalidAMIID.NotFound"),
        ({"InstanceType": "c5.enormous"}, "InvalidParameterValue"),
        ({"SubnetId": "subnet-00000000000000000"}, "InvalidSubnetID.NotFound"),
    ],
)
def test_a_launch_that_aws_refuses_is_refused(run: Run, wrong: dict[str, str], expected: str) -> None:
    with pytest.raises(ClientError) as refused:
        run(**wrong)
    assert code(refused) == expected


def test_one_protected_instance_saves_the_whole_batch(ec2: EC2Client, run: Run, instances: Instances) -> None:
    names = run(2)
    ec2.modify_instance_attribute(InstanceId=names[1], DisableApiTermination={"Value": True})
    with pytest.raises(ClientError) as refused:
        ec2.terminate_instances(InstanceIds=names)
    assert code(refused) == "OperationNotPermitted"
    assert {each["State"]["Name"] for each in instances()} == {"pending"}


def test_terminating_an_unknown_instance_is_an_error(ec2: EC2Client) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.terminate_instances(InstanceIds=["i-00000000000000000"])
    assert code(refused) == "InvalidInstanceID.NotFound"


def test_tagging_an_unknown_instance_is_an_error(ec2: EC2Client) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.create_tags(Resources=["i-00000000000000000"], Tags=[{"Key": "a", "Value": "b"}])
    assert code(refused) == "InvalidInstanceID.NotFound"


def test_deleting_an_unknown_template_is_an_error(ec2: EC2Client) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.delete_launch_template(LaunchTemplateId="lt-00000000000000000")
    assert code(refused) == "InvalidLaunchTemplateId.NotFound"


def test_a_template_created_twice_under_one_token_is_one(ec2: EC2Client, image: str) -> None:
    made = [
        ec2.create_launch_template(LaunchTemplateName="annex", ClientToken="t", LaunchTemplateData={"ImageId": image})[
            "LaunchTemplate"
        ]["LaunchTemplateId"]
        for _ in range(2)
    ]
    assert made[0] == made[1]


# Listings and the network


def test_instances_come_in_pages_even_of_one_launch(ec2: EC2Client, run: Run) -> None:
    names = run(5)
    pages = list(ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 2}))
    assert [sum(len(group["Instances"]) for group in page["Reservations"]) for page in pages] == [2, 2, 1]
    assert [
        each["InstanceId"] for page in pages for group in page["Reservations"] for each in group["Instances"]
    ] == names


def test_instances_are_found_by_client_token(run: Run, instances: Instances) -> None:
    run(ClientToken="one")
    wanted = run(ClientToken="two")
    assert [each["InstanceId"] for each in instances(client_token="two")] == wanted


def test_no_instance_can_get_an_address_of_the_pool_s_own_hosts(ec2: EC2Client) -> None:
    vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
    with pytest.raises(ClientError) as refused:
        ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.240.0/24", AvailabilityZone="us-east-2a")
    assert code(refused) == "InvalidSubnet.Conflict"
