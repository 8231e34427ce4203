"""
How many calls to AWS a fleet takes: from submit to RequestSpotFleet, for 1 job and for 10,000.

The ratio of the two is printed last; it is 1 when the number of jobs makes no difference.
"""

import sys
import time
from collections import Counter
from typing import Any

from bench.ground import calls_so_far, calls_to_fleet, ground, restart_daemon, submit

MANY = 10_000
LIMIT = 6


def main() -> int:
    with ground() as on:
        print(f"at its start the daemon asks: {named(restart_daemon(on, interval_s=3600))}")
        print("then it looks around once an hour here, so that all calls below follow from the submit")
        counts = []
        for annex, jobs in (("one", 1), ("many", MANY)):
            before = calls_so_far(on)
            submit(on, "alice", annex, jobs)
            returned = time.time()
            calls = calls_to_fleet(on, annex, before)
            counts.append(len(calls))
            waited = calls[-1]["at"] - returned
            print(f"{jobs:6} jobs: {len(calls)} calls, limit {LIMIT}, the last after {waited:.1f} s: {named(calls)}")
    one, many = counts
    print(f"ratio {many / one:.2f}")
    return 0 if one == many <= LIMIT else 1


def named(calls: list[dict[str, Any]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in Counter(call["action"] for call in calls).items())


if __name__ == "__main__":
    sys.exit(main())
