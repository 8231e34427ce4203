"""
How long a user's first job waits for its fleet request: from condor_submit's return to RequestSpotFleet on the wire.

The router looks at the queue once in each polling period, so that is the floor. Submits are spread evenly over it.
The ratio of the 95th percentile to its limit is printed last.
"""

import statistics
import sys
import time

from bench.ground import calls_so_far, calls_to_fleet, ground, submit

SUBMITS = 20


def main() -> int:
    waits = []
    with ground() as on:
        period = float(on.pool.knob("JOB_ROUTER_POLLING_PERIOD"))
        for number in range(SUBMITS):
            annex = f"reaction-{number}"
            time.sleep(period * number / SUBMITS)  # the fleet before this one was asked for just after a poll
            before = calls_so_far(on)
            submit(on, "alice", annex, 1)
            returned = time.time()
            waits.append(calls_to_fleet(on, annex, before)[-1]["at"] - returned)
    percentiles = statistics.quantiles(waits, n=20, method="inclusive")
    p50, p95 = percentiles[9], percentiles[18]
    limit = 2 * period + 1.5
    print(f"{SUBMITS} submits, each of a new annex; the router's polling period is {period:g} s")
    print(f"p50 {p50:.2f} s, p95 {p95:.2f} s, slowest {max(waits):.2f} s; limit of p95 {limit:g} s")
    print(f"ratio {p95 / limit:.2f}")
    return 0 if p95 <= limit else 1


if __name__ == "__main__":
    sys.exit(main())
