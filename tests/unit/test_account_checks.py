"""What check-setup finds, out of what AWS told."""

import ast
import inspect
import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

import annex_core
from annex_core.account.checks import (
    PUBLIC_ACCESS,
    BucketFacts,
    Finding,
    GroupFacts,
    Place,
    check_bucket,
    check_groups,
    check_service_roles,
    check_ssh_key,
    check_ssh_port,
    check_stack,
)
from annex_core.account.components import BUCKET
from annex_core.account.roles import RoleFacts, check_profile, check_role, fleet_role, instance_role
from annex_core.account.stacks import Stack

PLACE = Place("aws", "123456789012", "us-east-2")
NAME = "condor-annex-123456789012-us-east-2"
ARNS = [f"arn:aws:s3:::{NAME}", f"arn:aws:s3:::{NAME}/*"]
DENY: dict[str, Any] = {
    "Effect": "Deny",
    "Principal": "*",
    "Action": "s3:*",
    "Resource": ARNS,
    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
}
GOOD_BUCKET = BucketFacts(frozenset(PUBLIC_ACCESS), "AES256", {"Statement": [DENY]}, 8)
POLICY = "arn:aws:iam::aws:policy/service-role/AmazonEC2SpotFleetTaggingRole"


def trusting(*principals: object) -> dict[str, Any]:
    return {"Statement": [{"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"} for who in principals]}


SPOT_FLEET = {"Service": "spotfleet.amazonaws.com"}
GOOD_ROLE = RoleFacts(trusting(SPOT_FLEET), frozenset({POLICY}), {})
FLEET = fleet_role(PLACE)


def bad(findings: Any) -> Finding:
    """The one that is bad."""
    [found] = [finding for finding in findings if not finding.good]
    assert isinstance(found, Finding)
    assert found.cure
    return found


def made_without_a_cure(module: Path) -> Iterator[str]:
    """Where in a module a finding is made that may be bad, and names nothing to do."""
    for node in ast.walk(ast.parse(module.read_text())):
        if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != Finding.__name__:
            continue
        given = {name.name: value for name, value in zip(fields(Finding), node.args, strict=False)}
        given |= {each.arg or "": each.value for each in node.keywords}
        if ast.unparse(given["good"]) != "True" and "cure" not in given:
            yield f"{module.name}:{node.lineno}"


def test_nowhere_is_a_bad_finding_made_that_names_nothing_to_do() -> None:
    sources = Path(annex_core.__file__).parent
    modules = [each for each in sources.rglob("*.py") if "account.checks import" in each.read_text()]
    assert [
        place for module in [*modules, Path(inspect.getfile(Finding))] for place in made_without_a_cure(module)
    ] == []


def test_a_good_bucket_has_nothing_bad() -> None:
    assert [finding.good for finding in check_bucket(GOOD_BUCKET, PLACE)] == [True] * 4


@pytest.mark.parametrize("missing", PUBLIC_ACCESS)
def test_a_bucket_that_could_be_made_public_is_bad(missing: str) -> None:
    facts = replace(GOOD_BUCKET, public_access_blocked=GOOD_BUCKET.public_access_blocked - {missing})
    assert f"aws s3api put-public-access-block --bucket {NAME}" in bad(check_bucket(facts, PLACE)).cure


def test_a_bucket_without_encryption_is_bad() -> None:
    assert "put-bucket-encryption" in bad(check_bucket(replace(GOOD_BUCKET, encryption=None), PLACE)).cure


def test_a_key_of_the_site_s_own_is_as_good() -> None:
    assert all(finding.good for finding in check_bucket(replace(GOOD_BUCKET, encryption="aws:kms"), PLACE))


@pytest.mark.parametrize(
    "policy",
    [
        {},
        {"Statement": [DENY | {"Effect": "Allow"}]},
        {"Statement": [DENY | {"Action": "s3:GetObject"}]},
        {"Statement": [DENY | {"Resource": ARNS[1]}]},
        {"Statement": [DENY | {"Principal": {"AWS": "arn:aws:iam::123456789012:user/alice"}}]},
        {"Statement": [{key: value for key, value in DENY.items() if key != "Condition"}]},
        {"Statement": [DENY | {"Condition": {"Bool": {"aws:SecureTransport": "true"}}}]},
    ],
    ids=["none", "allows", "one action", "objects alone", "one user", "everything", "the other way round"],
)
def test_a_bucket_that_answers_without_tls_is_bad(policy: dict[str, Any]) -> None:
    finding = bad(check_bucket(replace(GOOD_BUCKET, policy=policy), PLACE))
    cure = json.loads(finding.cure.partition("--policy '")[2].rstrip("'"))
    assert all(again.good for again in check_bucket(replace(GOOD_BUCKET, policy=cure), PLACE))


@pytest.mark.parametrize("days", [None, 7, 365])
def test_objects_that_go_too_soon_or_stay_are_bad(days: int | None) -> None:
    facts = replace(GOOD_BUCKET, expires_days=days)
    assert "put-bucket-lifecycle-configuration" in bad(check_bucket(facts, PLACE)).cure


def test_a_bucket_that_is_not_there_is_for_setup_to_make() -> None:
    assert bad(check_bucket(None, PLACE)).cure == "condor_annex setup -regions us-east-2"


def test_a_good_role_has_nothing_bad() -> None:
    assert [finding.good for finding in check_role(FLEET, GOOD_ROLE, PLACE)] == [True, True]


@pytest.mark.parametrize(
    ("principals", "named"),
    [
        ([], "nobody"),
        ([SPOT_FLEET, {"AWS": "arn:aws:iam::123456789012:root"}], "arn:aws:iam::123456789012:root"),
        (["*"], "*"),
        ([{"Service": ["spotfleet.amazonaws.com", "ec2.amazonaws.com"]}], "ec2.amazonaws.com"),
    ],
    ids=["nobody", "an account", "the world", "another service"],
)
def test_a_role_lent_to_others_is_bad(principals: list[object], named: str) -> None:
    finding = bad(check_role(FLEET, replace(GOOD_ROLE, trust=trusting(*principals)), PLACE))
    assert named in finding.says
    assert finding.cure.startswith("aws iam update-assume-role-policy --role-name condor-annex-fleet-us-east-2 ")
    cure = json.loads(finding.cure.partition("--policy-document '")[2].rstrip("'"))
    assert all(again.good for again in check_role(FLEET, replace(GOOD_ROLE, trust=cure), PLACE))


def test_a_role_without_its_policy_is_bad() -> None:
    finding = bad(check_role(FLEET, replace(GOOD_ROLE, attached=frozenset()), PLACE))
    assert finding.cure.startswith("aws iam attach-role-policy")


@pytest.mark.parametrize(
    ("facts", "cure"),
    [
        (replace(GOOD_ROLE, attached=frozenset({POLICY, "arn:aws:iam::aws:policy/AdministratorAccess"})), "detach"),
        (replace(GOOD_ROLE, inline={"more": {}}), "delete"),
    ],
    ids=["attached", "inline"],
)
def test_a_role_with_more_than_it_needs_is_bad(facts: RoleFacts, cure: str) -> None:
    assert bad(check_role(FLEET, facts, PLACE)).cure.startswith(f"aws iam {cure}-role-policy")


def test_a_role_that_is_not_there_is_for_setup_to_make() -> None:
    assert bad(check_role(FLEET, None, PLACE)).cure == "condor_annex setup -regions us-east-2"


def test_a_group_without_inbound_rules_is_good() -> None:
    assert [finding.good for finding in check_groups([GroupFacts("sg-1", ())], PLACE)] == [True]


def test_every_inbound_rule_is_bad_and_named() -> None:
    findings = list(check_groups([GroupFacts("sg-1", ("tcp 22 from 0.0.0.0/0", "everything from ::/0"))], PLACE))
    assert [finding.good for finding in findings] == [False, False]
    assert findings[0].says == "sg-1 lets in tcp 22 from 0.0.0.0/0"
    assert "revoke-security-group-ingress --region us-east-2 --group-id sg-1" in findings[0].cure


def test_a_group_that_is_not_there_is_for_setup_to_make() -> None:
    assert bad(check_groups([], PLACE)).cure == "condor_annex setup -regions us-east-2"


def test_a_missing_service_role_is_bad() -> None:
    finding = bad(check_service_roles(["spot.amazonaws.com"]))
    assert finding.cure == "aws iam create-service-linked-role --aws-service-name spotfleet.amazonaws.com"


@pytest.mark.parametrize(
    ("stack", "good"),
    [
        (None, False),
        (Stack("id", "CREATE_COMPLETE", BUCKET.digest()), True),
        (Stack("id", "CREATE_COMPLETE", "another"), False),
        (Stack("id", "CREATE_IN_PROGRESS", BUCKET.digest()), False),
        (Stack("id", "ROLLBACK_COMPLETE", BUCKET.digest()), False),
    ],
    ids=["none", "ours", "another version's", "in progress", "failed"],
)
def test_a_stack_is_good_when_setup_would_leave_it(stack: Stack | None, good: bool) -> None:
    finding = check_stack(BUCKET, stack, PLACE)
    assert (finding.good, bool(finding.cure)) == (good, not good)


INSTANCE = instance_role(PLACE)
GOOD_INSTANCE_ROLE = RoleFacts(trusting({"Service": "ec2.amazonaws.com"}), frozenset(), INSTANCE.inline)


def test_a_good_instance_role_has_nothing_bad() -> None:
    assert [finding.good for finding in check_role(INSTANCE, GOOD_INSTANCE_ROLE, PLACE)] == [True, True]


def test_a_policy_that_is_written_otherwise_and_says_the_same_is_good() -> None:
    document: Any = json.loads(json.dumps(INSTANCE.inline["annex"]))
    document["Statement"].reverse()
    for statement in document["Statement"]:
        statement["Action"].reverse()
    facts = replace(GOOD_INSTANCE_ROLE, inline={"annex": document})
    assert all(finding.good for finding in check_role(INSTANCE, facts, PLACE))


@pytest.mark.parametrize(
    ("inline", "says"),
    [
        ({}, "lacks its policy"),
        ({"annex": {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}}, "isn't what this version"),
    ],
    ids=["none", "wider"],
)
def test_a_policy_that_is_not_ours_is_put_right(inline: Any, says: str) -> None:
    finding = bad(check_role(INSTANCE, replace(GOOD_INSTANCE_ROLE, inline=inline), PLACE))
    assert says in finding.says
    cured = json.loads(finding.cure.partition("--policy-document '")[2].rstrip("'"))
    again = check_role(INSTANCE, replace(GOOD_INSTANCE_ROLE, inline={"annex": cured}), PLACE)
    assert all(each.good for each in again)


def test_instances_in_china_have_a_service_of_another_name() -> None:
    assert instance_role(replace(PLACE, partition="aws-cn")).service == "ec2.amazonaws.com.cn"


NAME_OF_BOTH = "condor-annex-instance-us-east-2"


@pytest.mark.parametrize(
    ("roles", "cure"),
    [
        (None, "condor_annex setup"),
        (frozenset(), "aws iam add-role-to-instance-profile"),
        (frozenset({"Administrator"}), "aws iam remove-role-from-instance-profile"),
    ],
)
def test_a_profile_without_its_role_is_bad(roles: frozenset[str] | None, cure: str) -> None:
    finding = check_profile(roles, PLACE)
    assert (finding.good, finding.cure.startswith(cure)) == (False, True)


def test_a_profile_with_its_role_is_good() -> None:
    assert check_profile(frozenset({NAME_OF_BOTH}), PLACE).good


HOME = "192.0.2.0/24"


@pytest.mark.parametrize(
    ("inbound", "says"),
    [
        ((), "doesn't let in tcp 22 from 192.0.2.0/24"),
        (("tcp 22 from 192.0.2.0/24", "tcp 80 from 0.0.0.0/0"), "lets in tcp 80 from 0.0.0.0/0, too"),
    ],
    ids=["closed", "wider"],
)
def test_the_ssh_port_is_open_to_those_it_was_asked_for_and_to_nobody_else(inbound: tuple[str, ...], says: str) -> None:
    assert says in bad(check_ssh_port([GroupFacts("sg-1", inbound)], HOME, PLACE)).says


def test_a_key_pair_that_is_gone_is_missed() -> None:
    assert check_ssh_key(["mine"], "mine", PLACE).good
    assert not check_ssh_key(["other"], "mine", PLACE).good
