"""
How much dearer our packing of one instant's jobs is than the linear programme says it could be.

Seeded families of idle jobs are packed on the types of the catalogue by planner/sizing.py, and the same jobs and types
are given to scipy's HiGHS: machines and jobs in fractions, each type holding what its machines have together of CPUs,
memory, disk and GPUs, and no more jobs of a kind for each machine than one machine runs. No packing of whole jobs on
whole machines costs less than that, and some must cost more.

Where fewer than ten machines are chosen, fractions say little; there the best integer solution stands beside ours, and
has no limit. The worst family's median of the ratio of dollars is printed last.
"""

import random
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import classad2
import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linprog, milp
from scipy.sparse import csr_array, lil_array

from annex_core.adapters.catalogue import Catalogue
from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.route import Route
from annex_core.planner.caps import instance_hour
from annex_core.planner.lifetimes import Numbers
from annex_core.planner.matching import Matcher
from annex_core.planner.shelf import Shelf, shelf, sizes, wants
from annex_core.planner.sizing import pack
from annex_core.replay.offers import holdings

MEDIAN, WORST = 1.08, 1.15
SEEDS = 10
FEW = 10
"""Machines."""
SOLVER_S = 20.0
KEY = AnnexKey("alice", "bench")
ROUTE = Route("bench", "us-east-1", ("subnet-1",), "ami-1", (), volume_gib=100)
COMMON = ("c5", "c6a", "c6i", "m5", "m6a", "m6i", "r5", "r6a", "r6i")
"""Families of types as an administrator lists them; others have the whole catalogue."""

Kinds = Sequence[InstanceType]


@dataclass(frozen=True)
class Instant:
    groups: Sequence[JobGroup]
    kinds: Kinds


def group(jobs: int, cpus: int, memory: int, disk: int = 1024, gpus: int = 0, requirements: str = "true") -> JobGroup:
    ad = classad2.ClassAd({"RequestCpus": cpus, "RequestMemory": memory, "RequestDisk": disk, "RequestGPUs": gpus})
    ad["Requirements"] = classad2.ExprTree(requirements)
    return JobGroup(KEY, "physics", "bench", jobs, cpus, memory, disk, gpus, ad=ad)


def like_jobs(luck: random.Random) -> Iterator[JobGroup]:
    """One shape, as one large cluster has."""
    yield group(luck.randint(200, 5000), luck.choice((1, 1, 2, 4)), luck.randint(500, 7000))


def few_shapes(luck: random.Random) -> Iterator[JobGroup]:
    for _ in range(luck.randint(2, 6)):
        cpus = luck.choice((1, 1, 2, 4, 8))
        yield group(luck.randint(50, 2000), cpus, cpus * luck.choice((1000, 2000, 4000, 8000)))


def odd_sizes(luck: random.Random) -> Iterator[JobGroup]:
    """Sizes that no type is a multiple of."""
    for _ in range(luck.randint(3, 12)):
        cpus = luck.randint(1, 13)
        yield group(luck.randint(20, 400), cpus, luck.randint(300, 9000) * cpus, luck.randint(10**6, 2 * 10**7))


def cpu_and_memory(luck: random.Random) -> Iterator[JobGroup]:
    """Jobs of much memory beside jobs of many CPUs: together they fill machines that neither would."""
    for _ in range(3):
        yield group(luck.randint(100, 600), luck.choice((1, 1, 2)), luck.randint(9000, 30_000))
        yield group(luck.randint(100, 600), luck.choice((2, 3, 4, 6)), luck.randint(500, 4000))


def many_shapes(luck: random.Random) -> Iterator[JobGroup]:
    for _ in range(150):
        cpus = luck.choice((1, 1, 1, 2, 4, 8, 16))
        yield group(luck.randint(1, 60), cpus, luck.randint(400, 6000) * cpus, luck.randint(1, 10**7))


def gpu_islands(luck: random.Random) -> Iterator[JobGroup]:
    """Jobs with GPUs among many without."""
    for _ in range(3):
        gpus = luck.choice((1, 1, 1, 2, 4))
        yield group(luck.randint(10, 120), luck.randint(1, 4) * gpus, luck.randint(4000, 15_000) * gpus, gpus=gpus)
    yield from few_shapes(luck)


def choosy(luck: random.Random) -> Iterator[JobGroup]:
    """Some jobs run on ARM, some on one of Intel's or AMD's, some want large machines alone."""
    texts = (
        'TARGET.Arch == "aarch64"',
        'TARGET.Arch == "X86_64"',
        'TARGET.Arch == "X86_64" && TARGET.Cpus >= 16',
        'TARGET.EC2InstanceType != "c6a.large"',
    )
    for text in texts:
        cpus = luck.choice((1, 2, 3, 4))
        yield group(luck.randint(50, 800), cpus, cpus * luck.randint(800, 8000), requirements=text)


FAMILIES: dict[str, tuple[Callable[[random.Random], Iterator[JobGroup]], bool]] = {
    "like jobs": (like_jobs, True),
    "few shapes": (few_shapes, True),
    "few shapes, all types": (few_shapes, False),
    "odd sizes": (odd_sizes, True),
    "CPUs and memory": (cpu_and_memory, True),
    "many shapes": (many_shapes, True),
    "GPU islands": (gpu_islands, False),
    "choosy": (choosy, False),
}
"""With whether the types are COMMON ones."""


def small(luck: random.Random) -> Iterator[JobGroup]:
    for _ in range(luck.randint(1, 3)):
        cpus = luck.choice((1, 2, 3, 4))
        yield group(luck.randint(1, 12), cpus, cpus * luck.choice((1000, 3000, 7000)))


def instants(make: Callable[[random.Random], Iterator[JobGroup]], common: bool) -> Iterator[Instant]:
    catalogue = Catalogue()
    names = [name for name in catalogue.names if not common or name.partition(".")[0] in COMMON]
    kinds = [
        kind
        for kind in catalogue.types(ROUTE.region, sorted(names)).values()
        if kind.on_demand is not None and not kind.name.endswith(".metal")
    ]
    for seed in range(SEEDS):
        yield Instant(tuple(make(random.Random(seed))), kinds)  # noqa: S311 - a seed, not a secret


def ours(of: Instant) -> tuple[float, int]:
    """Dollars an hour of our packing, and its machines."""
    matcher = Matcher(domain="bench")
    matcher.begin()
    on = on_shelf(of.kinds)
    found = matcher.find([(each, each.idle) for each in of.groups], on)
    price = {kind.name: hour(kind) for kind in of.kinds}
    loads = list(pack(found, on, matcher))
    served = [0] * len(of.groups)
    for load in loads:
        for at, jobs in load.jobs:
            served[at] += jobs * load.machines
    assert served == [each.idle for each in of.groups], "not all jobs are served"
    return sum(min(price[name] for name in load.types) * load.machines for load in loads), sum(
        load.machines for load in loads
    )


def on_shelf(kinds: Kinds) -> Shelf:
    return shelf(kinds, lambda kind: instance_hour(kind, ROUTE), volume_gib=ROUTE.volume_gib)


def hour(kind: InstanceType) -> float:
    price = instance_hour(kind, ROUTE)
    assert price is not None, f"{kind.name} has no price"
    return float(price)


def matching(of: Instant) -> Numbers:
    """How many jobs of a group (row) one machine of a type (column) runs; 0 where they don't match."""
    held = holdings(of.groups, {kind.name: kind for kind in of.kinds}, Matcher(domain="bench"), ROUTE)
    return np.array([[each[kind.name] for kind in of.kinds] for each in held], dtype=np.float64)


def relaxed(of: Instant) -> float:
    """Dollars an hour of the linear programme: variables are machines of each type, then jobs of each pair."""
    each = matching(of)
    pairs = [(int(g), int(t)) for g, t in np.argwhere(each > 0)]
    types, jobs = len(of.kinds), len(pairs)
    want = np.array([wants(group) for group in of.groups], dtype=np.float64)
    have = np.array([sizes(kind, ROUTE.volume_gib) for kind in of.kinds], dtype=np.float64)
    rows = lil_array((4 * types + jobs, types + jobs))
    served = lil_array((len(of.groups), types + jobs))
    for t in range(types):
        for resource in range(4):
            rows[4 * t + resource, t] = -have[t, resource]
    for at, (g, t) in enumerate(pairs):
        for resource in range(4):
            if want[g, resource]:
                rows[4 * t + resource, types + at] = want[g, resource]
        rows[4 * types + at, types + at] = 1.0
        rows[4 * types + at, t] = -each[g, t]
        served[g, types + at] = 1.0
    cost = np.concatenate([[hour(kind) for kind in of.kinds], np.zeros(jobs)])
    solved = linprog(
        cost,
        A_ub=csr_array(rows),
        b_ub=np.zeros(4 * types + jobs),
        A_eq=csr_array(served),
        b_eq=[group.idle for group in of.groups],
        method="highs",
    )
    assert solved.success, solved.message
    return float(solved.fun)


def best_whole(of: Instant, most: float) -> float | None:
    """
    Dollars an hour of the best packing of whole jobs on whole machines; None where the solver did not get there.

    Args:
        most: Dollars an hour of one that is known.
    """
    each = matching(of)
    worthwhile = [t for t, kind in enumerate(of.kinds) if each[:, t].any() and hour(kind) <= most]
    machines = [(t, n) for t in _undominated(of, worthwhile) for n in range(min(FEW, int(most / hour(of.kinds[t]))))]
    groups = len(of.groups)
    want = np.array([wants(group) for group in of.groups], dtype=np.float64)
    width = len(machines) * (1 + groups)
    rows = lil_array((4 * len(machines), width))
    served = lil_array((groups, width))
    upper = np.ones(width)
    for at, (t, _) in enumerate(machines):
        have = sizes(of.kinds[t], ROUTE.volume_gib)
        for resource in range(4):
            rows[4 * at + resource, at] = -have[resource]
            for g in range(groups):
                rows[4 * at + resource, len(machines) + at * groups + g] = want[g, resource]
        for g in range(groups):
            served[g, len(machines) + at * groups + g] = 1.0
            upper[len(machines) + at * groups + g] = each[g, t]
    idle = [group.idle for group in of.groups]
    solved = milp(
        np.concatenate([[hour(of.kinds[t]) for t, _ in machines], np.zeros(width - len(machines))]),
        constraints=[
            LinearConstraint(csr_array(rows), -np.inf, 0),
            LinearConstraint(csr_array(served), idle, idle),
        ],
        integrality=np.ones(width),
        bounds=Bounds(0, upper),
        options={"time_limit": SOLVER_S},
    )
    return float(solved.fun) if solved.status == 0 else None


def _undominated(of: Instant, among: Iterable[int]) -> list[int]:
    """Types that no other one holds as much as, for less."""
    some = list(among)
    have = {t: np.array(sizes(of.kinds[t], ROUTE.volume_gib)) for t in some}
    price = {t: (hour(of.kinds[t]), of.kinds[t].name) for t in some}
    return [t for t in some if not any(price[o] < price[t] and (have[o] >= have[t]).all() for o in some if o != t)]


def measured(name: str) -> tuple[float, float]:
    """Median and worst ratio of a family, printed."""
    ratios, chosen = [], []
    for of in instants(*FAMILIES[name]):
        dollars, machines = ours(of)
        if machines >= FEW:
            ratios.append(dollars / relaxed(of))
            chosen.append(machines)
    median, worst = statistics.median(ratios), max(ratios)
    print(
        f"{name:22} {len(ratios):2} of {SEEDS} seeds, {min(chosen):4} to {max(chosen):4} machines: "
        f"median {median:.3f}, worst {worst:.3f}",
        flush=True,
    )
    return median, worst


def few_machines() -> None:
    ratios = []
    unsolved = 0
    for of in instants(small, True):
        dollars, _ = ours(of)
        best = best_whole(of, dollars)
        if best is None:
            unsolved += 1
        else:
            ratios.append(dollars / best)
    print(
        f"under {FEW} machines, to the best integer solution (no limit): median {statistics.median(ratios):.3f}, "
        f"worst {max(ratios):.3f}, {sum(ratio < 1.0001 for ratio in ratios)} of {len(ratios)} are it, "
        f"{unsolved} not solved in {SOLVER_S:g} s"
    )


def main() -> int:
    print(f"limits: median {MEDIAN}, worst {WORST}, of the dollars an hour to the linear programme's")
    found = [measured(name) for name in FAMILIES]
    few_machines()
    median, worst = max(each for each, _ in found), max(each for _, each in found)
    print(f"worst ratio {worst:.3f}")
    print(f"ratio {median:.3f}")
    return 0 if median <= MEDIAN and worst <= WORST else 1


if __name__ == "__main__":
    sys.exit(main())
