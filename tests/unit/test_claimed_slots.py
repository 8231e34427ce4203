"""The collector hears of claims and of jobs' ends some seconds late: that alone buys no machine."""

import classad2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters import slots
from annex_core.model.demand import JobCounts
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.world import ALICE, BOB, fleet, fleets, group, instance, launch, living, slot


def claimed(number, **given):
    named = {"name": f"slot1_{number}@i-1", "free_cpus": 1, "free_memory_mib": 1024, "free_disk_kib": 1024}
    return slot(**{**named, "claimed": True, **given})


def full(idle, *, running, claims, **wanted):
    """A machine that has nothing free beside its claimed slots."""
    return living(
        [group(idle=idle, **wanted)],
        at=RegionView([instance()], [fleet()]),
        launches=[launch()],
        slots=[slot(free_cpus=0), *claims],
        counts={ALICE: JobCounts(idle=idle, running=running)},
    )


def test_a_slot_claimed_for_a_job_that_has_not_begun_is_its_room():
    assert not fleets(full(2, running=0, claims=[claimed(1), claimed(2)]))


def test_a_job_submitted_as_the_last_one_ends_waits_for_that_ones_slot():
    assert not fleets(full(1, running=1, claims=[claimed(1), claimed(2)]))


def test_claimed_slots_whose_jobs_run_are_no_room():
    assert len(fleets(full(1, running=2, claims=[claimed(1), claimed(2)]))) == 1


def test_a_claimed_slot_is_no_room_for_a_larger_job():
    assert len(fleets(full(1, running=0, claims=[claimed(1)], cpus=2))) == 1


def test_of_unequal_slots_the_smaller_one_is_taken_to_be_without_job():
    both = [claimed(1), claimed(2, free_cpus=2)]
    assert len(fleets(full(1, running=1, claims=both, cpus=2))) == 1


@pytest.mark.parametrize("other", [claimed(1, key=BOB), claimed(1, instance="i-gone")], ids=["another's", "gone"])
def test_claimed_slots_of_others_and_of_machines_that_are_gone_are_no_room(other):
    assert len(fleets(full(1, running=0, claims=[other]))) == 1


@given(st.integers(1, 20), st.integers(0, 10), st.integers(0, 10))
def test_no_more_and_no_fewer_jobs_are_served_by_claims_than_claims_run_none(idle, running, claims):
    of = full(idle, running=running, claims=[claimed(n) for n in range(claims)])
    assert plan(of).outlooks[ALICE].waiting == max(idle - max(claims - running, 0), 0)


def test_one_machine_is_reported_once_however_many_of_its_slots_are_claimed():
    claims = [claimed(n, claimed_name="red") for n in range(3)]
    of = living((), at=RegionView([instance()], [fleet()]), slots=[slot(claimed_name="red"), *claims])
    assert len(plan(of).troubles) == 1


def ad(name, cpus, *, free=None, dynamic=False):
    total = {f"TotalSlot{each}": cpus for each in ("Cpus", "Memory", "Disk")}
    here = dict.fromkeys(("Cpus", "Memory", "Disk"), cpus if free is None else free)
    return {"Name": name, **total, **here, **({"DynamicSlot": True} if dynamic else {})}


def test_what_is_free_is_what_the_claims_leave_though_the_partitionable_slot_does_not_know_yet():
    stale = ad("slot1@i-1@host", 4, free=0)
    (whole,) = slots.read([stale])
    assert (whole.free_cpus, whole.free_memory_mib, whole.free_disk_kib) == (4, 4, 4)
    rest, one = slots.read([stale, ad("slot1_12@i-1@host", 3, dynamic=True)])
    assert (rest.free_cpus, rest.claimed) == (1, False)
    assert (one.free_cpus, one.claimed) == (3, True)


def test_claims_are_taken_off_the_slot_they_came_of_alone():
    read = slots.read([ad("slot1@a", 4), ad("slot2@a", 4), ad("slot1@b", 4), ad("slot2_1@a", 3, dynamic=True)])
    assert [each.free_cpus for each in read] == [4, 1, 4, 3]


@pytest.mark.parametrize(
    ("ad", "asked"),
    [
        ('[ PartitionableSlot = true; State = "Unclaimed" ]', True),
        ('[ DynamicSlot = true; State = "Claimed" ]', True),
        ('[ DynamicSlot = true; State = "Preempting" ]', False),
        ('[ State = "Claimed" ]', False),
    ],
)
def test_the_collector_is_asked_for_partitionable_slots_and_those_claimed_out_of_them(ad, asked):
    found = classad2.ClassAd(ad)
    found["Asked"] = classad2.ExprTree(slots._WANTED)
    assert found.eval("Asked") is asked


@pytest.mark.parametrize(
    ("said", "since"),
    [
        ({"Activity": "Busy", "EnteredCurrentActivity": 1763713800, "DynamicSlot": True}, "2025-11-21T08:30:00+00:00"),
        ({"Activity": "Idle", "EnteredCurrentActivity": 1763713800, "DynamicSlot": True}, None),
        ({"Activity": "Busy", "EnteredCurrentActivity": 1763713800, "PartitionableSlot": True}, None),
        ({"Activity": "Busy", "DynamicSlot": True}, None),
    ],
    ids=["at a job", "between jobs", "the machine", "it does not say"],
)
def test_since_when_a_slot_is_at_its_job(said, since):
    ad = {"Name": "slot1_1@i-1", "AuthenticatedIdentity": "annex-alice.blue@pool", "AnnexName": "blue", **said}
    (found,) = slots.read([ad])
    assert (found.busy_since and found.busy_since.isoformat()) == since
