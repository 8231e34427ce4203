"""What the printed policies allow, and what they don't."""

import json
from pathlib import Path
from typing import Any

import pytest

from annex_core.account.policies import BY_PROJECT, POLICIES, policy
from annex_core.cli.main import main
from tests.iam import Context, allowed

ACCOUNT = "123456789012"
POOL = "ap.example.org"
OURS = {"aws:ResourceTag/htcondor:Pool": POOL}
BECOMES_OURS = {"aws:RequestTag/htcondor:Pool": POOL}
ANOTHERS = {"aws:ResourceTag/htcondor:Pool": "ap.elsewhere.org"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/condor-annex-fleet-us-east-2"
INSTANCE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/condor-annex-instance-us-east-2"
BUNDLE = f"arn:aws:s3:::condor-annex-{ACCOUNT}-us-east-2/config-blue-0123456789.tar.gz"
_MOST_CHARACTERS = 6144
"""Of a managed policy, white space not counted."""


def ec2(thing: str, *, account: str = ACCOUNT) -> str:
    return f"arn:aws:ec2:us-east-2:{account}:{thing}"


FLEET, INSTANT, INSTANCE = ec2("spot-fleet-request/sfr-1"), ec2("fleet/fleet-1"), ec2("instance/i-1")
TEMPLATE, OPEN_REQUEST = ec2("launch-template/lt-1"), ec2("spot-instances-request/sir-1")


@pytest.fixture
def daily() -> dict[str, Any]:
    return policy("daily", partition="aws", account=ACCOUNT, pool=POOL)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("ec2:DescribeInstances", "*", {}),
        ("ec2:DescribeSpotFleetRequests", "*", {}),
        ("ssm:GetParameter", f"arn:aws:ssm:us-east-2:{ACCOUNT}:parameter/condor-annex/image", {}),
        ("ec2:RequestSpotFleet", FLEET, BECOMES_OURS),
        ("ec2:RequestSpotFleet", TEMPLATE, OURS),
        ("ec2:RequestSpotFleet", "arn:aws:ec2:us-east-2::image/ami-1", {}),
        ("ec2:CreateFleet", INSTANT, BECOMES_OURS),
        ("ec2:CreateFleet", INSTANCE, BECOMES_OURS),
        ("ec2:CreateFleet", TEMPLATE, OURS),
        ("ec2:CreateTags", INSTANT, BECOMES_OURS | {"ec2:CreateAction": "CreateFleet"}),
        ("ec2:DeleteFleets", INSTANT, OURS),
        ("ec2:RunInstances", INSTANCE, BECOMES_OURS),
        ("ec2:RunInstances", ec2("volume/*"), BECOMES_OURS),
        ("ec2:RunInstances", ec2("subnet/subnet-1"), {}),
        ("ec2:CreateTags", FLEET, BECOMES_OURS | {"ec2:CreateAction": "RequestSpotFleet"}),
        ("ec2:CreateTags", TEMPLATE, BECOMES_OURS | {"ec2:CreateAction": "CreateLaunchTemplate"}),
        ("iam:PassRole", ROLE, {"iam:PassedToService": "spotfleet.amazonaws.com"}),
        ("iam:PassRole", INSTANCE_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("ec2:CreateLaunchTemplate", TEMPLATE, BECOMES_OURS),
        ("ec2:CreateLaunchTemplateVersion", TEMPLATE, OURS),
        ("ec2:DeleteLaunchTemplate", TEMPLATE, OURS),
        ("ec2:CancelSpotFleetRequests", FLEET, OURS),
        ("ec2:TerminateInstances", INSTANCE, OURS),
        ("ec2:CancelSpotInstanceRequests", OPEN_REQUEST, {"aws:ResourceTag/aws:ec2spot:fleet-request-id": "sfr-1"}),
        ("s3:PutObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
        ("s3:PutObjectTagging", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
        ("s3:GetObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
    ],
)
def test_the_daemon_may_do_its_work(daily: dict[str, Any], action: str, resource: str, context: Context) -> None:
    assert allowed(daily, action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        pytest.param("ec2:CancelSpotFleetRequests", FLEET, ANOTHERS, id="another pool's fleet"),
        pytest.param("ec2:CancelSpotFleetRequests", FLEET, {}, id="a fleet without our tag"),
        pytest.param(
            "ec2:CancelSpotFleetRequests",
            FLEET,
            {"aws:ResourceTag/htcondor:ProjectID": POOL},
            id="a fleet with another tag of that value",
        ),
        pytest.param("ec2:CreateFleet", INSTANT, {}, id="an untagged EC2 Fleet"),
        pytest.param("ec2:CreateFleet", TEMPLATE, ANOTHERS, id="an EC2 Fleet from another pool's template"),
        pytest.param("ec2:DeleteFleets", INSTANT, ANOTHERS, id="another pool's EC2 Fleet"),
        pytest.param("ec2:TerminateInstances", INSTANCE, ANOTHERS, id="another pool's instance"),
        pytest.param("ec2:TerminateInstances", INSTANCE, {}, id="an instance of nobody's"),
        pytest.param("ec2:TerminateInstances", ec2("instance/i-1", account="210987654321"), OURS, id="in an account"),
        pytest.param("ec2:RunInstances", INSTANCE, {}, id="an instance that nobody could find"),
        pytest.param("ec2:RunInstances", INSTANCE, {"aws:RequestTag/htcondor:Pool": "x"}, id="for another pool"),
        pytest.param("ec2:RunInstances", TEMPLATE, ANOTHERS, id="from another pool's template"),
        pytest.param("ec2:RequestSpotFleet", FLEET, {}, id="an untagged fleet"),
        pytest.param("ec2:DeleteLaunchTemplate", TEMPLATE, ANOTHERS, id="another pool's template"),
        pytest.param("ec2:CreateTags", INSTANCE, BECOMES_OURS, id="claiming by a tag what is there already"),
        pytest.param(
            "ec2:CreateTags",
            ec2("security-group/sg-1"),
            BECOMES_OURS | {"ec2:CreateAction": "CreateSecurityGroup"},
            id="tagging what the daemon has no business with",
        ),
        pytest.param("ec2:CancelSpotInstanceRequests", OPEN_REQUEST, {}, id="a spot request that is no fleet's"),
        pytest.param(
            "iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}, id="the fleets' role for instances"
        ),
        pytest.param(
            "iam:PassRole",
            INSTANCE_ROLE,
            {"iam:PassedToService": "lambda.amazonaws.com"},
            id="the instances' for others",
        ),
        pytest.param(
            "iam:PassRole",
            f"arn:aws:iam::{ACCOUNT}:role/Administrator",
            {"iam:PassedToService": "spotfleet.amazonaws.com"},
            id="another role",
        ),
        pytest.param("s3:PutObject", BUNDLE, {"aws:ResourceAccount": "210987654321"}, id="a bucket of a squatter's"),
        pytest.param(
            "s3:GetObject", "arn:aws:s3:::thesis/config-1", {"aws:ResourceAccount": ACCOUNT}, id="another bucket"
        ),
        pytest.param("ssm:GetParameter", f"arn:aws:ssm:us-east-2:{ACCOUNT}:parameter/db/password", {}, id="a secret"),
        pytest.param("iam:CreateRole", ROLE, {}, id="setting up"),
        pytest.param("s3:DeleteBucket", BUNDLE.partition("/")[0], {"aws:ResourceAccount": ACCOUNT}, id="tearing down"),
    ],
)
def test_the_daemon_may_not_touch(daily: dict[str, Any], action: str, resource: str, context: Context) -> None:
    assert not allowed(daily, action, resource, context)


def test_the_daemon_may_read_which_images_are_published(daily: dict[str, Any]) -> None:
    """By the policy's text: the simulator knows no parameter without an account, as AWS's own are."""
    [images] = [each for each in daily["Statement"] if each["Sid"] == "ReadParameters"]
    assert "arn:aws:ssm:*::parameter/aws/service/*" in images["Resource"]


OUR_PROJECT = {"aws:ResourceTag/htcondor:ProjectID": "physics"}
BECOMES_OUR_PROJECTS = {"aws:RequestTag/htcondor:ProjectID": "physics"}
ANOTHER_PROJECT = {"aws:ResourceTag/htcondor:ProjectID": "chemistry"}
BECOMES_ANOTHERS = {"aws:RequestTag/htcondor:ProjectID": "chemistry"}


class TestOfOneProject:
    @pytest.fixture
    def physics(self) -> dict[str, Any]:
        return policy("daily", partition="aws", account=ACCOUNT, pool=POOL, project="physics")

    @pytest.mark.parametrize(
        ("action", "resource", "context"),
        [
            ("ec2:DescribeInstances", "*", {}),
            ("ec2:RequestSpotFleet", FLEET, BECOMES_OURS | BECOMES_OUR_PROJECTS),
            ("ec2:RequestSpotFleet", TEMPLATE, OURS | OUR_PROJECT),
            ("ec2:RunInstances", INSTANCE, BECOMES_OURS | BECOMES_OUR_PROJECTS),
            ("ec2:RunInstances", ec2("subnet/subnet-1"), {}),
            ("ec2:CreateLaunchTemplate", TEMPLATE, BECOMES_OURS | BECOMES_OUR_PROJECTS),
            ("ec2:CreateTags", FLEET, BECOMES_OURS | BECOMES_OUR_PROJECTS | {"ec2:CreateAction": "RequestSpotFleet"}),
            ("ec2:CreateTags", INSTANCE, OURS | OUR_PROJECT | {"aws:TagKeys": ["htcondor:LeaseEnds"]}),
            ("ec2:CancelSpotFleetRequests", FLEET, OURS | OUR_PROJECT),
            ("ec2:DeleteFleets", INSTANT, OURS | OUR_PROJECT),
            ("ec2:TerminateInstances", INSTANCE, OURS | OUR_PROJECT),
            ("ec2:DeleteLaunchTemplate", TEMPLATE, OURS | OUR_PROJECT),
            ("s3:PutObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
        ],
    )
    def test_its_annexes_come_and_go(
        self, physics: dict[str, Any], action: str, resource: str, context: Context
    ) -> None:
        assert allowed(physics, action, resource, context)

    @pytest.mark.parametrize(
        ("action", "resource", "context"),
        [
            pytest.param("ec2:CancelSpotFleetRequests", FLEET, OURS | ANOTHER_PROJECT, id="another project's fleet"),
            pytest.param("ec2:CancelSpotFleetRequests", FLEET, OURS, id="a fleet of no project"),
            pytest.param("ec2:CancelSpotFleetRequests", FLEET, ANOTHERS | OUR_PROJECT, id="its name in another pool"),
            pytest.param("ec2:DeleteFleets", INSTANT, OURS | ANOTHER_PROJECT, id="another project's EC2 Fleet"),
            pytest.param("ec2:TerminateInstances", INSTANCE, OURS | ANOTHER_PROJECT, id="another project's instance"),
            pytest.param("ec2:DeleteLaunchTemplate", TEMPLATE, OURS | ANOTHER_PROJECT, id="another project's template"),
            pytest.param("ec2:RunInstances", TEMPLATE, OURS | ANOTHER_PROJECT, id="from another project's template"),
            pytest.param("ec2:GetConsoleOutput", INSTANCE, OURS | ANOTHER_PROJECT, id="another project's console"),
            pytest.param(
                "ec2:CreateTags",
                INSTANCE,
                OURS | ANOTHER_PROJECT | {"aws:TagKeys": ["htcondor:LeaseEnds"]},
                id="another project's lease",
            ),
            pytest.param(
                "ec2:CreateTags",
                INSTANCE,
                OURS | OUR_PROJECT | BECOMES_ANOTHERS | {"aws:TagKeys": ["htcondor:ProjectID"]},
                id="giving away",
            ),
            pytest.param("ec2:RequestSpotFleet", FLEET, BECOMES_OURS | BECOMES_ANOTHERS, id="for another project"),
            pytest.param("ec2:RunInstances", INSTANCE, BECOMES_OURS, id="for no project"),
            pytest.param("ec2:CreateLaunchTemplate", TEMPLATE, BECOMES_OURS | BECOMES_ANOTHERS, id="a template for it"),
        ],
    )
    def test_it_may_not_touch(self, physics: dict[str, Any], action: str, resource: str, context: Context) -> None:
        assert not allowed(physics, action, resource, context)

    @pytest.mark.parametrize("name", ["no-admin", "no-admin-fleet"])
    def test_without_set_up_too(self, name: Any) -> None:
        physics = policy(name, partition="aws", account=ACCOUNT, pool=POOL, project="physics")
        lease = {"aws:TagKeys": ["htcondor:LeaseEnds"]}
        assert allowed(physics, "ec2:CreateTags", INSTANCE, OURS | OUR_PROJECT | lease)
        assert not allowed(physics, "ec2:CreateTags", INSTANCE, OURS | ANOTHER_PROJECT | lease)
        assert allowed(physics, "ec2:RunInstances", INSTANCE, BECOMES_OURS | BECOMES_OUR_PROJECTS)
        assert allowed(physics, "ec2:TerminateInstances", INSTANCE, OURS | OUR_PROJECT)
        assert not allowed(physics, "ec2:RunInstances", INSTANCE, BECOMES_OURS | BECOMES_ANOTHERS)
        assert not allowed(physics, "ec2:TerminateInstances", INSTANCE, OURS | ANOTHER_PROJECT)

    @pytest.mark.parametrize("name", sorted(BY_PROJECT))
    def test_it_fits_into_a_managed_policy(self, name: Any) -> None:
        document = policy(name, partition="aws-us-gov", account=ACCOUNT, pool="a" * 60, project="b" * 40)
        assert len(json.dumps(document, separators=(",", ":"))) <= _MOST_CHARACTERS

    def test_it_is_printed(self, capsys: pytest.CaptureFixture[str], physics: dict[str, Any]) -> None:
        assert main(["policies", "daily", "-account", ACCOUNT, "-pool", POOL, "-project", "physics"]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(physics))

    @pytest.mark.parametrize(
        "words",
        [
            ["-project", "physics"],
            ["reaper", "-project", "physics"],
            ["daily", "-project", ""],
            ["daily", "-project", "*"],
            ["daily", "-project", "${aws:username}"],
            ["daily", "-project", "a" * 129],
            ["daily", "-project", "physik", "-project", "physics"],
        ],
    )
    def test_what_makes_none_is_refused(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as end:
            main(["policies", "-account", ACCOUNT, "-pool", POOL, *words])
        assert (end.value.code, capsys.readouterr().out) == (2, "")


@pytest.fixture(params=["no-admin", "no-admin-fleet"])
def no_admin(request: pytest.FixtureRequest) -> dict[str, Any]:
    return policy(request.param, partition="aws", account=ACCOUNT, pool=POOL)


def test_without_an_administrator_machines_can_be_had_and_ended(no_admin: dict[str, Any]) -> None:
    image = "arn:aws:ec2:us-east-2::image/ami-1"
    asked: list[tuple[str, str, Context]] = [
        ("ec2:DescribeInstances", "*", {}),
        ("ec2:RunInstances", INSTANCE, BECOMES_OURS),
        ("ec2:RunInstances", ec2("volume/*"), BECOMES_OURS),
        ("ec2:RunInstances", image, {}),
        ("ec2:RunInstances", ec2("subnet/subnet-1"), {}),
        ("ec2:CreateTags", INSTANCE, BECOMES_OURS | {"ec2:CreateAction": "RunInstances"}),
        ("ec2:TerminateInstances", INSTANCE, OURS),
    ]
    assert all(allowed(no_admin, *each) for each in asked)


def test_without_an_administrator_it_is_ec2_alone_and_nothing_that_is_not_ours(no_admin: dict[str, Any]) -> None:
    actions = {action for statement in no_admin["Statement"] for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"ec2"}
    asked: list[tuple[str, str, Context]] = [
        ("ec2:RunInstances", INSTANCE, {}),
        ("ec2:RequestSpotFleet", FLEET, BECOMES_OURS),
        ("ec2:CreateTags", INSTANCE, BECOMES_OURS),
        ("ec2:TerminateInstances", INSTANCE, ANOTHERS),
        ("ec2:TerminateInstances", INSTANCE, {}),
    ]
    assert not any(allowed(no_admin, *each) for each in asked)


@pytest.mark.parametrize("tag", ["htcondor:LeaseEnds", "htcondor:Draining"])
def test_without_an_administrator_the_leases_of_our_instances_move_and_nobody_else_s(
    no_admin: dict[str, Any], tag: str
) -> None:
    lease = {"aws:TagKeys": [tag]}
    assert allowed(no_admin, "ec2:CreateTags", INSTANCE, OURS | lease)
    assert not allowed(no_admin, "ec2:CreateTags", INSTANCE, ANOTHERS | lease)
    assert not allowed(no_admin, "ec2:CreateTags", INSTANCE, lease)
    assert not allowed(no_admin, "ec2:CreateTags", INSTANCE, OURS | {"aws:TagKeys": [tag, "htcondor:Pool"]})


OF_FLEETS: list[tuple[str, str, Context]] = [
    ("ec2:CreateLaunchTemplate", TEMPLATE, BECOMES_OURS),
    ("ec2:CreateLaunchTemplateVersion", TEMPLATE, OURS),
    ("ec2:DeleteLaunchTemplate", TEMPLATE, OURS),
    ("ec2:CreateFleet", INSTANT, BECOMES_OURS),
    ("ec2:CreateFleet", INSTANCE, BECOMES_OURS),
    ("ec2:CreateFleet", TEMPLATE, OURS),
    ("ec2:CreateFleet", ec2("subnet/subnet-1"), {}),
    ("ec2:RunInstances", TEMPLATE, OURS),
    ("ec2:DeleteFleets", INSTANT, OURS),
    ("ec2:CreateTags", INSTANT, BECOMES_OURS | {"ec2:CreateAction": "CreateFleet"}),
    ("ec2:CreateTags", TEMPLATE, BECOMES_OURS | {"ec2:CreateAction": "CreateLaunchTemplate"}),
]


@pytest.mark.parametrize(("action", "resource", "context"), OF_FLEETS)
def test_without_an_administrator_ec2_fleets_take_a_policy_of_their_own(
    action: str, resource: str, context: Context
) -> None:
    by_fleets = policy("no-admin-fleet", partition="aws", account=ACCOUNT, pool=POOL)
    alone = policy("no-admin", partition="aws", account=ACCOUNT, pool=POOL)
    assert allowed(by_fleets, action, resource, context)
    assert not allowed(alone, action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        pytest.param("ec2:CreateLaunchTemplate", TEMPLATE, {}, id="an untagged template"),
        pytest.param("ec2:CreateLaunchTemplateVersion", TEMPLATE, ANOTHERS, id="another pool's template"),
        pytest.param("ec2:DeleteLaunchTemplate", TEMPLATE, {}, id="a template of nobody's"),
        pytest.param("ec2:CreateFleet", INSTANT, {}, id="an untagged EC2 Fleet"),
        pytest.param("ec2:CreateFleet", TEMPLATE, ANOTHERS, id="an EC2 Fleet from another pool's template"),
        pytest.param("ec2:RunInstances", TEMPLATE, ANOTHERS, id="from another pool's template"),
        pytest.param("ec2:DeleteFleets", INSTANT, ANOTHERS, id="another pool's EC2 Fleet"),
    ],
)
def test_without_an_administrator_an_ec2_fleet_touches_nothing_that_is_not_ours(
    action: str, resource: str, context: Context
) -> None:
    by_fleets = policy("no-admin-fleet", partition="aws", account=ACCOUNT, pool=POOL)
    assert not allowed(by_fleets, action, resource, context)


BY_STACKS = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
BUCKET = f"arn:aws:s3:::condor-annex-{ACCOUNT}-us-east-2"
GROUP = ec2("security-group/sg-1")
PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/condor-annex-instance-us-east-2"
SERVICE_ROLE = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/spotfleet.amazonaws.com/AWSServiceRoleForEC2SpotFleet"


def stack(name: str) -> str:
    return f"arn:aws:cloudformation:us-east-2:{ACCOUNT}:stack/{name}/1"


@pytest.fixture
def setup() -> dict[str, Any]:
    return policy("setup", partition="aws", account=ACCOUNT, pool=POOL)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        ("cloudformation:CreateStack", stack("condor-annex-bucket"), {}),
        ("cloudformation:DeleteStack", stack("condor-annex-fleet-role"), {}),
        ("s3:CreateBucket", BUCKET, BY_STACKS),
        ("s3:DeleteBucket", BUCKET, BY_STACKS),
        ("s3:GetBucketPolicy", BUCKET, {}),
        ("s3:DeleteObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
        ("iam:CreateRole", ROLE, BY_STACKS),
        (
            "iam:AttachRolePolicy",
            ROLE,
            BY_STACKS | {"iam:PolicyARN": "arn:aws:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole"},
        ),
        ("iam:CreateInstanceProfile", PROFILE, BY_STACKS),
        ("iam:AddRoleToInstanceProfile", PROFILE, BY_STACKS),
        ("iam:PutRolePolicy", INSTANCE_ROLE, BY_STACKS),
        ("iam:PassRole", INSTANCE_ROLE, BY_STACKS | {"iam:PassedToService": "ec2.amazonaws.com"}),
        ("iam:GetRole", SERVICE_ROLE, {}),
        ("iam:ListRoles", "*", {}),
        ("ec2:ImportKeyPair", ec2("key-pair/annexes"), BY_STACKS),
        ("ec2:AuthorizeSecurityGroupIngress", GROUP, BY_STACKS | {"aws:ResourceTag/htcondor:Component": "ssh-port"}),
        ("iam:CreateServiceLinkedRole", SERVICE_ROLE, {"iam:AWSServiceName": "spotfleet.amazonaws.com"}),
        ("ec2:CreateSecurityGroup", ec2("vpc/vpc-1"), BY_STACKS),
        ("ec2:DeleteSecurityGroup", GROUP, BY_STACKS | {"aws:ResourceTag/htcondor:Component": "security-group"}),
        ("ec2:DescribeTags", "*", {}),
        ("ec2:DeleteLaunchTemplate", TEMPLATE, ANOTHERS),
    ],
)
def test_setup_may_do_its_work(setup: dict[str, Any], action: str, resource: str, context: Context) -> None:
    assert allowed(setup, action, resource, context)


@pytest.mark.parametrize(
    ("action", "resource", "context"),
    [
        pytest.param("cloudformation:DeleteStack", stack("thesis"), {}, id="another stack"),
        pytest.param("s3:CreateBucket", BUCKET, {}, id="a bucket without a stack"),
        pytest.param("s3:DeleteBucket", "arn:aws:s3:::thesis", BY_STACKS, id="another bucket"),
        pytest.param("s3:GetObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}, id="reading a bundle's token"),
        pytest.param("s3:DeleteObject", BUNDLE, {"aws:ResourceAccount": "210987654321"}, id="a squatter's objects"),
        pytest.param("iam:CreateRole", ROLE, {}, id="a role without a stack"),
        pytest.param("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/Administrator", BY_STACKS, id="another role"),
        pytest.param(
            "iam:AttachRolePolicy",
            ROLE,
            BY_STACKS | {"iam:PolicyARN": "arn:aws:iam::aws:policy/AdministratorAccess"},
            id="a mighty role",
        ),
        pytest.param("iam:PutRolePolicy", ROLE, BY_STACKS, id="a policy of one's own"),
        pytest.param(
            "iam:CreateServiceLinkedRole",
            SERVICE_ROLE,
            {"iam:AWSServiceName": "elasticache.amazonaws.com"},
            id="another service's role",
        ),
        pytest.param("iam:PassRole", ROLE, {"iam:PassedToService": "spotfleet.amazonaws.com"}, id="lending the role"),
        pytest.param("ec2:AuthorizeSecurityGroupIngress", GROUP, BY_STACKS, id="opening a port"),
        pytest.param(
            "ec2:AuthorizeSecurityGroupIngress",
            GROUP,
            BY_STACKS | {"aws:ResourceTag/htcondor:Component": "security-group"},
            id="opening a port of every annex",
        ),
        pytest.param("ec2:ImportKeyPair", ec2("key-pair/annexes"), {}, id="a key pair without a stack"),
        pytest.param("iam:PutRolePolicy", INSTANCE_ROLE, {}, id="a policy without a stack"),
        pytest.param(
            "iam:PassRole", INSTANCE_ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}, id="lending without a stack"
        ),
        pytest.param("ec2:DeleteSecurityGroup", GROUP, BY_STACKS, id="another security group"),
        pytest.param("ec2:RunInstances", INSTANCE, BECOMES_OURS, id="spending money"),
        pytest.param("ec2:TerminateInstances", INSTANCE, OURS, id="ending an annex"),
        pytest.param("ec2:DeleteLaunchTemplate", TEMPLATE, {}, id="a template of no annex"),
    ],
)
def test_setup_may_not_do(setup: dict[str, Any], action: str, resource: str, context: Context) -> None:
    assert not allowed(setup, action, resource, context)


@pytest.fixture
def instance() -> dict[str, Any]:
    return policy("instance", partition="aws", account=ACCOUNT, pool="", region="us-east-2")


def test_an_instance_may_find_itself_and_its_bundle(instance: dict[str, Any]) -> None:
    asked: list[tuple[str, str, Context]] = [
        ("ec2:DescribeInstances", "*", {}),
        ("ec2:DescribeSpotFleetRequests", "*", {}),
        ("iam:GetRolePolicy", INSTANCE_ROLE, {}),
        ("iam:GetInstanceProfile", PROFILE, {}),
        ("s3:GetObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
    ]
    assert all(allowed(instance, *each) for each in asked)


def test_an_instance_may_not_write_end_or_read_elsewhere(instance: dict[str, Any]) -> None:
    here = {"aws:ResourceAccount": ACCOUNT}
    asked: list[tuple[str, str, Context]] = [
        ("ec2:TerminateInstances", INSTANCE, OURS),
        ("ec2:CreateTags", INSTANCE, OURS),
        ("ec2:RunInstances", INSTANCE, BECOMES_OURS),
        ("iam:GetRolePolicy", ROLE, {}),
        ("iam:PutRolePolicy", INSTANCE_ROLE, {}),
        ("s3:PutObject", BUNDLE, here),
        ("s3:GetObject", BUNDLE, {"aws:ResourceAccount": "210987654321"}),
        ("s3:GetObject", BUNDLE.replace("us-east-2", "eu-west-1"), here),
        ("s3:GetObject", BUNDLE.replace("config-", "reaper-"), here),
        ("s3:ListBucket", BUCKET, here),
    ]
    assert not any(allowed(instance, *each) for each in asked)


@pytest.fixture
def reaper() -> dict[str, Any]:
    return policy("reaper", partition="aws", account=ACCOUNT, pool="")


def test_the_reaper_may_end_what_any_pool_launched(reaper: dict[str, Any]) -> None:
    asked: list[tuple[str, str, Context]] = [
        ("ec2:DescribeInstances", "*", {}),
        ("ec2:CancelSpotFleetRequests", FLEET, ANOTHERS),
        ("ec2:TerminateInstances", INSTANCE, OURS),
        ("ec2:TerminateInstances", INSTANCE, ANOTHERS),
        ("ec2:DeleteLaunchTemplate", TEMPLATE, OURS),
        ("ssm:GetParameter", f"arn:aws:ssm:us-east-2:{ACCOUNT}:parameter/condor-annex/freeze", {}),
        ("ssm:PutParameter", f"arn:aws:ssm:us-east-2:{ACCOUNT}:parameter/condor-annex/heartbeat", {}),
    ]
    assert all(allowed(reaper, *each) for each in asked)


def test_the_reaper_may_touch_nothing_that_no_pool_launched(reaper: dict[str, Any]) -> None:
    asked: list[tuple[str, str, Context]] = [
        ("ec2:TerminateInstances", INSTANCE, {}),
        ("ec2:CancelSpotFleetRequests", FLEET, {}),
        ("ec2:DeleteLaunchTemplate", TEMPLATE, {}),
        ("ec2:CreateTags", INSTANCE, OURS),
        ("ec2:RunInstances", INSTANCE, BECOMES_OURS),
        ("ssm:PutParameter", f"arn:aws:ssm:us-east-2:{ACCOUNT}:parameter/condor-annex/freeze", {}),
        ("s3:GetObject", BUNDLE, {"aws:ResourceAccount": ACCOUNT}),
    ]
    assert not any(allowed(reaper, *each) for each in asked)


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_fits_into_a_managed_one(name: Any) -> None:
    document = policy(name, partition="aws-us-gov", account=ACCOUNT, pool="a" * 60)
    assert len(json.dumps(document, separators=(",", ":"))) <= _MOST_CHARACTERS


@pytest.mark.parametrize("name", POLICIES)
def test_every_arn_is_of_the_partition(name: Any) -> None:
    text = json.dumps(policy(name, partition="aws-cn", account=ACCOUNT, pool=POOL))
    assert "arn:aws-cn:" in text
    assert "arn:aws:" not in text


def test_a_named_policy_is_printed_as_iam_takes_it(capsys: pytest.CaptureFixture[str], daily: dict[str, Any]) -> None:
    assert main(["policies", "daily", "-account", ACCOUNT, "-pool", POOL]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(daily))


def test_without_a_name_all_policies_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["policies", "-account", ACCOUNT, "-pool", POOL]) == 0
    assert tuple(json.loads(capsys.readouterr().out)) == POLICIES


@pytest.mark.parametrize(
    "wrong",
    [["-account", "12"], ["monthly"], ["-pool", "${aws:PrincipalTag/x}"], ["-pool", "a*"]],
    ids=["account", "name", "variable", "wildcard"],
)
def test_what_makes_no_policy_is_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["policies", "-account", ACCOUNT, "-pool", POOL, *wrong])
    assert (end.value.code, capsys.readouterr().out) == (2, "")


def test_the_documentation_for_administrators_names_every_policy_and_how_many_there_are():
    told = (Path(__file__).parents[2] / "docs/admins.md").read_text()
    assert "prints all six:" in told
    assert len(POLICIES) == 6
    told = told.partition("prints all six:")[2].partition("They are made of one table")[0]
    assert {name for name in POLICIES if f"`{name}`" in told} == {*POLICIES}
