"""Is each component what it has to be? Facts that AWS told, in; findings, out."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from annex_core.account.components import (
    BUCKET,
    SECURITY_GROUP,
    SERVICE_ROLES,
    SSH_KEY,
    SSH_PORT,
    Component,
    bucket_name,
    fleet_role_name,
    instance_role_name,
)
from annex_core.account.stacks import Stack, Step, next_step

PUBLIC_ACCESS = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
_LONGEST_URL_DAYS = 7
_LONGEST_KEPT_DAYS = 30
_WITHOUT_TLS = {"Bool": {"aws:SecureTransport": "false"}}


@dataclass(frozen=True)
class Finding:
    subject: str
    good: bool
    says: str
    cure: str = ""
    """What to run."""
    stops: bool = False
    """Launching would fail, or cost for nothing."""


@dataclass(frozen=True)
class BucketFacts:
    public_access_blocked: frozenset[str]
    """Those of PUBLIC_ACCESS that are on."""
    encryption: str | None
    policy: Mapping[str, Any]
    expires_days: int | None
    """When all objects are gone; None: never."""


@dataclass(frozen=True)
class GroupFacts:
    id: str
    inbound: tuple[str, ...]
    """Its rules, such as `tcp 22 from 0.0.0.0/0`."""


@dataclass(frozen=True)
class Place:
    partition: str
    account: str
    region: str

    @property
    def setup(self) -> str:
        """The command that makes what is missing here."""
        return f"condor_annex setup -regions {self.region}"

    @property
    def bucket(self) -> str:
        return bucket_name(self.account, self.region)

    @property
    def fleet_role(self) -> str:
        return fleet_role_name(self.region)

    @property
    def instance_role(self) -> str:
        """Its instance profile has the same name."""
        return instance_role_name(self.region)


def check_stack(component: Component, stack: Stack | None, place: Place) -> Finding:
    if stack is None:
        return Finding(component.name, False, "there is no stack", place.setup)
    step = next_step(stack, component, stack.parameters)
    if step is Step.LEAVE:
        return Finding(component.name, True, f"stack {component.stack} is as this version makes it")
    if step is Step.UPDATE:
        return Finding(component.name, False, "the stack is another version's", place.setup)
    cure = "wait, and check again" if step is Step.WAIT else place.setup
    return Finding(component.name, False, f"the stack is {stack.status}", cure)


def check_bucket(facts: BucketFacts | None, place: Place) -> Iterator[Finding]:
    """
    Args:
        facts: None where this account has no bucket of that name.
    """
    api, bucket = "aws s3api", f"--bucket {place.bucket}"

    def found(good: bool, right: str, wrong: str, cure: str) -> Finding:
        return Finding(BUCKET.name, good, right if good else wrong, "" if good else f"{api} {cure}")

    if facts is None:
        yield Finding(BUCKET.name, False, f"this account has no bucket {place.bucket}", place.setup)
        return
    on = ",".join(f"{each}=true" for each in PUBLIC_ACCESS)
    yield found(
        facts.public_access_blocked.issuperset(PUBLIC_ACCESS),
        "nothing in it can be made public",
        "public access isn't blocked",
        f"put-public-access-block {bucket} --public-access-block-configuration {on}",
    )
    rule = '{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"AES256"}}]}'
    yield found(
        bool(facts.encryption),
        f"encrypted ({facts.encryption})",
        "not encrypted",
        f"put-bucket-encryption {bucket} --server-side-encryption-configuration '{rule}'",
    )
    yield found(
        _tls_only(facts.policy, place),
        "answers by TLS alone",
        "answers without TLS",
        f"put-bucket-policy {bucket} --policy '{json.dumps(_tls_policy(place))}'",
    )
    days = facts.expires_days
    yield found(
        days is not None and _LONGEST_URL_DAYS < days <= _LONGEST_KEPT_DAYS,
        f"objects expire after {days} days",
        "objects don't expire" if days is None else f"objects expire after {days} days, not 8",
        f"put-bucket-lifecycle-configuration {bucket} --lifecycle-configuration"
        ' \'{"Rules":[{"ID":"expire","Status":"Enabled","Filter":{"Prefix":""},"Expiration":{"Days":8}}]}\'',
    )


def check_groups(groups: Iterable[GroupFacts], place: Place) -> Iterator[Finding]:
    name = SECURITY_GROUP.name
    groups = list(groups)
    if not groups:
        yield Finding(name, False, "there is no security group of ours", place.setup)
    for group in groups:
        if not group.inbound:
            yield Finding(name, True, f"{group.id} lets nothing in")
        for rule in group.inbound:
            yield Finding(name, False, f"{group.id} lets in {rule}", _close(group.id, place))


def check_ssh_port(groups: Iterable[GroupFacts], wanted: str, place: Place) -> Iterator[Finding]:
    """
    Args:
        wanted: The addresses that it was asked for, 192.0.2.0/24.
    """
    name, rule = SSH_PORT.name, f"tcp 22 from {wanted}"
    groups = list(groups)
    if not groups:
        yield Finding(name, False, "there is no security group of ours for SSH", f"{place.setup} -ssh-from {wanted}")
    for group in groups:
        if rule in group.inbound:
            yield Finding(name, True, f"{group.id} lets in {rule}")
        else:
            open_it = f"aws ec2 authorize-security-group-ingress --region {place.region} --group-id {group.id}"
            cure = f"{open_it} --protocol tcp --port 22 --cidr {wanted}"
            yield Finding(name, False, f"{group.id} doesn't let in {rule}", cure)
        for other in group.inbound:
            if other != rule:
                yield Finding(name, False, f"{group.id} lets in {other}, too", _close(group.id, place))


def check_ssh_key(present: Iterable[str], wanted: str, place: Place) -> Finding:
    """
    Args:
        present: The key pairs of ours.
        wanted: Its name.
    """
    if wanted in set(present):
        return Finding(SSH_KEY.name, True, f"the key pair {wanted} is there")
    return Finding(
        SSH_KEY.name, False, f"there is no key pair {wanted} of ours", f"{place.setup} -ssh-key NAME, with another name"
    )


def check_service_roles(present: Iterable[str]) -> Iterator[Finding]:
    """
    Args:
        present: The services whose role the account has.
    """
    for service in sorted(SERVICE_ROLES):
        good = service in set(present)
        says = f"{SERVICE_ROLES[service]} is there" if good else f"there is no {SERVICE_ROLES[service]}"
        cure = "" if good else f"aws iam create-service-linked-role --aws-service-name {service}"
        yield Finding("service-roles", good, says, cure)


def _close(group: str, place: Place) -> str:
    where = f"--region {place.region}"
    rules = f"aws ec2 describe-security-groups {where} --group-ids {group} --query SecurityGroups[0].IpPermissions"
    return f'aws ec2 revoke-security-group-ingress {where} --group-id {group} --ip-permissions "$({rules})"'


def _tls_policy(place: Place) -> dict[str, Any]:
    arn = f"arn:{place.partition}:s3:::{place.bucket}"
    denied = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"]}
    return {"Version": "2012-10-17", "Statement": [denied | {"Condition": _WITHOUT_TLS}]}


def statements(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _tls_only(policy: Mapping[str, Any], place: Place) -> bool:
    arn = f"arn:{place.partition}:s3:::{place.bucket}"
    return any(
        statement.get("Effect") == "Deny"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and {"s3:*", "*"} & set(many(statement.get("Action")))
        and {arn, f"{arn}/*"} <= set(many(statement.get("Resource")))
        and statement.get("Condition") == _WITHOUT_TLS
        for statement in statements(policy)
    )
