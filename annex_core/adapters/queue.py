"""The schedd: what waits for an annex, group by group, and the sentence its owners read."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import classad2
import htcondor2

from annex_core.errors import BadRequest, Unavailable
from annex_core.model.demand import JobCounts, JobGroup, Limits, Wishes, tightest
from annex_core.model.eviction import Eviction
from annex_core.model.names import ANNEX_NAME, AnnexKey
from annex_core.model.runtime import Runtime, mixed

_NAMED = "AnnexProject =!= undefined && TargetAnnexName =!= undefined"
_OURS = f'{_NAMED} && Managed =!= "External"'
"""A source that the router manages elsewhere is not counted: its routed copy is."""

_IDLE = 1
_STATES = {_IDLE: "idle", 2: "running", 5: "held", 6: "running", 7: "running"}
"""JobStatus in words; a job transferring its output, or suspended, has its machine still. Removed and completed ones
count no more."""

_LIMITS = ("AnnexMaxInstances", "AnnexMaxHourlyCost", "AnnexBudget")
_WISHES = ("AnnexLifetime", "AnnexIdleTimeout", "AnnexInstanceTypes", "AnnexOnDemand", *_LIMITS)
_IDENTITY = ("Owner", "TargetAnnexName", "AnnexProject", "AnnexRoute")
_REQUESTS = ("RequestCpus", "RequestMemory", "RequestDisk", "RequestGPUs")
_CONSTRAINED = ("JobStatus", "Managed")
_KIND = ("Cmd", "JobBatchName")
"""What run times go by, beside the owner."""
_APART = frozenset({"Id", "JobIds", "JobCount", "JobStatus", "Managed", "AnnexAfter", "QDate", *_KIND})
"""What tells rows apart and not groups."""
PLANNED_BY = ("Requirements", *_IDENTITY, *_REQUESTS, "RequireGPUs", *_WISHES, *_KIND, "JobUniverse")
"""Attributes of a job that its annex is planned by, beside what they refer to."""
_SUMS = frozenset({"Id", "JobIds", "JobCount"})
"""What a row says of all its jobs: no attribute of any, and another from moment to moment, which a match is not."""

_INSTANCE = re.compile(r"@(i-[0-9a-z]+)(?:@|$)")
"""In a slot's name: its execution point is called like its instance."""
_OF_RUNS = [
    "ClusterId",
    "ProcId",
    "LastRemoteHost",
    "LastVacateTime",
    "JobCurrentStartDate",
    "JobLastStartDate",
    "JobLastCheckpointTime",
    "LastCkptTime",
    "WhenToTransferOutput",
]

Expect = Callable[[str, str, str], Runtime]
"""How long a job of this owner, executable and batch is expected to run."""

_BEYOND = 10**12
"""More than there is of anything: an ad may say 1e400, which is infinite and no number to reckon with."""


class ScheddQueue:
    """
    ports.Queue over HTCondor's bindings; asks the local schedd, wherever its address file says it is now.

    Args:
        expect: Without it, no group says how long its jobs run.
    """

    def __init__(self, expect: Expect | None = None) -> None:
        self._expect = expect
        self._kinds = _KIND if expect else ()

    def demand(self, now: datetime) -> Sequence[JobGroup]:
        """
        Source:
            A GroupBy query over idle jobs. Beside what it is asked for, each row has what Requirements refers to, so
            that it matches as the job would. The schedd's autoclusters are no use here: a job has none until a
            negotiator has come by, which is a minute after the hook has spoken.
        """
        schedd = htcondor2.Schedd()
        try:
            rows = schedd.query(
                f"JobStatus == {_IDLE} && {_OURS}",
                [*_CONSTRAINED, "AnnexAfter", "QDate", "Requirements", *_IDENTITY, *_REQUESTS, *_WISHES, *self._kinds],
                opts=htcondor2.QueryOpt.GroupBy,
            )
            if not rows:
                _corroborate(schedd)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        found: dict[frozenset[tuple[str, str]], JobGroup] = {}
        kinds: dict[frozenset[tuple[str, str]], list[tuple[Runtime, int]]] = {}
        for row in rows:
            if not _due(row, now):
                continue
            key = frozenset((name, str(value)) for name, value in row.items() if name not in _APART)
            if key in found:
                found[key] = replace(found[key], idle=found[key].idle + int(row["JobCount"]))
            elif group := _group(row):
                found[key] = group
            if self._expect:
                kinds.setdefault(key, []).append((self._expect(*_kind(row)), int(row["JobCount"])))
        return tuple(replace(group, expected=mixed(kinds.get(key, ()))) for key, group in found.items())

    def counts(self) -> Mapping[AnnexKey, JobCounts]:
        schedd = htcondor2.Schedd()
        try:
            rows = schedd.query(
                _OURS, [*_CONSTRAINED, *_IDENTITY[:3], *_LIMITS, *self._kinds], opts=htcondor2.QueryOpt.GroupBy
            )
            if not rows:
                _corroborate(schedd)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        return _counted(rows, self._expect)

    def evictions(self, since: datetime) -> Sequence[Eviction]:
        """
        Source:
            What the shadow and the schedd leave in a job's ad: LastVacateTime, and LastRemoteHost, which is of the run
            before while the next one runs.
        """
        try:
            ads = htcondor2.Schedd().query(f"{_OURS} && LastVacateTime >= {int(since.timestamp())}", _OF_RUNS)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        return tuple(found for ad in ads if (found := eviction(ad)))

    def say(self, key: AnnexKey, sentence: str) -> None:
        said = classad2.quote(sentence)
        unaware = (
            f"JobStatus == {_IDLE} && Owner =?= {classad2.quote(key.owner)}"
            f" && TargetAnnexName =?= {classad2.quote(key.name)} && {_NAMED} && AnnexStatus =!= {said}"
        )
        schedd = htcondor2.Schedd()
        try:
            # To edit no job at all fails, in the same words as an edit that was not allowed.
            if schedd.query(unaware, ["ClusterId"], limit=1):
                schedd.edit(unaware, "AnnexStatus", said)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd did not take the status of annex {key}: {error}") from error


def eviction(ad: Mapping[str, Any]) -> Eviction | None:
    """
    The last time that a job had to leave its machine; None where its ad doesn't say when, or from where.

    What it did since its last checkpoint is lost; a job that transfers its output when it is evicted has lost nothing.
    """
    where, at = _INSTANCE.search(str(ad.get("LastRemoteHost"))), _number(ad, "LastVacateTime")
    if not where or not at:
        return None
    # The job may run again by now: then the start before this one was that run's.
    starts = (_number(ad, name) or 0 for name in ("JobCurrentStartDate", "JobLastStartDate"))
    began = max((start for start in starts if start <= at), default=0)
    kept = max(_number(ad, name) or 0 for name in ("JobLastCheckpointTime", "LastCkptTime"))
    written_out = ad.get("WhenToTransferOutput") == "ON_EXIT_OR_EVICT"
    lost = 0 if written_out or not began else at - max(began, min(kept, at))
    return Eviction(
        job=f"{ad['ClusterId']}.{ad['ProcId']}",
        at=datetime.fromtimestamp(int(at), UTC),
        instance=where[1],
        lost=timedelta(seconds=lost),
    )


def _kind(row: Mapping[str, Any]) -> tuple[str, str, str]:
    owner, *words = (found if isinstance(found := row.get(name), str) else "" for name in ("Owner", *_KIND))
    return owner, words[0], words[1]


def _counted(rows: Iterable[Mapping[str, Any]], expect: Expect | None = None) -> dict[AnnexKey, JobCounts]:
    found: dict[AnnexKey, JobCounts] = {}
    for row in rows:
        word = _STATES.get(int(row["JobStatus"]))
        if word:
            key = AnnexKey(str(row["Owner"]), str(row["TargetAnnexName"]))
            before = found.get(key, JobCounts())
            number = getattr(before, word) + int(row["JobCount"])
            found[key] = replace(before, **{word: number}, limits=tightest([before.limits, _limits(row)]))
            if expect and word == "running":
                kinds = [kind for kind in (before.running_for, expect(*_kind(row))) if kind]
                # What is not known well may run for ever.
                longest = max(kinds, key=lambda kind: (not kind.sure, kind.mean))
                found[key] = replace(found[key], running_for=longest)
    return found


def _corroborate(schedd: htcondor2.Schedd) -> None:
    """An empty answer is not an empty queue: believe it only where the schedd sums up its queue as well."""
    if not schedd.query("false", opts=htcondor2.QueryOpt.SummaryOnly):
        raise Unavailable("the schedd gave an empty answer and no summary of its queue")


def _due(row: Mapping[str, Any], now: datetime) -> bool:
    """Have its AnnexAfter seconds in the queue passed?"""
    after, since = _number(row, "AnnexAfter"), _number(row, "QDate")
    return after is None or since is None or since + after <= now.timestamp()


def _group(found: classad2.ClassAd) -> JobGroup | None:
    """One group's value; None where its ad names no annex that can be (a hand-edited job)."""
    owner, name = found.get("Owner"), found.get("TargetAnnexName")
    if not isinstance(owner, str) or not isinstance(name, str) or not ANNEX_NAME.fullmatch(name):
        return None
    ad = classad2.ClassAd({name: value for name, value in found.items() if name not in _SUMS})
    ad["MyType"] = "Job"
    ad["TargetType"] = "Machine"
    route = found.get("AnnexRoute")
    return JobGroup(
        key=AnnexKey(owner, name),
        project=str(found.get("AnnexProject")),
        route=route if isinstance(route, str) else None,
        idle=int(found["JobCount"]),
        cpus=_whole(ad, "RequestCpus", 1),
        memory_mib=_whole(ad, "RequestMemory", 0),
        disk_kib=_whole(ad, "RequestDisk", 0),
        gpus=_whole(ad, "RequestGPUs", 0),
        wishes=_wishes(found),
        ad=ad,
    )


def supposed(text: str, owner: str, jobs: int, expect: Expect | None) -> JobGroup:
    """
    A group of jobs that are in no queue.

    Args:
        text: The ad of one of them, in the old form, a line an attribute.
        owner: Whose they would be, whatever the ad says.

    Raises:
        BadRequest: It is no ad, or names no annex.
    """
    ad = classad2.ClassAd()
    for line in filter(None, map(str.strip, text.splitlines())):  # parseOne() leaves out what is no expression
        name, _, value = line.partition("=")
        try:
            ad[name.strip()] = classad2.ExprTree(value.strip())
        except (classad2.ClassAdException, ValueError, SyntaxError) as error:
            raise BadRequest(f"a job ad has no line such as {line[:80]!r}") from error
    ad["Owner"] = owner
    ad["JobStatus"] = _IDLE
    ad["JobCount"] = jobs
    group = _group(ad)
    if group is None:
        raise BadRequest("the jobs name no annex (annex_name)")
    return replace(group, expected=expect(*_kind(ad)) if expect else None)


def _whole(ad: classad2.ClassAd, attribute: str, default: int) -> int:
    """What an attribute evaluates to, rounded up; *default* where it is undefined. Matching decides what that means."""
    value = ad.eval(attribute) if attribute in ad else None
    if not isinstance(value, int | float) or isinstance(value, classad2.Value) or math.isnan(value):
        return default
    return math.ceil(min(max(value, -_BEYOND), _BEYOND))


def _wishes(ad: Mapping[str, Any]) -> Wishes:
    types = ad.get("AnnexInstanceTypes")
    return Wishes(
        lifetime=_seconds(ad, "AnnexLifetime"),
        idle_timeout=_seconds(ad, "AnnexIdleTimeout"),
        limits=_limits(ad),
        instance_types=tuple(word for word in types.replace(",", " ").split()) if isinstance(types, str) else (),
        on_demand=ad.get("AnnexOnDemand") is True,
    )


def _limits(ad: Mapping[str, Any]) -> Limits:
    return Limits(_count(ad, "AnnexMaxInstances"), _dollars(ad, "AnnexMaxHourlyCost"), _dollars(ad, "AnnexBudget"))


def _number(ad: Mapping[str, Any], attribute: str) -> float | None:
    """
    A wish as a number, None where the job has none.

    A wish that is there and is no number (a hand-edited job: submit refuses it) counts as 0, which launches nothing.
    """
    value = ad.get(attribute)
    if value is None or value is classad2.Value.Undefined:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, classad2.Value) and value >= 0
    return min(value, _BEYOND) if is_number else 0


def _seconds(ad: Mapping[str, Any], attribute: str) -> timedelta | None:
    value = _number(ad, attribute)
    return None if value is None else timedelta(seconds=min(value, 10 * 365 * 86400))


def _count(ad: Mapping[str, Any], attribute: str) -> int | None:
    value = _number(ad, attribute)
    return None if value is None else int(value)


def _dollars(ad: Mapping[str, Any], attribute: str) -> Decimal | None:
    value = _number(ad, attribute)
    return None if value is None else Decimal(str(float(value)))
