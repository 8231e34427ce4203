"""
Would a job of this group run on an instance of this type? Answered by ClassAd semantics, both ways.

That comparison is dear, so arrays and single conditions of Requirements leave out before it what can't match, it is
made in the order of cost until enough types are found, and its results are kept from one plan to the next. Zones and
markets change prices, not matches.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import classad2
import numpy as np

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.planner.conjuncts import conjuncts
from annex_core.planner.shelf import Mask, Shelf, wants
from annex_core.planner.virtual_slot import (
    IDENTITIES,
    SIZES,
    Home,
    Kin,
    common_slot,
    usable_cpus,
    usable_disk_kib,
    usable_gpus,
    usable_memory_mib,
    virtual_slot,
)

ENOUGH = 5
"""Types that are found for a group before others are looked at."""
EFFORT = 30_000
"""Comparisons that one plan makes to find types, a second or two, beside the first ENOUGH for each group; what is left
waits for the next plan."""
_LEAST_SHARE = 2_000
"""Of these, what an annex gets, however many there are."""
_KEPT = 20_000
"""Virtual slot ads."""
_UNKNOWN, _YES, _NO = 0, 1, 2
_MOVES = re.compile(r"(time|random)\s*\(|currenttime", re.IGNORECASE)
"""Functions in an ad that make it another one from moment to moment: such results are not kept."""


@dataclass(frozen=True)
class Found:
    """Types that run a group's jobs, as indices of the shelf, by cost."""

    group: JobGroup
    jobs: int
    offers: tuple[tuple[int, float], ...]
    """With what a job costs as its share of such a machine that is full."""
    settled: bool
    """False where the plan's effort was spent before enough were found, or all were compared."""
    could: Mask = field(repr=False, compare=False)
    """Types that may match as far as is known without comparing."""

    @property
    def types(self) -> tuple[int, ...]:
        return tuple(at for at, _ in self.offers)


@dataclass
class _Row:
    """What is known of a group's jobs, type by type."""

    home: Home
    requirements: Any
    """The expression; None where the ad has none, which matches nothing."""
    plain: bool
    """What the jobs request are numbers, so that they fit a slot exactly where it has as much."""
    rank: Any
    """The expression; None where the ad has none that looks at the slot."""
    cells: bytearray = field(default_factory=bytearray)
    ranks: dict[int, float] = field(default_factory=dict)
    conditions: "tuple[_Condition, ...] | None" = None
    kins: dict[Kin, bool] = field(default_factory=dict)
    used: bool = True


@dataclass
class _Condition:
    """One condition of Requirements that tells of a type before its size is known."""

    expression: Any
    about_jobs: bool
    """Its value hangs on the job, too."""
    about_gpus: bool
    verdicts: dict[Kin, bool] = field(default_factory=dict)
    """Is it true? Where it is the same for all jobs."""


@dataclass
class _Search:
    group: JobGroup
    jobs: int
    row: _Row
    could: Mask
    found: list[tuple[int, float]] = field(default_factory=list)
    over: bool = False


class Matcher:
    """
    Keeps what it compared, from plan to plan, as long as each plan asks for it: like jobs are compared once.

    Args:
        domain: ANNEX_DOMAIN.
        effort: Comparisons in a plan.
    """

    def __init__(self, *, domain: str, effort: int = EFFORT) -> None:
        self._domain = domain
        self._effort = effort
        self._left = self._share = effort
        self._rows: dict[tuple[AnnexKey, str, str | None, str], _Row] = {}
        self._row_of: dict[int, _Row] = {}
        self._columns: dict[tuple[object, ...], int] = {}
        """What tells virtual slot ads of an annex apart: all of a type but its price, and the volume."""
        self._slots: dict[tuple[Home, int], Any] = {}
        self._common: dict[Kin, Any] = {}
        self._conditions: dict[str, _Condition | None] = {}
        self.compared = 0
        """Comparisons ever made."""

    def begin(self, *, askers: int = 1) -> None:
        """
        A new plan: forget what the last one did not ask for.

        Args:
            askers: Annexes that have jobs: none may spend the effort of all.
        """
        self._left = self._effort
        self._share = max(self._effort // max(askers, 1), _LEAST_SHARE)
        self._row_of = {}
        self._rows = {key: row for key, row in self._rows.items() if row.used and not _MOVES.search(key[-1])}
        for row in self._rows.values():
            row.used = False
        for memory in (self._slots, self._conditions):
            if len(memory) > _KEPT:
                memory.clear()

    def fits(self, group: JobGroup, kind: InstanceType, *, volume_gib: int) -> bool:
        """Compared at once, whatever effort is left."""
        row = self._row(group)
        return self._matches(group, row, kind, volume_gib)

    def knows(self, group: JobGroup, kind: InstanceType, *, volume_gib: int) -> bool:
        """Like fits(), and no where it isn't known and the plan's effort is spent."""
        row = self._row(group)
        before = self.compared
        found = self._matches(group, row, kind, volume_gib, only_known=self._left <= 0)
        self._left -= self.compared - before
        return found

    def prefers(self, group: JobGroup) -> bool:
        """Whether the jobs' Rank can tell one type from another."""
        return self._row(group).rank is not None

    def rank(self, group: JobGroup, kind: InstanceType, *, volume_gib: int) -> float:
        """What the jobs' Rank says of an instance of that type; what comes to no number is 0, as for HTCondor."""
        row, column = self._row(group), self._column(kind, volume_gib)
        if row.rank is None:
            return 0.0
        if column not in row.ranks:
            row.ranks[column] = _float(row.rank.eval(group.ad, self._slot(row.home, kind, volume_gib, column)))
        return row.ranks[column]

    def unmet(self, group: JobGroup, kind: InstanceType, *, volume_gib: int) -> list[str]:
        """The conditions of a job's Requirements that are not true on an instance of that type."""
        row = self._row(group)
        slot = virtual_slot(kind, row.home, domain=self._domain, volume_gib=volume_gib)
        parts = conjuncts(str(row.requirements)) if row.requirements is not None else ("Requirements =!= undefined",)
        return [text for text in parts if not _true(classad2.ExprTree(text).eval(group.ad, slot))]

    def find(self, wanted: Sequence[tuple[JobGroup, int]], shelf: Shelf) -> list[Found]:
        """
        The types that run each group's jobs, as far as the plan's effort goes: ENOUGH of the cheapest, by cost.

        Args:
            wanted: Groups, and how many jobs of each.
        """
        before, budget = self.compared, min(self._left, self._share)
        searches = [self._search(group, jobs, shelf) for group, jobs in wanted]
        # Each gets a few before one gets more: what matches nothing must not starve the others.
        for search in searches:
            self._go_on(search, shelf, ENOUGH)
        for search in searches:
            spent = self.compared - before
            if spent < budget and not search.over:
                self._go_on(search, shelf, budget - spent)
        self._left -= self.compared - before
        return [Found(search.group, search.jobs, tuple(search.found), search.over, search.could) for search in searches]

    def _mask(self, group: JobGroup, shelf: Shelf) -> Mask:
        """Types that are large enough, and that the group's jobs don't refuse for what is not their size."""
        row = self._row(group)
        if any(each.about_gpus for each in self._conditions_of(group, row)):
            may = [self._may(group, row, each) for each in shelf.kins]
            return shelf.holds(wants(group)) & np.array(may, dtype=np.bool_)[shelf.kin_of]
        may = [self._may(group, row, Kin(name, 0, None, 0)) for name in shelf.architectures]
        return shelf.holds(wants(group)) & np.array(may, dtype=np.bool_)[shelf.architecture_of]

    def _search(self, group: JobGroup, jobs: int, shelf: Shelf) -> _Search:
        return _Search(group, jobs, self._row(group), self._mask(group, shelf))

    def _go_on(self, search: _Search, shelf: Shelf, most: int) -> None:
        """Look at types by cost until enough are found or all were seen, with *most* comparisons."""
        before = self.compared
        search.found.clear()
        for at, share in shelf.orders(search.group, search.jobs, search.could):
            if self.compared - before >= most or len(search.found) == ENOUGH:
                break
            if self._matches(search.group, search.row, shelf.kinds[at], shelf.volume_gib):
                search.found.append((at, share))
        else:
            search.over = True
        search.over = search.over or len(search.found) == ENOUGH

    def _row(self, group: JobGroup) -> _Row:
        row = self._row_of.get(id(group))
        if row is None:
            key = group.key, group.project, group.route, group.ad.printOld()
            row = self._rows.get(key)
            if row is None:
                row = self._rows[key] = _new_row(group)
            row.used = True
            self._row_of[id(group)] = row
        return row

    def _matches(
        self, group: JobGroup, row: _Row, kind: InstanceType, volume_gib: int, *, only_known: bool = False
    ) -> bool:
        column = self._column(kind, volume_gib)
        if column >= len(row.cells):
            row.cells.extend(bytes(column + 1 - len(row.cells)))
        if row.cells[column] == _UNKNOWN and not only_known:
            self.compared += 1
            row.cells[column] = _YES if self._compare(group, row, kind, volume_gib, column) else _NO
        return row.cells[column] == _YES

    def _column(self, kind: InstanceType, volume_gib: int) -> int:
        gpus = kind.gpus, kind.gpu, kind.gpu_memory_mib
        thing = kind.name, kind.vcpus, kind.memory_mib, kind.architecture, *gpus, kind.learned, volume_gib
        return self._columns.setdefault(thing, len(self._columns))

    def _slot(self, home: Home, kind: InstanceType, volume_gib: int, column: int) -> Any:
        if (home, column) not in self._slots:
            self._slots[home, column] = virtual_slot(kind, home, domain=self._domain, volume_gib=volume_gib)
        return self._slots[home, column]

    def _compare(self, group: JobGroup, row: _Row, kind: InstanceType, volume_gib: int, column: int) -> bool:
        if max(group.gpus, 0) > usable_gpus(kind):
            return False
        slot = self._slot(row.home, kind, volume_gib, column)
        if not row.plain:
            return bool(group.ad.symmetricMatch(slot))
        # The slot's half of the match, in numbers: twice as fast.
        enough = group.cpus <= usable_cpus(kind) and group.memory_mib <= usable_memory_mib(kind)
        enough = enough and group.disk_kib <= usable_disk_kib(kind, volume_gib)
        return enough and row.requirements is not None and _true(row.requirements.eval(group.ad, slot))

    def _conditions_of(self, group: JobGroup, row: _Row) -> tuple[_Condition, ...]:
        if row.conditions is None:
            parts = conjuncts(str(row.requirements)) if row.requirements is not None else ()
            found = [condition for text in parts if (condition := self._condition(text))]
            row.conditions = tuple(each for each in found if group.gpus or not each.about_gpus)
        return row.conditions

    def _may(self, group: JobGroup, row: _Row, of: Kin) -> bool:
        """False only where a condition of the group's Requirements is not true on any size of such a type."""
        if of not in row.kins:
            row.kins[of] = all(self._holds(each, group, of) for each in self._conditions_of(group, row))
        return row.kins[of]

    def _holds(self, condition: _Condition, group: JobGroup, of: Kin) -> bool:
        if condition.about_jobs:
            if _names(group.ad, condition.expression) & (SIZES | IDENTITIES):
                return True
            return _true(condition.expression.eval(group.ad, self._common_slot(of)))
        known = condition.verdicts.get(of)
        if known is None:
            known = _true(condition.expression.eval(classad2.ClassAd(), self._common_slot(of)))
            condition.verdicts[of] = known
        return known

    def _common_slot(self, of: Kin) -> Any:
        if of not in self._common:
            self._common[of] = common_slot(of)
        return self._common[of]

    def _condition(self, text: str) -> _Condition | None:
        if text not in self._conditions:
            self._conditions[text] = _condition(text)
        return self._conditions[text]


def _new_row(group: JobGroup) -> _Row:
    ad = group.ad
    return _Row(
        Home(group.key, group.project, group.route or ""),
        ad.lookup("Requirements") if "Requirements" in ad else None,
        all(type(ad.get(f"Request{name}")) in {int, float} for name in ("Cpus", "Memory", "Disk")),
        rank if (rank := ad.lookup("Rank") if "Rank" in ad else None) and any(ad.externalRefs(rank)) else None,
    )


def _condition(text: str) -> _Condition | None:
    """None where it tells nothing before sizes and annex are known."""
    expression = classad2.ExprTree(text)
    names = _names(classad2.ClassAd(), expression)
    if names & (SIZES | IDENTITIES):
        return None
    scoped = [name.lower() for name in classad2.ClassAd().externalRefs(expression) if name]
    return _Condition(
        expression,
        about_jobs=not all(name.startswith("target.") for name in scoped) or "my." in text.lower(),
        about_gpus=any("gpus" in name for name in names),
    )


def _names(ad: Any, expression: Any) -> set[str]:
    """The attributes of the other ad that an expression may look at, in lower case."""
    return {name.lower().removeprefix("target.").partition(".")[0] for name in ad.externalRefs(expression)}


def _float(value: object) -> float:
    if not isinstance(value, bool | int | float) or isinstance(value, classad2.Value) or math.isnan(value):
        return 0.0
    return float(value)


def _true(value: object) -> bool:
    return isinstance(value, bool | int | float) and not isinstance(value, classad2.Value) and bool(value)
