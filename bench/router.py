"""
What hooks cost the job router: 5,000 jobs through an annex route, beside as many through the same route without hooks.

Both pass the same transforms; the jobs of the second kind have their HookKeyword taken away at submit. The time is
the router's own: from when it finds a cluster's first job to when it has edited the last one, by its log, so that the
moment of the submit in its polling period doesn't count. The order alternates, and the fastest run of each kind
counts, for what else the machine does can only add to it. The ratio of the rates is printed last.
"""

import functools
import re
import sys
from datetime import datetime

from bench.ground import ground, submit
from rehearsal.stage import Stage

JOBS = 5_000
ORDER = (True, False, False, True, True, False)
"""With hooks or without."""
LIMIT = 0.85
_CONFIG = """\
JOB_ROUTER_DEBUG = D_SUB_SECOND D_FULLDEBUG
MAX_JOB_ROUTER_LOG = 1 Gb
JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) WithoutHook
JOB_TRANSFORM_WithoutHook @=end
  REQUIREMENTS WithoutHook =?= true
  DELETE HookKeyword
@end
"""
_STAMP = r"^(\S+ \S+) JobRouter"


def main() -> int:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    with ground(_CONFIG) as on:
        for number, hooks in enumerate(ORDER):
            cluster = submit(on, "alice", f"router-{number}", JOBS, commands="" if hooks else "+WithoutHook = True")
            routed = functools.partial(routing_s, on, cluster)
            took = on.pool.wait_for(routed, f"the routing of cluster {cluster}", 180) or 0.0
            seconds[hooks].append(took)
            print(f"{'with' if hooks else 'without'} hooks: {took:5.1f} s, {JOBS / took:4.0f} jobs a second")
            on.pool.ap.run(["condor_rm", str(cluster)], user="alice")
    ratio = min(seconds[False]) / min(seconds[True])
    print(f"{JOBS} jobs each; at least {LIMIT} of the rate without hooks is asked for")
    print(f"ratio {ratio:.2f}")
    return 0 if ratio >= LIMIT else 1


def routing_s(on: Stage, cluster: int) -> float | None:
    """Seconds from the first job found to the last one edited; None while there are more to edit."""
    log = on.pool.ap.read("/var/log/condor/JobRouterLog")
    edited = re.findall(rf"{_STAMP} \(src={cluster}\.\d+,.*\): Done editing job", log, re.MULTILINE)
    if len(edited) < JOBS:
        return None
    found = re.search(rf"{_STAMP}: Found candidate job src={cluster}\.", log, re.MULTILINE)
    assert found
    return (_moment(edited[-1]) - _moment(found[1])).total_seconds()


def _moment(stamp: str) -> datetime:
    return datetime.strptime(stamp, "%m/%d/%y %H:%M:%S.%f")  # noqa: DTZ007 - only differences count


if __name__ == "__main__":
    sys.exit(main())
