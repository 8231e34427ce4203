"""The audit log of the verbs that change something at AWS themselves: a line a call, as the daemon's has it."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

from annex_core.adapters.audit import AuditLog, because
from annex_core.adapters.aws_answers import Answered
from annex_core.adapters.server import Peer
from annex_core.adapters.settings import LogSettings
from annex_core.errors import Refused
from annex_core.model.audit import Origin, Who


def auditor(file: str | None) -> Callable[[Answered], None]:
    """
    What keeps AWS's answers to this process's user; nothing does where no file is named.

    Raises:
        Refused: The file can't be written to.
    """
    if file is None:
        return lambda _: None
    log, chosen = AuditLog(), LogSettings(Path(file), max_bytes=0, keep=0)
    me = Peer(os.getuid(), os.getgid(), os.getpid())
    try:
        log.start(chosen)
    except OSError as error:
        raise Refused(f"-audit-log {file}: {error.strerror}; nothing was asked of AWS") from error
    log.close()

    def told(answered: Answered) -> None:
        if answered.changes:
            try:
                log.start(chosen)
            except OSError as error:  # what has begun goes on, as the daemon does
                print(f"-audit-log {file}: {error.strerror}", file=sys.stderr)
                return
            with because(Origin.COMMAND, who=Who(me.name, me.uid, me.pid)):
                log.told(answered)
            log.close()

    return told
