"""A pilot's script in an instance of the local cloud, launched by the daemon's own launcher over its own adapters."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.ec2 import ec2_cloud
from annex_core.adapters.journal import Journal
from annex_core.adapters.s3 import bundle_store
from annex_core.daemon.describing import Site
from annex_core.daemon.launching import Launcher
from annex_core.daemon.regions import Region, Regions
from annex_core.model.annex import Annex
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import Route
from rehearsal.cloud.cloud import BUCKET, IMAGE_PARAMETER, LocalCloud
from rehearsal.cloud.process import ProcessLauncher
from rehearsal.control import CloudControl
from tests.unit.fakes import FakeProber, FakeSigns

PILOT = """\
#!/bin/bash
echo "pilot on $(hostname)"
until [ -e {done} ]; do sleep 0.1; done
echo "no more jobs"
"""


class NoTokens:
    def issue(self, identity: str, lifetime_s: int) -> str:
        raise AssertionError(f"nobody may ask for a token of {identity}")


@pytest.fixture
def local_cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with LocalCloud(launcher=ProcessLauncher(tmp_path / "machines")) as running:
        yield running


@pytest.fixture
def region(local_cloud: LocalCloud, tmp_path: Path) -> Region:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKIAEXAMPLE\naws_secret_access_key = hush\n")
    aws = AwsRegion("us-east-2", endpoint=local_cloud.url, credentials_file=str(file))
    return Region("us-east-2", ec2_cloud(aws), lambda bucket: bundle_store(aws, bucket), FakeSigns(), FakeProber())


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline, "it never came"
        threading.Event().wait(0.05)


def test_a_pilot_runs_ends_its_machine_and_nothing_of_ours_is_fetched_or_made_for_it(
    local_cloud: LocalCloud, region: Region, tmp_path: Path, subnets: dict[str, str]
) -> None:
    control = CloudControl(local_cloud.url)
    (tmp_path / "pilot.sh").write_text(PILOT.format(done=tmp_path / "done"))
    now = datetime.now(UTC)
    key = AnnexKey("factory", "glideins")
    route = Route(
        name="pilots",
        region="us-east-2",
        subnets=(subnets["us-east-2a"],),
        image=IMAGE_PARAMETER,
        instance_types=("c5.large",),
        bucket=BUCKET,
        fleet_role="arn:aws:iam::123456789012:role/aws-ec2-spot-fleet-tagging-role",
        endpoint=local_cloud.url,
        user_data_file=str(tmp_path / "pilot.sh"),
        pilot=True,
        max_instances=1,
    )
    annex = Annex(
        id=annex_id(key, access_point="ap"), key=key, project="cms", route="pilots", region="us-east-2",
        endpoint=local_cloud.url, started=now, lease_ends=now + timedelta(hours=1),
        ends_at_latest=now + timedelta(hours=24), pilot=True,
    )  # fmt: skip
    regions = Regions(lambda *_: region)
    regions.follow([route], [])
    launcher = Launcher(
        site=Site("pool", "ap", "pool", "ap:9619", "pool"), journal=Journal(tmp_path / "journal.db"),
        regions=regions, tokens=NoTokens(), clock=lambda: datetime.now(UTC),
    )  # fmt: skip
    launcher.launch(LaunchFleet(annex, ("c5.large",), {"c5.large": Decimal("0.1")}, 1, Decimal("0.1"), 300, route))

    def machine() -> dict[str, Any]:
        return (control.machines() or [{"state": "", "console": ""}])[0]

    until(lambda: "pilot on" in machine()["console"])
    assert [call["action"] for call in control.calls() if call["service"] == "s3"] == []
    (listed,) = region.cloud.instances("pool")
    assert listed.tags["htcondor:ProjectID"] == "cms"
    (tmp_path / "done").touch()
    until(lambda: machine()["state"] == "terminated")
    assert "annex:" not in machine()["console"]
