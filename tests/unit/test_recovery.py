"""Answers of AWS that are late, lost or contradict an earlier one, and a journal that has gone through worse."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.adapters.journal import Journal
from annex_core.adapters.pool_limits import pool_limits
from annex_core.daemon.hands import Errand
from annex_core.daemon.recovery import RESEND_FOR, recover
from annex_core.errors import JournalBroken, NotPermitted, OutcomeUnknown, Refused, Unavailable
from annex_core.model.annex import LaunchState
from annex_core.model.order import Frozen, Scope
from annex_core.model.place import Place
from annex_core.model.route import FleetApi
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import OpenRequest
from annex_core.planner.commons import Commons
from annex_core.planner.resending import barred
from annex_core.planner.strangers import SETTLED
from tests.unit.fakes import Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import NOW, REGION, ROUTE, annex, group, instance, launch, living, slot

MINUTE = timedelta(minutes=1)


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    made.queue.groups = [group(idle=2)]
    yield made
    made.journal.close()


def states(daemon):
    return [each.state for each in daemon.journal.launches(daemon.journal.annexes())]


def hide_fleets(daemon):
    """EC2's listing lags behind; what it has is not shown until the returned function is called."""
    daemon.cloud.fleets = lambda pool: []
    return lambda: daemon.cloud.__dict__.pop("fleets")


@pytest.mark.parametrize("dies", [False, True])
def test_a_refusal_says_nothing_of_a_sending_after_the_first_either(daemon, dies):
    """AWS has not heard of the launch for minutes; then it acts, does not answer, and refuses the next sending."""
    daemon.cloud.errors["request"] = [Unavailable("not now")]
    daemon.cycle()
    daemon.cloud.loses_answers = 1
    daemon.cycle(after=2 * SETTLED)
    show = hide_fleets(daemon)
    if dies:
        daemon.restart()
    daemon.cloud.errors["request"] = [NotPermitted("ExpiredToken")]
    daemon.cycle(after=MINUTE / 3)
    assert states(daemon) == [LaunchState.INTENDED]
    show()
    daemon.cycle(after=MINUTE / 2)
    assert states(daemon) == [LaunchState.REQUESTED]


def test_a_refusal_that_stands_is_an_outcome_when_no_sending_can_have_acted_unseen(daemon):
    daemon.cloud.errors["request"] = [Unavailable("not now"), NotPermitted("no"), NotPermitted("no")]
    daemon.cycle()
    daemon.cycle(after=SETTLED / 2)
    assert states(daemon) == [LaunchState.INTENDED]
    daemon.cycle(after=SETTLED / 2)
    assert states(daemon) == [LaunchState.REFUSED]


def test_a_launch_is_not_sent_again_where_it_is_too_much_by_now(daemon):
    """A cap was lowered, the route is gone, a limit came, or a freeze: AWS may not have heard of it yet."""
    daemon.cloud.errors["request"] = [Unavailable("not now")]
    daemon.cycle()
    for routes, limits in (
        ({ROUTE.name: replace(ROUTE, max_instances=0)}, ""),
        ({ROUTE.name: replace(ROUTE, max_vcpus=1)}, ""),
        ({ROUTE.name: replace(ROUTE, max_vcpus=1, instance_types=("c5.4xlarge",))}, ""),
        ({ROUTE.name: replace(ROUTE, budget=Decimal("0.1"))}, ""),
        ({}, ""),
        ({ROUTE.name: ROUTE}, "owner alice MaxHourlyCost=0.01"),
        ({ROUTE.name: ROUTE}, "everybody MaxHourlyCost=1000"),
    ):
        daemon.routes, daemon.limits = routes, pool_limits({"ANNEX_LIMITS": limits})
        daemon.cycle(after=MINUTE)
        assert len(daemon.cloud.documents) == 0
        assert states(daemon) == [LaunchState.INTENDED]
    daemon.routes, daemon.limits = {ROUTE.name: ROUTE}, pool_limits({})
    frozen = Frozen(Scope.ALL, since=NOW, by="root")
    daemon.orders.freeze([frozen])
    daemon.cycle(after=MINUTE)
    assert states(daemon) == [LaunchState.INTENDED]
    daemon.orders.thaw([frozen])
    daemon.cycle(after=MINUTE)
    assert states(daemon) == [LaunchState.REQUESTED]


@pytest.mark.parametrize(
    "given",
    [
        {"signs": {REGION: Signs(heartbeat=NOW - timedelta(hours=3))}},
        {"signs": {REGION: Signs(heartbeat=NOW, malformed="it has to be a list")}},
        {"signs": {}},
        {"frozen": {Place(REGION): "somebody has frozen it"}},
        {"unreachable": {Place(REGION): "no way home"}},
        {"routes": {ROUTE.name: replace(ROUTE, owners=("bob",))}},
        {"routes": {}},
    ],
)
def test_a_launch_is_not_sent_again_where_none_would_be_sent_now(given):
    sent = launch(state=LaunchState.INTENDED, fleet=None)
    seen = living(at=RegionView(), launches=[sent])
    assert barred([(sent, annex())], seen) == {}
    assert barred([(sent, annex())], replace(seen, **given)).keys() == {sent.token}


def test_a_launch_by_a_fallback_is_not_sent_again_where_that_route_is_gone():
    sent = launch(state=LaunchState.INTENDED, fleet=None, route="west", place=Place("us-west-2"))
    west = replace(ROUTE, name="west", region="us-west-2", reaper=False)
    seen = living(at=RegionView(), launches=[sent], routes={ROUTE.name: ROUTE, "west": west})
    assert barred([(sent, annex())], seen) == {}
    assert barred([(sent, annex())], replace(seen, routes={ROUTE.name: ROUTE})).keys() == {sent.token}


def test_a_launch_is_not_sent_again_where_nobody_can_tell_whether_it_is_too_much(daemon, monkeypatch):
    daemon.cloud.errors["request"] = [Unavailable("not now")]
    daemon.cycle()
    with monkeypatch.context() as broken:
        broken.setattr(Commons, "own", lambda *_: 1 / 0)
        daemon.cycle(after=MINUTE)
        assert states(daemon) == [LaunchState.INTENDED]
    daemon.cycle(after=MINUTE)
    assert states(daemon) == [LaunchState.REQUESTED]


def test_a_refusal_of_a_second_sending_says_nothing_of_the_first(daemon):
    daemon.cloud.loses_answers = 1
    daemon.cycle()
    hide_fleets(daemon)
    daemon.cloud.errors["request"] = [NotPermitted("ExpiredToken")]
    daemon.cycle(after=MINUTE)
    assert states(daemon) == [LaunchState.INTENDED]


def test_a_launch_given_up_as_lost_counts_again_when_a_listing_shows_it(daemon):
    daemon.cloud.loses_answers = 1000
    daemon.cycle()
    show = hide_fleets(daemon)
    daemon.queue.groups = []
    daemon.cycle(after=RESEND_FOR + SETTLED)
    assert states(daemon) == [LaunchState.LOST]
    show()
    daemon.cycle(after=MINUTE)
    assert states(daemon) == [LaunchState.REQUESTED]


def test_what_was_sent_a_last_time_is_not_lost_before_a_listing_can_show_it(daemon):
    daemon.cloud.loses_answers = 1000
    daemon.cycle()
    hide_fleets(daemon)
    daemon.cycle(after=RESEND_FOR - timedelta(seconds=1))
    daemon.cycle(after=timedelta(seconds=2))
    assert states(daemon) == [LaunchState.INTENDED]


def test_nothing_is_sent_again_for_an_annex_whose_lease_has_ended(daemon):
    daemon.queue.groups = [group(wishes=replace(group().wishes, lifetime=timedelta(minutes=20)))]
    daemon.cloud.loses_answers = 1000
    daemon.cycle()
    hide_fleets(daemon)
    daemon.cycle(after=20 * MINUTE)
    assert len(daemon.cloud.documents) == 1


def test_a_fleet_of_a_life_that_is_over_stops_no_cycle_and_is_ended(daemon):
    """A listing showed it gone, the annex was finished, and the next listing shows it again."""
    daemon.cycle()
    daemon.queue.groups = []
    show = hide_fleets(daemon)
    daemon.cycle(after=ROUTE.lifetime)
    assert daemon.journal.annexes() == ()
    show()
    end = daemon.cloud.cancel_fleets
    daemon.cloud.cancel_fleets = lambda ids, terminate: dict.fromkeys(ids, "fleetRequestNotInCancellableState")
    for _ in range(4):
        daemon.cycle(after=SETTLED)
    daemon.cloud.cancel_fleets = end
    daemon.cycle(after=MINUTE)
    assert daemon.cloud.cancelled == ["sfr-0"]
    daemon.cycle(after=MINUTE)
    assert daemon.journal.annexes() == ()


def test_a_fleet_that_is_listed_without_its_token_is_taken_into_the_journal_once(daemon):
    daemon.cycle()
    daemon.cloud.listed_fleets = [replace(each, client_token="") for each in daemon.cloud.listed_fleets]
    daemon.queue.groups = []
    daemon.restart(keeping_journal=False)
    for _ in range(6):
        daemon.cycle(after=SETTLED)
    assert len(daemon.journal.launches(daemon.journal.annexes())) == 1


def test_a_machine_whose_tags_name_no_annex_does_not_stop_the_region_for_ever(daemon):
    daemon.cloud.listed_instances = [
        instance(tags={key: value for key, value in instance().tags.items() if key != "htcondor:Owner"})
    ]
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1


def test_an_adopted_launch_keeps_the_price_that_the_journal_knows(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    journal.begin(annex())
    journal.intend(launch(state=LaunchState.LOST), "{}")
    journal.adopt(launch(hourly_ceiling=None, types=()))
    (kept,) = journal.launches(journal.annexes())
    assert (kept.state, kept.hourly_ceiling) == (LaunchState.REQUESTED, launch().hourly_ceiling)
    journal.close()


def test_open_requests_that_were_cancelled_are_looked_at_again_before_the_launch_is_closed(daemon):
    daemon.cycle()
    daemon.queue.groups = []
    still_open = [OpenRequest("sir-1", "sfr-0")]
    daemon.cloud.open_requests = lambda fleets: still_open
    daemon.cycle(after=MINUTE)
    assert daemon.cloud.closed == ["sir-1"]
    assert daemon.journal.launches(daemon.journal.annexes())[0].closed is None
    still_open.clear()
    daemon.cycle(after=MINUTE)
    assert daemon.journal.launches(daemon.journal.annexes())[0].closed


@pytest.mark.parametrize("error", [Refused("DependencyViolation"), NotPermitted("UnauthorizedOperation")])
def test_a_template_that_may_not_be_deleted_keeps_no_annex_from_ending(daemon, error):
    daemon.cycle()
    daemon.queue.groups = []

    def refuse(template):
        raise error

    daemon.cloud.delete_template = refuse
    daemon.cycle(after=ROUTE.lifetime)
    daemon.cycle(after=MINUTE)
    assert daemon.journal.annexes() == ()


def test_a_launch_that_was_filled_unseen_counts_until_its_machine_had_time_to_be_listed(daemon):
    """Found by tests/unit/test_money_machine.py: its place was bought again, and the cap passed by one."""
    daemon.cycle()
    daemon.queue.groups = []  # nothing of it is open any more, and no machine is listed

    def closed():
        return daemon.journal.launches(daemon.journal.annexes())[0].closed

    daemon.cycle(after=MINUTE)
    daemon.cycle(after=MINUTE / 2)
    assert not closed()
    daemon.cycle(after=MINUTE / 2)
    assert closed()


@pytest.mark.parametrize("made", [True, False])
def test_a_template_that_may_have_been_made_unheard_is_looked_for_and_goes_with_its_bundle(daemon, made):
    daemon.cloud.errors["put_template"] = [OutcomeUnknown("killed meanwhile")]
    daemon.cycle()
    (life,) = daemon.journal.annexes()
    if made:
        daemon.cloud.made_unheard[f"condor-annex-{life.id}"] = "lt-unheard"
    daemon.queue.groups = []
    daemon.cycle(after=ROUTE.lifetime)
    daemon.cycle(after=MINUTE)
    assert daemon.journal.annexes() == ()
    assert daemon.cloud.deleted == (["lt-unheard"] if made else [])
    assert daemon.store.objects == {}


def test_a_plan_that_waited_long_for_its_turn_is_not_carried_out(daemon):
    launching = daemon.hung[REGION, Errand.LAUNCH] = Hangs()
    daemon.cycle()
    daemon.now += 30 * MINUTE
    launching.go_on()
    assert daemon.cloud.documents == []


def test_a_failure_is_forgotten_when_what_failed_is_wanted_no_more(daemon):
    daemon.store.error = NotPermitted("no bucket")
    daemon.cycle()
    daemon.queue.groups = []
    daemon.cycle(after=MINUTE)
    assert daemon.provisioner.standing.failures == {}


def test_an_answer_that_cannot_be_read_silences_its_region_and_nothing_else(daemon, caplog):
    def unreadable(pool):
        raise KeyError("Placement")

    listed, daemon.cloud.instances = daemon.cloud.instances, unreadable
    for _ in range(3):
        daemon.cycle(after=MINUTE)
        assert "does not answer" in daemon.last_said
    daemon.cloud.instances = listed
    daemon.cycle(after=MINUTE)
    daemon.cloud.instances = unreadable
    daemon.cycle(after=MINUTE)
    told = [each for each in caplog.records if each.exc_info and "Placement" in str(each.exc_info[1])]
    assert len(told) == 2, "once for each time that it begins"


def test_a_commit_that_failed_does_not_lock_the_journal(tmp_path):
    journal = Journal(tmp_path / "journal.db")

    class FullDisk:
        def __init__(self, db):
            self.db, self.full = db, True

        def __getattr__(self, name):
            return getattr(self.db, name)

        def execute(self, statement, *given):
            if statement == "COMMIT" and self.full:
                self.full = False
                raise sqlite3.OperationalError("database or disk is full")
            return self.db.execute(statement, *given)

    journal._db = FullDisk(journal._db)
    with pytest.raises(JournalBroken):
        journal.begin(annex(started=NOW))
    assert journal.annexes() == ()
    journal.close()


def test_an_instant_fleet_whose_answer_was_lost_is_found_by_the_token_on_its_machines(tmp_path):
    journal = Journal(tmp_path / "journal.db")
    asked = launch("t1", api=FleetApi.EC2_FLEET, state=LaunchState.INTENDED, fleet=None)
    journal.begin(annex())
    journal.intend(asked, "{}")
    view = RegionView(instances=[instance(client_token="t1", fleet="fleet-1")])
    settled, again = recover(journal, living(at=view, launches=[asked]), set())
    assert (settled, again) == (True, [])
    (found,) = journal.launches([annex()])
    assert (found.state, found.fleet) == (LaunchState.REQUESTED, "fleet-1")
    journal.close()


@pytest.mark.parametrize("speaks", [True, False])
def test_a_machine_that_one_listing_leaves_out_counts_as_long_as_its_slot_is_there_for_a_minute(daemon, speaks):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large",), max_instances=2)}
    daemon.queue.groups = [group(4)]
    daemon.cycle()
    [fleet] = daemon.cloud.listed_fleets
    both = [instance(f"i-{n}", launched=daemon.now, fleet=fleet.id, tags=dict(fleet.tags)) for n in (1, 2)]
    daemon.cloud.listed_instances = both
    daemon.slots.advertised = [slot("i-1", free_cpus=0), slot("i-2", free_cpus=0)]
    daemon.cycle(after=3 * MINUTE)
    daemon.cloud.listed_instances = both[:1]
    if not speaks:
        daemon.slots.advertised = daemon.slots.advertised[:1]
    daemon.cycle(after=3 * MINUTE)
    assert len(daemon.cloud.documents) == (1 if speaks else 2)
    daemon.cloud.listed_instances = both
    daemon.cycle(after=MINUTE)
    daemon.cloud.listed_instances = both[:1]
    daemon.cycle(after=MINUTE)
    daemon.cycle(after=MINUTE)
    assert len(daemon.cloud.documents) == 2, "two listings in a row are believed"


def test_a_clock_that_ran_ahead_makes_no_collector_young(daemon):
    daemon.cycle()
    daemon.slots.advertised = None
    daemon.cycle(after=MINUTE)
    daemon.slots.advertised = []
    daemon.cycle(after=180 * MINUTE)
    daemon.now -= 180 * MINUTE
    daemon.cycle(after=MINUTE)
    seen = daemon.provisioner.standing.snapshot
    assert seen.slots_since <= seen.at
