"""The daemon's logs, in the style of HTCondor's own: one line a message, put aside when they have grown."""

import logging
import re
from datetime import datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

from annex_core.adapters.settings import LogSettings

_OURS = "annex_core"
_ASIDE = re.compile(r"\.(old|\d{8}T\d{6})")


def start(chosen: LogSettings) -> None:
    """
    Write to *chosen*.file from now on, and no more to where a start before this one wrote: at reconfig, do it again.

    Libraries' warnings come too; boto3's own chatter, which can hold what it signs, doesn't.

    Raises:
        OSError: The file can't be opened; the log before it stays.
    """
    handler = LogFile(chosen)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    for before in [handler for handler in root.handlers if isinstance(handler, LogFile)]:
        root.removeHandler(before)
        before.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    logging.getLogger(_OURS).setLevel(logging.DEBUG if chosen.full else logging.INFO)


class _Formatter(logging.Formatter):
    """`11/21/26 08:30:00 message`, local time as in every HTCondor log; a traceback's lines are indented."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname}: " if record.levelno >= logging.WARNING else ""
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return f"{at:%m/%d/%y %H:%M:%S} {level}" + text.replace("\n", "\n    ")


class LogFile(RotatingFileHandler):
    """The old file becomes FILE.old, or FILE.<when> where more than one is kept."""

    def __init__(self, chosen: LogSettings) -> None:
        super().__init__(chosen.file, maxBytes=chosen.max_bytes, backupCount=chosen.keep, encoding="utf-8")
        self._file = chosen.file
        self._keep = chosen.keep

    def doRollover(self) -> None:  # noqa: N802 - the name that logging calls
        self.acquire()
        try:
            if self.stream:
                self.stream.close()
            aside = "old" if self._keep <= 1 else f"{datetime.now().astimezone():%Y%m%dT%H%M%S}"
            self._file.replace(self._file.with_name(f"{self._file.name}.{aside}"))
            for extra in self._aside()[self._keep :]:
                extra.unlink()
            self.stream = self._open()
        finally:
            self.release()

    def _aside(self) -> list[Path]:
        """The files put aside, newest first."""
        found = self._file.parent.glob(f"{self._file.name}.*")
        return sorted((path for path in found if _ASIDE.fullmatch(path.suffix)), reverse=True)
