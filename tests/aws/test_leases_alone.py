"""
Two enforcers of the lease, each alone against the local cloud: the reaper's code without a daemon, the daemon's whole
cycle without a reaper. The instances are records, so no timer runs in them either.

The machine's own timer alone stands in tests/pool/test_boot.py, the reaper fired by a rule in test_reaper_scheduled.py,
and AWS's own bound in tests/pool/test_bad_days_instances.py.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto.ec2.models import ec2_backends
from types_boto3_ec2 import EC2Client

from annex_core.adapters.ec2 import Ec2Cloud
from annex_core.model import tags
from annex_core.reaper.region import Region
from annex_core.reaper.run import run
from rehearsal.cloud.cloud import ACCOUNT, LocalCloud
from tests.aws.conftest import REGION
from tests.unit.test_provisioner import Daemon
from tests.unit.world import carried

HOUR = timedelta(hours=1)
LATE = timedelta(minutes=5)
"""The reaper acts two minutes late."""

PAGE = 1000
"""The most fleets that one answer of EC2's has, and the most that are active in a region."""
DUE = (1, 2, 500, PAGE - 1, PAGE)

Enforce = Callable[[], None]


def by_the_reaper(client: Callable[[str], Any]) -> Enforce:
    def once() -> None:
        run(Region(client("ec2"), client("ssm"), lambda: datetime.now(UTC)), lambda *_: None, version="v1")

    return once


def by_the_daemon(client: Callable[[str], Any], daemon: Daemon) -> Enforce:
    daemon.cloud = Ec2Cloud(client("ec2"), client("ec2"), client("ssm"))

    def once() -> None:
        daemon.now = datetime.now(UTC)
        daemon.cycle()

    return once


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    """It finds all that it ends by tags: its journal was lost."""
    made = Daemon(tmp_path / "journal.db")
    yield made
    made.journal.close()


@pytest.fixture(params=["reaper", "daemon"])
def enforce(request: pytest.FixtureRequest, client: Callable[[str], Any], daemon: Daemon) -> Enforce:
    return by_the_reaper(client) if request.param == "reaper" else by_the_daemon(client, daemon)


def leased(ends: datetime) -> list[dict[str, str]]:
    its = carried() | {tags.LEASE_ENDS: tags.stamp(ends), tags.ENDS_AT_LATEST: tags.stamp(ends + 24 * HOUR)}
    return [{"Key": key, "Value": value} for key, value in its.items()]


def test_of_fifty_that_are_due_a_protected_one_does_not_save_the_others_and_what_is_not_due_stays(
    enforce: Enforce,
    ec2: EC2Client,
    image: str,
    instances: Callable[..., list[Any]],
    settle: Callable[[float], None],
) -> None:
    def launch(many: int, ends: datetime) -> list[str]:
        answer = ec2.run_instances(
            ImageId=image,
            InstanceType="c5.large",
            MinCount=many,
            MaxCount=many,
            TagSpecifications=[{"ResourceType": "instance", "Tags": leased(ends)}],  # type: ignore[list-item]
        )
        return [each["InstanceId"] for each in answer["Instances"]]

    due, undue = launch(50, datetime.now(UTC) - LATE), launch(3, datetime.now(UTC) + HOUR)
    ec2.modify_instance_attribute(InstanceId=due[17], DisableApiTermination={"Value": True})
    settle(5)
    enforce()
    settle(5)
    left = {each["InstanceId"] for each in instances() if each["State"]["Name"] == "running"}
    assert left == {due[17], *undue}


@pytest.fixture
def thousand_and_one(
    local_cloud: LocalCloud, ec2: EC2Client, fleet: Callable[..., str], control: Callable[..., Any]
) -> list[str]:
    """
    As many fleets as a region takes, behind one that was cancelled and is still listed, so that the last one stands on
    a page of its own; in the order of the listing. Those of DUE are past their lease.
    """
    control("PUT", "/settings", {"fill_fraction": 0.0})
    undue, due = leased(datetime.now(UTC) + HOUR), leased(datetime.now(UTC) - LATE)
    pattern = fleet(1, zones="a", TagSpecifications=[{"ResourceType": "spot-fleet-request", "Tags": undue}])
    ec2.cancel_spot_fleet_requests(SpotFleetRequestIds=[pattern], TerminateInstances=True)
    made = [pattern]
    with local_cloud.world.lock:  # by the API it would take a minute
        spot = ec2_backends[ACCOUNT][REGION].spot
        for number in range(1, PAGE + 1):
            tagged = [{"ResourceType": "spot-fleet-request", "Tags": due if number in DUE else undue}]
            made.append(spot.request(spot.fleets[pattern].config | {"TagSpecifications": tagged}).id)
    return made


def test_a_thousand_fleets_and_one_are_read_to_the_last_and_those_that_are_due_are_cancelled_wherever_they_stand(
    enforce: Enforce, ec2: EC2Client, fleet: Callable[..., str], thousand_and_one: list[str]
) -> None:
    with pytest.raises(ClientError, match="MaxSpotFleetRequestCountExceeded"):
        fleet(1)
    enforce()
    pages = list(ec2.get_paginator("describe_spot_fleet_requests").paginate())
    assert [len(page["SpotFleetRequestConfigs"]) for page in pages] == [PAGE, 1]
    states = {
        each["SpotFleetRequestId"]: each["SpotFleetRequestState"]
        for page in pages
        for each in page["SpotFleetRequestConfigs"]
    }
    assert list(states) == thousand_and_one
    over = {number for number, id_ in enumerate(thousand_and_one) if states[id_].startswith("cancelled")}
    assert over == {0, *DUE}
