"""
One run of the reaper: look at all of the region, end what is due, say what became of it, leave a heartbeat.

Looking and deciding come first; what is decided is looked at again just before it is done, for tags have no
compare-and-swap: a lease that was extended meanwhile holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from annex_core.errors import AnnexError, NotPermitted, Refused, Throttled
from annex_core.model import tags
from annex_core.model.freeze import Freeze, Mode, parse
from annex_core.planner.leases import Leased, due
from annex_core.reaper.region import Fleet, Region, batches

T = TypeVar("T")

LATE = timedelta(minutes=2)
"""The daemon and the instance's own timer end what is due more kindly, and come first."""

_BATCH = 100
"""The most fleets that a call cancels; instances are ended by as many, so that a refused batch is soon taken apart."""
_TEMPLATES_A_RUN = 20
_MONTHS_BACK = 12

Say = Callable[[str, str, str], None]
"""Writes a line of the log: ALARM or INFO, what it is about, a sentence."""


@dataclass
class Report:
    """What one run came to; whoever starts the function by hand reads it."""

    at: str = ""
    version: str = ""
    fleets: int = 0
    """Listed, of all pools."""
    instances: int = 0
    ended: list[str] = field(default_factory=list)
    stays: dict[str, str] = field(default_factory=dict)
    """What is due and could not be ended, and why; the next run tries again."""
    trouble: list[str] = field(default_factory=list)
    """What keeps this run from vouching for the region: then there is no heartbeat."""


def run(region: Region, say: Say, *, version: str) -> Report:
    return _Run(region, say, Report(version=version)).run()


@dataclass(frozen=True)
class _Listed:
    """None: AWS didn't tell."""

    fleets: Sequence[Fleet] | None
    instances: Sequence[Leased] | None


class _Run:
    def __init__(self, region: Region, say: Say, report: Report) -> None:
        self._region = region
        self._say = say
        self._report = report
        self._freezes: tuple[Freeze, ...] = ()

    def run(self) -> Report:
        self._freezes = self._read_freeze()
        listed = _Listed(self._ask(self._region.fleets), self._ask(self._region.instances))
        fleets, instances = listed.fleets or (), listed.instances or ()
        self._report.fleets, self._report.instances = len(fleets), len(instances)
        self._tell_oddities([*(each.lease for each in fleets), *instances])
        # Fleets first: instances that are ended before their fleet's open requests are cancelled may be replaced.
        self._in_batches(self._due(each.lease for each in fleets), self._end_fleets)
        self._in_batches(self._due(instances), self._end_instances)
        self._stop_launching(fleets)
        self._clean(listed)
        self._vouch()
        return self._report

    # Looking

    def _ask(self, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except AnnexError as error:
            self._doubt(str(error))
            return None

    def _read_freeze(self) -> tuple[Freeze, ...]:
        text = self._ask(self._region.freeze)
        try:
            return parse(text or "[]")
        except Refused as error:
            self._say("ALARM", "freeze", f"the parameter can't be read, and nothing is ended for it: {error}")
            return ()

    def _tell_oddities(self, things: Sequence[Leased]) -> None:
        for thing in due(things, self._region.now()).unreadable:
            self._say("ALARM", thing, "carries no readable lease; it ends at EndsAtLatest, or 24 hours after launch")
        for freeze in self._freezes:
            if not any(freeze.covers(each.tags) for each in things):
                self._say("INFO", "freeze", f"nothing here is of {freeze}")

    # Deciding

    def _due(self, things: Iterable[Leased]) -> list[str]:
        """What has to end: by its lease, or because a freeze says so."""
        things = list(things)
        over = set(due(things, self._region.now() - LATE).ids)
        return [each.id for each in things if each.id in over or (not each.over and self._frozen(each, Mode.END))]

    def _frozen(self, thing: Leased, mode: Mode) -> bool:
        return any(each.mode is mode and each.covers(thing.tags) for each in self._freezes)

    # Acting

    def _in_batches(self, ids: Sequence[str], end: Callable[[list[str]], None]) -> None:
        """
        Halve a batch that AWS refuses: one protected instance must not save all that stand beside it.

        Args:
            end: Looks again, and ends those that are still due.
        """
        waiting = list(batches(ids, _BATCH))[::-1]
        while waiting:
            batch = waiting.pop()
            try:
                end(batch)
            except (Refused, NotPermitted) as error:
                if len(batch) > 1:
                    waiting += [batch[len(batch) // 2 :], batch[: len(batch) // 2]]
                    continue
                self._stays(batch, str(error))
                if isinstance(error, NotPermitted):
                    self._doubt(str(error))
            except AnnexError as error:
                # It may pass; what it did show of itself, the next run sees.
                self._stays(batch, str(error))
                self._doubt(str(error))
                if isinstance(error, Throttled):
                    for left in waiting:
                        self._stays(left, "AWS asked to slow down")
                    return

    def _end_fleets(self, batch: list[str]) -> None:
        still = self._due(each.lease for each in self._region.these_fleets(batch))
        if still:
            refused = self._region.cancel_fleets(still, terminate=True)
            for fleet, why in refused.items():
                self._stays([fleet], why)
            self._ended([each for each in still if each not in refused])

    def _end_instances(self, batch: list[str]) -> None:
        still = self._due(self._region.these_instances(batch))
        if still:
            self._region.terminate(still)
            self._ended(still)

    def _stop_launching(self, fleets: Iterable[Fleet]) -> None:
        """A frozen fleet that has something loses its open requests and keeps its bound; others are cancelled."""
        stopping = [each for each in fleets if each.may_launch and self._frozen(each.lease, Mode.FREEZE)]
        self._in_batches([each.lease.id for each in stopping if not each.fulfilled], self._cancel_empty)
        with_some = [each.lease.id for each in stopping if each.fulfilled]
        self._in_batches(self._ask(lambda: self._region.open_requests(with_some)) or [], self._cancel_open)

    def _cancel_empty(self, batch: list[str]) -> None:
        for fleet, why in self._region.cancel_fleets(batch, terminate=False).items():
            self._stays([fleet], why)
        self._say("INFO", " ".join(batch), "frozen before anything was launched: cancelled")

    def _cancel_open(self, batch: list[str]) -> None:
        self._region.cancel_open_requests(batch)
        self._say("INFO", " ".join(batch), "frozen: open requests cancelled")

    # Tidying up

    def _clean(self, listed: _Listed) -> None:
        """
        Delete launch templates whose outer bound passed on an earlier day, when nothing of their annex is left.

        The daemon does it at once; this is for when it is gone, and comes after everything else: the withdrawn tool
        cleaned up first, and died before it came to what costs.
        """
        if listed.fleets is None or listed.instances is None:
            return
        live = {_annex(each.lease.tags) for each in listed.fleets if each.lease.state not in {"cancelled", "failed"}}
        live |= {_annex(each.tags) for each in listed.instances}
        now = self._region.now()
        old = self._ask(lambda: self._region.templates(_earlier_days(now))) or []
        passed = [each for each in old if (tags.moment(each.tags, tags.ENDS_AT_LATEST) or now) < now - LATE]
        for template in [each for each in passed if _annex(each.tags) not in live][:_TEMPLATES_A_RUN]:
            try:
                self._region.delete_template(template.id)
            except AnnexError as error:
                self._say("INFO", template.id, f"can't be deleted: {error}")
            else:
                self._ended([template.id])

    # Saying

    def _ended(self, ids: Sequence[str]) -> None:
        self._report.ended += ids
        self._say("INFO", " ".join(ids), "ended")

    def _stays(self, ids: Sequence[str], why: str) -> None:
        for each in ids:
            self._report.stays[each] = why
            self._say("ALARM", each, f"is due and stays: {why}")

    def _doubt(self, why: str) -> None:
        self._report.trouble.append(why)

    def _vouch(self) -> None:
        """A heartbeat says: this region's reaper sees everything, and may end what it has to."""
        self._report.at = tags.stamp(self._region.now())
        if self._report.trouble:
            return
        left = {"at": self._report.at, "version": self._report.version, "stays": len(self._report.stays)}
        self._ask(lambda: self._region.leave_heartbeat(json.dumps(left)))


def _annex(its: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(its.get(key) for key in (tags.POOL, tags.ACCESS_POINT, tags.OWNER, tags.NAME))


def _earlier_days(now: datetime) -> list[str]:
    """Patterns of the days before today, a year back."""
    days = [f"{now:%Y-%m}-{day:02}T*" for day in range(1, now.day)]
    months = [divmod(now.year * 12 + now.month - 1 - back, 12) for back in range(1, _MONTHS_BACK + 1)]
    return days + [f"{year}-{month + 1:02}-*" for year, month in months]
