"""Annexes whose machines bring a pilot of their own: nothing of ours is given to them, and nothing is expected."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.daemon.provisioner import Standing
from annex_core.daemon.status import status
from annex_core.errors import BadRoute
from annex_core.model import tags
from annex_core.model.place import Place
from annex_core.model.plan import LaunchFleet, Terminate
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import InstanceState
from annex_core.planner.plan import plan
from annex_core.planner.strangers import adopt
from tests.unit.test_provisioner import Daemon
from tests.unit.world import (
    ACCESS_POINT,
    ALICE,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    annex,
    carried,
    fleets,
    group,
    instance,
    known,
    launch,
    living,
    snapshot,
)

OLD = timedelta(hours=3)
SCRIPT = "#!/bin/sh\necho pilot\n"


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "pilot.sh"
    path.write_text(SCRIPT)
    return path


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    yield made
    made.journal.close()


def asked(daemon, route, *, pilot=True, target=2):
    """A launch that somebody asked for by hand."""
    daemon.routes = {route.name: route}
    daemon.cycle()
    wanted = LaunchFleet(
        annex=annex(started=NOW, pilot=pilot),
        types=("c5.large",),
        ceilings={"c5.large": TYPES["c5.large"].on_demand},
        target=target,
        hourly_ceiling=None,
        idle_timeout_s=300,
        route=route,
    )
    daemon.launcher.launch(wanted)
    return daemon.cloud.templates[-1][0]


def left_alone(of):
    return not [action for action in plan(of).actions if isinstance(action, Terminate)]


def test_a_pilot_that_never_joins_is_not_ended_for_that():
    view = RegionView([instance(launched=NOW - OLD)])
    assert left_alone(living(at=view, annexes={ALICE: annex(pilot=True)}))
    assert not left_alone(living(at=view))


def test_nor_is_it_when_its_route_is_gone():
    view = RegionView([instance(launched=NOW - OLD)])
    assert left_alone(living(at=view, annexes={ALICE: annex(pilot=True)}, routes={}))


def test_nor_when_the_journal_was_lost_and_its_tags_are_all_that_is_known():
    told = carried() | {tags.PILOT: "true"}
    (adopted,), _ = adopt(Place(REGION), [], [instance(tags=told, launched=NOW - OLD)], {}, access_point=ACCESS_POINT)
    assert adopted.pilot


def test_a_pilot_ends_with_its_lease_like_any_machine():
    late = annex(pilot=True, lease_ends=NOW - timedelta(seconds=1))
    view = RegionView([instance(tags=carried(of=late))])
    assert not left_alone(living(at=view, annexes={ALICE: late}))


def test_jobs_of_this_queue_buy_no_pilot_and_are_told_why():
    of = snapshot([group()], routes={ROUTE.name: replace(ROUTE, pilot=True)})
    assert fleets(of) == []
    assert "pilots of another pool" in plan(of).outlooks[ALICE].sentence


def test_its_machines_get_the_user_data_that_the_administrator_gave(daemon, script):
    assert asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script))).user_data == SCRIPT


def test_user_data_of_a_command_wins_over_the_routes_file(daemon, script):
    route = replace(ROUTE, pilot=True, user_data_file=str(script), user_data="#!/bin/sh\necho mine\n")
    assert asked(daemon, route).user_data == "#!/bin/sh\necho mine\n"


def test_there_is_no_bundle_and_no_token(daemon, script):
    asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script)))
    assert (daemon.store.tries, daemon.tokens.issued) == (0, [])


def test_its_tags_say_all_that_other_annexes_do_and_that_it_is_a_pilots(daemon, script):
    told = asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script))).tags
    assert carried().keys() <= told.keys()
    assert told[tags.PILOT] == "true"


def test_its_fleet_ends_at_the_outer_bound_like_any_other(daemon, script):
    asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script)))
    assert daemon.cloud.requests[-1].valid_until == annex().ends_at_latest


def test_the_next_daemon_still_knows_it_for_a_pilot(daemon, script):
    asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script)))
    assert [each.pilot for each in daemon.journal.annexes()] == [True]


def test_when_it_is_over_its_template_goes_and_no_bundle_is_looked_for(daemon, script):
    asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script)))
    (its,) = daemon.journal.annexes()
    daemon.launcher.finish(its)
    assert daemon.cloud.deleted == ["lt-1"]
    assert daemon.journal.annexes() == ()


def test_other_user_data_without_a_pilot_still_finds_its_bundle_in_the_bucket(daemon, script):
    request = asked(daemon, replace(ROUTE, user_data_file=str(script)), pilot=False)
    assert request.user_data == SCRIPT
    assert list(daemon.store.objects) == [f"config-{annex().id}.tar.gz"]


def test_a_changed_file_is_what_the_next_machines_get(daemon, script):
    route = replace(ROUTE, pilot=True, user_data_file=str(script))
    asked(daemon, route)
    asked(daemon, route)
    assert len(daemon.cloud.templates) == 1
    script.write_text("#!/bin/sh\necho newer\n")
    assert asked(daemon, route).user_data == "#!/bin/sh\necho newer\n"


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_can_not_be_given_launches_nothing_and_says_so(daemon, script, content):
    script.unlink() if content is None else script.write_bytes(content)
    with pytest.raises(BadRoute, match="AnnexUserDataFile"):
        asked(daemon, replace(ROUTE, pilot=True, user_data_file=str(script)))
    assert daemon.cloud.requests == []


def test_a_pilot_without_user_data_launches_nothing(daemon):
    with pytest.raises(BadRoute, match="without user data no pilot starts"):
        asked(daemon, replace(ROUTE, pilot=True))


def test_a_pilot_is_up_as_soon_as_it_runs():
    view = RegionView([instance(), instance("i-2", state=InstanceState.PENDING)])
    of = living(at=view, annexes={ALICE: annex(pilot=True)}, launches=[launch(target=2)], known=[known("i-1")])
    (told,) = status(Standing(of, plan(of)), "alice", administrator=False)["annexes"]
    assert (told["pilot"], told["instances"]["booting"], told["instances"]["joined"]) == (True, 1, 1)
