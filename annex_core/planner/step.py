"""One growth step as it is put together: what is asked for in it, and which cap holds the rest back."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from functools import cached_property

from annex_core.model.annex import Annex, Launch
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import FleetApi, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import counted, sold
from annex_core.planner.blackholes import A_FEW, widened
from annex_core.planner.caps import Allowance, allowance, caps, ceiling, instance_hour
from annex_core.planner.commons import Commons, room
from annex_core.planner.holdings import Holding, whole_machine
from annex_core.planner.learned import as_learned
from annex_core.planner.lifetimes import Lifetimes
from annex_core.planner.matching import Found, Matcher
from annex_core.planner.misfits import lacking
from annex_core.planner.offers import expected
from annex_core.planner.ordering import Shortfall
from annex_core.planner.outlay import Sum, by_aws_clock, committed
from annex_core.planner.places import types_of
from annex_core.planner.reclaimed import reclaimed
from annex_core.planner.rooms import Need, jobs_per_machine, place
from annex_core.planner.scarcity import asked_for, depth, weighed
from annex_core.planner.shelf import Shelf, shelf
from annex_core.planner.shortages import shortages, to_be_had, tried
from annex_core.planner.sizing import Load, pack
from annex_core.planner.verdicts import STEP_BY_STEP, TRIED_ALONE, UNSETTLED, Verdicts
from annex_core.planner.warm import WARM, warm_until
from annex_core.planner.wishes import decided, idle_timeout, instance_types
from annex_core.planner.worth import TOO_SHORT, boot, refuted, soon, worth

FLEETS_A_STEP = 4
"""A growth step asks for at most so many fleets; what is left waits for the next step."""

_PASSES = 5
"""So often at most it is looked, after machines were asked for, whether all jobs find room on them."""

_DEARER = 3
"""What costs jobs more than so many times what they would on machines that AWS has just had none of is not for now."""
_TARGET = 10_000
"""Instances that one fleet may be asked for, by AWS's quota."""
_MISFITS_TOLD = 20
"""Groups of which is said what they lack."""


class Step:
    """
    One growth step as it is put together.

    Args:
        after: The step before, of another stage of the same growth.
        later: There are stages after it, which may serve its jobs for less than its dearer types.
        among: The groups that it serves, by identity; None is all.
    """

    def __init__(
        self,
        annex: Annex,
        route: Route,
        groups: Sequence[JobGroup],
        held: Holding,
        snapshot: Snapshot,
        matcher: Matcher,
        commons: Commons,
        *,
        after: "Step | None" = None,
        later: bool = False,
        among: Container[int] | None = None,
    ) -> None:
        self._annex = annex
        self._route = route
        self._groups = groups
        self._snapshot = snapshot = as_learned(route, snapshot)
        self._matcher = matcher
        self._limits = caps(route, annex.limits)
        self.commons, self._shares = commons, commons.shares(annex)
        self._in_dollars = self._limits.in_dollars or any(each.limit.in_dollars for each in self._shares)
        self._fleets = FLEETS_A_STEP
        if route.api is not FleetApi.RUN_INSTANCES:
            self._fleets = min(FLEETS_A_STEP, commons.fleets_left(route.place))
        self._holes = commons.black_holes.of(route, snapshot)
        alone = self._holes.alone or len(commons.black_holes.of_annex(annex, route, self._holes)) >= A_FEW
        self._left = 1 if alone else _TARGET * FLEETS_A_STEP
        self.rest = TRIED_ALONE if alone else STEP_BY_STEP
        """Why jobs wait that no cap holds back."""
        self._boot = boot(snapshot)
        self._without: set[str] = set()
        self._short = widened(shortages(route, snapshot), self._holes, reclaimed(route, snapshot))
        self._capped: list[str | None] = []
        self.types = types_of(annex, snapshot, first=route.place)
        self._there = snapshot.types.get(route.place, {})
        self.held = held
        """With what the step asks for: that counts as bought."""
        self.launches: dict[tuple[tuple[str, ...], str | None], LaunchFleet] = {}
        self.reasons: list[str | None] = []
        self.verdicts: Verdicts = after.verdicts if after else Verdicts()
        self._among = among
        self._wait = route.fallback_after * (2 if later else 1)
        self.lacked: dict[int, datetime] = {}
        """Groups, by identity, for whose jobs AWS has had no machine of any type, and since when."""

    def needs(self) -> tuple[Need, ...]:
        """Jobs that find no room, as things stand, of the groups that it serves."""
        found = place(self._groups, self.held.rooms, self.types, self._matcher, volume_gib=self._route.volume_gib)
        return tuple(need for need in found if self._among is None or id(need.group) in self._among)

    def fill(self, lacking: Shortfall) -> None:
        """Ask for what an order lacks, in the first way that the caps leave room for."""
        if not lacking.ways:
            self.reasons.append(f"{lacking.route.region} has none of {', '.join(lacking.route.instance_types)}")
            return
        ways, why = (lacking.ways, None) if lacking.fresh else to_be_had(lacking.ways, lacking.route, self._snapshot)
        if not ways:
            self.reasons.append(why)
            return
        allowed = [self._allowance(types, wanted, lacking.route) for types, wanted in ways]
        self.reasons.append(allowed[0].reason)
        for (types, _), each in zip(ways, allowed, strict=True):
            if each.instances and self._open:
                self._ask(types, each.instances, lacking.route, lacking.order.id)
                return

    def serve(self, needs: Sequence[Need]) -> None:
        """
        Ask for machines until all jobs have room, or no more may be had.

        What was packed need not be found again when jobs are put into the room there is, as HTCondor puts them: then
        what is lacking is asked for at once and not by the next plan.
        """
        kinds, said = self._sized(needs), self.reasons
        for _ in range(_PASSES):
            before = self._left
            waiting, reasons = self._serve(needs, kinds)
            self.reasons = [*said, *reasons]
            if before == self._left or not self._open or (waiting and self._room <= 0):
                return
            needs = self.needs()
            if not needs:
                self.reasons = said
                return

    def _serve(self, needs: Sequence[Need], kinds: Shelf) -> tuple[Sequence[Found], list[str | None]]:
        """Returns what no machine could be asked for, and why jobs wait all the same."""
        waiting, reasons = self._servable(needs, kinds)
        while waiting and self._open:
            before = self._left, len(self._without)
            waiting = self._round(waiting, kinds)
            if self._room <= 0 and self._capped and (why := self._capped[-1]):
                for each in waiting:
                    self.verdicts.hold(each.group, why)
                break
            if before == (self._left, len(self._without)):
                break
        if waiting:
            reasons += self._capped
            if not self._open:
                reasons.append(self.rest)
        return waiting, reasons

    @property
    def _room(self) -> int:
        """Machines that the cap on their number leaves room for, whatever they are."""
        return self._limits.instances - len(self.held.instances) - self.held.coming

    @property
    def _open(self) -> bool:
        return self._left > 0 and len(self.launches) < self._fleets

    def _shelf(self, *, whole: bool = False) -> Shelf:
        """
        The types that the route and all jobs allow.

        Args:
            whole: Those too that AWS has just had none of.
        """
        names = [name for name in instance_types(self._groups, self._route) if name in self._there]
        kinds = (self.types[name] for name in names if whole or name not in self._short.aside)
        return shelf(kinds, expected(self._route, self._snapshot), volume_gib=self._route.volume_gib)

    def _sized(self, needs: Sequence[Need]) -> Shelf:
        """The types by what they cost these jobs: as many machines as the caps allow, for as long as they will live."""
        kinds, total = self._shelf(), asked_for(needs)
        turns = depth(
            total,
            kinds,
            lambda name: self._allowance((name,), _TARGET, self._route).instances,
            held_vcpus=_vcpus(self.held, self.types) or 0,
        )
        lives = Lifetimes(overhead=(self._boot + idle_timeout(self._groups, self._route)).total_seconds(), depth=turns)
        return replace(weighed(kinds, total, max(self._room, 1)), lives=lives)

    def _round(self, waiting: Sequence[Found], kinds: Shelf) -> list[Found]:
        """Ask for machines until some can't be had; returns the jobs that are left, to be packed anew."""
        left = [each.jobs for each in waiting]
        for load in pack(waiting, kinds, self._matcher, without=self._without):
            had = self._take(load, kinds, waiting)
            for at, jobs in load.jobs:
                left[at] -= jobs * had
            if had < load.machines or not self._open:
                break
        return [replace(each, jobs=jobs) for each, jobs in zip(waiting, left, strict=True) if jobs]

    def _servable(self, needs: Sequence[Need], kinds: Shelf) -> tuple[list[Found], list[str | None]]:
        """Needs that machines may be bought for, and why not for the others."""
        reasons: list[str | None] = []
        servable: list[Found] = []
        misfits: list[JobGroup] = []
        unsettled: list[JobGroup] = []
        found = self._matcher.find([(need.group, need.jobs) for need in needs], kinds)
        short = self._only_short([need for need, each in zip(needs, found, strict=True) if not each.types])
        for need, each in zip(needs, found, strict=True):
            if id(need.group) in short:
                reasons.append(self._short.reason)
                self.verdicts.hold(need.group, self._short.reason or "")
                continue
            if not each.types:
                (misfits if each.settled else unsettled).append(need.group)
                continue
            jobs = self._worthwhile(need, kinds.kinds[each.types[0]])
            if jobs:
                servable.append(replace(each, jobs=jobs))
            else:
                reasons.append(TOO_SHORT)
            if jobs < need.jobs:
                self.verdicts.hold(need.group, TOO_SHORT)
        no = f"no machine of route {self._route.name} can run them"
        for at, group in enumerate(misfits):
            told = f"{no}, {lacking(group, kinds, self._matcher)}" if at < _MISFITS_TOLD else no
            self.verdicts.hold(group, told)
            reasons += [told] if at < _MISFITS_TOLD else []
        if misfits[_MISFITS_TOLD:]:
            reasons.append(f"{no}: {counted(len(misfits) - _MISFITS_TOLD, 'group')} of jobs more")
        if unsettled:
            some = counted(len(unsettled), "group")
            reasons.insert(0, f"{some} of jobs are not yet compared with every type of the route; that goes on")
        for group in unsettled:
            self.verdicts.hold(group, UNSETTLED)
        return servable, reasons

    def _only_short(self, needs: Sequence[Need]) -> frozenset[int]:
        """Groups, by identity, that would have a machine if AWS had any of its type."""
        if not needs or not self._short.aside:
            return frozenset()
        shelf_ = self._shelf(whole=True)
        found = self._matcher.find([(need.group, need.jobs) for need in needs], shelf_)
        lacked = [(each.group, [shelf_.kinds[at].name for at in each.types]) for each in found if each.types]
        for group, names in lacked:
            if not self._short.short.isdisjoint(names):
                self._lacks(group, [name for name in names if name in self._short.since])
        return frozenset(id(group) for group, _ in lacked)

    def _lacks(self, group: JobGroup, names: Iterable[str]) -> None:
        """AWS has had none of these since the last one of them was gone."""
        since = max(self._short.since.get(name, self._snapshot.at) for name in names)
        self.lacked[id(group)] = max(since, self.lacked.get(id(group), since))

    def stuck(self) -> frozenset[str]:
        """
        Tokens of open launches that AWS has said it has nothing for, and whose jobs could all have machines of other
        types now, of which it has some as far as is known.
        """
        told, route, short = self._snapshot.obstacles, self._route, self._short.short
        open_ = [
            launch
            for launch, _ in self.held.outstanding
            if launch.token in told
            and launch.order in {None, WARM}
            and (launch.place, launch.market) == (route.place, route.market)
        ]
        return frozenset(
            launch.token for launch in open_ if short.issuperset(launch.types) and self._would_run_elsewhere(launch)
        )

    def _would_run_elsewhere(self, launch: Launch) -> bool:
        gib = self._route.volume_gib
        held = replace(self.held, outstanding=tuple(each for each in self.held.outstanding if each[0] is not launch))
        its = [self.types[name] for name in launch.types if name in self.types]
        prices = self._prices
        most = _DEARER * launch.target * min((prices[kind.name] for kind in its if kind.name in prices), default=0.0)
        others = [
            kind
            for kind in self._shelf().kinds
            if kind.name not in self._short.short
            and prices[kind.name] <= most
            and self._allowance((kind.name,), 1, self._route, held=held).instances
        ]
        jobs = [
            group for group in self._groups if any(self._matcher.knows(group, kind, volume_gib=gib) for kind in its)
        ]
        return bool(jobs) and all(
            any(self._matcher.knows(group, kind, volume_gib=gib) for kind in others) for group in jobs
        )

    @cached_property
    def _whole(self) -> Shelf:
        return self._shelf(whole=True)

    @cached_property
    def _prices(self) -> Mapping[str, float]:
        """Of all types, those too that AWS has just had none of, to compare them."""
        return {kind.name: float(price) for kind, price in zip(self._whole.kinds, self._whole.prices, strict=True)}

    def _waits(self, load: Load, waiting: Sequence[Found]) -> datetime | None:
        """
        Until when its jobs wait for types that AWS has just had none of, for what it has would cost them far more; None
        where they don't.
        """
        lately = {
            name: since + self._wait
            for name, since in self._short.since.items()
            if self._snapshot.at - since < self._wait and name in self._prices
        }
        if not lately:
            return None
        shares: dict[str, float] = dict.fromkeys(lately, 0.0)
        for at, jobs in load.jobs:
            [found] = self._matcher.find([(waiting[at].group, waiting[at].jobs)], self._whole)
            its = {self._whole.kinds[kind].name: share for kind, share in found.offers}
            shares = {name: before + jobs * its[name] for name, before in shares.items() if name in its}
        least = min((max(share, self._prices[name]) for name, share in shares.items()), default=None)
        if least is None or self._prices[load.types[0]] <= _DEARER * least:
            return None
        return max(lately[name] for name in shares)

    @property
    def _counts(self) -> JobCounts:
        return self._snapshot.counts.get(self._annex.key, JobCounts())

    @cached_property
    def _refuted(self) -> bool:
        slots = self._snapshot.slots or ()
        return refuted(self._counts, self.held, slots, self._snapshot.at, boot_takes=self._boot)

    def _worthwhile(self, need: Need, kind: InstanceType) -> int:
        """The jobs that machines of that type are worth: those whose work outlasts a boot."""
        expected, gib = need.group.expected, self._route.volume_gib
        if expected is None or not expected.sure or expected.mean >= self._boot or self._refuted:
            return need.jobs
        slots = soon(
            need.group, self.held, self._counts, self.types, self._matcher, boot_takes=self._boot, volume_gib=gib
        )
        each = jobs_per_machine(need.group, kind, volume_gib=gib)
        machines = worth(-(-need.jobs // each), need, each, boot_takes=self._boot, slots=slots)
        return min(need.jobs, machines * each)

    def _take(self, load: Load, kinds: Shelf, waiting: Sequence[Found]) -> int:
        """Ask for what the caps allow of it; returns how many machines. Types that they don't allow are left out."""
        if self._without.issuperset(load.types):
            return 0
        if (begins := self._waits(load, waiting)) is not None:
            self._without |= {*load.types}
            self._wait_for_cheaper(load, waiting, begins)
            return 0
        wanted, types = min(load.machines, self._left, _TARGET), load.types
        trial = self._short.trial.issuperset(types)
        if not trial and (types := self._beside_holes(types))[0] in self._holes.trial:
            wanted = 1
            self._without |= {*types}
            self._capped.append(f"{self._holes.types[types[0]]}; one is tried")
        if trial:
            wanted = 1
            self._without |= {*types}
            self._capped.append(tried(types, self._route))
            for at, _ in load.jobs:
                self._lacks(waiting[at].group, types)
        allowed = self._allowance(types, wanted, self._route)
        if not allowed.instances and len(types) > 1:
            types = types[:1]  # it may be the dearest beside it that is too dear
            allowed = self._allowance(types, wanted, self._route)
        self._capped.append(allowed.reason)
        if allowed.instances:
            self._ask(types, allowed.instances, self._route, None)
        if allowed.instances < wanted:
            self._leave_out(types, kinds)
        for at, jobs in load.jobs:
            self.verdicts.take(waiting[at].group, types, allowed.instances, jobs, why_not_more=allowed.reason)
        return allowed.instances

    def _wait_for_cheaper(self, load: Load, waiting: Sequence[Found], begins: datetime) -> None:
        cheaper = f"AWS had no {sold(self._route.market)} machine that suits them"
        why = f"{cheaper}; dearer ones, of over {_DEARER} times the cost, are asked for from {begins:%H:%M} UTC on"
        self._capped.append(why)
        for at, _ in load.jobs:
            self.verdicts.hold(waiting[at].group, why)
            self._lacks(waiting[at].group, self._short.since)

    def _beside_holes(self, types: tuple[str, ...]) -> tuple[str, ...]:
        """Without those of which one may be tried alone; one of them where there are no others."""
        return tuple(name for name in types if name not in self._holes.trial) or types[:1]

    def _leave_out(self, types: tuple[str, ...], kinds: Shelf) -> None:
        """Where a cap leaves no room for one more of these, it leaves none for what is as large and as dear."""
        vcpus = max(self.types[name].vcpus for name in types)
        dearest = _dearest(types, self.types, self._route)
        for kind in kinds.kinds:
            price = instance_hour(kind, self._route)
            if kind.vcpus >= vcpus and (price is None or (dearest is not None and price >= dearest)):
                self._without.add(kind.name)

    def _ask(self, types: tuple[str, ...], target: int, route: Route, order: str | None) -> None:
        target = min(target, self._left)
        fleet = self._fleet(types, target, route, order)
        before = self.launches.get((fleet.types, order))
        self.launches[fleet.types, order] = replace(fleet, target=fleet.target + before.target) if before else fleet
        self.held = _with(self.held, fleet, self._snapshot, self.types, route)
        self._left -= target

    def _allowance(self, types: tuple[str, ...], wanted: int, route: Route, held: Holding | None = None) -> Allowance:
        """
        Args:
            held: In place of what is held as things stand.
        """
        annex, limits, held = self._annex, self._limits, held or self.held
        now = self._snapshot.aws_now(annex.place)
        largest = max((self.types[name] for name in types), key=lambda kind: (kind.vcpus, kind.name))
        price = _dearest(types, self.types, route)
        alone = allowance(
            wanted,
            largest,
            price,
            limits,
            held,
            None if limits.budget is None else self._committed(held).known,
            held_vcpus=None if limits.vcpus is None else _vcpus(held, self.types),
            left=annex.lease_ends - now,
        )
        if not self._shares or not alone.instances:
            return alone
        own = self.commons.own(annex, held.outstanding)
        shared = room(alone.instances, largest, price, self._shares, own, now, annex.lease_ends)
        return shared if shared.reason else alone

    def _committed(self, held: Holding) -> Sum:
        outstanding = by_aws_clock(held.outstanding, self._snapshot)
        return self._had + committed(self._annex, (), outstanding, self._snapshot.at, launches=())

    @cached_property
    def _had(self) -> Sum:
        """What the annex's machines come to, those that are gone included."""
        known, launches = self._snapshot.known_of(self._annex), self._snapshot.launches_of(self._annex)
        return committed(self._annex, known, (), self._snapshot.at, launches=launches)

    def _fleet(self, types: tuple[str, ...], target: int, route: Route, order: str | None) -> LaunchFleet:
        names = tuple(name for name in types if not self._in_dollars or ceiling(self.types[name], route) is not None)
        return LaunchFleet(
            annex=self._annex,
            types=names,
            ceilings={name: ceiling(self.types[name], route) for name in names},
            target=target,
            hourly_ceiling=_dearest(names, self.types, route),
            idle_timeout_s=int(idle_timeout(self._groups, route).total_seconds()),
            route=route,
            left_out=frozenset(pool for pool in self._short.left_out if pool[0] in names),
            order=order,
            by_jobs=decided(self._groups, route, ordered=order is not None),
            warm_until=warm_until(route, self._snapshot.at) if order == WARM else None,
        )


def _dearest(names: Sequence[str], types: Mapping[str, InstanceType], route: Route) -> Decimal | None:
    prices = [instance_hour(types[name], route) for name in names]
    return None if None in prices else max(price for price in prices if price is not None)


def _vcpus(held: Holding, types: Mapping[str, InstanceType]) -> int | None:
    """vCPUs held and on their way, at most; None where a type is unknown."""
    kinds: list[tuple[tuple[str, ...], int]] = [((known.type,), 1) for known in held.instances]
    kinds += [(launch.types, count) for launch, count in held.outstanding]
    if any(not names or any(name not in types for name in names) for names, _ in kinds):
        return None
    return sum(max(types[name].vcpus for name in names) * count for names, count in kinds)


def _with(
    held: Holding, fleet: LaunchFleet, snapshot: Snapshot, types: Mapping[str, InstanceType], route: Route
) -> Holding:
    """The holding once the fleet has been asked for: what is asked for counts as bought."""
    room = whole_machine(fleet.types, types, route.volume_gib)
    return replace(
        held,
        outstanding=(*held.outstanding, (fleet.as_launch("", snapshot.at), fleet.target)),
        rooms=(*held.rooms, *[room] * fleet.target),
    )
