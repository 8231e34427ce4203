"""What whoever sets up the account may do, looks at it, and takes down what was made."""

from annex_core.account.components import (
    COMPONENT,
    FLEET_POLICY,
    REAPER_FUNCTION,
    SERVICE_ROLES,
    SSH_PORT,
    STACKS,
    fleet_role_name,
    instance_role_name,
    reaper_role_name,
)
from annex_core.account.right import (
    ANY_POOLS,
    BY_CLOUDFORMATION,
    IN_THIS_ACCOUNT,
    Right,
    bucket,
    ec2,
    parameter,
    role,
)
from annex_core.model.signs import FREEZE, HEARTBEAT

_BUCKET = bucket()
_OBJECTS = (f"{_BUCKET}/*",)
_SERVICE_ROLES = tuple(role(f"aws-service-role/{service}/{name}") for service, name in sorted(SERVICE_ROLES.items()))
_FLEET_ROLE = role(fleet_role_name("*"))
_INSTANCE_ROLE = role(instance_role_name("*"))
_REAPER_ROLE = role(reaper_role_name("*"))
_ROLES = role(f"{STACKS}*")
"""All three: IAM's limit on a policy's length leaves no room to name each in every statement."""
_PROFILE = f"arn:{{partition}}:iam::{{account}}:instance-profile/{instance_role_name('*')}"
_REAPER_CODE = f"{_BUCKET}/reaper-*.zip"
_FUNCTION = f"arn:{{partition}}:lambda:*:{{account}}:function:{REAPER_FUNCTION}"
_RULE = f"arn:{{partition}}:events:*:{{account}}:rule/{REAPER_FUNCTION}"
_LOG_GROUP = f"arn:{{partition}}:logs:*:{{account}}:log-group:/aws/lambda/{REAPER_FUNCTION}:*"

_CHANGING_STACKS = "cloudformation:CreateStack cloudformation:UpdateStack cloudformation:DeleteStack"
_STACKS = f"{_CHANGING_STACKS} cloudformation:DescribeStackEvents cloudformation:DescribeStacks"
_LOOKS_AT_BUCKETS = (
    "s3:GetBucketEncryption s3:GetBucketLifecycleConfiguration s3:GetBucketPolicy s3:GetPublicAccessBlock"
    " s3:HeadBucket s3:ListObjectsV2"
)
_SEES_BUCKETS = (
    "s3:GetBucketPolicy s3:GetBucketPublicAccessBlock s3:GetEncryptionConfiguration s3:GetLifecycleConfiguration"
    " s3:ListBucket"
)
_LOOKS_AND_SIGNS = (
    "iam:GetInstanceProfile iam:GetRole iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListRolePolicies"
    " events:DescribeRule events:ListTargetsByRule lambda:GetFunctionConfiguration ssm:DeleteParameters"
    " ssm:GetParameters"
)

SETUP = (
    Right(
        # In one statement each, for a managed policy has no room for more; no action takes another service's things.
        "setup",
        "MakeThemAsStacks",
        _CHANGING_STACKS,
        "s3:CreateBucket s3:DeleteBucket s3:DeleteBucketPolicy s3:PutBucketOwnershipControls s3:PutBucketPolicy"
        " s3:PutBucketPublicAccessBlock s3:PutBucketTagging s3:PutEncryptionConfiguration s3:PutLifecycleConfiguration"
        " iam:CreateRole iam:DeleteRole iam:TagRole iam:UntagRole iam:UpdateAssumeRolePolicy iam:UpdateRole"
        " iam:UpdateRoleDescription iam:AddRoleToInstanceProfile iam:CreateInstanceProfile iam:DeleteInstanceProfile"
        " iam:RemoveRoleFromInstanceProfile iam:TagInstanceProfile iam:UntagInstanceProfile"
        " lambda:AddPermission lambda:CreateFunction lambda:DeleteFunction lambda:GetFunction lambda:RemovePermission"
        " lambda:TagResource lambda:UpdateFunctionCode lambda:UpdateFunctionConfiguration"
        " events:DeleteRule events:PutRule events:PutTargets events:RemoveTargets events:TagResource"
        " logs:CreateLogGroup logs:DeleteLogGroup logs:PutRetentionPolicy logs:TagResource"
        " ec2:AuthorizeSecurityGroupEgress ec2:CreateSecurityGroup ec2:CreateTags ec2:ImportKeyPair"
        " ec2:RevokeSecurityGroupEgress",
        (_BUCKET, _ROLES, _PROFILE, _FUNCTION, _RULE, _LOG_GROUP, *ec2("key-pair", "security-group", "vpc")),
        BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "StacksAndLooks",
        f"{_STACKS} {_LOOKS_AT_BUCKETS} {_LOOKS_AND_SIGNS}",
        f"{_STACKS} {_SEES_BUCKETS} {_LOOKS_AND_SIGNS}",
        (
            f"arn:{{partition}}:cloudformation:*:{{account}}:stack/{STACKS}*/*",
            _BUCKET,
            _ROLES,
            role("aws-service-role/*"),
            _PROFILE,
            _FUNCTION,
            _RULE,
            parameter(FREEZE),
            parameter(HEARTBEAT),
        ),
    ),
    Right("setup", "EmptyBuckets", "s3:DeleteObjects", "s3:DeleteObject", _OBJECTS, IN_THIS_ACCOUNT),
    Right(
        "setup",
        "GiveThemPolicies",
        _CHANGING_STACKS,
        "iam:DeleteRolePolicy iam:PutRolePolicy",
        (_INSTANCE_ROLE, _REAPER_ROLE),
        BY_CLOUDFORMATION,
    ),
    Right(
        "setup",
        "LendRoles",
        _CHANGING_STACKS,
        "iam:PassRole",
        (_INSTANCE_ROLE, _REAPER_ROLE),
        {
            **BY_CLOUDFORMATION,
            "StringEquals": {"iam:PassedToService": ("ec2.amazonaws.com", "lambda.amazonaws.com")},
        },
    ),
    Right(
        # Lambda reads it with the rights of whoever makes the function.
        "setup",
        "PutTheReapersCode",
        "s3:PutObject",
        "s3:PutObject s3:GetObject",
        (_REAPER_CODE,),
        IN_THIS_ACCOUNT,
    ),
    Right(
        # With no other policy can the fleet role be made.
        "setup",
        "GiveThemAwsPolicy",
        _CHANGING_STACKS,
        "iam:AttachRolePolicy iam:DetachRolePolicy",
        (_FLEET_ROLE,),
        {**BY_CLOUDFORMATION, "ArnEquals": {"iam:PolicyARN": f"arn:{{partition}}:iam::aws:policy/{FLEET_POLICY}"}},
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
        "DeleteOurGroupsAndKeys",
        _CHANGING_STACKS,
        "ec2:DeleteKeyPair ec2:DeleteSecurityGroup ec2:DeleteTags",
        ec2("key-pair", "security-group"),
        {**BY_CLOUDFORMATION, "Null": {f"aws:ResourceTag/{COMPONENT}": "false"}},
    ),
    Right(
        # The group of this component is the one that a port may be opened in.
        "setup",
        "OpenAPortWhenAskedTo",
        _CHANGING_STACKS,
        "ec2:AuthorizeSecurityGroupIngress ec2:RevokeSecurityGroupIngress",
        ec2("security-group"),
        {**BY_CLOUDFORMATION, "StringEquals": {f"aws:ResourceTag/{COMPONENT}": SSH_PORT.name}},
    ),
    Right(
        "setup",
        "LookAround",
        "ec2:DescribeInstances ec2:DescribeKeyPairs ec2:DescribeSecurityGroups ec2:DescribeSpotFleetRequests"
        " ec2:DescribeTags ec2:DescribeVpcs iam:ListRoles logs:DescribeLogGroups s3:ListBuckets",
        "ec2:DescribeInstances ec2:DescribeKeyPairs ec2:DescribeSecurityGroups ec2:DescribeSpotFleetRequests"
        " ec2:DescribeTags ec2:DescribeVpcs iam:ListRoles logs:DescribeLogGroups s3:ListAllMyBuckets",
    ),
    Right(
        # Any pool's: the components are the account's, and go when no annex lives.
        "setup",
        "DeleteTemplatesOfAnnexes",
        "ec2:DeleteLaunchTemplate",
        resources=ec2("launch-template"),
        condition=ANY_POOLS,
    ),
)
