"""
Every AWS call that our code makes, and the rights at AWS that it needs: the one table behind all IAM policies.

A call is written as service:Operation; most need the right of the same name. A test fails when our code makes a call
that isn't here, another when nothing makes one that is.

Source:
    "Actions, resources, and condition keys" of EC2, S3, IAM, CloudFormation and Systems Manager in AWS's Service
    Authorization Reference; "Spot Fleet permissions" in EC2's user guide.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from annex_core.account.components import (
    COMPONENT,
    FLEET_POLICY,
    REAPER_FUNCTION,
    SERVICE_ROLES,
    STACKS,
    bucket_name,
    fleet_role_name,
    reaper_role_name,
)
from annex_core.model import tags
from annex_core.model.signs import FREEZE, HEARTBEAT

PolicyName = Literal["setup", "daily", "reaper", "no-admin"]
Condition = Mapping[str, Mapping[str, str | tuple[str, ...]]]

ANYTHING = ("*",)
"""For calls that AWS lets nobody narrow, which are those that only list."""


@dataclass(frozen=True)
class Right:
    """One statement of a policy. Resources and conditions are templates of {partition}, {account} and {pool}."""

    policy: PolicyName
    sid: str
    calls: str
    """The calls of ours that need it, separated by spaces."""
    actions: str = ""
    """What IAM calls it, where that isn't the calls' own names."""
    resources: tuple[str, ...] = ANYTHING
    condition: Condition = field(default_factory=dict)

    def action_names(self) -> list[str]:
        return (self.actions or self.calls).split()


def _ec2(*kinds: str) -> tuple[str, ...]:
    return tuple(f"arn:{{partition}}:ec2:*:{{account}}:{kind}/*" for kind in kinds)


def _parameter(name: str) -> tuple[str, ...]:
    return (f"arn:{{partition}}:ssm:*:{{account}}:parameter{name}",)


_OURS: Condition = {"StringEquals": {f"aws:ResourceTag/{tags.POOL}": "{pool}"}}
"""What is there already has our pool's tag."""
_BECOMES_OURS: Condition = {"StringEquals": {f"aws:RequestTag/{tags.POOL}": "{pool}"}}
"""What is made gets it."""
_FLEET_TAG = "aws:ec2spot:fleet-request-id"
_BUCKET_NAME = bucket_name("{account}", "*")
_BUCKET = (f"arn:{{partition}}:s3:::{_BUCKET_NAME}",)
_BUNDLES = (f"arn:{{partition}}:s3:::{_BUCKET_NAME}/config-*",)
_OBJECTS = (f"arn:{{partition}}:s3:::{_BUCKET_NAME}/*",)
_SERVICE_ROLES = tuple(
    f"arn:{{partition}}:iam::{{account}}:role/aws-service-role/{service}/{name}"
    for service, name in sorted(SERVICE_ROLES.items())
)
_ROLE = (f"arn:{{partition}}:iam::{{account}}:role/{fleet_role_name('*')}",)
_REAPER_ROLE = (f"arn:{{partition}}:iam::{{account}}:role/{reaper_role_name('*')}",)
_REAPER_CODE = (f"arn:{{partition}}:s3:::{_BUCKET_NAME}/reaper-*.zip",)
_FUNCTION = (f"arn:{{partition}}:lambda:*:{{account}}:function:{REAPER_FUNCTION}",)
_RULE = (f"arn:{{partition}}:events:*:{{account}}:rule/{REAPER_FUNCTION}",)
_LOG_GROUP = (f"arn:{{partition}}:logs:*:{{account}}:log-group:/aws/lambda/{REAPER_FUNCTION}:*",)
_IN_THIS_ACCOUNT: Condition = {"StringEquals": {"aws:ResourceAccount": "{account}"}}
"""Another account may own a bucket of our name, and a bundle holds a token."""
_BY_CLOUDFORMATION: Condition = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
"""Only as a part of a stack; and which stacks there may be, `Stacks` says."""

_LAUNCHES = "ec2:RequestSpotFleet ec2:CreateFleet ec2:RunInstances"
_THERE = (
    "arn:{partition}:ec2:*::image/*",
    "arn:{partition}:ec2:*::snapshot/*",
    *_ec2("key-pair", "network-interface", "security-group", "snapshot", "spot-instances-request", "subnet"),
)
"""What a launch uses and does not make."""

DAILY = (
    Right(
        "daily",
        "Look",
        "ec2:DescribeImages ec2:DescribeInstanceTypes ec2:DescribeInstances ec2:DescribeLaunchTemplates"
        " ec2:DescribeLaunchTemplateVersions ec2:DescribeSpotFleetRequestHistory ec2:DescribeSpotFleetRequests"
        " ec2:DescribeSpotInstanceRequests ec2:DescribeSubnets ec2:DescribeVolumes",
    ),
    Right(
        "daily",
        "FindImages",
        "ssm:GetParameter",
        resources=(
            "arn:{partition}:ssm:*::parameter/aws/service/*",
            "arn:{partition}:ssm:*:{account}:parameter/condor-annex/*",
        ),
    ),
    Right("daily", "ReadSigns", "ssm:GetParameters", resources=(*_parameter(FREEZE), *_parameter(HEARTBEAT))),
    Right("daily", "RequestFleets", "ec2:RequestSpotFleet", "", _ec2("spot-fleet-request"), _BECOMES_OURS),
    Right("daily", "CreateFleets", "ec2:CreateFleet", "", _ec2("fleet", "instance"), _BECOMES_OURS),
    Right("daily", "LaunchInstances", _LAUNCHES, "ec2:RunInstances", _ec2("instance", "volume"), _BECOMES_OURS),
    Right("daily", "FromOurTemplates", _LAUNCHES, resources=_ec2("launch-template"), condition=_OURS),
    Right("daily", "OutOfWhatThereIs", _LAUNCHES, resources=_THERE),
    Right(
        "daily",
        "LendTheFleetRole",
        "ec2:RequestSpotFleet",
        "iam:PassRole",
        _ROLE,
        {"StringEquals": {"iam:PassedToService": "spotfleet.amazonaws.com"}},
    ),
    Right(
        "daily",
        "TagWhatIsMade",
        f"{_LAUNCHES} ec2:CreateLaunchTemplate",
        "ec2:CreateTags",
        _ec2("fleet", "instance", "launch-template", "spot-fleet-request", "volume"),
        {
            "StringEquals": {
                f"aws:RequestTag/{tags.POOL}": "{pool}",
                "ec2:CreateAction": ("CreateFleet", "CreateLaunchTemplate", "RequestSpotFleet", "RunInstances"),
            }
        },
    ),
    Right("daily", "MakeTemplates", "ec2:CreateLaunchTemplate", "", _ec2("launch-template"), _BECOMES_OURS),
    Right(
        "daily",
        "ChangeOurTemplates",
        "ec2:CreateLaunchTemplateVersion ec2:DeleteLaunchTemplate",
        resources=_ec2("launch-template"),
        condition=_OURS,
    ),
    Right(
        "daily",
        "EndOurFleets",
        "ec2:CancelSpotFleetRequests ec2:DeleteFleets",
        resources=_ec2("fleet", "spot-fleet-request"),
        condition=_OURS,
    ),
    Right("daily", "ReadOurConsoles", "ec2:GetConsoleOutput", resources=_ec2("instance"), condition=_OURS),
    Right(
        "daily",
        "MoveLeases",
        "ec2:CreateTags",
        resources=_ec2("instance", "spot-fleet-request"),
        condition={
            "StringEquals": {f"aws:ResourceTag/{tags.POOL}": "{pool}"},
            "ForAllValues:StringEquals": {"aws:TagKeys": (tags.LEASE_ENDS, tags.DRAINING)},
        },
    ),
    Right("daily", "EndOurInstances", "ec2:TerminateInstances", resources=_ec2("instance"), condition=_OURS),
    Right(
        # A Spot Fleet's requests carry AWS's tag alone: no more than to fleets' requests can this be narrowed.
        "daily",
        "StopOpenRequestsOfFleets",
        "ec2:CancelSpotInstanceRequests",
        resources=_ec2("spot-instances-request"),
        condition={"Null": {f"aws:ResourceTag/{_FLEET_TAG}": "false"}},
    ),
    Right(
        "daily",
        "KeepBundles",
        "s3:PutObject s3:GetObject s3:DeleteObject",
        "s3:PutObject s3:PutObjectTagging s3:GetObject s3:DeleteObject",
        _BUNDLES,
        _IN_THIS_ACCOUNT,
    ),
)

_CHANGING_STACKS = "cloudformation:CreateStack cloudformation:UpdateStack cloudformation:DeleteStack"

SETUP = (
    Right(
        "setup",
        "Stacks",
        f"{_CHANGING_STACKS} cloudformation:DescribeStackEvents cloudformation:DescribeStacks",
        resources=(f"arn:{{partition}}:cloudformation:*:{{account}}:stack/{STACKS}*/*",),
    ),
    Right(
        "setup",
        "MakeBuckets",
        _CHANGING_STACKS,
        "s3:CreateBucket s3:DeleteBucket s3:DeleteBucketPolicy s3:PutBucketOwnershipControls s3:PutBucketPolicy"
        " s3:PutBucketPublicAccessBlock s3:PutBucketTagging s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration",
        _BUCKET,
        _BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "LookAtBuckets",
        "s3:GetBucketEncryption s3:GetBucketLifecycleConfiguration s3:GetBucketPolicy s3:GetPublicAccessBlock"
        " s3:ListObjectsV2",
        "s3:GetBucketPolicy s3:GetBucketPublicAccessBlock s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration"
        " s3:ListBucket",
        _BUCKET,
    ),
    Right("setup", "EmptyBuckets", "s3:DeleteObjects", "s3:DeleteObject", _OBJECTS, _IN_THIS_ACCOUNT),
    Right(
        "setup",
        "MakeRoles",
        _CHANGING_STACKS,
        "iam:CreateRole iam:DeleteRole iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole"
        " iam:UpdateRoleDescription",
        (*_ROLE, *_REAPER_ROLE),
        _BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "GiveTheReaperItsPolicy",
        _CHANGING_STACKS,
        "iam:DeleteRolePolicy iam:GetRolePolicy iam:PutRolePolicy",
        _REAPER_ROLE,
        _BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "LendTheReaperItsRole",
        _CHANGING_STACKS,
        "iam:PassRole",
        _REAPER_ROLE,
        {**_BY_CLOUDFORMATION, "StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}},
    ),
    Right(
        # Lambda reads it with the rights of whoever makes the function.
        "setup",
        "PutTheReapersCode",
        "s3:PutObject",
        "s3:PutObject s3:GetObject",
        _REAPER_CODE,
        _IN_THIS_ACCOUNT,
    ),
    Right(
        # In one statement, for a managed policy has no room for three; no action is another service's.
        "setup",
        "MakeTheReaperItsRuleAndLog",
        _CHANGING_STACKS,
        "lambda:AddPermission lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:RemovePermission"
        " lambda:TagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
        " events:DeleteRule events:PutRule events:PutTargets events:RemoveTargets events:TagResource"
        " logs:CreateLogGroup logs:DeleteLogGroup logs:PutRetentionPolicy logs:TagResource",
        (*_FUNCTION, *_RULE, *_LOG_GROUP),
        _BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "LookAtTheReaper",
        "events:DescribeRule events:ListTargetsByRule lambda:GetFunctionConfiguration ssm:DeleteParameters"
        " ssm:GetParameters",
        resources=(*_FUNCTION, *_RULE, *_parameter(FREEZE), *_parameter(HEARTBEAT)),
    ),
    Right(
        # With no other policy can a role of ours be made.
        "setup",
        "GiveThemAwsPolicy",
        _CHANGING_STACKS,
        "iam:AttachRolePolicy iam:DetachRolePolicy",
        _ROLE,
        {**_BY_CLOUDFORMATION, "ArnEquals": {"iam:PolicyARN": f"arn:{{partition}}:iam::aws:policy/{FLEET_POLICY}"}},
    ),
    Right(
        "setup",
        "LookAtRoles",
        "iam:GetRole iam:ListAttachedRolePolicies iam:ListRolePolicies",
        resources=(*_ROLE, *_REAPER_ROLE, *_SERVICE_ROLES),
    ),
    Right(
        "setup",
        "MakeServiceRoles",
        "iam:CreateServiceLinkedRole",
        resources=_SERVICE_ROLES,
        condition={"StringEquals": {"iam:AWSServiceName": tuple(sorted(SERVICE_ROLES))}},
    ),
    Right(
        "setup",
        "MakeSecurityGroups",
        _CHANGING_STACKS,
        "ec2:AuthorizeSecurityGroupEgress ec2:CreateSecurityGroup ec2:CreateTags ec2:RevokeSecurityGroupEgress",
        _ec2("security-group", "vpc"),
        _BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "DeleteOurSecurityGroups",
        _CHANGING_STACKS,
        "ec2:DeleteSecurityGroup ec2:DeleteTags",
        _ec2("security-group"),
        {**_BY_CLOUDFORMATION, "Null": {f"aws:ResourceTag/{COMPONENT}": "false"}},
    ),
    Right(
        "setup",
        "LookAround",
        "ec2:DescribeInstances ec2:DescribeSecurityGroups ec2:DescribeSpotFleetRequests ec2:DescribeTags"
        " ec2:DescribeVpcs logs:DescribeLogGroups s3:ListBuckets",
        "ec2:DescribeInstances ec2:DescribeSecurityGroups ec2:DescribeSpotFleetRequests ec2:DescribeTags"
        " ec2:DescribeVpcs logs:DescribeLogGroups s3:ListAllMyBuckets",
    ),
    Right(
        # Any pool's: the components are the account's, and go when no annex lives.
        "setup",
        "DeleteTemplatesOfAnnexes",
        "ec2:DeleteLaunchTemplate",
        resources=_ec2("launch-template"),
        condition={"Null": {f"aws:ResourceTag/{tags.POOL}": "false"}},
    ),
)

_OF_A_POOL: Condition = {"Null": {f"aws:ResourceTag/{tags.POOL}": "false"}}
"""Of whatever pool: there is one reaper for all."""

REAPER = (
    Right(
        "reaper",
        "Look",
        "ec2:DescribeInstances ec2:DescribeLaunchTemplates ec2:DescribeSpotFleetRequests"
        " ec2:DescribeSpotInstanceRequests",
    ),
    Right(
        "reaper",
        "EndFleets",
        "ec2:CancelSpotFleetRequests",
        resources=_ec2("spot-fleet-request"),
        condition=_OF_A_POOL,
    ),
    Right("reaper", "EndInstances", "ec2:TerminateInstances", resources=_ec2("instance"), condition=_OF_A_POOL),
    Right(
        "reaper",
        "StopOpenRequestsOfFleets",
        "ec2:CancelSpotInstanceRequests",
        resources=_ec2("spot-instances-request"),
        condition={"Null": {f"aws:ResourceTag/{_FLEET_TAG}": "false"}},
    ),
    Right(
        "reaper",
        "DeleteTemplates",
        "ec2:DeleteLaunchTemplate",
        resources=_ec2("launch-template"),
        condition=_OF_A_POOL,
    ),
    Right("reaper", "ReadFreeze", "ssm:GetParameter", resources=_parameter(FREEZE)),
    Right("reaper", "LeaveHeartbeat", "ssm:PutParameter", resources=_parameter(HEARTBEAT)),
    Right(
        # Lambda's own, for the function; it may not make the group anew when a teardown has deleted it.
        "reaper",
        "Log",
        "",
        "logs:CreateLogStream logs:PutLogEvents",
        _LOG_GROUP,
    ),
)

NO_ADMIN = (
    Right(
        "no-admin",
        "Look",
        "ec2:DescribeImages ec2:DescribeInstanceTypes ec2:DescribeInstances ec2:DescribeSpotFleetRequests"
        " ec2:DescribeSubnets",
    ),
    Right(
        "no-admin",
        "LaunchInstances",
        "ec2:RunInstances",
        resources=_ec2("instance", "volume"),
        condition=_BECOMES_OURS,
    ),
    Right("no-admin", "OutOfWhatThereIs", "ec2:RunInstances", resources=_THERE),
    Right(
        "no-admin",
        "TagWhatIsMade",
        "ec2:RunInstances",
        "ec2:CreateTags",
        _ec2("instance", "volume"),
        {"StringEquals": {f"aws:RequestTag/{tags.POOL}": "{pool}", "ec2:CreateAction": "RunInstances"}},
    ),
    Right("no-admin", "EndOurInstances", "ec2:TerminateInstances", resources=_ec2("instance"), condition=_OURS),
    Right("no-admin", "ReadOurConsoles", "ec2:GetConsoleOutput", resources=_ec2("instance"), condition=_OURS),
)
"""All that a route needs whose bundles travel in user data, in an account where nothing was set up."""

RIGHTS = (*SETUP, *DAILY, *REAPER, *NO_ADMIN)

NEED_NO_RIGHT = frozenset({"sts:GetCallerIdentity"})

CALLS = NEED_NO_RIGHT.union(*(right.calls.split() for right in RIGHTS))
"""All that our code may call."""
