"""From a recipe to a fleet request: what EC2 is told, and what happens when its answer was lost."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws
from types_boto3_ec2 import EC2Client

from annex_core.adapters.ec2 import Ec2Cloud
from annex_core.adapters.ec2_launches import document
from annex_core.adapters.ec2_requests import RootVolume, launch_template_data
from annex_core.errors import NotPermitted, OutcomeUnknown, OverQuota, Refused, Throttled
from annex_core.model.route import FleetApi, Market
from annex_core.ports import Launched, LaunchRequest, Override, TemplateRef, TemplateRequest

ROOT = RootVolume("/dev/sda1", 8)
TAGS = {
    "htcondor:Pool": "pool.example",
    "htcondor:AccessPoint": "ap.example",
    "htcondor:Owner": "alice",
    "htcondor:AnnexName": "blue",
    "htcondor:LeaseEnds": "2026-11-21T16:00:00Z",
}
TAG_LIST = [{"Key": key, "Value": TAGS[key]} for key in sorted(TAGS)]
TEMPLATE = TemplateRequest(
    name="blue-0123456789",
    client_token="blue-0123456789_t1",
    image="ami-1",
    user_data="#!/bin/sh\nexec true\n",
    tags=TAGS,
    security_groups=("sg-1", "sg-2"),
    key_name="admin",
    instance_profile="annex",
    volume_gib=20,
)
FLEET = LaunchRequest(
    api=FleetApi.SPOT_FLEET,
    market=Market.SPOT,
    client_token="blue-0123456789_f1",
    template=TemplateRef("lt-1", 3),
    overrides=(
        Override("c5.large", "subnet-a", Decimal("0.085")),
        Override("c5.large", "subnet-b", None),
    ),
    target=7,
    allocation_strategy="priceCapacityOptimized",
    valid_from=datetime(2026, 11, 21, 8, 0, 0, 987654, tzinfo=UTC),
    valid_until=datetime(2026, 11, 22, 9, 0, tzinfo=timezone(timedelta(hours=1))),
    fleet_role="arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
    tags=TAGS,
)


@pytest.fixture
def ec2() -> EC2Client:
    return boto3.client("ec2", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")


@pytest.fixture
def stub(ec2: EC2Client) -> Iterator[Stubber]:
    with Stubber(ec2) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


@pytest.fixture
def cloud(ec2: EC2Client) -> Ec2Cloud:
    ssm = boto3.client("ssm", region_name="us-east-2", aws_access_key_id="AKIAEXAMPLE", aws_secret_access_key="hush")
    return Ec2Cloud(ec2, ec2, ssm)


@pytest.fixture
def image(ec2: EC2Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An AMI with a root volume of 8 GiB at /dev/sda1, in an account of its own."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
    with mock_aws():
        yield ec2.register_image(
            Name="annex",
            RootDeviceName="/dev/sda1",
            BlockDeviceMappings=[{"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8}}],
        )["ImageId"]


def template_data(**wishes: Any) -> dict[str, Any]:
    return dict(launch_template_data(replace(TEMPLATE, **wishes), ROOT))


def describe_image(stub: Stubber) -> None:
    stub.add_response(
        "describe_images",
        {"Images": [{"ImageId": "ami-1", "RootDeviceName": "/dev/sda1"}]},
        {"ImageIds": ["ami-1"]},
    )


# The launch template.


def test_user_data_goes_out_in_base64() -> None:
    assert base64.b64decode(template_data()["UserData"]) == b"#!/bin/sh\nexec true\n"


def test_user_data_of_16_kilobytes_is_taken() -> None:
    assert template_data(user_data="x" * 16384)


def test_longer_user_data_is_refused_with_its_size() -> None:
    with pytest.raises(Refused, match="16385 bytes, and EC2 takes 16384"):
        template_data(user_data="x" * 16385)


def test_only_imds_v2_answers_and_not_to_a_bridged_container() -> None:
    assert template_data()["MetadataOptions"] == {
        "HttpEndpoint": "enabled",
        "HttpTokens": "required",
        "HttpPutResponseHopLimit": 1,
        "InstanceMetadataTags": "enabled",
    }


def test_an_instance_that_powers_off_is_terminated() -> None:
    assert template_data()["InstanceInitiatedShutdownBehavior"] == "terminate"


def test_the_root_volume_is_encrypted_and_goes_with_its_instance() -> None:
    assert template_data(volume_gib=30)["BlockDeviceMappings"] == [
        {
            "DeviceName": "/dev/sda1",
            "Ebs": {"VolumeSize": 30, "VolumeType": "gp3", "Encrypted": True, "DeleteOnTermination": True},
        }
    ]


def test_every_other_volume_of_an_image_is_encrypted_and_goes_with_its_instance_too(
    cloud: Ec2Cloud, stub: Stubber
) -> None:
    """Of a launch template and of RunInstances alike; what is no EBS volume is left alone."""
    mappings = [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 8, "SnapshotId": "snap-1"}},
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 50, "SnapshotId": "snap-2", "DeleteOnTermination": False}},
        {"DeviceName": "/dev/sdc", "Ebs": {"SnapshotId": "snap-3", "DeleteOnTermination": False, "Encrypted": False}},
        {"DeviceName": "/dev/sdd", "VirtualName": "ephemeral0"},
    ]
    stub.add_response(
        "describe_images",
        {"Images": [{"ImageId": "ami-1", "RootDeviceName": "/dev/sda1", "BlockDeviceMappings": mappings}]},
        {"ImageIds": ["ami-1"]},
    )
    volumes = [
        *template_data()["BlockDeviceMappings"],
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 50, "Encrypted": True, "DeleteOnTermination": True}},
        {"DeviceName": "/dev/sdc", "Ebs": {"Encrypted": True, "DeleteOnTermination": True}},
    ]
    stub.add_response(
        "create_launch_template_version",
        {"LaunchTemplateVersion": {"LaunchTemplateId": "lt-1", "VersionNumber": 2}},
        {
            "LaunchTemplateId": "lt-1",
            "ClientToken": "blue-0123456789_t1",
            "LaunchTemplateData": template_data() | {"BlockDeviceMappings": volumes},
        },
    )
    cloud.put_template(TEMPLATE, existing="lt-1")
    inline = replace(FLEET, api=FleetApi.RUN_INSTANCES, template=TEMPLATE, overrides=FLEET.overrides[:1])
    assert json.loads(cloud.encode(inline))["parameters"]["BlockDeviceMappings"] == volumes


def test_a_fleet_configuration_leaves_out_a_volume_of_the_image_or_changes_it() -> None:
    two = RootVolume("/dev/sda1", 8, (("/dev/sdb", 50), ("/dev/sdc", 60)))
    theirs = [{"DeviceName": "/dev/sdb", "NoDevice": ""}, {"DeviceName": "/dev/sdc", "Ebs": {"VolumeType": "gp3"}}]
    data = launch_template_data(replace(TEMPLATE, data={"BlockDeviceMappings": theirs}), two)
    found = {each["DeviceName"]: each for each in data["BlockDeviceMappings"]}
    assert found["/dev/sdb"] == {"DeviceName": "/dev/sdb", "NoDevice": ""}
    assert found["/dev/sdc"]["Ebs"] == {
        "VolumeSize": 60,
        "VolumeType": "gp3",
        "Encrypted": True,
        "DeleteOnTermination": True,
    }


def test_a_volume_smaller_than_the_image_is_refused_with_both_sizes() -> None:
    with pytest.raises(Refused, match="6 GiB can't hold ami-1, whose root has 8 GiB"):
        template_data(volume_gib=6)


def test_instances_and_volumes_get_the_annex_tags() -> None:
    assert template_data()["TagSpecifications"] == [
        {"ResourceType": "instance", "Tags": TAG_LIST},
        {"ResourceType": "volume", "Tags": TAG_LIST},
    ]


def test_an_instance_profile_may_be_an_arn() -> None:
    arn = "arn:aws:iam::123456789012:instance-profile/annex"
    assert template_data(instance_profile=arn)["IamInstanceProfile"] == {"Arn": arn}


def test_what_the_route_leaves_out_stays_out() -> None:
    plain = template_data(security_groups=(), key_name=None, instance_profile=None)
    assert not plain.keys() & {"SecurityGroupIds", "KeyName", "IamInstanceProfile"}


def test_a_new_template_is_named_tokened_and_tagged(cloud: Ec2Cloud, stub: Stubber) -> None:
    describe_image(stub)
    stub.add_response(
        "create_launch_template",
        {"LaunchTemplate": {"LaunchTemplateId": "lt-1", "LatestVersionNumber": 1}},
        {
            "LaunchTemplateName": "blue-0123456789",
            "ClientToken": "blue-0123456789_t1",
            "LaunchTemplateData": {
                **template_data(),
                "SecurityGroupIds": ["sg-1", "sg-2"],
                "KeyName": "admin",
                "IamInstanceProfile": {"Name": "annex"},
            },
            "TagSpecifications": [{"ResourceType": "launch-template", "Tags": TAG_LIST}],
        },
    )
    assert cloud.put_template(TEMPLATE, existing=None) == TemplateRef("lt-1", 1)


def test_a_change_is_a_new_version_that_holds_everything(cloud: Ec2Cloud, stub: Stubber) -> None:
    describe_image(stub)
    stub.add_response(
        "create_launch_template_version",
        {"LaunchTemplateVersion": {"LaunchTemplateId": "lt-1", "VersionNumber": 2}},
        {
            "LaunchTemplateId": "lt-1",
            "ClientToken": "blue-0123456789_t1",
            "LaunchTemplateData": template_data(),
        },
    )
    assert cloud.put_template(TEMPLATE, existing="lt-1") == TemplateRef("lt-1", 2)


def test_a_template_whose_answer_was_lost_is_taken_over(cloud: Ec2Cloud, image: str) -> None:
    lost = cloud.put_template(replace(TEMPLATE, image=image), existing=None)
    again = replace(TEMPLATE, image=image, tags=TAGS | {"htcondor:LeaseEnds": "2026-11-21T17:00:00Z"})
    assert cloud.put_template(again, existing=None) == TemplateRef(lost.id, 2)


def test_a_token_that_ec2_knows_with_older_user_data_is_taken_over(cloud: Ec2Cloud, stub: Stubber) -> None:
    describe_image(stub)
    stub.add_client_error("create_launch_template", service_error_code="IdempotentParameterMismatch")
    stub.add_response(
        "describe_launch_templates",
        {"LaunchTemplates": [{"LaunchTemplateId": "lt-1", "Tags": TAG_LIST}]},
        {"Filters": [{"Name": "launch-template-name", "Values": ["blue-0123456789"]}]},
    )
    stub.add_response("create_launch_template_version", {"LaunchTemplateVersion": {"VersionNumber": 2}})
    assert cloud.put_template(TEMPLATE, existing=None) == TemplateRef("lt-1", 2)


def test_a_template_of_which_nobody_heard_is_found_by_its_name_and_tags_alone(cloud: Ec2Cloud, image: str) -> None:
    assert cloud.find_template(TEMPLATE.name, TAGS) is None
    unheard = cloud.put_template(replace(TEMPLATE, image=image), existing=None)
    assert cloud.find_template(TEMPLATE.name, TAGS) == unheard.id
    assert cloud.find_template(TEMPLATE.name, TAGS | {"htcondor:Owner": "bob"}) is None


def test_another_s_template_of_that_name_is_refused(cloud: Ec2Cloud, image: str) -> None:
    bobs = TAGS | {"htcondor:Owner": "bob"}
    cloud.put_template(replace(TEMPLATE, image=image, tags=bobs), existing=None)
    with pytest.raises(Refused, match="isn't this annex's"):
        cloud.put_template(replace(TEMPLATE, image=image), existing=None)


def test_a_template_that_somebody_deleted_is_made_again(cloud: Ec2Cloud, image: str) -> None:
    gone = cloud.put_template(replace(TEMPLATE, image=image), existing=None)
    cloud.delete_template(gone.id)
    again = cloud.put_template(replace(TEMPLATE, image=image), existing=gone.id)
    assert again.id != gone.id
    assert again.version == 1


def test_deleting_a_template_that_is_gone_already_is_fine(cloud: Ec2Cloud, image: str) -> None:
    gone = cloud.put_template(replace(TEMPLATE, image=image), existing=None)
    cloud.delete_template(gone.id)
    cloud.delete_template(gone.id)


# The fleet request.


def test_a_fleet_request_says_everything_that_binds_it() -> None:
    assert json.loads(document(FLEET)) == {
        "api": "spot-fleet",
        "parameters": {
            "SpotFleetRequestConfig": {
                "Type": "request",
                "ClientToken": "blue-0123456789_f1",
                "IamFleetRole": "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
                "AllocationStrategy": "priceCapacityOptimized",
                "TargetCapacity": 7,
                "ValidFrom": "2026-11-21T08:00:00Z",
                "ValidUntil": "2026-11-22T08:00:00Z",
                "TerminateInstancesWithExpiration": True,
                "ReplaceUnhealthyInstances": False,
                "InstanceInterruptionBehavior": "terminate",
                "LaunchTemplateConfigs": [
                    {
                        "LaunchTemplateSpecification": {"LaunchTemplateId": "lt-1", "Version": "3"},
                        "Overrides": [
                            {
                                "InstanceType": "c5.large",
                                "SubnetId": "subnet-a",
                                "SpotPrice": "0.085",
                                "WeightedCapacity": 1,
                            },
                            {"InstanceType": "c5.large", "SubnetId": "subnet-b", "WeightedCapacity": 1},
                        ],
                    }
                ],
                "TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": TAG_LIST}],
            }
        },
    }


def test_a_price_is_never_written_with_an_exponent() -> None:
    cheap = replace(FLEET, overrides=(Override("t3.nano", "subnet-a", Decimal("1E-7")),))
    assert '"SpotPrice":"0.0000001"' in document(cheap)


def test_equal_requests_are_equal_documents() -> None:
    reordered = replace(FLEET, tags=dict(reversed(TAGS.items())))
    assert document(reordered) == document(FLEET)


def test_the_document_is_sent_as_it_stands(cloud: Ec2Cloud, stub: Stubber) -> None:
    text = cloud.encode(FLEET)
    stub.add_response("request_spot_fleet", {"SpotFleetRequestId": "sfr-1"}, json.loads(text)["parameters"])
    assert cloud.request(text) == Launched("sfr-1")


def test_a_bare_document_of_an_older_journal_is_request_spot_fleet_s(cloud: Ec2Cloud, stub: Stubber) -> None:
    parameters = json.loads(cloud.encode(FLEET))["parameters"]
    stub.add_response("request_spot_fleet", {"SpotFleetRequestId": "sfr-1"}, parameters)
    assert cloud.request(json.dumps(parameters)) == Launched("sfr-1")


def test_the_same_document_is_the_same_bytes_on_the_wire(ec2: EC2Client, cloud: Ec2Cloud, image: str) -> None:
    sent: list[str] = []

    def keep(request: Any, **_: object) -> None:
        sent.append(request.body)

    template = cloud.put_template(replace(TEMPLATE, image=image), existing=None)
    subnets = [subnet["SubnetId"] for subnet in ec2.describe_subnets()["Subnets"]]
    text = cloud.encode(
        replace(FLEET, template=template, overrides=(Override("c5.large", subnets[0], Decimal("0.085")),))
    )
    ec2.meta.events.register("before-send.ec2.RequestSpotFleet", keep)
    cloud.request(text)
    cloud.request(text)
    assert "ValidUntil=2026-11-22T08%3A00%3A00Z" in sent[0]
    assert sent[0] == sent[1]


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("InternalError", 500, OutcomeUnknown),
        ("IdempotentParameterMismatch", 400, OutcomeUnknown),
        ("RequestLimitExceeded", 503, Throttled),
        ("MaxSpotFleetRequestCountExceeded", 400, OverQuota),
        ("UnauthorizedOperation", 403, NotPermitted),
        ("InvalidSpotFleetRequestConfig", 400, Refused),
    ],
)
def test_a_fleet_request_that_fails_says_what_to_do_next(
    cloud: Ec2Cloud, stub: Stubber, code: str, status: int, kind: type[Exception]
) -> None:
    stub.add_client_error("request_spot_fleet", service_error_code=code, http_status_code=status)
    with pytest.raises(kind, match=f"RequestSpotFleet: {code}"):
        cloud.request(cloud.encode(FLEET))


# Dry runs.

ONE = replace(FLEET, template=TEMPLATE, overrides=FLEET.overrides[:1], target=1)


def would(stub: Stubber, call: str, expected: Any = None) -> None:
    stub.add_client_error(call, service_error_code="DryRunOperation", http_status_code=412, expected_params=expected)


def test_a_spot_fleet_is_run_dry_with_a_launch_specification_for_there_is_no_template_yet(
    cloud: Ec2Cloud, stub: Stubber
) -> None:
    config = json.loads(cloud.encode(FLEET))["parameters"]["SpotFleetRequestConfig"]
    del config["LaunchTemplateConfigs"]
    specification = {
        "ImageId": "ami-1",
        "InstanceType": "c5.large",
        "SubnetId": "subnet-a",
        "KeyName": "admin",
        "IamInstanceProfile": {"Name": "annex"},
        "SecurityGroups": [{"GroupId": "sg-1"}, {"GroupId": "sg-2"}],
        "BlockDeviceMappings": template_data()["BlockDeviceMappings"],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": TAG_LIST}],
    }
    describe_image(stub)
    would(stub, "create_launch_template")
    asked = config | {"TargetCapacity": 1, "LaunchSpecifications": [specification]}
    would(stub, "request_spot_fleet", {"SpotFleetRequestConfig": asked, "DryRun": True})
    would(stub, "run_instances")
    assert cloud.objections(ONE, "ami-1") == []


@pytest.mark.parametrize("code", ["InvalidLaunchTemplateId.NotFound", "InvalidLaunchTemplateName.NotFoundException"])
def test_that_the_template_of_an_ec2_fleet_is_yet_to_be_made_is_no_objection(
    cloud: Ec2Cloud, stub: Stubber, code: str
) -> None:
    describe_image(stub)
    would(stub, "create_launch_template")
    stub.add_client_error("create_fleet", service_error_code=code)
    would(stub, "run_instances")
    assert cloud.objections(replace(ONE, api=FleetApi.EC2_FLEET), "ami-1") == []


def test_a_dry_run_takes_no_user_data(cloud: Ec2Cloud, stub: Stubber) -> None:
    describe_image(stub)
    data = template_data()
    del data["UserData"]
    made = {"LaunchTemplateName": TEMPLATE.name, "ClientToken": TEMPLATE.client_token, "LaunchTemplateData": data}
    tagged = [{"ResourceType": "launch-template", "Tags": TAG_LIST}]
    would(stub, "create_launch_template", made | {"TagSpecifications": tagged, "DryRun": True})
    would(stub, "create_fleet")
    would(stub, "run_instances")
    assert cloud.objections(replace(ONE, api=FleetApi.EC2_FLEET), "ami-1") == []
