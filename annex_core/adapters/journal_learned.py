"""What machines that joined have shown of themselves, in the journal: one row for each type and AMI."""

from collections.abc import Mapping

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_rows import moment, text
from annex_core.model.hardware import Learned
from annex_core.model.place import Place


class LearnedBook:
    """
    Raises:
        JournalBroken: From every method, when SQLite can't read or write.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def learned(self) -> Mapping[tuple[str, str], Learned]:
        """By instance type and AMI."""
        with self._journal.writing() as db:
            rows = db.execute(
                "SELECT type, image, cpus, memory_mib, disk_taken_kib, gpus, since FROM learned"
            ).fetchall()
        return {
            (row[0], row[1]): Learned(
                cpus=row[2], memory_mib=row[3], disk_taken_kib=row[4], gpus=row[5], since=moment(row[6])
            )
            for row in rows
        }

    def learn(self, found: Mapping[tuple[str, str], Learned]) -> None:
        rows = [
            (type_, image, each.cpus, each.memory_mib, each.disk_taken_kib, each.gpus, text(each.since))
            for (type_, image), each in found.items()
        ]
        if rows:
            with self._journal.writing() as db:
                db.executemany("INSERT OR REPLACE INTO learned VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def images(self) -> Mapping[tuple[Place, str], str]:
        """The AMI that a route's image was last found to be, by place and the route's own word for it."""
        with self._journal.writing() as db:
            rows = db.execute("SELECT place, name, image FROM images").fetchall()
        return {(Place(row[0]), row[1]): row[2] for row in rows}

    def keep_image(self, place: Place, name: str, image: str) -> None:
        with self._journal.writing() as db:
            db.execute("INSERT OR REPLACE INTO images VALUES (?, ?, ?)", (place, name, image))
