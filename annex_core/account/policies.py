"""IAM policies out of the table of rights."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, get_args

from annex_core.account.right import PolicyName, Right
from annex_core.account.rights import RIGHTS
from annex_core.model import tags

POLICIES: tuple[PolicyName, ...] = get_args(PolicyName)


BY_PROJECT: frozenset[PolicyName] = frozenset({"daily", "no-admin", "no-admin-fleet"})
"""Policies that may be for the annexes of one project alone."""

_TAGGED = tuple(f"aws:{whose}Tag/{tags.POOL}" for whose in ("Request", "Resource"))


def policy(
    name: PolicyName, *, partition: str, account: str, pool: str, region: str = "*", project: str | None = None
) -> dict[str, Any]:
    """
    A policy document as IAM takes it.

    Args:
        partition: aws, aws-cn or aws-us-gov.
        account: Twelve digits.
        pool: What the tag htcondor:Pool says of what is ours; instances and the reaper are of no pool.
        region: The one of an instance or a reaper: each has a bucket and a heartbeat of its own.
        project: What is made, changed and ended has to carry this one's tag beside the pool's.
    """
    names = {"partition": partition, "account": account, "pool": pool, "region": region}
    return {
        "Version": "2012-10-17",
        "Statement": [_statement(_of_project(right, project), names) for right in RIGHTS if right.policy == name],
    }


def _of_project(right: Right, project: str | None) -> Right:
    """Wherever the pool's tag is asked for, the project's is, too."""
    equal = right.condition.get("StringEquals", {})
    asked = [key for key in _TAGGED if key in equal]
    if project is None or not asked:
        return right
    beside = {key.replace(tags.POOL, tags.PROJECT): project for key in asked}
    return replace(right, condition={**right.condition, "StringEquals": {**equal, **beside}})


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
