"""
How long one cycle of the daemon takes with 20,000 idle jobs in the queue, beside one with an empty queue.

Seen from outside: with an ANNEXD_INTERVAL of 1 s a cycle begins 1 s after the one before has ended, and each lists
AWS's instances once. What AWS took for its answers, as the local cloud tells, is taken off. The ratio of the full
queue's median to its limit is printed last.
"""

import itertools
import statistics
import sys
import time
from typing import Any

from bench.ground import calls_so_far, ground, restart_daemon, submit
from rehearsal.stage import Stage

ANNEXES = 20
JOBS_EACH = 1_000
CYCLES = 12
LIMIT_S = 3.0


def main() -> int:
    with ground() as on:
        empty = cycle_ms(on)
        restart_daemon(on, interval_s=3600)
        for number in range(ANNEXES):
            submit(on, "alice", f"cycle-{number}", JOBS_EACH)
        not_routed = ["condor_q", "-allusers", "-constraint", "AnnexRoute =?= undefined", "-format", "%d\n", "ProcId"]
        on.pool.wait_for(lambda: not on.pool.ap.run(not_routed).stdout, "the routing of all jobs", 300)
        full = cycle_ms(on)
    print(f"median of {CYCLES} cycles: {empty:.0f} ms with no job,", end=" ")
    print(f"{full:.0f} ms with {ANNEXES * JOBS_EACH} idle jobs of {ANNEXES} annexes; limit {LIMIT_S * 1000:g} ms")
    print(f"ratio {full / 1000 / LIMIT_S:.2f}")
    return 0 if full <= LIMIT_S * 1000 else 1


def cycle_ms(on: Stage) -> float:
    """The median, without AWS's time."""
    restart_daemon(on, interval_s=1)
    before = calls_so_far(on)
    time.sleep(1)
    calls = on.pool.wait_for(lambda: _cycles(on, before), f"{CYCLES} cycles")
    listings = [call["at"] for call in calls if call["action"] == "DescribeInstances"]
    return statistics.median(
        (later - earlier - 1 - answering_s(calls, earlier, later)) * 1000
        for earlier, later in itertools.pairwise(listings)
    )


def answering_s(calls: list[dict[str, Any]], earlier: float, later: float) -> float:
    """How long AWS was at any call between two moments: what it answers side by side takes its time once."""
    found, until = 0.0, earlier
    for call in sorted(calls, key=lambda call: float(call["at"])):
        ends = min(call["at"] + call["ms"] / 1000, later)
        found += max(ends - max(call["at"], until), 0.0)
        until = max(until, ends)
    return found


def _cycles(on: Stage, before: int) -> list[dict[str, Any]]:
    calls = on.cloud.calls(before)
    return calls if sum(call["action"] == "DescribeInstances" for call in calls) > CYCLES else []


if __name__ == "__main__":
    sys.exit(main())
