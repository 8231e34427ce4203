from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_costs import Ledger
from annex_core.adapters.market_file import MarketFile
from annex_core.adapters.order_book import OrderBook
from annex_core.daemon.describing import Site
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.keyring import KeyRing
from annex_core.daemon.launching import Launcher
from annex_core.daemon.observing import Observer
from annex_core.daemon.provisioner import Provisioner, Recipes
from annex_core.daemon.quotes import Quotes
from annex_core.daemon.recovery import RESEND_FOR
from annex_core.daemon.regions import Region, Regions
from annex_core.errors import NotPermitted, OverQuota, Unavailable
from annex_core.model.annex import LaunchState
from annex_core.model.demand import JobCounts, Limits
from annex_core.model.limits import PoolLimits
from annex_core.model.place import Place
from annex_core.planner.matching import Matcher
from annex_core.planner.outlay import price
from annex_core.planner.strangers import SETTLED
from tests.unit.fakes import (
    AtOnce,
    FakeCloud,
    FakePriceList,
    FakeProber,
    FakeQueue,
    FakeSigns,
    FakeSlots,
    FakeStore,
    FakeTokens,
    Hangs,
)
from tests.unit.world import ACCESS_POINT, ALICE, BOB, DOMAIN, NOW, REGION, ROUTE, TYPES, group, instance


class Daemon:
    """A provisioner among fakes; restart() is what condor_master does after a crash."""

    def __init__(self, path):
        self.path = path
        self.now = NOW
        self.cloud, self.store, self.queue, self.slots = FakeCloud(), FakeStore(), FakeQueue(), FakeSlots()
        self.tokens, self.signs, self.prober = FakeTokens(), FakeSigns(), FakeProber()
        self.routes = {ROUTE.name: ROUTE}
        self.limits = PoolLimits()
        self.elsewhere = {}
        self.hung = {}
        self.rung = self.woken = 0
        self.preflight = lambda route: []
        self.price_list = FakePriceList()
        self.numbers = count()
        self.start()

    def start(self):
        self.journal = Journal(self.path)
        self.orders = OrderBook(self.journal)
        self.ledger = Ledger(self.journal, lambda place, name: price(TYPES.get(name), None))
        self.keyring = KeyRing()
        self.hearsay = Hearsay()
        regions = Regions(
            lambda place: Region(
                place,
                self.elsewhere.get(place, self.cloud),
                lambda bucket: self.store,
                self.signs,
                self.prober,
                lambda route, now: self.preflight(route),
                self.price_list,
            )
        )
        hands = Hands(lambda region, errand: self.hung.get((region, errand)) or AtOnce())
        site = Site("pool", ACCESS_POINT, DOMAIN, "ap.example:9618", DOMAIN)
        self.launcher = Launcher(
            site=site,
            journal=self.journal,
            regions=regions,
            tokens=self.tokens,
            clock=lambda: self.now,
            unique=lambda: f"{next(self.numbers):032d}",
        )
        self.provisioner = Provisioner(
            observer=Observer(
                keyring=self.keyring,
                queue=self.queue,
                slots=self.slots,
                regions=regions,
                hands=hands,
                late=self.ring,
                patience=timedelta(0),
                journal=self.journal,
                orders=self.orders,
                hearsay=self.hearsay,
                quotes=Quotes(
                    regions=regions,
                    hands=hands,
                    file=MarketFile(self.path.with_name("market.json")),
                    bundled=lambda region, names: {
                        name: TYPES[name].on_demand for name in names if TYPES[name].on_demand
                    },
                ),
                pool="pool",
                access_point=ACCESS_POINT,
                domain=DOMAIN,
                trust_domain=DOMAIN,
            ),
            launcher=self.launcher,
            journal=self.journal,
            orders=self.orders,
            ledger=self.ledger,
            regions=regions,
            queue=self.queue,
            hands=hands,
            matcher=Matcher(domain=DOMAIN),
            clock=lambda: self.now,
            wake=self.wake,
        )

    def ring(self):
        self.rung += 1

    def wake(self):
        self.woken += 1

    def restart(self, *, keeping_journal=True):
        self.journal.close()
        if not keeping_journal:
            for file in self.path.parent.glob(f"{self.path.name}*"):
                file.unlink()
        self.start()

    def cycle(self, *, after=timedelta(0)):
        self.now += after
        self.provisioner.cycle(Recipes(self.routes, {}, self.limits))

    @property
    def last_said(self):
        return self.queue.said[-1][1]


@pytest.fixture
def daemon(tmp_path):
    made = Daemon(tmp_path / "journal.db")
    yield made
    made.journal.close()


def test_an_idle_job_gets_bundle_template_and_one_fleet(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert len(daemon.store.objects) == len(daemon.cloud.templates) == len(daemon.cloud.documents) == 1


def test_a_limit_that_a_job_carried_once_outlives_the_job_and_the_daemon(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.queue.jobs = {ALICE: JobCounts(running=1, limits=Limits(max_instances=2))}
    daemon.cycle()
    daemon.queue.jobs = {}
    daemon.restart()
    daemon.queue.groups = [group(idle=500)]
    daemon.cycle(after=timedelta(minutes=3))
    assert [fleet.target for fleet in daemon.cloud.listed_fleets] == [1, 1]
    assert "cap of 2 machines" in daemon.last_said


def test_without_a_count_of_all_jobs_nothing_is_launched(daemon):
    daemon.queue.groups = [group()]
    daemon.queue.jobs_error = Unavailable("the schedd does not answer")
    daemon.cycle()
    assert daemon.cloud.documents == []


def test_the_next_cycle_does_not_ask_again(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cycle(after=timedelta(hours=1))
    assert len(daemon.cloud.listed_fleets) == 1


def test_the_launch_is_in_the_journal_before_aws_hears_of_it(daemon):
    daemon.queue.groups = [group()]
    known = []
    ask = daemon.cloud.request
    daemon.cloud.request = lambda document: known.append(daemon.journal.unanswered()) or ask(document)
    daemon.cycle()
    ((launch, document),) = known[0]
    assert launch.state is LaunchState.INTENDED
    assert document == daemon.cloud.documents[0]


def test_a_second_step_reuses_the_template(daemon):
    daemon.queue.groups = [group(idle=2)]
    daemon.cycle()
    daemon.queue.groups = [group(idle=4)]
    daemon.cycle(after=timedelta(minutes=3))
    assert len(daemon.cloud.listed_fleets) == 2
    assert len(daemon.cloud.templates) == 1


def test_a_changed_route_makes_a_new_version_of_the_same_template(daemon):
    daemon.queue.groups = [group(idle=2)]
    daemon.cycle()
    daemon.routes = {ROUTE.name: replace(ROUTE, key_name="other")}
    daemon.queue.groups = [group(idle=4)]
    daemon.cycle(after=timedelta(minutes=3))
    assert [existing for _, existing in daemon.cloud.templates] == [None, "lt-1"]


def test_when_the_bundle_cannot_be_stored_no_fleet_is_asked_for_and_the_user_reads_why(daemon):
    daemon.queue.groups = [group()]
    daemon.store.error = Unavailable("S3 does not answer")
    daemon.cycle()
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.cloud.documents == []
    assert "S3 does not answer" in daemon.last_said


def test_what_fails_before_a_fleet_is_asked_for_is_tried_again_less_and_less_often(daemon):
    daemon.queue.groups = [group()]
    daemon.store.error = Unavailable("S3 does not answer.")
    tries = []
    for _ in range(4):
        for _ in range(180):
            daemon.cycle(after=timedelta(seconds=5))
        tries.append(daemon.store.tries)
    assert tries == [6, 7, 8, 9]
    assert daemon.last_said == (
        "Annex blue: no machine yet. Jobs wait: the next try comes in a while. The last try failed: S3 does not answer."
    )


def test_a_failure_is_forgotten_once_what_failed_goes_well(daemon):
    daemon.queue.groups = [group()]
    daemon.store.error = Unavailable("S3 does not answer")
    for _ in range(4):
        daemon.cycle(after=timedelta(minutes=2))
    daemon.store.error = None
    daemon.cycle(after=timedelta(minutes=2))
    assert len(daemon.cloud.documents) == 1
    assert daemon.provisioner.standing.failures == {}


def test_machines_that_joined_while_the_collector_was_away_have_time_to_say_so(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    (made,) = daemon.cloud.listed_fleets
    daemon.cloud.listed_instances = [instance(fleet=made.id, tags=made.tags, launched=daemon.now)]
    daemon.cycle(after=timedelta(minutes=1))
    daemon.slots.error = Unavailable("the annex collector does not answer")
    daemon.cycle(after=timedelta(minutes=29))
    daemon.slots.error = None
    daemon.cycle(after=timedelta(minutes=1))
    daemon.cycle(after=timedelta(minutes=4))
    assert daemon.cloud.terminated == []
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.cloud.terminated == ["i-1"]


def test_after_a_lost_answer_the_same_bytes_are_sent_and_one_fleet_results(daemon):
    daemon.queue.groups = [group()]
    daemon.cloud.loses_answers = 1
    daemon.cycle()
    listed, daemon.cloud.listed_fleets = daemon.cloud.listed_fleets, []
    daemon.cloud.fleets = lambda pool: []  # EC2's listing lags behind
    daemon.cloud.listed_fleets = listed
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.cloud.documents[0] == daemon.cloud.documents[1]
    assert len(daemon.cloud.listed_fleets) == 1
    assert daemon.journal.unanswered() == ()


def test_a_daemon_killed_between_the_request_and_its_answer_finds_the_fleet_by_its_token(daemon):
    daemon.queue.groups = [group()]
    daemon.cloud.loses_answers = 1
    daemon.cycle()
    daemon.restart()
    daemon.cycle(after=timedelta(minutes=1))
    assert len(daemon.cloud.documents) == 1
    assert [launch.fleet for launch in daemon.journal.launches(daemon.journal.annexes())] == ["sfr-0"]


def test_an_unanswered_launch_too_old_to_send_is_given_up_when_no_listing_shows_it(daemon):
    daemon.queue.groups = [group()]
    daemon.cloud.errors["request"] = [Unavailable("no way")]
    daemon.cycle()
    daemon.queue.groups = []
    daemon.cycle(after=RESEND_FOR + SETTLED)
    assert daemon.cloud.documents == []
    assert [each.state for each in daemon.journal.launches(daemon.journal.annexes())] == [LaunchState.LOST]


def test_a_refusal_of_aws_is_told_to_the_user(daemon):
    daemon.queue.groups = [group()]
    daemon.cloud.errors["request"] = [OverQuota("MaxSpotInstanceCountExceeded")]
    daemon.cycle()
    daemon.cycle(after=timedelta(minutes=1))
    assert "MaxSpotInstanceCountExceeded" in daemon.last_said


def test_why_aws_does_not_fill_a_request_is_told_to_the_user(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.cloud.trouble = "allLaunchSpecsTemporarilyBlacklisted"
    daemon.cycle(after=timedelta(minutes=1))
    assert "allLaunchSpecsTemporarilyBlacklisted" in daemon.last_said


def test_a_type_that_the_region_does_not_have_is_not_asked_for(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, instance_types=("c5.large", "z9.imaginary"))}
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert [launch.types for launch in daemon.journal.launches(daemon.journal.annexes())] == [("c5.large",)]


def test_one_annex_whose_launch_fails_does_not_stop_another(daemon):
    daemon.queue.groups = [group(), group(key=BOB)]
    daemon.cloud.errors["put_template"] = [NotPermitted("no")]
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1


def test_when_aws_does_not_answer_nothing_is_launched_and_the_user_reads_why(daemon):
    daemon.queue.groups = [group()]
    daemon.cloud.errors["instances"] = [Unavailable("timed out")]
    daemon.cycle()
    assert daemon.cloud.documents == []
    assert "timed out" in daemon.last_said


def test_with_the_journal_lost_nothing_is_launched_until_two_listings_agree(daemon):
    daemon.queue.groups = [group(idle=2)]
    daemon.cycle()
    daemon.restart(keeping_journal=False)
    daemon.queue.groups = [group(idle=1000)]
    for later in (timedelta(seconds=10), SETTLED / 2, SETTLED / 2 - timedelta(seconds=1)):
        daemon.cycle(after=later)
        assert [fleet.target for fleet in daemon.cloud.listed_fleets] == [1]
        assert "waiting to be sure" in daemon.last_said
    daemon.cycle(after=timedelta(seconds=1))
    assert [fleet.target for fleet in daemon.cloud.listed_fleets] == [1, ROUTE.max_instances - 1]
    assert [each.target for each in daemon.journal.launches(daemon.journal.annexes())] == [1, ROUTE.max_instances - 1]


def test_the_word_of_a_hook_names_the_route_before_the_schedd_does(daemon):
    daemon.queue.groups = [group(route=None)]
    daemon.cycle()
    assert daemon.cloud.documents == []
    daemon.hearsay.hear(ALICE, "spot", daemon.now)
    daemon.cycle()
    assert len(daemon.cloud.documents) == 1


def test_at_the_leases_end_all_is_ended_and_tidied_up(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    tags = daemon.cloud.listed_fleets[0].tags
    daemon.cloud.listed_instances = [instance(tags=tags, launched=NOW)]
    daemon.queue.groups = []
    daemon.cycle(after=ROUTE.lifetime)
    assert (daemon.cloud.cancelled, daemon.cloud.terminated) == (["sfr-0"], ["i-1"])
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.journal.annexes() == ()
    assert (daemon.cloud.deleted, daemon.store.objects) == (["lt-1"], {})


def test_an_annex_whose_route_is_gone_is_ended_and_tidied_up_all_the_same(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.queue.groups, daemon.routes = [], {}
    daemon.restart()
    daemon.cycle(after=ROUTE.lifetime)
    daemon.cycle(after=timedelta(minutes=1))
    assert daemon.cloud.cancelled == ["sfr-0"]
    assert (daemon.cloud.deleted, daemon.store.objects) == (["lt-1"], {})


def test_numbers_that_change_are_written_to_the_queue_now_and_then(daemon):
    daemon.queue.groups = [group()]
    for _ in range(5):
        daemon.cycle(after=timedelta(seconds=4))
    assert len(daemon.queue.said) == 1


def test_a_new_reason_to_wait_is_written_to_the_queue_at_once(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    daemon.queue.groups = [group(cpus=500)]
    daemon.cycle(after=timedelta(minutes=3))
    daemon.queue.groups = [group(cpus=600)]
    daemon.cycle(after=timedelta(seconds=1))
    assert "600 CPUs" in daemon.last_said


def test_the_fleet_carries_the_annexs_tags(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    assert daemon.cloud.listed_fleets[0].tags == {
        "htcondor:ProjectID": "physics",
        "htcondor:AnnexName": "blue",
        "htcondor:Owner": "alice",
        "htcondor:Route": "spot",
        "htcondor:Pool": "pool",
        "htcondor:AccessPoint": ACCESS_POINT,
        "htcondor:LeaseEnds": "2026-11-21T20:00:00Z",
        "htcondor:EndsAtLatest": "2026-11-22T12:00:00Z",
    }
    assert REGION == "us-east-2"


def test_two_routes_of_one_region_each_launch_and_look_by_their_own_credentials(daemon):
    physics = replace(ROUTE, name="physics", credentials="profile physics")
    daemon.routes = {ROUTE.name: ROUTE, "physics": physics}
    theirs = daemon.elsewhere[physics.place] = FakeCloud("physics")
    daemon.queue.groups = [group(), group(key=BOB, route="physics")]
    daemon.cycle()
    assert [len(cloud.documents) for cloud in (daemon.cloud, theirs)] == [1, 1]
    assert {annex.key: annex.place for annex in daemon.journal.annexes()} == {
        ALICE: "us-east-2",
        BOB: "us-east-2 by profile physics",
    }
    daemon.queue.groups = []
    daemon.cycle(after=timedelta(hours=9))
    assert [len(cloud.cancelled) for cloud in (daemon.cloud, theirs)] == [1, 1]


def test_an_annex_is_looked_at_by_the_credentials_it_was_made_with_after_a_restart_too(daemon):
    daemon.routes = {ROUTE.name: replace(ROUTE, credentials="profile old")}
    daemon.queue.groups = [group()]
    daemon.cycle()
    [annex] = daemon.journal.annexes()
    assert annex.credentials == "profile old"
    daemon.restart()
    daemon.routes = {ROUTE.name: replace(ROUTE, credentials="profile new")}
    daemon.elsewhere = {Place("us-east-2 by profile new"): FakeCloud()}
    daemon.queue.groups = [group(idle=5)]
    daemon.cycle(after=timedelta(minutes=5))
    assert daemon.provisioner.standing.snapshot.regions.keys() == {
        "us-east-2 by profile new",
        "us-east-2 by profile old",
    }
    assert "lives in us-east-2 by profile old, and route" in daemon.last_said
    assert len(daemon.cloud.documents) == 1
    assert [each.credentials for each in daemon.journal.annexes()] == ["profile old"]


def test_a_launch_that_was_planned_before_a_lease_was_extended_is_planned_anew(daemon):
    daemon.queue.groups = [group()]
    daemon.cycle()
    (alice,) = daemon.journal.annexes()
    slow = Hangs()
    daemon.provisioner._hands._hired[REGION, Errand.LAUNCH] = slow
    daemon.queue.groups = [group(key=BOB)]
    daemon.cycle(after=timedelta(minutes=1))
    daemon.orders.keep_lease(replace(alice, lease_ends=alice.lease_ends + timedelta(hours=1)))
    slow.go_on()
    assert len(daemon.cloud.documents) == 1
    daemon.provisioner._hands._hired[REGION, Errand.LAUNCH] = AtOnce()
    daemon.cycle(after=timedelta(seconds=1))
    assert len(daemon.cloud.documents) == 2
