"""
How long one plan takes for a million idle jobs, by the number of their shapes, and what memory.

Each measure runs in a process of its own, planning alone: a snapshot in, a plan out. The jobs ask for CPUs, memory,
disk and GPUs at random, seeded, as condor_submit writes it; the route allows every type of the catalogue, some 1,400.
With Requirements that nothing meets, half of the shapes name a type that there isn't, which only comparing finds out.

The floor is what HTCondor's own matching takes, in the same process, to confirm that many types for each shape when
it is told which. Both are told in seconds of CPU, so that other work on the machine does not count. The ratio of the
plan of 10,000 shapes to its floor is printed last.
"""

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import classad2

from annex_core.adapters.catalogue import Catalogue
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.model.route import Route
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.planner.caps import instance_hour
from annex_core.planner.matching import ENOUGH, Matcher
from annex_core.planner.plan import plan
from annex_core.planner.shelf import shelf
from annex_core.planner.virtual_slot import Home, virtual_slot

REGION = "us-east-1"
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LIMIT_S, LIMIT_MB = 5.0, 500
LIMIT_FLOORS = 8.0
LINEAR = 1.25
"""Ten times the shapes may take so much more than ten times as long: the clock isn't exact."""
SHAPES = ((1_000, 1_000_000), (10_000, 1_000_000), (10_000, 10_000_000))
REQUIREMENTS = (
    '(TARGET.AnnexName =?= MY.TargetAnnexName) && (TARGET.AuthenticatedIdentity =?= strcat("annex-", MY.Owner, ".",'
    ' MY.TargetAnnexName, "@pool.example")) && ((TARGET.Arch == "X86_64") && (TARGET.OpSys == "LINUX") &&'
    " (TARGET.Disk >= RequestDisk) && (TARGET.Memory >= RequestMemory) && (TARGET.Cpus >= RequestCpus)"
    " && (TARGET.HasFileTransfer))"
)


def groups(shapes: int, jobs: int, nothing: bool) -> Iterator[JobGroup]:
    chosen = random.Random(4)  # noqa: S311 - a seed, not a secret
    key = AnnexKey("alice", "bench")
    for number in range(shapes):
        cpus = chosen.choice((1, 1, 1, 2, 4, 8, 16, 32))
        memory, disk = chosen.randint(500, 6000) * cpus, chosen.randint(1, 10**7)
        gpus = 1 if number % 20 == 0 else 0
        text = REQUIREMENTS
        if gpus:
            text += " && (countMatches(MY.RequireGPUs, TARGET.AvailableGPUs) >= RequestGPUs)"
        if nothing:
            text += f' && TARGET.EC2InstanceType == "none.{number}"' if number % 2 else f" && TARGET.HasThing{number}"
        ad = classad2.ClassAd(
            {
                "MyType": "Job",
                "Owner": key.owner,
                "TargetAnnexName": key.name,
                "RequestCpus": cpus,
                "RequestMemory": memory,
                "RequestDisk": disk,
                "Requirements": classad2.ExprTree(text),
            }
        )
        if gpus:
            ad["RequestGPUs"] = gpus
            ad["RequireGPUs"] = classad2.ExprTree(f"GlobalMemoryMb >= {chosen.choice((8000, 14000, 40000))}")
        yield JobGroup(key, "physics", "bench", jobs // shapes, cpus, memory, disk, gpus, ad=ad)


def snapshot(shapes: int, jobs: int, nothing: bool) -> Snapshot:
    catalogue = Catalogue()
    types = catalogue.types(REGION, catalogue.names)
    route = Route(
        name="bench",
        region=REGION,
        subnets=tuple(f"subnet-{zone}" for zone in "abcdef"),
        image="ami-1",
        instance_types=tuple(sorted(types)),
        bucket="bucket",
        fleet_role="arn:aws:iam::123456789012:role/fleet",
        max_instances=10_000,
        budget=Decimal(10_000_000),
        reaper=False,
    )
    return Snapshot(
        at=NOW,
        demand=tuple(groups(shapes, jobs, nothing)),
        slots=(),
        slots_since=NOW - timedelta(hours=1),
        regions={REGION: RegionView()},
        routes={route.name: route},
        types={REGION: types},
        domain="pool.example",
        access_point="ap.example",
    )


def floor(of: Snapshot) -> float:
    """Seconds that ENOUGH comparisons for each shape take, by HTCondor alone."""
    groups = of.demand or ()
    home = Home(groups[0].key, groups[0].project, groups[0].route or "")
    kinds = list(of.types[REGION].values())[:ENOUGH]
    slots = [virtual_slot(kind, home, domain=of.domain, volume_gib=Route.volume_gib) for kind in kinds]
    began = time.process_time()
    for group in groups:
        for slot in slots:
            group.ad.symmetricMatch(slot)
    return time.process_time() - began


def measured(shapes: int, jobs: int, nothing: bool) -> None:
    """In a process of its own: seconds, MB and what was found, as JSON on stdout."""
    of = snapshot(shapes, jobs, nothing)
    matcher = Matcher(domain=of.domain)
    began = time.process_time()
    decided = plan(of, matcher)
    took = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (outlook,) = decided.outlooks.values()
    matcher.begin()
    kinds = shelf(
        of.types[REGION].values(), lambda kind: instance_hour(kind, of.routes["bench"]), volume_gib=Route.volume_gib
    )
    found = matcher.find([(group, group.idle) for group in of.demand or ()], kinds)
    offers = sorted(len(each.types) for each in found)
    print(
        json.dumps(
            {
                "seconds": took,
                "floor": floor(of),
                "megabytes": peak,
                "compared": matcher.compared,
                "least": offers[0],
                "median": offers[len(offers) // 2],
                "settled": sum(each.settled for each in found),
                "says": outlook.reason,
                "asked": sum(getattr(action, "target", 0) for action in decided.actions),
            }
        )
    )


def main() -> int:
    if len(sys.argv) > 1:
        measured(int(sys.argv[1]), int(sys.argv[2]), bool(int(sys.argv[3])))
        return 0
    print(f"limits: {LIMIT_S:g} s and {LIMIT_MB} MB for 10,000 shapes with {ENOUGH} types found for each")
    seconds, floors = {}, {}
    kept = True
    for shapes, jobs, nothing in [*((*each, False) for each in SHAPES), (10_000, 1_000_000, True)]:
        command = [sys.executable, "-m", "bench.plan", str(shapes), str(jobs), str(int(nothing))]
        got = json.loads(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
        seconds[shapes, jobs, nothing], floors[shapes, jobs, nothing] = got["seconds"], got["floor"]
        kept = kept and got["seconds"] <= LIMIT_S and got["megabytes"] <= LIMIT_MB
        kind = "that nothing meets" if nothing else f"with {got['least']} types found at least, {got['median']} mostly"
        print(
            f"{jobs:10,} jobs in {shapes:6,} shapes {kind}: {got['seconds']:.2f} s, floor {got['floor']:.2f} s,",
            end=" ",
        )
        print(f"{got['megabytes']:.0f} MB,", end=" ")
        print(f"{got['compared']:,} comparisons, {got['settled']:,} shapes settled, {got['asked']:,} machines")
        print(f"           {got['says']}")
    few, many, more = (seconds[(*each, False)] for each in SHAPES)
    print(f"ten times the shapes: {many / few:.1f} times as long; ten times the jobs: {more / many:.2f}")
    ratio = many / floors[(*SHAPES[1], False)]
    kept = kept and many / few <= 10 * LINEAR and more / many <= LINEAR
    print(f"ratio {ratio:.2f}")
    return 0 if kept and ratio <= LIMIT_FLOORS else 1


if __name__ == "__main__":
    sys.exit(main())
