"""The answer to a status request, from the last cycle; schemas/status.json says what stands in it."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from typing import Any

from annex_core.daemon.decisions import decided, wished
from annex_core.daemon.provisioner import Standing
from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.death import Death
from annex_core.model.eviction import Lost
from annex_core.model.names import AnnexKey, misnamed
from annex_core.model.order import Order, filled, refusal
from annex_core.model.plan import LaunchFleet
from annex_core.model.signs import FREEZE
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Instance, InstanceState
from annex_core.model.tags import stamp
from annex_core.model.wording import clause
from annex_core.planner.caps import spent
from annex_core.planner.holdings import Holding, holding, hourly
from annex_core.planner.places import places_of
from annex_core.planner.sharing import jobs_of

_CENT = Decimal("0.0001")


def status(standing: Standing | None, owner: str | None, *, administrator: bool) -> dict[str, Any]:
    """
    Args:
        standing: None before the first cycle.
        owner: Whose annexes, beside those for anybody's jobs; None for everybody's.
        administrator: Troubles are for them alone.
    """
    if standing is None:
        return {"as_of": None, "annexes": [], "refused_routes": {}, "troubles": []}
    snapshot = with_what_it_asks_for(standing)
    standing = replace(standing, snapshot=snapshot)
    keys = {*snapshot.annexes, *standing.plan.outlooks, *snapshot.counts}
    return {
        "as_of": stamp(snapshot.at),
        "annexes": [_annex(key, standing) for key in sorted(keys) if owner in (None, key.owner) or key.shared],
        "refused_routes": dict(snapshot.refused_routes),
        "troubles": _troubles(standing) if administrator else [],
    }


def with_what_it_asks_for(standing: Standing) -> Snapshot:
    """The snapshot with what its plan launches, which the sentences count too; what is in the journal counts once."""
    snapshot = standing.snapshot
    written = {launch.annex for launch in snapshot.launches if launch.intended >= snapshot.at}
    asked = [
        action for action in standing.plan.actions if isinstance(action, LaunchFleet) and action.annex.id not in written
    ]
    return replace(
        snapshot,
        annexes={**{action.annex.key: action.annex for action in asked}, **snapshot.annexes},
        launches=[*snapshot.launches, *(action.as_launch("", snapshot.at) for action in asked)],
    )


def _troubles(standing: Standing) -> list[str]:
    return [
        *standing.plan.troubles,
        *(f"{what}: {why}" for what, why in standing.silent.items()),
        *(f"{subject}: {why}" for subject, why in standing.failures.items()),
    ]


def _annex(key: AnnexKey, standing: Standing) -> dict[str, Any]:
    snapshot = standing.snapshot
    annex = snapshot.annexes.get(key)
    counts = jobs_of(key, snapshot)
    found = {
        "owner": key.owner,
        "name": key.name,
        "status": sentence(key, standing),
        "jobs": {
            "idle": counts.idle,
            "running": counts.running,
            "at_home": counts.at_home,
            "held": counts.held,
        },
    }
    if annex is None:
        groups = [group for group in snapshot.demand or () if group.key == key]
        return found | {
            "id": None,
            "project": groups[0].project if groups else None,
            "route": groups[0].route if groups else None,
            "pilot": False,
            "lease_ends": None,
            "ends_at_latest": None,
            "frozen": _frozen(key, groups[0].project if groups else "", snapshot),
            "ending": None,
            "orders": [],
            "decided": wished(groups, snapshot),
            "fleets": [],
            "instances": {"asked": 0, "pending": 0, "booting": 0, "joined": 0, "gone": 0, "list": []},
            "never_joined": [],
            "interruptions": {"machines": 0, "jobs": 0, "lost_s": 0},
            "hourly_cost": None,
            "spent_estimate": None,
        }
    views = [snapshot.regions[place] for place in places_of(annex, snapshot) if place in snapshot.regions]
    view = RegionView(
        [instance for each in views for instance in each.instances], [fleet for each in views for fleet in each.fleets]
    )
    held = holding(key, annex, snapshot, volume_gib=1)
    known = snapshot.known_of(annex)
    launches = snapshot.launches_of(annex)
    up = _up(annex, held, view)
    return found | {
        "id": annex.id,
        "project": annex.project,
        "route": annex.route,
        "pilot": annex.pilot,
        "lease_ends": stamp(annex.lease_ends),
        "ends_at_latest": stamp(annex.ends_at_latest),
        "frozen": _frozen(key, annex.project, snapshot),
        "ending": annex.ending,
        "orders": [_order(order, annex, snapshot) for order in snapshot.orders_of(annex)],
        "decided": decided(annex, snapshot),
        "fleets": _fleets(launches, view, held),
        "instances": {
            "asked": sum(launch.target for launch in launches),
            "pending": held.coming,
            "booting": sum(each.id not in up for each in held.instances),
            "joined": sum(each.id in up for each in held.instances),
            "gone": sum(each.gone is not None for each in known),
            "list": _instances(known, view),
        },
        "never_joined": [_death(death) for death in snapshot.deaths if death.annex == annex.id],
        "interruptions": _interruptions(annex, known, snapshot),
        "hourly_cost": money(hourly(held)),
        "spent_estimate": money(spent(known, snapshot.at)),
    }


def _frozen(key: AnnexKey, project: str, snapshot: Snapshot) -> str | None:
    """What was frozen that it belongs to, and by whom: by command, or in the account."""
    for each in snapshot.freezes:
        if each.holds(key, project):
            return f"{each} was {'ended' if each.after_end else 'frozen'} by {each.by}"
    its = {tags.PROJECT: project, tags.OWNER: key.owner, tags.NAME: key.name, tags.POOL: snapshot.pool}
    for place, signs in sorted(snapshot.signs.items()):
        if place.owner not in {None, key.owner}:
            continue
        for freeze in signs.freezes:
            if freeze.covers(its):
                return f"{freeze} is frozen in {place}, by {FREEZE}"
    return None


def _order(order: Order, annex: Annex, snapshot: Snapshot) -> dict[str, Any]:
    launches = [launch for launch in snapshot.launches if launch.order == order.id]
    known = snapshot.known_of(annex)
    return {
        "id": order.id,
        "placed": stamp(order.placed),
        "by": order.by,
        "instances": order.instances,
        "slots": order.slots,
        "machines": sum(count for _, count in filled(order, launches, known, annex)),
        "answered": any(
            launch.state is LaunchState.REQUESTED
            and (launch.may_bring or any(each.token == launch.token for each in known))
            for launch in launches
        ),
        "refused": refusal(order, launches),
    }


def _up(annex: Annex, held: Holding, view: RegionView) -> AbstractSet[str]:
    """Its machines that are where they belong: in the annexes' pool; a pilot's as soon as it runs."""
    if not annex.pilot:
        return {each.id for each in held.instances if each.joined}
    return {each.id for each in view.instances if each.state is InstanceState.RUNNING}


def sentence(key: AnnexKey, standing: Standing) -> str:
    """How an annex stands, in words for its users."""
    outlook, annex = standing.plan.outlooks.get(key), standing.snapshot.annexes.get(key)
    said = outlook.sentence if outlook else _without_demand(key, standing.snapshot)
    failure = standing.failures.get(annex.id) if annex else None
    return f"{said} The last try failed: {failure}." if failure else said


def _without_demand(key: AnnexKey, snapshot: Snapshot) -> str:
    """For an annex of which the queue shows no job that machines are to be asked for."""
    if wrong := misnamed(key.name):
        return f"{wrong} Its jobs can't run; remove them."
    if snapshot.demand is None:
        return f"Annex {key.name}: the schedd does not answer."
    idle = jobs_of(key, snapshot).idle
    if idle and key.shared:
        said = f"Annex {key.name} is for anybody's jobs; it grows by command alone."
    else:
        said = f"Annex {key.name}: {'its idle jobs ask for no machine yet' if idle else 'no job waits'}."
    annex = snapshot.annexes.get(key)
    if annex and annex.place.owner and annex.place in snapshot.frozen:
        why = clause(snapshot.frozen[annex.place])
        said += f" Nobody can look at its machines: {why}. Its lease stays as it is."
    return said


def _fleets(launches: Sequence[Launch], view: RegionView, held: Holding) -> list[dict[str, Any]]:
    listed = {fleet.id: fleet for fleet in view.fleets}
    coming = {launch.token: count for launch, count in held.outstanding}
    return [
        {
            "id": launch.fleet,
            "state": listed[launch.fleet].state if launch.fleet in listed else "not listed",
            "target": launch.target,
            "fulfilled": listed[launch.fleet].fulfilled if launch.fleet in listed else 0,
            "open": coming.get(launch.token, 0),
        }
        for launch in launches
        if launch.fleet
    ]


def _instances(known: Sequence[KnownInstance], view: RegionView) -> list[dict[str, Any]]:
    listed: Mapping[str, Instance] = {instance.id: instance for instance in view.instances}
    return [
        {
            "id": each.id,
            "type": each.type,
            "zone": listed[each.id].zone if each.id in listed else "",
            "state": listed[each.id].state if each.id in listed else "terminated",
            "launched": tags.stamp(each.launched),
            "joined": tags.stamp(each.joined) if each.joined else None,
            "interrupted": tags.stamp(each.interrupted) if each.interrupted else None,
            "draining": each.drained is not None,
        }
        for each in known
    ]


def _interruptions(annex: Annex, known: Sequence[KnownInstance], snapshot: Snapshot) -> dict[str, int]:
    lost = snapshot.lost.get(annex.id, Lost())
    return {
        "machines": sum(each.interrupted is not None for each in known),
        "jobs": lost.jobs,
        "lost_s": int(lost.work.total_seconds()),
    }


def _death(death: Death) -> dict[str, Any]:
    return {
        "id": death.instance,
        "at": stamp(death.at),
        "reason": death.reason,
        "boot_log": death.boot_log,
        "console": death.console,
    }


def money(amount: Decimal | None) -> str | None:
    """USD, to the hundredth of a cent."""
    return None if amount is None else f"{amount.quantize(_CENT):f}"
