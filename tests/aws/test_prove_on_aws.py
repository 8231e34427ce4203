"""`make prove-on-aws`, where AWS is the local cloud: what it says is what that cloud does, and nothing stays."""

import argparse
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from annex_core.errors import Refused
from rehearsal.cloud.cloud import IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.process import ProcessLauncher
from rehearsal.cloud.settings import Settings
from tools import prove_on_aws
from tools.prove_on_aws import Patience

ROLE = "arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role"
QUICK = Patience(start=30, console=30, end=60, bound=8, more=1, poll=0.1)


@pytest.fixture
def local_cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalCloud]:
    """Its machines are processes, and end when they shut down."""
    shutdown = tmp_path / "bin/shutdown"
    shutdown.parent.mkdir()
    shutdown.write_text('#!/bin/sh\nkill "$PPID"\n')
    shutdown.chmod(0o755)
    monkeypatch.setenv("PATH", str(shutdown.parent), prepend=":")
    monkeypatch.setenv("ANNEX_PROOF_PAUSE", "0")
    settings = Settings(tag_delay_s=1.5)
    with LocalCloud(
        launcher=ProcessLauncher(tmp_path / "machines"), metadata=("127.0.0.1", 0), settings=settings
    ) as running:
        yield running


@pytest.fixture
def wanted(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    monkeypatch.setattr(prove_on_aws, "TYPES", ("m5.large",))  # the local cloud's prices of small ones are too high
    return argparse.Namespace(
        region="us-east-2",
        profile="default",
        credentials=[],
        endpoint=local_cloud.url,
        subnets=None,
        role=ROLE,
        image=IMAGE_PARAMETER,
        yes=True,
    )


def test_each_unproven_line_becomes_a_fact_and_nothing_is_left(
    wanted: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    status = prove_on_aws._prove(wanted, QUICK)
    said = capsys.readouterr().out
    assert status == 0, said
    for fact in (
        "RequestSpotFleet, sent twice, makes one fleet",
        "tags are in instance metadata ",
        "aws:ec2spot:fleet-request-id is on an instance ",
        "a new tag is in instance metadata ",
        "an instance of a Spot Fleet that shuts itself down is terminated",
        "its fleet launches none in its place",
        "a fleet that can have no instance has 1 open request (price-too-low)",
        "an open request of a fleet can be cancelled alone; the fleet opens no other",
        "TerminateInstancesWithExpiration ends m5.large",
        "a client token is still known 0 minutes later",
    ):
        assert f"fact: {fact}" in said
    assert said.endswith("nothing of it is left\n")


def test_what_cannot_be_shown_is_said_and_all_the_rest_is_asked(
    wanted: argparse.Namespace, local_cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    local_cloud.world.settings = replace(local_cloud.world.settings, tag_delay_s=3600.0)
    impatient = replace(QUICK, console=8)
    assert prove_on_aws._prove(wanted, impatient) == 1
    said = capsys.readouterr().out
    assert "NOT SHOWN: AWS's own tag did not come within 8 s" in said
    assert "fact: TerminateInstancesWithExpiration ends m5.large" in said
    assert said.endswith("nothing of it is left\n")


def test_nothing_is_asked_for_without_a_yes(
    wanted: argparse.Namespace, local_cloud: LocalCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    wanted.yes = False
    assert prove_on_aws._prove(wanted, QUICK) == 1
    assert "RequestSpotFleet" not in {call["action"] for call in local_cloud.calls.since(0)}


def test_where_it_could_cost_a_dollar_nothing_is_spent(
    wanted: argparse.Namespace,
    local_cloud: LocalCloud,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prove_on_aws, "TYPES", ("m5.xlarge",))  # five for an hour, each 0.204 USD and 0.008 beside
    with pytest.raises(Refused, match=r"could cost 1\.06 USD.* take another region"):
        prove_on_aws._prove(wanted, QUICK)
    assert "RequestSpotFleet" not in {call["action"] for call in local_cloud.calls.since(0)}


def test_where_no_price_is_known_nothing_is_spent(
    wanted: argparse.Namespace, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted.region = "mx-central-1"
    arguments = ["-region", "mx-central-1", "-endpoint", wanted.endpoint, "-profile", "default", "-yes"]
    assert prove_on_aws.main(arguments) == 1
    assert "no price of m5.large" in capsys.readouterr().err
