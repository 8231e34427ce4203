"""
What the benches in a real pool stand on: the rehearsal's pool and local cloud, with two changes.

The cloud takes every fleet request and never fills it, so that no machine competes for the processor. The daemon
looks around by itself once an hour only, so that what is measured is what a hook's word sets off.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from rehearsal.image import Images
from rehearsal.stage import Stage, stage

_QUIET_S = 1.5
_CONFIG = "/etc/condor/config.d/99-the-bench.config"
"""Read after the rehearsal's own."""


@contextlib.contextmanager
def ground(config: str = "") -> Iterator[Stage]:
    """
    Args:
        config: More of HTCondor's configuration for the access point.
    """
    images = Images.from_environment()
    if images is None:
        raise SystemExit("this runs in the sandbox, by make: see `make help`")
    with stage(images) as on:
        on.cloud.settings(fill_fraction=0.0, fill_rest_after_s=None)
        restart_daemon(on, interval_s=3600, config=config)
        yield on


def restart_daemon(on: Stage, *, interval_s: int, config: str = "") -> list[dict[str, Any]]:
    """Start condor_annexd anew with that ANNEXD_INTERVAL; the calls to AWS that it begins with."""
    listens = ["test", "-S", on.pool.knob("ANNEXD_SOCKET")]
    on.pool.ap.write(_CONFIG, f"ANNEXD_INTERVAL = {interval_s}\n{config}")
    on.pool.ap.run(["condor_reconfig"])
    on.pool.ap.run(["condor_off", "-daemon", "annexd"])
    on.pool.wait_for(lambda: on.pool.ap.run(listens, check=False).returncode, "the end of condor_annexd")
    before = calls_so_far(on)
    on.pool.ap.run(["condor_on", "-daemon", "annexd"])
    on.pool.wait_for(lambda: not on.pool.ap.run(listens, check=False).returncode, "condor_annexd")
    quiet_s = min(_QUIET_S, interval_s / 2)
    return on.pool.wait_for(lambda: _all_of_a_start(on.cloud.calls(before), quiet_s), "its first look")


def _all_of_a_start(calls: list[dict[str, Any]], quiet_s: float) -> list[dict[str, Any]]:
    """
    The calls, once a look around and a route's first look were made and nothing more comes of them; none before that.

    Routes are looked at before their first launch, last of all for whose account it is. A cycle follows, which lists
    anew or, where the first listing took its time, is content with that one.
    """
    if not {"GetCallerIdentity", "DescribeSpotFleetRequests"} <= {call["action"] for call in calls}:
        return []
    return calls if time.time() - max(call["at"] for call in calls) > quiet_s else []


def submit(on: Stage, user: str, annex: str, jobs: int, *, commands: str = "") -> int:
    """
    Jobs that no machine ever runs; returns their cluster.

    Args:
        commands: More lines of the submit file.
    """
    text = f"executable = /bin/true\nrequest_memory = 200MB\nrequest_disk = 50MB\nannex_name = {annex}\n{commands}"
    return on.pool.submit(user, f"{text}\nqueue {jobs}\n")


def calls_so_far(on: Stage) -> int:
    return max((call["n"] for call in on.cloud.calls()), default=0)


def calls_to_fleet(on: Stage, annex: str, since: int) -> list[dict[str, Any]]:
    """Wait for the annex's first RequestSpotFleet; all calls after number *since*, that one the last."""

    def asked() -> list[dict[str, Any]]:
        calls = on.cloud.calls(since)
        ours = (n for n, call in enumerate(calls) if str(call["token"]).startswith(f"{annex}-"))
        last = next((n for n in ours if calls[n]["action"] == "RequestSpotFleet"), None)
        return [] if last is None else calls[: last + 1]

    return on.pool.wait_for(asked, f"the fleet request of annex {annex}")
