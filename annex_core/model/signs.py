"""What the reaper of a region, people and the daemon tell each other: two parameters in SSM."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from annex_core.model.freeze import Freeze

HEARTBEAT = "/condor-annex/heartbeat"
"""Written by the reaper at the end of each run that saw everything."""

FREEZE = "/condor-annex/freeze"
"""Written by people; model/freeze.py reads it."""

FRESH = timedelta(minutes=15)
"""The reaper runs every 5 minutes: so long without a heartbeat, three runs in a row have failed."""


@dataclass(frozen=True)
class Signs:
    """What a region's parameters told."""

    heartbeat: datetime | None = None
    """When the reaper left its last one, by our clock: its age is measured by AWS's. None: there is none."""
    freezes: tuple[Freeze, ...] = ()
    malformed: str | None = None
    """Why the freezes can't be read."""
