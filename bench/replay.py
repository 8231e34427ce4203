"""
How long a replay takes: 1,000,000 jobs through the planner, in 200 shapes, and in 10,000 beside it.

Twenty owners submit in bursts by day over 30 days. The ratio of the 200 shapes' time to its limit is printed last.
"""

import random
import sys
import time
from collections.abc import Iterator

from annex_core.adapters.catalogue import Catalogue
from annex_core.model.route import Route
from annex_core.replay.cloud import CloudModel
from annex_core.replay.planning import Planner
from annex_core.replay.side_by_side import replayed
from annex_core.replay.workload import Arrival, Shape, workload

JOBS = 1_000_000
LIMIT_S = 60.0
OWNERS = 20
DAYS = 30
ROUTE = Route(
    name="bench",
    region="us-east-2",
    subnets=("subnet-1",),
    image="ami-1",
    instance_types=("c5.large", "c5.4xlarge", "c5.12xlarge", "m5.xlarge", "m5.4xlarge", "r5.4xlarge"),
    bucket="bucket",
    fleet_role="arn:aws:iam::123456789012:role/fleet",
    max_instances=500,
)


def arrivals(jobs: int, shapes: int) -> Iterator[Arrival]:
    luck = random.Random(1)  # noqa: S311 - a workload, not a secret
    kinds = [
        Shape(
            owner=f"owner{number % OWNERS}",
            cpus=luck.choice((1, 1, 1, 2, 4, 8)),
            memory_mib=luck.choice((500, 1500, 3000, 6000)) + number,
            executable=f"program{number}",
        )
        for number in range(shapes)
    ]
    means = [luck.choice((300, 900, 3600, 7200)) for _ in kinds]
    made = 0
    while made < jobs:
        of = luck.randrange(shapes)
        began = 1.7e9 + luck.randrange(DAYS) * 86400 + luck.gauss(13 * 3600, 3 * 3600)
        for at in range(min(max(1, int(luck.expovariate(shapes / jobs * 10))), jobs - made)):
            yield Arrival(kinds[of], began + at * 0.2, means[of] * luck.lognormvariate(0, 0.4))
            made += 1


def main() -> int:
    took = {shapes: _measured(shapes) for shapes in (200, 10_000)}
    print(f"ratio {took[200] / LIMIT_S:.2f}")
    return 0 if took[200] <= LIMIT_S else 1


def _measured(shapes: int) -> float:
    jobs = workload(arrivals(JOBS, shapes))
    began = time.perf_counter()
    types = Catalogue().types(ROUTE.region, ROUTE.instance_types)
    found = replayed(jobs, ROUTE, types, CloudModel(), Planner("route"))
    took = time.perf_counter() - began
    print(
        f"{len(jobs):,} jobs in {len(jobs.shapes):,} shapes: {took:.1f} s, {found.plans:,} plans, "
        f"{found.machines:,} machines, mean wait {found.mean_wait / 60:.0f} min"
    )
    print(*found.why_unserved, sep="\n")
    return took


if __name__ == "__main__":
    sys.exit(main())
