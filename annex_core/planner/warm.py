"""Machines that are kept ready without a job: AnnexMinInstances of a living annex, while its schedule says so."""

from datetime import datetime, timedelta

from annex_core.model.annex import Annex, Launch
from annex_core.model.order import Order
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.holdings import Holding
from annex_core.planner.ordering import Shortfall, ways

WARM = "warm"
"""In place of an order's id: of launches that keep machines ready."""

_TOLD_AT_MOST = timedelta(days=1)
"""A machine is told at its launch: so long after the macros were taken out of its route it leaves all the same."""


def warm_until(route: Route, now: datetime) -> datetime | None:
    """
    Until when machines are kept ready; None where none are.

    Only our boot script keeps an idle machine up; where another takes its place, each would leave and be bought anew.
    """
    if not route.min_instances or route.min_schedule is None:
        return None
    if route.pilot or route.user_data or route.user_data_file or route.default_user_data or route.fleet_config:
        return None
    until = route.min_schedule.until(now)
    return min(until, now + _TOLD_AT_MOST) if until else None


def to_keep_ready(annex: Annex, route: Route, held: Holding, snapshot: Snapshot) -> Shortfall | None:
    """
    The machines that are lacking; all that live or are on their way count, whatever they were asked for.

    Args:
        route: The annex's own, its overrides in force.
    """
    if warm_until(route, snapshot.at) is None:
        return None
    lacking = route.min_instances - len(held.instances) - held.coming
    if lacking <= 0:
        return None
    types = snapshot.types.get(route.place, {})
    order = Order(WARM, annex.id, snapshot.at, by="", instances=lacking)
    best = ways(order, lacking, route, types)
    last = _last_types(annex, route, snapshot)
    return Shortfall(order, route, ((last, lacking), *best) if last else best, fresh=False)


def _last_types(annex: Annex, route: Route, snapshot: Snapshot) -> tuple[str, ...]:
    """What its jobs wanted last: more of them are likely to come."""
    for_jobs = [each for each in snapshot.launches_of(annex) if each.order is None]
    if not for_jobs:
        return ()
    latest: Launch = max(for_jobs, key=lambda each: each.intended)
    has = snapshot.types.get(route.place, {})
    return tuple(name for name in latest.types if name in route.instance_types and name in has)
