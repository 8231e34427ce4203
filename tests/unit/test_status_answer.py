from dataclasses import replace
from datetime import timedelta

import pytest
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import schema
from annex_core.daemon.provisioner import Standing
from annex_core.daemon.status import status
from annex_core.model.annex import LaunchState
from annex_core.model.audit import Who
from annex_core.model.demand import JobCounts, Limits
from annex_core.model.freeze import Freeze, Mode
from annex_core.model.names import ANYBODY, AnnexKey
from annex_core.model.order import Frozen, Order, Scope
from annex_core.model.plan import LaunchFleet
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView
from annex_core.planner.plan import plan
from tests.unit.world import (
    ALICE,
    NOW,
    REGION,
    annex,
    fleet,
    group,
    instance,
    known,
    launch,
    living,
    slot,
    snapshot,
    wishing,
)

BOB = AnnexKey("bob", "red")


@pytest.fixture
def standing():
    """Alice has one machine up, one booting, one gone and one still to come; bob's job waits for a route."""
    of = living(
        [group(idle=2), group(key=BOB, route=None)],
        counts={ALICE: JobCounts(idle=2, running=2)},
        at=RegionView([instance(), instance("i-2")], [fleet(fulfilled=2.0)]),
        launches=[launch(target=4)],
        slots=[slot()],
        known=[known("i-0", gone=NOW - timedelta(minutes=1), joined=NOW - timedelta(minutes=9))],
    )
    return Standing(of, plan(of), silent={"slots": "no answer"})


def test_it_is_as_the_schema_says(standing):
    Draft202012Validator(schema("status")).validate(status(standing, None, administrator=True))
    Draft202012Validator(schema("status")).validate(status(None, None, administrator=True))


def test_machines_are_counted_by_their_state_of_life(standing):
    machines = status(standing, "alice", administrator=False)["annexes"][0]["instances"]
    assert {name: machines[name] for name in ("asked", "pending", "booting", "joined", "gone")} == {
        "asked": 4,
        "pending": 1,
        "booting": 1,
        "joined": 1,
        "gone": 1,
    }


def test_a_user_sees_nobody_elses_annexes_and_no_troubles(standing):
    answer = status(standing, "bob", administrator=False)
    assert [annex["owner"] for annex in answer["annexes"]] == ["bob"]
    assert answer["troubles"] == []


def test_all_see_an_annex_for_anybodys_jobs_with_the_jobs_of_all_who_have_none_of_that_name():
    shared, bobs = AnnexKey(ANYBODY, "blue"), AnnexKey("bob", "blue")
    of = snapshot(
        annexes={shared: annex(shared), ALICE: annex()},
        counts={ALICE: JobCounts(idle=2), bobs: JobCounts(idle=3, running=1)},
    )
    told = status(Standing(of, plan(of)), "bob", administrator=False)["annexes"]
    assert {(each["owner"], each["jobs"]["idle"]) for each in told} == {("bob", 3), (ANYBODY, 3)}


def test_an_administrator_reads_what_does_not_answer(standing):
    assert status(standing, None, administrator=True)["troubles"] == ["slots: no answer"]


def test_an_annex_that_waits_for_its_first_machine_says_why(standing):
    (annex,) = status(standing, "bob", administrator=False)["annexes"]
    assert annex["id"] is None
    assert "job router" in annex["status"]


def only(standing):
    (annex,) = status(standing, None, administrator=True)["annexes"]
    return annex


@pytest.mark.parametrize(
    "of", [snapshot([group(idle=3)]), living([group(idle=3)], at=RegionView())], ids=["new", "known"]
)
def test_what_is_asked_for_counts_at_once(of):
    found = only(Standing(of, plan(of)))
    machines = {name: found["instances"][name] for name in ("asked", "pending", "booting", "joined", "gone")}
    assert machines == {"asked": 1, "pending": 1, "booting": 0, "joined": 0, "gone": 0}
    assert "1 asked for" in found["status"]
    assert found["fleets"] == []
    Draft202012Validator(schema("status")).validate(status(Standing(of, plan(of)), None, administrator=True))


def without_demand(groups=(), **given):
    of = snapshot(groups, **given)
    return Standing(of, plan(of))


def test_jobs_of_an_annex_that_cannot_be_are_told_so_and_not_that_no_job_waits():
    said = only(without_demand(counts={AnnexKey("alice", "../bad"): JobCounts(idle=3)}))["status"]
    assert (
        said == "No annex can be called '../bad': 1 to 37 letters, digits and dashes. Its jobs can't run; remove them."
    )


def test_where_idle_jobs_ask_for_no_machine_yet_it_does_not_say_that_no_job_waits():
    said = only(without_demand(counts={ALICE: JobCounts(idle=3)}))["status"]
    assert said == "Annex blue: its idle jobs ask for no machine yet."


def test_where_the_schedd_does_not_answer_it_does_not_say_that_no_job_waits():
    of = living(None, at=RegionView())
    assert only(Standing(of, plan(of)))["status"] == "Annex blue: the schedd does not answer."


def order(**given):
    return Order(**{"id": "o1", "annex": annex().id, "placed": NOW, "by": "root", "instances": 3, **given})


def of_alice(world):
    (found,) = status(Standing(world, plan(world)), "alice", administrator=False)["annexes"]
    return found


@pytest.mark.parametrize(
    ("made", "answered", "refused"),
    [
        ({}, True, None),
        ({"state": LaunchState.INTENDED, "fleet": None}, False, None),
        ({"state": LaunchState.REFUSED, "fleet": None, "reason": "no quota"}, False, "no quota"),
        ({"closed": NOW, "fleet": "fleet-1", "reason": "no capacity"}, False, None),
    ],
)
def test_an_order_says_whether_aws_took_it(made, answered, refused):
    """A fleet of type instant that brought nothing is no answer to wait for."""
    asked = launch(target=3, order="o1", intended=NOW - timedelta(seconds=9), **made)
    (told,) = of_alice(living(at=RegionView(), launches=[asked], orders=[order()]))["orders"]
    assert (told["by"], told["instances"], told["answered"], told["refused"]) == ("root", 3, answered, refused)


@pytest.mark.parametrize(
    ("world", "words"),
    [
        ({"freezes": [Frozen(Scope.PROJECT, name="physics", by="root")]}, "project physics was frozen by root"),
        ({"freezes": [Frozen(Scope.ANNEX, "alice", "blue", by="alice", after_end=True)]}, "was ended by alice"),
        ({"signs": {REGION: Signs(NOW, (Freeze(Mode.FREEZE, project="physics"),))}}, "by /condor-annex/freeze"),
        ({"freezes": [Frozen(Scope.ANNEX, "alice", "blue2", by="bob")]}, None),
        ({"signs": {REGION: Signs(NOW, (Freeze(Mode.END, pool="another"),))}}, None),
    ],
)
def test_what_is_frozen_is_told_with_where_it_was(world, words):
    told = of_alice(living(at=RegionView(), **world))["frozen"]
    assert (words in told) if words else told is None


NOBODY = {"command": {}, "job": {}}


def decided(world):
    told = status(Standing(world, plan(world)), None, administrator=True)
    Draft202012Validator(schema("status")).validate(told)
    (found,) = told["annexes"]
    return found["decided"]


def test_what_the_route_says_nobody_decided():
    assert decided(living([group()], at=RegionView(), launches=[launch()])) == NOBODY


def test_what_jobs_decide_is_told_before_aws_is_asked_and_when_they_begin_an_annex():
    """Of several jobs the one that asks for least; the other annex may launch nothing."""
    asked = [
        group(wishes=wishing(lifetime=timedelta(hours=2), idle_timeout=timedelta(seconds=200))),
        group(memory_mib=2, wishes=wishing(lifetime=timedelta(hours=3), idle_timeout=timedelta(seconds=90))),
        group(memory_mib=3, wishes=wishing(instance_types=("c5.xlarge", "c5.large"), limits=Limits(max_instances=4))),
    ]
    job = {"idle_s": "90", "lifetime_s": "7200", "instance_types": "c5.large, c5.xlarge", "max_instances": "4"}
    assert decided(snapshot(asked)) == {"command": {}, "job": job | {"lease_ends": "2026-11-21T14:00:00Z"}}
    assert decided(snapshot(asked, signs={})) == {"command": {}, "job": job}


def test_what_jobs_decided_is_told_when_they_wait_no_more():
    by_jobs = {"idle_s": 90, "instance_types": ["c5.large"]}
    began = annex(lifetime=timedelta(hours=8))
    of = living([], at=RegionView(), annexes={ALICE: began}, launches=[launch(by_jobs=by_jobs)])
    assert decided(of)["job"] == {
        "idle_s": "90",
        "instance_types": "c5.large",
        "lifetime_s": "28800",
        "lease_ends": "2026-11-21T19:00:00Z",
    }


def test_a_lease_that_a_command_set_is_the_commands_whoever_began_the_annex():
    lasts = {"lease_ends": NOW + timedelta(hours=3), "lease_by": Who("alice", 1001)}
    for lifetime, told in ((None, {}), (timedelta(hours=3), {"lifetime_s": "10800"})):
        of = living(at=RegionView(), annexes={ALICE: annex(lifetime=lifetime, **lasts)})
        assert decided(of) == {"command": {"lease_ends": "2026-11-21T15:00:00Z"} | told, "job": {}}


def minutes_ago(minutes):
    return NOW - timedelta(minutes=minutes)


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (
            {"market": "on-demand"},
            {"instance_types": ["c5.large", "m5.large"]},
            {"instance_types": "c5.large, m5.large"},
        ),
        ({"market": "on-demand"}, {}, {}),
        ({}, {"market": "on-demand"}, {"market": "on-demand"}),
    ],
)
def test_of_several_orders_the_newest_decides(first, second, told):
    orders = [order(placed=minutes_ago(9), overrides=first), order(id="o2", placed=minutes_ago(8), overrides=second)]
    launches = [launch("t1", order="o1"), launch("t2", order="o2")]
    assert decided(living(at=RegionView(), orders=orders, launches=launches)) == {"command": told, "job": {}}


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (9, {"command": {"instance_types": "c5.xlarge"}, "job": {}}),
        (7, {"command": {}, "job": {"instance_types": "c5.large"}}),
    ],
)
def test_of_an_order_and_what_jobs_asked_for_the_newer_decides(asked, told):
    ordered = order(placed=minutes_ago(8), overrides={"instance_types": ["c5.xlarge"]})
    for_jobs = launch(intended=minutes_ago(asked), by_jobs={"instance_types": ["c5.large"]})
    launches = [for_jobs, launch("t2", order="o1", intended=minutes_ago(8))]
    assert decided(living(at=RegionView(), orders=[ordered], launches=launches)) == told


def test_an_order_that_aws_refused_decides_nothing():
    ordered = order(placed=minutes_ago(8), overrides={"market": "on-demand"})
    refused = launch(order="o1", state=LaunchState.REFUSED, fleet=None, reason="no")
    assert decided(living(at=RegionView(), orders=[ordered], launches=[refused])) == NOBODY


@pytest.mark.parametrize(
    ("by_jobs", "told"),
    [({"idle_s": 90}, {"command": {}, "job": {"idle_s": "90"}}), ({}, {"command": {"idle_s": "120"}, "job": {}})],
)
def test_an_idle_time_out_is_the_commands_but_where_jobs_asked_for_less(by_jobs, told):
    made = annex(overrides={"idle_s": 120})
    assert decided(living(at=RegionView(), annexes={ALICE: made}, launches=[launch(by_jobs=by_jobs)])) == told


def test_what_may_hold_a_secret_is_told_to_be_given_and_no_more():
    hidden = {"user_data": "hush", "config_files": {"a": "aHVzaA=="}}
    ordered = order(overrides={"fleet_config": {"LaunchSpecifications": [{"UserData": "hush"}]}})
    told = decided(living(at=RegionView(), annexes={ALICE: annex(overrides=hidden)}, orders=[ordered]))
    assert told["command"] == {"user_data": "given", "config_files": "given", "fleet_config": "given"}


def test_a_launch_that_the_journal_has_by_now_is_not_counted_again_for_being_planned():
    of = living([group(idle=2)], at=RegionView([], []))
    decided = plan(of)
    planned = status(Standing(of, decided), None, administrator=True)["annexes"][0]["instances"]["asked"]
    (launch_,) = [each for each in decided.actions if isinstance(each, LaunchFleet)]
    later = replace(of, launches=[replace(launch_.as_launch("t1", NOW), state=LaunchState.REQUESTED, fleet="sfr-t1")])
    assert status(Standing(later, decided), None, administrator=True)["annexes"][0]["instances"]["asked"] == planned > 0
