"""What a no of AWS's to a launch says of types, zones and quotas; and which machines show that it holds no more."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from annex_core.errors import AnnexError, NoCapacity, OverQuota, OverVcpuQuota
from annex_core.model.annex import Launch
from annex_core.model.place import Place
from annex_core.model.quota import VcpuClass, quota_code, vcpu_class
from annex_core.model.route import Market
from annex_core.model.setback import Setback, Subject
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import clause, sold

_QUOTED = 200
_AFTERWARDS = timedelta(seconds=1)
"""A machine that began so soon after a no was asked for before it: an answer that brings some of what was asked for
says in the same moment that there are no more."""


def subjects(launch: Launch, error: AnnexError, name: str = "", zone: str = "") -> list[tuple[Subject, str]]:
    """
    What AWS's no is about, and why, for the log and for people; nothing where the same request would be refused at any
    time.

    Args:
        name: The type that it names; empty: all that the launch may draw from.
        zone: Likewise.
    """
    place, market = launch.place, launch.market
    pools = [
        pool
        for pool in launch.pools or [(each, "") for each in launch.types]
        if name in {"", pool[0]} and (not zone or pool[1] in {"", zone})
    ]
    if isinstance(error, NoCapacity):
        return [(Subject(place, market, *pool), clause(str(error))[:_QUOTED]) for pool in pools]
    if isinstance(error, OverVcpuQuota):
        kinds = {kind for type_, _ in pools if (kind := vcpu_class(type_))}
        return [
            (Subject(place, market, quota=kind.name), _used_up(kind, market, place))
            for kind in sorted(kinds, key=lambda kind: kind.name)
        ]
    if isinstance(error, OverQuota):
        why = f"a quota of the account in {place} is used up ({clause(str(error))[:_QUOTED]})"
        return [(Subject(place, market), why)]
    return []


def _used_up(kind: VcpuClass, market: Market, place: Place) -> str:
    quota = f"{sold(market)} vCPUs of class {kind.name} in {place} ({quota_code(kind, market)})"
    return f"the account's quota of {quota} is used up; its administrator can ask AWS for more"


def lifted(snapshot: Snapshot) -> Sequence[Setback]:
    """Setbacks of the snapshot's that a machine has shown to be over, as they are then."""
    found = []
    for setback in snapshot.setbacks:
        view = snapshot.regions.get(setback.subject.place)
        if view is None or not setback.stands:
            continue
        began = [
            each.launched - view.ahead
            for each in view.instances
            if each.market is setback.subject.market and _concerns(setback.subject, each.type, each.zone)
        ]
        latest = max(began, default=None)
        if latest and latest > setback.last + _AFTERWARDS:
            found.append(replace(setback, lifted=latest))
    return found


def _concerns(subject: Subject, name: str, zone: str) -> bool:
    kind = vcpu_class(name)
    if subject.quota and (kind is None or kind.name != subject.quota):
        return False
    return subject.type in {"", name} and subject.zone in {"", zone}
