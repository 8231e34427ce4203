"""The audit log: a JSON object a line for whatever was asked of the daemon, and by it of AWS, to change something."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime

from annex_core.adapters.aws_answers import Answered
from annex_core.adapters.log import LogFile
from annex_core.adapters.settings import LogSettings
from annex_core.model.audit import Origin, Record, Who
from annex_core.model.tags import stamp


@dataclass(frozen=True)
class _Cause:
    origin: Origin = Origin.LEASE
    annex: str | None = None
    who: Who | None = None


_CAUSE: ContextVar[_Cause] = ContextVar("cause")


@contextmanager
def because(origin: Origin, annex: str | None = None, who: Who | None = None) -> Iterator[None]:
    """Inside, what this thread has AWS change is recorded as done for this."""
    before = _CAUSE.set(_Cause(origin, annex, who))
    try:
        yield
    finally:
        _CAUSE.reset(before)


class AuditLog:
    """
    Raises:
        OSError: From start(), when the file can't be opened. A record that can't be written is told to the daemon's own
            log, and holds nothing up: machines must end though a disk is full.
    """

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._file: LogFile | None = None

    def start(self, chosen: LogSettings) -> None:
        """Write there from now on; at reconfig, once more."""
        opened, before = LogFile(chosen), self._file
        self._file = opened
        if before:
            before.close()

    def close(self) -> None:
        if self._file:
            self._file.close()

    def write(self, record: Record) -> None:
        line = logging.LogRecord("", logging.INFO, "", 0, _json(record), None, None)
        if self._file:
            self._file.handle(line)

    def told(self, answered: Answered) -> None:
        """One of AWS's answers, in the thread that asked; what only asks is nothing for an audit."""
        if not answered.changes:
            return
        cause = _CAUSE.get(_Cause())
        self.write(
            Record(
                at=self._clock(),
                origin=cause.origin,
                what=f"{answered.service}:{answered.operation}",
                outcome=answered.code or "ok",
                who=cause.who,
                annex=cause.annex,
                region=answered.region,
                aws_request_id=answered.request_id,
            )
        )


def _json(record: Record) -> str:
    who = record.who
    line = {
        "at": stamp(record.at),
        "who": {"user": who.user, "uid": who.uid, "pid": who.pid} if who else None,
        "from": record.origin,
        "what": record.what,
        "annex": record.annex,
        "region": record.region,
        "outcome": record.outcome,
        "aws_request_id": record.aws_request_id,
    }
    return json.dumps(line | ({"asked": json.loads(record.asked)} if record.asked else {}))
