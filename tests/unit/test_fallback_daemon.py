"""The daemon where an annex falls back to another region: template, bundle, journal, end and restart."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.errors import NoCapacity, Unavailable
from annex_core.model.place import Place
from tests.unit.fakes import FakeCloud
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, ROUTE, group, instance

WEST = Place("us-west-2")
MINUTE = timedelta(minutes=1)
HERE = replace(ROUTE, instance_types=("c5.large",), fallback=("west",))
THERE = replace(HERE, name="west", region=WEST, subnets=("subnet-9",), image="ami-9", bucket="bucket-west", fallback=())


@pytest.fixture
def daemon(tmp_path):
    """Nothing is to be had where the route is."""
    made = Daemon(tmp_path / "journal.db")
    made.routes = {HERE.name: HERE, THERE.name: THERE}
    made.elsewhere[WEST] = FakeCloud()
    made.cloud.errors["request"] = [NoCapacity("InsufficientInstanceCapacity")] * 100
    made.queue.groups = [group(4)]
    yield made
    made.journal.close()


def fallen_back(daemon):
    """The cloud of the other region, once machines were asked for there."""
    west = daemon.elsewhere[WEST]
    for _ in range(4):
        daemon.cycle(after=MINUTE)
    assert west.documents
    return west


def test_machines_are_asked_for_there_with_that_route_s_image_subnets_and_bundle(daemon):
    west = fallen_back(daemon)
    assert {each.subnet for each in west.requests[-1].overrides} == {"subnet-9"}
    assert west.templates[-1][0].image == "ami-9"
    assert west.templates[-1][1] is None, "the other region knows no template of the annex yet"


def test_they_carry_the_annex_s_own_route_and_lease(daemon):
    west, [annex] = fallen_back(daemon), daemon.journal.annexes()
    carried = west.requests[-1].tags
    assert (carried["htcondor:Route"], carried["htcondor:AnnexName"]) == ("spot", "blue")
    assert annex.route == "spot"
    assert annex.place == "us-east-2"


def test_after_a_restart_without_the_other_route_its_machines_are_known_and_end_with_the_annex(daemon):
    west, [annex] = fallen_back(daemon), daemon.journal.annexes()
    daemon.queue.groups = []
    west.listed_instances = [instance("i-west", tags=dict(west.requests[-1].tags), launched=daemon.now)]
    daemon.routes = {HERE.name: replace(HERE, fallback=())}
    daemon.restart()
    daemon.cycle(after=MINUTE)
    assert [each.id for each in daemon.journal.instances([annex])] == ["i-west"]
    daemon.cycle(after=timedelta(hours=30))
    assert west.terminated == ["i-west"]


def test_when_it_is_over_templates_of_both_regions_are_deleted(daemon):
    west = fallen_back(daemon)
    daemon.queue.groups = []
    daemon.cycle(after=timedelta(hours=30))
    daemon.cycle(after=MINUTE)
    assert daemon.journal.annexes() == ()
    assert (daemon.cloud.deleted, west.deleted) == (["lt-1"], ["lt-1"])


def test_a_template_of_a_region_that_no_launch_and_no_route_names_is_looked_for_and_keeps_no_annex_from_its_end(daemon):
    """Whether it was made there nobody has heard."""
    west = daemon.elsewhere[WEST]
    west.errors["put_template"] = [Unavailable("AWS is away")] * 100
    for _ in range(4):
        daemon.cycle(after=MINUTE)
    assert not west.documents
    west.made_unheard = {f"condor-annex-{daemon.journal.annexes()[0].id}": "lt-unheard"}
    daemon.queue.groups = []
    daemon.routes = {HERE.name: replace(HERE, fallback=())}
    daemon.cycle(after=timedelta(hours=30))
    daemon.cycle(after=MINUTE)
    assert daemon.journal.annexes() == ()
    assert west.deleted == ["lt-unheard"]


def test_as_soon_as_the_route_has_machines_again_they_are_asked_for_there(daemon):
    fallen_back(daemon)
    daemon.cloud.errors = {}
    daemon.queue.groups = [group(40)]
    for _ in range(90):
        daemon.cycle(after=MINUTE)
        if daemon.cloud.listed_fleets:
            break
    assert [each.target for each in daemon.cloud.listed_fleets] == [1], "one is tried"
    assert "us-east-2" in dict(daemon.queue.said)[ALICE]
