"""check-setup looks at the routes of this access point, too; an account that nobody set up is no fault of some."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import htcondor2
import pytest

from tests.aws.conftest import Run

SET_UP = """\
  AnnexBucket = condor-annex-123456789012-us-east-2
  AnnexFleetRole = arn:aws:iam::123456789012:role/condor-annex-fleet-us-east-2
"""
NO_ADMIN = """\
  AnnexFleetApi = run-instances
  AnnexReaper = False
"""

Configure = Callable[..., None]


@pytest.fixture
def configure(
    subnets: dict[str, str], image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Configure]:
    """configure(MACROS): HTCondor's configuration has one route, blue, with these beside what every route has."""

    def write(macros: str, image: str = image) -> None:
        text = (
            f"  AnnexRegion = us-east-2\n  AnnexSubnets = {subnets['us-east-2a']}\n  AnnexImage = {image}\n"
            f"  AnnexInstanceTypes = c5.large\n  AnnexMaxInstances = 5\n{macros}"
        )
        told = tmp_path / "told"
        told.write_text(f"JOB_ROUTER_ROUTE_blue @=end\n{text}@end\n # at: {tmp_path / 'config'}, line 9\n\n")
        tool = tmp_path / "condor_config_val"
        tool.write_text(f"#!/bin/sh\ncat {told}\n")
        tool.chmod(0o755)
        monkeypatch.setenv("CONDOR_CONFIG", "ONLY_ENV")
        monkeypatch.setenv("_CONDOR_BIN", str(tmp_path))
        monkeypatch.setenv("_CONDOR_JOB_ROUTER_ROUTE_NAMES", "blue")
        monkeypatch.setenv("_CONDOR_ANNEX_POOL", "ap.example.org")
        htcondor2.reload_config()

    yield write
    monkeypatch.undo()
    htcondor2.reload_config()


def test_a_route_is_looked_at_beside_the_components(configure: Configure, run: Run) -> None:
    run("setup", "-yes")
    configure(SET_UP)
    status, text = run("check-setup")
    assert status == 0
    assert "good route blue: the quota of Spot vCPUs of class Standard" in text
    assert "good route blue: a way leads out of" in text
    assert "good route blue: AWS would launch it, by a dry run" in text


def test_a_route_that_can_not_launch_is_a_fault_with_its_cure(
    configure: Configure, run: Run, client: Callable[[str], Any]
) -> None:
    run("setup", "-yes")
    configure(SET_UP)
    [table] = client("ec2").describe_route_tables()["RouteTables"]
    client("ec2").delete_route(RouteTableId=table["RouteTableId"], DestinationCidrBlock="0.0.0.0/0")
    status, text = run("check-setup")
    assert status == 1
    assert "BAD  route blue: no route leads out of" in text
    assert "       run: aws ec2 create-route --region us-east-2" in text


def test_an_image_that_is_gone_is_the_route_s_fault_and_the_rest_is_looked_at(configure: Configure, run: Run) -> None:
    configure(SET_UP, image="ami-0123456789abcdef0")
    status, text = run("check-setup")
    assert status == 1
    assert "BAD  route blue: DescribeImages: " in text
    assert "run: condor_annex config -route blue" in text
    assert "BAD  bucket: there is no stack" in text


def test_no_admin_mode_says_what_it_gives_up_and_that_nothing_is_set_up_is_no_fault(
    configure: Configure, run: Run, client: Callable[[str], Any]
) -> None:
    client("iam").create_service_linked_role(AWSServiceName="spot.amazonaws.com")
    configure(NO_ADMIN)
    status, text = run("check-setup")
    assert (status, "BAD" in text, "no stack" in text) == (0, False, False)
    assert "no-admin mode" in text
    for lost in ("the reaper", "an outer bound at AWS", "the token's secrecy"):
        assert f"gives up {lost}" in text


@pytest.mark.parametrize(("api", "name"), [("run-instances", "no-admin"), ("ec2-fleet", "no-admin-fleet")])
def test_no_admin_mode_names_the_policy_that_it_needs(configure: Configure, run: Run, api: str, name: str) -> None:
    configure(f"  AnnexFleetApi = {api}\n  AnnexReaper = False\n")
    assert f"and the rights of condor_annex policies {name}\n" in run("check-setup")[1]


def test_no_admin_mode_is_looked_at_with_ec2_s_rights_alone(
    configure: Configure, run: Run, control: Callable[..., Any]
) -> None:
    for action in ("DescribeStacks", "GetRole"):
        control("POST", "/faults", {"action": action, "times": None, "error": "AccessDenied", "status": 403})
    configure(NO_ADMIN)
    status, text = run("check-setup")
    assert (status, "BAD" in text) == (0, False)
    assert "not known, for these credentials may not ask: GetRole" in text


def test_no_admin_mode_that_waits_for_a_reaper_is_a_fault(configure: Configure, run: Run) -> None:
    configure("  AnnexFleetApi = run-instances\n")
    status, text = run("check-setup")
    assert status == 1
    assert "or set AnnexReaper = False in the route" in text


def test_a_route_is_looked_at_by_its_own_credentials_unless_others_are_named(
    configure: Configure, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = tmp_path / "shared"
    shared.write_text("[physics]\naws_access_key_id = AKIAOFPHYSICS\naws_secret_access_key = very-hush\n")
    configure(SET_UP + "  AnnexCredentials = profile physics\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    status, text = run("check-setup")
    assert (status, "BAD  route blue: AnnexCredentials: " in text, "(physics)" in text) == (1, True, True)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(shared))
    assert "by a dry run" in run("check-setup")[1]


def test_where_there_is_a_bucket_a_missing_set_up_is_a_fault(configure: Configure, run: Run) -> None:
    configure("  AnnexBucket = condor-annex-x\n" + NO_ADMIN)
    status, text = run("check-setup")
    assert (status, "no-admin mode" in text, "there is no stack" in text) == (1, False, True)
