"""condor_annex setup, check-setup and teardown, as typed, on an account of the local cloud."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import getpid, getuid
from pathlib import Path
from pwd import getpwuid
from typing import Any

import pytest

from annex_core.account.code import reaper_sha256
from annex_core.account.components import BUCKET, COMPONENTS, FLEET_ROLE, REAPER
from annex_core.account.stacks import build, take_down
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.stacks import stacks
from rehearsal.cloud.cloud import LocalCloud
from tests.aws.conftest import Run

ACCOUNT = "123456789012"
NAME = f"condor-annex-{ACCOUNT}-us-east-2"
ROLE = "condor-annex-fleet-us-east-2"
BLUE = [
    {"Key": "htcondor:Owner", "Value": "alice"},
    {"Key": "htcondor:AnnexName", "Value": "blue"},
    {"Key": "htcondor:Pool", "Value": "ap.example.org"},
]


@contextmanager
def squatter() -> Iterator[None]:
    """While it lasts, another account owns the bucket's name."""
    with LocalCloud(account="210987654321", bucket=NAME):
        yield


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def interrupted() -> None:
    raise KeyboardInterrupt


def annex(ec2: Any, fleet: Callable[..., str], template: Callable[..., str]) -> str:
    """alice's blue: a fleet of one instance."""
    tags = [{"ResourceType": "instance", "Tags": BLUE}]
    [used] = [template(TagSpecifications=tags)]
    ec2.create_tags(Resources=[used], Tags=BLUE)
    return fleet(1, template=used, TagSpecifications=[{"ResourceType": "spot-fleet-request", "Tags": BLUE}])


# Setup


def test_setup_makes_all_and_prints_what_a_route_takes(run: Run) -> None:
    status, text = run("setup", "-yes")
    assert status == 0
    for line in (
        "AnnexRegion = us-east-2",
        f"AnnexBucket = {NAME}",
        f"AnnexFleetRole = arn:aws:iam::{ACCOUNT}:role/{ROLE}",
        "AnnexSecurityGroups = sg-",
    ):
        assert f"  {line}" in text


def test_every_component_is_named_with_its_time_and_what_it_costs_to_keep(run: Run) -> None:
    _, text = run("setup", "-yes")
    for component in COMPONENTS:
        [line] = [line for line in text.splitlines() if line.startswith(f"  {component.name} ")]
        assert " s  made; keeping it is free" in line


def test_what_setup_made_passes_its_check(run: Run) -> None:
    run("setup", "-yes")
    status, text = run("check-setup")
    assert (status, "BAD" in text) == (0, False)


def test_setup_again_changes_nothing(run: Run, calls: Callable[[], list[str]]) -> None:
    run("setup", "-yes")
    calls()
    status, text = run("setup", "-yes")
    assert (status, text.count("unchanged"), calls()) == (0, len(COMPONENTS), [])


def test_regions_are_set_up_each_by_itself(run: Run) -> None:
    run("setup", "-yes", "-regions", "us-east-2", "eu-west-1")
    run("teardown", "-yes", "-regions", "eu-west-1")
    assert run("check-setup", "-regions", "us-east-2")[0] == 0


def test_the_old_tool_s_spelling_works(run: Run) -> None:
    assert run("-setup", "-yes")[0] == 0
    assert run("-check-setup")[0] == 0
    assert run("-teardown", "-yes")[0] == 0


def test_a_dry_run_changes_nothing(run: Run, calls: Callable[[], list[str]]) -> None:
    status, text = run("setup", "-dry-run")
    assert (status, text.count("would be made"), calls()) == (0, len(COMPONENTS) + 2, [])


def test_without_a_yes_nothing_is_made(
    run: Run, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/null") as silence:  # noqa: PTH123 - a standard input that is at its end
        monkeypatch.setattr("sys.stdin", silence)
        assert run("setup")[0] == 1
    assert calls() == []


def test_each_change_that_setup_and_teardown_make_is_a_line_of_the_audit_log(
    run: Run, calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    log = tmp_path / "audit.log"
    for verb in ("setup", "teardown"):
        calls()
        already = len(log.read_text().splitlines()) if log.exists() else 0
        assert run(verb, "-yes", "-audit-log", str(log))[0] == 0
        lines = [json.loads(line) for line in log.read_text().splitlines()[already:]]
        assert [line["what"].partition(":")[2] for line in lines] == calls()
        stack = next(line for line in lines if line["what"].startswith("cloudformation:"))
        assert stack["who"] == {"user": getpwuid(getuid()).pw_name, "uid": getuid(), "pid": getpid()}
        assert (stack["from"], stack["region"], stack["outcome"]) == ("command", "us-east-2", "ok")
        assert stack["aws_request_id"]


def test_an_audit_log_that_can_not_be_written_stops_setup_before_anything_is_made(
    run: Run, calls: Callable[[], list[str]], tmp_path: Path
) -> None:
    status, text = run("setup", "-yes", "-audit-log", str(tmp_path / "none" / "audit.log"))
    assert (status, calls()) == (1, [])
    assert "audit.log: No such file or directory" in text


def test_an_interrupted_setup_is_gone_on_with(
    run: Run, local_cloud: LocalCloud, control: Callable[..., Any], settle: Callable[[float], None]
) -> None:
    control("PUT", "/settings", {"stack_delay_s": 60})
    region = AwsRegion("us-east-2", endpoint=local_cloud.url)
    with pytest.raises(KeyboardInterrupt):
        build(stacks(region), BUCKET, {}, pause=interrupted)
    control("PUT", "/settings", {"stack_delay_s": 0})
    settle(60)
    status, text = run("setup", "-yes")
    assert (status, text.count("unchanged"), text.count(" made; keeping")) == (0, 1, len(COMPONENTS) - 1)


def test_a_stack_in_progress_is_waited_for(run: Run, control: Callable[..., Any]) -> None:
    control("PUT", "/settings", {"stack_delay_s": 0.3})
    assert run("setup", "-yes")[0] == 0
    assert run("teardown", "-yes")[0] == 0


def test_a_bucket_of_another_account_is_said_and_leaves_nothing_half_made(run: Run, client: Any) -> None:
    with squatter():
        status, text = run("setup", "-yes")
        assert status == 1
        assert f"FAILED: another AWS account has the bucket {NAME}" in text
        names = [each["StackName"] for each in client("cloudformation").describe_stacks()["Stacks"]]
    assert BUCKET.stack not in names
    assert FLEET_ROLE.stack in names
    assert run("setup", "-yes")[0] == 0


def test_a_stack_that_was_rolled_back_is_made_anew(run: Run, client: Any) -> None:
    formation = client("cloudformation")
    with squatter():
        formation.create_stack(StackName=BUCKET.stack, TemplateBody=BUCKET.template())
    [stack] = formation.describe_stacks(StackName=BUCKET.stack)["Stacks"]
    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert run("setup", "-yes")[0] == 0


def test_a_role_that_aws_shows_some_time_after_it_was_made_is_waited_for(run: Run, control: Callable[..., Any]) -> None:
    control("POST", "/faults", {"action": "GetRole", "times": 3, "error": "NoSuchEntity", "status": 404})
    status, text = run("setup", "-yes")
    assert (status, "BAD" in text) == (0, False)


def test_a_stack_of_another_version_is_brought_up_to_date(run: Run, client: Any) -> None:
    old = BUCKET.template().replace("ExpirationInDays: 8", "ExpirationInDays: 300")
    client("cloudformation").create_stack(StackName=BUCKET.stack, TemplateBody=old)
    status, text = run("setup", "-yes")
    assert (status, text.count("updated")) == (0, 1)
    assert run("check-setup")[0] == 0


def test_a_region_without_a_default_vpc_wants_one_named(run: Run, client: Any) -> None:
    ec2 = client("ec2")
    [default] = ec2.describe_vpcs()["Vpcs"]
    for subnet in ec2.describe_subnets()["Subnets"]:
        ec2.delete_subnet(SubnetId=subnet["SubnetId"])
    ec2.delete_vpc(VpcId=default["VpcId"])
    other = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    status, text = run("setup", "-yes")
    assert (status, "-vpc vpc-" in text) == (1, True)
    assert run("setup", "-yes", "-vpc", other)[0] == 0
    assert run("setup", "-yes")[0] == 0


def test_a_group_is_not_moved_to_another_vpc(run: Run, client: Any) -> None:
    run("setup", "-yes")
    other = client("ec2").create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    status, text = run("setup", "-yes", "-vpc", other)
    assert (status, "teardown first" in text) == (1, True)


def test_setup_says_what_somebody_changed_since(run: Run, client: Any) -> None:
    run("setup", "-yes")
    client("s3").delete_public_access_block(Bucket=NAME)
    status, text = run("setup", "-yes")
    assert (status, "BAD  bucket: public access isn't blocked" in text) == (1, True)


@pytest.mark.parametrize("verb", ["setup", "check-setup", "teardown"])
def test_a_refused_call_is_a_sentence(run: Run, control: Callable[..., Any], verb: str) -> None:
    control("POST", "/faults", {"action": "*", "times": None, "error": "AccessDenied", "status": 403})
    status, text = run(verb)
    assert status == 1
    assert text.startswith(f"condor_annex {verb}: GetCallerIdentity: AccessDenied")


@pytest.mark.parametrize("wrong", [["-regions", "here"], ["-vpc", "vpc-1", "-regions", "us-east-2", "us-west-2"]])
def test_a_wrong_option_is_refused(run: Run, wrong: list[str], calls: Callable[[], list[str]]) -> None:
    with pytest.raises(SystemExit) as end:
        run("setup", *wrong)
    assert (end.value.code, calls()) == (2, [])


def test_policies_are_for_the_account_of_whoever_asks(run: Run) -> None:
    status, text = run("policies", "daily", "-pool", "ap.example.org")
    assert (status, f"arn:aws:iam::{ACCOUNT}:role/condor-annex-fleet-*" in text) == (0, True)


# Check-setup


def test_an_empty_account_is_told_what_to_run(run: Run) -> None:
    status, text = run("check-setup")
    assert (status, "condor_annex setup -regions us-east-2" in text) == (1, True)


def test_each_component_is_looked_at_for_what_it_is(run: Run, client: Any) -> None:
    _, text = run("setup", "-yes")
    group = text.partition("AnnexSecurityGroups = ")[2].split()[0]
    s3, iam = client("s3"), client("iam")
    s3.delete_public_access_block(Bucket=NAME)
    s3.delete_bucket_encryption(Bucket=NAME)
    s3.delete_bucket_policy(Bucket=NAME)
    s3.delete_bucket_lifecycle(Bucket=NAME)
    anybody = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    iam.update_assume_role_policy(RoleName=ROLE, PolicyDocument=document(anybody))
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    iam.put_role_policy(RoleName=ROLE, PolicyName="more", PolicyDocument=document(everything))
    client("ec2").authorize_security_group_ingress(
        GroupId=group, IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="0.0.0.0/0"
    )
    status, text = run("check-setup")
    bad = [line.removeprefix("  BAD  ") for line in text.splitlines() if line.startswith("  BAD")]
    assert (status, bad) == (
        1,
        [
            "bucket: public access isn't blocked",
            "bucket: not encrypted",
            "bucket: answers without TLS",
            "bucket: objects don't expire",
            "fleet-role: lent to *, not to Spot Fleet alone",
            "fleet-role: has more than it needs: more",
            f"security-group: {group} lets in tcp 22 from 0.0.0.0/0",
        ],
    )


def test_a_bucket_that_was_deleted_under_its_stack_is_missed(run: Run, client: Any) -> None:
    run("setup", "-yes")
    for each in client("s3").list_objects_v2(Bucket=NAME)["Contents"]:
        client("s3").delete_object(Bucket=NAME, Key=each["Key"])
    client("s3").delete_bucket(Bucket=NAME)
    status, text = run("check-setup")
    assert (status, f"BAD  bucket: this account has no bucket {NAME}" in text) == (1, True)


# Teardown


def test_teardown_leaves_nothing(run: Run, client: Any) -> None:
    run("setup", "-yes")
    status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")
    assert client("cloudformation").describe_stacks()["Stacks"] == []
    assert NAME not in [each["Name"] for each in client("s3").list_buckets()["Buckets"]]
    assert ROLE not in [each["RoleName"] for each in client("iam").list_roles()["Roles"]]
    assert client("ec2").describe_tags(Filters=[{"Name": "key", "Values": ["htcondor:*"]}])["Tags"] == []


def test_teardown_names_the_regions_that_it_was_not_told_of_and_what_takes_those_down(run: Run) -> None:
    run("setup", "-yes", "-regions", "us-east-2", "eu-west-1", "ap-southeast-2")
    for status, text in (run("teardown", "-yes"), run("teardown", "-yes")):
        assert status == 1
        assert "us-east-2: nothing is left\n" in text
        for region in ("ap-southeast-2", "eu-west-1"):
            for role in ("fleet", "instance", "reaper"):
                assert f"  role condor-annex-{role}-{region}\n" in text
        assert text.splitlines()[-1] == "run: condor_annex teardown -regions ap-southeast-2 eu-west-1"
    status, text = run("teardown", "-yes", "-regions", "ap-southeast-2", "eu-west-1")
    assert (status, text.splitlines()[-1]) == (0, "eu-west-1: nothing is left")


def test_a_dry_teardown_names_regions_that_would_stay(run: Run) -> None:
    run("setup", "-yes", "-regions", "us-east-2", "eu-west-1")
    status, text = run("teardown", "-dry-run")
    assert (status, text.splitlines()[-1]) == (0, "run: condor_annex teardown -regions eu-west-1")


def test_a_role_that_is_not_ours_is_no_region_of_ours(run: Run, client: Any) -> None:
    for name in ("condor-annex-fleet-of-theirs", "my-condor-annex-fleet-eu-west-1", "condor-annex-daemon-eu-west-1"):
        client("iam").create_role(RoleName=name, AssumeRolePolicyDocument="{}")
    status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")


def test_roles_of_other_regions_that_can_not_be_asked_for_are_not_taken_for_none(
    run: Run, control: Callable[..., Any]
) -> None:
    control("POST", "/faults", {"action": "ListRoles", "times": None, "error": "AccessDenied", "status": 403})
    status, text = run("teardown", "-yes")
    assert (status, "condor_annex teardown: ListRoles: AccessDenied" in text) == (1, True)


def test_teardown_takes_bundles_along(run: Run, client: Any) -> None:
    run("setup", "-yes")
    for n in range(3):
        client("s3").put_object(Bucket=NAME, Key=f"config-{n}.tar.gz", Body=b"x")
    status, text = run("teardown", "-yes")
    assert (status, "deleted, with 3 bundles" in text) == (0, True)


def test_teardown_refuses_while_an_annex_lives_and_names_it(
    run: Run,
    client: Any,
    fleet: Callable[..., str],
    template: Callable[..., str],
    settle: Callable[[float], None],
    calls: Callable[[], list[str]],
) -> None:
    run("setup", "-yes")
    annex(client("ec2"), fleet, template)
    settle(1)
    calls()
    status, text = run("teardown", "-yes")
    assert (status, calls()) == (1, [])
    assert "in us-east-2: alice's blue (pool ap.example.org): 1 instance, 1 fleet request" in text


def test_teardown_goes_once_the_annex_is_gone_and_takes_its_template(
    run: Run,
    client: Any,
    fleet: Callable[..., str],
    template: Callable[..., str],
    settle: Callable[[float], None],
) -> None:
    run("setup", "-yes")
    ec2 = client("ec2")
    requested = annex(ec2, fleet, template)
    settle(1)
    ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[requested], TerminateInstances=True)
    settle(60)
    status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")
    assert ec2.describe_launch_templates()["LaunchTemplates"] == []


def test_a_dry_teardown_lists_all_and_removes_nothing(run: Run, calls: Callable[[], list[str]]) -> None:
    run("setup", "-yes")
    calls()
    status, text = run("teardown", "-dry-run")
    assert (status, calls()) == (0, [])
    for thing in (f"bucket {NAME}", f"role {ROLE}", "security-group sg-", *(f"stack {c.stack}" for c in COMPONENTS)):
        assert f"  {thing}" in text


def test_an_interrupted_teardown_is_gone_on_with(run: Run, client: Any) -> None:
    run("setup", "-yes")
    client("cloudformation").delete_stack(StackName=FLEET_ROLE.stack)
    status, text = run("teardown", "-yes")
    assert (status, "was not there" in text) == (0, True)


def test_a_teardown_interrupted_while_a_stack_goes_is_gone_on_with(
    run: Run, local_cloud: LocalCloud, control: Callable[..., Any]
) -> None:
    run("setup", "-yes")
    control("PUT", "/settings", {"stack_delay_s": 1})
    with pytest.raises(KeyboardInterrupt):
        take_down(stacks(AwsRegion("us-east-2", endpoint=local_cloud.url)), BUCKET, pause=interrupted)
    control("PUT", "/settings", {"stack_delay_s": 0})
    status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")


@pytest.mark.parametrize("verb", ["setup", "teardown"])
def test_whoever_interrupts_is_told_how_to_go_on(run: Run, monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    class Interrupted:
        def readline(self) -> str:
            raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", Interrupted())
    status, text = run(verb)
    assert (status, f"condor_annex {verb}: interrupted; the same command goes on from here" in text) == (130, True)


def test_what_can_not_be_removed_is_said_and_listed(run: Run, client: Any) -> None:
    run("setup", "-yes")
    theirs = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    client("iam").put_role_policy(RoleName=ROLE, PolicyName="theirs", PolicyDocument=document(theirs))
    status, text = run("teardown", "-yes")
    assert status == 1
    assert "FAILED: AWS::IAM::Role Role: Cannot delete entity" in text
    left = text.partition("us-east-2: this is left:\n")[2].split("\n")
    assert left[:2] == [f"  role {ROLE}", f"  stack {FLEET_ROLE.stack}"]


def test_what_carries_our_tags_and_is_no_component_s_is_listed(run: Run, client: Any) -> None:
    volume = client("ec2").create_volume(
        AvailabilityZone="us-east-2a", Size=8, TagSpecifications=[{"ResourceType": "volume", "Tags": BLUE}]
    )["VolumeId"]
    status, text = run("teardown", "-yes")
    assert (status, f"  volume {volume}" in text) == (1, True)


@pytest.mark.parametrize("call", ["ListBuckets", "GetRole", "DescribeTags", "DescribeStacks", "DescribeInstances"])
def test_what_can_not_be_asked_is_not_taken_for_nothing(run: Run, control: Callable[..., Any], call: str) -> None:
    control("POST", "/faults", {"action": call, "times": None, "error": "AccessDenied", "status": 403})
    status, text = run("teardown", "-yes")
    assert (status, "nothing is left" in text) == (1, False)


def test_another_s_bucket_of_our_name_is_neither_emptied_nor_listed(run: Run) -> None:
    with squatter():
        status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")


# The reaper


def reaper_code(client: Any) -> str:
    """What Lambda says it runs."""
    return str(client("lambda").get_function_configuration(FunctionName="condor-annex-reaper")["CodeSha256"])


def test_setup_gives_the_reaper_this_version_s_code_and_a_rule_that_starts_it(run: Run, client: Any) -> None:
    run("setup", "-yes")
    assert reaper_code(client) == reaper_sha256()
    rule = client("events").describe_rule(Name="condor-annex-reaper")
    assert (rule["ScheduleExpression"], rule["State"]) == ("rate(5 minutes)", "ENABLED")
    [target] = client("events").list_targets_by_rule(Rule="condor-annex-reaper")["Targets"]
    assert target["Arn"].endswith(":function:condor-annex-reaper")


def test_a_disabled_rule_and_a_foreign_code_are_said(run: Run, client: Any) -> None:
    run("setup", "-yes")
    client("events").disable_rule(Name="condor-annex-reaper")
    client("s3").put_object(Bucket=NAME, Key="theirs.zip", Body=b"theirs")
    client("lambda").update_function_code(FunctionName="condor-annex-reaper", S3Bucket=NAME, S3Key="theirs.zip")
    status, text = run("check-setup")
    bad = [line.removeprefix("  BAD  ") for line in text.splitlines() if line.startswith("  BAD")]
    assert (status, bad) == (1, ["reaper: its code isn't this version's", "reaper: its rule is disabled"])


def test_teardown_takes_the_reaper_s_parameters_and_log(run: Run, client: Any) -> None:
    run("setup", "-yes")
    for name in ("heartbeat", "freeze"):
        client("ssm").put_parameter(Name=f"/condor-annex/{name}", Value="[]", Type="String")
    _, listed = run("teardown", "-dry-run")
    for thing in (
        "function condor-annex-reaper",
        "rule condor-annex-reaper",
        "role condor-annex-reaper-us-east-2",
        "log-group /aws/lambda/condor-annex-reaper",
        "parameter /condor-annex/heartbeat",
        "parameter /condor-annex/freeze",
    ):
        assert f"  {thing}\n" in listed
    status, text = run("teardown", "-yes")
    assert (status, text.splitlines()[-1]) == (0, "us-east-2: nothing is left")


def test_another_version_s_code_is_replaced(run: Run, client: Any) -> None:
    run("setup", "-yes")
    client("s3").put_object(Bucket=NAME, Key="reaper-old.zip", Body=b"old")
    client("cloudformation").update_stack(
        StackName=REAPER.stack,
        TemplateBody=REAPER.template(),
        Parameters=[{"ParameterKey": "Code", "ParameterValue": "reaper-old.zip"}],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    assert reaper_code(client) != reaper_sha256()
    status, text = run("setup", "-yes")
    assert (status, text.count(" updated;")) == (0, 1)
    assert reaper_code(client) == reaper_sha256()
