"""What finished annexes have cost stays in the journal, by month, and counts for the budgets of the next ones."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from annex_core.adapters.journal import _STEPS, Journal
from annex_core.adapters.journal_costs import Ledger
from annex_core.model.annex import LaunchState
from annex_core.model.limits import Spent
from annex_core.model.place import Place
from tests.unit.test_journal import older
from tests.unit.world import NOW, annex, known, launch

HOUR = timedelta(hours=1)
LIFE = annex()


@pytest.fixture
def journal(tmp_path):
    made = Journal(tmp_path / "journal.db")
    yield made
    made.close()


@pytest.fixture
def ledger(journal):
    return Ledger(journal, lambda place, name: {"c5.large": Decimal(2)}.get(name))


def lived(journal, *machines, life=LIFE, until=NOW):
    journal.begin(life)
    journal.remember(machines)
    journal.finish(life, until)


def spent(month, usd):
    return Spent("alice", "blue", "physics", "spot", month, None if usd is None else Decimal(usd))


def test_a_life_costs_what_each_machine_did_until_it_was_gone(journal, ledger):
    lived(journal, known("i-1", launched=NOW - HOUR, gone=NOW), known("i-2", launched=NOW - HOUR, gone=NOW - HOUR / 2))
    assert ledger.spent(NOW) == (spent("2026-11", "0.15"),)


def test_a_living_annex_is_not_there_yet_nor_one_that_goes_on(journal, ledger):
    journal.begin(LIFE)
    journal.remember([known("i-1", launched=NOW - HOUR, gone=NOW)])
    assert ledger.spent(NOW) == ()
    journal.finish(LIFE, NOW)
    assert ledger.spent(NOW) == (spent("2026-11", "0.1"),)
    journal.begin(LIFE)
    assert ledger.spent(NOW) == ()
    journal.remember([known("i-2", launched=NOW, gone=NOW + HOUR)])
    journal.finish(LIFE, NOW + HOUR)
    assert ledger.spent(NOW) == (spent("2026-11", "0.2"),)


def test_months_are_kept_apart_and_earlier_ones_taken_together(journal, ledger):
    turn = datetime(2026, 12, 1, tzinfo=UTC)
    for number, month in enumerate((9, 10, 11)):
        began = datetime(2026, month, 30, 23, tzinfo=UTC)
        life = annex(started=began, lease_ends=began + 2 * HOUR)
        lived(journal, known(f"i-{number}", launched=began, gone=began + 2 * HOUR), life=life, until=began + 2 * HOUR)
    assert ledger.spent(turn) == (spent("", "0.5"), spent("2026-12", "0.1"))
    by_month = {each.month: each.usd for each in ledger.spent(turn, every_month=True)}
    tenth = Decimal("0.1")
    assert by_month == {"2026-09": tenth, "2026-10": 3 * tenth, "2026-11": tenth, "2026-12": tenth}


def test_a_machine_whose_ceiling_is_unknown_counts_at_its_types_price_and_without_one_is_unknown(journal, ledger):
    lived(journal, known("i-1", launched=NOW - HOUR, gone=NOW, hourly_ceiling=None))
    assert ledger.spent(NOW) == (spent("2026-11", 2),)
    life = annex(started=NOW + HOUR)
    strange = known("i-2", launched=NOW + HOUR, gone=NOW + 2 * HOUR, hourly_ceiling=None, type="x9.new")
    lived(journal, strange, life=life, until=NOW + 3 * HOUR)
    assert ledger.spent(NOW) == (spent("2026-11", None),)


def test_the_price_of_a_type_is_that_of_the_annexs_place(journal):
    life = annex(endpoint="http://127.0.0.1:4566", credentials="profile physics")
    lived(journal, known("i-1", launched=NOW - HOUR, gone=NOW, hourly_ceiling=None), life=life)
    prices = {Place("us-east-2 at http://127.0.0.1:4566 by profile physics"): Decimal(3)}
    assert Ledger(journal, lambda place, name: prices.get(place)).spent(NOW) == (spent("2026-11", 3),)


def test_a_machine_that_was_never_seen_to_go_may_have_run_until_its_bound(journal, ledger):
    ends = NOW + HOUR
    journal.begin(LIFE)
    journal.intend(launch("t1", state=LaunchState.REQUESTED, ends_at_latest=ends, intended=NOW), "")
    lived(journal, known("i-1", launched=NOW - HOUR))
    assert ledger.spent(NOW) == (spent("2026-11", "0.2"),)


def test_less_than_aws_bills_for_counts_as_what_it_bills(journal, ledger):
    lived(journal, known("i-1", launched=NOW - timedelta(seconds=1), gone=NOW, hourly_ceiling=Decimal("0.06")))
    assert ledger.spent(NOW) == (spent("2026-11", "0.001"),)


def test_a_part_of_a_millionth_of_a_dollar_counts_as_a_whole_one(journal, ledger):
    lived(journal, known("i-1", launched=NOW - HOUR, gone=NOW, hourly_ceiling=Decimal("0.0000001")))
    assert ledger.spent(NOW) == (spent("2026-11", "0.000001"),)


def test_a_journal_of_before_says_what_its_finished_annexes_cost(tmp_path):
    before = next(number for number, step in enumerate(_STEPS) if "TABLE costs" in step)
    old = older(tmp_path / "journal.db", before)
    old.executescript(FINISHED)
    old.close()
    journal = Journal(tmp_path / "journal.db")
    assert Ledger(journal, lambda place, name: None).spent(NOW) == (spent("2026-11", "0.1"),)
    journal.close()


FINISHED = """
    INSERT INTO annexes (id, started, owner, name, project, route, region, lease_ends, ends_at_latest, finished)
    VALUES (
        'a', '2026-11-21T10:00:00.000000+00:00', 'alice', 'blue', 'physics', 'spot', 'us-east-2',
        '2026-11-21T19:00:00.000000+00:00', '2026-11-22T11:00:00.000000+00:00', '2026-11-21T11:30:00.000000+00:00'
    );
    INSERT INTO instances (id, annex, type, launched, hourly_ceiling, gone) VALUES (
        'i-1', 'a', 'c5.large', '2026-11-21T10:15:00.000000+00:00', '0.1', '2026-11-21T11:15:00.000000+00:00'
    );
"""


def test_each_project_and_route_has_its_own(journal, ledger):
    lived(journal, known("i-1", launched=NOW - HOUR, gone=NOW))
    other = annex(started=NOW + timedelta(minutes=1), project="maths", route="west")
    lived(journal, known("i-2", launched=other.started, gone=other.started + HOUR), life=other, until=NOW + 2 * HOUR)
    maths = replace(spent("2026-11", "0.1"), project="maths", route="west")
    assert {*ledger.spent(NOW)} == {spent("2026-11", "0.1"), maths}
