"""What machines take of limits: how many, how large, what an hour, and what in which month."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from annex_core.model.annex import Annex, KnownInstance, Launch
from annex_core.model.hardware import InstanceType
from annex_core.model.route import Market, Route
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.planner.caps import MINIMUM_BILLED, instance_hour

_HOUR = Decimal(3600)


@dataclass(frozen=True)
class Sum:
    """A sum some of whose parts may not be known: unknown is never zero."""

    amount: Decimal = Decimal(0)
    unknown: int = 0

    @property
    def known(self) -> Decimal | None:
        return None if self.unknown else self.amount

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.amount + other.amount, self.unknown + other.unknown)

    def __sub__(self, other: "Sum") -> "Sum":
        return Sum(self.amount - other.amount, self.unknown - other.unknown)


_NOTHING = Sum()
_ONE_UNKNOWN = Sum(unknown=1)


def _months(left: Mapping[str, Sum], right: Mapping[str, Sum], sign: int) -> dict[str, Sum]:
    found = dict(left)
    for month, each in right.items():
        before = found.get(month, _NOTHING)
        found[month] = before + each if sign > 0 else before - each
    return found


@dataclass(frozen=True)
class Outlay:
    """What an annex, or several, hold and have spent or put aside until their leases end."""

    instances: int = 0
    vcpus: Sum = _NOTHING
    hourly: Sum = _NOTHING
    total: Sum = _NOTHING
    months: Mapping[str, Sum] = field(default_factory=dict, hash=False)
    """By calendar month, 2026-11."""
    unpriced: int = 0
    """Machines that hold, in every month, an amount that nobody knows."""

    def __add__(self, other: "Outlay") -> "Outlay":
        return self._with(other, 1)

    def __sub__(self, other: "Outlay") -> "Outlay":
        return self._with(other, -1)

    def _with(self, other: "Outlay", sign: int) -> "Outlay":
        def both(left: Sum, right: Sum) -> Sum:
            return left + right if sign > 0 else left - right

        return Outlay(
            self.instances + sign * other.instances,
            both(self.vcpus, other.vcpus),
            both(self.hourly, other.hourly),
            both(self.total, other.total),
            _months(self.months, other.months, sign),
            self.unpriced + sign * other.unpriced,
        )

    def in_month(self, month: str) -> Decimal | None:
        return None if self.unpriced else self.months.get(month, _NOTHING).known


def month_of(moment: datetime) -> str:
    """2026-11: AWS bills by UTC."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def by_month(begins: datetime, ends: datetime) -> Iterator[tuple[str, Decimal]]:
    """Hours in each month between two moments; what AWS bills at least, in the first."""
    begins = begins.astimezone(UTC)
    ends = max(ends.astimezone(UTC), begins + MINIMUM_BILLED)
    while begins < ends:
        turn = (begins.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=32)).replace(day=1)
        until = min(turn, ends)
        yield month_of(begins), _seconds(until - begins) / _HOUR
        begins = until


def _seconds(span: timedelta) -> Decimal:
    return Decimal(span // timedelta(microseconds=1)) / 1_000_000


def price(kind: InstanceType | None, route: Route | None) -> Decimal | None:
    """USD an hour at most of a machine that nothing else is known of: it may be the dearest, an on-demand one."""
    if kind is None or kind.on_demand is None:
        return None
    of = route or _ANY
    return instance_hour(kind, Route(
        of.name, of.region, (), "", (), market=Market.ON_DEMAND, volume_gib=of.volume_gib, egress_price=of.egress_price
    ))  # fmt: skip


_ANY = Route("", "", (), "", ())


def ends_of(known: KnownInstance, annex: Annex, bounds: Mapping[str, datetime | None], now: datetime) -> datetime:
    """Until when a machine costs: until it was gone, else the lease's end, or its fleet's outer bound before that."""
    bound = bounds.get(known.token or "") or annex.lease_ends
    return known.gone or max(min(annex.lease_ends, bound), now)


def by_aws_clock(outstanding: Iterable[tuple[Launch, int]], snapshot: Snapshot) -> list[tuple[Launch, int]]:
    """Launches as if they had been intended by AWS's clock, which leases and machines go by."""
    found = []
    for launch, count in outstanding:
        ahead = snapshot.regions.get(launch.place, RegionView()).ahead
        found.append((replace(launch, intended=launch.intended + ahead) if ahead else launch, count))
    return found


def outlay(
    annex: Annex,
    known: Iterable[KnownInstance],
    outstanding: Iterable[tuple[Launch, int]],
    now: datetime,
    *,
    launches: Iterable[Launch],
    types: Mapping[str, InstanceType],
    route: Route | None,
) -> Outlay:
    """
    What one life of an annex takes: each machine at its ceiling until it was gone, or until its end if it lives; what
    is on its way likewise. One whose ceiling is not known counts at its type's on-demand price.

    Args:
        known: Its instances, gone ones included.
        outstanding: Launches that may bring more, and how many.
        launches: Those that *known* came of.
        types: By name, in its region.
    """
    bounds = {each.token: each.ends_at_latest for each in launches}
    found = _Adding()
    for each in known:
        hour = price(types.get(each.type), route) if each.hourly_ceiling is None else each.hourly_ceiling
        found.machines(hour, each.launched, ends_of(each, annex, bounds, now), 1)
        if each.gone is None:
            found.held((each.type,), hour, types, 1)
    for launch, count in outstanding:
        hour = launch.hourly_ceiling
        if hour is None and launch.types:
            hours = [price(types.get(name), route) for name in launch.types]
            hour = None if None in hours else max(each for each in hours if each is not None)
        ends = min(annex.lease_ends, launch.ends_at_latest or annex.lease_ends)
        found.machines(hour, launch.intended, ends, count)
        found.held(launch.types, hour, types, count)
    return found.outlay()


def committed(
    annex: Annex,
    known: Iterable[KnownInstance],
    outstanding: Iterable[tuple[Launch, int]],
    now: datetime,
    *,
    launches: Iterable[Launch],
) -> Sum:
    """USD that outlay() comes to in all, by ceilings alone: what has none is not known, whatever its type costs."""
    return outlay(annex, known, outstanding, now, launches=launches, types={}, route=None).total


class _Adding:
    def __init__(self) -> None:
        self._instances = self._unpriced = 0
        self._vcpus = self._hourly = self._total = _NOTHING
        self._months: dict[str, Decimal] = {}

    def machines(self, hour: Decimal | None, begins: datetime, ends: datetime, count: int) -> None:
        if hour is None:
            self._unpriced += count
            self._total += Sum(unknown=count)
            return
        for month, hours in by_month(begins, ends):
            usd = hour * hours * count
            self._months[month] = self._months.get(month, Decimal(0)) + usd
            self._total += Sum(usd)

    def held(self, names: Sequence[str], hour: Decimal | None, types: Mapping[str, InstanceType], count: int) -> None:
        self._instances += count
        sizes = [types[name].vcpus if name in types else None for name in names] or [None]
        most = None if None in sizes else max(size for size in sizes if size is not None)
        self._vcpus += Sum(unknown=count) if most is None else Sum(Decimal(most * count))
        self._hourly += Sum(unknown=count) if hour is None else Sum(hour * count)

    def outlay(self) -> Outlay:
        months = {month: Sum(usd) for month, usd in self._months.items()}
        return Outlay(self._instances, self._vcpus, self._hourly, self._total, months, self._unpriced)


def past(month: str, usd: Decimal | None, *, in_all: bool) -> Outlay:
    """What a finished life has cost in a month; *month* is empty for what is too long ago to matter by month."""
    amount = _ONE_UNKNOWN if usd is None else Sum(usd)
    return Outlay(total=amount if in_all else _NOTHING, months={month: amount} if month else {})
