"""Jobs that lost their machine to AWS, and the work that went with it."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Eviction:
    """
    A job that had to leave its machine.

    Source:
        The job's ad, as the schedd keeps it from then on.
    """

    job: str
    """ClusterId.ProcId."""
    at: datetime
    instance: str
    """Where it ran."""
    lost: timedelta
    """Of its last run, what was neither written out as it left nor kept by a checkpoint before."""


@dataclass(frozen=True)
class Lost:
    """What an annex's life has lost to interruptions so far."""

    jobs: int = 0
    """Evictions; a job that was hit twice counts twice."""
    work: timedelta = timedelta(0)
