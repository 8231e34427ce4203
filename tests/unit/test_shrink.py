"""What is over a lowered cap, or no longer needed, goes; what works stays until its last job has ended."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.adapters.pool_limits import read
from annex_core.model.annex import LaunchState
from annex_core.model.demand import JobCounts, Limits
from annex_core.model.plan import CancelFleets, CloseLaunch, LaunchFleet, Terminate
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import instance_hour
from annex_core.planner.plan import plan
from tests.unit import world
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    TYPES,
    actions,
    annex,
    carried,
    fleet,
    fleets,
    group,
    instance,
    known,
    launch,
    slot,
    snapshot,
)

LONG_AGO = NOW - timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def price(name):
    return instance_hour(TYPES[name], ROUTE)


def yard(machines, cap=10, groups=(), coming=0, **given):
    """
    Args:
        machines: By id: whose, its type, and how many of its CPUs jobs have; None: it has not joined.
        coming: Machines of alice's that are still open.
    """
    keys = {key for key, _, _ in machines.values()} | {ALICE}
    lives = {key: annex(key, started=LONG_AGO) for key in keys}
    launches, listed, remembered, slots = [], [], [], []
    for id_, (key, type_, busy) in machines.items():
        launches.append(
            launch(
                id_,
                annex=lives[key].id,
                types=(type_,),
                hourly_ceiling=price(type_),
                intended=LONG_AGO,
                closed=LONG_AGO + 9 * MINUTE,
            )
        )
        listed.append(instance(id_, type=type_, launched=LONG_AGO, fleet=f"sfr-{id_}", tags=carried(key)))
        joined = None if busy is None else LONG_AGO
        remembered.append(
            known(
                id_,
                annex=lives[key].id,
                token=id_,
                type=type_,
                hourly_ceiling=price(type_),
                launched=LONG_AGO,
                joined=joined,
            )
        )
        if busy is not None:
            cpus = TYPES[type_].vcpus
            slots.append(slot(id_, key, type=type_, cpus=cpus, free_cpus=cpus - busy))
            slots += [slot(id_, key, name=f"slot1_{n}@{id_}", cpus=1, free_cpus=1, claimed=True) for n in range(busy)]
    if coming:
        launches.append(launch("open", coming, intended=NOW - MINUTE))
    shown = [fleet(each.token, target=each.target) for each in launches]
    return snapshot(
        groups,
        **{
            "annexes": lives,
            "launches": launches,
            "known": remembered,
            "slots": slots,
            "regions": {REGION: RegionView(listed, shown)},
            "routes": {"spot": replace(ROUTE, max_instances=cap, join_within=timedelta(hours=9))},
            "counts": {key: JobCounts(running=9) for key in keys},
            **given,
        },
    )


def drained(of):
    """In whatever order."""
    return {*world.drained(of)}


SMALL, LARGE = "c5.large", "c5.4xlarge"
THREE = {"i-busy": (ALICE, LARGE, 9), "i-idle": (ALICE, SMALL, 0), "i-half": (ALICE, SMALL, 1)}


def test_within_the_caps_everything_stays():
    assert drained(yard(THREE, cap=3)) == set()


def test_over_a_lowered_cap_the_emptiest_machine_is_drained_first():
    assert drained(yard(THREE, cap=2)) == {"i-idle"}
    assert drained(yard(THREE, cap=1)) == {"i-idle", "i-half"}
    assert drained(yard(THREE, cap=0)) == {*THREE}


def test_of_those_that_are_as_empty_the_dearest_goes_first():
    assert drained(yard({"i-a": (ALICE, SMALL, 0), "i-b": (ALICE, LARGE, 0)}, cap=1)) == {"i-b"}


def test_one_that_has_not_joined_is_emptier_than_any():
    assert drained(yard({"i-a": (ALICE, LARGE, 1), "i-b": (ALICE, SMALL, None)}, cap=1)) == {"i-b"}


def test_nothing_busy_is_ended():
    of = yard(THREE, cap=0)
    assert actions(of, Terminate) == []
    assert actions(of, CancelFleets) == []


def test_administrators_are_told():
    assert any("annex blue of alice" in each or "2 machines" in each for each in plan(yard(THREE, cap=1)).troubles)


def test_a_jobs_tighter_limit_is_a_cap_like_any():
    counts = {ALICE: JobCounts(running=9, limits=Limits(max_instances=2))}
    assert drained(yard(THREE, counts=counts)) == {"i-idle"}


@pytest.mark.parametrize(
    ("limits", "gone"),
    [
        ("owner alice MaxInstances=1", {"i-a"}),
        ("pool MaxVcpus=3", {"i-a", "i-b"}),
        (f"pool MaxHourlyCost={price(SMALL) + price(LARGE)}", {"i-a"}),
        ("project physics MaxInstances=2", {"i-a"}),
        ("owner bob MaxInstances=0", {"i-b"}),
        ("owner alice Budget=1.4", {"i-a"}),
        ("pool MonthlyBudget=0", {"i-a", "i-b", "i-c"}),
        ("owner carol MaxInstances=0", set()),
    ],
)
def test_a_limit_over_several_annexes_is_shrunk_to_among_them(limits, gone):
    some = {"i-a": (ALICE, SMALL, 0), "i-b": (BOB, LARGE, 1), "i-c": (ALICE, SMALL, 1)}
    assert drained(yard(some, pool_limits=read(limits))) == gone


TWO = {"i-a": (ALICE, SMALL, 0), "i-b": (BOB, SMALL, 0)}


class TestNothingIsDrained:
    @pytest.mark.parametrize(
        "unknown",
        [
            {"slots": None},
            {"demand": None},
            {"slots_since": NOW - MINUTE},
            {"slots_since": None},
            {"regions": {}},
            {"pool_limits": replace(read("pool MaxInstances=0"), malformed="x")},
        ],
    )
    def test_by_what_is_not_known(self, unknown):
        of = yard(TWO, cap=0, pool_limits=read("pool MaxInstances=0"))
        assert drained(of) == {"i-a", "i-b"}
        assert drained(replace(of, **unknown)) == set()

    @pytest.mark.parametrize(
        ("idle_timeout", "minutes"), [(20 * MINUTE, 5), (3 * MINUTE, 3), (MINUTE / 2, 1.5), (None, 5)]
    )
    def test_before_all_execution_points_have_advertised_again(self, idle_timeout, minutes):
        of = yard(TWO, pool_limits=read("pool MaxInstances=0"))
        spot = of.routes["spot"]
        routes = {"spot": replace(spot, idle_timeout=idle_timeout)} if idle_timeout else {"other": spot}
        for early in (1, -1):
            seen = replace(of, routes=routes, slots_since=NOW - minutes * MINUTE + early * timedelta(seconds=1))
            assert drained(seen) == (set() if early > 0 else {"i-a", "i-b"})

    def test_whose_slot_ad_is_missing_for_nobody_knows_what_runs_there(self):
        some = {"i-a": (ALICE, SMALL, 0), "i-b": (ALICE, SMALL, 1), "i-c": (ALICE, SMALL, 0)}
        of = yard(some, cap=2)
        assert drained(of) == {"i-a"} or drained(of) == {"i-c"}
        (first,) = drained(of)
        silent = replace(of, slots=[each for each in of.slots if each.instance != first])
        (second,) = drained(silent)
        assert second in {"i-a", "i-c"} - {first}
        assert drained(replace(of, slots=[])) == set()

    def test_for_a_common_limit_of_which_one_place_does_not_answer(self):
        of = yard(TWO, pool_limits=read("pool MaxInstances=1\nowner alice MaxInstances=0"))
        away = replace(of.annexes[BOB], region="us-west-2")
        of = replace(of, annexes={**of.annexes, BOB: away})
        assert drained(of) == {"i-a"}
        of = replace(of, pool_limits=read("pool MaxInstances=1"))
        assert drained(of) == set()

    def test_for_seconds_between_aws_and_us(self):
        hours = (annex().lease_ends - LONG_AGO) / timedelta(hours=1)
        budget = price(SMALL) * Decimal(hours) - Decimal("0.01")
        of = yard({"i-a": (ALICE, SMALL, 0)}, pool_limits=read(f"pool Budget={budget}"))
        assert drained(of) == set()

    def test_because_a_request_is_open_which_may_never_come(self):
        of = yard(THREE, cap=4, coming=3)
        assert drained(of) == set()

    def test_twice(self):
        of = yard(THREE, cap=1)
        again = replace(of, known=[replace(each, drained=NOW) if each.id in drained(of) else each for each in of.known])
        assert drained(again) == set()


def leaving(of, id_, since, **its):
    of = replace(of, known=[replace(each, drained=since) if each.id == id_ else each for each in of.known])
    return replace(of, slots=[replace(each, **its) if each.instance == id_ else each for each in of.slots])


def ended(of):
    return [id_ for action in actions(of, Terminate) for id_ in action.instances]


class TestADrainedMachine:
    def test_is_ended_when_it_says_so_and_no_job_is_left(self):
        of = yard(THREE)
        assert ended(leaving(of, "i-idle", NOW - MINUTE, draining=True)) == ["i-idle"]

    def test_stays_while_a_job_runs_however_long(self):
        assert ended(leaving(yard(THREE), "i-half", NOW - timedelta(hours=9), draining=True)) == []

    def test_stays_until_it_says_so(self):
        assert ended(leaving(yard(THREE), "i-idle", NOW - timedelta(hours=9))) == []

    def test_stays_where_its_slot_is_not_seen(self):
        of = leaving(yard(THREE), "i-half", NOW - timedelta(hours=9))
        assert ended(replace(of, slots=[each for each in of.slots if each.instance != "i-half"])) == []
        assert ended(replace(of, slots=[])) == []

    def test_that_never_joined_is_ended_when_it_must_have_heard(self):
        of = yard({"i-a": (ALICE, SMALL, None)})
        assert ended(leaving(of, "i-a", NOW - MINUTE)) == []
        assert ended(leaving(of, "i-a", NOW - 3 * MINUTE)) == ["i-a"]


def closed(of):
    return [action.launch.token for action in actions(of, CloseLaunch)]


class TestOpenRequests:
    def test_over_a_lowered_cap_go_before_any_machine(self):
        of = yard({"i-a": (ALICE, SMALL, 1)}, cap=2, groups=[group(idle=50)], coming=3)
        assert closed(of) == ["open"]
        assert drained(of) == set()

    def test_that_a_machine_may_have_come_of_stay(self):
        of = yard({"i-a": (ALICE, SMALL, 1)}, cap=2, groups=[group(idle=50)], coming=3)
        view = of.regions[REGION]
        unknown = RegionView([replace(each, fleet=None) for each in view.instances], view.fleets)
        assert closed(replace(of, regions={REGION: unknown})) == []

    def test_that_jobs_need_stay(self):
        assert closed(yard({}, groups=[group(idle=2)], coming=1)) == []

    def test_without_which_all_jobs_have_room_go(self):
        of = yard({"i-a": (ALICE, LARGE, 0)}, groups=[group(idle=3)], coming=5)
        assert closed(of) == ["open"]

    def test_that_were_made_just_now_stay(self):
        of = yard({"i-a": (ALICE, LARGE, 0)}, groups=[group(idle=3)], coming=5)
        young = [replace(each, intended=NOW) if each.token == "open" else each for each in of.launches]
        assert closed(replace(of, launches=young)) == []

    def test_over_a_lowered_cap_that_were_made_just_now_stay_too(self):
        of = yard({"i-a": (ALICE, SMALL, 1)}, cap=2, groups=[group(idle=50)], coming=3)
        young = [replace(each, intended=NOW) if each.token == "open" else each for each in of.launches]
        assert closed(replace(of, launches=young)) == []

    def test_that_were_ordered_by_hand_stay(self):
        of = yard({"i-a": (ALICE, LARGE, 0)}, groups=[group(idle=3)], coming=5)
        by_hand = [replace(each, order="o") if each.token == "open" else each for each in of.launches]
        assert closed(replace(of, launches=by_hand)) == []


@settings(max_examples=200, deadline=None)
@given(st.lists(st.builds(group, idle=st.integers(1, 80), cpus=st.integers(1, 16)), min_size=1, max_size=3))
def test_what_a_plan_asks_for_it_does_not_give_up_again_and_ask_for_anew(groups):
    of = snapshot(groups, routes={"spot": replace(ROUTE, max_instances=100, grow_interval=timedelta(0))})
    asked = fleets(of)
    life = asked[0].annex
    made = [
        replace(each.as_launch(f"t{n}", NOW - MINUTE), state=LaunchState.REQUESTED, fleet=f"sfr-t{n}")
        for n, each in enumerate(asked)
    ]
    shown = RegionView([], [fleet(each.token, target=each.target) for each in made])
    after = snapshot(
        groups,
        annexes={ALICE: replace(life, started=LONG_AGO)},
        launches=made,
        regions={REGION: shown},
        routes=of.routes,
    )
    closing = closed(after)
    rest = [replace(each, closed=NOW) if each.token in closing else each for each in made]
    assert actions(replace(after, launches=rest), LaunchFleet) == [] or len(asked) == 4
