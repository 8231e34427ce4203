"""AWS that does not answer in one region, or not to one kind of question, keeps nothing else waiting."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.daemon.bell import Bell
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.hearsay import ANNEXES_EACH, LONGEST_ROUTE, Hearsay
from annex_core.daemon.regions import Region
from annex_core.errors import Refused, Unavailable
from annex_core.model.names import AnnexKey
from tests.unit.fakes import FakeCloud, FakeProber, FakeSigns, Hangs
from tests.unit.test_provisioner import Daemon
from tests.unit.world import ALICE, BOB, NOW, REGION, ROUTE, group, instance

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
WEST = "us-west-2"
WESTERN = replace(ROUTE, name="west", region=WEST)


@pytest.fixture
def daemon(tmp_path):
    """alice's annex in the east, bob's in the west."""
    made = Daemon(tmp_path / "journal.db")
    made.west = made.elsewhere[WEST] = FakeCloud()
    made.routes = {each.name: each for each in (ROUTE, WESTERN)}
    made.queue.groups = [group(), group(key=BOB, route="west")]
    yield made
    made.journal.close()


def hang(daemon, errand, region=WEST):
    """From the region's first errand of that kind on."""
    made = daemon.hung[region, errand] = Hangs()
    return made


def hire(daemon, region, errand, hands):
    """Hands that had done well until now."""
    daemon.provisioner._hands._hired[region, errand] = hands


def told(daemon, key):
    return next(sentence for who, sentence in reversed(daemon.queue.said) if who == key)


def test_a_region_that_does_not_answer_costs_itself_alone(daemon):
    hang(daemon, Errand.LIST)
    daemon.cycle()
    assert (len(daemon.cloud.documents), len(daemon.west.documents)) == (1, 0)
    assert "AWS does not answer in us-west-2: no answer yet" in told(daemon, BOB)


def test_a_region_is_asked_nothing_as_long_as_it_owes_an_answer(daemon):
    asked = hang(daemon, Errand.LIST)
    daemon.cycle()
    daemon.cycle(after=10 * MINUTE)
    assert len(asked.waiting) == 1


def test_a_late_answer_rings_and_is_used_without_asking_again(daemon):
    asked = hang(daemon, Errand.LIST)
    daemon.cycle()
    assert not daemon.rung
    asked.go_on()
    assert daemon.rung
    daemon.cycle(after=12 * SECOND)
    assert len(daemon.west.documents) == 1
    assert not asked.waiting


def test_an_answer_that_came_much_too_late_is_dropped_and_asked_for_anew(daemon):
    asked = hang(daemon, Errand.LIST)
    daemon.cycle()
    asked.go_on()
    daemon.cycle(after=2 * MINUTE)
    assert daemon.west.documents == []
    assert len(asked.waiting) == 1


def test_what_a_late_answer_shows_is_judged_by_when_it_was_asked_for(daemon):
    asked = hang(daemon, Errand.LIST)
    daemon.cycle()
    asked.go_on()
    daemon.cycle(after=30 * SECOND)
    assert daemon.provisioner.standing.snapshot.at == NOW


def test_while_a_region_owes_an_answer_its_last_failure_is_what_users_read(daemon):
    daemon.west.errors["instances"] = [Unavailable("connection refused")]
    asked = hang(daemon, Errand.LIST)
    daemon.cycle()
    asked.go_on()
    daemon.cycle(after=10 * SECOND)
    daemon.cycle(after=MINUTE)
    assert len(asked.waiting) == 1
    assert "AWS does not answer in us-west-2: connection refused" in told(daemon, BOB)


def test_what_was_ended_while_a_region_was_asked_is_not_ended_again_for_its_answer(daemon):
    listing, ending = Hangs(), hang(daemon, Errand.END)
    daemon.west.listed_instances = [instance(launched=NOW - timedelta(days=2), tags=over())]
    daemon.cycle()
    hire(daemon, WEST, Errand.LIST, listing)
    daemon.cycle(after=MINUTE)
    shown = list(daemon.west.listed_instances)
    ending.go_on()
    daemon.west.listed_instances = shown
    listing.go_on()
    daemon.cycle(after=SECOND)
    assert (daemon.west.terminated, ending.waiting) == (["i-1"], [])


def over():
    return {**instance().tags, "htcondor:LeaseEnds": "2026-11-20T00:00:00Z"}


def test_launches_that_hang_keep_nothing_from_being_ended(daemon):
    hang(daemon, Errand.LAUNCH)
    daemon.west.listed_instances = [instance(launched=NOW - timedelta(days=2), tags=over())]
    daemon.cycle()
    assert daemon.west.terminated == ["i-1"]


def test_a_history_that_hangs_holds_up_nothing_and_its_last_words_stay(daemon):
    daemon.cloud.trouble = "no capacity"
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    assert "no capacity" in told(daemon, ALICE)
    hire(daemon, REGION, Errand.HISTORY, Hangs())
    daemon.queue.groups = [group(6), group(key=BOB, route="west")]
    daemon.cycle(after=5 * MINUTE)
    assert "no capacity" in told(daemon, ALICE)
    assert len(daemon.cloud.documents) == 2


def test_a_history_is_not_waited_for_and_is_no_trouble_as_long_as_it_has_not_failed(daemon):
    daemon.cloud.trouble = "no capacity"
    asked = hang(daemon, Errand.HISTORY, REGION)
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    assert daemon.provisioner.standing.silent == {}
    asked.go_on()
    assert not daemon.rung
    daemon.cycle(after=5 * MINUTE)
    assert "no capacity" in told(daemon, ALICE)


def test_a_history_that_fails_is_a_trouble_until_it_is_told(daemon):
    def fail(fleet, since):
        raise Unavailable("throttled")

    tell, daemon.cloud.fleet_trouble = daemon.cloud.fleet_trouble, fail
    asked = hang(daemon, Errand.HISTORY, REGION)
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    for _ in range(3):
        asked.go_on()
        daemon.cycle(after=MINUTE)
        assert list(daemon.provisioner.standing.silent.values()) == ["throttled"]
    daemon.cloud.fleet_trouble = tell
    asked.go_on()
    daemon.cycle(after=MINUTE)
    asked.go_on()
    daemon.cycle(after=MINUTE)
    assert daemon.provisioner.standing.silent == {}


def test_a_history_that_tells_of_nothing_any_more_is_forgotten(daemon):
    daemon.cloud.trouble = "no capacity"
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    assert "no capacity" in told(daemon, ALICE)
    daemon.cloud.trouble = None
    daemon.cycle(after=MINUTE)
    assert "no capacity" not in told(daemon, ALICE)


def test_what_launches_will_need_is_asked_for_by_no_cycle_itself(daemon):
    daemon.queue.groups = []
    asked = []
    daemon.cloud.resolve_image = asked.append
    waiting = hang(daemon, Errand.LAUNCH, REGION)
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    assert (asked, len(waiting.waiting)) == ([], 1)


@pytest.mark.parametrize(("error", "times"), [(Unavailable, 2), (Refused, 1)])
def test_what_launches_will_need_is_asked_for_until_aws_has_answered(daemon, error, times):
    daemon.queue.groups = []
    asked = []

    def fail(image):
        asked.append(image)
        raise error("as it may")

    daemon.cloud.resolve_image = fail
    daemon.cycle()
    daemon.cycle(after=MINUTE)
    assert len(asked) == times


def test_hands_that_hang_are_those_of_one_region_and_one_kind_of_errand():
    hands, leave = Hands(), threading.Event()
    hung = [hands.submit(WEST, Errand.LAUNCH, leave.wait) for _ in range(50)]
    for region, errand in ((REGION, Errand.LAUNCH), (WEST, Errand.END), (WEST, Errand.LIST)):
        assert hands.submit(region, errand, lambda: "done").result(timeout=60) == "done"
    leave.set()
    assert all(each.result(timeout=60) for each in hung)


def test_a_regions_bucket_is_opened_once_though_several_annexes_want_it_at_once():
    meet = threading.Barrier(2)

    def open_bucket(name):
        with contextlib.suppress(threading.BrokenBarrierError):
            meet.wait(timeout=0.2)
        return object()

    region = Region(WEST, FakeCloud(), open_bucket, FakeSigns(), FakeProber())
    with ThreadPoolExecutor(2) as annexes:
        first, second = annexes.map(region.store, ["bucket"] * 2)
    assert first is second


def test_words_that_come_in_one_moment_make_one_plan():
    words = []
    bell = Bell(lambda: words.extend(bell.ring() for _ in range(50)))
    bell.ring()
    assert bell.wait(MINUTE)
    assert len(words) == 50
    assert not bell.wait(timedelta(0))


def test_a_word_that_comes_while_a_plan_is_made_makes_the_next_one():
    bell = Bell(lambda: None)
    bell.ring()
    assert bell.wait(MINUTE)
    bell.ring()
    assert bell.wait(MINUTE)


def test_who_waits_at_a_terminal_is_not_kept_for_further_words():
    gathered = []
    bell = Bell(lambda: gathered.append(1))
    bell.ring_at_once()
    assert bell.wait(MINUTE)
    assert not gathered
    bell.ring()
    assert bell.wait(MINUTE)
    assert gathered


def test_what_was_said_to_annexes_that_are_gone_is_forgotten(daemon):
    daemon.queue.groups = [group(key=AnnexKey("alice", f"a-{n}")) for n in range(50)]
    daemon.cycle()
    daemon.queue.groups = []
    daemon.cycle(after=MINUTE)
    assert len(daemon.queue.said) == 50
    assert not daemon.provisioner._said


def test_a_user_who_names_annexes_without_end_is_heard_of_the_latest():
    hearsay = Hearsay()
    hearsay.hear(BOB, "spot", NOW)
    for n in range(ANNEXES_EACH + 1):
        hearsay.hear(AnnexKey("alice", f"a-{n}"), "spot", NOW)
    keys = [AnnexKey("alice", "a-0"), AnnexKey("alice", f"a-{ANNEXES_EACH}"), BOB]
    routed = hearsay.routed([group(key=key, route=None) for key in keys], NOW)
    assert [each.route for each in routed] == [None, "spot", "spot"]


def test_a_route_whose_name_is_a_book_is_not_heard_of():
    hearsay = Hearsay()
    hearsay.hear(ALICE, "x" * (LONGEST_ROUTE + 1), NOW)
    assert [each.route for each in hearsay.routed([group(route=None)], NOW)] == [None]
