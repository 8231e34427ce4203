"""Orders by hand, as the planner follows them."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.annex import Ending, LaunchState
from annex_core.model.names import AnnexKey
from annex_core.model.order import Frozen, Order, Scope
from annex_core.model.plan import CancelFleets, CloseLaunch, DropFreeze, LaunchFleet, Terminate
from annex_core.model.route import Market, overridden
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import instance_hour
from annex_core.planner.plan import plan
from tests.unit.strategies import capped_routes
from tests.unit.world import (
    ALICE,
    NOW,
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
    slot,
)

EMPTY = RegionView()


def order(instances=3, id_="o1", **given):
    return Order(**{"id": id_, "annex": annex().id, "placed": NOW, "by": "alice", "instances": instances, **given})


def slots_order(slots, **given):
    return order(None, slots=slots, **given)


def ordered(*orders, groups=(), at=EMPTY, **given):
    return living(groups, at=at, orders=orders, **given)


def of(actions, kind):
    return [action for action in actions if isinstance(action, kind)]


class TestFilling:
    def test_an_order_is_filled_by_the_cheapest_type_without_any_job(self):
        (asked,) = fleets(ordered(order(3)))
        assert (asked.types, asked.target, asked.order) == (("c5.large",), 3, "o1")

    def test_slots_are_vcpus(self):
        (asked,) = fleets(ordered(slots_order(7)))
        assert sum(TYPES[name].vcpus for name in asked.types) * asked.target >= 7
        assert asked.target * max(TYPES[name].vcpus for name in asked.types) < 7 + 2

    def test_of_types_that_were_named_any_will_do(self):
        (asked,) = fleets(ordered(order(2, overrides={"instance_types": ["c5.xlarge", "c5.large"]})))
        assert set(asked.types) == {"c5.xlarge", "c5.large"}
        assert asked.hourly_ceiling == instance_hour(TYPES["c5.xlarge"], ROUTE)

    def test_a_highest_price_is_the_ceiling(self):
        (asked,) = fleets(ordered(order(1, overrides={"max_price_usd": {"*": "0.03"}})))
        assert asked.ceilings == {"c5.large": Decimal("0.03")}

    def test_a_filled_order_asks_for_nothing(self):
        filled = launch("t1", 3, order="o1", intended=NOW - timedelta(minutes=1))
        assert fleets(ordered(order(3), launches=[filled])) == []

    def test_machines_that_left_idle_are_not_replaced(self):
        filled = launch("t1", 2, order="o1", closed=NOW - timedelta(minutes=3))
        gone = [known(f"i-{n}", gone=NOW - timedelta(minutes=2), joined=NOW - timedelta(minutes=9)) for n in range(2)]
        assert fleets(ordered(order(2), launches=[filled], known=gone)) == []

    def test_what_aws_did_not_fill_in_time_is_asked_for_again(self):
        cut = launch("t1", 3, order="o1", closed=NOW - timedelta(minutes=3), intended=NOW - timedelta(minutes=13))
        came = [known("i-1", joined=NOW)]
        (asked,) = fleets(ordered(order(3), at=RegionView([instance("i-1")]), launches=[cut], known=came))
        assert asked.target == 2

    def test_an_order_that_aws_refused_is_over(self):
        refused = launch("t1", 3, order="o1", state=LaunchState.REFUSED, fleet=None, reason="no")
        assert fleets(ordered(order(3), launches=[replace(refused, intended=NOW - timedelta(hours=1))])) == []

    def test_a_second_order_adds_machines_at_once(self):
        first = launch("t1", 2, order="o1", intended=NOW - timedelta(seconds=5))
        (asked,) = fleets(ordered(order(2), order(1, "o2"), launches=[first]))
        assert (asked.target, asked.order) == (1, "o2")

    def test_jobs_find_room_on_what_was_ordered(self):
        (asked,) = fleets(ordered(order(2), groups=[group(4)]))
        assert asked.order == "o1"

    def test_jobs_beyond_what_was_ordered_get_machines_of_their_own(self):
        asked = fleets(ordered(order(1), groups=[group(6)]))
        assert {each.order for each in asked} == {"o1", None}

    def test_machines_that_jobs_asked_for_don_t_fill_an_order(self):
        theirs = launch("t1", 3, intended=NOW - timedelta(minutes=5))
        (asked,) = fleets(ordered(order(3), launches=[theirs]))
        assert asked.target == 3

    def test_an_order_that_waits_says_why(self):
        made = launch("t1", 10, order="o1", intended=NOW - timedelta(minutes=5))
        of_ten = "2 ordered machines wait: the cap of 10 machines is reached"
        assert of_ten in plan(ordered(order(12), launches=[made])).outlooks[ALICE].sentence

    def test_the_open_part_of_an_order_is_not_given_up_for_want_of_jobs(self):
        open_ = launch("t1", 3, order="o1", intended=NOW - timedelta(minutes=1))
        actions = plan(ordered(order(3), at=RegionView([], [fleet("t1")]), launches=[open_])).actions
        assert of(actions, CloseLaunch) == []

    def test_machines_that_lived_to_their_fleet_s_bound_are_owed_again_while_the_lease_goes_on(self):
        bound = NOW - timedelta(minutes=1)
        old = launch("t1", 2, order="o1", closed=NOW - timedelta(hours=9), ends_at_latest=bound)
        gone = [
            known("i-1", joined=NOW - timedelta(hours=9), gone=bound),
            known("i-2", joined=NOW - timedelta(hours=9), gone=bound - timedelta(hours=3)),
        ]
        (asked,) = fleets(ordered(order(2), launches=[old], known=gone))
        assert asked.target == 1


class TestOverrides:
    def test_the_launch_has_what_was_decided_by_hand_in_place_of_the_route(self):
        life = annex(overrides={"image": "ami-2", "subnets": ["subnet-9"], "idle_s": 60, "tags": {"a": "b, c"}})
        (asked,) = fleets(ordered(order(1), annexes={ALICE: life}))
        assert (asked.route.image, asked.route.subnets, asked.idle_timeout_s) == ("ami-2", ("subnet-9",), 60)
        assert asked.route.tags == (("a", "b, c"),)

    def test_what_an_order_decides_is_not_the_annexes(self):
        plain = overridden(ROUTE, {})
        assert plain == ROUTE
        assert overridden(ROUTE, {"market": "on-demand"}).market is Market.ON_DEMAND


class TestEnding:
    def ending(self, how, **given):
        life = annex(ending=how, ending_since=NOW - timedelta(minutes=1))
        tagged = carried() | {"htcondor:Draining": "2026-11-21T11:59:00Z"}
        machines = [instance(f"i-{n}", tags=tagged) for n in (1, 2)]
        view = RegionView(machines, [fleet("t1", tags=tagged)])
        came = [known("i-1", joined=NOW), known("i-2", joined=NOW)]
        return living([group(5)], at=view, annexes={ALICE: life}, launches=[launch("t1", 2)], known=came, **given)

    def test_at_once_cancels_fleets_and_ends_machines_whatever_runs(self):
        busy = [slot("i-1"), slot("i-1", name="slot1_1@i-1", claimed=True)]
        actions = plan(self.ending(Ending.NOW, slots=busy)).actions
        assert [each.fleets for each in of(actions, CancelFleets)] == [("sfr-t1",)]
        assert [each.instances for each in of(actions, Terminate)] == [("i-1", "i-2")]
        assert of(actions, LaunchFleet) == []

    def test_draining_ends_machines_without_a_job_and_leaves_those_with_one(self):
        seen = [
            slot("i-1", draining=True),
            slot("i-1", name="slot1_1@i-1", claimed=True, draining=True),
            slot("i-2", draining=True),
        ]
        actions = plan(self.ending(Ending.DRAIN, slots=seen)).actions
        assert [each.instances for each in of(actions, Terminate)] == [("i-2",)]
        assert of(actions, CancelFleets) == []
        assert of(actions, CloseLaunch) == [] or of(actions, LaunchFleet) == []

    def test_a_machine_that_has_not_heard_yet_is_left_alone(self):
        actions = plan(self.ending(Ending.DRAIN, slots=[slot("i-1"), slot("i-2")])).actions
        assert of(actions, Terminate) == []

    def test_one_whose_image_never_says_that_it_drains_goes_in_the_end(self):
        late = self.ending(Ending.DRAIN, slots=[slot("i-1"), slot("i-2")])
        life = replace(late.annexes[ALICE], ending_since=NOW - timedelta(minutes=6))
        actions = plan(replace(late, annexes={ALICE: life})).actions
        assert [each.instances for each in of(actions, Terminate)] == [("i-1", "i-2")]

    def test_nothing_ends_while_the_collector_is_silent(self):
        actions = plan(self.ending(Ending.DRAIN, slots=None, slots_since=None)).actions
        assert of(actions, Terminate) == []

    def test_names_are_matched_whole(self):
        others = [AnnexKey("alice", name) for name in ("b", "bl", "blue2", "blue-2")]
        annexes = {ALICE: annex(ending=Ending.NOW, ending_since=NOW)} | {key: annex(key) for key in others}
        machines = [instance(f"i-{key.name}", tags=carried(key)) for key in (ALICE, *others)]
        asked = [fleet(f"f-{key.name}", tags=carried(key)) for key in (ALICE, *others)]
        actions = plan(living([], at=RegionView(machines, asked), annexes=annexes)).actions
        assert [each.instances for each in of(actions, Terminate)] == [("i-blue",)]
        assert [each.fleets for each in of(actions, CancelFleets)] == [("sfr-f-blue",)]


class TestFreezing:
    @pytest.mark.parametrize(
        "frozen",
        [Frozen(Scope.ALL, by="root"), Frozen(Scope.PROJECT, name="physics"), Frozen(Scope.ANNEX, "alice", "blue")],
    )
    def test_what_is_frozen_launches_nothing_and_says_so(self, frozen):
        decided = plan(ordered(order(2), groups=[group(9)], freezes=[frozen]))
        assert of(decided.actions, LaunchFleet) == []
        assert "frozen" in decided.outlooks[ALICE].sentence

    def test_a_frozen_annex_has_its_open_requests_cancelled_and_its_machines_left(self):
        asked = launch("t1", 2, order="o1", intended=NOW - timedelta(minutes=1))
        view = RegionView([instance("i-1")], [fleet("t1", target=2)])
        actions = plan(
            ordered(order(2), at=view, launches=[asked], freezes=[Frozen(Scope.ALL)], slots=[slot("i-1")])
        ).actions
        assert [each.launch for each in of(actions, CloseLaunch)] == [asked]
        assert of(actions, Terminate) == []

    def test_a_frozen_project_leaves_others_alone(self):
        assert fleets(ordered(order(2), freezes=[Frozen(Scope.PROJECT, name="chemistry")]))

    def test_jobs_begin_no_new_annex_where_one_was_ended_by_hand(self):
        ended = Frozen(Scope.ANNEX, "alice", "blue", by="alice", after_end=True)
        decided = plan(living([group(3)], at=EMPTY, annexes={}, freezes=[ended]))
        assert of(decided.actions, LaunchFleet) == []
        assert "condor_annex thaw blue" in decided.outlooks[ALICE].sentence

    def test_the_freeze_of_an_end_goes_with_the_last_job(self):
        ended = Frozen(Scope.ANNEX, "alice", "blue", by="alice", after_end=True)
        asked = Frozen(Scope.ANNEX, "alice", "red", by="alice")
        decided = plan(living([], at=EMPTY, annexes={}, freezes=[ended, asked]))
        assert of(decided.actions, DropFreeze) == [DropFreeze(ended)]

    def test_it_stays_while_the_queue_is_not_known(self):
        ended = Frozen(Scope.ANNEX, "alice", "blue", by="alice", after_end=True)
        decided = plan(living(None, at=EMPTY, annexes={}, freezes=[ended]))
        assert decided.actions == ()


# Whatever is ordered, and whatever the caps.

orders = st.lists(
    st.one_of(
        st.builds(lambda n, count: order(count, f"o{n}"), st.integers(0, 9), st.integers(1, 30)),
        st.builds(lambda n, count: slots_order(count, id_=f"o{n}"), st.integers(0, 9), st.integers(1, 200)),
    ),
    max_size=3,
    unique_by=lambda each: each.id,
)
worlds = st.builds(
    lambda some, route, jobs: ordered(*some, groups=[group(jobs)] if jobs else (), routes={"spot": route}),
    orders,
    capped_routes,
    st.integers(0, 50),
)


@settings(max_examples=200, deadline=None)
@given(worlds)
def test_no_cap_is_ever_passed_by_an_order(world):
    asked = fleets(world)
    route = world.routes["spot"]
    assert sum(each.target for each in asked) <= route.max_instances
    vcpus = sum(max(TYPES[name].vcpus for name in each.types) * each.target for each in asked)
    hourly = sum(max(instance_hour(TYPES[name], route) for name in each.types) * each.target for each in asked)
    assert route.max_vcpus is None or vcpus <= route.max_vcpus
    assert route.max_hourly_cost is None or hourly <= route.max_hourly_cost
    assert route.budget is None or hourly * 7 <= route.budget


@settings(max_examples=200, deadline=None)
@given(worlds)
def test_orders_reach_a_fixed_point(world):
    """Carried out step by step, the plans come to an end, and no order ever gets more than it asked for."""
    for _ in range(12):
        asked = fleets(world)
        if not asked:
            break
        made = [
            launch(
                f"n{len(world.launches) + n}",
                each.target,
                types=each.types,
                hourly_ceiling=each.hourly_ceiling,
                intended=world.at,
                order=each.order,
            )
            for n, each in enumerate(asked)
        ]
        world = replace(world, launches=(*world.launches, *made))
    assert fleets(world) == []
    for each in world.orders:
        got = [made for made in world.launches if made.order == each.id]
        if each.instances is not None:
            assert sum(made.target for made in got) <= each.instances
        else:
            sizes = [max(TYPES[name].vcpus for name in made.types) * made.target for made in got]
            assert sum(sizes) < each.slots + 16
