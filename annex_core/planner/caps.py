"""How many more instances the money and the caps allow. Everything asked for counts as bought."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from annex_core.model.annex import KnownInstance
from annex_core.model.demand import JobCounts, JobGroup, Limits, tightest
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import counted
from annex_core.planner.holdings import Holding, hourly

_HOURS = Decimal(3600)
MINIMUM_BILLED = timedelta(seconds=60)
"""What AWS bills of an instance at least."""
VOLUME_GIB_HOUR = Decimal("0.08") / Decimal(730)
"""USD for a GiB of gp3 volume for an hour, at a list price of 0.08 a month; an estimate."""
ADDRESS_HOUR = Decimal("0.005")
"""USD for a public IPv4 address for an hour, AWS's list price."""


_SAID_BY = {
    "max_instances": ("AnnexMaxInstances", "annex_max_instances"),
    "max_hourly_cost": ("AnnexMaxHourlyCost", "annex_max_hourly_cost"),
    "budget": ("AnnexBudget", "annex_budget"),
}
"""A route's macro and the jobs' submit command, by field of Limits."""


@dataclass(frozen=True)
class Caps:
    """The tighter of what the route and the jobs say; None is no cap of that kind."""

    instances: int
    vcpus: int | None
    hourly: Decimal | None
    budget: Decimal | None
    whose: Mapping[str, str] = field(default_factory=dict)
    """Who says so, by field, for the sentence: AnnexBudget of route spot."""

    @property
    def in_dollars(self) -> bool:
        return self.hourly is not None or self.budget is not None


def caps(route: Route, limits: Limits) -> Caps:
    its = Limits(route.max_instances, route.max_hourly_cost, route.budget)
    both = tightest([its, limits])
    whose = {
        name: f"{macro} of route {route.name}"
        if getattr(its, name) == getattr(both, name)
        else f"{command} of its jobs"
        for name, (macro, command) in _SAID_BY.items()
    }
    return Caps(both.max_instances or 0, route.max_vcpus, both.max_hourly_cost, both.budget, whose)


def queued_limits(key: AnnexKey, groups: Iterable[JobGroup], snapshot: Snapshot) -> Limits:
    """
    The tightest limits of an annex's jobs in the queue.

    Args:
        groups: Its idle ones: the queue is asked for them after it was asked for all, and one may have come meanwhile.
    """
    return tightest([snapshot.counts.get(key, JobCounts()).limits, *(group.wishes.limits for group in groups)])


def tightened(snapshot: Snapshot) -> Snapshot:
    """The snapshot whose living annexes are bound by what jobs in the queue carry too, for the rest of their lives."""
    groups: dict[AnnexKey, list[JobGroup]] = {}
    for group in snapshot.demand or ():
        groups.setdefault(group.key, []).append(group)
    return replace(
        snapshot,
        annexes={
            key: replace(annex, limits=tightest([annex.limits, queued_limits(key, groups.get(key, ()), snapshot)]))
            for key, annex in snapshot.annexes.items()
        },
    )


def ceiling(kind: InstanceType, route: Route) -> Decimal | None:
    """USD an hour that AWS may ask for the instance itself; None is unknown: AWS stops at its on-demand price."""
    asked = dict(route.max_prices)
    return asked.get(kind.name, asked.get("*", kind.on_demand)) if route.market is Market.SPOT else kind.on_demand


def instance_hour(kind: InstanceType, route: Route) -> Decimal | None:
    """USD that an hour of one instance may cost, with its volume, its address and the route's allowance for egress."""
    hour = ceiling(kind, route)
    if hour is None:
        return None
    return hour + beside(route)


def beside(route: Route) -> Decimal:
    """USD that an hour of any instance costs beside itself: its address, its volume, the allowance for egress."""
    return ADDRESS_HOUR + VOLUME_GIB_HOUR * route.volume_gib + route.egress_price


@dataclass(frozen=True)
class Allowance:
    """How many more instances may be asked for now, and which cap says so."""

    instances: int
    reason: str | None = None
    """The cap that binds below what was wanted."""


def allowance(
    wanted: int,
    dearest: InstanceType,
    price: Decimal | None,
    limits: Caps,
    held: Holding,
    spent: Decimal | None,
    *,
    held_vcpus: int | None,
    left: timedelta,
) -> Allowance:
    """
    Cut *wanted* down to what every cap allows.

    Args:
        wanted: Instances that the jobs would use.
        dearest: The largest type the fleet may bring.
        price: USD an hour for one instance of the dearest, all included; None is unknown.
        spent: USD spent and in flight in this life until its lease ends; None is unknown.
        held_vcpus: vCPUs held and on their way at most; None is unknown.
        left: Time to the lease's end.
    """
    alive = len(held.instances) + held.coming
    allowed = Allowance(wanted)

    def bound(count: int, reason: str) -> None:
        nonlocal allowed
        if max(count, 0) < allowed.instances:
            allowed = Allowance(max(count, 0), reason)

    def said(text: str, name: str) -> str:
        return f"{text} ({limits.whose[name]})" if name in limits.whose else text

    cap = f"the cap of {counted(limits.instances, 'machine')} is reached"
    bound(limits.instances - alive, said(cap, "max_instances"))
    if limits.vcpus is not None:
        if held_vcpus is None:
            bound(0, "the vCPUs already held are not known, and there is a cap on them")
        else:
            bound(
                (limits.vcpus - held_vcpus) // dearest.vcpus, f"the cap of {counted(limits.vcpus, 'vCPU')} is reached"
            )
    if limits.in_dollars and price is None:
        bound(0, f"the price of {dearest.name} is not known, and there is a limit in dollars")
        return allowed
    if limits.hourly is not None and price:
        running = hourly(held)
        if running is None:
            bound(0, "the price of what already runs is not known, and there is an hourly limit")
        else:
            bound(
                int((limits.hourly - running) // price),
                said(f"the limit of ${limits.hourly} an hour is reached", "max_hourly_cost"),
            )
    if limits.budget is not None and price:
        whole = price * Decimal(max(left, MINIMUM_BILLED).total_seconds()) / _HOURS
        if spent is None:
            bound(0, "what was already spent is not known, and there is a budget")
        else:
            none = said(f"the budget of ${limits.budget} has no room for more", "budget")
            bound(int((limits.budget - spent) // whole), none)
    return allowed


def spent(known: Sequence[KnownInstance], now: datetime) -> Decimal | None:
    """USD spent so far, at the ceilings; an estimate from above."""
    total = Decimal(0)
    for instance in known:
        if instance.hourly_ceiling is None:
            return None
        lived = max((instance.gone or now) - instance.launched, MINIMUM_BILLED)
        total += instance.hourly_ceiling * Decimal(lived.total_seconds())
    return total / _HOURS
