"""Which types are found for a group: the cheapest that HTCondor itself would match, and no group is starved."""

from dataclasses import replace
from decimal import Decimal

import classad2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from annex_core.model.hardware import InstanceType
from annex_core.planner.matching import ENOUGH, Matcher
from annex_core.planner.misfits import lacking
from annex_core.planner.shelf import shelf
from annex_core.planner.virtual_slot import Home, virtual_slot
from tests.unit.world import DOMAIN, TYPES, group

GIB = 20
KINDS = [
    *(
        InstanceType(f"m{size}.{arch}", size, size * 4096, arch, on_demand=Decimal(size) / 20)
        for size in (1, 2, 4, 8, 16, 64)
        for arch in ("x86_64", "arm64")
    ),
    *(
        InstanceType(f"g{count}.{gpu}", 8 * count, 32768, "x86_64", count, Decimal(count), gpu, memory)
        for count in (1, 4)
        for gpu, memory in (("T4", 16384), ("A10G", 24576))
    ),
    InstanceType("new.one", 4, 16384, "x86_64"),
]
CONDITIONS = (
    "true",
    'TARGET.Arch == "X86_64"',
    'Arch == "aarch64" || Cpus > 8',
    "TARGET.Memory >= RequestMemory",
    "TARGET.HasFileTransfer",
    "TARGET.HasNoSuchThing",
    'TARGET.EC2InstanceType != "m4.x86_64"',
    "countMatches(MY.RequireGPUs, TARGET.AvailableGPUs) >= RequestGPUs",
    "TARGET.GPUs_Capability > 8",
    'TARGET.AnnexName =?= MY.TargetAnnexName && TARGET.AuthenticatedIdentity =!= "x"',
    "(MY.RequestCpus > 2 ? TARGET.Cpus : 9) >= 8",
)


def job(gpus=0, require=None, **given):
    made = group(gpus=gpus, **given)
    if gpus:
        made.ad["RequestGPUs"] = gpus
    if require:
        made.ad["RequireGPUs"] = classad2.ExprTree(require)
    return made


def shelved(kinds=KINDS):
    return shelf(kinds, lambda kind: kind.on_demand, volume_gib=GIB)


def found(matcher, *groups, kinds=KINDS):
    matcher.begin()
    on = shelved(kinds)
    return [
        [on.kinds[at].name for at in each.types] for each in matcher.find([(each, each.idle) for each in groups], on)
    ]


def slot(kind, of):
    return virtual_slot(kind, Home(of.key, of.project, of.route or ""), domain=DOMAIN, volume_gib=GIB)


@settings(max_examples=300, deadline=None)
@given(
    st.builds(
        job,
        idle=st.integers(1, 300),
        cpus=st.integers(1, 20),
        memory_mib=st.integers(0, 40_000),
        disk_kib=st.integers(0, 20 * 1024 * 1024),
        gpus=st.sampled_from([0, 0, 1, 2]),
        require=st.sampled_from([None, "GlobalMemoryMb >= 20000", "Capability >= 7.0", 'DeviceName == "T4"']),
        requirements=st.lists(st.sampled_from(CONDITIONS), min_size=1, max_size=3).map(
            lambda some: " && ".join(f"({each})" for each in some)
        ),
    )
)
def test_what_is_found_is_what_htcondor_matches(of):
    """Arrays, conditions taken apart and sizes compared as numbers leave out nothing that would match, and no less."""
    matching = {kind.name for kind in KINDS if kind.gpus >= of.gpus and of.ad.symmetricMatch(slot(kind, of))}
    names = found(Matcher(domain=DOMAIN), of)[0]
    assert set(names) <= matching
    assert len(names) == min(len(matching), ENOUGH)


def test_the_cheapest_machine_for_the_jobs_is_found_first_and_an_unknown_price_last():
    few, many = job(idle=1, cpus=1), job(idle=64, cpus=1)
    assert found(Matcher(domain=DOMAIN), few)[0][0].startswith("m1.")
    kinds = [replace(TYPES["c5.large"], on_demand=Decimal(1)), TYPES["c5.4xlarge"], TYPES["x9.new"]]
    assert found(Matcher(domain=DOMAIN), many, kinds=kinds) == [["c5.4xlarge", "c5.large", "x9.new"]]


def test_what_was_compared_is_not_compared_again_though_the_groups_are_read_anew():
    matcher = Matcher(domain=DOMAIN)
    first = found(matcher, job(), job(cpus=2))
    compared = matcher.compared
    assert found(matcher, job(), job(cpus=2)) == first
    assert matcher.compared == compared
    found(matcher, job(requirements="TARGET.Cpus > 2"))
    assert matcher.compared > compared


def test_what_hangs_on_the_moment_is_compared_anew():
    matcher = Matcher(domain=DOMAIN)
    found(matcher, job(requirements="TARGET.Cpus * time() > 2"))
    compared = matcher.compared
    found(matcher, job(requirements="TARGET.Cpus * time() > 2"))
    assert matcher.compared == 2 * compared


def test_jobs_that_match_nothing_starve_no_others_and_are_settled_in_later_plans():
    matcher = Matcher(domain=DOMAIN, effort=200)
    hopeless = [job(memory_mib=100 + n, requirements='TARGET.EC2InstanceType == "none"') for n in range(30)]
    names = found(matcher, *hopeless, job())
    assert len(names[-1]) == ENOUGH
    on, plans = shelved(), 1
    wanted = [(each, 1) for each in hopeless]
    while not all(each.settled for each in matcher.find(wanted, on)):
        matcher.begin()
        plans += 1
        assert plans < 10
    assert plans > 1
    assert matcher.compared <= plans * (200 + ENOUGH * len(wanted))


def test_no_annex_spends_the_effort_of_all():
    matcher = Matcher(domain=DOMAIN, effort=6000)
    matcher.begin(askers=3)
    hopeless = [job(memory_mib=n, requirements='TARGET.EC2InstanceType == "none"') for n in range(300)]
    matcher.find([(each, 1) for each in hopeless], shelved())
    assert matcher.compared <= 2000
    assert matcher.find([(job(), 1)], shelved())[0].settled


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (job(cpus=500), "500 CPUs, the largest type, m64.arm64, has 64"),
        (job(memory_mib=10**7), "of memory, the roomiest type, m64."),
        (job(disk_kib=10**9), "of disk, a machine has 16 GB"),
        (job(gpus=8), "8 GPUs, and no type of the route has that many"),
        (job(cpus=64, gpus=1), "on one machine; the closest type, g4."),
        (
            job(requirements="TARGET.HasFileTransfer && TARGET.HasThing"),
            "doesn't meet its Requirements: TARGET.HasThing",
        ),
        (
            job(
                gpus=1,
                require="GlobalMemoryMb >= 70000",
                requirements="countMatches(MY.RequireGPUs, TARGET.AvailableGPUs) >= RequestGPUs",
            ),
            "1 GPU with GlobalMemoryMb >= 70000, and no type has such; the closest, g1.",
        ),
    ],
)
def test_what_no_machine_runs_is_told_what_the_closest_lacks(of, words):
    assert found(Matcher(domain=DOMAIN), of) == [[]]
    assert words in lacking(of, shelved(), Matcher(domain=DOMAIN))


def test_a_request_over_something_undefined_is_quoted():
    of = job()
    of.ad["RequestMemory"] = classad2.ExprTree("2 * NoSuchThing")
    assert found(Matcher(domain=DOMAIN), of) == [[]]
    assert "its RequestMemory, 2 * NoSuchThing, comes to no number" in lacking(of, shelved(), Matcher(domain=DOMAIN))
