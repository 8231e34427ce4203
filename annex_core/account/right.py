"""A right at AWS: one statement of a policy, and what narrows it down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from annex_core.account.components import bucket_name
from annex_core.model import tags

PolicyName = Literal["setup", "daily", "instance", "reaper", "no-admin", "no-admin-fleet"]
"""
Whoever sets the account up, the daemon, an instance, the reaper; the daemon where nothing was set up, by RunInstances
or by EC2 Fleet.
"""

Condition = Mapping[str, Mapping[str, str | tuple[str, ...]]]

ANYTHING = ("*",)
"""For calls that AWS lets nobody narrow, which are those that only list."""


@dataclass(frozen=True)
class Right:
    """One statement. Resources and conditions are templates of {partition}, {account}, {region} and {pool}."""

    policy: PolicyName
    sid: str
    calls: str
    """The calls of ours that need it, separated by spaces; none where others call, such as an image's boot service."""
    actions: str = ""
    """What IAM calls it, where that isn't the calls' own names."""
    resources: tuple[str, ...] = ANYTHING
    condition: Condition = field(default_factory=dict)

    def action_names(self) -> list[str]:
        return (self.actions or self.calls).split()


def ec2(*kinds: str) -> tuple[str, ...]:
    return tuple(f"arn:{{partition}}:ec2:*:{{account}}:{kind}/*" for kind in kinds)


def parameter(name: str) -> str:
    return f"arn:{{partition}}:ssm:*:{{account}}:parameter{name}"


def role(name: str) -> str:
    return f"arn:{{partition}}:iam::{{account}}:role/{name}"


def bucket(region: str = "*") -> str:
    return f"arn:{{partition}}:s3:::{bucket_name('{account}', region)}"


OURS: Condition = {"StringEquals": {f"aws:ResourceTag/{tags.POOL}": "{pool}"}}
"""What is there already has our pool's tag."""
BECOMES_OURS: Condition = {"StringEquals": {f"aws:RequestTag/{tags.POOL}": "{pool}"}}
"""What is made gets it."""
ANY_POOLS: Condition = {"Null": {f"aws:ResourceTag/{tags.POOL}": "false"}}
"""It has a pool's tag, whichever."""
IN_THIS_ACCOUNT: Condition = {"StringEquals": {"aws:ResourceAccount": "{account}"}}
"""Another account may own a bucket of our name, and a bundle holds a token."""
BY_CLOUDFORMATION: Condition = {"ForAnyValue:StringEquals": {"aws:CalledVia": "cloudformation.amazonaws.com"}}
"""Only as a part of a stack; and which stacks there may be, `StacksAndLooks` says."""
FLEETS_REQUESTS: Condition = {"Null": {"aws:ResourceTag/aws:ec2spot:fleet-request-id": "false"}}
"""Spot requests of whatever fleet: they carry AWS's tag alone."""
