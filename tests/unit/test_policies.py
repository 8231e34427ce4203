"""What the printed policies allow, and what they don't."""

import json
from typing import Any

import pytest

from annex_core.account.policies import POLICIES, policy
from annex_core.cli.main import main
from tests.unit.iam import Context, allowed

ACCOUNT = "123456789012"
POOL = "ap.example.org"
OURS = {"aws:ResourceTag/htcondor:Pool": POOL}
BECOMES_OURS = {"aws:RequestTag/htcondor:Pool": POOL}
ANOTHERS = {"aws:ResourceTag/htcondor:Pool": "ap.elsewhere.org"}
ROLE = f"arn:aws:iam::{ACCOUNT}:role/condor-annex-fleet-us-east-2"
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
        ("ssm:GetParameter", "arn:aws:ssm:us-east-2::parameter/aws/service/debian/release/13", {}),
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
        pytest.param("iam:PassRole", ROLE, {"iam:PassedToService": "ec2.amazonaws.com"}, id="the role for instances"),
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


@pytest.fixture
def no_admin() -> dict[str, Any]:
    return policy("no-admin", partition="aws", account=ACCOUNT, pool=POOL)


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
        ("ec2:RunInstances", TEMPLATE, OURS),
        ("ec2:CreateTags", INSTANCE, BECOMES_OURS),
        ("ec2:TerminateInstances", INSTANCE, ANOTHERS),
        ("ec2:TerminateInstances", INSTANCE, {}),
    ]
    assert not any(allowed(no_admin, *each) for each in asked)


BY_STACKS = {"aws:CalledVia": ["cloudformation.amazonaws.com"]}
BUCKET = f"arn:aws:s3:::condor-annex-{ACCOUNT}-us-east-2"
GROUP = ec2("security-group/sg-1")
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
        pytest.param("ec2:DeleteSecurityGroup", GROUP, BY_STACKS, id="another security group"),
        pytest.param("ec2:RunInstances", INSTANCE, BECOMES_OURS, id="spending money"),
        pytest.param("ec2:TerminateInstances", INSTANCE, OURS, id="ending an annex"),
        pytest.param("ec2:DeleteLaunchTemplate", TEMPLATE, {}, id="a template of no annex"),
    ],
)
def test_setup_may_not_do(setup: dict[str, Any], action: str, resource: str, context: Context) -> None:
    assert not allowed(setup, action, resource, context)


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
