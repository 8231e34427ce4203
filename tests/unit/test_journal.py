import sqlite3
from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.journal import _STEPS, Journal, Template
from annex_core.adapters.journal_setbacks import SetbackBook
from annex_core.adapters.order_book import OrderBook
from annex_core.errors import JournalBroken
from annex_core.model.annex import LaunchState
from annex_core.model.place import Place
from annex_core.model.route import Market
from annex_core.model.setback import Subject
from annex_core.planner.shortages import set_back
from tests.unit.world import NOW, annex, known, launch

MINUTE = timedelta(minutes=1)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "annexd" / "journal.db"


@pytest.fixture
def journal(path):
    opened = Journal(path)
    yield opened
    opened.close()


def test_what_is_written_is_read_back_whole_by_the_next_daemon(journal, path):
    journal.begin(annex())
    asked = launch(state=LaunchState.INTENDED, fleet=None, by_jobs={"idle_s": 90, "instance_types": ["c5.large"]})
    asked = replace(asked, route="other")
    journal.intend(asked, "{}")
    journal.remember([known("i-1", joined=NOW)])
    journal.close()
    again = Journal(path)
    assert again.annexes() == (annex(),)
    assert again.launches([annex()]) == (asked,)
    assert again.instances([annex()]) == (known("i-1", joined=NOW),)
    again.close()


def test_the_document_of_an_unanswered_launch_comes_back_byte_for_byte(journal):
    journal.begin(annex())
    asked = launch(state=LaunchState.INTENDED, fleet=None)
    journal.intend(asked, '{"ü": 1}')
    assert journal.unanswered() == ((asked, '{"ü": 1}'),)


def test_an_answered_launch_is_not_unanswered(journal):
    journal.begin(annex())
    journal.intend(launch(state=LaunchState.INTENDED, fleet=None), "{}")
    journal.settle("t1", LaunchState.REQUESTED, fleet="sfr-1")
    assert journal.unanswered() == ()
    assert journal.launches([annex()])[0].fleet == "sfr-1"


def older(path, version):
    """A journal's file as an earlier condor_annexd left it."""
    path.parent.mkdir(exist_ok=True)
    made = sqlite3.connect(path, isolation_level=None)
    made.executescript("".join(_STEPS[:version]) + f"PRAGMA user_version = {version}")
    return made


@pytest.mark.parametrize(
    ("endpoint", "credentials", "place"),
    [
        (None, "site", "us-east-2"),
        ("http://127.0.0.1:4566", "profile old", "us-east-2 at http://127.0.0.1:4566 by profile old"),
    ],
)
def test_the_launches_of_an_older_journal_are_where_their_annex_was(path, endpoint, credentials, place):
    old = older(path, 7)
    lives = (
        "INSERT INTO annexes (id, started, owner, name, project, route, region, lease_ends, ends_at_latest, endpoint,"
        " credentials, finished) VALUES ('blue', ?, 'alice', 'blue', '', 'spot', 'us-east-2', ?, ?, ?, ?, ?)"
    )
    began, before = "2026-11-21T11:00:00.000000+00:00", "2026-11-20T11:00:00.000000+00:00"
    old.execute(lives, (before, began, began, None, "profile before", began))
    old.execute(lives, (began, began, began, endpoint, credentials, None))
    old.execute(
        "INSERT INTO launches (token, annex, region, target, types, intended, state, document)"
        " VALUES ('t1', 'blue', 'us-east-2', 1, '[]', '2026-11-21T12:00:00.000000+00:00', 'intended', '{}')"
    )
    old.close()
    journal = Journal(path)
    [(read, _)] = journal.unanswered()
    assert read.place == place == journal.annexes()[0].place
    journal.close()


def test_nobody_is_known_to_have_done_what_an_older_journal_tells(path):
    old = older(path, 13)
    at = "2026-11-21T11:00:00.000000+00:00"
    old.execute(
        "INSERT INTO annexes (id, started, owner, name, project, route, region, lease_ends, ends_at_latest, ending)"
        " VALUES ('blue', ?, 'alice', 'blue', '', 'spot', 'us-east-2', ?, ?, 'now')",
        (at, at, at),
    )
    old.execute("INSERT INTO orders VALUES ('o1', 'blue', ?, 'alice', 1, NULL, '{}')", (at,))
    old.execute(
        "INSERT INTO launches (token, annex, place, target, types, intended, state, document)"
        " VALUES ('t1', 'blue', 'us-east-2', 1, '', ?, 'requested', '{}')",
        (at,),
    )
    old.close()
    journal = Journal(path)
    (life,) = journal.annexes()
    [order] = OrderBook(journal).orders([life])
    [asked] = journal.launches([life])
    journal.close()
    assert (life.lifetime, life.lease_by, life.ended_by, order.by, order.by_uid) == (None, None, None, "alice", None)
    assert (asked.by_jobs, asked.route) == ({}, "")


def test_the_launches_of_an_older_journal_are_spot_fleets_on_the_spot_market(path):
    old = older(path, 2)
    old.execute(
        "INSERT INTO launches VALUES ('t1', 'blue', 'us-east-2', 1, 'c5.large', '0.1', '2026-11-21T12:00:00+00:00',"
        " 'intended', NULL, NULL, NULL, '{\"SpotFleetRequestConfig\":{}}')"
    )
    old.close()
    journal = Journal(path)
    [(found, document)] = journal.unanswered()
    journal.close()
    assert (found.api, found.market, document) == ("spot-fleet", "spot", '{"SpotFleetRequestConfig":{}}')


def test_machines_that_an_answer_names_are_known_unless_a_listing_was_quicker(journal):
    journal.begin(annex())
    journal.intend(launch(state=LaunchState.INTENDED, fleet=None), "{}")
    journal.remember([known("i-1", joined=NOW)])
    journal.settle("t1", LaunchState.REQUESTED, closed=NOW, instances=[known("i-1"), known("i-2")])
    assert {each.id: each.joined for each in journal.instances([annex()])} == {"i-1": NOW, "i-2": None}
    assert journal.launches([annex()])[0].closed == NOW


def test_a_life_that_has_begun_is_not_begun_again(journal):
    journal.begin(annex())
    journal.begin(replace(annex(), started=NOW, lease_ends=NOW + timedelta(days=1)))
    assert journal.annexes() == (annex(),)


def test_a_new_life_does_not_inherit_the_launches_of_the_last(journal):
    journal.begin(annex())
    journal.intend(launch(), "{}")
    journal.remember([known("i-1", gone=NOW)])
    journal.finish(annex(), NOW + timedelta(minutes=1))
    life = replace(annex(), started=NOW + timedelta(minutes=2))
    journal.begin(life)
    assert journal.annexes() == (life,)
    assert journal.launches([life]) == ()
    assert journal.instances([life]) == ()


def test_finishing_forgets_the_template(journal):
    journal.begin(annex())
    journal.keep_template(Template(annex().id, Place("us-east-2"), "lt-1", 1, "bucket", "digest", NOW))
    journal.finish(annex(), NOW)
    assert journal.templates(annex().id) == {}


def test_a_launch_is_closed_once(journal):
    journal.begin(annex())
    journal.intend(launch(), "{}")
    journal.close_launch("t1", NOW)
    journal.close_launch("t1", NOW + timedelta(hours=1))
    assert journal.launches([annex()])[0].closed == NOW


def test_a_file_that_is_no_journal_stops_the_daemon_with_a_sentence(path):
    path.parent.mkdir()
    path.write_text("not a database, and long enough to be looked at" * 100)
    with pytest.raises(JournalBroken, match=str(path)):
        Journal(path)


def test_a_journal_of_a_newer_version_is_left_alone(path):
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(JournalBroken, match="version 99"):
        Journal(path)


def test_a_failing_write_leaves_nothing_half_written(journal):
    journal.begin(annex())
    journal.intend(launch(), "{}")
    with pytest.raises(JournalBroken):
        journal.intend(launch(), "{}")
    assert len(journal.launches([annex()])) == 1


def test_pools_zones_and_markets_are_kept(journal):
    journal.begin(annex())
    asked = launch(pools=(("c5.large", "us-east-2a"), ("c5.large", "")), market=Market.ON_DEMAND)
    journal.intend(asked, "{}")
    machine = known("i-1", zone="us-east-2a", market=Market.ON_DEMAND, launched=NOW)
    journal.remember([machine])
    assert journal.launches([annex()]) == (asked,)
    assert journal.instances([annex()]) == (machine,)


def test_setbacks_are_kept_and_lifted_unless_there_was_another_no(journal):
    subject = Subject(Place("us-east-2"), Market.SPOT, "c5.large", "us-east-2a")
    book = SetbackBook(journal)
    [first] = book.add([(subject, "none")], NOW, set_back)
    assert book.setbacks(NOW) == (first,)
    assert book.setbacks(NOW + MINUTE) == ()
    [second] = book.add([(subject, "none")], NOW + 5 * MINUTE, set_back)
    book.lift([replace(first, lifted=NOW + MINUTE)])
    assert book.setbacks(NOW) == (second,)
    book.lift([replace(second, lifted=NOW + 6 * MINUTE)])
    assert book.setbacks(NOW) == (replace(second, lifted=NOW + 6 * MINUTE),)
    book.forget(NOW + 6 * MINUTE)
    assert book.setbacks(NOW) == ()
