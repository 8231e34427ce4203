"""What became of the jobs that ran on one machine."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcomes:
    """
    Source:
        The schedd's history.
    """

    well: int = 0
    """Jobs that ended with exit code 0, or after more than a moment."""
    burned: int = 0
    """Jobs that failed within a moment: what a machine does to job after job that can't run any."""
