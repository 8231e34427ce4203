"""What the reaper of a region and the daemon tell each other: two parameters in SSM."""

HEARTBEAT = "/condor-annex/heartbeat"
"""Written by the reaper at the end of each run that saw everything."""

FREEZE = "/condor-annex/freeze"
"""Written by people; model/freeze.py reads it."""
