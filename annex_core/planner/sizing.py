"""Which machines serve the jobs that find no room, at the least cost for as long as they live; caps come later."""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import gt
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from annex_core.planner.lifetimes import Numbers
from annex_core.planner.matching import ENOUGH, Found, Matcher
from annex_core.planner.preference import Word, liked
from annex_core.planner.rooms import Counts, Crowd, crowd, times_over
from annex_core.planner.shelf import Mask, Shelf

_AS_GOOD = 1.3
"""Types that cost at most so much more stand beside the one that was chosen: AWS may have none of it."""
_BESIDE = 9
"""So many at most."""
_TRIES = 3
_FEW = 64
"""Groups of jobs for which several packings are compared."""
_PASSES = 4
_GOOD = 1.02
"""A packing this near to what all jobs would cost on full machines is good enough."""
_GAIN = 0.99
"""One that costs more than so much of the last one ends the search."""
_FIRSTS = 12
"""Groups of which each comes first in turn, when a machine is filled."""
_EQUAL = 1e-9
"""Prices that differ by less are the same."""
_SAME = 1.02
"""What costs at most so much more costs the same for the jobs' Rank, which decides then."""
_COMPARED = 16
"""Of so many machines that cost the same at most, Rank has the choice."""
_COMMON = 1000
"""Groups for which types are sought that suit all of them together; of more, enough are alike."""


@dataclass(frozen=True)
class Load:
    """So many machines, of any of these types, each with the same jobs on it."""

    types: tuple[str, ...]
    """The cheapest first; of those that cost the same, those that the jobs' Rank prefers."""
    machines: int
    jobs: tuple[tuple[int, int], ...]
    """Of each machine: index into what was found, and number of jobs."""


@dataclass(frozen=True)
class Fill:
    """One machine as it would be filled now."""

    type: int
    """As an index of the shelf: what costs least of all that is enough for it."""
    jobs: Counts


Offer: TypeAlias = tuple[float, int, int, Fill]
"""A machine by its price for each value that it carries, the type that it was filled as, and when that was."""


def pack(found: Sequence[Found], shelf: Shelf, matcher: Matcher, *, without: Collection[str] = ()) -> Iterator[Load]:
    """
    Serve the jobs by machines of the types that were found for them, best value first.

    Several groups share a machine. A job's value is what it would cost on the best full machine there is for it; the
    machine that carries most value for its price comes first, as often as there are jobs for it, and one that can't be
    filled is made as small as what is on it. Of machines that cost the same the jobs' Rank chooses. Of few groups it is
    done anew, with what the jobs came to as their values, as long as there may be something to be gained.

    Args:
        without: Names of types that can't be had.
    """
    packer = _Packer(found, shelf, matcher, without)
    if len(packer.crowd.groups) > _FEW:
        yield from packer.loads()
        return
    best: list[Load] = []
    least = np.inf
    for _ in range(_PASSES):
        loads = list(packer.loads())
        gained = packer.cost < least * _GAIN
        if packer.cost < least * (1 - _EQUAL):
            best, least = loads, packer.cost
        if not gained or packer.cost <= packer.goal * _GOOD or len(packer.crowd.groups) == 1:
            break
        packer.begin_anew()
    yield from best


class _Packer:
    """What is left of the jobs while machines are chosen; arrays go by the crowd's order of groups."""

    def __init__(self, found: Sequence[Found], shelf: Shelf, matcher: Matcher, without: Collection[str]) -> None:
        self._shelf = shelf
        self._matcher = matcher
        self._out = np.array([kind.name in without for kind in shelf.kinds], dtype=np.bool_)
        self._cheapest = float(shelf.prices[~self._out].min(initial=np.inf))
        usable = [(at, each, [t for t in each.types if not self._out[t]]) for at, each in enumerate(found)]
        by_group = {id(each.group): (at, each, types) for at, each, types in usable if types}
        self.crowd: Crowd = crowd(each.group for _, each, _ in by_group.values())
        ordered = [by_group[id(group)] for group in self.crowd.groups]
        self._places = [at for at, _, _ in ordered]
        self._could = [each.could for _, each, _ in ordered]
        self.left: Counts = np.array([each.jobs for _, each, _ in ordered], dtype=np.int64)
        self._all = self.left
        self._value: Numbers = np.array([min(dict(each.offers)[t] for t in types) for _, each, types in ordered])
        self._lives = shelf.lives.table([group.expected for group in self.crowd.groups])
        self.goal = float(self._value @ self.left)
        """What the jobs would cost if each had its share of the best full machine, in the cheapest type's hours."""
        self.cost = 0.0
        """What was chosen in the last loads() costs."""
        self._spent: Numbers = np.zeros(len(ordered))
        self._may: dict[int, Mask] = {}
        self._known: dict[int, Mask] = {}
        self._ranked = np.array([matcher.prefers(group) for group in self.crowd.groups], dtype=np.bool_)
        """Groups whose Rank tells types apart."""
        self._ranks = bool(self._ranked.any())
        for row, (_, _, types) in enumerate(ordered):
            for t in types:
                self._may.setdefault(t, np.zeros(len(ordered), dtype=np.bool_))[row] = True
        self.stamp = 0
        if 1 < len(ordered) <= _COMMON:
            self._share_types()

    def _share_types(self) -> None:
        """
        Let all groups on the types that were found for one of them, and on those that suit all of them together.

        Whether they match is found out when they would be put there.
        """
        for t in (*self._may, *self._common()):
            self._known[t] = self._may.get(t, np.zeros(len(self.left), dtype=np.bool_)).copy()
            could = np.array([each[t] for each in self._could], dtype=np.bool_)
            if (could | self._known[t]).any():
                self._may[t] = could | self._known[t]

    def _common(self) -> Iterator[int]:
        """Types that none of the groups would choose for itself may be the best for all of them together."""
        total = self.crowd.wants @ self.left
        asked = np.flatnonzero(total)
        with np.errstate(divide="ignore"):
            used = (total[asked, None] / self._shelf.sizes[asked]).max(axis=0)
        cost = np.where(self._out, np.inf, self._shelf.prices * used)
        for t in np.argsort(cost, kind="stable")[:ENOUGH].tolist():
            if np.isfinite(cost[t]) and t not in self._may:
                yield t

    def _runs(self, row: int, t: int) -> bool:
        return bool(self._could[row][t]) and self._matcher.knows(
            self.crowd.groups[row], self._shelf.kinds[t], volume_gib=self._shelf.volume_gib
        )

    def loads(self) -> Iterator[Load]:
        """Machines until no job is left that one was found for."""
        heap: list[Offer] = []
        for t in sorted(self._may):
            self._offer(heap, t)
        while heap and self.left.any():
            best = heapq.heappop(heap)
            if best[2] == self.stamp:
                best = self._preferred(best, heap) if self._ranks else best
                yield self._take(best[3])
            self._offer(heap, best[1])  # anew, with the jobs that are left

    def begin_anew(self) -> None:
        """All jobs wait again; each is worth what it came to in the packing that there was."""
        self._value = self._spent / self._all
        self._spent = np.zeros(len(self._all))
        self.left, self.cost = self._all, 0.0
        self.stamp += 1

    def _preferred(self, best: Offer, heap: list[Offer]) -> Offer:
        """Of the machines that cost the same for what they carry, the one that the jobs' Rank prefers."""
        same = [best]
        while heap and heap[0][0] <= best[0] * _SAME and len(same) < _COMPARED:
            other = heapq.heappop(heap)
            if other[2] == self.stamp:
                same.append(other)
            else:
                self._offer(heap, other[1])
        words = self._liked(each[3] for each in same)
        chosen = same.pop(words.index(max(words)))
        for other in same:
            heapq.heappush(heap, other)
        return chosen

    def _liked(self, fills: Iterable[Fill]) -> list[float]:
        """As the jobs on them like these machines."""
        return liked(
            [
                {row: self._word(row, fill) for row in np.flatnonzero((fill.jobs > 0) & self._ranked).tolist()}
                for fill in fills
            ]
        )

    def _word(self, row: int, fill: Fill) -> Word:
        kind, gib = self._shelf.kinds[fill.type], self._shelf.volume_gib
        rank = self._matcher.rank(self.crowd.groups[row], kind, volume_gib=gib)
        return Word(rank, float(self._value[row] * fill.jobs[row]))

    def _ordered(self, types: Iterable[int], jobs: Counts) -> list[int]:
        """The cheapest first; of those that cost the same, the one that these jobs' Rank prefers."""
        prices = self._shelf.prices
        cheapest = sorted(types, key=lambda t: (prices[t], t))
        if not self._ranks:
            return cheapest
        same = [t for t in cheapest if prices[t] <= prices[cheapest[0]] * _SAME]
        words = dict(zip(same, self._liked(Fill(t, jobs) for t in same), strict=True))
        return sorted(same, key=lambda t: -words[t]) + cheapest[len(same) :]

    def _offer(self, heap: list[Offer], t: int) -> None:
        """Push a filled machine of type *t*, by its price for each value that it carries; nothing where none fits."""
        taken = self._filled(t)
        if taken.any():
            cheaper = [] if self._shelf.prices[t] <= self._cheapest else self._enough(taken, t, 1.0, 1)
            least = self._ordered([t, *cheaper], taken)[0]
            hours = self._hours(taken)
            score = round(float(self._shelf.prices[least] * hours / (taken @ self._value)), 9)
            heapq.heappush(heap, (score, t, self.stamp, Fill(least, taken)))

    def _hours(self, jobs: Counts) -> float:
        """For how long a machine with these on it is paid for."""
        return self._lives.until_last(jobs) / 3600

    def _filled(self, t: int) -> Counts:
        """One machine of the type filled in the ways there are, as far as the jobs match it: the most valuable way."""
        best = self._matched(t, None)
        if 1 < len(self.left) <= _FEW and best.any():
            firsts = np.flatnonzero((self.left > 0) & self._may[t] & self.crowd.fit(self._shelf.sizes[:, t]))
            for first in (-1, *(firsts.tolist() if 1 < len(firsts) <= _FIRSTS else ())):
                other = self._matched(t, first)
                if other @ self._value > best @ self._value * (1 + _EQUAL):
                    best = other
        return best

    def _matched(self, t: int, first: int | None) -> Counts:
        """
        Args:
            first: The group that fills the machine before the others do, by their values; -1 is none. None: by sizes.
        """
        while True:
            taken = self._way(t, first)
            known = self._known.get(t)
            new = () if known is None else np.flatnonzero((taken > 0) & ~known).tolist()
            refused = [row for row in new if not self._runs(row, t)]
            if known is not None:
                known[new] = True
            if not refused:
                return taken
            self._may[t][refused] = False

    def _way(self, t: int, first: int | None) -> Counts:
        room, may = self._shelf.sizes[:, t], self._may[t]
        if first is None:
            return self.crowd.fill(room, self.left, may)
        if first < 0:
            return self.crowd.fill(room, self.left, may, worth=self._value)
        only = np.zeros(len(may), dtype=np.bool_)
        only[first] = True
        begun = self.crowd.fill(room, self.left, may & only)
        rest = room - self.crowd.wants @ begun
        return np.asarray(begun + self.crowd.fill(rest, self.left - begun, may, worth=self._value), dtype=np.int64)

    def _enough(self, taken: Counts, t: int, dearer: float, most: int) -> list[int]:
        """Other types that carry the same, at *dearer* times the price of *t* at most, the cheapest first."""
        shelf = self._shelf
        rows = np.flatnonzero(taken).tolist()
        could = shelf.holds(self.crowd.wants @ taken) & ~self._out & (shelf.prices <= shelf.prices[t] * dearer)
        if dearer <= 1:
            could &= shelf.prices < shelf.prices[t]
        could[t] = False
        if not could.any():
            return []
        for row in rows:
            could &= self._could[row]
        at: npt.NDArray[np.intp] = np.flatnonzero(could)
        at = at[np.argsort(shelf.prices[at], kind="stable")][: most * _TRIES]
        return [other for other in at.tolist() if all(self._runs(row, other) for row in rows)][:most]

    def _whole(self, fill: Fill) -> Fill:
        """One machine for all that is left, if it costs less than these and the cheapest for what they leave."""
        times = times_over(self.left, fill.jobs)
        left = self.left - times * fill.jobs
        rest = self._cheapest * self._hours(left) if left.any() else 0.0
        price = float(self._shelf.prices[fill.type])
        several = times * price * self._hours(fill.jobs) + rest
        dearer = several / (price * self._hours(self.left))
        if times + bool(left.any()) == 1:
            return fill
        found = self._enough(self.left, fill.type, dearer * (1 - _EQUAL), 1)
        if not found:
            return fill
        whole = Fill(found[0], self.left)
        if self._ranks and several <= float(self._shelf.prices[whole.type]) * self._hours(self.left) * _SAME:
            return fill if gt(*self._liked([fill, whole])) else whole
        return whole

    def _take(self, fill: Fill) -> Load:
        """As many such machines as there are jobs for, or one for all of them where that costs less."""
        fill = self._whole(fill)
        t, taken = fill.type, fill.jobs
        times = times_over(self.left, taken)
        beside = self._enough(taken, t, _AS_GOOD, _BESIDE)
        names = [self._shelf.kinds[each].name for each in self._ordered([t, *beside], taken)]
        value = self._value * taken
        price = float(self._shelf.prices[t]) * times * self._hours(taken)
        self._spent += price * value / (value.sum() or 1.0)
        self.cost += price
        self.left = self.left - times * taken
        self.stamp += 1
        jobs = tuple((self._places[row], int(taken[row])) for row in np.flatnonzero(taken))
        return Load(tuple(names), times, jobs)
