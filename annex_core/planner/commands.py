"""What a command by hand comes to, decided over the last snapshot before anything is written down."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from annex_core.errors import Refused
from annex_core.model.annex import Annex
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.order import OF_AN_ORDER, Order
from annex_core.model.place import Place
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import Route, overridden
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.model.wording import clause, counted
from annex_core.planner.caps import caps
from annex_core.planner.commons import Commons
from annex_core.planner.growth import grow
from annex_core.planner.holdings import Holding, as_answered, holding
from annex_core.planner.matching import Matcher
from annex_core.planner.outlay import Sum, by_aws_clock, committed

TOO_LATE = timedelta(minutes=5)
"""The reaper and the machines' own timers act on what they read minutes before: so near its end a lease stays."""

_KEPT = frozenset({"idle_s", "tags", "project"})
"""What another create may say of an annex that lives, to no effect."""
_HOURS = Decimal(3600)


@dataclass(frozen=True)
class Quote:
    """What an order would bring now."""

    launches: tuple[LaunchFleet, ...]
    reason: str | None
    """Why it is not all that was ordered; None where it is."""

    @property
    def types(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for launch in self.launches for name in launch.types))

    @property
    def machines(self) -> int:
        return sum(launch.target for launch in self.launches)

    @property
    def hourly(self) -> Decimal | None:
        """USD an hour at the ceilings; None is unknown."""
        prices = [launch.hourly_ceiling for launch in self.launches]
        if None in prices:
            return None
        return sum(((launch.hourly_ceiling or Decimal(0)) * launch.target for launch in self.launches), Decimal(0))

    def total(self, annex: Annex, now: datetime) -> Decimal | None:
        """USD at the ceilings until the lease ends; None is unknown."""
        hourly = self.hourly
        return None if hourly is None else hourly * Decimal((annex.lease_ends - now).total_seconds()) / _HOURS


def quote(annex: Annex, order: Order, snapshot: Snapshot) -> Quote:
    """
    What the very planner would ask for to fill the order in its next step, under all caps.

    Args:
        annex: Living, or as it would begin.
        snapshot: With the orders, launches and freezes that the journal has by now.
    """
    route = overridden(snapshot.routes[annex.route], annex.overrides).of(annex.key.owner)
    lives = annex.key in snapshot.annexes
    held = holding(annex.key, annex, snapshot, volume_gib=route.volume_gib) if lives else Holding()
    imagined = replace(
        as_answered(snapshot),  # it counts as bought, and is no reason to refuse more: the order waits for its turn
        annexes={**snapshot.annexes, annex.key: annex},
        orders=[*snapshot.orders, order],
        demand=(),
        failures={},
        freezes=[each for each in snapshot.freezes if not (each.after_end and each.holds(annex.key, annex.project))],
    )
    growth = grow(annex, route, (), held, imagined, Matcher(domain=snapshot.domain))
    mine = tuple(launch for launch in growth.launches if launch.order == order.id)
    if sum(_counts(launch, order, snapshot) for launch in mine) >= (order.instances or order.slots or 0):
        return Quote(mine, None)
    told = growth.outlook.reason or "it takes more than one step; order less at a time"
    some = Quote(mine, told)
    few = f"no more than {counted(some.machines, 'machine')} can be had now: " if mine else ""
    return replace(some, reason=f"{few}{clause(told)}")


def _counts(launch: LaunchFleet, order: Order, snapshot: Snapshot) -> int:
    """Machines, or the vCPUs that they surely have."""
    if order.instances is not None:
        return launch.target
    types = snapshot.types[launch.annex.place]
    return launch.target * min(types[name].vcpus for name in launch.types)


def begun(
    key: AnnexKey, asked: Mapping[str, Any], route: Route, snapshot: Snapshot, now: datetime, *, project: str
) -> Annex:
    """
    The annex that a create begins.

    Args:
        asked: By `create` in schemas/request.json.

    Raises:
        Refused: Its lease would be over before anything has come, or last longer than the route lets it.
    """
    overrides = {name: value for name, value in asked.items() if name in ANNEX_FIELDS}
    its = overridden(route, overrides)
    aws_now = by_aws(now, its.place, snapshot)
    ends = lease(asked, aws_now) or aws_now + its.lifetime
    _within(ends, its, aws_now)
    return Annex(
        id=annex_id(key, access_point=snapshot.access_point),
        key=key,
        project=project,
        route=route.name,
        region=its.region,
        endpoint=route.endpoint,
        credentials=route.credentials,
        started=now,
        lease_ends=ends,
        ends_at_latest=aws_now + its.max_lifetime,
        overrides=overrides,
        pilot=its.pilot,
    )


ANNEX_FIELDS = frozenset(
    {"idle_s", "tags", "config_files", "image", "subnets", "security_groups", "key_name", "instance_profile",
     "user_data", "default_user_data", "pilot"}
)  # fmt: skip
"""What a create decides for the whole annex; of OF_AN_ORDER it decides for its own machines."""


def joined(annex: Annex, asked: Mapping[str, Any]) -> list[str]:
    """
    What another create says in vain of an annex that lives, a sentence each.

    Raises:
        Refused: It says of its machines what is not so.
    """
    differ = {
        name for name in ANNEX_FIELDS if name in asked and asked[name] != annex.overrides.get(name)
    }  # fmt: skip
    if hard := sorted(differ - _KEPT):
        raise Refused(
            f"annex {annex.key.name} lives, and was made with another {hard[0]}; take another name, or end it first"
        )
    kept = sorted(differ | ({"project"} if asked.get("project", annex.project) != annex.project else set()))
    return [f"annex {annex.key.name} lives, and keeps the {name} it was made with" for name in kept]


def by_aws(now: datetime, place: Place, snapshot: Snapshot) -> datetime:
    """What AWS's clock shows, by which leases end."""
    return now + (snapshot.aws_now(place) - snapshot.at)


def lease(asked: Mapping[str, Any], now: datetime) -> datetime | None:
    """When the lease is to end; None where nothing is said of it."""
    if "lease_ends" in asked:
        return datetime.fromisoformat(asked["lease_ends"])
    return now + timedelta(seconds=asked["lifetime_s"]) if "lifetime_s" in asked else None


def extended(annex: Annex, until: datetime, snapshot: Snapshot, now: datetime) -> Annex:
    """
    The annex with another lease, later or sooner. Past the outer bound of its fleets new ones carry it on.

    Raises:
        Refused: It is too late for that, or the route or the budget doesn't let it.
    """
    name = annex.key.name
    if annex.ending:
        raise Refused(f"annex {name} is being ended")
    now = by_aws(now, annex.place, snapshot)
    if annex.lease_ends - now < TOO_LATE:
        raise Refused(
            f"it is too late: the lease of annex {name} ends at {stamp(annex.lease_ends)}, in less than 5 minutes, and"
            " some of those who end it may not hear of another"
        )
    if annex.route not in snapshot.routes:
        raise Refused(f"route {annex.route}, by which annex {name} was made, is not in force; ask its administrator")
    route = overridden(snapshot.routes[annex.route], annex.overrides).of(annex.key.owner)
    _within(until, route, now)
    bound = annex.ends_at_latest if until <= annex.ends_at_latest else now + route.max_lifetime
    longer = replace(annex, lease_ends=until, ends_at_latest=bound)
    budget = caps(route, annex.limits).budget
    if budget is not None and until > annex.lease_ends:
        needs = _committed(longer, snapshot).known
        if needs is None or needs > budget:
            much = "nobody knows how much" if needs is None else f"${needs:.2f} at most"
            raise Refused(f"its machines would cost {much} until then, and the budget of the annex is ${budget}")
    if until > annex.lease_ends and (why := Commons(snapshot).refusal(longer)):
        raise Refused(why)
    return longer


def _committed(annex: Annex, snapshot: Snapshot) -> Sum:
    held = holding(annex.key, annex, snapshot, volume_gib=Route.volume_gib)
    known = snapshot.known_of(annex)
    outstanding = by_aws_clock(held.outstanding, snapshot)
    return committed(annex, known, outstanding, snapshot.at, launches=snapshot.launches_of(annex))


def _within(ends: datetime, route: Route, now: datetime) -> None:
    if ends - now < TOO_LATE:
        raise Refused(f"the lease would end at {stamp(ends)}, in less than 5 minutes")
    if ends > now + route.max_lifetime:
        raise Refused(
            f"the lease would end at {stamp(ends)}; route {route.name} lets it end at"
            f" {stamp(now + route.max_lifetime)} at the latest (AnnexMaxLifetime)"
        )


def of_an_order(asked: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name in OF_AN_ORDER}
