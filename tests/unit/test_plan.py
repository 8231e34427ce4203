import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from annex_core.model.annex import LaunchState
from annex_core.model.demand import Limits
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.plan import CancelFleets, CloseLaunch, FinishAnnex, Terminate
from annex_core.model.snapshot import Failure, RegionView
from annex_core.model.supply import InstanceState
from annex_core.planner.plan import plan
from annex_core.planner.step import FLEETS_A_STEP
from tests.unit.world import (
    ALICE,
    BOB,
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
    known,
    launch,
    living,
    sentence,
    slot,
    snapshot,
    wishing,
)

BIG = replace(ROUTE, instance_types=("c5.4xlarge",))


class TestGrowth:
    def test_the_first_idle_job_asks_for_one_machine_at_once(self):
        (asked,) = fleets(snapshot([group()]))
        assert (asked.target, asked.types) == (1, ("c5.large",))

    def test_each_idle_job_gets_a_core(self):
        asked = fleets(snapshot([group(idle=64)]))
        assert sum(each.target * {"c5.4xlarge": 16}[each.types[0]] for each in asked) == 64

    def test_groups_that_want_the_same_type_share_one_fleet(self):
        groups = [group(requirements=f'{n} > 0 && TARGET.EC2InstanceType == "c5.large"', cpus=2) for n in (1, 2, 3)]
        (asked,) = fleets(snapshot([*groups, group(cpus=2, requirements="false")]))
        assert (asked.target, asked.types) == (3, ("c5.large",))

    def test_one_step_serves_more_groups_than_it_asks_for_fleets(self):
        groups = [group(cpus=2, memory_mib=1000 + n) for n in range(FLEETS_A_STEP + 3)]
        (asked,) = fleets(snapshot(groups, routes={"spot": replace(ROUTE, instance_types=("c5.large",))}))
        assert asked.target == FLEETS_A_STEP + 3

    def test_the_room_of_jobs_whose_group_gets_no_more_is_not_given_to_others(self):
        """Two of six cores each leave four of sixteen; nineteen of one core need more, as far as the limit pays."""
        groups = [group(idle=3, cpus=6, memory_mib=0), group(idle=19, memory_mib=0)]
        asked = fleets(snapshot(groups, routes={"spot": replace(ROUTE, max_hourly_cost=Decimal("0.96"))}))
        assert {each.types: each.target for each in asked} == {
            ("c5.4xlarge",): 1,
            ("c5.xlarge",): 1,
            ("c5.large",): 1,
        }

    @pytest.mark.parametrize(("free", "bought"), [(1, 0), (0, 1)])
    def test_free_cores_are_no_room_for_a_job_that_wants_a_gpu(self, free, bought):
        of = living(
            [group(gpus=1)],
            at=RegionView([instance(type="g5.2xlarge")], [fleet()]),
            launches=[launch(types=("g5.2xlarge",))],
            slots=[slot(type="g5.2xlarge", free_cpus=7, free_gpus=free)],
            types={REGION: {"g5.2xlarge": InstanceType("g5.2xlarge", 8, 32768, "x86_64", gpus=1)}},
            routes={"spot": replace(ROUTE, instance_types=("g5.2xlarge",))},
        )
        assert len(fleets(of)) == bought

    def test_a_type_is_chosen_that_the_job_fits_on(self):
        (asked,) = fleets(snapshot([group(cpus=4, memory_mib=16000)]))
        assert asked.types == ("c5.4xlarge",)

    @pytest.mark.parametrize(
        ("wished", "bought"),
        [
            ([("c5.xlarge", "c5.4xlarge")], ["c5.xlarge"]),
            ([("c5.xlarge",), ()], ["c5.xlarge"]),
            ([("c5.xlarge", "c5.4xlarge"), ("c5.large", "c5.4xlarge")], ["c5.4xlarge"]),
            ([("c5.xlarge",), ("c5.large",)], []),
            ([("p5.48xlarge",)], []),
        ],
    )
    def test_only_types_that_the_route_and_all_jobs_allow_are_bought(self, wished, bought):
        of = snapshot(
            [group(memory_mib=1000 + n, wishes=wishing(instance_types=names)) for n, names in enumerate(wished)]
        )
        assert [name for asked in fleets(of) for name in asked.types] == bought
        assert bool(bought) != ("annex_instance_types leave no instance type" in sentence(of))

    @pytest.mark.parametrize(
        ("wished", "seconds"),
        [([], 300), ([60], 60), ([200, 100, None], 100), ([900], 300), ([0], 5)],
        ids=["the route's", "the jobs'", "the jobs' least", "at most the route's", "never none"],
    )
    def test_a_machine_stays_without_work_for_the_shortest_time_that_anybody_wishes(self, wished, seconds):
        wishes = [wishing(idle_timeout=None if each is None else timedelta(seconds=each)) for each in wished]
        jobs = [group(memory_mib=1000 + n, wishes=each) for n, each in enumerate(wishes or [wishing()])]
        asked = fleets(snapshot(jobs))
        assert {each.idle_timeout_s for each in asked} == {seconds}

    def test_a_type_that_the_jobs_requirements_refuse_is_not_bought(self):
        (asked,) = fleets(snapshot([group(requirements='TARGET.EC2InstanceType == "c5.xlarge"')]))
        assert asked.types == ("c5.xlarge",)

    def test_a_job_that_no_type_can_run_launches_nothing_and_says_what_it_lacks(self):
        of = snapshot([group(cpus=500)])
        assert not fleets(of)
        assert "500 CPUs" in sentence(of)

    def test_a_misfit_does_not_hold_back_the_jobs_beside_it(self):
        of = snapshot([group(cpus=500), group(idle=2)])
        assert sum(each.target for each in fleets(of)) == 1
        assert "500 CPUs" in sentence(of)

    def test_jobs_of_two_shapes_are_served_in_one_step(self):
        asked = fleets(snapshot([group(cpus=16), group(idle=2, memory_mib=1500)]))
        assert sorted(each.types for each in asked) == [("c5.4xlarge",), ("c5.large",)]

    def test_a_job_that_the_router_has_not_taken_waits_for_it(self):
        of = snapshot([group(route=None)])
        assert not fleets(of)
        assert "router" in sentence(of)

    def test_jobs_that_the_router_has_yet_to_take_count_with_those_that_it_has_taken(self):
        two_cores = {"spot": replace(ROUTE, instance_types=("c5.large",))}
        asked = fleets(snapshot([group(idle=2), group(idle=8, route=None)], routes=two_cores))
        assert sum(each.target for each in asked) == 5

    def test_two_owners_annexes_of_one_name_are_two(self):
        asked = fleets(snapshot([group(), group(key=BOB)]))
        assert {each.annex.key for each in asked} == {ALICE, BOB}
        assert len({each.annex.id for each in asked}) == 2

    @pytest.mark.parametrize("owners", [("alice",), ()])
    def test_an_owner_whom_the_route_does_not_list_launches_nothing(self, owners):
        of = snapshot([group(key=BOB)], routes={"spot": replace(ROUTE, owners=owners)})
        assert not fleets(of)
        assert "not open to bob" in sentence(of, BOB)

    def test_a_refused_route_launches_nothing_and_the_user_reads_why(self):
        of = snapshot([group()], routes={}, refused_routes={"spot": "no AnnexImage"})
        assert not fleets(of)
        assert "no AnnexImage" in sentence(of)

    def test_a_bad_annex_does_not_stop_another(self):
        of = snapshot([group(), group(key=BOB, route="gone")])
        assert [each.annex.key for each in fleets(of)] == [ALICE]

    def test_the_lease_is_what_the_jobs_wish_and_never_beyond_the_routes_bound(self):
        (short,) = fleets(snapshot([group(wishes=wishing(lifetime=timedelta(hours=1)))]))
        (long,) = fleets(snapshot([group(wishes=wishing(lifetime=timedelta(days=90)))]))
        assert short.annex.lease_ends == NOW + timedelta(hours=1)
        assert long.annex.lease_ends == NOW + ROUTE.max_lifetime == long.annex.ends_at_latest

    def test_an_annex_keeps_the_route_it_was_made_with(self):
        other = replace(ROUTE, name="other", instance_types=("c5.xlarge",))
        of = living([group(route="other")], at=RegionView(), routes={"spot": ROUTE, "other": other})
        (asked,) = fleets(of)
        assert asked.types == ("c5.large",)

    def test_jobs_of_a_shape_that_no_route_has_taken_buy_nothing_beside_those_of_a_living_annex(self):
        of = living([group(idle=2), group(idle=50, cpus=2, route=None)], at=RegionView())
        assert sum(each.target for each in fleets(of)) == 1
        assert "wait for the job router" in plan(of).outlooks[ALICE].sentence


class TestSupply:
    def test_a_booting_instance_counts_as_room(self):
        of = living([group(idle=2)], at=RegionView([instance()], [fleet()]), launches=[launch()])
        assert not fleets(of)

    def test_what_was_asked_for_and_has_not_come_counts_as_room(self):
        assert not fleets(living([group(idle=4)], at=RegionView(), launches=[launch(target=2)]))

    def test_a_launch_without_an_answer_holds_back_the_next(self):
        of = living([group(idle=40)], at=RegionView(), launches=[launch(state=LaunchState.INTENDED, fleet=None)])
        assert not fleets(of)
        assert "not answered" in sentence(of)

    def test_a_free_slot_counts_as_room_and_a_full_one_does_not(self):
        view = RegionView([instance()], [fleet()])
        free = living([group(idle=2)], at=view, launches=[launch()], slots=[slot()])
        full = living([group(idle=2)], at=view, launches=[launch()], slots=[slot(free_cpus=0)])
        assert not fleets(free)
        assert len(fleets(full)) == 1

    def test_a_slot_that_only_claims_the_annex_is_no_room_and_is_reported(self):
        impostor = slot("i-9", key=AnnexKey("bob", "red"), claimed_name="blue", free_cpus=64, type="c5.large")
        of = snapshot([group()], slots=[impostor])
        assert len(fleets(of)) == 1
        assert any("i-9" in trouble for trouble in plan(of).troubles)

    def test_a_slot_ad_that_outlives_its_annex_is_no_trouble(self):
        assert plan(snapshot(slots=[slot("i-9", key=BOB, claimed_name=BOB.name)])).troubles == ()

    def test_a_fleet_whose_unfilled_part_was_cancelled_brings_no_more(self):
        of = living([group(idle=2)], at=RegionView(), launches=[launch(closed=NOW - timedelta(minutes=2))])
        assert len(fleets(of)) == 1

    def test_an_instance_of_a_filled_fleet_that_left_is_not_expected_again(self):
        of = living(
            [group(idle=2)],
            at=RegionView([], [fleet()]),
            launches=[launch()],
            known=[known("i-1", gone=NOW - timedelta(minutes=1), joined=NOW - timedelta(minutes=20))],
        )
        assert len(fleets(of)) == 1

    @pytest.mark.parametrize(
        "unknown",
        [{"slots": None}, {"regions": {}}, {"frozen": {REGION: "the journal was lost"}}],
        ids=["slots", "region", "frozen"],
    )
    def test_nothing_is_launched_on_a_partial_view(self, unknown):
        assert not fleets(snapshot([group()], **unknown))

    def test_nothing_is_launched_while_another_region_has_machines_of_the_same_annex(self):
        elsewhere = {REGION: RegionView(), "eu-west-1": RegionView([instance()], [])}
        of = snapshot([group(), group(key=BOB)], regions=elsewhere)
        assert [each.annex.key for each in fleets(of)] == [BOB]
        assert "machines of it in eu-west-1" in sentence(of)


class TestCaps:
    def test_instances(self):
        of = snapshot([group(idle=500, requirements='TARGET.EC2InstanceType == "c5.large"')])
        assert sum(each.target for each in fleets(of)) == ROUTE.max_instances
        assert "cap of 10 machines" in sentence(of)

    def test_the_jobs_own_cap_is_tighter_than_the_routes(self):
        of = snapshot([group(idle=500, wishes=wishing(limits=Limits(max_instances=3)))])
        assert sum(each.target for each in fleets(of)) == 3

    def test_a_jobs_cap_above_the_routes_changes_nothing(self):
        of = snapshot([group(idle=5000, wishes=wishing(limits=Limits(max_instances=10_000)))])
        assert sum(each.target for each in fleets(of)) == ROUTE.max_instances

    def test_what_is_on_its_way_counts(self):
        of = living([group(idle=500)], at=RegionView(), launches=[launch(target=8)])
        assert sum(each.target for each in fleets(of)) == 2

    def test_vcpus(self):
        of = snapshot([group(idle=500)], routes={"spot": replace(BIG, max_vcpus=40)})
        assert sum(each.target for each in fleets(of)) == 2

    def test_dollars_an_hour(self):
        of = snapshot([group(idle=500)], routes={"spot": replace(BIG, max_hourly_cost=Decimal(2))})
        assert sum(each.target for each in fleets(of)) == 2
        assert "$2 an hour" in sentence(of)

    def test_a_budget_reserves_the_ceiling_until_the_lease_ends(self):
        priced = replace(BIG, budget=Decimal(12), lifetime=timedelta(hours=8))
        assert sum(each.target for each in fleets(snapshot([group(idle=500)], routes={"spot": priced}))) == 2

    def test_what_a_large_machine_would_pass_a_smaller_one_may_still_keep(self):
        of = snapshot([group(idle=500)], routes={"spot": replace(ROUTE, max_vcpus=18)})
        assert [each.types for each in fleets(of)] == [("c5.4xlarge",), ("c5.large",)]

    def test_what_was_spent_before_counts_against_the_budget(self):
        gone = known("i-0", launched=NOW - timedelta(hours=1), gone=NOW, hourly_ceiling=Decimal(11))
        of = living(
            [group(idle=500)],
            at=RegionView(),
            known=[replace(gone, gone=NOW - timedelta(seconds=1), joined=NOW)],
            routes={"spot": replace(BIG, budget=Decimal(12))},
        )
        assert not fleets(of)
        assert "budget" in sentence(of)

    def test_an_unknown_price_is_not_bought_where_dollars_are_limited(self):
        new = replace(ROUTE, instance_types=("x9.new",), budget=Decimal(1000))
        of = snapshot([group()], routes={"spot": new})
        assert not fleets(of)
        assert "price of x9.new is not known" in sentence(of)

    def test_an_unknown_price_is_dearer_than_a_known_one(self):
        of = snapshot([group(cpus=4)], routes={"spot": replace(ROUTE, instance_types=("x9.new", "c5.xlarge"))})
        assert fleets(of)[0].types == ("c5.xlarge",)

    def test_one_large_machine_of_unknown_price_is_dearer_than_any_number_of_small_ones(self):
        types = {"c5.large": TYPES["c5.large"], "x9.new": replace(TYPES["x9.new"], vcpus=64, memory_mib=131_072)}
        of = snapshot(
            [group(idle=20)], types={REGION: types}, routes={"spot": replace(ROUTE, instance_types=tuple(types))}
        )
        (asked,) = fleets(of)
        assert (asked.types, asked.target) == (("c5.large",), 10)

    def test_the_routes_allowance_for_egress_is_part_of_each_machines_price(self):
        paying = replace(BIG, egress_price=Decimal(1), max_hourly_cost=Decimal("4.9"))
        (free,) = fleets(snapshot([group(idle=64)], routes={"spot": replace(paying, egress_price=Decimal(0))}))
        (paid,) = fleets(snapshot([group(idle=64)], routes={"spot": paying}))
        assert (free.target, paid.target) == (4, 2)
        assert paid.hourly_ceiling == free.hourly_ceiling + 1

    def test_a_cap_of_zero_launches_nothing(self):
        assert not fleets(snapshot([group()], routes={"spot": replace(ROUTE, max_instances=0)}))


class TestDamping:
    def test_one_growth_step_in_an_interval(self):
        of = living([group(idle=500)], at=RegionView(), launches=[launch(intended=NOW - timedelta(seconds=30))])
        assert not fleets(of)

    def test_a_clock_that_has_gone_back_a_day_holds_growth_no_longer_than_one_that_has_not(self):
        ahead = launch("t1", intended=NOW + timedelta(days=1))
        failed = {annex().id: Failure("no", NOW + timedelta(days=1))}
        assert fleets(living([group(idle=500)], at=RegionView(), launches=[ahead], failures=failed))
        lately = launch("t2", intended=NOW - timedelta(seconds=30))
        assert not fleets(living([group(idle=500)], at=RegionView(), launches=[ahead, lately]))

    def test_no_growth_when_the_lease_is_about_to_end(self):
        ending = {ALICE: annex(lease_ends=NOW + timedelta(minutes=5))}
        of = living([group()], at=RegionView(), annexes=ending)
        assert not fleets(of)
        assert "about to end" in sentence(of)

    def test_no_growth_when_a_machine_would_come_too_late_for_a_job_to_start(self):
        for left, launches in ((timedelta(minutes=2), 0), (timedelta(minutes=4), 1)):
            short = {ALICE: annex(started=NOW + left - timedelta(minutes=5), lease_ends=NOW + left)}
            assert len(fleets(living([group()], at=RegionView(), annexes=short))) == launches

    def test_machines_that_never_join_stop_growth(self):
        lost = [known(f"i-{n}", gone=NOW - timedelta(minutes=5)) for n in range(3)]
        of = living([group()], at=RegionView(), known=lost)
        assert not fleets(of)
        assert "never joined" in sentence(of)

    def test_after_a_pause_machines_that_never_joined_are_tried_again(self):
        lost = [known(f"i-{n}", gone=NOW - timedelta(minutes=45)) for n in range(3)]
        assert len(fleets(living([group()], at=RegionView(), known=lost))) == 1


class TestEnds:
    def test_a_young_machine_that_aws_lists_no_more_is_not_asked_to_end_again(self):
        quick = replace(ROUTE, join_within=timedelta(seconds=10))
        young = known("i-1", launched=NOW - timedelta(seconds=30))
        shown = instance(launched=young.launched)
        for listed, ended in (([shown], [("i-1",)]), ([], [])):
            of = living([group()], at=RegionView(listed), known=[young], routes={"spot": quick})
            assert [each.instances for each in plan(of).actions if isinstance(each, Terminate)] == ended

    def test_what_is_due_is_cancelled_and_terminated_by_its_tags_though_the_journal_knows_nothing(self):
        over = carried(of=annex(lease_ends=NOW))
        decided = plan(snapshot(None, regions={REGION: RegionView([instance(tags=over)], [fleet(tags=over)])}))
        assert decided.actions[:2] == (
            CancelFleets(REGION, ("sfr-t1",), terminate=True, why="the lease has ended"),
            Terminate(REGION, ("i-1",), why="the lease has ended"),
        )

    def test_another_access_points_machines_are_left_alone(self):
        over = {**carried(of=annex(lease_ends=NOW)), "htcondor:AccessPoint": "other.example"}
        assert not plan(snapshot(None, regions={REGION: RegionView([instance(tags=over)], [fleet(tags=over)])})).actions

    def test_a_lease_that_cannot_be_read_ends_at_the_outer_bound_not_now(self):
        odd = {**carried(), "htcondor:LeaseEnds": "soon"}
        decided = plan(living(None, at=RegionView([instance(tags=odd)])))
        assert not any(isinstance(action, Terminate) for action in decided.actions)
        assert any("i-1" in trouble for trouble in decided.troubles)

    def test_an_annex_is_finished_only_when_its_lease_has_ended_and_nothing_is_left(self):
        ended = {ALICE: annex(lease_ends=NOW)}
        shutting = instance(state=InstanceState.SHUTTING_DOWN, tags=carried(of=ended[ALICE]))
        assert FinishAnnex(ended[ALICE]) in plan(living((), at=RegionView(), annexes=ended)).actions
        assert FinishAnnex(ended[ALICE]) not in plan(living((), at=RegionView([shutting]), annexes=ended)).actions

    def test_idle_jobs_of_an_ended_annex_wait_until_it_is_finished(self):
        ended = {ALICE: annex(lease_ends=NOW)}
        assert not fleets(living([group()], at=RegionView([instance()]), annexes=ended))

    def test_what_was_not_filled_in_time_is_given_up(self):
        late = launch(intended=NOW - ROUTE.fulfil_within)
        assert (
            CloseLaunch(late, "not filled within 0:10:00")
            in plan(living([group()], at=RegionView([], [fleet()]), launches=[late])).actions
        )

    def test_a_fleet_that_aws_lists_as_cancelled_brings_no_more(self):
        asked = launch(intended=NOW - timedelta(minutes=1))
        of = living([group()], at=RegionView([], [fleet(state="cancelled_running", fulfilled=0.0)]), launches=[asked])
        assert CloseLaunch(asked, "AWS lists it as cancelled") in plan(of).actions

    def test_an_open_request_for_removed_jobs_is_given_up_at_once(self):
        assert any(
            isinstance(action, CloseLaunch)
            for action in plan(living((), at=RegionView([], [fleet()]), launches=[launch()])).actions
        )

    def test_an_unanswered_schedd_gives_nothing_up(self):
        assert not plan(living(None, at=RegionView([], [fleet()]), launches=[launch()])).actions

    def test_a_spent_fleet_is_cancelled(self):
        left = known("i-1", gone=NOW - timedelta(minutes=1), joined=NOW - timedelta(minutes=20))
        decided = plan(living((), at=RegionView([], [fleet()]), launches=[launch()], known=[left]))
        assert [action.fleets for action in decided.actions if isinstance(action, CancelFleets)] == [("sfr-t1",)]

    def test_a_fleet_with_a_living_instance_is_not_cancelled(self):
        assert not plan(living((), at=RegionView([instance()], [fleet()]), launches=[launch()])).actions

    def test_a_machine_that_does_not_join_in_time_is_ended(self):
        stuck = instance(launched=NOW - timedelta(minutes=21))
        old = launch(intended=NOW - timedelta(minutes=22))
        decided = plan(living([group()], at=RegionView([stuck], [fleet()]), launches=[old]))
        assert [action.instances for action in decided.actions if isinstance(action, Terminate)] == [("i-1",)]

    @pytest.mark.parametrize(
        ("answering", "join_within", "ended"),
        [(4, 20, False), (5, 20, True), (1, 2, False), (2, 2, True)],
        ids=["just-back", "long-enough", "just-back-and-in-a-hurry", "long-enough-in-a-hurry"],
    )
    def test_a_collector_that_is_just_back_has_not_heard_of_all_machines(self, answering, join_within, ended):
        decided = plan(
            living(
                [group()],
                at=RegionView([instance(launched=NOW - timedelta(minutes=21))], [fleet()]),
                launches=[launch(intended=NOW - timedelta(minutes=22))],
                slots_since=NOW - timedelta(minutes=answering),
                routes={"spot": replace(ROUTE, join_within=timedelta(minutes=join_within))},
            )
        )
        assert any(isinstance(action, Terminate) for action in decided.actions) is ended

    def test_a_machine_that_joined_is_never_ended_for_a_missing_slot_ad_but_reported(self):
        joined = known("i-1", joined=NOW - timedelta(minutes=20))
        decided = plan(
            living([group()], at=RegionView([instance(launched=joined.launched)]), launches=[launch()], known=[joined])
        )
        assert not any(isinstance(action, Terminate) for action in decided.actions)
        assert any("slot ad is gone" in trouble for trouble in decided.troubles)


class TestJobsThatSayHowLongTheyTake:
    """No machine starts a job that its lease wouldn't let end, so that none is bought for it."""

    def of(self, takes, left):
        of = living([group(idle=3, wishes=wishing(takes=takes))], at=RegionView())
        return replace(of, annexes={ALICE: replace(of.annexes[ALICE], lease_ends=NOW + left)})

    def test_get_a_machine_where_the_lease_lets_them_end(self):
        assert fleets(self.of(timedelta(hours=4), timedelta(hours=5)))

    def test_get_none_where_it_ends_before_and_are_told(self):
        of = self.of(timedelta(hours=4), timedelta(hours=4, minutes=1))
        assert fleets(of) == []
        assert "they may take 4:00:00" in plan(of).outlooks[ALICE].sentence

    def test_keep_no_other_jobs_waiting(self):
        of = self.of(timedelta(hours=9), timedelta(hours=5))
        of = replace(of, demand=[*of.demand, group(idle=2)])
        assert fleets(of)
        assert {each.group.wishes.takes: bool(each.why_not_more) for each in plan(of).outlooks[ALICE].groups} == {
            timedelta(hours=9): True,
            None: False,
        }


class TestAnAnnexThatCanNotBePlanned:
    """Whatever ails it: here, jobs whose ad is none."""

    OF = snapshot([replace(group(idle=3), ad=object()), group(key=BOB)])

    def test_stops_no_other(self):
        (asked,) = fleets(self.OF)
        assert asked.annex.key == BOB

    def test_is_told_to_its_jobs_and_to_administrators_with_the_place(self):
        decided = plan(self.OF)
        outlook = decided.outlooks[ALICE]
        assert outlook.sentence == "Annex blue: condor_annexd failed on it; its log says how."
        assert (outlook.waiting, outlook.reason) == (3, "condor_annexd failed on it; its log says how")
        (trouble,) = decided.troubles
        assert trouble.startswith(f"annex {ALICE} can't be planned: ")
        assert re.search(r" in \w+\.py, line \d+$", trouble)


class TestAPlanWhosePartsFail:
    """Leases end all the same, and administrators are told."""

    OF = living([group(key=BOB)], at=RegionView([instance(tags=carried(of=annex(lease_ends=NOW)))], [fleet()]))

    @staticmethod
    def broken(*_):
        raise ZeroDivisionError

    def test_launches_nothing_where_nobody_knows_what_limits_have_left(self, monkeypatch):
        assert fleets(self.OF)
        monkeypatch.setattr("annex_core.planner.plan.Commons", self.broken)
        decided = plan(self.OF)
        assert list(decided.actions) == [Terminate(REGION, ("i-1",), why="the lease has ended")]
        assert decided.outlooks[BOB].reason == "condor_annexd failed on it; its log says how"
        assert decided.troubles[-1].startswith("what annexes have together can't be planned: ZeroDivisionError")

    def test_goes_on_without_the_part(self, monkeypatch):
        whole = plan(self.OF)
        monkeypatch.setattr("annex_core.planner.plan.shrunk", self.broken)
        decided = plan(self.OF)
        assert decided.actions == whole.actions
        assert "ZeroDivisionError" in decided.troubles[-1]
