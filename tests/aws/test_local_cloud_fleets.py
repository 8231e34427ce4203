"""Spot Fleets of the local cloud, seen through boto3: what AWS does, and moto alone does not."""

from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from types_boto3_ec2 import EC2Client

from rehearsal.cloud.cloud import LocalCloud
from rehearsal.cloud.faults import CapacityFault
from rehearsal.cloud.settings import Settings

Settle = Callable[[float], None]
Fleet = Callable[..., str]
Instances = Callable[..., list[Any]]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def described(ec2: EC2Client, fleet: str) -> Any:
    [found] = ec2.describe_spot_fleet_requests(SpotFleetRequestIds=[fleet])["SpotFleetRequestConfigs"]
    return found


def open_requests(ec2: EC2Client, fleet: str) -> list[Any]:
    filters: Any = [
        {"Name": "tag:aws:ec2spot:fleet-request-id", "Values": [fleet]},
        {"Name": "state", "Values": ["open"]},
    ]
    return list(ec2.describe_spot_instance_requests(Filters=filters)["SpotInstanceRequests"])


def events(ec2: EC2Client, fleet: str, kind: Any) -> list[str]:
    answer = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=fleet, StartTime=EPOCH, EventType=kind)
    return [record["EventInformation"]["EventSubType"] for record in answer["HistoryRecords"]]


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response["Error"]["Code"]


# Tokens


def test_the_same_request_sent_twice_is_one_fleet(ec2: EC2Client, fleet: Fleet, template: Fleet) -> None:
    used = template()
    assert fleet(1, template=used, ClientToken="t") == fleet(1, template=used, ClientToken="t")
    assert len(ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]) == 1


def test_a_used_token_is_refused_for_another_request(fleet: Fleet, template: Fleet) -> None:
    used = template()
    fleet(1, template=used, ClientToken="t")
    with pytest.raises(ClientError) as refused:
        fleet(2, template=used, ClientToken="t")
    assert code(refused) == "IdempotentParameterMismatch"


def test_a_dry_run_makes_no_fleet(ec2: EC2Client, template: Fleet) -> None:
    config: Any = {"TargetCapacity": 1, "IamFleetRole": "arn:aws:iam::123456789012:role/x"}
    with pytest.raises(ClientError) as refused:
        ec2.request_spot_fleet(SpotFleetRequestConfig=config, DryRun=True)
    assert code(refused) == "DryRunOperation"
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []


# What a fleet's instances are like


def test_instances_are_what_the_template_says(template: Fleet, fleet: Fleet, instances: Instances) -> None:
    used = template(
        UserData=b64encode(b"#!/bin/sh\n").decode(),
        InstanceInitiatedShutdownBehavior="terminate",
        MetadataOptions={"HttpTokens": "required", "InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "htcondor:Owner", "Value": "alice"}]}],
    )
    fleet(2, template=used)
    for instance in instances():
        assert instance["MetadataOptions"]["HttpTokens"] == "required"
        assert {"Key": "htcondor:Owner", "Value": "alice"} in instance["Tags"]
        assert instance["InstanceLifecycle"] == "spot"


def test_the_template_s_user_data_and_shutdown_behaviour_reach_the_instance(
    ec2: EC2Client, template: Fleet, fleet: Fleet, instances: Instances
) -> None:
    script = b64encode(b"#!/bin/sh\n").decode()
    fleet(1, template=template(UserData=script, InstanceInitiatedShutdownBehavior="terminate"))
    name = instances()[0]["InstanceId"]
    told = ec2.describe_instance_attribute(InstanceId=name, Attribute="userData")
    assert told["UserData"]["Value"] == script
    told = ec2.describe_instance_attribute(InstanceId=name, Attribute="instanceInitiatedShutdownBehavior")
    assert told["InstanceInitiatedShutdownBehavior"]["Value"] == "terminate"


def test_security_groups_and_volume_of_the_template_are_kept(
    ec2: EC2Client, template: Fleet, fleet: Fleet, instances: Instances
) -> None:
    group = ec2.create_security_group(GroupName="annex", Description="outbound only")["GroupId"]
    used = template(
        SecurityGroupIds=[group],
        BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 33, "Encrypted": True}}],
        TagSpecifications=[{"ResourceType": "volume", "Tags": [{"Key": "htcondor:Owner", "Value": "alice"}]}],
    )
    fleet(1, template=used)
    [instance] = instances()
    assert [each["GroupId"] for each in instance["SecurityGroups"]] == [group]
    [volume] = ec2.describe_volumes()["Volumes"]
    assert (volume["Size"], volume["Encrypted"]) == (33, True)
    assert {"Key": "htcondor:Owner", "Value": "alice"} in volume["Tags"]


def test_a_tag_key_that_metadata_cannot_show_fails_the_launch(ec2: EC2Client, template: Fleet, fleet: Fleet) -> None:
    used = template(
        MetadataOptions={"InstanceMetadataTags": "enabled"},
        TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Cost Center", "Value": "1"}]}],
    )
    name = fleet(1, template=used)
    assert described(ec2, name)["SpotFleetRequestConfig"]["FulfilledCapacity"] == 0
    assert "launchSpecUnusable" in events(ec2, name, "error")


def test_a_new_version_of_a_template_keeps_what_it_was_made_from(
    ec2: EC2Client, template: Fleet, fleet: Fleet, instances: Instances
) -> None:
    used = template(MetadataOptions={"HttpTokens": "required"})
    ec2.create_launch_template_version(
        LaunchTemplateId=used,
        SourceVersion="1",
        LaunchTemplateData={"UserData": b64encode(b"second").decode()},
    )
    fleet(1, template=used)
    [instance] = instances()
    assert instance["MetadataOptions"]["HttpTokens"] == "required"
    told = ec2.describe_instance_attribute(InstanceId=instance["InstanceId"], Attribute="userData")
    assert told["UserData"]["Value"] == b64encode(b"second").decode()


def test_aws_s_own_tag_reaches_an_instance_late(
    local_cloud: LocalCloud, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(tag_delay_s=120)
    name = fleet(1)
    settle(119)
    assert "aws:ec2spot:fleet-request-id" not in {tag["Key"] for tag in instances()[0]["Tags"]}
    settle(2)
    assert {"Key": "aws:ec2spot:fleet-request-id", "Value": name} in instances()[0]["Tags"]


def test_a_fleet_keeps_its_tags_and_its_configuration(ec2: EC2Client, fleet: Fleet) -> None:
    tags = [{"Key": "htcondor:Pool", "Value": "p"}]
    name = fleet(1, ClientToken="t", TagSpecifications=[{"ResourceType": "spot-fleet-request", "Tags": tags}])
    found = described(ec2, name)
    assert found["Tags"] == tags
    assert (found["SpotFleetRequestConfig"]["Type"], found["SpotFleetRequestConfig"]["ClientToken"]) == ("request", "t")


# Where and how many


def test_every_override_is_considered(local_cloud: LocalCloud, fleet: Fleet, instances: Instances) -> None:
    local_cloud.world.faults.add(CapacityFault(0, types=("c5.large",)))
    local_cloud.world.faults.add(CapacityFault(0, zones=("us-east-2a", "us-east-2b")))
    fleet(2, types=("c5.large", "m5.large"))
    assert {(each["InstanceType"], each["Placement"]["AvailabilityZone"]) for each in instances()} == {
        ("m5.large", "us-east-2c")
    }


def test_a_pool_with_little_capacity_is_filled_before_the_next(
    local_cloud: LocalCloud, fleet: Fleet, instances: Instances
) -> None:
    local_cloud.world.faults.add(CapacityFault(3))
    fleet(8)
    zones = [each["Placement"]["AvailabilityZone"] for each in instances()]
    assert sorted(zones.count(zone) for zone in set(zones)) == [2, 3, 3]


def test_a_subnet_without_free_addresses_is_passed_over(
    ec2: EC2Client, fleet: Fleet, subnets: dict[str, str], instances: Instances
) -> None:
    vpc = ec2.describe_subnets()["Subnets"][0]["VpcId"]
    small = ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.128.0/28", AvailabilityZone="us-east-2b")["Subnet"]
    both = {"SubnetId": f"{small['SubnetId']}, {subnets['us-east-2a']}"}
    fleet(30, zones="a", override=both, AllocationStrategy="diversified")
    taken = [each["SubnetId"] for each in instances()]
    assert (len(taken), taken.count(small["SubnetId"])) == (30, 11)


def test_diversified_spreads_evenly(fleet: Fleet, instances: Instances) -> None:
    fleet(6, AllocationStrategy="diversified")
    zones = [each["Placement"]["AvailabilityZone"] for each in instances()]
    assert sorted(zones.count(zone) for zone in set(zones)) == [2, 2, 2]


def test_lowest_price_takes_the_cheapest_pool(ec2: EC2Client, fleet: Fleet, instances: Instances) -> None:
    fleet(4, types=("c5.large", "m5.large"), AllocationStrategy="lowestPrice")
    history = ec2.describe_spot_price_history(
        InstanceTypes=["c5.large", "m5.large"], ProductDescriptions=["Linux/UNIX"], StartTime=datetime.now(UTC)
    )["SpotPriceHistory"]
    cheapest = min(history, key=lambda row: float(row["SpotPrice"]))
    assert {(each["InstanceType"], each["Placement"]["AvailabilityZone"]) for each in instances()} == {
        (cheapest["InstanceType"], cheapest["AvailabilityZone"])
    }


def test_weights_round_the_count_up(ec2: EC2Client, fleet: Fleet, instances: Instances) -> None:
    name = fleet(10, zones="a", override={"WeightedCapacity": 4})
    assert len(instances()) == 3
    assert described(ec2, name)["SpotFleetRequestConfig"]["FulfilledCapacity"] == 12


def test_a_pool_dearer_than_the_ceiling_is_not_taken(ec2: EC2Client, fleet: Fleet) -> None:
    name = fleet(1, zones="a", override={"SpotPrice": "0.0001"})
    [waiting] = open_requests(ec2, name)
    assert waiting["Status"]["Code"] == "price-too-low"


def test_two_subnets_of_one_zone_are_refused(ec2: EC2Client, fleet: Fleet, subnets: dict[str, str]) -> None:
    vpc = ec2.describe_subnets()["Subnets"][0]["VpcId"]
    second = ec2.create_subnet(VpcId=vpc, CidrBlock="172.31.128.0/20", AvailabilityZone="us-east-2a")["Subnet"]
    with pytest.raises(ClientError) as refused:
        fleet(1, zones="a", override={"SubnetId": f"{subnets['us-east-2a']}, {second['SubnetId']}"})
    assert code(refused) == "InvalidSpotFleetRequestConfig"


@pytest.mark.parametrize(
    "wrong",
    [
        {"IamFleetRole": "arn:aws:iam::123456789012:role/nobody"},
        {"ValidUntil": EPOCH},
        {"types": ("c5.enormous",)},
        {"AllocationStrategy": "price-capacity-optimized"},
    ],
)
def test_a_configuration_that_aws_refuses_is_refused(fleet: Fleet, wrong: dict[str, Any]) -> None:
    with pytest.raises(ClientError) as refused:
        fleet(1, **wrong)
    assert code(refused) == "InvalidSpotFleetRequestConfig"


def test_an_unknown_template_is_refused(fleet: Fleet) -> None:
    with pytest.raises(ClientError) as refused:
        fleet(1, template="lt-00000000000000000")
    assert code(refused) == "InvalidLaunchTemplateId.NotFound"


# What stays open


def test_what_does_not_fill_stays_as_open_spot_requests(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0.5)
    name = fleet(6)
    assert (len(instances()), len(open_requests(ec2, name))) == (3, 3)
    assert described(ec2, name)["ActivityStatus"] == "pending_fulfillment"


def test_the_rest_fills_late(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0.5, fill_rest_after_s=3600)
    name = fleet(6)
    settle(3599)
    assert len(instances()) == 3
    settle(2)
    assert (len(instances()), open_requests(ec2, name)) == (6, [])


def test_nothing_fills_before_its_time(
    local_cloud: LocalCloud, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_delay_s=60)
    fleet(2)
    settle(59)
    assert instances() == []
    settle(2)
    assert len(instances()) == 2


def test_an_open_request_that_was_cancelled_never_fills(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0, fill_rest_after_s=60)
    name = fleet(3)
    first, second, _ = open_requests(ec2, name)
    ec2.cancel_spot_instance_requests(
        SpotInstanceRequestIds=[first["SpotInstanceRequestId"], second["SpotInstanceRequestId"]]
    )
    settle(61)
    assert len(instances()) == 1
    assert described(ec2, name)["SpotFleetRequestState"] == "active"


def test_cancelling_a_filled_spot_request_leaves_its_instance(
    ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    fleet(1)
    [instance] = instances()
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=[instance["SpotInstanceRequestId"]])
    settle(1)
    assert len(instances(instance_state_name="running")) == 1


def test_an_unknown_spot_request_is_an_error(ec2: EC2Client) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=["sir-unknown"])
    assert code(refused) == "InvalidSpotInstanceRequestID.NotFound"


def test_without_capacity_the_history_says_so_once(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, settle: Settle
) -> None:
    local_cloud.world.faults.add(CapacityFault(0))
    name = fleet(2)
    settle(60)
    assert events(ec2, name, "error") == ["allLaunchSpecsTemporarilyBlacklisted"]
    assert described(ec2, name)["ActivityStatus"] == "error"


def test_capacity_that_comes_back_is_taken(
    local_cloud: LocalCloud, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.faults.add(CapacityFault(0))
    fleet(2)
    local_cloud.world.faults.clear()
    settle(1)
    assert len(instances()) == 2


# The end of instances and fleets


def test_a_request_fleet_never_refills(ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle) -> None:
    name = fleet(2)
    ec2.terminate_instances(InstanceIds=[instances()[0]["InstanceId"]])
    settle(3600)
    assert len(instances()) == 2
    assert described(ec2, name)["SpotFleetRequestConfig"]["FulfilledCapacity"] == 1
    assert open_requests(ec2, name) == []


def test_a_maintain_fleet_replaces_what_it_lost(
    ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    fleet(2, Type="maintain")
    ec2.terminate_instances(InstanceIds=[instances()[0]["InstanceId"]])
    settle(1)
    assert len(instances(instance_state_name="running")) == 2


def test_cancelling_with_termination_ends_instances_and_open_requests(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0.5)
    name = fleet(4)
    answer = ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=True)
    [done] = answer["SuccessfulFleetRequests"]
    assert done["CurrentSpotFleetRequestState"] == "cancelled_terminating"
    settle(1)
    assert {each["State"]["Name"] for each in instances()} == {"terminated"}
    assert open_requests(ec2, name) == []
    assert described(ec2, name)["SpotFleetRequestState"] == "cancelled"


def test_cancelling_without_termination_leaves_instances_running_past_the_end(
    ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    name = fleet(1, ValidUntil=ends, TerminateInstancesWithExpiration=True)
    ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=False)
    settle(7200)
    assert described(ec2, name)["SpotFleetRequestState"] == "cancelled_running"
    assert len(instances(instance_state_name="running")) == 1


def test_a_cancelled_fleet_cannot_be_cancelled_again(ec2: EC2Client, fleet: Fleet, settle: Settle) -> None:
    name = fleet(1)
    ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=True)
    settle(1)
    answer = ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=True)
    assert answer["UnsuccessfulFleetRequests"][0]["Error"]["Code"] == "fleetRequestNotInCancellableState"


def test_a_failure_to_cancel_stands_inside_a_success(ec2: EC2Client, fleet: Fleet) -> None:
    known, unknown = fleet(1), "sfr-01234567-89ab-cdef-0123-456789abcdef"
    answer = ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[unknown, known], TerminateInstances=True)
    assert [each["SpotFleetRequestId"] for each in answer["SuccessfulFleetRequests"]] == [known]
    [failed] = answer["UnsuccessfulFleetRequests"]
    assert (failed["SpotFleetRequestId"], failed["Error"]["Code"]) == (unknown, "fleetRequestIdDoesNotExist")


def test_at_most_a_hundred_fleets_are_cancelled_at_once(ec2: EC2Client) -> None:
    names = [f"sfr-01234567-89ab-cdef-0123-{number:012x}" for number in range(101)]
    with pytest.raises(ClientError):
        ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=names, TerminateInstances=True)


def test_valid_until_ends_instances_when_asked_to(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0.5)
    ends = datetime.now(UTC) + timedelta(hours=1)
    name = fleet(2, ValidUntil=ends, TerminateInstancesWithExpiration=True)
    settle(3500)
    assert len(instances(instance_state_name="running")) == 1
    settle(101)
    assert instances(instance_state_name="running") == []
    assert open_requests(ec2, name) == []
    assert "expired" in events(ec2, name, "fleetRequestChange")


def test_valid_until_alone_ends_only_what_is_open(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0.5)
    name = fleet(2, ValidUntil=datetime.now(UTC) + timedelta(hours=1))
    settle(3601)
    assert len(instances(instance_state_name="running")) == 1
    assert open_requests(ec2, name) == []


def test_a_cancelled_fleet_is_listed_for_two_days(ec2: EC2Client, fleet: Fleet, settle: Settle) -> None:
    name = fleet(1)
    ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[name], TerminateInstances=True)
    settle(1)
    settle(47 * 3600)
    assert len(ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]) == 1
    settle(2 * 3600)
    assert ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"] == []


# Listings


def test_an_unknown_fleet_is_an_error_when_described(ec2: EC2Client) -> None:
    with pytest.raises(ClientError) as refused:
        ec2.describe_spot_fleet_requests(SpotFleetRequestIds=["sfr-01234567-89ab-cdef-0123-456789abcdef"])
    assert code(refused) == "InvalidSpotFleetRequestId.NotFound"


def test_fleets_come_in_pages(ec2: EC2Client, fleet: Fleet) -> None:
    made = {fleet(1, zones="a") for _ in range(5)}
    pages = list(ec2.get_paginator("describe_spot_fleet_requests").paginate(PaginationConfig={"PageSize": 2}))
    assert [len(page["SpotFleetRequestConfigs"]) for page in pages] == [2, 2, 1]
    assert {each["SpotFleetRequestId"] for page in pages for each in page["SpotFleetRequestConfigs"]} == made


def test_spot_requests_come_in_pages_that_survive_what_is_cancelled_between(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet
) -> None:
    local_cloud.world.settings = Settings(fill_fraction=0, page_size=2)
    name = fleet(5)
    filters: Any = [{"Name": "state", "Values": ["open"]}]
    first = ec2.describe_spot_instance_requests(Filters=filters)
    ids = [each["SpotInstanceRequestId"] for each in first["SpotInstanceRequests"]]
    ec2.cancel_spot_instance_requests(SpotInstanceRequestIds=ids)
    second = ec2.describe_spot_instance_requests(Filters=filters, NextToken=first["NextToken"])
    assert [each["SpotInstanceRequestId"] for each in first["SpotInstanceRequests"]] == ids
    assert len(second["SpotInstanceRequests"]) == 2
    assert not {each["SpotInstanceRequestId"] for each in second["SpotInstanceRequests"]} & set(ids)
    assert len(open_requests(ec2, name)) == 2  # of the three left, a page


def test_a_fleet_s_history_tells_of_its_launches(ec2: EC2Client, fleet: Fleet, instances: Instances) -> None:
    name = fleet(2)
    answer = ec2.describe_spot_fleet_request_history(SpotFleetRequestId=name, StartTime=EPOCH)
    told = [(each["EventType"], each["EventInformation"]["EventSubType"]) for each in answer["HistoryRecords"]]
    assert told == [
        ("fleetRequestChange", "submitted"),
        ("fleetRequestChange", "active"),
        ("instanceChange", "launched"),
        ("instanceChange", "launched"),
    ]
    launched = {each["EventInformation"].get("InstanceId") for each in answer["HistoryRecords"]} - {None}
    assert launched == {each["InstanceId"] for each in instances()}


def test_a_fleet_names_its_living_instances(ec2: EC2Client, fleet: Fleet, instances: Instances, settle: Settle) -> None:
    name = fleet(2)
    gone, stays = (each["InstanceId"] for each in instances())
    ec2.terminate_instances(InstanceIds=[gone])
    settle(1)
    told = ec2.describe_spot_fleet_instances(SpotFleetRequestId=name)["ActiveInstances"]
    assert [each["InstanceId"] for each in told] == [stays]


def test_prices_differ_by_zone_and_stay_below_on_demand(ec2: EC2Client) -> None:
    rows = ec2.describe_spot_price_history(InstanceTypes=["c5.large"], StartTime=datetime.now(UTC))["SpotPriceHistory"]
    assert {row["AvailabilityZone"] for row in rows} == {"us-east-2a", "us-east-2b", "us-east-2c"}
    assert len({row["SpotPrice"] for row in rows}) == 3
    assert all(0.01 < float(row["SpotPrice"]) < 0.085 for row in rows)


def test_a_thousand_instances_are_launched_and_described_whole(
    template: Fleet, fleet: Fleet, instances: Instances
) -> None:
    owner = [{"Key": "htcondor:Owner", "Value": "alice"}]
    used = template(TagSpecifications=[{"ResourceType": "instance", "Tags": owner}])
    fleet(1000, template=used)
    assert len(instances(**{"tag:htcondor:Owner": "alice"})) == 1000


def test_prices_that_jump_tenfold_stop_at_the_ceiling(local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet) -> None:
    def price() -> float:
        rows = ec2.describe_spot_price_history(
            InstanceTypes=["c5.large"], AvailabilityZone="us-east-2a", StartTime=datetime.now(UTC)
        )["SpotPriceHistory"]
        return float(rows[0]["SpotPrice"])

    before = price()
    local_cloud.world.settings = Settings(spot_price_factor=10)
    assert price() == pytest.approx(10 * before, rel=0.001)
    [waiting] = open_requests(ec2, fleet(1, zones="a"))
    assert waiting["Status"]["Code"] == "price-too-low"


def test_a_shortage_may_be_one_of_the_spot_market_alone(local_cloud: LocalCloud, ec2: EC2Client, fleet: Fleet) -> None:
    local_cloud.world.faults.add(CapacityFault(0, types=("c5.large",), market="spot"))
    assert len(open_requests(ec2, fleet(1, zones="a"))) == 1
    assert local_cloud.world.faults.room("c5.large", "us-east-2a", "on-demand") is None
