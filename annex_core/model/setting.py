"""A setting as it is in force, and who said so."""

from dataclasses import dataclass
from enum import StrEnum


class Origin(StrEnum):
    """Whoever comes first here wins, but that a job can only ask for less: of a cap, of the idle time-out."""

    COMMAND = "command"
    JOB = "job"
    ROUTE = "route"
    POOL = "pool"
    DEFAULT = "default"


@dataclass(frozen=True)
class Setting:
    name: str
    value: str | None
    """As its place says it; None: it is not set, and nothing stands in for it."""
    origin: Origin
    where: str = ""
    """FILE:LINE, as far as it is known."""
