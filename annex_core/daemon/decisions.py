"""What is not as an annex's route says, and whether a command or its jobs decided it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from annex_core.model.annex import Annex
from annex_core.model.demand import JobGroup, Limits
from annex_core.model.order import refusal
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.planner import wishes
from annex_core.planner.caps import queued_limits

Fields = dict[str, Any]

_UNSAID = frozenset({"user_data", "default_user_data", "config_files", "fleet_config"})
"""What may hold a secret: that it was given is told, not what it says."""


def decided(annex: Annex, snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """
    By `command` and by `job`, as schemas/status.json has it; each field by the one that it is in force by.

    What each order and each launch for jobs decides for its own machines is told of the newest.
    """
    found: dict[str, Fields] = {"command": dict(annex.overrides), "job": _limits(annex.limits)}
    launches = snapshot.launches_of(annex)
    orders = snapshot.orders_of(annex)
    by_hand = {order.id for order in orders}
    said = [(order.placed, "command", order.overrides) for order in orders if not refusal(order, launches)]
    said += [(launch.intended, "job", launch.by_jobs) for launch in launches if launch.order not in by_hand]
    if said:
        _, whose, fields = max(said, key=lambda each: each[0])
        found[whose] |= fields
    if launches:
        idle = max(launches, key=lambda launch: launch.intended).by_jobs.get("idle_s")
        if idle is not None:  # jobs shorten what a command said, too
            found["command"].pop("idle_s", None)
            found["job"]["idle_s"] = idle
    if annex.lease_by or annex.lifetime:
        found["command" if annex.lease_by else "job"] |= _lease(annex)
    return {whose: _told(fields) for whose, fields in found.items()}


def wished(groups: Sequence[JobGroup], snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """The same for an annex that idle jobs have not begun yet."""
    job: Fields = {}
    if groups:
        job |= _limits(queued_limits(groups[0].key, groups, snapshot))
        if route := snapshot.routes.get(groups[0].route or ""):
            job |= wishes.decided(groups, route)
            if (lifetime := wishes.lifetime(groups, route)) is not None:
                job["lifetime_s"] = int(lifetime.total_seconds())
    return {"command": {}, "job": _told(job)}


def _lease(annex: Annex) -> Fields:
    lease: Fields = {"lease_ends": stamp(annex.lease_ends)}
    return lease | ({"lifetime_s": int(annex.lifetime.total_seconds())} if annex.lifetime else {})


def _limits(limits: Limits) -> Fields:
    return {name: str(value) for name, value in vars(limits).items() if value is not None}


def _told(fields: Mapping[str, Any]) -> dict[str, str]:
    return {name: "given" if name in _UNSAID else _text(value) for name, value in fields.items()}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return ", ".join(value) if isinstance(value, (list, tuple)) else json.dumps(value)
