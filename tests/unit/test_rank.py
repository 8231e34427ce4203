"""Rank: of machines that cost the same, jobs get those that they would rather have, and no job pays for it."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.hardware import InstanceType
from annex_core.planner.plan import plan
from tests.unit.test_packing import KINDS, dollars, packed
from tests.unit.world import fleets, group, snapshot

MEMORY = 16_384


def like(name, price, vcpus=2):
    return InstanceType(name, vcpus, MEMORY * vcpus // 2, "x86_64", on_demand=Decimal(price))


TWINS = {each.name: each for each in (like("a.2", "0.100"), like("b.2", "0.101"), like("c.2", "0.103"))}
SIZES = {each.name: each for each in (like("a.2", "0.10"), like("a.8", "0.405", 8), like("a.16", "0.86", 16))}


def chosen(*groups, kinds=TWINS):
    return [load.types for load in packed(groups, kinds=kinds)[2]]


@pytest.mark.parametrize(
    ("rank", "first"),
    [
        (None, "a.2"),
        ('TARGET.EC2InstanceType == "b.2"', "b.2"),
        ('EC2InstanceType == "b.2"', "b.2"),
        ('TARGET.EC2InstanceType == "c.2"', "a.2"),
        ('10 * (TARGET.EC2InstanceType == "c.2") + (TARGET.EC2InstanceType == "b.2")', "b.2"),
        ("TARGET.KFlops", "a.2"),
        ("5", "a.2"),
        ('TARGET.EC2InstanceType == "b.2" ? error : -1', "b.2"),
        ('TARGET.EC2InstanceType == "b.2" ? undefined : 1', "a.2"),
        ('TARGET.EC2InstanceType == "b.2" ? real("NaN") : 1', "a.2"),
        ('TARGET.EC2InstanceType == "b.2" ? RequestCpus : 0', "b.2"),
    ],
)
def test_of_types_that_cost_the_same_rank_names_the_first_and_never_one_that_is_dearer(rank, first):
    (types,) = chosen(group(8, rank=rank))
    assert types[0] == first
    assert types[2] == "c.2"


@pytest.mark.parametrize(
    ("rank", "sizes"), [(None, {"a.2"}), ("TARGET.Cpus", {"a.8"}), ("-TARGET.Cpus", {"a.2"}), ("TARGET.Bogus", {"a.2"})]
)
def test_sizes_that_cost_each_job_the_same_are_as_rank_has_them(rank, sizes):
    assert {types[0] for types in chosen(group(32, rank=rank), kinds=SIZES)} == sizes


def test_one_machine_for_all_is_not_chosen_against_rank_where_it_saves_next_to_nothing():
    kinds = {each.name: each for each in (like("a.2", "0.10"), like("a.8", "0.399", 8))}
    assert {types[0] for types in chosen(group(8), kinds=kinds)} == {"a.8"}
    assert {types[0] for types in chosen(group(8, rank="-TARGET.Cpus"), kinds=kinds)} == {"a.2"}


def test_groups_that_differ_in_rank_alone_each_get_what_they_prefer():
    large, small = group(32, rank="TARGET.Cpus"), group(32, rank="-TARGET.Cpus")
    _, _, loads = packed([large, small], kinds=SIZES)
    assert {(load.types[0], at) for load in loads for at, _ in load.jobs} == {("a.8", 0), ("a.2", 1)}


def test_on_a_machine_that_groups_share_the_dearer_jobs_have_the_say():
    kinds = {name: like(name, price, 8) for name, price in (("a.8", "0.400"), ("b.8", "0.404"))}
    one, many = (group(idle, rank=f'TARGET.EC2InstanceType == "{name}.8"') for idle, name in ((1, "a"), (7, "b")))
    assert chosen(one, many, kinds=kinds) == [("b.8", "a.8")]


def test_rank_changes_no_plan_for_jobs_that_do_not_care_for_the_machine():
    def asked(rank):
        made = snapshot([group(40, rank=rank), group(9, cpus=3, rank=rank)])
        return [(each.types, each.target) for each in fleets(made)], plan(made).outlooks

    assert asked("0.0")[0] == asked(None)[0]
    assert asked("RequestMemory * 2")[0] == asked(None)[0]


def test_what_rank_says_is_asked_anew_when_machines_show_another_size():
    (types,) = chosen(group(8, rank="TARGET.Memory"), kinds={**TWINS, "b.2": replace(TWINS["b.2"], memory_mib=MEMORY)})
    assert types[0] == "a.2"
    (types,) = chosen(group(8, rank="TARGET.Memory"), kinds={**TWINS, "b.2": replace(TWINS["b.2"], memory_mib=20_000)})
    assert types[0] == "b.2"


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 200),
    st.integers(1, 12),
    st.integers(1, 50_000),
    st.sampled_from(["TARGET.Memory", "-TARGET.Memory", "TARGET.Cpus", "-TARGET.Cpus", "TARGET.Memory / TARGET.Cpus"]),
)
def test_rank_makes_a_group_s_machines_two_percent_dearer_at_most(idle, cpus, memory, rank):
    asked = {"cpus": cpus, "memory_mib": memory}
    for kinds in (KINDS, SIZES, TWINS):
        _, _, free = packed([group(idle, **asked)], kinds=kinds)
        _, _, ranked = packed([group(idle, **asked, rank=rank)], kinds=kinds)
        assert dollars(ranked, kinds) <= dollars(free, kinds) * Decimal("1.02")
