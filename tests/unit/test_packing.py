"""Which machines are chosen: groups share them, and no job is left out, counted twice or put where it can't run."""

from decimal import Decimal

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.hardware import InstanceType
from annex_core.planner.matching import Matcher
from annex_core.planner.shelf import shelf, wants
from annex_core.planner.sizing import pack
from tests.unit.strategies import ranks
from tests.unit.world import DOMAIN, group

GIB = 20
KINDS = {
    name: InstanceType(name, vcpus, memory, "x86_64", on_demand=Decimal(price))
    for name, vcpus, memory, price in (
        ("c.2", 2, 4096, "0.10"),
        ("c.8", 8, 16384, "0.36"),
        ("r.2", 2, 16384, "0.14"),
        ("r.8", 8, 65536, "0.50"),
        ("m.16", 16, 65536, "0.80"),
    )
}


def packed(groups, without=(), kinds=KINDS):
    matcher = Matcher(domain=DOMAIN)
    matcher.begin()
    on = shelf(kinds.values(), lambda kind: kind.on_demand, volume_gib=GIB)
    found = matcher.find([(each, each.idle) for each in groups], on)
    return found, on, list(pack(found, on, matcher, without=without))


def dollars(loads, kinds=KINDS):
    return sum(min(kinds[name].on_demand for name in load.types) * load.machines for load in loads)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.builds(
            group,
            idle=st.integers(1, 200),
            cpus=st.integers(1, 12),
            memory_mib=st.integers(1, 50_000),
            requirements=st.sampled_from(["true", "TARGET.Cpus > 4", 'TARGET.EC2InstanceType != "m.16"']),
            rank=ranks,
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_job_that_a_type_was_found_for_is_on_one_machine_that_holds_and_matches_it(groups):
    found, on, loads = packed(groups)
    served = [0] * len(groups)
    for load in loads:
        for name in load.types:
            kind = KINDS[name]
            total = sum(np.array(wants(groups[at])) * count for at, count in load.jobs)
            assert on.holds(total)[on.kinds.index(kind)]
            assert all(Matcher(domain=DOMAIN).fits(groups[at], kind, volume_gib=GIB) for at, _ in load.jobs)
        for at, count in load.jobs:
            served[at] += count * load.machines
    assert served == [each.idle if each_found.types else 0 for each, each_found in zip(groups, found, strict=True)]


def test_jobs_of_cpus_and_jobs_of_memory_share_machines_that_neither_fills():
    busy, roomy = group(idle=40, cpus=3, memory_mib=1000), group(idle=40, cpus=1, memory_mib=13_000)
    together = dollars(packed([busy, roomy])[2])
    assert together < dollars(packed([busy])[2]) + dollars(packed([roomy])[2])


def test_a_machine_that_is_not_filled_is_as_small_as_what_is_on_it():
    _, _, loads = packed([group(idle=4 * 16 + 1, cpus=1, memory_mib=100)])
    assert sum(KINDS[load.types[0]].vcpus * load.machines for load in loads) <= 4 * 16 + 2


def test_one_machine_for_all_is_chosen_where_two_cost_more():
    small = KINDS["c.2"], KINDS["c.8"]
    _, _, loads = packed([group(idle=7, cpus=1, memory_mib=100)])
    assert dollars(loads) == min(4 * small[0].on_demand, small[1].on_demand)


def test_jobs_without_gpus_use_what_jobs_with_gpus_leave_of_their_machines():
    with_gpus = {"g.8": InstanceType("g.8", 8, 32768, "x86_64", 1, Decimal("0.60"), "T4", 16384)}
    _, _, loads = packed([group(idle=10, gpus=1, cpus=1), group(idle=60, cpus=1)], kinds=KINDS | with_gpus)
    assert {load.types[0] for load in loads} == {"g.8"}
    assert sum(load.machines for load in loads) == 10


def test_a_type_that_one_group_would_choose_is_not_given_to_another_that_refuses_it():
    choosy = group(idle=40, cpus=1, memory_mib=13_000, requirements='TARGET.EC2InstanceType != "r.8"')
    _, _, loads = packed([group(idle=40, cpus=1, memory_mib=7500), choosy])
    assert any("r.8" in load.types for load in loads)
    assert not any("r.8" in load.types for load in loads if 1 in dict(load.jobs))


def test_what_cannot_be_had_is_made_up_for_by_the_next_best():
    jobs = [group(idle=80, cpus=2, memory_mib=3000)]
    first = packed(jobs)[2][0].types[0]
    loads = packed(jobs, without=(first,))[2]
    assert loads
    assert not any(first in load.types for load in loads)
