"""What create, extend, end, freeze and thaw come to, over a journal and the last snapshot."""

import json
import threading
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.journal import Journal
from annex_core.adapters.order_book import OrderBook
from annex_core.daemon.commanding import Commands
from annex_core.daemon.hands import Hands
from annex_core.daemon.inquiry import NO_ANSWER_YET
from annex_core.daemon.provisioner import Standing
from annex_core.daemon.regions import Region, Regions
from annex_core.daemon.remains import Remains
from annex_core.errors import AnnexError, BadRequest, Refused, Unavailable
from annex_core.model.annex import Ending, LaunchState
from annex_core.model.audit import Who
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.order import Order, filled
from annex_core.model.plan import LaunchFleet
from annex_core.model.snapshot import RegionView
from annex_core.model.tags import stamp
from annex_core.planner.commands import begun, quote
from annex_core.planner.plan import plan
from tests.unit.fakes import AtOnce, FakeCloud, FakeProber, FakeSigns, FakeStore, Hangs, key_desk
from tests.unit.fleet_files import with_specification, with_specifications
from tests.unit.test_answering import ADMIN_SPEAKS, ALICE_SPEAKS, BOB_SPEAKS, NOBODY_SPEAKS, Named
from tests.unit.world import ACCESS_POINT, ALICE, NOW, ROUTE, annex, carried, fleet, instance, launch, snapshot

HOUR = timedelta(hours=1)
WHO_ALICE, WHO_ADMIN = (Who(each.name, each.uid) for each in (ALICE_SPEAKS, ADMIN_SPEAKS))


class Desk:
    """The commands of a daemon that has seen *seen*."""

    def __init__(self, folder, seen=None):
        self.journal = Journal(folder / "journal.db")
        self.book = OrderBook(self.journal)
        self.seen = seen or snapshot()
        self.now = NOW
        self.woken = 0
        self.cloud, self.hand = FakeCloud(), AtOnce()
        self.regions = Regions(
            lambda place: Region(place, self.cloud, lambda bucket: FakeStore(), FakeSigns(), FakeProber())
        )
        self.regions.follow([ROUTE], [])
        self.commands = Commands(
            standing=lambda: Standing(self.seen, plan(self.seen)),
            journal=self.journal,
            orders=self.book,
            remains=Remains(
                regions=self.regions,
                hands=Hands(lambda region, errand: self.hand),
                pool="pool",
                access_point=ACCESS_POINT,
                clock=lambda: self.now,
            ),
            keys=key_desk(),
            administrators={"admin"},
            default_route="",
            wake=self._wake,
            clock=lambda: self.now,
            types=Catalogue().types,
            spent=lambda now: self.seen.spent,
        )

    def _wake(self):
        self.woken += 1

    def ask(self, verb, peer=ALICE_SPEAKS, /, **document):
        return self.commands(verb, json.dumps(document).encode(), peer)

    def annex(self, key=ALICE):
        return {each.key: each for each in self.journal.annexes()}.get(key)

    def orders(self):
        return self.book.orders(self.journal.annexes())


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    made.journal.close()


@pytest.fixture
def desk_with_blue(desk):
    desk.journal.begin(annex())
    desk.seen = snapshot(annexes={ALICE: annex()})
    return desk


def test_where_the_journal_cannot_be_read_the_last_look_answers_and_the_log_says_so(desk_with_blue, caplog):
    last = desk_with_blue.seen
    desk_with_blue.journal.close()
    assert desk_with_blue.commands.standing().snapshot == last
    assert "answered as things stood at the last look: the journal" in caplog.text


# create


def test_a_create_begins_an_annex_and_keeps_the_order_for_the_next_cycle(desk):
    answer = desk.ask("create", name="blue", instances=3, lifetime_s=7200, project="photons")
    (order,) = desk.orders()
    assert (order.instances, order.by, order.by_uid, order.id) == (3, "alice", ALICE_SPEAKS.uid, answer["order"])
    life = desk.annex()
    assert (life.lifetime, life.lease_by) == (2 * HOUR, WHO_ALICE)
    assert (life.project, life.route, life.lease_ends) == ("photons", "spot", NOW + 2 * HOUR)
    assert desk.woken


def test_the_answer_says_what_where_how_many_how_long_and_at_what_price_at_most(desk):
    answer = desk.ask("create", name="blue", instances=2, lifetime_s=7200, instance_types=["c5.large"])
    assert answer["what"] == ["c5.large"]
    assert (answer["how_many"], answer["region"], answer["market"]) == (2, "us-east-2", "spot")
    assert answer["lease_ends"] == stamp(NOW + 2 * HOUR)
    hour = Decimal(answer["usd_per_hour_at_most"])
    assert Decimal("0.17") < hour < Decimal("0.20")
    assert abs(Decimal(answer["usd_at_most"]) - 2 * hour) <= Decimal("0.02")


def test_a_dry_run_orders_nothing(desk):
    answer = desk.ask("create", name="blue", dry_run=True)
    assert (answer["how_many"], answer["order"]) == (1, None)
    assert not desk.journal.annexes()
    assert not desk.woken


def test_slots_are_vcpus_in_the_cheapest_machines_that_hold_them(desk):
    answer = desk.ask("create", name="blue", slots=16)
    assert answer["how_many"] * {"c5.large": 2, "c5.xlarge": 4, "c5.4xlarge": 16}[answer["what"][0]] >= 16


def test_more_than_the_route_allows_is_refused_and_nothing_is_kept(desk):
    with pytest.raises(Refused, match=r"no more than 10 machines .* the cap of 10 machines is reached"):
        desk.ask("create", name="blue", instances=11)
    assert not desk.journal.annexes()


def test_a_second_create_adds_machines_and_leaves_what_runs_as_it_is(desk):
    desk.ask("create", name="blue", instances=3)
    began = desk.annex()
    desk.ask("create", name="blue", instances=4)
    assert [each.instances for each in desk.orders()] == [3, 4]
    assert desk.annex() == began


def test_two_creates_together_can_not_pass_the_cap(desk):
    desk.ask("create", name="blue", instances=6)
    with pytest.raises(Refused, match="cap of 10 machines"):
        desk.ask("create", name="blue", instances=6)
    assert [each.instances for each in desk.orders()] == [6]


def test_another_image_for_an_annex_that_lives_is_refused(desk):
    desk.ask("create", ADMIN_SPEAKS, name="blue", owner="alice", image="ami-1")
    with pytest.raises(Refused, match="was made with another image"):
        desk.ask("create", ADMIN_SPEAKS, name="blue", owner="alice", image="ami-2")


def test_another_idle_time_for_an_annex_that_lives_is_said_to_be_in_vain(desk):
    desk.ask("create", name="blue", idle_s=300)
    assert "keeps the idle_s" in desk.ask("create", name="blue", idle_s=600)["warnings"][0]


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"image": "ami-1"}, "only an administrator may say image"),
        ({"subnets": ["subnet-1"]}, "only an administrator may say subnets"),
        ({"owner": "bob"}, "only an administrator may do that to annex blue of bob"),
        ({"owner": "+anybody"}, "only an administrator may do that to annex blue for anybody's jobs"),
        ({"instance_types": ["p5.48xlarge"]}, "doesn't allow p5.48xlarge"),
        ({"any_owner": True}, "only an administrator may do that to annex blue for anybody's jobs"),
        ({"route": "other"}, "there is no route other; there is spot"),
        ({"region": "eu-west-1"}, "no annex route in eu-west-1"),
        ({"lifetime_s": 60}, "in less than 5 minutes"),
        ({"lifetime_s": 30 * 86400}, "AnnexMaxLifetime"),
    ],
)  # fmt: skip
def test_what_a_user_can_not_have_is_refused_with_the_reason(desk, document, words):
    with pytest.raises(Refused, match=words):
        desk.ask("create", name="blue", **document)
    assert not desk.journal.annexes()


OF_SETUP = {"key_name": "k", "security_groups": ["sg-1"], "instance_profile": "arn:x"}
"""What the knobs say that the withdrawn tool's set-up wrote."""


def test_what_only_knobs_say_and_the_user_may_not_is_left_out_and_said(desk):
    answer = desk.ask("create", name="blue", instances=2, by_default=sorted(OF_SETUP), **OF_SETUP)
    assert (answer["how_many"], desk.annex().overrides) == (2, {})
    assert answer["warnings"] == [
        "of your configuration instance_profile, key_name, security_groups left out: route spot decides that"
    ]


def test_what_knobs_say_holds_for_an_administrator(desk):
    answer = desk.ask("create", ADMIN_SPEAKS, name="blue", owner="bob", by_default=sorted(OF_SETUP), **OF_SETUP)
    assert (desk.annex(AnnexKey("bob", "blue")).overrides, answer["warnings"]) == (OF_SETUP, [])


def test_what_the_command_line_says_beside_knobs_is_refused_as_ever(desk):
    with pytest.raises(Refused, match="only an administrator may say key_name; route spot"):
        desk.ask("create", name="blue", by_default=["instance_profile", "security_groups"], **OF_SETUP)
    assert not desk.journal.annexes()


def test_a_fleet_configuration_that_only_a_knob_names_is_left_out_and_said(desk):
    answer = by_file(desk, ALICE_SPEAKS, slots=16, by_default=["fleet_config"])
    assert answer["how_many"] >= 1
    assert "fleet_config left out" in answer["warnings"][0]
    assert len(answer["warnings"]) == 1


@pytest.mark.parametrize(
    ("types", "kept"), [(["m4.large"], {}), (["m4.large", "c5.large"], {"instance_types": ["c5.large"]})]
)
def test_types_that_only_a_knob_names_and_the_route_does_not_allow_are_left_out_and_said(desk, types, kept):
    answer = desk.ask("create", name="blue", instance_types=types, by_default=["instance_types"])
    assert answer["warnings"] == ["of your configuration m4.large left out: route spot doesn't allow it"]
    (order,) = desk.orders()
    assert order.overrides == kept


def test_types_of_a_knob_that_the_route_allows_are_asked_for(desk):
    answer = desk.ask("create", name="blue", instance_types=["c5.large"], by_default=["instance_types"])
    assert (answer["what"], answer["warnings"]) == (["c5.large"], [])


def test_a_route_that_is_not_open_to_the_user_is_refused(desk):
    desk.seen = snapshot(routes={"spot": replace(ROUTE, owners=("bob",))})
    with pytest.raises(Refused, match="not open to alice"):
        desk.ask("create", name="blue")


def test_an_administrator_creates_for_others_with_an_image_of_their_own(desk):
    desk.ask("create", ADMIN_SPEAKS, name="blue", owner="bob", image="ami-0abc")
    assert desk.annex(AnnexKey("bob", "blue")).overrides == {"image": "ami-0abc"}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"name": "a_b"}', b'{"name": "blue", "instances": -1}', b'{"name": "blue", "count": 3}', b"\xff"],
)
def test_what_makes_no_sense_is_refused_in_a_sentence(desk, body):
    with pytest.raises(BadRequest):
        desk.commands("create", body, ALICE_SPEAKS)


def test_somebody_without_a_name_is_refused(desk):
    with pytest.raises(Refused, match="has no user name"):
        desk.ask("create", NOBODY_SPEAKS, name="blue")


@given(
    cap=st.integers(0, 12),
    orders=st.lists(st.tuples(st.booleans(), st.integers(1, 20)), min_size=1, max_size=4),
    budget=st.one_of(st.none(), st.decimals("0.01", "9", places=2)),
)
@settings(max_examples=300, deadline=None)
def test_no_order_passes_a_cap_or_a_budget_and_what_is_quoted_is_what_is_planned(cap, orders, budget):
    route = replace(ROUTE, max_instances=cap, budget=budget)
    seen = snapshot(routes={"spot": route})
    life = begun(ALICE, {}, route, seen, NOW, project="p")
    kept = []
    for number, (machines, count) in enumerate(orders):
        sizes = {"instances": count} if machines else {"slots": count}
        order = Order(id=str(number), annex=life.id, placed=NOW, by="alice", **sizes)
        living = replace(seen, annexes={ALICE: life} if kept else {}, orders=tuple(kept))
        if quote(life, order, living).reason is None:
            kept.append(order)
    asked = [
        action
        for action in plan(replace(seen, annexes={ALICE: life} if kept else {}, orders=tuple(kept))).actions
        if isinstance(action, LaunchFleet)
    ]
    assert sum(each.target for each in asked) <= cap
    assert len({each.order for each in asked}) == len(kept)
    if budget is not None:
        hours = Decimal((life.lease_ends - NOW).total_seconds()) / 3600
        assert sum((each.hourly_ceiling * each.target * hours for each in asked), Decimal(0)) <= budget


# a fleet configuration


def by_file(desk, peer=ADMIN_SPEAKS, /, *, config=None, **document):
    return desk.ask("create", peer, name="blue", fleet_config=config or with_specifications(), **document)


def test_a_fleet_configuration_says_types_and_at_most_how_many_machines(desk):
    answer = by_file(desk, dry_run=True)
    assert (answer["what"], answer["how_many"]) == (["c5.large", "c5.xlarge"], 4)
    assert Decimal(answer["usd_per_hour_at_most"]) > 4 * Decimal("0.48")  # the dearest of them, four times


def test_what_a_fleet_configuration_says_in_vain_is_told_before_anything_is_rented(desk):
    warnings = " ".join(by_file(desk, dry_run=True)["warnings"])
    for name in ("Type", "ValidFrom", "ValidUntil", "TerminateInstancesWithExpiration", "ReplaceUnhealthyInstances"):
        assert f"{name}: " in warnings


def test_a_fleet_configuration_with_the_role_of_another_account_is_refused(desk):
    role = "arn:aws:iam::999999999999:role/fleet"
    with pytest.raises(BadRequest, match=f"{role} is account 999999999999's"):
        by_file(desk, config=with_specifications(IamFleetRole=role))
    assert not desk.journal.annexes()


@pytest.mark.parametrize("behaviour", ["hibernate", "stop"])
def test_a_fleet_configuration_whose_machines_would_stay_is_refused(desk, behaviour):
    with pytest.raises(BadRequest, match=f"InstanceInterruptionBehavior: {behaviour}"):
        by_file(desk, config=with_specifications(InstanceInterruptionBehavior=behaviour))


def test_a_fleet_configuration_of_types_that_no_route_names_is_priced_by_the_catalogue(desk):
    answer = by_file(desk, config=with_specification(InstanceType="m5.large", SpotPrice="0.04"), dry_run=True)
    assert answer["what"] == ["m5.large"]
    assert answer["refused"] is None


def test_an_instance_type_that_aws_does_not_have_is_refused_by_name(desk):
    with pytest.raises(BadRequest, match=r"AWS has no instance type c9z\.huge"):
        by_file(desk, config=with_specification(InstanceType="c9z.huge"))


def with_types_in_route(desk, *names):
    """The region was asked for them; m5zn.large is none that it has."""
    desk.seen = snapshot(routes={"spot": replace(ROUTE, instance_types=names)})


def test_a_type_that_the_region_does_not_have_is_refused_by_name(desk):
    with_types_in_route(desk, "c5.large", "m5zn.large")
    with pytest.raises(Refused, match=r"us-east-2 has no m5zn\.large"):
        desk.ask("create", name="blue", instance_types=["m5zn.large"])
    assert not desk.journal.annexes()


def test_of_several_types_the_one_that_the_region_does_not_have_is_not_promised(desk):
    with_types_in_route(desk, "c5.large", "m5zn.large")
    answer = desk.ask("create", name="blue", instance_types=["c5.large", "m5zn.large"])
    assert answer["what"] == ["c5.large"]
    assert "us-east-2 has no m5zn.large" in answer["warnings"]
    assert answer["usd_at_most"] is not None


def test_a_fleet_configuration_is_for_administrators(desk):
    with pytest.raises(Refused, match="only an administrator may say fleet_config"):
        by_file(desk, ALICE_SPEAKS)


def test_a_fleet_configurations_volumes_are_in_its_price(desk):
    small, large = (
        Decimal(by_file(desk, config=with_specification(BlockDeviceMappings=volumes(gib)), dry_run=True)["usd_at_most"])
        for gib in (10, 1000)
    )
    assert large > small


def volumes(gib):
    return [{"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": gib, "DeleteOnTermination": True}}]


def test_capacity_that_came_in_few_large_machines_is_not_bought_again(desk):
    by_file(desk)
    (order,), (life,) = desk.orders(), desk.journal.annexes()
    done = launch(annex=life.id, order=order.id, target=4, closed=NOW)
    assert [count for _, count in filled(order, [done], [], life)] == [4]


# extend


def test_extending_keeps_another_lease_for_the_tags_to_follow(desk_with_blue):
    said = desk_with_blue.ask("extend", name="blue", lifetime_s=10 * 3600)
    assert desk_with_blue.annex().lease_ends == NOW + 10 * HOUR
    assert said["done"] == ["the lease of annex blue ends at 2026-11-21T22:00:00Z"]


def test_a_lease_is_renewed_again_and_again(desk_with_blue):
    for hours in (8, 9, 10, 3, 11):
        desk_with_blue.ask("extend", name="blue", lifetime_s=hours * 3600)
        assert desk_with_blue.annex().lease_ends == NOW + hours * HOUR


def test_past_the_outer_bound_new_machines_carry_it_on(desk_with_blue):
    said = desk_with_blue.ask("extend", name="blue", lifetime_s=24 * 3600)
    assert desk_with_blue.annex().ends_at_latest == NOW + 24 * HOUR
    assert "machines that it has now end at 2026-11-22T11:00:00Z" in said["done"][0]


@pytest.mark.parametrize(
    ("left", "until_s", "words"),
    [
        (timedelta(minutes=4), 7200, "it is too late"),
        (2 * HOUR, 60, "in less than 5 minutes"),
        (2 * HOUR, 25 * 3600, "AnnexMaxLifetime"),
    ],
)
def test_a_lease_that_can_not_be_is_refused(desk, left, until_s, words):
    life = annex(lease_ends=NOW + left)
    desk.journal.begin(life)
    desk.seen = snapshot(annexes={ALICE: life})
    with pytest.raises(Refused, match=words):
        desk.ask("extend", name="blue", lifetime_s=until_s)
    assert desk.annex().lease_ends == life.lease_ends


def test_nobody_extends_anothers_annex(desk_with_blue):
    with pytest.raises(Refused, match="only an administrator"):
        desk_with_blue.ask("extend", BOB_SPEAKS, name="blue", owner="alice", lifetime_s=7200)
    with pytest.raises(Refused, match="bob has no annex blue"):
        desk_with_blue.ask("extend", BOB_SPEAKS, name="blue", lifetime_s=7200)


def test_a_lease_is_whose_who_set_it_last_with_the_time_that_was_asked_for(desk_with_blue):
    desk = desk_with_blue
    desk.ask("extend", name="blue", lifetime_s=10 * 3600)
    assert (desk.annex().lifetime, desk.annex().lease_by) == (10 * HOUR, WHO_ALICE)
    desk.ask("extend", ADMIN_SPEAKS, name="blue", owner="alice", lease_ends=stamp(NOW + 12 * HOUR))
    assert (desk.annex().lifetime, desk.annex().lease_by) == (None, WHO_ADMIN)
    desk.ask("create", name="blue")
    assert desk.annex().lease_by == WHO_ADMIN
    desk.ask("create", name="blue", lifetime_s=14 * 3600)
    assert (desk.annex().lifetime, desk.annex().lease_by) == (14 * HOUR, WHO_ALICE)


def test_a_create_that_says_nothing_of_the_lease_leaves_it_to_the_route(desk):
    desk.ask("create", name="blue")
    assert (desk.annex().lifetime, desk.annex().lease_by) == (None, None)


# end, freeze, thaw


def test_names_are_matched_whole(desk):
    for name in ("a", "ab", "a-b"):
        desk.journal.begin(annex(AnnexKey("alice", name)))
    desk.ask("end", name="a", now=True)
    ending = {each.key.name: each.ending for each in desk.journal.annexes()}
    assert ending == {"a": Ending.NOW, "ab": None, "a-b": None}


def test_an_end_lets_running_jobs_end_and_begins_nothing_anew(desk_with_blue):
    said = desk_with_blue.ask("end", name="blue")
    assert desk_with_blue.annex().ending is Ending.DRAIN
    assert desk_with_blue.annex().ended_by == WHO_ALICE
    assert said["done"] == ["annex blue of alice gets no new job and ends when its running jobs have"]
    with pytest.raises(Refused, match="is being ended"):
        desk_with_blue.ask("extend", name="blue", lifetime_s=7200)
    with pytest.raises(Refused, match="is being ended"):
        desk_with_blue.ask("create", name="blue")


def test_only_an_administrator_ends_all(desk_with_blue):
    with pytest.raises(Refused, match="only an administrator"):
        desk_with_blue.ask("end", all=True, now=True)
    assert desk_with_blue.ask("end", ADMIN_SPEAKS, all=True, now=True)["done"] == [
        "annex blue of alice is ended at once"
    ]


def test_a_frozen_annex_gets_nothing_until_it_is_thawed(desk):
    desk.ask("freeze", name="blue")
    with pytest.raises(Refused, match="annex blue of alice was frozen by alice"):
        desk.ask("create", name="blue")
    desk.ask("thaw", name="blue")
    assert desk.ask("create", name="blue")["how_many"] == 1


def test_a_frozen_project_stops_its_annexes_and_no_others(desk):
    desk.ask("freeze", ADMIN_SPEAKS, project="physics")
    with pytest.raises(Refused, match="project physics was frozen by admin"):
        desk.ask("create", name="blue", project="physics")
    assert desk.ask("create", name="blue", project="biology")["how_many"] == 1


@pytest.mark.parametrize("document", [{"all": True}, {"project": "physics"}, {"name": "blue", "owner": "alice"}])
@pytest.mark.parametrize("verb", ["freeze", "thaw"])
def test_a_user_freezes_and_thaws_annexes_of_their_own_alone(desk, verb, document):
    with pytest.raises(Refused, match="only an administrator"):
        desk.ask(verb, BOB_SPEAKS, **document)


def test_what_is_not_frozen_can_not_be_thawed(desk):
    with pytest.raises(Refused, match="is not frozen"):
        desk.ask("thaw", name="blue")


def test_before_the_first_cycle_nothing_is_promised(tmp_path, desk):
    desk.commands._standing = lambda: None
    for verb in ("create", "remains"):
        with pytest.raises(AnnexError, match="only just started"):
            desk.ask(verb, name="blue")


def test_a_region_that_has_not_answered_yet_is_to_be_asked_for_again(desk):
    desk.seen = snapshot(regions={})
    desk.commands._standing = lambda: Standing(desk.seen, plan(desk.seen), silent={"us-east-2": NO_ANSWER_YET})
    with pytest.raises(Refused, match="AWS has not answered in us-east-2 yet; ask again in a minute"):
        desk.ask("create", name="blue")


def test_the_id_of_a_created_annex_is_that_which_jobs_would_give_it(desk):
    assert desk.ask("create", name="blue")["id"] == annex_id(ALICE, access_point=ACCESS_POINT)


def test_the_region_of_a_view_is_needed_to_order_there(desk):
    desk.seen = snapshot(regions={})
    with pytest.raises(Refused, match="AWS does not answer"):
        desk.ask("create", name="blue")
    desk.seen = snapshot(regions={"us-east-2": RegionView()})
    assert desk.ask("create", name="blue")["how_many"] == 1


def test_a_create_while_aws_has_not_answered_the_last_one_waits_for_its_turn(desk_with_blue):
    asked = launch("t1", 4, state=LaunchState.INTENDED, fleet=None, intended=NOW)
    desk_with_blue.journal.intend(asked, "{}")
    assert desk_with_blue.ask("create", name="blue", instances=6)["how_many"] == 6
    with pytest.raises(Refused, match="cap of 10 machines"):
        desk_with_blue.ask("create", name="blue")


def test_a_create_while_its_route_is_first_looked_at_is_ordered_and_one_that_can_not_launch_refuses_it(desk):
    desk.seen = replace(desk.seen, unready={ROUTE.name: "no address is free"}, unseen_routes=frozenset({ROUTE.name}))
    desk.ask("create", name="blue")
    desk.seen = replace(desk.seen, unseen_routes=frozenset())
    with pytest.raises(Refused, match="no address is free"):
        desk.ask("create", name="red")


def test_of_creates_at_once_for_one_name_each_is_quoted_beside_the_others(desk):
    """One annex, an order for each that the cap has room for, and a refusal for each of the rest."""
    outcomes = []

    def ask():
        try:
            desk.ask("create", name="blue", instances=3)
            outcomes.append("ordered")
        except Refused as error:
            outcomes.append("cap of 10 machines" in str(error) or str(error))

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert sorted(outcomes, key=str) == [True] * 5 + ["ordered"] * 3
    assert [each.instances for each in desk.orders()] == [3, 3, 3]
    assert len(desk.journal.annexes()) == 1


def test_an_empty_list_is_no_way_around_what_the_route_decides(desk):
    desk.seen = snapshot(routes={"spot": replace(ROUTE, security_groups=("sg-1",))})
    with pytest.raises(Refused, match="only an administrator may say security_groups"):
        desk.ask("create", name="blue", security_groups=[])


def test_root_says_whose_annex_it_is(desk):
    root = Named(0, 0, 1)
    with pytest.raises(Refused, match="say whose it is"):
        desk.ask("create", root, name="blue")
    assert desk.ask("create", root, name="blue", owner="alice")["owner"] == "alice"


# What remains


def test_what_aws_shows_of_an_annex_is_told_and_nobody_elses(desk_with_blue):
    other = carried(AnnexKey("alice", "blue-2"))
    desk_with_blue.cloud.listed_instances = [instance("i-1"), instance("i-2", tags=other)]
    desk_with_blue.cloud.listed_fleets = [fleet("t1")]
    told = desk_with_blue.ask("remains", name="blue")
    assert told == {
        "as_of": stamp(NOW),
        "living": True,
        "left": ["i-1 (running) in us-east-2", "sfr-t1 (active) in us-east-2"],
    }


def test_of_an_annex_that_is_gone_nothing_is_left(desk):
    assert desk.ask("remains", name="blue") == {"as_of": stamp(NOW), "living": False, "left": []}


def test_who_asks_while_aws_is_silent_is_not_kept_waiting(desk):
    desk.hand = Hangs()
    assert desk.ask("remains", name="blue")["as_of"] is None
    assert desk.ask("remains", name="blue")["as_of"] is None
    assert len(desk.hand.waiting) == 1
    desk.hand.go_on()
    assert desk.ask("remains", name="blue")["as_of"] == stamp(NOW)


def test_an_answer_that_nobody_fetched_is_not_told_later_as_news(desk):
    desk.hand = Hangs()
    desk.ask("remains", name="blue")
    desk.hand.go_on()
    desk.now += timedelta(minutes=2)
    assert desk.ask("remains", name="blue")["as_of"] is None


def test_a_region_that_does_not_answer_is_a_failure_and_not_an_empty_list(desk):
    desk.cloud.errors["remains"] = [Unavailable("AWS is away")]
    with pytest.raises(Unavailable):
        desk.ask("remains", name="blue")


def test_nobody_is_told_of_anothers_annex(desk_with_blue):
    with pytest.raises(Refused, match="only an administrator"):
        desk_with_blue.ask("remains", BOB_SPEAKS, name="blue", owner="alice")


# A clock that is wrong


TEN = timedelta(minutes=10)


def clock_behind(desk, life=None, by=TEN):
    """Ours is behind AWS's."""
    if life:
        desk.journal.begin(life)
    view = {"us-east-2": RegionView(ahead=by)}
    desk.seen = snapshot(annexes={life.key: life} if life else {}, regions=view)


def test_it_is_too_late_to_extend_when_it_is_by_aws_s_clock(desk):
    clock_behind(desk, annex(lease_ends=NOW + timedelta(minutes=14)))
    with pytest.raises(Refused, match="it is too late"):
        desk.ask("extend", name="blue", lifetime_s=7200)


def test_a_clock_that_runs_ahead_makes_nothing_too_late(desk):
    clock_behind(desk, annex(lease_ends=NOW + timedelta(minutes=1)), by=-TEN)
    desk.ask("extend", name="blue", lifetime_s=7200)
    assert desk.annex().lease_ends == NOW + 2 * HOUR - TEN


def test_a_lease_lasts_as_long_as_was_asked_for_by_aws_s_clock(desk):
    clock_behind(desk)
    desk.ask("create", name="blue", lifetime_s=3600)
    life = desk.annex()
    assert (life.lease_ends, life.ends_at_latest) == (NOW + TEN + HOUR, NOW + TEN + ROUTE.max_lifetime)


# Whose a freeze is


def test_who_creates_an_annex_that_was_ended_wants_it_again(desk_with_blue):
    desk_with_blue.ask("end", name="blue", now=True)
    desk_with_blue.journal.finish(annex(), NOW)
    desk_with_blue.seen = snapshot()
    desk_with_blue.ask("create", name="blue")
    assert desk_with_blue.book.freezes() == ()


def test_a_dry_run_leaves_it_ended(desk_with_blue):
    desk_with_blue.ask("end", name="blue", now=True)
    desk_with_blue.journal.finish(annex(), NOW)
    desk_with_blue.seen = snapshot()
    assert desk_with_blue.ask("create", name="blue", dry_run=True)["refused"] is None
    assert len(desk_with_blue.book.freezes()) == 1


def test_what_an_administrator_froze_its_owner_can_neither_thaw_nor_take_over(desk):
    desk.ask("freeze", ADMIN_SPEAKS, name="blue", owner="alice")
    for verb in ("thaw", "freeze"):
        with pytest.raises(Refused, match="was frozen by admin"):
            desk.ask(verb, name="blue")
    desk.ask("end", ADMIN_SPEAKS, all=True)
    desk.ask("thaw", ADMIN_SPEAKS, name="blue", owner="alice")
    assert desk.book.freezes() == ()


def test_an_administrator_takes_a_users_freeze_over(desk):
    desk.ask("freeze", name="blue")
    desk.ask("freeze", ADMIN_SPEAKS, name="blue", owner="alice")
    with pytest.raises(Refused, match="was frozen by admin"):
        desk.ask("thaw", name="blue")


def test_an_end_on_top_of_a_freeze_neither_softens_it_nor_makes_it_another_s(desk_with_blue):
    desk_with_blue.ask("freeze", ADMIN_SPEAKS, name="blue", owner="alice")
    desk_with_blue.ask("end", name="blue")
    (freeze,) = desk_with_blue.book.freezes()
    assert (freeze.by, freeze.after_end) == ("admin", False)
