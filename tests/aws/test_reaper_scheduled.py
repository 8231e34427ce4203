"""
The lease's last enforcer by itself: the reaper's stack as set-up makes it, its own zip, run by a scheduler that really
fires rules. There is no daemon, and nothing runs in the instances.

The scheduler (ministack) stands in for CloudFormation, EventBridge, Lambda and Systems Manager; EC2 is the local cloud.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import urllib3

from annex_core.account.checks import Place
from annex_core.account.code import reaper_key
from annex_core.account.components import REAPER, REAPER_FUNCTION
from annex_core.account.reaper_checks import check_reaper
from annex_core.account.stacks import build
from annex_core.adapters.account_reaper import AccountReaper
from annex_core.adapters.aws_session import AwsRegion
from annex_core.adapters.prober import prober
from annex_core.adapters.stacks import stacks
from annex_core.connectivity.addresses import Address
from annex_core.connectivity.answer import Verdict
from annex_core.model import tags
from rehearsal.cloud.cloud import LocalCloud

REGION = "us-east-2"
PLACE = Place("aws", "123456789012", REGION)
PATIENCE_S = 120


@pytest.fixture
def scheduler(local_cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsRegion]:
    """AWS but for EC2, on loopback, as a process of its own, and runs functions."""
    program = Path(sys.prefix) / "scheduler/bin/ministack"
    assert program.exists(), f"{program} is missing; `make unit` installs it"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    credentials = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hush"}
    for name, value in credentials.items():
        monkeypatch.setenv(name, value)
    environment = {
        **credentials,
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "MINISTACK_ACCOUNT_ID": PLACE.account,
        "MINISTACK_REGION": REGION,
        "GATEWAY_PORT": str(port),
        "AWS_ENDPOINT_URL_EC2": local_cloud.url,
    }
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([program], env=environment, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT)
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: answers(url), "the scheduler answers", tmp_path / "log")
        yield AwsRegion(REGION, endpoint=url)
    finally:
        process.terminate()
        process.wait(20)


def answers(url: str) -> bool:
    try:
        return urllib3.request("GET", f"{url}/_ministack/health", retries=False, timeout=2).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def until(holds: Callable[[], object], what: str, log: Path | None = None) -> None:
    end = time.monotonic() + PATIENCE_S
    while not holds():
        told = log.read_text()[-3000:] if log else ""
        assert time.monotonic() < end, f"never: {what}\n{told}"
        time.sleep(0.5)


def carried(lease_ends: datetime) -> list[dict[str, str]]:
    its = {
        tags.POOL: "ap.example.org",
        tags.OWNER: "alice",
        tags.NAME: "blue",
        tags.LEASE_ENDS: tags.stamp(lease_ends),
        tags.ENDS_AT_LATEST: tags.stamp(datetime.now(UTC) + timedelta(hours=24)),
    }
    return [{"Key": key, "Value": value} for key, value in its.items()]


def test_a_rule_alone_ends_what_is_due_and_the_function_tells_who_is_at_an_address(
    scheduler: AwsRegion,
    ec2: Any,
    fleet: Callable[..., str],
    template: Callable[..., str],
    instances: Callable[..., list[Any]],
    settle: Callable[[float], None],
    tmp_path: Path,
) -> None:
    def leased(ends: datetime) -> str:
        used = template(TagSpecifications=[{"ResourceType": "instance", "Tags": carried(ends)}])
        return fleet(
            2, template=used, TagSpecifications=[{"ResourceType": "spot-fleet-request", "Tags": carried(ends)}]
        )

    def states() -> dict[str, set[str]]:
        found: dict[str, set[str]] = {due: set(), undue: set()}
        for each in instances():
            by_key = {tag["Key"]: tag["Value"] for tag in each["Tags"]}
            found[by_key["aws:ec2spot:fleet-request-id"]].add(each["State"]["Name"])
        return found

    now = datetime.now(UTC)
    due, undue = leased(now - timedelta(minutes=5)), leased(now + timedelta(hours=1))
    settle(5)
    assert states()[due] == states()[undue] == {"running"}
    account = AccountReaper(scheduler, PLACE)
    scheduler.s3().create_bucket(Bucket=PLACE.bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    account.put_code()
    build(stacks(scheduler), REAPER, {"Code": reaper_key()}, pause=lambda: time.sleep(0.2))
    # The rule as it is, but for its period: a test has no five minutes.
    scheduler.rules().put_rule(Name=REAPER_FUNCTION, ScheduleExpression="rate(1 minute)", State="ENABLED")

    def heartbeat() -> object:
        facts = account.function()
        assert facts is not None
        return facts.heartbeat

    until(heartbeat, "a heartbeat", tmp_path / "log")
    settle(5)
    assert states()[undue] == {"running"}
    assert states()[due] <= {"shutting-down", "terminated"}
    fleets = ec2.describe_spot_fleet_requests()["SpotFleetRequestConfigs"]
    by_id = {each["SpotFleetRequestId"]: each["SpotFleetRequestState"] for each in fleets}
    assert by_id[undue] == "active"
    assert by_id[due].startswith("cancelled")
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        port = nobody.getsockname()[1]
    (answer,) = prober(scheduler, f"127.0.0.1:{port}", "pool.test").ask() or ()
    assert (answer.address, answer.verdict) == (Address("127.0.0.1", port), Verdict.REFUSED)
    scheduler.rules().put_rule(Name=REAPER_FUNCTION, ScheduleExpression="rate(5 minutes)", State="ENABLED")
    assert [each for each in check_reaper(account.function(), PLACE) if not each.good] == []
