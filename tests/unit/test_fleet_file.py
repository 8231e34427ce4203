"""Spot Fleet configurations as exported: what is kept, overridden and said, or refused by name."""

from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters.schemas import schema
from annex_core.errors import BadRequest
from annex_core.fleet_file.configuration import FleetConfig, fleet_config, foreign_role
from tests.unit.fleet_files import with_specification, with_specifications, with_templates

ROLE = "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role"


def read(found: object) -> FleetConfig:
    return fleet_config(found, schema("spot-fleet"))


def why_not(found: object) -> str:
    with pytest.raises(BadRequest) as refused:
        read(found)
    return str(refused.value)


def test_what_the_console_exports_is_taken_as_it_is() -> None:
    config = read(with_specifications())

    assert config.attributes == {
        "AllocationStrategy": "lowestPrice",
        "InstancePoolsToUseCount": 2,
        "ExcessCapacityTerminationPolicy": "default",
        "TargetCapacityUnitType": "units",
    }
    assert config.role == ROLE
    assert config.target == 8
    assert config.tags == {"Group": "physics"}


def test_the_parameters_of_a_call_are_taken_too() -> None:
    assert read({"SpotFleetRequestConfig": with_specifications()}) == read(with_specifications())


def test_specifications_that_differ_in_type_place_weight_and_price_share_a_template() -> None:
    (specification,) = read(with_specifications()).specifications

    assert [(pool.instance_type, pool.subnet, pool.weight) for pool in specification.pools] == [
        ("c5.large", "subnet-0123456789abcdef0", Decimal(2)),
        ("c5.large", "subnet-0123456789abcdef1", Decimal(2)),
        ("c5.xlarge", "subnet-0123456789abcdef0", Decimal(4)),
    ]


def test_specifications_that_differ_in_more_get_templates_of_their_own() -> None:
    found = with_specifications()
    found["LaunchSpecifications"][1]["ImageId"] = "ami-0fedcba9876543210"

    images = [each.data["ImageId"] for each in read(found).specifications]

    assert images == ["ami-0123456789abcdef0", "ami-0fedcba9876543210"]


def test_every_attribute_of_a_specification_arrives_in_the_template() -> None:
    (specification,) = read(with_specification()).specifications

    assert specification.user_data == "#!/bin/sh\necho hello\n"
    assert specification.data == {
        "ImageId": "ami-0123456789abcdef0",
        "KeyName": "site",
        "EbsOptimized": True,
        "Monitoring": {"Enabled": False},
        "IamInstanceProfile": {"Arn": "arn:aws:iam::123456789012:instance-profile/annex"},
        "SecurityGroupIds": ["sg-0123456789abcdef0"],
        "Placement": {"Tenancy": "default"},
        "BlockDeviceMappings": [
            {
                "DeviceName": "/dev/xvda",
                "Ebs": {
                    "DeleteOnTermination": True,
                    "VolumeType": "gp2",
                    "VolumeSize": 30,
                    "SnapshotId": "snap-0123456789abcdef0",
                },
            },
            {"DeviceName": "/dev/xvdb", "VirtualName": "ephemeral0"},
        ],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "CostCenter", "Value": "12, 13=x"}]}],
    }


def test_prices_are_for_a_unit_of_weight_and_the_fleets_own_for_what_names_none() -> None:
    assert read(with_specifications()).max_prices() == {"c5.large": Decimal("0.10"), "c5.xlarge": Decimal("0.48")}


def test_a_type_with_one_pool_that_names_no_price_has_no_ceiling() -> None:
    found = with_templates()
    found["LaunchTemplateConfigs"][0]["Overrides"].append({"InstanceType": "m5.large", "SubnetId": "subnet-00"})

    assert read(found).max_prices() == {}


def test_numbers_of_any_spelling_become_what_aws_takes() -> None:
    found = with_specification(SpotPrice=0.00001, WeightedCapacity="1.5", EbsOptimized="FALSE")
    found["TargetCapacity"] = 8.0

    config = read(found)

    (specification,) = config.specifications
    assert specification.pools[0].max_price == Decimal("0.000015")
    assert specification.pools[0].weight == Decimal("1.5")
    assert specification.data["EbsOptimized"] is False
    assert config.target == 8


def test_dozens_of_attributes_are_no_hindrance() -> None:
    assert len(with_specifications()) + len(with_specification()["LaunchSpecifications"][0]) > 24
    read(with_specifications(SpotMaxTotalPrice="3.5", OnDemandTargetCapacity=0, OnDemandMaxTotalPrice=1))


def test_what_would_defeat_the_lease_is_overridden_and_said() -> None:
    notes = read(with_specifications(SpotMaintenanceStrategies={"CapacityRebalance": {}})).notes

    assert sorted(note.partition(":")[0] for note in notes) == [
        "ReplaceUnhealthyInstances",
        "SpotMaintenanceStrategies",
        "TerminateInstancesWithExpiration",
        "Type",
        "ValidFrom",
        "ValidUntil",
    ]


def test_what_agrees_with_the_lease_needs_no_word() -> None:
    assert read(with_templates(TerminateInstancesWithExpiration=True, ReplaceUnhealthyInstances=False)).notes == ()


def test_a_client_token_is_overridden_and_said() -> None:
    assert "ClientToken" in read(with_templates(ClientToken="mine")).notes[0]


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"InstanceInterruptionBehavior": "stop"}, "InstanceInterruptionBehavior: stop"),
        ({"InstanceInterruptionBehavior": "hibernate"}, "InstanceInterruptionBehavior: hibernate"),
        ({"OnDemandTargetCapacity": 2}, "OnDemandTargetCapacity"),
        ({"TargetCapacityUnitType": "vcpu"}, "TargetCapacityUnitType"),
        ({"TargetCapacity": 0}, "TargetCapacity"),
        ({"TargetCapacity": "many"}, "TargetCapacity: it takes a whole number, not 'many'"),
        ({"TargetCapacity": True}, "TargetCapacity: it takes a number, not true"),
        ({"SpotPrice": "free"}, "SpotPrice"),
        ({"SpotMaxTotalPrice": "-3"}, "SpotMaxTotalPrice"),
        ({"AllocationStrategy": "cheapest"}, "AllocationStrategy: it takes one of lowestPrice"),
        ({"Allocationstrategy": "lowestPrice"}, "did you mean AllocationStrategy?"),
        ({"SpotFleetRequestId": "sfr-1"}, "SpotFleetRequestId: AWS has no such attribute"),
        ({"LaunchSpecifications": []}, "either LaunchSpecifications or LaunchTemplateConfigs, one"),
        ({"LaunchSpecifications": "x"}, "LaunchSpecifications: it takes a list"),
        ({"LaunchTemplateConfigs": [{}]}, "either LaunchSpecifications or LaunchTemplateConfigs, not both"),
        ({"TagSpecifications": [{"ResourceType": "instance", "Tags": []}]}, "instance can't be tagged here"),
        (
            {"TagSpecifications": [{"ResourceType": "spot-fleet-request", "Tags": [{"Key": "htcondor:Pool"}]}]},
            "the annex's own",
        ),
    ],
)
def test_what_can_not_be_kept_of_a_fleet_is_refused_by_name(changed: dict[str, Any], named: str) -> None:
    assert named in why_not(with_specifications(**changed))


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"AddressingType": "public"}, "LaunchSpecifications[0].AddressingType"),
        ({"InstanceRequirements": {"VCpuCount": {"Min": 2}}}, "LaunchSpecifications[0].InstanceRequirements"),
        ({"InstanceType": None}, "LaunchSpecifications[0].InstanceType: missing"),
        ({"WeightedCapacity": 0}, "LaunchSpecifications[0].WeightedCapacity: 0"),
        ({"UserData": "not base64!"}, "LaunchSpecifications[0].UserData: not base64"),
        ({"UserData": "/+4="}, "LaunchSpecifications[0].UserData: not text"),
        ({"ImageId": "resolve:ssm:/x"}, "LaunchSpecifications[0].ImageId"),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"DeleteOnTermination": "false"}}]},
            "BlockDeviceMappings[0].Ebs.DeleteOnTermination",
        ),
        (
            {"BlockDeviceMappings": [{"DeviceName": "/dev/sdb", "Ebs": {"OutpostArn": "arn:x"}}]},
            "BlockDeviceMappings[0].Ebs.OutpostArn",
        ),
        ({"NetworkInterfaces": [{"NetworkInterfaceId": "eni-1"}]}, "NetworkInterfaces[0].NetworkInterfaceId"),
        ({"NetworkInterfaces": [{"DeleteOnTermination": False}]}, "NetworkInterfaces[0].DeleteOnTermination"),
        ({"SecurityGroups": [{"GroupId": "sg-1"}, {"GroupName": "web"}]}, "SecurityGroups: web has no GroupId"),
        (
            {"TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Cost Center", "Value": "1"}]}]},
            "'Cost Center'",
        ),
        ({"TagSpecifications": [{"ResourceType": "fleet", "Tags": []}]}, "fleet can't be tagged here"),
    ],
)
def test_what_can_not_be_kept_of_a_specification_is_refused_by_name(changed: dict[str, Any], named: str) -> None:
    assert named in why_not(with_specification(**changed))


def test_an_unencrypted_volume_is_encrypted_and_said() -> None:
    volume = {"DeviceName": "/dev/sdb", "Ebs": {"Encrypted": False, "VolumeSize": 1}}

    assert any("Encrypted" in note for note in read(with_specification(BlockDeviceMappings=[volume])).notes)


@pytest.mark.parametrize("found", [[], [with_specifications()], "x", 3, None, {}])
def test_what_is_no_configuration_is_refused(found: object) -> None:
    assert "the fleet configuration: " in why_not(found)


def test_templates_are_named_with_their_overrides() -> None:
    (specification,) = read(with_templates()).specifications

    assert specification.source is not None
    assert (specification.source.template, specification.source.version) == ("lt-0123456789abcdef0", "$Latest")
    assert [(pool.instance_type, pool.subnet, pool.place, pool.max_price) for pool in specification.pools] == [
        ("c5.large", "subnet-0123456789abcdef0", (), None),
        ("m5.large", None, (("AvailabilityZone", "us-east-2b"), ("Priority", 2.0)), Decimal("0.105")),
    ]


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"Overrides": [{"InstanceType": "c5.large"}]}, "names no template"),
        ({"LaunchTemplateSpecification": {"LaunchTemplateName": "x"}}, "Overrides: none"),
    ],
)
def test_a_template_without_name_or_types_is_refused(config: dict[str, Any], named: str) -> None:
    assert named in why_not(with_templates(LaunchTemplateConfigs=[config]))


def test_the_most_machines_for_a_capacity_are_counted_by_the_lightest() -> None:
    config = read(with_specifications())

    assert config.instances(9) == 5
    assert config.capacity(5) == 10
    assert read(with_templates()).instances(3) == 3


def test_another_accounts_role_is_refused() -> None:
    theirs = ROLE.replace("123456789012", "210987654321")

    assert "account 210987654321" in str(foreign_role(theirs, ROLE))
    assert "no role's ARN" in str(foreign_role("admin", ROLE))
    assert foreign_role(ROLE, ROLE) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(with_specifications())), _JSON)
def test_no_value_of_a_fleet_attribute_is_more_than_a_bad_request(name: str, value: object) -> None:
    with suppress(BadRequest):
        read(with_specifications(**{name: value}))


@given(st.sampled_from(sorted(schema("spot-fleet")["$defs"]["SpotFleetLaunchSpecification"]["properties"])), _JSON)
def test_no_value_of_a_specifications_attribute_is_more_than_a_bad_request(name: str, value: object) -> None:
    with suppress(BadRequest):
        read(with_specification(**{name: value}))
