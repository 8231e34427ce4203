"""No launch where our function in the region finds the annex collector out of reach: the rule, and the daemon by it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.connectivity import afar
from annex_core.connectivity.addresses import Address
from annex_core.connectivity.advice import obstacle
from annex_core.connectivity.answer import Answer, Verdict
from annex_core.errors import NotPermitted
from annex_core.planner.plan import plan
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, REGION, ROUTE, annex, fleets, group, snapshot

PUBLIC = "8.8.8.8"
SILENT = Answer(Address("ap.example.org", 9619), Verdict.SILENT, PUBLIC)
THERE = Answer(Address("ap.example.org", 9619), Verdict.COLLECTOR, PUBLIC, "pool.test", "23.9.6")


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    yield made
    made.journal.close()


# What travels


def test_answers_come_back_from_the_function_as_they_were():
    packed = [afar._packed(each) for each in (SILENT, THERE, replace(THERE, address=Address("fd00::1", 9618, "c")))]
    assert [*afar.read({"answers": packed})] == [SILENT, THERE, replace(THERE, address=Address("fd00::1", 9618, "c"))]


def test_a_reaper_of_an_older_version_is_nobody_to_ask():
    assert afar.read({"ended": 0}) is None


# The rule


@pytest.mark.parametrize("verdict", [Verdict.SILENT, Verdict.REFUSED, Verdict.UNREACHABLE, Verdict.OTHER_POOL])
def test_a_public_address_that_leads_nowhere_is_an_obstacle_with_its_cure(verdict):
    found = obstacle([replace(SILENT, verdict=verdict)], "pool.test")
    assert str(found).startswith(f"ap.example.org:9619 (8.8.8.8): {verdict.value}")


@pytest.mark.parametrize(
    "answers",
    [
        [],
        [SILENT, THERE],
        [replace(SILENT, reached="10.1.2.3")],
        [replace(SILENT, reached="fd00::1")],
        [Answer(Address("ap.internal"), Verdict.NO_SUCH_NAME)],
    ],
    ids=["nobody asked", "one of two", "private", "private IPv6", "a private name"],
)
def test_what_proves_nothing_is_none(answers):
    assert obstacle(answers, "pool.test") is None


def test_nothing_is_launched_and_the_jobs_are_told_what_to_open():
    barred = snapshot([group()], unreachable={REGION: obstacle([SILENT], "pool.test")})
    assert fleets(barred) == []
    said = plan(barred).outlooks[ALICE].sentence
    assert (
        "no machine in us-east-2 would reach the annex collector: ap.example.org:9619 (8.8.8.8): nothing answers"
        in said
    )
    assert "let TCP to ap.example.org, port 9619, pass through every firewall from the cloud" in said


@pytest.mark.parametrize(
    "given",
    [
        {"routes": {ROUTE.name: replace(ROUTE, probe=False)}},
        {"annexes": {ALICE: annex(pilot=True)}, "routes": {ROUTE.name: replace(ROUTE, pilot=True)}},
        {"unreachable": {"us-west-2": "far"}},
    ],
    ids=["the route does without", "pilots report elsewhere", "another region"],
)
def test_it_stands_in_nobody_elses_way(given):
    said = plan(snapshot([group()], **{"unreachable": {REGION: "far"}, **given})).outlooks[ALICE].sentence
    assert "would reach the annex collector" not in said


# The daemon


def test_the_function_is_asked_before_the_first_launch_and_again_soon_while_there_is_no_way(daemon):
    daemon.prober.answers = [SILENT]
    daemon.cycle()
    daemon.cycle(after=timedelta(minutes=1))
    assert (daemon.prober.times_asked, daemon.cloud.documents) == (1, [])
    daemon.prober.answers = [THERE]
    daemon.cycle(after=timedelta(minutes=1))
    assert (daemon.prober.times_asked, len(daemon.cloud.documents)) == (2, 1)
    daemon.cycle(after=timedelta(minutes=50))
    assert daemon.prober.times_asked == 2


def test_nobody_to_ask_is_no_reason_to_wait(daemon):
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1


def test_a_function_that_may_not_be_asked_is_told_and_no_reason_to_wait(daemon):
    daemon.prober.error = NotPermitted("Invoke: AccessDeniedException")
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
    assert daemon.provisioner.standing.silent["the function in us-east-2"] == "Invoke: AccessDeniedException"


@pytest.mark.parametrize("without", [{"probe": False}, {"reaper": False}])
def test_a_route_that_does_without_asks_nothing(daemon, without):
    daemon.routes = {ROUTE.name: replace(ROUTE, **without)}
    daemon.cycle()
    assert daemon.prober.times_asked == 0
