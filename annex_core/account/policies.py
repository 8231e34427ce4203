"""IAM policies out of the table of rights."""

from collections.abc import Iterable
from typing import Any, get_args

from annex_core.account.right import PolicyName, Right
from annex_core.account.rights import RIGHTS

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


def policy(name: PolicyName, *, partition: str, account: str, pool: str, region: str = "*") -> dict[str, Any]:
    """
    A policy document as IAM takes it.

    Args:
        partition: aws, aws-cn or aws-us-gov.
        account: Twelve digits.
        pool: What the tag htcondor:Pool says of what is ours; instances and the reaper are of no pool.
        region: The one of an instance or a reaper: each has a bucket and a heartbeat of its own.
    """
    names = {"partition": partition, "account": account, "pool": pool, "region": region}
    return {
        "Version": "2012-10-17",
        "Statement": [_statement(right, names) for right in RIGHTS if right.policy == name],
    }


def _statement(right: Right, names: dict[str, str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": right.sid,
        "Effect": "Allow",
        "Action": sorted(right.action_names()),
        "Resource": _one_or_many(resource.format(**names) for resource in right.resources),
    }
    if right.condition:
        statement["Condition"] = {
            operator: {
                key: _one_or_many(each.format(**names) for each in ([value] if isinstance(value, str) else value))
                for key, value in keys.items()
            }
            for operator, keys in right.condition.items()
        }
    return statement


def _one_or_many(values: Iterable[str]) -> str | list[str]:
    found = list(values)
    return found[0] if len(found) == 1 else found
