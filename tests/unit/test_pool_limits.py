"""ANNEX_LIMITS: what may stand there, and what is said of what may not."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters.pool_limits import pool_limits, read
from annex_core.errors import Refused
from annex_core.model.limits import Kind, Limit, PoolLimits, Subject

TABLE = """
    # the grant
    project "high energy" Budget=5000      # in all
    pool       MonthlyBudget=2000.50 MaxInstances=200
    owner *    MaxInstances=40 MaxHourlyCost=10
    owner alice maxinstances=100 monthlybudget=0
    annex bob/blue MaxVcpus=64
"""


def test_a_line_each_says_whose_limits_they_are():
    said = read(TABLE).said
    assert said[Subject(Kind.PROJECT, "high energy")] == Limit(budget=Decimal(5000))
    assert said[Subject(Kind.POOL)] == Limit(instances=200, monthly=Decimal("2000.50"))
    assert said[Subject(Kind.ANNEX, "bob/blue")] == Limit(vcpus=64)


def test_a_line_of_its_own_goes_before_the_one_for_each_limit_by_limit():
    limits = read(TABLE)
    alice = Limit(instances=100, hourly=Decimal(10), monthly=Decimal(0))
    assert limits.of(Subject(Kind.OWNER, "alice")) == alice
    assert limits.of(Subject(Kind.OWNER, "bob")) == Limit(instances=40, hourly=Decimal(10))
    assert limits.of(Subject(Kind.ROUTE, "spot")) == Limit()


def test_nothing_said_limits_nothing():
    assert read("") == PoolLimits()
    assert not pool_limits({})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (
            "user alice MaxInstances=1",
            "'user alice MaxInstances=1': a line begins with pool, owner, project, route, annex",
        ),
        ("onwer alice MaxInstances=1", "did you mean owner?"),
        ("owner MaxInstances=1", "behind owner stands a name"),
        ("owner", "behind owner stands a name"),
        ("owner alice", "owner alice: there is no limit on its line"),
        ("pool", "all annexes: there is no limit on its line"),
        ("owner alice MaxInstance=1", "did you mean MaxInstances?"),
        ("owner alice MaxInstances", "owner alice: 'MaxInstances' is no limit"),
        ("owner alice MaxInstances=", "MaxInstances= won't do; it takes a whole number from 0"),
        ("owner alice MaxInstances=1.5", "MaxInstances=1.5 won't do; it takes a whole number"),
        ("owner alice MaxInstances=-1", "MaxInstances=-1 won't do"),
        ("owner alice Budget=lots", "Budget=lots won't do; it takes a number from 0"),
        ("owner alice Budget=NaN", "Budget=NaN won't do"),
        ("owner alice Budget=1e400", "Budget=1e400 won't do"),
        ("owner alice Budget=$5", "Budget=$5 won't do"),
        ("owner alice Budget=1 Budget=2", "owner alice: a limit stands there twice"),
        ("owner alice Budget=1\nowner alice MaxVcpus=2", "there are two lines for owner alice"),
        ("annex blue Budget=1", "annex blue: an annex is named as OWNER/NAME"),
        ("owner 'alice Budget=1", "No closing quotation"),
    ],
)
def test_what_makes_no_sense_is_refused_and_named(line, why):
    with pytest.raises(Refused) as refused:
        read(line)
    assert why in str(refused.value)
    assert pool_limits({"ANNEX_LIMITS": line}).malformed == str(refused.value)


@given(st.text())
def test_whatever_stands_there_is_read_or_refused(text):
    limits = pool_limits({"ANNEX_LIMITS": text})
    assert not (limits.malformed and limits.said)
