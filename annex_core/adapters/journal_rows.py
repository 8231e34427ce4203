"""The journal's rows as our values, and back."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from annex_core.model.annex import Annex, Ending, KnownInstance, Launch, LaunchState, Obstacle
from annex_core.model.audit import Who
from annex_core.model.death import Death
from annex_core.model.demand import Limits
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.route import FleetApi, Market
from annex_core.model.setback import Setback, Subject

ANNEX = (
    "id, owner, name, project, route, region, endpoint, started, lease_ends, ends_at_latest, max_instances,"
    " max_hourly_cost, budget, overrides, ending, ending_since, pilot, credentials, lifetime_s, lease_by, lease_by_uid,"
    " ended_by, ended_by_uid"
)
LAUNCH = (
    "token, annex, place, target, types, hourly_ceiling, intended, api, market, state, fleet, reason, obstacle,"
    " closed, for_order, ends_at_latest, pools, by_jobs, route"
)
INSTANCE = "id, annex, token, type, launched, hourly_ceiling, joined, gone, zone, market, image, interrupted, drained"
DEATH = "instance, annex, at, reason, boot_log, console"
SETBACK = "place, market, type, zone, quota, why, since, last, tries, lifted"
"""Columns, in the order that the functions below take and give them."""


def marks(columns: str) -> str:
    return ", ".join("?" for _ in columns.split(","))


def annex_of(row: tuple[Any, ...]) -> Annex:
    id_, owner, name, project, route, region, endpoint, started, lease_ends, ends_at_latest, *rest = row
    instances, hourly, budget, overrides, ending, ending_since, pilot, credentials, lifetime, *whose = rest
    lease_by, lease_by_uid, ended_by, ended_by_uid = whose
    return Annex(
        id=id_,
        key=AnnexKey(owner, name),
        project=project,
        route=route,
        region=region,
        endpoint=endpoint,
        started=moment(started),
        lease_ends=moment(lease_ends),
        ends_at_latest=moment(ends_at_latest),
        limits=Limits(instances, decimal(hourly), decimal(budget)),
        overrides=json.loads(overrides),
        ending=Ending(ending) if ending else None,
        ending_since=moment(ending_since) if ending_since else None,
        pilot=bool(pilot),
        credentials=credentials,
        lifetime=None if lifetime is None else timedelta(seconds=lifetime),
        lease_by=Who(lease_by, lease_by_uid) if lease_by else None,
        ended_by=Who(ended_by, ended_by_uid) if ended_by else None,
    )


def begin_life(db: sqlite3.Cursor, annex: Annex) -> None:
    """Begin a life; one that has begun already stays as it is, and one that was finished goes on."""
    db.execute(
        f"INSERT INTO annexes ({ANNEX}) VALUES ({marks(ANNEX)})"
        " ON CONFLICT (id) WHERE finished IS NULL DO NOTHING"
        " ON CONFLICT (id, started) DO UPDATE SET finished = NULL, settled = 0",
        (
            annex.id,
            annex.key.owner,
            annex.key.name,
            annex.project,
            annex.route,
            annex.region,
            annex.endpoint,
            *map(text, (annex.started, annex.lease_ends, annex.ends_at_latest)),
            *limits_row(annex.limits),
            json.dumps(annex.overrides, sort_keys=True),
            annex.ending,
            text(annex.ending_since) if annex.ending_since else None,
            annex.pilot,
            annex.credentials,
            *lease_row(annex),
            *whose(annex.ended_by),
        ),
    )


def lease_row(annex: Annex) -> tuple[Any, ...]:
    """lifetime_s, lease_by, lease_by_uid."""
    return (int(annex.lifetime.total_seconds()) if annex.lifetime else None, *whose(annex.lease_by))


def whose(who: Who | None) -> tuple[str | None, int | None]:
    return (who.user, who.uid) if who else (None, None)


def limits_row(limits: Limits) -> tuple[int | None, str | None, str | None]:
    return limits.max_instances, amount(limits.max_hourly_cost), amount(limits.budget)


def launch_of(row: tuple[str, ...]) -> Launch:
    token, annex, place, target, types, ceiling, intended, api, market, *rest = row
    state, fleet, reason, obstacle, closed, order, latest, pools, by_jobs, route = rest
    return Launch(
        token=token,
        annex=annex,
        place=Place(place),
        target=int(target),
        types=tuple(types.split(",")) if types else (),
        hourly_ceiling=decimal(ceiling),
        intended=moment(intended),
        api=FleetApi(api),
        market=Market(market),
        state=LaunchState(state),
        fleet=fleet,
        reason=reason,
        obstacle=Obstacle(obstacle) if obstacle else None,
        closed=moment(closed) if closed else None,
        order=order,
        ends_at_latest=moment(latest) if latest else None,
        pools=tuple(_pool(each) for each in pools.split(",")) if pools else (),
        by_jobs=json.loads(by_jobs),
        route=route,
    )


def _pool(written: str) -> tuple[str, str]:
    name, _, zone = written.partition("@")
    return name, zone


def launch_row(launch: Launch) -> tuple[Any, ...]:
    return (
        launch.token,
        launch.annex,
        launch.place,
        launch.target,
        ",".join(launch.types),
        amount(launch.hourly_ceiling),
        text(launch.intended),
        launch.api,
        launch.market,
        launch.state,
        launch.fleet,
        launch.reason,
        launch.obstacle,
        text(launch.closed) if launch.closed else None,
        launch.order,
        text(launch.ends_at_latest) if launch.ends_at_latest else None,
        ",".join(f"{name}@{zone}" for name, zone in launch.pools),
        json.dumps(launch.by_jobs, sort_keys=True),
        launch.route,
    )


def instance_of(row: tuple[str, ...]) -> KnownInstance:
    id_, annex, token, type_, launched, ceiling, joined, gone, zone, market, *rest = row
    image, interrupted, drained = rest
    return KnownInstance(
        id=id_,
        annex=annex,
        token=token,
        type=type_,
        launched=moment(launched),
        hourly_ceiling=decimal(ceiling),
        joined=moment(joined) if joined else None,
        gone=moment(gone) if gone else None,
        zone=zone,
        market=Market(market),
        image=image,
        interrupted=moment(interrupted) if interrupted else None,
        drained=moment(drained) if drained else None,
    )


def instance_row(instance: KnownInstance) -> tuple[Any, ...]:
    return (
        instance.id,
        instance.annex,
        instance.token,
        instance.type,
        text(instance.launched),
        amount(instance.hourly_ceiling),
        text(instance.joined) if instance.joined else None,
        text(instance.gone) if instance.gone else None,
        instance.zone,
        instance.market,
        instance.image,
        text(instance.interrupted) if instance.interrupted else None,
        text(instance.drained) if instance.drained else None,
    )


def death_of(row: tuple[str, ...]) -> Death:
    instance, annex, at, *told = row
    return Death(instance, annex, moment(at), *told)


def setback_of(row: tuple[Any, ...]) -> Setback:
    place, market, name, zone, quota, why, since, last, tries, lifted = row
    return Setback(
        Subject(Place(place), Market(market), name, zone, quota),
        why,
        since=moment(since),
        last=moment(last),
        tries=tries,
        lifted=moment(lifted) if lifted else None,
    )


def setback_row(setback: Setback) -> tuple[Any, ...]:
    of = setback.subject
    return (
        *(of.place, of.market, of.type, of.zone, of.quota, setback.why),
        *(text(setback.since), text(setback.last), setback.tries),
        text(setback.lifted) if setback.lifted else None,
    )


def text(at: datetime) -> str:
    """Fixed width and UTC, so that text order is time order."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def moment(written: str) -> datetime:
    return datetime.fromisoformat(written)


def amount(usd: Decimal | None) -> str | None:
    return None if usd is None else str(usd)


def decimal(written: str | None) -> Decimal | None:
    return None if written is None else Decimal(written)
