"""What jobs allow their annex at most binds for its whole life, and as long as one of them is in the queue."""

import sqlite3
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.adapters.job_rows import counted
from annex_core.adapters.journal import Journal
from annex_core.model.demand import JobCounts, Limits, tightest
from annex_core.model.snapshot import RegionView
from annex_core.planner.caps import tightened
from tests.unit.world import (
    ALICE,
    NOW,
    ROUTE,
    annex,
    fleets,
    group,
    launch,
    living,
    snapshot,
    wishing,
)

ONE_TYPE = {"spot": replace(ROUTE, instance_types=("c5.large",))}
THREE = Limits(max_instances=3)

amounts = st.none() | st.decimals(0, 1000, places=2)
limits = st.builds(Limits, st.none() | st.integers(0, 1000), amounts, amounts)


def asked(of):
    return sum(each.target for each in fleets(of))


@pytest.mark.parametrize("state", ["running", "held"])
def test_a_job_that_no_longer_waits_binds_as_long_as_it_is_in_the_queue(state):
    counts = {ALICE: JobCounts(**{state: 1}, limits=THREE)}
    assert asked(snapshot([group(idle=500)], counts=counts, routes=ONE_TYPE)) == 3
    assert asked(living([group(idle=500)], at=RegionView(), counts=counts, routes=ONE_TYPE)) == 3


def test_a_job_that_has_left_the_queue_binds_for_the_rest_of_the_annexs_life():
    life = {ALICE: annex(limits=Limits(budget=Decimal(3)))}
    of = living([group(idle=500)], at=RegionView(), annexes=life, launches=[launch(target=1)], routes=ONE_TYPE)
    # $0.1 an hour from 12:00 minus 5 minutes to 19:00 is reserved; one more of $0.09 an hour costs $0.65.
    assert asked(of) == 3


def test_a_later_job_with_a_higher_limit_does_not_loosen_it():
    life = {ALICE: annex(limits=THREE)}
    more = group(idle=500, wishes=wishing(limits=Limits(max_instances=9)))
    assert asked(living([more], at=RegionView(), annexes=life, routes=ONE_TYPE)) == 3


def test_a_new_annex_begins_with_the_tightest_limits_of_all_its_jobs():
    counts = {ALICE: JobCounts(held=1, limits=Limits(max_instances=4, budget=Decimal(9)))}
    (one,) = fleets(snapshot([group(wishes=wishing(limits=THREE))], counts=counts))
    assert one.annex.limits == Limits(max_instances=3, budget=Decimal(9))


def test_another_annexs_limits_bind_nobody_else():
    other = replace(ALICE, name="red")
    of = snapshot([group(idle=500)], counts={other: JobCounts(running=1, limits=THREE)}, routes=ONE_TYPE)
    assert asked(of) == ROUTE.max_instances


@given(st.lists(limits))
def test_the_tightest_is_no_looser_than_any(some):
    least = tightest(some)
    for kind in ("max_instances", "max_hourly_cost", "budget"):
        said = [getattr(each, kind) for each in some if getattr(each, kind) is not None]
        assert getattr(least, kind) == (min(said) if said else None)


@given(limits, limits, limits)
def test_no_job_ever_loosens_an_annex(kept, queued, idle):
    of = living(
        [group(wishes=wishing(limits=idle))],
        at=RegionView(),
        annexes={ALICE: annex(limits=kept)},
        counts={ALICE: JobCounts(running=1, limits=queued)},
    )
    assert tightened(of).annexes[ALICE].limits == tightest([kept, queued, idle])


def row(status, count, **limits):
    return {"Owner": "alice", "TargetAnnexName": "blue", "JobStatus": status, "JobCount": count, **limits}


def test_the_queue_counts_running_held_and_suspended_jobs_limits_and_no_finished_ones():
    rows = [
        row(1, 5),
        row(2, 2, AnnexBudget=7.5),
        row(7, 1, AnnexMaxInstances=4),
        row(5, 1, AnnexMaxHourlyCost=2, AnnexBudget=9.0),
        row(4, 3, AnnexBudget=0.5, AnnexMaxInstances=1),
    ]
    told = JobCounts(idle=5, running=3, held=1, limits=Limits(4, Decimal(2), Decimal("7.5")))
    assert counted(rows) == {ALICE: told}


class TestJournal:
    @pytest.fixture
    def path(self, tmp_path):
        return tmp_path / "journal.db"

    def test_limits_are_kept_to_the_cent(self, path):
        bound = annex(limits=Limits(3, Decimal("0.10"), None))
        journal = Journal(path)
        journal.begin(bound)
        assert journal.annexes() == (bound,)
        tighter = replace(bound, limits=Limits(2, Decimal("0.10"), Decimal("12.34")))
        journal.keep_limits(tighter)
        journal.close()
        again = Journal(path)
        assert again.annexes() == (tighter,)
        again.close()

    def test_a_new_life_begins_without_the_limits_of_the_last(self, path):
        journal = Journal(path)
        journal.begin(annex(limits=THREE))
        journal.finish(annex(), NOW)
        life = annex(started=NOW + timedelta(minutes=1))
        journal.begin(life)
        assert journal.annexes() == (life,)
        journal.close()

    def test_a_journal_of_the_first_version_is_read_and_its_annexes_have_no_limits(self, path):
        with sqlite3.connect(path) as db:
            db.executescript(FIRST_VERSION)
        db.close()
        journal = Journal(path)
        assert journal.annexes() == (annex(),)
        journal.keep_limits(annex(limits=THREE))
        assert journal.annexes() == (annex(limits=THREE),)
        journal.close()


FIRST_VERSION = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE annexes (
        id TEXT NOT NULL, started TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, project TEXT NOT NULL,
        route TEXT NOT NULL, region TEXT NOT NULL, endpoint TEXT, lease_ends TEXT NOT NULL,
        ends_at_latest TEXT NOT NULL, finished TEXT, PRIMARY KEY (id, started)
    ) STRICT;
    CREATE UNIQUE INDEX one_life ON annexes (id) WHERE finished IS NULL;
    CREATE TABLE launches (
        token TEXT PRIMARY KEY, annex TEXT NOT NULL, region TEXT NOT NULL, target INTEGER NOT NULL,
        types TEXT NOT NULL, hourly_ceiling TEXT, intended TEXT NOT NULL, state TEXT NOT NULL, fleet TEXT,
        reason TEXT, closed TEXT, document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE templates (
        annex TEXT PRIMARY KEY, template TEXT NOT NULL, version INTEGER NOT NULL, bucket TEXT NOT NULL,
        digest TEXT NOT NULL, url_expires TEXT NOT NULL
    ) STRICT;
    CREATE TABLE instances (
        id TEXT PRIMARY KEY, annex TEXT NOT NULL, token TEXT, type TEXT NOT NULL, launched TEXT NOT NULL,
        hourly_ceiling TEXT, joined TEXT, gone TEXT
    ) STRICT;
    INSERT INTO annexes VALUES (
        'ANNEX', '2026-11-21T11:00:00.000000+00:00', 'alice', 'blue', 'physics', 'spot', 'us-east-2', NULL,
        '2026-11-21T19:00:00.000000+00:00', '2026-11-22T11:00:00.000000+00:00', NULL
    );
    PRAGMA user_version = 1;
""".replace("ANNEX", annex().id)
