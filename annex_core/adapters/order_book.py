"""Orders, endings and freezes in the journal: what commands decide."""

import json
import sqlite3
from collections.abc import Iterable
from datetime import datetime

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_rows import begin_life, lease_row, moment, text, whose
from annex_core.model.annex import Annex, Ending
from annex_core.model.audit import Who
from annex_core.model.order import Frozen, Order, Scope


class OrderBook:
    """
    Raises:
        JournalBroken: From every method, when the journal can't be read or written.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def place(self, annex: Annex, order: Order) -> None:
        """
        Begin the annex's life where it has none, and keep the order: both, or nothing.

        Whoever creates an annex that was ended wants it again.
        """
        with self._journal.writing() as db:
            begin_life(db, annex)
            db.execute(
                "DELETE FROM freezes WHERE scope = ? AND owner = ? AND name = ? AND after_end",
                (Scope.ANNEX, annex.key.owner, annex.key.name),
            )
            db.execute(
                "INSERT INTO orders (id, annex, placed, placed_by, placed_by_uid, instances, slots, overrides)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    order.id,
                    order.annex,
                    text(order.placed),
                    order.by,
                    order.by_uid,
                    order.instances,
                    order.slots,
                    json.dumps(order.overrides, sort_keys=True),
                ),
            )

    def orders(self, annexes: Iterable[Annex]) -> tuple[Order, ...]:
        """Those of the lives given, oldest first."""
        found: list[Order] = []
        with self._journal.writing() as db:
            for annex in annexes:
                rows = db.execute(
                    "SELECT id, annex, placed, placed_by, placed_by_uid, instances, slots, overrides FROM orders"
                    " WHERE annex = ? AND placed >= ? ORDER BY placed, rowid",
                    (annex.id, text(annex.started)),
                ).fetchall()
                found += [
                    Order(id_, of, moment(placed), by, instances, slots, json.loads(overrides), uid)
                    for id_, of, placed, by, uid, instances, slots, overrides in rows
                ]
        return tuple(found)

    def keep_lease(self, annex: Annex) -> None:
        """The annex's lease and its outer bound, as they are now, and who set it."""
        with self._journal.writing() as db:
            db.execute(
                "UPDATE annexes SET lease_ends = ?, ends_at_latest = ?, lifetime_s = ?, lease_by = ?, lease_by_uid = ?"
                " WHERE id = ? AND finished IS NULL",
                (text(annex.lease_ends), text(annex.ends_at_latest), *lease_row(annex), annex.id),
            )

    def end(self, annexes: Iterable[Annex], how: Ending, freezes: Iterable[Frozen], at: datetime, by: Who) -> None:
        """
        End these annexes, and freeze what is not to begin anew. An end that is to be now is not taken back by one that
        may wait, and is whose it was; so is one that was ended the same way before.
        """
        with self._journal.writing() as db:
            for annex in annexes:
                db.execute(
                    "UPDATE annexes SET ending = ?, ending_since = coalesce(ending_since, ?), ended_by = ?,"
                    " ended_by_uid = ? WHERE id = ? AND finished IS NULL AND coalesce(ending, '') NOT IN (?, ?)",
                    (how, text(at), *whose(by), annex.id, Ending.NOW, how),
                )
            _freeze(db, freezes)

    def freeze(self, freezes: Iterable[Frozen]) -> None:
        with self._journal.writing() as db:
            _freeze(db, freezes)

    def thaw(self, freezes: Iterable[Frozen]) -> None:
        with self._journal.writing() as db:
            db.executemany(
                "DELETE FROM freezes WHERE scope = ? AND owner = ? AND name = ?",
                [(each.scope, each.owner, each.name) for each in freezes],
            )

    def freezes(self) -> tuple[Frozen, ...]:
        with self._journal.writing() as db:
            rows = db.execute(
                "SELECT scope, owner, name, since, frozen_by, after_end FROM freezes ORDER BY scope, owner, name"
            ).fetchall()
        return tuple(
            Frozen(Scope(scope), owner, name, moment(since), by, bool(after_end))
            for scope, owner, name, since, by, after_end in rows
        )


def _freeze(db: sqlite3.Cursor, freezes: Iterable[Frozen]) -> None:
    """A freeze that was asked for stays one, and whose it is, when an end comes on top of it."""
    db.executemany(
        "INSERT INTO freezes (scope, owner, name, since, frozen_by, after_end) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (scope, owner, name) DO UPDATE SET after_end = min(after_end, excluded.after_end),"
        " frozen_by = iif(excluded.after_end, frozen_by, excluded.frozen_by)",
        [
            (each.scope, each.owner, each.name, text(each.since) if each.since else "", each.by, each.after_end)
            for each in freezes
        ],
    )
