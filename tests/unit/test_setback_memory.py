"""What AWS had none of is kept, for all annexes and beyond a restart, and bad hours stay calm."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.journal_setbacks import SetbackBook
from annex_core.errors import NoCapacity, OverVcpuQuota
from annex_core.model.annex import LaunchState
from annex_core.model.supply import OpenRequest
from annex_core.planner.shortages import LONGEST
from annex_core.ports import Refusal
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, BOB, NOW, ROUTE, carried, group, instance

MINUTE = timedelta(minutes=1)
NONE = NoCapacity("CreateFleet: InsufficientInstanceCapacity: none")
LARGE = replace(ROUTE, instance_types=("c5.large",))


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.routes = {ROUTE.name: LARGE}
    yield made
    made.journal.close()


def refuse(daemon, error=NONE, times=1000):
    daemon.cloud.errors["request"] = [error] * times


def tries(daemon):
    """Requests that reached AWS."""
    return len(daemon.journal.launches(daemon.journal.annexes()))


def setbacks(daemon):
    return SetbackBook(daemon.journal).setbacks(NOW - timedelta(days=1))


def test_a_refusal_is_kept_by_type_and_zone_beyond_a_restart(daemon):
    daemon.queue.groups = [group()]
    refuse(daemon)
    daemon.cycle()
    daemon.restart()
    [kept] = setbacks(daemon)
    assert (kept.subject.type, kept.subject.zone, kept.tries) == ("c5.large", "zone-of-subnet-1", 1)


def test_another_annex_does_not_ask_for_it(daemon):
    daemon.queue.groups = [group()]
    refuse(daemon)
    daemon.cycle()
    daemon.queue.groups = [group(), group(key=BOB)]
    daemon.cycle(after=MINUTE)
    assert tries(daemon) == 1
    assert "AWS has no Spot c5.large in us-east-2 now" in dict(daemon.queue.said)[BOB]


def test_an_hour_without_anything_is_calm_and_over_when_there_is_some_again(daemon):
    daemon.queue.groups = [group(100), group(100, key=BOB)]
    refuse(daemon)
    for _ in range(60):
        daemon.cycle(after=MINUTE)
    assert tries(daemon) <= 8, "two annexes in an hour"
    for key in (ALICE, BOB):
        assert "AWS has no Spot c5.large in us-east-2 now; it is asked for again at" in dict(daemon.queue.said)[key]
    daemon.cloud.errors = {}
    before = len(daemon.cloud.documents)
    while len(daemon.cloud.documents) == before:
        daemon.cycle(after=MINUTE)
        assert daemon.now - NOW < timedelta(hours=1) + LONGEST
    [one] = [each for each in daemon.cloud.listed_fleets if each.target]
    assert one.target == 1
    daemon.cloud.listed_instances = [instance(launched=daemon.now, zone="zone-of-subnet-1", tags=dict(one.tags))]
    for _ in range(4):
        daemon.cycle(after=MINUTE)
    assert sum(each.target for each in daemon.cloud.listed_fleets) > 10, "both grow again"


def test_a_quota_stops_its_class_and_the_administrator_is_told_which(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large", "c5.xlarge"))}
    daemon.queue.groups = [group()]
    refuse(daemon, OverVcpuQuota("RequestSpotFleet: MaxSpotInstanceCountExceeded"))
    daemon.cycle()
    daemon.cycle(after=3 * MINUTE)
    assert [each.subject.quota for each in setbacks(daemon)] == ["Standard"]
    assert "quota of Spot vCPUs of class Standard in us-east-2 (L-34B43A08) is used up" in daemon.last_said


def test_what_a_fleet_s_history_says_is_kept_once(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cloud.trouble, daemon.cloud.refusals = "full", (Refusal(NONE, "c5.large", "zone-of-subnet-1"),)
    for _ in range(5):
        daemon.cycle(after=MINUTE)
    assert [each.tries for each in setbacks(daemon)] == [1]


def test_requests_that_are_still_open_when_a_fleet_is_given_up_say_so(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cloud.open_requests = lambda fleets: [OpenRequest("sir-1", fleets[0], "capacity-not-available")]
    daemon.cycle(after=LARGE.fulfil_within)
    assert [each.why for each in setbacks(daemon)] == ["capacity-not-available"]


def test_requests_that_nobody_has_looked_at_yet_say_nothing(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cloud.open_requests = lambda fleets: [OpenRequest("sir-1", fleets[0], "pending-evaluation")]
    daemon.cycle(after=LARGE.fulfil_within)
    assert setbacks(daemon) == ()


def test_a_fleet_that_brings_3_of_100_is_not_asked_for_97_more_at_once(daemon):
    daemon.queue.groups = [group(20)]
    daemon.cycle()
    [fleet] = daemon.cloud.listed_fleets
    daemon.cloud.listed_instances = [
        instance(f"i-{n}", launched=NOW, zone="zone-of-subnet-1", fleet=fleet.id, tags=carried()) for n in range(3)
    ]
    daemon.cloud.trouble, daemon.cloud.refusals = "full", (Refusal(NONE, "c5.large", "zone-of-subnet-1"),)
    for _ in range(12):
        daemon.cycle(after=MINUTE)
    assert [each.target for each in daemon.cloud.listed_fleets] == [10, 1]


def test_what_is_older_than_a_day_is_forgotten(daemon):
    daemon.queue.groups = [group()]
    refuse(daemon)
    daemon.cycle()
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.xlarge",))}
    for after in (timedelta(hours=25), MINUTE, MINUTE):
        daemon.cycle(after=after)
    assert {each.subject.type for each in SetbackBook(daemon.journal).setbacks(NOW - timedelta(days=9))} == {
        "c5.xlarge"
    }


def test_a_refusal_of_the_first_sending_is_one_though_the_answer_takes_its_time(daemon):
    daemon.queue.groups = [group()]
    refuse(daemon)
    may_fail = daemon.cloud._may_fail

    def slowly(method):
        if method == "request":
            daemon.now += timedelta(seconds=2)
        may_fail(method)

    daemon.cloud._may_fail = slowly
    daemon.cycle()
    assert [each.state for each in daemon.journal.launches(daemon.journal.annexes())] == [LaunchState.REFUSED]
    assert [each.last for each in setbacks(daemon)] == [NOW + timedelta(seconds=2)]
