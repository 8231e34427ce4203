"""Who had what done: one record for each command, hook and call that changes something at AWS."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Origin(StrEnum):
    """What something was done for."""

    HOOK = "hook"
    COMMAND = "command"
    GROWTH = "growth"
    """Machines that jobs need."""
    LEASE = "lease"
    """Moving leases, ending and tidying up."""


@dataclass(frozen=True)
class Who:
    """A user; by the kernel's word where uid and pid are known."""

    user: str | None
    uid: int | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Record:
    at: datetime
    origin: Origin
    what: str
    """A verb on the socket, or a call such as ec2:RequestSpotFleet."""
    outcome: str
    """`ok`, AWS's error code, or the sentence of a refusal."""
    who: Who | None = None
    """None: the daemon, by itself."""
    annex: str | None = None
    """owner/name; several with commas between them."""
    region: str | None = None
    aws_request_id: str | None = None
    asked: str | None = None
    """The body of a command as JSON, without what may hold secrets."""
