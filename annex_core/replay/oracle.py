"""Somebody who knows the future: every job starts the moment it is submitted, and no slot is paid a second too long."""

from heapq import heappop, heappush

from annex_core.replay.outcome import Outcome
from annex_core.replay.simulation import Simulation

NAME = "oracle"


def oracle(world: Simulation) -> Outcome:
    """
    What the workload would cost somebody who knows all arrivals and run times, boots in advance and pays by the slot.
    Jobs that named no annex begin when they may join one.

    Each job runs on the type that costs least for it. A slot is kept for the next job where that comes sooner than a
    boot takes, else given back; it costs its share of its machine. There is no shortage, no interruption and no machine
    that is half empty. A yardstick and no bound: nobody waits, though it might be cheaper to let short jobs wait for
    each other, and different shapes share no machine.
    """
    jobs, ledger = world.jobs, world.ledger
    boot = world.cloud.boot.total_seconds()
    best = [
        min(
            (world.hourly(name) / world.each(shape, name), world.types[name].vcpus / world.each(shape, name))
            for name in world.types
            if world.each(shape, name)
        )
        if any(world.each(shape, name) for name in world.types)
        else None
        for shape in range(len(jobs.shapes))
    ]
    busy: dict[int, list[float]] = {}
    free: dict[int, list[float]] = {}
    for job, (ran, shape) in enumerate(zip(jobs.seconds, jobs.shape, strict=True)):
        if world.runs_at_home(job):
            ledger.ran_at_home(jobs.submitted[job], jobs.began[job])
            continue
        at = jobs.submitted[job] + world.after
        price = best[shape]
        if price is None:
            ledger.unserved["could run on no type of the route"] += 1
            continue
        running, idle = busy.setdefault(shape, []), free.setdefault(shape, [])
        while running and running[0] <= at:
            idle.append(heappop(running))
        since = idle.pop() if idle else None
        if since is None or at - since > boot:
            idle.clear()
            ledger.slot(at - boot, at, at + ran, price[1], price[0])
        else:
            ledger.slot(since, since, at + ran, price[1], price[0])
        heappush(running, at + ran)
        ledger.job(jobs.submitted[job], at, at + ran, world.groups[shape].cpus)
    return ledger.outcome(NAME)
