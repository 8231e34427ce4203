"""What annexes ask for where AWS has just had none of some of it."""

from dataclasses import replace
from datetime import timedelta

from annex_core.model.order import Order
from annex_core.model.snapshot import RegionView
from annex_core.planner.shortages import FIRST
from tests.unit.world import (
    ALICE,
    BOB,
    NOW,
    REGION,
    ROUTE,
    annex,
    fleets,
    group,
    launch,
    living,
    sentence,
    setback,
    snapshot,
)

A, B = "us-east-2a", "us-east-2b"
MINUTE = timedelta(minutes=1)


def short(*types, **given):
    return [setback(name, **given) for name in types or ROUTE.instance_types]


def asked(of):
    return [(each.types, each.target) for each in fleets(of)]


def test_a_type_that_aws_has_none_of_is_not_in_the_next_request():
    [before] = fleets(snapshot([group(2)]))
    [after] = fleets(snapshot([group(2)], setbacks=short(*before.types[:1])))
    assert before.types[0] not in after.types
    assert after.target


def test_a_zone_that_has_none_of_a_type_is_left_out_of_the_request():
    route = replace(ROUTE, subnets=("subnet-1", "subnet-2"), instance_types=("c5.large",))
    seen = snapshot(
        [group(2)],
        routes={"spot": route},
        zones={REGION: {"subnet-1": A, "subnet-2": B}},
        setbacks=short("c5.large", zone=A),
    )
    [only] = fleets(seen)
    assert (only.types, only.left_out) == (("c5.large",), {("c5.large", A)})


def test_where_aws_has_none_of_anything_nothing_is_asked_for_and_the_jobs_are_told():
    seen = snapshot([group(40)], setbacks=short())
    assert asked(seen) == []
    assert (
        "AWS has no Spot c5.4xlarge, c5.large, c5.xlarge in us-east-2 now; it is asked for again at 12:01 UTC"
        in sentence(seen)
    )


def test_the_sentence_stays_the_same_from_cycle_to_cycle():
    first = snapshot([group(40)], setbacks=short())
    later = replace(first, at=NOW + timedelta(seconds=50))
    assert sentence(first) == sentence(later)


def test_then_one_machine_is_asked_for():
    seen = snapshot([group(40)], setbacks=short(ago=FIRST))
    assert sum(target for _, target in asked(seen)) <= len(ROUTE.instance_types)
    assert {target for _, target in asked(seen)} == {1}
    assert "one machine is asked for, to see whether there are any again" in sentence(seen)


def test_jobs_wait_for_what_suits_them_before_what_there_is_costs_far_more():
    def seen(jobs, minutes):
        return snapshot([group(jobs)], setbacks=short("c5.large", "c5.xlarge", since=NOW - minutes * MINUTE))

    assert asked(seen(1, 2)) == []
    assert "dearer ones, of over 3 times the cost, are asked for from 12:08 UTC on" in sentence(seen(1, 2))
    assert asked(seen(6, 2)) == [(("c5.4xlarge",), 1)], "it costs six jobs little more"
    assert asked(seen(1, 10)) == [(("c5.4xlarge",), 1)]


def test_what_a_trial_leaves_waits_for_its_answer_where_other_machines_cost_far_more():
    route = replace(ROUTE, instance_types=("c5.large", "c5.4xlarge"))
    tried = short("c5.large", ago=2 * FIRST)
    assert asked(snapshot([group(3)], routes={"spot": route}, setbacks=tried)) == [(("c5.large",), 1)]


def test_a_type_is_tried_with_one_machine_however_the_jobs_are_packed():
    tried = short("c5.large", ago=6 * FIRST) + short("c5.xlarge", "c5.4xlarge", ago=5 * FIRST)
    found = asked(snapshot([group(8)], setbacks=tried))
    assert len(found) > 1
    assert {target for _, target in found} == {1}


def test_of_two_annexes_one_tries():
    route = replace(ROUTE, instance_types=("c5.large",))
    seen = snapshot([group(40), group(40, key=BOB)], routes={"spot": route}, setbacks=short("c5.large", ago=FIRST))
    [only] = fleets(seen)
    assert (only.annex.key, only.target) == (ALICE, 1)
    assert "one machine is asked for" in sentence(seen, BOB)


def test_a_job_that_only_a_missing_type_could_run_is_told_so_and_not_that_it_fits_nowhere():
    seen = snapshot([group(cpus=16)], setbacks=short("c5.4xlarge"))
    assert asked(seen) == []
    assert "AWS has no Spot c5.4xlarge in us-east-2 now" in sentence(seen)
    assert "can run them" not in sentence(seen)


def test_a_job_that_fits_nowhere_is_told_so_whatever_is_short():
    assert "can run them" in sentence(snapshot([group(cpus=500)], setbacks=short("c5.4xlarge")))


def test_a_quota_that_is_used_up_stops_its_class_and_is_named():
    full = setback("", quota="Standard", why="the account's quota L-34B43A08 is used up")
    seen = snapshot([group(4)], setbacks=[full])
    assert asked(seen) == []
    assert "the account's quota L-34B43A08 is used up" in sentence(seen)


def ordered(**given):
    order = Order("o1", annex().id, NOW, "alice", instances=5, slots=None)
    return living(at=RegionView(), orders=[order], **given)


def test_an_order_is_tried_once_whatever_is_short():
    assert sum(target for _, target in asked(ordered(setbacks=short()))) == 5


def test_an_order_that_got_nothing_waits_like_jobs_do():
    tried = launch(order="o1", target=5, closed=NOW - 3 * MINUTE)
    assert asked(ordered(setbacks=short(), launches=[tried])) == []
    assert asked(ordered(setbacks=short(ago=FIRST), launches=[tried]))[0][1] == 1
