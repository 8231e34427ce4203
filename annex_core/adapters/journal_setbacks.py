"""What AWS had none of, in the journal: one row for each thing, whoever met it."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_rows import SETBACK, marks, setback_of, setback_row, text
from annex_core.model.setback import Setback, Subject

Grow = Callable[[Setback | None, Subject, str, datetime], Setback]
"""What a further no makes of what was known."""


class SetbackBook:
    """
    Raises:
        JournalBroken: From every method, when SQLite can't read or write.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def setbacks(self, since: datetime) -> Sequence[Setback]:
        """Those whose last no is not older."""
        with self._journal.writing() as db:
            rows = db.execute(
                f"SELECT {SETBACK} FROM setbacks WHERE last >= ? ORDER BY last, type, zone", (text(since),)
            ).fetchall()
        return tuple(map(setback_of, rows))

    def add(self, noes: Iterable[tuple[Subject, str]], at: datetime, grow: Grow) -> list[Setback]:
        """
        Returns:
            What changed by it.
        """
        changed = []
        with self._journal.writing() as db:
            known = {each.subject: each for each in map(setback_of, db.execute(f"SELECT {SETBACK} FROM setbacks"))}
            for subject, why in noes:
                after = grow(known.get(subject), subject, why, at)
                if after != known.get(subject):
                    known[subject] = after
                    changed.append(after)
            _write(db.executemany, changed)
        return changed

    def lift(self, setbacks: Iterable[Setback]) -> None:
        """Write down what a machine has shown to be over, unless there was another no meanwhile."""
        with self._journal.writing() as db:
            for each in setbacks:
                of = each.subject
                key = (of.place, of.market, of.type, of.zone, of.quota, text(each.last))
                db.execute(
                    "UPDATE setbacks SET lifted = ?"
                    " WHERE (place, market, type, zone, quota, last) = (?, ?, ?, ?, ?, ?)",
                    (text(each.lifted) if each.lifted else None, *key),
                )

    def forget(self, before: datetime) -> None:
        with self._journal.writing() as db:
            db.execute("DELETE FROM setbacks WHERE last < ?", (text(before),))


def _write(executemany: Callable[..., object], setbacks: Iterable[Setback]) -> None:
    executemany(f"INSERT OR REPLACE INTO setbacks ({SETBACK}) VALUES ({marks(SETBACK)})", map(setback_row, setbacks))
