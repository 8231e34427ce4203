from dataclasses import replace
from datetime import timedelta

import pytest

from annex_core.adapters.journal import Journal
from annex_core.adapters.order_book import OrderBook
from annex_core.errors import JournalBroken
from annex_core.model.annex import Ending
from annex_core.model.audit import Who
from annex_core.model.names import AnnexKey
from annex_core.model.order import Frozen, Order, Scope
from tests.unit.world import ALICE, NOW, annex

ROOT, BOB = Who("root", 0), Who("bob", 1002)


@pytest.fixture
def journal(tmp_path):
    opened = Journal(tmp_path / "journal.db")
    yield opened
    opened.close()


@pytest.fixture
def book(journal):
    return OrderBook(journal)


def order(id_="o1", **given):
    return Order(**{"id": id_, "annex": annex().id, "placed": NOW, "by": "alice", "instances": 3, **given})


def test_an_order_begins_its_annex_and_comes_back_whole(journal, book):
    life = annex(
        overrides={"image": "ami-1"},
        lifetime=timedelta(hours=2),
        lease_by=Who("alice", 1001),
        ended_by=Who("root", 0),
    )
    placed = order(overrides={"market": "spot"}, by_uid=1001)
    book.place(life, placed)
    assert journal.annexes() == (life,)
    assert book.orders([life]) == (placed,)


def test_a_second_order_leaves_the_life_as_it_is(journal, book):
    book.place(annex(), order("o1"))
    book.place(annex(started=NOW, overrides={"image": "ami-2"}), order("o2", instances=None, slots=8))
    assert journal.annexes() == (annex(),)
    assert [each.id for each in book.orders([annex()])] == ["o1", "o2"]


def test_an_order_that_can_not_be_written_begins_nothing(journal, book):
    book.place(annex(), order("o1"))
    other = annex(AnnexKey("bob", "red"))
    with pytest.raises(JournalBroken):
        book.place(other, order("o1"))
    assert journal.annexes() == (annex(),)


def test_a_new_life_does_not_inherit_the_orders_of_the_last(journal, book):
    book.place(annex(), order())
    journal.finish(annex(), NOW)
    life = annex(started=NOW + timedelta(minutes=1))
    journal.begin(life)
    assert book.orders([life]) == ()


def test_an_end_that_may_wait_does_not_take_back_one_that_is_to_be_now(journal, book):
    book.place(annex(), order())
    book.end([annex()], Ending.NOW, [], NOW, ROOT)
    book.end([annex()], Ending.DRAIN, [], NOW + timedelta(minutes=1), BOB)
    (life,) = journal.annexes()
    assert (life.ending, life.ending_since, life.ended_by) == (Ending.NOW, NOW, ROOT)


def test_an_end_is_whose_it_was_first_until_somebody_wants_it_at_once(journal, book):
    book.place(annex(), order())
    for by, how, whose in (
        (ROOT, Ending.DRAIN, ROOT),
        (BOB, Ending.DRAIN, ROOT),
        (BOB, Ending.NOW, BOB),
        (ROOT, Ending.NOW, BOB),
    ):
        book.end([annex()], how, [], NOW, by)
        (life,) = journal.annexes()
        assert (life.ending, life.ended_by) == (how, whose)


def test_a_lease_is_kept_with_who_set_it(journal, book):
    book.place(annex(lifetime=timedelta(hours=8)), order())
    moved = annex(lease_ends=NOW + timedelta(hours=2), lease_by=BOB)
    book.keep_lease(moved)
    assert journal.annexes() == (moved,)


def test_a_freeze_that_was_asked_for_outlives_the_one_that_an_end_brings(book):
    asked = Frozen(Scope.ANNEX, "alice", "blue", NOW, "root")
    book.freeze([asked])
    book.freeze([replace(asked, after_end=True, by="alice")])
    assert not book.freezes()[0].after_end
    book.thaw([Frozen(Scope.ANNEX, "alice", "blue")])
    assert book.freezes() == ()


@pytest.mark.parametrize(
    ("frozen", "holds"),
    [
        (Frozen(Scope.ALL), True),
        (Frozen(Scope.PROJECT, name="physics"), True),
        (Frozen(Scope.PROJECT, name="phys"), False),
        (Frozen(Scope.ANNEX, "alice", "blue"), True),
        (Frozen(Scope.ANNEX, "alice", "blu"), False),
        (Frozen(Scope.ANNEX, "bob", "blue"), False),
    ],
)
def test_a_freeze_holds_for_what_it_names_and_for_nothing_else(frozen, holds):
    assert frozen.holds(ALICE, "physics") is holds
