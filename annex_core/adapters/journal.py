"""
The journal: what was meant and what came of it, in SQLite (WAL), written before AWS is called and after.

It is memory, not truth: AWS's tags say what there is. One process writes it, the daemon, from several threads.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from annex_core.adapters.journal_rows import (
    ANNEX,
    DEATH,
    INSTANCE,
    LAUNCH,
    annex_of,
    begin_life,
    death_of,
    instance_of,
    instance_row,
    launch_of,
    launch_row,
    limits_row,
    marks,
    moment,
    text,
)
from annex_core.errors import JournalBroken
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState, Obstacle
from annex_core.model.death import Death
from annex_core.model.eviction import Eviction, Lost
from annex_core.model.place import Place

_STEPS = (
    """
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
    CREATE INDEX launches_of ON launches (annex, intended);
    CREATE TABLE instances (
        id TEXT PRIMARY KEY, annex TEXT NOT NULL, token TEXT, type TEXT NOT NULL, launched TEXT NOT NULL,
        hourly_ceiling TEXT, joined TEXT, gone TEXT
    ) STRICT;
    CREATE INDEX instances_of ON instances (annex, launched);
    CREATE TABLE templates (
        annex TEXT PRIMARY KEY, template TEXT NOT NULL, version INTEGER NOT NULL, bucket TEXT NOT NULL,
        digest TEXT NOT NULL, url_expires TEXT NOT NULL
    ) STRICT;
    """,
    """
    ALTER TABLE annexes ADD COLUMN max_instances INTEGER;
    ALTER TABLE annexes ADD COLUMN max_hourly_cost TEXT;
    ALTER TABLE annexes ADD COLUMN budget TEXT;
    """,
    """
    ALTER TABLE annexes ADD COLUMN overrides TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE annexes ADD COLUMN ending TEXT;
    ALTER TABLE annexes ADD COLUMN ending_since TEXT;
    ALTER TABLE launches ADD COLUMN for_order TEXT;
    ALTER TABLE launches ADD COLUMN ends_at_latest TEXT;
    CREATE TABLE orders (
        id TEXT PRIMARY KEY, annex TEXT NOT NULL, placed TEXT NOT NULL, placed_by TEXT NOT NULL, instances INTEGER,
        slots INTEGER, overrides TEXT NOT NULL
    ) STRICT;
    CREATE INDEX orders_of ON orders (annex, placed);
    CREATE TABLE freezes (
        scope TEXT NOT NULL, owner TEXT NOT NULL, name TEXT NOT NULL, since TEXT NOT NULL, frozen_by TEXT NOT NULL,
        after_end INTEGER NOT NULL, PRIMARY KEY (scope, owner, name)
    ) STRICT;
    """,
    """
    ALTER TABLE launches ADD COLUMN api TEXT NOT NULL DEFAULT 'spot-fleet';
    ALTER TABLE launches ADD COLUMN market TEXT NOT NULL DEFAULT 'spot';
    ALTER TABLE launches ADD COLUMN obstacle TEXT;
    """,
    "ALTER TABLE annexes ADD COLUMN pilot INTEGER NOT NULL DEFAULT 0;",
    """
    CREATE TABLE deaths (
        instance TEXT PRIMARY KEY, annex TEXT NOT NULL, at TEXT NOT NULL, reason TEXT NOT NULL,
        boot_log TEXT NOT NULL, console TEXT NOT NULL
    ) STRICT;
    CREATE INDEX deaths_of ON deaths (annex, at);
    """,
    "ALTER TABLE annexes ADD COLUMN credentials TEXT NOT NULL DEFAULT 'site';",
    """
    ALTER TABLE launches ADD COLUMN pools TEXT NOT NULL DEFAULT '';
    ALTER TABLE instances ADD COLUMN zone TEXT NOT NULL DEFAULT '';
    ALTER TABLE instances ADD COLUMN market TEXT NOT NULL DEFAULT 'spot';
    CREATE TABLE setbacks (
        place TEXT NOT NULL, market TEXT NOT NULL, type TEXT NOT NULL, zone TEXT NOT NULL, quota TEXT NOT NULL,
        why TEXT NOT NULL, since TEXT NOT NULL, last TEXT NOT NULL, tries INTEGER NOT NULL, lifted TEXT,
        PRIMARY KEY (place, market, type, zone, quota)
    ) STRICT;
    """,
    """
    ALTER TABLE launches RENAME COLUMN region TO place;
    UPDATE launches SET place = place || coalesce((
        SELECT coalesce(' at ' || endpoint, '') || CASE credentials WHEN 'site' THEN '' ELSE ' by ' || credentials END
        FROM annexes WHERE id = launches.annex AND started <= launches.intended ORDER BY started DESC LIMIT 1
    ), '');
    """,
    """
    ALTER TABLE instances ADD COLUMN image TEXT NOT NULL DEFAULT '';
    ALTER TABLE instances ADD COLUMN interrupted TEXT;
    ALTER TABLE instances ADD COLUMN drained TEXT;
    CREATE TABLE evictions (
        job TEXT NOT NULL, at TEXT NOT NULL, annex TEXT NOT NULL, instance TEXT NOT NULL, lost_s INTEGER NOT NULL,
        PRIMARY KEY (job, at)
    ) STRICT;
    CREATE INDEX evictions_of ON evictions (annex, at);
    """,
    """
    ALTER TABLE annexes ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX unsettled ON annexes (id) WHERE finished IS NOT NULL AND NOT settled;
    CREATE TABLE costs (
        id TEXT NOT NULL, started TEXT NOT NULL, month TEXT NOT NULL, micros INTEGER, PRIMARY KEY (id, started, month)
    ) STRICT;
    """,
    """
    CREATE TABLE learned (
        type TEXT NOT NULL, image TEXT NOT NULL, cpus INTEGER NOT NULL, memory_mib INTEGER NOT NULL,
        disk_taken_kib INTEGER NOT NULL, gpus INTEGER NOT NULL, since TEXT NOT NULL, PRIMARY KEY (type, image)
    ) STRICT;
    CREATE TABLE images (
        place TEXT NOT NULL, name TEXT NOT NULL, image TEXT NOT NULL, PRIMARY KEY (place, name)
    ) STRICT;
    """,
    """
    ALTER TABLE templates RENAME TO templates_of_one_place;
    CREATE TABLE templates (
        annex TEXT NOT NULL, place TEXT NOT NULL, template TEXT NOT NULL, version INTEGER NOT NULL,
        bucket TEXT NOT NULL, digest TEXT NOT NULL, url_expires TEXT NOT NULL, PRIMARY KEY (annex, place)
    ) STRICT;
    INSERT INTO templates SELECT
        annex, region || coalesce(' at ' || endpoint, '')
        || CASE credentials WHEN 'site' THEN '' ELSE ' by ' || credentials END,
        template, version, bucket, digest, url_expires
    FROM templates_of_one_place JOIN annexes ON id = annex AND finished IS NULL;
    DROP TABLE templates_of_one_place;
    """,
    """
    ALTER TABLE orders ADD COLUMN placed_by_uid INTEGER;
    ALTER TABLE annexes ADD COLUMN lifetime_s INTEGER;
    ALTER TABLE annexes ADD COLUMN lease_by TEXT;
    ALTER TABLE annexes ADD COLUMN lease_by_uid INTEGER;
    ALTER TABLE annexes ADD COLUMN ended_by TEXT;
    ALTER TABLE annexes ADD COLUMN ended_by_uid INTEGER;
    ALTER TABLE launches ADD COLUMN by_jobs TEXT NOT NULL DEFAULT '{}';
    """,
    "ALTER TABLE launches ADD COLUMN route TEXT NOT NULL DEFAULT '';",
)
"""Each takes a journal from the version that is its index to the next; a new journal takes them all."""
_VERSION = len(_STEPS)
_DEATHS_KEPT = 50


@dataclass(frozen=True)
class Template:
    """The launch template of an annex in a place, as last made or as meant, with the bundle its user data points to."""

    annex: str
    place: Place
    template: str
    """Its id; empty as long as nobody knows whether it was made."""
    version: int
    bucket: str
    digest: str
    """Of all that it was made from: another one asks for a new version."""
    url_expires: datetime


class Journal:
    """
    Raises:
        JournalBroken: From every method, when SQLite can't read or write; nothing may be launched then.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA busy_timeout = 5000")
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > _VERSION:
                raise JournalBroken(
                    f"the journal {path} is of version {version}, this program reads version {_VERSION}"
                )
            for before in range(version, _VERSION):
                self._db.executescript(f"BEGIN IMMEDIATE; {_STEPS[before]} PRAGMA user_version = {before + 1}; COMMIT;")
        except (sqlite3.Error, OSError) as error:
            raise JournalBroken(f"can't open the journal {path}: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Cursor]:
        """One transaction: all of it is written, or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db.cursor()
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:  # some errors have ended it already
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise JournalBroken(f"the journal: {error}") from error

    def annexes(self) -> tuple[Annex, ...]:
        """The living ones."""
        with self.writing() as db:
            rows = db.execute(f"SELECT {ANNEX} FROM annexes WHERE finished IS NULL ORDER BY owner, name").fetchall()
        return tuple(map(annex_of, rows))

    def begin(self, annex: Annex) -> None:
        """Begin a life; one that has begun already stays as it is, and one that was finished goes on."""
        with self.writing() as db:
            begin_life(db, annex)

    def keep_limits(self, annex: Annex) -> None:
        with self.writing() as db:
            db.execute(
                "UPDATE annexes SET max_instances = ?, max_hourly_cost = ?, budget = ?"
                " WHERE id = ? AND finished IS NULL",
                (*limits_row(annex.limits), annex.id),
            )

    def finish(self, annex: Annex, at: datetime) -> None:
        with self.writing() as db:
            db.execute("UPDATE annexes SET finished = ? WHERE id = ? AND finished IS NULL", (text(at), annex.id))
            db.execute("DELETE FROM templates WHERE annex = ?", (annex.id,))

    def launches(self, annexes: Iterable[Annex]) -> tuple[Launch, ...]:
        """Those of the lives given, oldest first."""
        query = f"SELECT {LAUNCH} FROM launches WHERE annex = ? AND intended >= ? ORDER BY intended, token"
        return tuple(launch_of(row) for row in self._of_lives(annexes, query))

    def places(self, annexes: Iterable[Annex]) -> frozenset[Place]:
        """Where the lives given have asked for machines, or have a launch template."""
        query = (
            "SELECT place FROM launches WHERE annex = ?1 AND intended >= ?2"
            " UNION SELECT place FROM templates WHERE annex = ?1"
        )
        return frozenset(Place(place) for (place,) in self._of_lives(annexes, query))

    def _of_lives(self, annexes: Iterable[Annex], query: str) -> list[tuple[str, ...]]:
        """What a query finds that takes an annex's id and when its life began, for one annex after the other."""
        with self.writing() as db:
            return [row for annex in annexes for row in db.execute(query, (annex.id, text(annex.started))).fetchall()]

    def intend(self, launch: Launch, document: str) -> None:
        """Write a launch down, with the very bytes that will be sent, before AWS hears of it."""
        with self.writing() as db:
            db.execute(
                f"INSERT INTO launches ({LAUNCH}, document) VALUES ({marks(LAUNCH)}, ?)",
                (*launch_row(launch), document),
            )

    def adopt(self, launch: Launch) -> None:
        """Take in what AWS shows; of a launch that was given up, or whose life was over, the price is still known."""
        with self.writing() as db:
            known = db.execute(
                "UPDATE launches SET intended = ?, state = ?, fleet = ?, reason = NULL, obstacle = NULL, closed = NULL"
                " WHERE token = ?",
                (text(launch.intended), launch.state, launch.fleet, launch.token),
            )
        if not known.rowcount:
            self.intend(launch, document="")

    def settle(
        self,
        token: str,
        state: LaunchState,
        *,
        fleet: str | None = None,
        reason: str | None = None,
        obstacle: Obstacle | None = None,
        closed: datetime | None = None,
        instances: Iterable[KnownInstance] = (),
    ) -> None:
        """
        Write down what came of an intended launch.

        Args:
            instances: That AWS's answer named; one that a listing has shown meanwhile stays as it is known.
        """
        with self.writing() as db:
            db.execute(
                "UPDATE launches SET state = ?, fleet = ?, reason = ?, obstacle = ?, closed = ? WHERE token = ?",
                (state, fleet, reason, obstacle, text(closed) if closed else None, token),
            )
            db.executemany(
                f"INSERT OR IGNORE INTO instances ({INSTANCE}) VALUES ({marks(INSTANCE)})", map(instance_row, instances)
            )

    def close_launch(self, token: str, at: datetime) -> None:
        with self.writing() as db:
            db.execute("UPDATE launches SET closed = ? WHERE token = ? AND closed IS NULL", (text(at), token))

    def unanswered(self) -> tuple[tuple[Launch, str], ...]:
        """Launches that were intended and have no outcome, each with the document to send again."""
        with self.writing() as db:
            rows = db.execute(
                f"SELECT {LAUNCH}, document FROM launches WHERE state = ? ORDER BY intended",
                (LaunchState.INTENDED,),
            ).fetchall()
        return tuple((launch_of(row[:-1]), row[-1]) for row in rows)

    def instances(self, annexes: Iterable[Annex]) -> tuple[KnownInstance, ...]:
        """All ever seen in the lives given."""
        query = (
            f"SELECT {INSTANCE} FROM instances WHERE annex = ? AND (gone IS NULL OR gone >= ?) ORDER BY launched, id"
        )
        return tuple(instance_of(row) for row in self._of_lives(annexes, query))

    def remember(self, instances: Iterable[KnownInstance]) -> None:
        rows = [instance_row(each) for each in instances]
        if rows:
            with self.writing() as db:
                db.executemany(f"INSERT OR REPLACE INTO instances ({INSTANCE}) VALUES ({marks(INSTANCE)})", rows)

    def keep_evictions(self, annex: str, evictions: Iterable[Eviction]) -> None:
        """One that is known already stays as it was."""
        rows = [(each.job, text(each.at), annex, each.instance, int(each.lost.total_seconds())) for each in evictions]
        if rows:
            with self.writing() as db:
                db.executemany("INSERT OR IGNORE INTO evictions VALUES (?, ?, ?, ?, ?)", rows)

    def lost(self, annexes: Iterable[Annex]) -> Mapping[str, Lost]:
        """What the lives given have lost so far, by annex id; absent is nothing."""
        query = "SELECT annex, COUNT(*), SUM(lost_s) FROM evictions WHERE annex = ? AND at >= ? GROUP BY annex"
        rows = self._of_lives(annexes, query)
        return {annex: Lost(int(jobs), timedelta(seconds=int(seconds))) for annex, jobs, seconds in rows}

    def keep_death(self, death: Death) -> None:
        """Of an annex the newest _DEATHS_KEPT stay."""
        with self.writing() as db:
            db.execute(
                f"INSERT OR REPLACE INTO deaths ({DEATH}) VALUES ({marks(DEATH)})",
                (death.instance, death.annex, text(death.at), death.reason, death.boot_log, death.console),
            )
            db.execute(
                "DELETE FROM deaths WHERE annex = ? AND instance NOT IN"
                " (SELECT instance FROM deaths WHERE annex = ? ORDER BY at DESC, instance LIMIT ?)",
                (death.annex, death.annex, _DEATHS_KEPT),
            )

    def deaths(self, annexes: Iterable[Annex]) -> tuple[Death, ...]:
        """Of the lives given, oldest first."""
        query = f"SELECT {DEATH} FROM deaths WHERE annex = ? AND at >= ? ORDER BY at, instance"
        return tuple(death_of(row) for row in self._of_lives(annexes, query))

    def templates(self, annex: str) -> Mapping[Place, Template]:
        """Those of an annex, by place."""
        with self.writing() as db:
            rows = db.execute(
                "SELECT place, template, version, bucket, digest, url_expires FROM templates WHERE annex = ?", (annex,)
            ).fetchall()
        found = (Template(annex, Place(row[0]), row[1], row[2], row[3], row[4], moment(row[5])) for row in rows)
        return {template.place: template for template in found}

    def keep_template(self, template: Template) -> None:
        with self.writing() as db:
            db.execute(
                "INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    template.annex,
                    template.place,
                    template.template,
                    template.version,
                    template.bucket,
                    template.digest,
                    text(template.url_expires),
                ),
            )
