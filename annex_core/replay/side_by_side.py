"""A replay on all CPUs: each owner's annex has caps and luck of its own, so that owners can be played side by side."""

import ctypes
import os
import signal
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import active_children, get_context

from annex_core.model.hardware import InstanceType
from annex_core.model.route import Route
from annex_core.replay.asking import Policy
from annex_core.replay.cloud import CloudModel
from annex_core.replay.offers import Stock
from annex_core.replay.outcome import Ledger, Outcome
from annex_core.replay.simulation import Simulation
from annex_core.replay.workload import Workload, by_owner

_PR_SET_PDEATHSIG = 1
_WORTH = 20_000
"""Jobs for which a process is begun."""


def replayed(
    jobs: Workload,
    route: Route,
    types: Mapping[str, InstanceType],
    cloud: CloudModel,
    policy: Policy,
    *,
    fallbacks: Sequence[Stock] = (),
    processes: int | None = None,
) -> Outcome:
    """
    What a Simulation of the same comes to.

    Args:
        fallbacks: The routes that it names as such.
        policy: One that has decided nothing yet; each process has its own.
        processes: How many at most; None: as many as there are CPUs for this one, where the jobs are worth it.
    """
    if policy.limits:  # they bind owners together
        processes = 1
    elif processes is None:
        processes = max(min(len(os.sched_getaffinity(0)), len(jobs) // _WORTH), 1)
    parts = by_owner(jobs, processes)
    if len(parts) < 2:
        return Simulation(jobs, route, types, cloud, policy, fallbacks).run()
    play = partial(_ledger, route=route, types=types, cloud=cloud, policy=policy, fallbacks=fallbacks)
    with ProcessPoolExecutor(len(parts), get_context("spawn"), _end_with_parent) as pool:
        try:
            whole, *others = pool.map(play, parts)
        except BaseException:
            for process in active_children():
                process.terminate()
            raise
    for each in others:
        whole.add(each)
    return whole.outcome(policy.name)


def _ledger(
    jobs: Workload,
    *,
    route: Route,
    types: Mapping[str, InstanceType],
    cloud: CloudModel,
    policy: Policy,
    fallbacks: Sequence[Stock],
) -> Ledger:
    made = Simulation(jobs, route, types, cloud, policy, fallbacks)
    made.run()
    return made.ledger


def _end_with_parent() -> None:
    """However that ends; by Ctrl-C without a traceback, for the parent says what there is to say."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
