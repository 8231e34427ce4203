"""AWS takes machines back: what the planner makes of a notice, and what is remembered of the work."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import classad2
import pytest

from annex_core.adapters import slots
from annex_core.adapters.job_rows import eviction
from annex_core.daemon.status import status
from annex_core.model import tags
from annex_core.model.demand import JobCounts
from annex_core.model.eviction import Eviction
from annex_core.model.route import Market, default_subnet
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import InstanceState
from annex_core.planner.holdings import remember
from annex_core.planner.plan import plan
from tests.unit.test_provisioner import Daemon
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    ROUTE,
    carried,
    drained,
    fleet,
    fleets,
    group,
    instance,
    known,
    launch,
    living,
    slot,
)

SOON = NOW + timedelta(minutes=2)


def noticed(idle=1, **given):
    """One machine with room, in use by nobody, that was just given notice; the last request is 30 seconds old."""
    return living(
        [group(idle=idle)],
        **{
            "at": RegionView([instance(launched=NOW - timedelta(seconds=25))], [fleet()]),
            "launches": [launch(intended=NOW - timedelta(seconds=30))],
            "slots": [slot(interrupted_at=SOON)],
            **given,
        },
    )


class TestANotice:
    def test_is_remembered_with_the_moment_it_was_seen(self):
        (machine,) = noticed().known
        assert machine.interrupted == NOW

    def test_of_another_owners_machine_is_none_of_ours(self):
        (machine,) = noticed(slots=[slot(identity="annex-bob.blue@pool.example", interrupted_at=SOON)]).known
        assert machine.interrupted is None

    def test_that_nobody_heard_is_known_by_what_aws_says_of_the_end(self):
        gone = instance(state=InstanceState.SHUTTING_DOWN, reason="Server.SpotInstanceTermination")
        (machine,) = noticed(slots=[], at=RegionView([gone], [fleet()])).known
        assert (machine.interrupted, machine.gone) == (NOW, NOW)

    def test_an_end_of_our_own_is_no_interruption(self):
        gone = instance(state=InstanceState.SHUTTING_DOWN, reason="Client.UserInitiatedShutdown")
        (machine,) = noticed(slots=[], at=RegionView([gone], [fleet()])).known
        assert machine.interrupted is None

    def test_makes_room_that_was_there_none_and_is_answered_before_the_growth_interval_is_over(self):
        (asked,) = fleets(noticed())
        assert asked.target == 1

    def test_is_answered_once_and_then_the_interval_holds_again(self):
        since = launch("t2", intended=NOW + timedelta(seconds=1))
        at = noticed()
        later = replace(at, at=NOW + timedelta(seconds=20), launches=(*at.launches, since), demand=(group(idle=9),))
        assert not fleets(later)
        assert "step by step" in plan(later).outlooks[ALICE].sentence

    def test_without_it_the_same_annex_waits(self):
        assert not fleets(noticed(idle=9, slots=[slot()]))

    def test_leaves_the_machine_among_what_the_caps_count(self):
        (machine,) = noticed().known
        route = replace(ROUTE, max_instances=1)
        held = noticed(routes={"spot": route})
        assert machine.gone is None
        assert not fleets(held)
        assert "cap of 1 machine" in plan(held).outlooks[ALICE].sentence

    def test_is_told_to_the_users(self):
        sentence = plan(noticed()).outlooks[ALICE].sentence
        assert "1 joined, 1 of them given notice by AWS, which takes it back" in sentence

    def test_claims_on_the_machine_do_not_make_other_claims_seem_free(self):
        claims = [
            slot("i-1", name="slot1_1@i-1", claimed=True, free_cpus=2, interrupted_at=SOON),
            slot("i-2", name="slot1_1@i-2", claimed=True, free_cpus=2),
        ]
        full = noticed(
            at=RegionView([instance(), instance("i-2")], [fleet()]),
            launches=[launch(target=2)],
            slots=[slot(free_cpus=0, interrupted_at=SOON), slot("i-2", free_cpus=0), *claims],
            counts={ALICE: JobCounts(idle=1, running=2)},
        )
        assert len(fleets(full)) == 1


class TestTheNextMachine:
    A, B = ("c5.large", "us-east-2a"), ("c5.large", "us-east-2b")
    ZONES = MappingProxyType({"subnet-1": "us-east-2a", "subnet-2": "us-east-2b"})

    def left_out(self, *taken, ago=timedelta(0), subnets=("subnet-1", "subnet-2"), **given):
        """Of the fleet that is asked for after machines were taken back there."""
        gone = [
            known(f"i-{zone}", type=kind, zone=zone, interrupted=NOW - ago, gone=NOW, joined=NOW - timedelta(hours=1))
            for kind, zone in taken
        ]
        route = replace(ROUTE, subnets=subnets, instance_types=("c5.large",), **given)
        zones = {REGION: {**self.ZONES, **{default_subnet(zone): zone for zone in self.ZONES.values()}}}
        (asked,) = fleets(living([group()], at=RegionView(), known=gone, zones=zones, routes={"spot": route}))
        return asked.left_out

    def test_is_asked_for_in_another_zone(self):
        assert self.left_out(self.A) == {self.A}

    def test_is_asked_for_in_another_zone_of_the_default_subnets(self):
        assert self.left_out(self.A, subnets=("default",)) == {self.A}

    def test_is_asked_for_everywhere_where_it_was_taken_back_everywhere(self):
        assert self.left_out(self.A, self.B) == set()

    def test_is_asked_for_everywhere_again_after_a_while(self):
        assert self.left_out(self.A, ago=timedelta(minutes=11)) == set()

    def test_is_asked_for_everywhere_on_demand(self):
        assert self.left_out(self.A, market=Market.ON_DEMAND) == set()


class TestARecommendationToMove:
    def told(self, rebalance, machines=3, **given):
        ids = [f"i-{number}" for number in range(machines)]
        advised = [slot(id_, rebalance_at=NOW - timedelta(minutes=9 - at)) for at, id_ in enumerate(ids)]
        return living(
            [],
            **{
                "at": RegionView([instance(id_) for id_ in ids], [fleet()]),
                "routes": {"spot": replace(ROUTE, rebalance=rebalance)},
                "slots": advised,
                "launches": [launch(target=3)],
                **given,
            },
        )

    def test_is_left_alone_where_the_route_does_not_say_otherwise(self):
        assert drained(self.told(ROUTE.rebalance)) == []

    def test_drains_as_many_as_the_route_allows_those_first_that_were_told_first(self):
        assert drained(self.told(2)) == ["i-0", "i-1"]

    def test_drains_no_more_within_an_hour(self):
        before = [known("i-9", drained=NOW - timedelta(minutes=50), gone=NOW - timedelta(minutes=40))]
        assert drained(self.told(2, known=before)) == ["i-0"]

    def test_drains_more_after_an_hour(self):
        before = [known("i-9", drained=NOW - timedelta(minutes=70), gone=NOW - timedelta(minutes=60))]
        assert drained(self.told(2, known=before)) == ["i-0", "i-1"]

    def test_does_not_drain_twice(self):
        there = instance("i-0", tags={**carried(), tags.DRAINING: tags.stamp(NOW)})
        draining = self.told(3, machines=1, at=RegionView([there], [fleet()]))
        assert draining.known[0].drained == NOW
        assert drained(draining) == []

    def test_a_drained_machine_has_no_room_though_its_slot_does_not_say_so_yet(self):
        there = instance("i-0", tags={**carried(), tags.DRAINING: tags.stamp(NOW)})
        at = self.told(3, machines=1, at=RegionView([there], [fleet()]), launches=[launch()])
        assert len(fleets(replace(at, demand=(group(),)))) == 1


def test_remember_changes_nothing_the_second_time():
    assert not remember(noticed())


class TestWhatASlotSays:
    @pytest.mark.parametrize(
        ("said", "read"),
        [
            (1795249800, datetime(2026, 11, 21, 8, 30, tzinfo=UTC)),
            (None, None),
            (True, None),
            ("soon", None),
            (float("inf"), None),
            (-1, datetime(1970, 1, 1, tzinfo=UTC)),
        ],
    )
    def test_of_its_end_is_read_as_a_moment_or_not_at_all(self, said, read):
        ad = {"Name": "slot1@i-1", **({} if said is None else {"AnnexInterruptionAt": said})}
        (found,) = slots.read([ad])
        assert found.interrupted_at == read


class TestTheDaemon:
    @pytest.fixture
    def daemon(self, tmp_path):
        """A machine of alice's annex is up, and AWS gives it notice."""
        made = Daemon(tmp_path / "journal.db")
        made.queue.groups = [group()]
        made.cycle()
        (life,) = made.journal.annexes()
        made.cloud.listed_instances.append(instance("i-1", launched=made.now, tags=carried(of=life)))
        made.queue.groups = []
        made.slots.advertised = [slot("i-1", interrupted_at=SOON)]
        made.cycle(after=timedelta(minutes=1))
        yield made
        made.journal.close()

    def interruptions(self, daemon):
        (annex,) = status(daemon.provisioner.standing, None, administrator=True)["annexes"]
        return annex["interruptions"]

    def test_looks_again_soon_for_as_long_as_the_machine_is_there(self, daemon):
        assert daemon.provisioner.hurried
        daemon.cloud.listed_instances = []
        daemon.cycle(after=timedelta(minutes=2))
        assert not daemon.provisioner.hurried

    def test_counts_each_job_that_had_to_leave_once_and_what_it_lost_also_when_it_is_started_anew(self, daemon):
        gone = Eviction("1.0", daemon.now, "i-1", timedelta(minutes=50))
        daemon.queue.evicted = [gone, replace(gone, job="1.1", lost=timedelta(0)), replace(gone, instance="i-2")]
        daemon.cycle()
        daemon.restart()
        daemon.cycle(after=timedelta(minutes=1))
        assert self.interruptions(daemon) == {"machines": 1, "jobs": 2, "lost_s": 3000}

    def test_counts_nothing_of_what_was_long_before(self, daemon):
        daemon.queue.evicted = [Eviction("1.0", daemon.now - timedelta(hours=1), "i-1", timedelta(minutes=50))]
        daemon.cycle()
        assert self.interruptions(daemon) == {"machines": 1, "jobs": 0, "lost_s": 0}

    def test_counts_nothing_of_a_machine_from_before_its_own_notice(self, daemon):
        (life,) = daemon.journal.annexes()
        before = daemon.now
        daemon.cloud.listed_instances.append(instance("i-2", launched=before, tags=carried(of=life)))
        daemon.cycle(after=timedelta(minutes=5))
        daemon.slots.advertised.append(slot("i-2", interrupted_at=SOON))
        daemon.queue.evicted = [Eviction("1.0", before, "i-2", timedelta(minutes=50))]
        daemon.cycle(after=timedelta(minutes=1))
        assert self.interruptions(daemon) == {"machines": 2, "jobs": 0, "lost_s": 0}

    def test_asks_the_schedd_for_evictions_only_after_a_notice(self, daemon):
        daemon.queue.evicted = None  # to be asked would fail
        daemon.cycle(after=timedelta(hours=1))
        assert not daemon.provisioner.standing.silent


class TestWhatWasLost:
    def of(self, **given):
        return eviction(
            classad2.ClassAd(
                {
                    "ClusterId": 7,
                    "ProcId": 1,
                    "LastRemoteHost": "slot1_1@i-0abc",
                    "LastVacateTime": 5000,
                    "JobCurrentStartDate": 2000,
                    **given,
                }
            )
        )

    def test_is_the_whole_run_of_a_job_without_checkpoint(self):
        at = datetime.fromtimestamp(5000, UTC)
        assert self.of() == Eviction("7.1", at, "i-0abc", timedelta(seconds=3000))

    def test_is_what_came_after_the_last_checkpoint(self):
        assert self.of(JobLastCheckpointTime=4900).lost == timedelta(seconds=100)

    def test_is_no_more_than_the_run_where_the_checkpoint_is_of_an_earlier_one(self):
        assert self.of(JobLastCheckpointTime=1000).lost == timedelta(seconds=3000)

    def test_is_of_the_run_before_where_the_job_runs_again(self):
        assert self.of(JobCurrentStartDate=5030, JobLastStartDate=4000).lost == timedelta(seconds=1000)

    def test_is_nothing_where_the_job_was_written_out_as_it_left(self):
        assert self.of(WhenToTransferOutput="ON_EXIT_OR_EVICT").lost == timedelta(0)

    @pytest.mark.parametrize("host", ["slot1@i-0abc@ip-10-0-0-1.ec2.internal", "slot1_2@i-0abc"])
    def test_is_told_with_the_machine(self, host):
        assert self.of(LastRemoteHost=host).instance == "i-0abc"

    @pytest.mark.parametrize("missing", [{"LastVacateTime": 0}, {"LastRemoteHost": "slot1@desktop"}])
    def test_is_not_known_where_the_ad_does_not_tell(self, missing):
        assert self.of(**missing) is None
