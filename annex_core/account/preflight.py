"""Would a route's machines start, and could they reach us? Facts that AWS told, in; findings, out."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from annex_core.account.checks import Finding, check_service_roles
from annex_core.account.components import SERVICE_ROLES
from annex_core.account.without_setup import its_policy
from annex_core.model.hardware import InstanceType
from annex_core.model.quota import VcpuClass, quota_code, vcpu_class
from annex_core.model.route import FleetApi, Market, Route

SPOT = "spot.amazonaws.com"
SPOT_FLEET = "spotfleet.amazonaws.com"

_KEY_USES = (
    "CreateGrant Decrypt DescribeKey Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext ReEncryptFrom ReEncryptTo"
)


@dataclass(frozen=True)
class Subnet:
    id: str
    free: int
    """Addresses."""
    public: bool
    """Machines get a public address without being asked for it."""
    table: str
    """The route table that counts for it; empty where AWS shows none."""
    ways: frozenset[str]
    """Where its routes lead beside its own network, igw-..., nat-..., tgw-...; those to nowhere left out."""


@dataclass(frozen=True)
class Key:
    """A key of the account's own that volumes are encrypted with; AWS's own needs no grant."""

    arn: str
    usable: bool
    lent: frozenset[str]
    """The names of the service-linked roles that a grant, or the key's policy, lets use it."""


@dataclass(frozen=True)
class Objection:
    """Of AWS to a call that a launch takes, by its dry run."""

    words: str
    """Which call, and why, in AWS's words."""
    forbidden: bool
    """By a policy."""


@dataclass(frozen=True)
class Facts:
    """None: AWS doesn't let us ask, and *unknown* says so."""

    types: Mapping[str, InstanceType]
    """Those of the route that the region has."""
    quotas: Mapping[str, float]
    """vCPUs by the quota's code, as far as AWS tells."""
    subnets: Sequence[Subnet] | None
    services: frozenset[str] | None
    """Those whose service-linked role the account has."""
    keys: Sequence[Key] | None
    objections: Sequence[Objection]
    """Why AWS wouldn't launch a machine."""
    account: str = ""
    """Of the credentials that asked."""
    partition: str = "aws"
    unknown: tuple[str, ...] = ()
    """What AWS doesn't let us ask, a sentence each."""


def needed_services(route: Route) -> frozenset[str]:
    """Those that launch the route's machines with a role of their own."""
    if route.market is Market.ON_DEMAND:
        return frozenset()
    return frozenset({SPOT, SPOT_FLEET} if route.api is FleetApi.SPOT_FLEET else {SPOT})


def preflight(route: Route, facts: Facts) -> Iterator[Finding]:
    """What stops a launch says so (Finding.stops): it would fail, or its machines would be money for nothing."""
    yield from _quotas(route, facts)
    if facts.subnets is not None:
        yield from _subnets(route, facts.subnets)
    if facts.services is not None and needed_services(route):
        yield from _service_roles(route, facts.services)
    for key in facts.keys or ():
        yield from _key(route, key, facts)
    yield from _launch(route, facts)
    for each in facts.unknown:
        yield Finding(_subject(route), True, f"not known, for these credentials may not ask: {each}")


def _launch(route: Route, facts: Facts) -> Iterator[Finding]:
    if not facts.types:
        says = f"{route.region} has none of {', '.join(route.instance_types)}"
        offered = f"aws ec2 describe-instance-type-offerings --region {route.region}"
        yield Finding(_subject(route), False, says, f"{offered}, and name some of these in AnnexInstanceTypes")
    elif not facts.objections:
        yield Finding(_subject(route), True, "AWS would launch it, by a dry run")
    for each in facts.objections:
        cure = _allowing(route, facts) if each.forbidden else settings_of(route)
        says = f"AWS would not launch it: {each.words}"
        yield Finding(_subject(route), False, says, cure, stops=each.forbidden)


def _allowing(route: Route, facts: Facts) -> str:
    return (
        f"condor_annex policies {its_policy(route)}; where the credentials have that policy, one of the organisation's"
        " forbids it: aws organizations list-policies-for-target --filter SERVICE_CONTROL_POLICY"
        f" --target-id {facts.account}"
    )


def settings_of(route: Route) -> str:
    """The cure where AWS names something that a route has wrong."""
    return f"condor_annex config -route {route.name}, which says where each setting stands"


def _quotas(route: Route, facts: Facts) -> Iterator[Finding]:
    wanted: dict[VcpuClass, list[InstanceType]] = {}
    for each in facts.types.values():
        kind = vcpu_class(each.name)
        if kind and (code := quota_code(kind, route.market)) and code in facts.quotas:
            wanted.setdefault(kind, []).append(each)
    market = "on-demand" if route.market is Market.ON_DEMAND else "Spot"
    enough = {
        kind: facts.quotas[quota_code(kind, route.market) or ""] >= min(each.vcpus for each in some)
        for kind, some in wanted.items()
    }
    unchecked = len(facts.types) > sum(map(len, wanted.values()))
    for kind, some in wanted.items():
        code = quota_code(kind, route.market) or ""
        quota, least = int(facts.quotas[code]), min(each.vcpus for each in some)
        says = f"the quota of {market} vCPUs of class {kind.name} is {quota}"
        raise_it = (
            f"aws service-quotas request-service-quota-increase --region {route.region} --service-code ec2"
            f" --quota-code {code} --desired-value {max(route.max_vcpus or 0, least)}"
        )
        if not enough[kind]:
            nothing = not (unchecked or any(enough.values()))
            what = f"{says}, and the smallest of its types has {least}"
            yield Finding(_subject(route), False, what, raise_it, stops=nothing)
        elif route.max_vcpus and quota < route.max_vcpus:
            yield Finding(_subject(route), True, f"{says}, fewer than AnnexMaxVcpus ({route.max_vcpus})")
        else:
            yield Finding(_subject(route), True, says)


def _subnets(route: Route, subnets: Iterable[Subnet]) -> Iterator[Finding]:
    found = {each.id: [*_subnet(route, each)] for each in subnets}
    hopeless = bool(found) and all(any(not each.good for each in some) for some in found.values())
    for some in found.values():
        for each in some:
            yield Finding(each.subject, each.good, each.says, each.cure, stops=hopeless and not each.good)


def _subnet(route: Route, subnet: Subnet) -> Iterator[Finding]:
    subject, name, where = _subject(route), subnet.id, f"--region {route.region}"
    if subnet.free:
        yield Finding(subject, True, f"{name} has {subnet.free} free addresses")
    else:
        says = f"{name} has no free address"
        yield Finding(subject, False, says, "name a larger subnet in AnnexSubnets, or end what has its addresses")
    if not subnet.table:
        return
    if not subnet.ways:
        cure = (
            f"aws ec2 create-route {where} --route-table-id {subnet.table} --destination-cidr-block 0.0.0.0/0"
            " --nat-gateway-id NAT-GATEWAY (or --gateway-id INTERNET-GATEWAY)"
        )
        yield Finding(subject, False, f"no route leads out of {name} ({subnet.table})", cure)
    elif not subnet.public and all(way.startswith("igw-") for way in subnet.ways):
        cure = f"aws ec2 modify-subnet-attribute {where} --subnet-id {name} --map-public-ip-on-launch"
        says = f"the only way out of {name} is an internet gateway, and its machines get no public address"
        yield Finding(subject, False, says, cure)
    else:
        yield Finding(subject, True, f"a way leads out of {name}: {', '.join(sorted(subnet.ways))}")


def _service_roles(route: Route, present: frozenset[str]) -> Iterator[Finding]:
    needed = needed_services(route)
    for each in check_service_roles(present | (SERVICE_ROLES.keys() - needed)):
        if not each.good:
            yield Finding(_subject(route), False, each.says, each.cure)
    if needed <= present:
        roles = ", ".join(SERVICE_ROLES[service] for service in sorted(needed))
        yield Finding(_subject(route), True, f"AWS's own roles are there: {roles}")


def _key(route: Route, key: Key, facts: Facts) -> Iterator[Finding]:
    where = f"--region {route.region} --key-id {key.arn}"
    if not key.usable:
        yield Finding(_subject(route), False, f"the key {key.arn} is disabled", f"aws kms enable-key {where}")
        return
    lacking = sorted(service for service in needed_services(route) if SERVICE_ROLES[service] not in key.lent)
    for service in lacking:
        name = SERVICE_ROLES[service]
        role = f"arn:{facts.partition}:iam::{facts.account}:role/aws-service-role/{service}/{name}"
        cure = f"aws kms create-grant {where} --grantee-principal {role} --operations {_KEY_USES}"
        yield Finding(_subject(route), False, f"{name} may not use {key.arn}, which volumes are encrypted with", cure)
    if not lacking:
        yield Finding(_subject(route), True, f"whoever launches may use {key.arn}")


def _subject(route: Route) -> str:
    return f"route {route.name}"
