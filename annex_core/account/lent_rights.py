"""
What the roles may do that are lent to machines: to instances, and to the reaper. Their templates hold these policies
word for word; a test compares them.
"""

from annex_core.account.components import REAPER_FUNCTION, instance_role_name
from annex_core.account.right import ANY_POOLS, FLEETS_REQUESTS, IN_THIS_ACCOUNT, Right, bucket, ec2, parameter, role
from annex_core.model.signs import FREEZE, HEARTBEAT

_LOG_GROUP = f"arn:{{partition}}:logs:*:{{account}}:log-group:/aws/lambda/{REAPER_FUNCTION}:*"

INSTANCE = (
    Right(
        # HTCondor's condor-annex-ec2 finds its annex's id in its fleet's client token.
        "instance",
        "KnowItself",
        "",
        "ec2:DescribeInstances ec2:DescribeSpotFleetRequests",
    ),
    Right(
        # And its bucket in its role's policy: in the one resource that ends in /config-*.tar.gz, whose * it replaces
        # by the annex's id. The bucket's name may therefore hold no wildcard, and the partition is arn:aws's alone.
        "instance",
        "FindTheBucket",
        "",
        "iam:GetInstanceProfile iam:GetRolePolicy iam:ListAttachedRolePolicies iam:ListRolePolicies",
        (
            role(instance_role_name("{region}")),
            f"arn:{{partition}}:iam::{{account}}:instance-profile/{instance_role_name('{region}')}",
        ),
    ),
    Right(
        "instance",
        "FetchABundle",
        "",
        "s3:GetObject",
        (f"{bucket('{region}')}/config-*.tar.gz",),
        IN_THIS_ACCOUNT,
    ),
)

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
        resources=ec2("spot-fleet-request"),
        condition=ANY_POOLS,
    ),
    Right("reaper", "EndInstances", "ec2:TerminateInstances", resources=ec2("instance"), condition=ANY_POOLS),
    Right(
        "reaper",
        "StopOpenRequestsOfFleets",
        "ec2:CancelSpotInstanceRequests",
        resources=ec2("spot-instances-request"),
        condition=FLEETS_REQUESTS,
    ),
    Right(
        "reaper",
        "DeleteTemplates",
        "ec2:DeleteLaunchTemplate",
        resources=ec2("launch-template"),
        condition=ANY_POOLS,
    ),
    Right("reaper", "ReadFreeze", "ssm:GetParameter", resources=(parameter(FREEZE),)),
    Right("reaper", "LeaveHeartbeat", "ssm:PutParameter", resources=(parameter(HEARTBEAT),)),
    Right(
        # Lambda's own, for the function; it may not make the group anew when a teardown has deleted it.
        "reaper",
        "Log",
        "",
        "logs:CreateLogStream logs:PutLogEvents",
        (_LOG_GROUP,),
    ),
)
