"""One growth step as it is put together: what is asked for in it, and which cap holds the rest back."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from annex_core.model.annex import Annex
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.plan import LaunchFleet
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import Allowance, allowance, caps, ceiling, committed, instance_hour
from annex_core.planner.holdings import Holding, whole_machine
from annex_core.planner.matching import Matcher
from annex_core.planner.ordering import Shortfall
from annex_core.planner.sizing import Choice, Misfit, Need, choices, place
from annex_core.planner.worth import TOO_SHORT, boot, refuted, soon, worth

FLEETS_A_STEP = 4
GROUPS_A_STEP = 16
"""A growth step asks for at most so many fleets, for so many groups of jobs; what is left waits for the next step."""

NEVER_JOINED = 3
"""After so many machines in a row that started and never joined, one is tried alone."""

_LEAST_IDLE = timedelta(seconds=5)
"""AnnexIdleTimeout's least; to HTCondor an idle time-out of 0 is none, and machines would stay until the lease ends."""


class Step:
    """One growth step as it is put together."""

    def __init__(
        self,
        annex: Annex,
        route: Route,
        groups: Sequence[JobGroup],
        held: Holding,
        snapshot: Snapshot,
        matcher: Matcher,
    ) -> None:
        self._annex = annex
        self._route = route
        self._groups = groups
        self._snapshot = snapshot
        self._matcher = matcher
        self._limits = caps(route, annex.limits)
        self._on_trial = len(never_joined(annex, snapshot)) >= NEVER_JOINED
        self._left = 1 if self._on_trial else GROUPS_A_STEP
        self.types = snapshot.types.get(annex.region, {})
        self.held = held
        """With what the step asks for: that counts as bought."""
        self.launches: dict[tuple[tuple[str, ...], str | None], LaunchFleet] = {}
        self.reasons: list[str | None] = []

    def needs(self) -> tuple[Need, ...]:
        """Jobs that find no room, as things stand."""
        return place(self._groups, self.held.rooms, self.types, self._matcher, volume_gib=self._route.volume_gib)

    def fill(self, lacking: Shortfall) -> None:
        """Ask for what an order lacks."""
        if lacking.ways:
            self._ask(lacking.ways, lacking.route, lacking.order.id)
        else:
            self.reasons.append(f"{lacking.route.region} has none of {', '.join(lacking.route.instance_types)}")

    def serve(self) -> None:
        """Ask for what the jobs need."""
        stuck: set[int] = set()
        kinds = _allowed(self._route, self._groups, self.types)
        while self._open:
            need = next((each for each in self.needs() if id(each.group) not in stuck), None)
            if need is None:
                break
            found = choices(
                need,
                kinds,
                self._matcher,
                price=lambda kind: instance_hour(kind, self._route),
                volume_gib=self._route.volume_gib,
            )
            if isinstance(found, Misfit):
                self.reasons.append(f"no machine of route {self._route.name} can run them, {found.reason}")
                stuck.add(id(need.group))
            elif not self._ask(self._worth(need, found), self._route, None):
                stuck.add(id(need.group))

    def _worth(self, need: Need, ways: Sequence[Choice]) -> list[tuple[Choice, int]]:
        """How many machines the jobs are worth in each way: none where they will have run before one has booted."""
        annex, snapshot, gib = self._annex, self._snapshot, self._route.volume_gib
        counts, boot_takes = snapshot.counts.get(annex.key, JobCounts()), boot(snapshot)
        if refuted(counts, self.held, snapshot.slots or (), snapshot.at, boot_takes=boot_takes):
            return [(way, way.machines(need.jobs)) for way in ways]
        slots = soon(need.group, self.held, counts, self.types, self._matcher, boot_takes=boot_takes, volume_gib=gib)
        return [
            (way, worth(way.machines(need.jobs), need, way.jobs_each, boot_takes=boot_takes, slots=slots))
            for way in ways
        ]

    @property
    def _open(self) -> bool:
        return self._left > 0 and len(self.launches) < FLEETS_A_STEP

    def _ask(self, ways: Sequence[tuple[Choice, int]], route: Route, order: str | None) -> int:
        """Ask in the first way that the caps leave room for; returns for how many machines."""
        if not self._open:
            return 0
        offers = [
            (way, self._allowance(way, min(wanted, 1) if self._on_trial else wanted, route)) for way, wanted in ways
        ]
        self.reasons.append(offers[0][1].reason if ways[0][1] else TOO_SHORT)
        way, allowed = next((offer for offer in offers if offer[1].instances), offers[0])
        if allowed.instances:
            fleet = self._fleet(way, allowed.instances, route, order)
            before = self.launches.get((fleet.types, order))
            self.launches[fleet.types, order] = replace(fleet, target=fleet.target + before.target) if before else fleet
            self.held = _with(self.held, fleet, self._snapshot, self.types, route)
            self._left -= 1
        return allowed.instances

    def _allowance(self, choice: Choice, wanted: int, route: Route) -> Allowance:
        annex, now = self._annex, self._snapshot.at
        kinds = [self.types[name] for name in choice.types]
        return allowance(
            wanted,
            max(kinds, key=lambda kind: (kind.vcpus, kind.name)),
            _dearest(choice.types, self.types, route),
            self._limits,
            self.held,
            committed(
                annex,
                [known for known in self._snapshot.known if known.annex == annex.id],
                self.held.outstanding,
                now,
                launches=self._snapshot.launches,
            ),
            held_vcpus=_vcpus(self.held, self.types),
            left=annex.lease_ends - now,
        )

    def _fleet(self, choice: Choice, target: int, route: Route, order: str | None) -> LaunchFleet:
        wished = [group.wishes.idle_timeout for group in self._groups if group.wishes.idle_timeout is not None]
        names = tuple(
            name for name in choice.types if not self._limits.in_dollars or ceiling(self.types[name], route) is not None
        )
        return LaunchFleet(
            annex=self._annex,
            types=names,
            ceilings={name: ceiling(self.types[name], route) for name in names},
            target=target,
            hourly_ceiling=_dearest(names, self.types, route),
            idle_timeout_s=int(max(min([*wished, route.idle_timeout]), _LEAST_IDLE).total_seconds()),
            route=route,
            order=order,
        )


def _allowed(route: Route, groups: Sequence[JobGroup], types: Mapping[str, InstanceType]) -> tuple[InstanceType, ...]:
    names = [name for name in route.instance_types if name in types]
    for group in groups:
        if group.wishes.instance_types:
            names = [name for name in names if name in group.wishes.instance_types]
    return tuple(types[name] for name in names)


def _dearest(names: Sequence[str], types: Mapping[str, InstanceType], route: Route) -> Decimal | None:
    prices = [instance_hour(types[name], route) for name in names]
    return None if None in prices else max(price for price in prices if price is not None)


def _vcpus(held: Holding, types: Mapping[str, InstanceType]) -> int | None:
    """vCPUs held and on their way, at most; None where a type is unknown."""
    kinds: list[tuple[str, ...]] = [(known.type,) for known in held.instances]
    kinds += [launch.types for launch, count in held.outstanding for _ in range(count)]
    if any(not names or any(name not in types for name in names) for names in kinds):
        return None
    return sum(max(types[name].vcpus for name in names) for names in kinds)


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


def never_joined(annex: Annex, snapshot: Snapshot) -> list[datetime]:
    """When machines ended that never joined, since the last one that did; of pilots none is expected to."""
    if annex.pilot:
        return []
    mine = [known for known in snapshot.known if known.annex == annex.id]
    last_joined = max((known.launched for known in mine if known.joined), default=None)
    return [
        known.gone
        for known in mine
        if known.gone and not known.joined and (last_joined is None or known.launched > last_joined)
    ]
