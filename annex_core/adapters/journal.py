"""
The journal: what was meant and what came of it, in SQLite (WAL), written before AWS is called and after.

It is memory, not truth: AWS's tags say what there is. One process writes it, the daemon, from several threads.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from annex_core.errors import JournalBroken
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import Limits
from annex_core.model.names import AnnexKey

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
)
"""Each takes a journal from the version that is its index to the next; a new journal takes them all."""
_VERSION = len(_STEPS)


@dataclass(frozen=True)
class Template:
    """The launch template of an annex as last made, with the bundle that its user data points to."""

    annex: str
    template: str
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
    def _cursor(self) -> Iterator[sqlite3.Cursor]:
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
        with self._cursor() as db:
            rows = db.execute(
                "SELECT id, owner, name, project, route, region, endpoint, started, lease_ends, ends_at_latest,"
                " max_instances, max_hourly_cost, budget FROM annexes WHERE finished IS NULL ORDER BY owner, name"
            ).fetchall()
        return tuple(map(_annex, rows))

    def begin(self, annex: Annex) -> None:
        """Begin a life; one that has begun already stays as it is, and one that was finished goes on."""
        with self._cursor() as db:
            db.execute(
                "INSERT INTO annexes (id, owner, name, project, route, region, endpoint, started, lease_ends,"
                " ends_at_latest, max_instances, max_hourly_cost, budget)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) WHERE finished IS NULL DO NOTHING"
                " ON CONFLICT (id, started) DO UPDATE SET finished = NULL",
                (
                    annex.id,
                    annex.key.owner,
                    annex.key.name,
                    annex.project,
                    annex.route,
                    annex.region,
                    annex.endpoint,
                    *map(_text, (annex.started, annex.lease_ends, annex.ends_at_latest)),
                    *_limits(annex.limits),
                ),
            )

    def keep_limits(self, annex: Annex) -> None:
        with self._cursor() as db:
            db.execute(
                "UPDATE annexes SET max_instances = ?, max_hourly_cost = ?, budget = ?"
                " WHERE id = ? AND finished IS NULL",
                (*_limits(annex.limits), annex.id),
            )

    def finish(self, annex: Annex, at: datetime) -> None:
        with self._cursor() as db:
            db.execute("UPDATE annexes SET finished = ? WHERE id = ? AND finished IS NULL", (_text(at), annex.id))
            db.execute("DELETE FROM templates WHERE annex = ?", (annex.id,))

    def launches(self, annexes: Iterable[Annex]) -> tuple[Launch, ...]:
        """Those of the lives given, oldest first."""
        found: list[Launch] = []
        with self._cursor() as db:
            for annex in annexes:
                rows = db.execute(
                    "SELECT token, annex, region, target, types, hourly_ceiling, intended, state, fleet, reason, closed"
                    " FROM launches WHERE annex = ? AND intended >= ? ORDER BY intended, token",
                    (annex.id, _text(annex.started)),
                ).fetchall()
                found += [_launch(row) for row in rows]
        return tuple(found)

    def intend(self, launch: Launch, document: str) -> None:
        """Write a launch down, with the very bytes that will be sent, before AWS hears of it."""
        with self._cursor() as db:
            db.execute(
                "INSERT INTO launches (token, annex, region, target, types, hourly_ceiling, intended, state, fleet,"
                " reason, closed, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    launch.token,
                    launch.annex,
                    launch.region,
                    launch.target,
                    ",".join(launch.types),
                    _amount(launch.hourly_ceiling),
                    _text(launch.intended),
                    launch.state,
                    launch.fleet,
                    launch.reason,
                    _text(launch.closed) if launch.closed else None,
                    document,
                ),
            )

    def adopt(self, launch: Launch) -> None:
        """Take in what AWS shows; of a launch that was given up, or whose life was over, the price is still known."""
        with self._cursor() as db:
            known = db.execute(
                "UPDATE launches SET intended = ?, state = ?, fleet = ?, reason = NULL, closed = NULL WHERE token = ?",
                (_text(launch.intended), launch.state, launch.fleet, launch.token),
            )
        if not known.rowcount:
            self.intend(launch, document="")

    def settle(self, token: str, state: LaunchState, *, fleet: str | None = None, reason: str | None = None) -> None:
        """Write down what came of an intended launch."""
        with self._cursor() as db:
            db.execute(
                "UPDATE launches SET state = ?, fleet = ?, reason = ? WHERE token = ?", (state, fleet, reason, token)
            )

    def close_launch(self, token: str, at: datetime) -> None:
        with self._cursor() as db:
            db.execute("UPDATE launches SET closed = ? WHERE token = ? AND closed IS NULL", (_text(at), token))

    def unanswered(self) -> tuple[tuple[Launch, str], ...]:
        """Launches that were intended and have no outcome, each with the document to send again."""
        with self._cursor() as db:
            rows = db.execute(
                "SELECT token, annex, region, target, types, hourly_ceiling, intended, state, fleet, reason, closed,"
                " document FROM launches WHERE state = ? ORDER BY intended",
                (LaunchState.INTENDED,),
            ).fetchall()
        return tuple((_launch(row[:-1]), row[-1]) for row in rows)

    def instances(self, annexes: Iterable[Annex]) -> tuple[KnownInstance, ...]:
        """All ever seen in the lives given."""
        found: list[KnownInstance] = []
        with self._cursor() as db:
            for annex in annexes:
                rows = db.execute(
                    "SELECT id, annex, token, type, launched, hourly_ceiling, joined, gone FROM instances"
                    " WHERE annex = ? AND (gone IS NULL OR gone >= ?) ORDER BY launched, id",
                    (annex.id, _text(annex.started)),
                ).fetchall()
                found += [_instance(row) for row in rows]
        return tuple(found)

    def remember(self, instances: Iterable[KnownInstance]) -> None:
        rows = [
            (
                each.id,
                each.annex,
                each.token,
                each.type,
                _text(each.launched),
                _amount(each.hourly_ceiling),
                _text(each.joined) if each.joined else None,
                _text(each.gone) if each.gone else None,
            )
            for each in instances
        ]
        if rows:
            with self._cursor() as db:
                db.executemany("INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def template(self, annex: str) -> Template | None:
        with self._cursor() as db:
            row = db.execute(
                "SELECT annex, template, version, bucket, digest, url_expires FROM templates WHERE annex = ?", (annex,)
            ).fetchone()
        return Template(row[0], row[1], row[2], row[3], row[4], _moment(row[5])) if row else None

    def keep_template(self, template: Template) -> None:
        with self._cursor() as db:
            db.execute(
                "INSERT OR REPLACE INTO templates VALUES (?, ?, ?, ?, ?, ?)",
                (
                    template.annex,
                    template.template,
                    template.version,
                    template.bucket,
                    template.digest,
                    _text(template.url_expires),
                ),
            )


def _annex(row: tuple[Any, ...]) -> Annex:
    id_, owner, name, project, route, region, endpoint, started, lease_ends, ends_at_latest, *limits = row
    instances, hourly, budget = limits
    return Annex(
        id=id_,
        key=AnnexKey(owner, name),
        project=project,
        route=route,
        region=region,
        endpoint=endpoint,
        started=_moment(started),
        lease_ends=_moment(lease_ends),
        ends_at_latest=_moment(ends_at_latest),
        limits=Limits(instances, _decimal(hourly), _decimal(budget)),
    )


def _limits(limits: Limits) -> tuple[int | None, str | None, str | None]:
    return limits.max_instances, _amount(limits.max_hourly_cost), _amount(limits.budget)


def _launch(row: tuple[str, ...]) -> Launch:
    token, annex, region, target, types, ceiling, intended, state, fleet, reason, closed = row
    return Launch(
        token=token,
        annex=annex,
        region=region,
        target=int(target),
        types=tuple(types.split(",")) if types else (),
        hourly_ceiling=_decimal(ceiling),
        intended=_moment(intended),
        state=LaunchState(state),
        fleet=fleet,
        reason=reason,
        closed=_moment(closed) if closed else None,
    )


def _instance(row: tuple[str, ...]) -> KnownInstance:
    id_, annex, token, type_, launched, ceiling, joined, gone = row
    return KnownInstance(
        id=id_,
        annex=annex,
        token=token,
        type=type_,
        launched=_moment(launched),
        hourly_ceiling=_decimal(ceiling),
        joined=_moment(joined) if joined else None,
        gone=_moment(gone) if gone else None,
    )


def _text(moment: datetime) -> str:
    """Fixed width and UTC, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _amount(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount)


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
