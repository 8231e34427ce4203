"""What finished lives of annexes have cost, by month, kept in the journal when they are over."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_rows import ANNEX, INSTANCE, annex_of, instance_of, moment, text
from annex_core.model.annex import Annex, KnownInstance
from annex_core.model.limits import Spent
from annex_core.model.place import Place
from annex_core.planner.outlay import by_month, ends_of, month_of

_MICRO = 1_000_000
"""Whole millionths of a dollar, rounded up: SQLite adds them up without an error."""

Price = Callable[[Place, str], Decimal | None]
"""USD an hour at most of a machine in a place, by its type's name; None is unknown."""


class Ledger:
    """
    Args:
        price: For machines whose ceiling the journal does not know.

    Raises:
        JournalBroken: From every method, when the journal can't be read or written.
    """

    def __init__(self, journal: Journal, price: Price) -> None:
        self._journal = journal
        self._price = price

    def spent(self, now: datetime, *, every_month: bool = False) -> tuple[Spent, ...]:
        """
        Of all finished lives; what was spent before this month is taken together, unless *every_month* is asked for.

        Asked for after the living annexes: a life that ends in between counts twice then, and never not at all.
        """
        since = "" if every_month else month_of(now)
        with self._journal.writing() as db:
            self._settle(db)
            rows = db.execute(
                "SELECT owner, name, project, route, iif(month >= ?, month, '') AS at, sum(micros),"
                " sum(micros IS NULL) FROM costs JOIN annexes USING (id, started) WHERE finished IS NOT NULL"
                " GROUP BY owner, name, project, route, at ORDER BY at, owner, name, project, route",
                (since,),
            ).fetchall()
        return tuple(
            Spent(owner, name, project, route, month, None if unknown else Decimal(micros) / _MICRO)
            for owner, name, project, route, month, micros, unknown in rows
        )

    def _settle(self, db: sqlite3.Cursor) -> None:
        """Work out once what each life cost that has finished since."""
        over = db.execute(
            f"SELECT {ANNEX}, finished FROM annexes WHERE finished IS NOT NULL AND NOT settled"
        ).fetchall()
        for *row, finished in over:
            annex = annex_of(tuple(row))
            life = annex.id, text(annex.started)
            db.execute("DELETE FROM costs WHERE id = ? AND started = ?", life)
            db.executemany(
                "INSERT INTO costs (id, started, month, micros) VALUES (?, ?, ?, ?)",
                [(*life, month, micros) for month, micros in self._costs(db, annex, moment(finished)).items()],
            )
            db.execute("UPDATE annexes SET settled = 1 WHERE id = ? AND started = ?", life)

    def _costs(self, db: sqlite3.Cursor, annex: Annex, finished: datetime) -> dict[str, int | None]:
        machines = db.execute(
            f"SELECT {INSTANCE} FROM instances WHERE annex = ? AND (gone IS NULL OR gone >= ?) AND launched <= ?",
            (annex.id, text(annex.started), text(finished)),
        ).fetchall()
        bounds = {
            token: moment(latest) if latest else None
            for token, latest in db.execute(
                "SELECT token, ends_at_latest FROM launches WHERE annex = ? AND intended >= ?",
                (annex.id, text(annex.started)),
            )
        }
        usd: dict[str, Decimal | None] = {}
        for machine in map(instance_of, machines):
            hour = self._hour(machine, annex)
            # One that was never seen to go may have run until its end.
            for month, hours in by_month(machine.launched, ends_of(machine, annex, bounds, finished)):
                before = usd.get(month, Decimal(0))
                usd[month] = None if hour is None or before is None else before + hour * hours
        return {
            month: None if each is None else int((each * _MICRO).to_integral_value(ROUND_CEILING))
            for month, each in usd.items()
        }

    def _hour(self, machine: KnownInstance, annex: Annex) -> Decimal | None:
        return self._price(annex.place, machine.type) if machine.hourly_ceiling is None else machine.hourly_ceiling
