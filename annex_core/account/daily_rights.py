"""What the daemon may do from day to day: with what set-up made, or without it."""

from annex_core.account.components import REAPER_FUNCTION, fleet_role_name, instance_role_name
from annex_core.account.right import (
    BECOMES_OURS,
    FLEETS_REQUESTS,
    IN_THIS_ACCOUNT,
    OURS,
    PolicyName,
    Right,
    bucket,
    ec2,
    parameter,
    role,
)
from annex_core.model import tags

_BUNDLES = (f"{bucket()}/config-*",)
_FLEET_ROLE = role(fleet_role_name("*"))
_INSTANCE_ROLE = role(instance_role_name("*"))

_LAUNCHES = "ec2:RequestSpotFleet ec2:CreateFleet ec2:RunInstances"
_THERE = (
    "arn:{partition}:ec2:*::image/*",
    "arn:{partition}:ec2:*::snapshot/*",
    *ec2("key-pair", "network-interface", "security-group", "snapshot", "spot-instances-request", "subnet"),
)
"""What a launch uses and does not make."""

_OF_OURS = (
    "ec2:CancelSpotFleetRequests ec2:CreateLaunchTemplateVersion ec2:DeleteFleets ec2:DeleteLaunchTemplate"
    " ec2:GetConsoleOutput ec2:TerminateInstances"
)
_LOOKING_AHEAD = "ec2:DescribeKeyPairs ec2:DescribeRouteTables ec2:DescribeSnapshots ec2:GetEbsDefaultKmsKeyId"
_ASKED_AHEAD = "iam:GetRole kms:DescribeKey kms:GetKeyPolicy kms:ListGrants"
"""Before a route's first launch: would it succeed?"""


def _move_leases(policy: PolicyName, *kinds: str) -> Right:
    """Of what is ours, and no other tag: who could write another could make a thing his, and end it."""
    return Right(
        policy,
        "MoveLeases",
        "ec2:CreateTags",
        resources=ec2(*kinds),
        condition={**OURS, "ForAllValues:StringEquals": {"aws:TagKeys": (tags.LEASE_ENDS, tags.DRAINING)}},
    )


DAILY = (
    Right(
        "daily",
        "Look",
        "ec2:DescribeImages ec2:DescribeInstanceTypeOfferings ec2:DescribeInstanceTypes ec2:DescribeInstances"
        " ec2:DescribeLaunchTemplates ec2:DescribeLaunchTemplateVersions"
        " ec2:DescribeSpotFleetRequestHistory ec2:DescribeSpotFleetRequests"
        " ec2:DescribeSpotInstanceRequests ec2:DescribeSpotPriceHistory ec2:DescribeSubnets ec2:DescribeVolumes"
        f" {_LOOKING_AHEAD} pricing:GetProducts",
    ),
    Right(
        # In one statement, for a managed policy has no room for more; no action takes another service's things.
        "daily",
        "LookAhead",
        f"{_ASKED_AHEAD} lambda:Invoke service-quotas:GetServiceQuota",
        f"{_ASKED_AHEAD} lambda:InvokeFunction servicequotas:GetServiceQuota",
        (
            role("aws-service-role/*"),
            "arn:{partition}:kms:*:{account}:key/*",
            f"arn:{{partition}}:lambda:*:{{account}}:function:{REAPER_FUNCTION}",
            "arn:{partition}:servicequotas:*:{account}:ec2/*",
        ),
    ),
    Right(
        # The heartbeat and the freezes are parameters of this name, too.
        "daily",
        "ReadParameters",
        "ssm:GetParameter ssm:GetParameters",
        resources=(
            "arn:{partition}:ssm:*::parameter/aws/service/*",
            parameter("/condor-annex/*"),
        ),
    ),
    Right(
        # Templates are not among them: a launch's request tags would open every pool's.
        "daily",
        "Launch",
        _LAUNCHES,
        resources=ec2("fleet", "instance", "spot-fleet-request", "volume"),
        condition=BECOMES_OURS,
    ),
    Right("daily", "OutOfWhatThereIs", _LAUNCHES, resources=_THERE),
    Right(
        "daily",
        "LendFleetRole",
        "ec2:RequestSpotFleet",
        "iam:PassRole",
        (_FLEET_ROLE,),
        {"StringEquals": {"iam:PassedToService": "spotfleet.amazonaws.com"}},
    ),
    Right(
        "daily",
        "LendInstanceRole",
        _LAUNCHES,
        "iam:PassRole",
        (_INSTANCE_ROLE,),
        {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}},
    ),
    Right(
        "daily",
        "TagWhatIsMade",
        f"{_LAUNCHES} ec2:CreateLaunchTemplate",
        "ec2:CreateTags",
        ec2("fleet", "instance", "launch-template", "spot-fleet-request", "volume"),
        {
            "StringEquals": {
                f"aws:RequestTag/{tags.POOL}": "{pool}",
                "ec2:CreateAction": ("CreateFleet", "CreateLaunchTemplate", "RequestSpotFleet", "RunInstances"),
            }
        },
    ),
    Right("daily", "MakeTemplates", "ec2:CreateLaunchTemplate", "", ec2("launch-template"), BECOMES_OURS),
    Right(
        # What is launched has no tags yet when it is asked for: of the launches' it is the template that this is about.
        "daily",
        "UseAndEndWhatIsOurs",
        f"{_LAUNCHES} {_OF_OURS}",
        resources=ec2("fleet", "instance", "launch-template", "spot-fleet-request"),
        condition=OURS,
    ),
    _move_leases("daily", "instance", "spot-fleet-request"),
    Right(
        # A Spot Fleet's requests carry AWS's tag alone: no more than to fleets' requests can this be narrowed.
        "daily",
        "StopRequests",
        "ec2:CancelSpotInstanceRequests",
        resources=ec2("spot-instances-request"),
        condition=FLEETS_REQUESTS,
    ),
    Right(
        "daily",
        "KeepBundles",
        "s3:PutObject s3:GetObject s3:DeleteObject",
        "s3:PutObject s3:PutObjectTagging s3:GetObject s3:DeleteObject",
        _BUNDLES,
        IN_THIS_ACCOUNT,
    ),
)


def _without_setup(
    policy: PolicyName, launches: str, *, made: tuple[str, ...], tagged: str = "", templates: tuple[Right, ...] = ()
) -> tuple[Right, ...]:
    """
    All that a route needs whose bundles travel in user data, in an account where nothing was set up.

    Args:
        made: Kinds of what these launches make.
        tagged: Calls beside them that make things with tags.
        templates: What launch templates take.
    """
    making = f"{launches} {tagged}".split()
    return (
        Right(
            policy,
            "Look",
            "ec2:DescribeImages ec2:DescribeInstanceTypeOfferings ec2:DescribeInstanceTypes ec2:DescribeInstances"
            " ec2:DescribeLaunchTemplates ec2:DescribeSpotFleetRequests ec2:DescribeSpotPriceHistory"
            f" ec2:DescribeSubnets ec2:DescribeVolumes {_LOOKING_AHEAD}",
        ),
        Right(policy, "LaunchInstances", launches, resources=ec2(*made), condition=BECOMES_OURS),
        Right(policy, "OutOfWhatThereIs", launches, resources=_THERE),
        Right(
            policy,
            "TagWhatIsMade",
            " ".join(making),
            "ec2:CreateTags",
            ec2(*made, *(["launch-template"] if templates else [])),
            {
                "StringEquals": {
                    f"aws:RequestTag/{tags.POOL}": "{pool}",
                    "ec2:CreateAction": tuple(each.removeprefix("ec2:") for each in making),
                }
            },
        ),
        _move_leases(policy, "instance"),
        Right(policy, "EndOurInstances", "ec2:TerminateInstances", resources=ec2("instance"), condition=OURS),
        Right(policy, "ReadConsoles", "ec2:GetConsoleOutput", resources=ec2("instance"), condition=OURS),
        *templates,
    )


NO_ADMIN = _without_setup("no-admin", "ec2:RunInstances", made=("instance", "volume"))
"""By RunInstances alone."""

_FLEET_LAUNCHES = "ec2:CreateFleet ec2:RunInstances"
NO_ADMIN_FLEET = _without_setup(
    "no-admin-fleet",
    _FLEET_LAUNCHES,
    made=("fleet", "instance", "volume"),
    tagged="ec2:CreateLaunchTemplate",
    templates=(
        Right("no-admin-fleet", "MakeTemplates", "ec2:CreateLaunchTemplate", "", ec2("launch-template"), BECOMES_OURS),
        Right(
            "no-admin-fleet",
            "UseAndEndWhatIsOurs",
            f"{_FLEET_LAUNCHES} ec2:CreateLaunchTemplateVersion ec2:DeleteFleets ec2:DeleteLaunchTemplate",
            resources=ec2("fleet", "launch-template"),
            condition=OURS,
        ),
    ),
)
"""By EC2 Fleets of type `instant`, where launch templates are allowed."""
