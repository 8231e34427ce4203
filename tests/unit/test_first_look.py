"""A route is looked at before its first launch, and what would fail for certain is not launched."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.account.checks import Finding
from annex_core.daemon.hands import Errand
from annex_core.errors import Unavailable
from tests.unit.fakes import Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import REGION, ROUTE, group

NO_WAY_OUT = Finding("route spot", False, "no route leads out of subnet-1", "aws ec2 create-route", stops=True)
NO_ROLE = Finding("route spot", False, "there is no AWSServiceRoleForEC2Spot", "aws iam create-service-linked-role")


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group()]
    yield made
    made.journal.close()


def test_what_stands_against_a_launch_is_told_to_the_job_and_nothing_is_asked_for(daemon, caplog):
    daemon.preflight = lambda route: [NO_WAY_OUT]
    daemon.cycle()
    assert daemon.cloud.documents == []
    assert "no route leads out of subnet-1" in daemon.last_said
    assert "condor_annex check-setup" in daemon.last_said
    assert "run: aws ec2 create-route" in caplog.text


def test_once_it_is_cured_the_route_launches_without_a_reconfig(daemon):
    daemon.preflight = lambda route: [NO_WAY_OUT]
    daemon.cycle()
    daemon.preflight = lambda route: []
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.cloud.documents == []
    daemon.cycle(after=timedelta(minutes=5))
    assert len(daemon.cloud.documents) == 1


def test_what_aws_refuses_by_itself_is_logged_with_its_cure_and_does_not_keep_the_route(daemon, caplog):
    daemon.preflight = lambda route: [NO_ROLE]
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
    assert "run: aws iam create-service-linked-role" in caplog.text


def test_a_route_is_looked_at_once_and_again_when_it_changes(daemon):
    looked = []
    daemon.preflight = lambda route: looked.append(route.subnets) or []
    for _ in range(3):
        daemon.cycle(after=timedelta(hours=1))
    daemon.routes = {ROUTE.name: replace(ROUTE, subnets=("subnet-2",))}
    daemon.cycle()
    assert looked == [("subnet-1",), ("subnet-2",)]


def test_the_first_launch_waits_for_the_look_and_is_woken_when_it_is_over(daemon):
    hand = daemon.hung[REGION, Errand.LAUNCH] = Hangs()
    daemon.cycle()
    assert "looked at before its first launch" in daemon.last_said
    assert daemon.woken == 0
    hand.go_on()
    assert daemon.woken == 1
    daemon.cycle()
    hand.go_on()
    assert len(daemon.cloud.documents) == 1


def test_a_look_that_aws_does_not_answer_keeps_nothing_from_launching_and_is_tried_again(daemon):
    tries = []

    def silent(route):
        tries.append(route)
        raise Unavailable("no answer")

    daemon.preflight = silent
    daemon.cycle()
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
    assert len(tries) == 2


def test_a_look_that_fails_by_our_own_fault_launches_nothing_and_administrators_hear_of_it(daemon):
    def broken(route):
        raise TypeError("no such attribute")

    daemon.preflight = broken
    daemon.cycle()
    daemon.cycle()
    assert daemon.cloud.documents == []
    assert daemon.provisioner.standing.failures == {"route spot": "condor_annexd failed on this; its log says how"}
    daemon.preflight = lambda route: []
    daemon.cycle()
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1
    assert daemon.provisioner.standing.failures == {}
