"""No launch without a reaper at work, nor against a freeze at AWS: the rule, and the daemon that asks by it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.daemon.hands import Errand
from annex_core.errors import NotPermitted
from annex_core.model.freeze import Freeze, Mode
from annex_core.model.signs import Signs
from annex_core.planner.safeguard import FRESH
from tests.unit.fakes import Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, REGION, ROUTE, fleets, group, sentence, snapshot

UNGUARDED = {ROUTE.name: replace(ROUTE, reaper=False)}


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    yield made
    made.journal.close()


def told(signs, **given):
    """A snapshot in which a job waits and the region's parameters say so; None: they didn't answer."""
    return snapshot([group()], signs={} if signs is None else {REGION: signs}, **given)


# The rule


def test_a_fresh_heartbeat_lets_launch():
    assert fleets(told(Signs(heartbeat=NOW - FRESH)))


def test_without_a_fresh_heartbeat_nothing_is_launched_and_the_jobs_are_told_since_when():
    stale = told(Signs(heartbeat=NOW - timedelta(minutes=40)))
    assert fleets(stale) == []
    assert "the reaper in us-east-2 has left no heartbeat since 2026-11-21 11:20 UTC" in sentence(stale)
    assert "condor_annex check-setup -regions us-east-2" in sentence(stale)


def test_where_there_never_was_a_reaper_nothing_is_launched_and_the_way_out_is_named():
    none = told(Signs())
    assert fleets(none) == []
    assert "there is no reaper in us-east-2" in sentence(none)
    assert "condor_annex setup -regions us-east-2" in sentence(none)


def test_not_to_know_is_not_to_launch():
    assert fleets(told(None)) == []
    assert "SSM does not answer" in sentence(told(None))


@pytest.mark.parametrize("signs", [None, Signs(), Signs(heartbeat=NOW - timedelta(days=1))])
def test_a_route_that_gives_the_reaper_up_launches_without_one(signs):
    assert fleets(told(signs, routes=UNGUARDED))


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize(
    "freeze", [Freeze(Mode.FREEZE), Freeze(Mode.FREEZE, project="physics"), Freeze(Mode.FREEZE, annex="blue")]
)
def test_what_is_frozen_at_aws_is_not_launched_and_says_so(freeze, mode):
    frozen = told(Signs(heartbeat=NOW, freezes=(replace(freeze, mode=mode),)))
    assert fleets(frozen) == []
    assert f"{freeze} is frozen in us-east-2, by /condor-annex/freeze" in sentence(frozen)


def test_another_projects_freeze_stands_in_nobodys_way():
    assert fleets(told(Signs(heartbeat=NOW, freezes=(Freeze(Mode.END, project="biology"),))))


def test_a_freeze_holds_for_a_route_that_has_given_the_reaper_up():
    assert fleets(told(Signs(freezes=(Freeze(Mode.FREEZE),)), routes=UNGUARDED)) == []


def test_a_freeze_that_can_not_be_read_launches_nothing():
    unread = told(Signs(heartbeat=NOW, malformed="it has to be a list"))
    assert fleets(unread) == []
    assert "can't be read (it has to be a list)" in sentence(unread)


# The daemon


def test_the_daemon_launches_where_the_reaper_has_left_a_heartbeat(daemon):
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1


def test_the_daemon_launches_nothing_when_the_reaper_stops_and_goes_on_when_it_is_back(daemon):
    daemon.signs.heartbeat_age = timedelta(minutes=40)
    daemon.cycle()
    assert daemon.cloud.documents == []
    assert "has left no heartbeat" in daemon.last_said
    daemon.signs.heartbeat_age = timedelta(minutes=1)
    daemon.cycle(after=timedelta(minutes=2))
    assert len(daemon.cloud.documents) == 1


def test_the_parameters_are_read_once_a_minute_and_only_where_a_route_wants_a_reaper(daemon):
    for _ in range(4):
        daemon.cycle(after=timedelta(seconds=15))
    assert daemon.signs.times_read == 1
    daemon.cycle(after=timedelta(seconds=15))
    assert daemon.signs.times_read == 2
    daemon.routes = UNGUARDED
    daemon.cycle(after=timedelta(minutes=5))
    assert daemon.signs.times_read == 2


def test_parameters_that_can_not_be_read_launch_nothing_and_say_why(daemon):
    daemon.signs.error = NotPermitted("GetParameters: AccessDeniedException")
    daemon.cycle()
    assert daemon.cloud.documents == []
    assert daemon.provisioner.standing.silent["signs in us-east-2"] == "GetParameters: AccessDeniedException"


def test_one_unanswered_reading_does_not_stop_launches_while_the_last_heartbeat_is_fresh(daemon):
    daemon.queue.groups = []
    daemon.cycle()
    daemon.signs.error = NotPermitted("GetParameters: AccessDeniedException")
    daemon.queue.groups = [group()]
    daemon.cycle(after=timedelta(minutes=10))
    assert len(daemon.cloud.documents) == 1


def test_parameters_that_hang_hold_up_no_end(daemon):
    waiting = daemon.hung[REGION, Errand.SIGNS] = Hangs()
    daemon.cycle()
    assert (daemon.cloud.documents, daemon.provisioner.standing.snapshot.regions.keys()) == ([], {REGION})
    waiting.go_on()
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
