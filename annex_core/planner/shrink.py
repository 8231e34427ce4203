"""
What is over a cap or a budget, which an administrator or a later job may have lowered: what is open is given up, and
machines are drained, the emptiest and the dearest first. No job is ended for it.
"""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from functools import cached_property

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.limits import Limit, Subject
from annex_core.model.plan import Action, CloseLaunch, Terminate
from annex_core.model.route import overridden
from annex_core.model.snapshot import Snapshot
from annex_core.model.supply import Slot
from annex_core.model.wording import counted
from annex_core.planner.caps import caps
from annex_core.planner.commons import Commons, of_annex
from annex_core.planner.holdings import REQUESTS_LISTED, Holding, advertised_again, whole_machine
from annex_core.planner.matching import Matcher
from annex_core.planner.outlay import Outlay
from annex_core.planner.places import homes, places_of, unseen
from annex_core.planner.retagging import tagged
from annex_core.planner.rooms import place

_FOLLOWED = timedelta(minutes=2)
"""A machine that has not joined sees its tag within this time, and lets no job start."""
_SLACK_H = Decimal(1) / 6
"""Hours: AWS's clock and ours differ by seconds, and a budget that is used up must not cost a machine for them."""


@dataclass(frozen=True)
class Shrinking:
    actions: tuple[Action, ...] = ()
    told: tuple[str, ...] = ()
    """What is drained and why, for the log and for administrators."""


def shrunk(snapshot: Snapshot, commons: Commons, closing: Container[str]) -> Shrinking:
    """
    Args:
        closing: Tokens of launches that the plan gives up anyhow.
    """
    if snapshot.slots is None or snapshot.demand is None or snapshot.slots_since is None or commons.limits.malformed:
        return Shrinking()
    if snapshot.at - snapshot.slots_since < advertised_again(snapshot):
        return Shrinking()
    ground = _Ground(snapshot, commons, closing)
    actions: list[Action] = [*ground.given_up()]
    drained = ground.drained()
    told = []
    for annex, ids in drained.items():
        life = snapshot.annexes[annex.key]
        actions += tagged(life, (tags.DRAINING, tags.stamp(snapshot.at)), ids, snapshot)
        told.append(f"annex {annex.key}: {counted(len(ids), 'machine')} of it is over {ground.why[annex]}, and drains")
    return Shrinking((*actions, *_empty(snapshot)), tuple(told))


Bound = tuple[Limit, str]


class _Ground:
    """What each limit binds, what is taken of it, and what could be done without."""

    def __init__(self, snapshot: Snapshot, commons: Commons, closing: Container[str]) -> None:
        self._snapshot = snapshot
        self._commons = commons
        self._closing = closing
        self.why: dict[Annex, str] = {}
        self._limits: dict[Subject | str, Bound] = {}
        self._taken: dict[Subject | str, Outlay] = {}
        self._binding: dict[str, list[Subject | str]] = {}
        self._living = [annex for annex in snapshot.annexes.values() if self._judged(annex)]
        blind = {each for annex in snapshot.annexes.values() if unseen(annex, snapshot)
                 for each in of_annex(annex)}  # fmt: skip
        for annex in self._living:
            binding = self._binding[annex.id] = []
            for share in commons.shares(annex):
                if share.subject not in blind:
                    self._limits[share.subject] = share.limit, f"a limit for {share.subject} (ANNEX_LIMITS)"
                    self._taken[share.subject] = commons.held(share.subject)
                    binding.append(share.subject)
            if own := self._own(annex):
                self._limits[annex.id] = own, f"the caps of route {annex.route} and of its jobs"
                self._taken[annex.id] = commons.own(annex)
                binding.append(annex.id)

    def _judged(self, annex: Annex) -> bool:
        now = self._snapshot.aws_now(annex.place)
        return not unseen(annex, self._snapshot) and not annex.ending and annex.lease_ends > now

    def _own(self, annex: Annex) -> Limit | None:
        """Its own caps, where it may be over one; to add up what machines of long ago cost takes time."""
        route = self._snapshot.routes.get(annex.route)
        if route is None:
            return None
        its = caps(overridden(route, annex.overrides), annex.limits)
        limit = Limit(its.instances, its.vcpus, its.hourly, its.budget)
        held = sum(each.gone is None for each in self._commons.known(annex))
        coming = sum(count for _, count in self._commons.outstanding(annex))
        few = held + coming <= its.instances
        return None if few and its.vcpus is None and not limit.in_dollars else limit

    def given_up(self) -> list[CloseLaunch]:
        """Open requests that are over a limit, the newest first; none while a machine may be of any of them."""
        found = []
        for annex in self._living:
            if not self._binding[annex.id]:
                continue
            guessed = {
                it
                for it in places_of(annex, self._snapshot)
                for each in self._snapshot.regions[it].instances_of(annex.key)
                if each.fleet is None and not each.client_token
            }
            for launch, count in sorted(
                self._commons.outstanding(annex), key=lambda each: each[0].intended, reverse=True
            ):
                some = self._of([(launch, count)], (), annex)
                surplus = launch.token in self._closing
                sure = self._settled(launch) and launch.place not in guessed
                if not surplus and sure and (whose := self._over(annex, some)):
                    found.append(CloseLaunch(launch, f"it is over {whose}"))
                    surplus = True
                # What stays open is no reason to drain what works: it may never come.
                self._without(annex, some)
        return found

    def drained(self) -> Mapping[Annex, list[str]]:
        """By annex, the machines that are told to take no more job; nobody knows what one without its slot ad does."""
        candidates: list[tuple[tuple[object, ...], Annex, KnownInstance, Outlay]] = []
        for annex in self._living:
            if not self._strained(annex):
                continue
            for each in self._commons.known(annex):
                if each.gone is None:
                    some = self._of((), [each], annex)
                    if each.leaving:
                        self._without(annex, some)
                    elif each.joined is None or each.id in self._slots:
                        candidates.append((self._order(each), annex, each, some))
        found: dict[Annex, list[str]] = {}
        for _, annex, each, some in sorted(candidates, key=lambda candidate: candidate[0]):
            if whose := self._over(annex, some):
                self._without(annex, some)
                found.setdefault(annex, []).append(each.id)
                self.why[annex] = whose
        return found

    def _settled(self, launch: Launch) -> bool:
        return launch.state is LaunchState.REQUESTED and self._snapshot.at - launch.intended >= REQUESTS_LISTED

    @cached_property
    def _slots(self) -> Mapping[str, Sequence[Slot]]:
        """By machine."""
        found: dict[str, list[Slot]] = {}
        for slot in self._snapshot.slots or ():
            found.setdefault(slot.instance or "", []).append(slot)
        return found

    def _order(self, each: KnownInstance) -> tuple[object, ...]:
        return (
            _busy(self._slots.get(each.id, ())),
            -(each.hourly_ceiling or Decimal(0)),
            -each.launched.timestamp(),
            each.id,
        )

    def _of(self, coming: Iterable[tuple[Launch, int]], machines: Iterable[KnownInstance], annex: Annex) -> Outlay:
        """What would be free without these, from now on."""
        from_now = [replace(each, launched=max(self._snapshot.at, each.launched)) for each in machines]
        return self._commons.taken_by(annex, from_now, coming)

    def _without(self, annex: Annex, some: Outlay) -> None:
        for each in self._binding[annex.id]:
            self._taken[each] -= some

    def _strained(self, annex: Annex) -> bool:
        """Whether a limit of its is passed at all; to look at each machine takes time."""
        return any(_helps(self._limits[each][0], self._taken[each], self._taken[each])
                   for each in self._binding[annex.id])  # fmt: skip

    def _over(self, annex: Annex, some: Outlay) -> str | None:
        """Whose limit is passed that would be passed by less without *some*."""
        for each in self._binding[annex.id]:
            limit, whose = self._limits[each]
            if _helps(limit, self._taken[each], some):
                return whose
        return None


def _helps(limit: Limit, taken: Outlay, some: Outlay) -> bool:
    """What is not known is over nothing: no machine is drained for it."""
    slack = taken.hourly.amount * _SLACK_H

    def over(most: Decimal | int | None, have: Decimal | None, less: Decimal, spare: Decimal = Decimal(0)) -> bool:
        return most is not None and have is not None and have > most + spare and less > 0

    return (
        over(limit.instances, Decimal(taken.instances), Decimal(some.instances))
        or over(limit.vcpus, taken.vcpus.known, some.vcpus.amount)
        or over(limit.hourly, taken.hourly.known, some.hourly.amount)
        or over(limit.budget, taken.total.known, some.total.amount, slack)
        or any(over(limit.monthly, taken.in_month(month), usd.amount, slack) for month, usd in some.months.items())
    )


def _busy(slots: Sequence[Slot]) -> float:
    """The share of its CPUs that jobs have; 0 where it has not joined."""
    whole = [slot for slot in slots if not slot.claimed]
    cpus = sum(slot.cpus for slot in whole)
    free = sum(slot.free_cpus for slot in whole)
    return 1 - free / cpus if cpus else float(any(slot.claimed for slot in slots))


def _empty(snapshot: Snapshot) -> list[Terminate]:
    """
    Machines that were told to drain and have no job left: those whose own slot says so, and those that never joined. Of
    one that has joined and whose slot isn't there nobody knows what it does; it ends by itself.
    """
    found = []
    for annex in snapshot.annexes.values():
        if annex.ending:
            continue
        some: list[KnownInstance] = []
        for each in snapshot.known_of(annex):
            if each.gone or each.drained is None:
                continue
            slots = [slot for slot in snapshot.slots_of(annex.key) if slot.instance == each.id]
            told = slots and all(slot.draining for slot in slots)
            late = each.joined is None and not slots and snapshot.at - each.drained >= _FOLLOWED
            if (told and not any(slot.claimed for slot in slots)) or late:
                some.append(each)
        home = homes(annex, some, snapshot)
        for it in dict.fromkeys(home.values()):
            if it in snapshot.regions:
                ids = tuple(each.id for each in some if home[each.id] == it)
                found.append(Terminate(it, ids, why="drained, and no job is left on it"))
    return found


def unneeded(
    launches: Iterable[tuple[Launch, int]],
    groups: Sequence[JobGroup],
    held: Holding,
    types: Mapping[str, InstanceType],
    matcher: Matcher,
    *,
    volume_gib: int,
) -> frozenset[str]:
    """
    Tokens of open launches that jobs asked for and without which all waiting jobs have room: jobs have been removed,
    or run elsewhere. The newest first, as many as can be done without.

    Args:
        launches: Those that may be given up, and how many machines may come of each.
        held: With room for every job.
    """
    rooms, found = Counter(held.rooms), set()
    wanted = sum(group.idle * max(group.cpus, 1) for group in groups)
    for launch, count in sorted(launches, key=lambda each: each[0].intended, reverse=True):
        room = whole_machine(launch.types, types, volume_gib)
        rest = rooms - Counter({room: count})
        if rooms[room] < count or wanted > sum(room.cpus * number for room, number in rest.items()):
            break
        if place(groups, tuple(rest.elements()), types, matcher, volume_gib=volume_gib):
            break
        rooms = rest
        found.add(launch.token)
    return frozenset(found)
