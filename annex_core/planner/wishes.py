"""What jobs decide of their annex in its route's place; of several the one that asks for least."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from annex_core.model.demand import JobGroup
from annex_core.model.route import Route

_LEAST_IDLE = timedelta(seconds=5)
"""AnnexIdleTimeout's least; to HTCondor an idle time-out of 0 is none, and machines would stay until the lease ends."""


def lifetime(groups: Iterable[JobGroup], route: Route) -> timedelta | None:
    """From the annex's first request on, as far as the route allows; None where no job asks for one."""
    wished = [group.wishes.lifetime for group in groups if group.wishes.lifetime is not None]
    return min([*wished, route.max_lifetime]) if wished else None


def idle_timeout(groups: Iterable[JobGroup], route: Route) -> timedelta:
    wished = [group.wishes.idle_timeout for group in groups if group.wishes.idle_timeout is not None]
    return max(min([*wished, route.idle_timeout]), _LEAST_IDLE)


def instance_types(groups: Iterable[JobGroup], route: Route) -> tuple[str, ...]:
    """Those of the route that all jobs allow."""
    wished = {group.wishes.instance_types for group in groups if group.wishes.instance_types}
    return tuple(name for name in route.instance_types if all(name in names for names in wished))


def decided(groups: Sequence[JobGroup], route: Route, *, ordered: bool = False) -> dict[str, Any]:
    """
    What is not as the route says, of machines that are asked for now: idle_s and instance_types, as a create says them.

    Args:
        ordered: They are asked for by hand, and jobs have no say in their types.
    """
    found: dict[str, Any] = {}
    if (idle := idle_timeout(groups, route)) < route.idle_timeout:
        found["idle_s"] = int(idle.total_seconds())
    if not ordered and (types := instance_types(groups, route)) != route.instance_types:
        found["instance_types"] = list(types)
    return found
