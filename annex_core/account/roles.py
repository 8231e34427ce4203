"""The roles that are lent: as they have to be, and whether they are."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from annex_core.account.checks import Finding, Place, many, statements
from annex_core.account.components import (
    FLEET_POLICY,
    FLEET_ROLE,
    INSTANCE_ROLE,
    REAPER,
    Component,
    reaper_role_name,
)
from annex_core.account.policies import policy

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Lent:
    """A role as it has to be."""

    component: Component
    name: str
    service: str
    """Who may take it, as IAM calls it, and nobody else."""
    to: str
    """And as people do."""
    attached: frozenset[str] = frozenset()
    """ARNs of policies."""
    inline: Mapping[str, Document] = field(default_factory=dict)
    """Policies in the role itself, by name."""


@dataclass(frozen=True)
class RoleFacts:
    """A role as it is."""

    trust: Document
    attached: frozenset[str]
    inline: Mapping[str, Document]


def fleet_role(place: Place) -> Lent:
    attached = frozenset({f"arn:{place.partition}:iam::aws:policy/{FLEET_POLICY}"})
    return Lent(FLEET_ROLE, place.fleet_role, "spotfleet.amazonaws.com", "Spot Fleet", attached)


def instance_role(place: Place) -> Lent:
    own = policy("instance", partition=place.partition, account=place.account, region=place.region, pool="")
    service = "ec2.amazonaws.com.cn" if place.partition == "aws-cn" else "ec2.amazonaws.com"
    return Lent(INSTANCE_ROLE, place.instance_role, service, "EC2", inline={"annex": own})


def reaper_role(place: Place) -> Lent:
    own = policy("reaper", partition=place.partition, account=place.account, pool="")
    return Lent(REAPER, reaper_role_name(place.region), "lambda.amazonaws.com", "Lambda", inline={"reaper": own})


def check_role(lent: Lent, facts: RoleFacts | None, place: Place) -> Iterator[Finding]:
    """
    Args:
        facts: None where there is no such role.
    """
    name, role = lent.component.name, lent.name
    if facts is None:
        yield Finding(name, False, f"there is no role {role}", place.setup)
        return
    if _trusted(facts.trust) == {lent.service}:
        yield Finding(name, True, f"lent to {lent.to}, and to nobody else")
    else:
        trusted = ", ".join(sorted(_trusted(facts.trust))) or "nobody"
        cure = f"aws iam update-assume-role-policy --role-name {role} --policy-document '{json.dumps(_trust(lent))}'"
        yield Finding(name, False, f"lent to {trusted}, not to {lent.to} alone", cure)
    bad = [*_attached(lent, facts), *_inline(lent, facts)]
    yield from bad
    if not bad:
        whose = "AWS's policy" if lent.attached else "the policy"
        yield Finding(name, True, f"has {whose} for {lent.to}, and no other")


def check_profile(roles: frozenset[str] | None, place: Place) -> Finding:
    """
    Args:
        roles: Of the instance profile; None where there is none.
    """
    name, profile = INSTANCE_ROLE.name, place.instance_role
    if roles is None:
        return Finding(name, False, f"there is no instance profile {profile}", place.setup)
    if roles == {profile}:
        return Finding(name, True, f"the instance profile {profile} holds it")
    cure = f"aws iam add-role-to-instance-profile --instance-profile-name {profile} --role-name {profile}"
    if roles:
        [other] = roles  # AWS lets in one at a time
        cure = (
            f"aws iam remove-role-from-instance-profile --instance-profile-name {profile} --role-name {other}; {cure}"
        )
    return Finding(name, False, f"the instance profile {profile} holds {', '.join(roles) or 'no role'}", cure)


def _attached(lent: Lent, facts: RoleFacts) -> Iterator[Finding]:
    name, role = lent.component.name, lent.name
    for arn in sorted(lent.attached - facts.attached):
        cure = f"aws iam attach-role-policy --role-name {role} --policy-arn {arn}"
        yield Finding(name, False, f"lacks the policy {arn.rpartition('/')[2]}", cure)
    for arn in sorted(facts.attached - lent.attached):
        cure = f"aws iam detach-role-policy --role-name {role} --policy-arn {arn}"
        yield Finding(name, False, f"has more than it needs: {arn}", cure)


def _inline(lent: Lent, facts: RoleFacts) -> Iterator[Finding]:
    name, role = lent.component.name, lent.name
    for policy_name, wanted in lent.inline.items():
        found = facts.inline.get(policy_name)
        if found is None or meaning(found) != meaning(wanted):
            what = "lacks its policy" if found is None else "its policy isn't what this version makes it"
            cure = f"aws iam put-role-policy --role-name {role} --policy-name {policy_name}"
            yield Finding(name, False, what, f"{cure} --policy-document '{json.dumps(wanted)}'")
    for policy_name in sorted(facts.inline.keys() - lent.inline.keys()):
        cure = f"aws iam delete-role-policy --role-name {role} --policy-name {policy_name}"
        yield Finding(name, False, f"has more than it needs: {policy_name}", cure)


def meaning(document: Document) -> set[str]:
    """Statements with what is one or many, and its order, made alike."""
    return {
        json.dumps(
            {key: sorted(many(value)) if key in ("Action", "Resource") else value for key, value in statement.items()},
            sort_keys=True,
        )
        for statement in statements(document)
    }


def _trust(lent: Lent) -> Document:
    lending = {"Effect": "Allow", "Principal": {"Service": lent.service}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [lending]}


def _trusted(trust: Document) -> set[str]:
    """Whoever may take the role."""
    return {
        str(who)
        for statement in statements(trust)
        if statement.get("Effect") == "Allow"
        for kind in [statement.get("Principal", {})]
        for found in (kind.values() if isinstance(kind, Mapping) else [kind])
        for who in many(found)
    }
