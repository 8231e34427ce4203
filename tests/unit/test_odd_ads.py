"""Job and slot ads as a user with condor_qedit, or a hostile execution point, can make them."""

import classad2
import pytest

from annex_core.adapters.job_rows import group, wishes
from annex_core.adapters.slots import _whole

ODD = ('real("INF")', '-real("INF")', 'real("NaN")', "1e400", "1/0", "RequestMemory", "{ 1 }", '"x"', "-5", "TARGET.x")


def ad(**expressions):
    found = classad2.ClassAd({"Owner": "alice", "TargetAnnexName": "blue", "AnnexProject": "physics", "JobCount": 1})
    for name, expression in expressions.items():
        found[name] = classad2.ExprTree(expression)
    return found


@pytest.mark.parametrize("expression", ODD)
def test_a_request_that_is_no_number_is_read_all_the_same(expression):
    requests = ("RequestCpus", "RequestMemory", "RequestDisk", "RequestGPUs")
    made = group(ad(**dict.fromkeys(requests, expression)))
    assert made is not None
    assert all(isinstance(each, int) for each in (made.cpus, made.memory_mib, made.disk_kib, made.gpus))


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 1e308, -1, "x", True])
def test_a_wish_that_is_no_number_never_loosens_a_cap(value):
    made = wishes(dict.fromkeys(("AnnexLifetime", "AnnexMaxInstances", "AnnexMaxHourlyCost", "AnnexBudget"), value))
    assert made.limits.max_instances is not None
    assert made.lifetime is not None
    assert made.limits.budget is not None
    assert made.limits.budget.is_finite()


@pytest.mark.parametrize("name", ["b.x", "x@y", "", "a" * 38, "blue\n", "../blue", "a_b"])
def test_a_name_that_no_annex_can_have_makes_no_group(name):
    """With a dot in it alice's annex `bob.x` would join as alice.bob's annex `x`."""
    assert group(ad(TargetAnnexName=classad2.quote(name))) is None


@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf")])
def test_a_slot_whose_resources_are_no_number_has_none(value):
    assert _whole(value) == 0
