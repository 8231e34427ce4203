"""What a create by hand comes to, before it is ordered: its route, its types, its lease, and the answer."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from annex_core.adapters.requests import reserved
from annex_core.daemon.asker import Asker
from annex_core.errors import BadRequest, Refused
from annex_core.model.annex import Annex
from annex_core.model.hardware import InstanceType
from annex_core.model.order import Order
from annex_core.model.place import Place
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.model.wording import clause
from annex_core.planner.commands import Quote, by_aws, extended, lease

_CENT = Decimal("0.01")

Types = Callable[[str, Iterable[str]], Mapping[str, InstanceType]]
"""The instance types among some names that AWS has, with their price in a region as far as it is known."""


def chosen(asked: Mapping[str, Any], snapshot: Snapshot, lives: Annex | None, default: str) -> Route:
    """
    Args:
        default: ANNEX_DEFAULT_ROUTE, empty where it is not set.

    Raises:
        Refused: It is no route that is in force, not the one of an annex that lives, or nobody can tell which.
    """
    name = asked.get("route") or (lives.route if lives else default)
    fitting = {each.name: each for each in snapshot.routes.values() if asked.get("region", each.region) == each.region}
    if not name:
        if len(fitting) == 1:
            return next(iter(fitting.values()))
        there = f" in {asked['region']}" if "region" in asked else ""
        if not fitting:
            raise Refused(f"there is no annex route{there} in force; condor_annex lint says more")
        raise Refused(f"say which route: {', '.join(sorted(fitting))}")
    if lives and name != lives.route:
        raise Refused(f"annex {lives.key.name} lives, and was made by route {lives.route}; take another name")
    route = in_force(name, snapshot)
    if name not in fitting:
        raise Refused(f"route {name} is in {route.region}, not in {asked['region']}")
    return route


def in_force(name: str, snapshot: Snapshot) -> Route:
    """
    Raises:
        Refused: There is no such route, or it is wrong and never was right.
    """
    if name in snapshot.refused_routes and name not in snapshot.routes:
        raise Refused(f"route {name} can't be used ({clause(snapshot.refused_routes[name])})")
    if name not in snapshot.routes:
        raise Refused(f"there is no route {name}; there is {', '.join(sorted(snapshot.routes)) or 'none'}")
    return snapshot.routes[name]


def within_rights(asked: Mapping[str, Any], asker: Asker, route: Route) -> tuple[dict[str, Any], list[str]]:
    """
    What was asked, without what only knobs of the asker's say and the asker may not.

    Returns:
        It, and a sentence for what was left out.
    """
    kept = {name: value for name, value in asked.items() if name != "by_default"}
    if asker.administrator:
        return kept, []
    by_default = {*asked.get("by_default", ())} & kept.keys()
    warnings = []
    if left := sorted(by_default & reserved()):
        warnings.append(f"of your configuration {', '.join(left)} left out: route {route.name} decides that")
    if "instance_types" in by_default and (others := sorted({*kept["instance_types"]} - {*route.instance_types})):
        warnings.append(f"of your configuration {', '.join(others)} left out: route {route.name} doesn't allow it")
        kept["instance_types"] = [each for each in kept["instance_types"] if each not in others]
    gone = {*left, *(name for name in by_default if not kept[name])}
    return {name: value for name, value in kept.items() if name not in gone}, warnings


def check_rights(asked: Mapping[str, Any], asker: Asker, route: Route) -> None:
    """
    Raises:
        Refused: It decides what an administrator decides, or takes a type that the route doesn't allow.
    """
    if asker.administrator:
        return
    idle = {name for name in ("pilot", "any_owner") if asked.get(name) == getattr(route, name, False)}
    if taken := sorted(name for name in asked.keys() - idle if name in reserved()):
        raise Refused(f"only an administrator may say {', '.join(taken)}; route {route.name} does for everybody else")
    if others := sorted({*asked.get("instance_types", ())} - {*route.instance_types}):
        raise Refused(
            f"route {route.name} doesn't allow {', '.join(others)}; it allows {', '.join(route.instance_types)}"
        )


def knowing(names: Collection[str], place: Place, snapshot: Snapshot, types: Types, warnings: list[str]) -> Snapshot:
    """
    With types that no route names, as the catalogue has them; the next cycle asks the region for them.

    Raises:
        Refused: The region was asked for all of them, for its routes name them, and has none.
    """
    known = snapshot.types.get(place, {})
    found = dict(types(place.region, [name for name in names if name not in known]))
    if missing := sorted({*names} - known.keys() - found.keys()):
        raise BadRequest(f"AWS has no instance type {', '.join(missing)}")
    asked = {name for each in snapshot.routes.values() if each.place == place for name in each.instance_types}
    if absent := sorted(found.keys() & asked) if known else []:
        if {*absent} == {*names}:
            raise Refused(f"{place.region} has no {' and no '.join(absent)}")
        warnings.append(f"{place.region} has no {' and no '.join(absent)}")
    for name in absent:
        del found[name]
    return replace(snapshot, types={**snapshot.types, place: {**known, **found}}) if found else snapshot


def longer(
    lives: Annex, asked: Mapping[str, Any], asker: Asker, snapshot: Snapshot, now: datetime, warnings: list[str]
) -> Annex:
    """The annex with the lease that a further create asks for, if that is a later one."""
    if lives.ending:
        raise Refused(f"annex {lives.key.name} is being ended; wait until it is gone")
    until = lease(asked, by_aws(now, lives.place, snapshot))
    if until is None or until == lives.lease_ends:
        return lives
    if until < lives.lease_ends:
        warnings.append(f"annex {lives.key.name} lives, and its lease ends at {stamp(lives.lease_ends)} as before")
        return lives
    return leased(extended(lives, until, snapshot, now), asked, asker)


def leased(annex: Annex, asked: Mapping[str, Any], asker: Asker) -> Annex:
    """With whoever set its lease, where a command did."""
    if asked.keys().isdisjoint({"lease_ends", "lifetime_s"}):
        return annex
    lifetime = timedelta(seconds=asked["lifetime_s"]) if "lifetime_s" in asked else None
    return replace(annex, lifetime=lifetime, lease_by=asker.who)


def answer(
    annex: Annex, order: Order, offered: Quote, now: datetime, warnings: list[str], *, lives: bool, dry: bool
) -> dict[str, Any]:
    def money(amount: Decimal | None) -> str | None:
        return None if amount is None else f"{amount.quantize(_CENT):f}"

    return {
        "id": annex.id,
        "owner": annex.key.owner,
        "name": annex.key.name,
        "order": None if dry else order.id,
        "route": annex.route,
        "region": annex.region,
        "market": str(offered.launches[0].route.market) if offered.launches else "",
        "what": list(offered.types),
        "how_many": offered.machines,
        "lease_ends": stamp(annex.lease_ends),
        "lives": lives,
        "usd_per_hour_at_most": money(offered.hourly),
        "usd_at_most": money(offered.total(annex, now)),
        "warnings": warnings,
        "refused": offered.reason,
    }
