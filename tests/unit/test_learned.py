"""What machines that joined show of themselves stands in the place of the brochure."""

from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_learned import LearnedBook
from annex_core.model.hardware import Learned
from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.planner.holdings import holding
from annex_core.planner.learned import HOLDS, as_learned, observed
from annex_core.planner.plan import plan
from annex_core.planner.virtual_slot import usable_memory_mib
from tests.unit.test_provisioner import Daemon
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    annex,
    carried,
    fleet,
    fleets,
    group,
    instance,
    launch,
    living,
    slot,
    snapshot,
)

GIB = 1024 * 1024
LARGE = ("c5.large", "ami-1")
SEEN = Learned(2, 3400, 5 * GIB, 0, since=NOW)


def joined(**shown):
    """A c5.large of the route's image has just joined, with so much of everything."""
    has = {"cpus": 2, "memory_mib": 3400, "disk_kib": 15 * GIB, **shown}
    at = RegionView([instance(image="ami-1")], [fleet()])
    return living([], at=at, launches=[launch()], slots=[slot(**has)])


class TestObserving:
    def test_the_first_word_of_a_machine_is_learned(self):
        assert observed(joined()) == {LARGE: SEEN}

    def test_a_later_word_teaches_nothing(self):
        assert observed(replace(joined(), at=NOW + timedelta(minutes=1))) == {}

    @pytest.mark.parametrize(
        ("shown", "least"),
        [
            ({"memory_mib": 3300}, replace(SEEN, memory_mib=3300)),
            ({"cpus": 1}, replace(SEEN, cpus=1)),
            ({"disk_kib": 14 * GIB}, replace(SEEN, disk_taken_kib=6 * GIB)),
        ],
    )
    def test_of_several_the_least_counts(self, shown, least):
        assert observed(replace(joined(**shown), learned={LARGE: SEEN})) == {LARGE: least}

    def test_one_that_has_more_changes_nothing(self):
        assert observed(replace(joined(memory_mib=3700), learned={LARGE: SEEN})) == {}

    def test_what_was_seen_long_ago_is_decided_anew(self):
        old = replace(SEEN, memory_mib=100, since=NOW - HOLDS)
        assert observed(replace(joined(), learned={LARGE: old}))[LARGE].memory_mib == 3400

    @pytest.mark.parametrize(
        "wrong",
        [{"identity": "annex-bob.blue@pool.example"}, {"claimed": True}, {"memory_mib": 0}, {"cpus": 0}],
        ids=str,
    )
    def test_what_can_not_be_believed_teaches_nothing(self, wrong):
        assert observed(joined(**wrong)) == {}

    def test_of_a_machine_of_a_route_that_its_annex_fell_back_to_that_routes_volume_counts(self):
        other = replace(ROUTE, name="other", image="ami-1", volume_gib=30)
        own = replace(ROUTE, image="ami-0", fallback=("other",))
        at = replace(joined(disk_kib=25 * GIB), routes={"spot": own, "other": other})
        assert observed(at)[LARGE].disk_taken_kib == 5 * GIB


class TestPlanning:
    def test_a_machine_has_what_was_seen_and_not_what_the_brochure_says(self):
        now = as_learned(ROUTE, snapshot([], learned={LARGE: SEEN}))
        assert usable_memory_mib(now.types[REGION]["c5.large"]) == 3400
        assert usable_memory_mib(TYPES["c5.large"]) == 3553

    def test_a_job_that_fits_on_paper_only_gets_the_next_larger_type(self):
        demand = [group(memory_mib=3500)]
        assert fleets(snapshot(demand))[0].types[0] == "c5.large"
        assert "c5.large" not in fleets(snapshot(demand, learned={LARGE: SEEN}))[0].types

    def test_a_job_that_fits_though_the_brochure_is_below_gets_the_small_one(self):
        demand = [group(memory_mib=3700)]
        assert fleets(snapshot(demand))[0].types[0] != "c5.large"
        roomy = replace(SEEN, memory_mib=3800)
        assert fleets(snapshot(demand, learned={LARGE: roomy}))[0].types[0] == "c5.large"

    def test_what_another_image_shows_says_nothing(self):
        demand = [group(memory_mib=3500)]
        assert fleets(snapshot(demand, learned={("c5.large", "ami-2"): SEEN}))[0].types[0] == "c5.large"

    def test_an_image_behind_a_parameter_is_known_by_what_it_was_last_found_to_be(self):
        route = replace(ROUTE, image="/condor-annex/image")
        given = {"routes": {"spot": route}, "learned": {LARGE: SEEN}}
        assert fleets(snapshot([group(memory_mib=3500)], **given))[0].types[0] == "c5.large"
        given["images"] = {(Place(REGION), "/condor-annex/image"): "ami-1"}
        assert "c5.large" not in fleets(snapshot([group(memory_mib=3500)], **given))[0].types

    def test_after_a_week_it_is_tried_anew(self):
        old = replace(SEEN, since=NOW - HOLDS)
        assert fleets(snapshot([group(memory_mib=3500)], learned={LARGE: old}))[0].types[0] == "c5.large"

    def test_an_image_without_the_driver_gets_no_job_that_wants_a_gpu(self):
        gpu = replace(TYPES["c5.large"], name="g5.large", gpus=1, gpu="A10G", gpu_memory_mib=24000)
        route = replace(ROUTE, instance_types=("g5.large",))
        given = {"routes": {"spot": route}, "types": {REGION: {"g5.large": gpu}}}
        demand = [group(gpus=1)]
        assert fleets(snapshot(demand, **given))
        blind = snapshot(demand, **given, learned={("g5.large", "ami-1"): SEEN})
        assert not fleets(blind)
        assert "no type of the route has that many" in plan(blind).outlooks[ALICE].sentence

    def test_the_caps_go_on_counting_what_is_paid_for(self):
        half = Learned(1, 3400, 5 * GIB, 0, since=NOW)
        route = replace(ROUTE, instance_types=("c5.large",), max_vcpus=4)
        asked = fleets(snapshot([group(idle=9)], routes={"spot": route}, learned={LARGE: half}))
        assert sum(each.target for each in asked) == 2

    def test_a_machine_that_boots_has_room_for_what_was_seen(self):
        at = living([], at=RegionView([instance(image="ami-1")], [fleet()]), launches=[launch()], learned={LARGE: SEEN})
        held = holding(ALICE, annex(), as_learned(ROUTE, at), volume_gib=20)
        assert [(room.memory_mib, room.disk_kib) for room in held.rooms] == [(3400, 15 * GIB)]


class TestTheDaemon:
    @pytest.fixture
    def daemon(self, tmp_path):
        made = Daemon(tmp_path / "journal.db")
        made.routes = {"spot": replace(ROUTE, instance_types=("c5.large",), image="/condor-annex/image")}
        yield made
        made.journal.close()

    def test_a_job_that_fits_on_paper_only_costs_one_machine_and_is_told_why(self, daemon):
        daemon.queue.groups = [group(memory_mib=3500)]
        daemon.cycle()
        (life,) = daemon.journal.annexes()
        image = daemon.cloud.resolve_image("/condor-annex/image")
        daemon.cloud.listed_instances = [instance("i-1", launched=daemon.now, tags=carried(of=life), image=image)]
        daemon.cycle(after=timedelta(minutes=1))
        has = {"memory_mib": 3400, "free_memory_mib": 3400, "disk_kib": 15 * GIB}
        daemon.slots.advertised = [slot("i-1", **has)]
        daemon.cycle(after=timedelta(minutes=3))
        daemon.cloud.listed_instances, daemon.slots.advertised = [], []
        daemon.restart()
        for _ in range(5):
            daemon.cycle(after=timedelta(minutes=10))
        assert len(daemon.cloud.listed_fleets) == 1
        assert "c5.large, has 3400 MB" in daemon.last_said

    def test_the_book_keeps_what_it_is_told(self, tmp_path):
        journal = Journal(tmp_path / "journal.db")
        book = LearnedBook(journal)
        book.learn({LARGE: SEEN})
        book.learn({LARGE: replace(SEEN, memory_mib=1)})
        assert book.learned() == {LARGE: replace(SEEN, memory_mib=1)}
        assert book.learned()[LARGE].since == NOW
        journal.close()
