"""
How long one cycle of the daemon takes with 20,000 idle jobs in the queue, beside one with an empty queue.

Seen from outside: with an ANNEXD_INTERVAL of 1 s a cycle begins 1 s after the one before has ended, and each lists
AWS's instances once. The ratio of the medians is printed last; it has no limit.
"""

import itertools
import statistics
import sys
import time

from bench.ground import calls_so_far, calls_to_fleet, ground, restart_daemon, submit
from rehearsal.stage import Stage

ANNEXES = 20
JOBS_EACH = 1_000
CYCLES = 12


def main() -> int:
    with ground() as on:
        empty = cycle_ms(on)
        restart_daemon(on, interval_s=3600)
        for number in range(ANNEXES):
            before = calls_so_far(on)
            submit(on, "alice", f"cycle-{number}", JOBS_EACH)
            calls_to_fleet(on, f"cycle-{number}", before)
        not_routed = ["condor_q", "-allusers", "-constraint", "AnnexRoute =?= undefined", "-format", "%d\n", "ProcId"]
        on.pool.wait_for(lambda: not on.pool.ap.run(not_routed).stdout, "the routing of all jobs", 180)
        full = cycle_ms(on)
    print(f"median of {CYCLES} cycles: {empty:.0f} ms with no job,", end=" ")
    print(f"{full:.0f} ms with {ANNEXES * JOBS_EACH} idle jobs of {ANNEXES} annexes")
    print(f"ratio {full / empty:.1f}")
    return 0


def cycle_ms(on: Stage) -> float:
    restart_daemon(on, interval_s=1)
    before = calls_so_far(on)
    time.sleep(1)
    listings = on.pool.wait_for(lambda: _listings(on, before), f"{CYCLES} cycles")
    return statistics.median(later - earlier - 1 for earlier, later in itertools.pairwise(listings)) * 1000


def _listings(on: Stage, before: int) -> list[float]:
    moments = [call["at"] for call in on.cloud.calls(before) if call["action"] == "DescribeInstances"]
    return moments if len(moments) > CYCLES else []


if __name__ == "__main__":
    sys.exit(main())
