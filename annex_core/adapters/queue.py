"""The schedd: what waits for an annex, group by group, and the sentence its owners read."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import classad2
import htcondor2

from annex_core.adapters import job_rows
from annex_core.adapters.job_rows import IDLE, number
from annex_core.errors import Unavailable
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.eviction import Eviction
from annex_core.model.names import AnnexKey
from annex_core.model.runtime import Expect, Runtime, mixed

_NAMED = "AnnexProject =!= undefined && TargetAnnexName =!= undefined"
_OURS = f'{_NAMED} && AnnexNever =!= True && JobUniverse == 5 && Managed =!= "External"'
"""A source that the router manages elsewhere is not counted: its routed copy is, unless that runs in a grid."""
_CONSTRAINED = ("JobStatus", "AnnexNever", "JobUniverse", "Managed")
"""The schedd knows no other attributes of the constraint than those it groups by."""

_MATCHED = ("Requirements", "Rank", *job_rows.IDENTITY, *job_rows.REQUESTS, *job_rows.WISHES)
_APART = frozenset({"Id", "JobIds", "JobCount", *_CONSTRAINED, *job_rows.TIMES, *job_rows.KIND})
"""What tells rows apart and not groups: of all a row's jobs, or from moment to moment, which a match is not."""

_FACTORY = ("ClusterId", "JobsIdle", "JobsPresent", "TotalSubmitProcs", "JobFactoryPaused", "JobMaterializeLimit")
_FACTORY_STATE = (*_FACTORY, "JobMaterializeMaxIdle", "JobMaterializeNextProcId")


class ScheddQueue:
    """
    ports.Queue over HTCondor's bindings; asks the local schedd, wherever its address file says it is now.

    Args:
        expect: Without it, no group says how long its jobs run.
    """

    def __init__(self, expect: Expect | None = None) -> None:
        self._expect = expect
        self._kinds = job_rows.KIND if expect else ()
        self._unborn: dict[float, datetime] = {}
        """Moments that were in the future when a job first named them, and when that was."""
        self._some_wait = True
        """Some job in the queue has AnnexAfter; to look for it once more takes the schedd as long as all else."""

    def demand(self, now: datetime) -> Sequence[JobGroup]:
        """
        Source:
            GroupBy queries over idle jobs. Beside what it is asked for, each row has what Requirements refers to, so
            that it matches as the job would. The schedd's autoclusters are no use here: a job has none until a
            negotiator has come by, which is a minute after the hook has spoken.
        """
        schedd = htcondor2.Schedd()
        idle = f"JobStatus == {IDLE} && {_OURS}"
        asked = [*_CONSTRAINED, *_MATCHED, *self._kinds]
        try:
            rows = _believed(schedd, f"{idle} && AnnexAfter =?= undefined", [*asked, "AnnexAfter"])
            if self._some_wait:
                rows += self._due(
                    _believed(schedd, f"{idle} && AnnexAfter =!= undefined", [*asked, *job_rows.TIMES]), now
                )
            rows += _to_come(schedd, f"{idle} && AnnexAfter =?= undefined", [*asked, "AnnexAfter"])
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        return self._groups(rows)

    def counts(self) -> Mapping[AnnexKey, JobCounts]:
        asked = [*_CONSTRAINED, *job_rows.IDENTITY[:3], *job_rows.LIMITS, "AnnexAfter", job_rows.WHERE, *self._kinds]
        try:
            rows = _believed(htcondor2.Schedd(), _OURS, asked)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        self._some_wait = any(number(row, "AnnexAfter") is not None for row in rows)
        return job_rows.counted(rows, self._expect)

    def evictions(self, since: datetime) -> Sequence[Eviction]:
        """
        Source:
            What the shadow and the schedd leave in a job's ad: LastVacateTime, and LastRemoteHost, which is of the run
            before while the next one runs.
        """
        vacated = f"{_OURS} && LastVacateTime >= {int(since.timestamp())}"
        try:
            ads = htcondor2.Schedd().query(vacated, list(job_rows.OF_RUNS))
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd does not answer: {error}") from error
        return tuple(found for ad in ads if (found := job_rows.eviction(ad)))

    def say(self, key: AnnexKey, sentence: str) -> None:
        said = classad2.quote(sentence)
        unaware = (
            f"JobStatus == {IDLE} && Owner =?= {classad2.quote(key.owner)}"
            f" && TargetAnnexName =?= {classad2.quote(key.name)} && {_NAMED} && AnnexStatus =!= {said}"
        )
        schedd = htcondor2.Schedd()
        try:
            # To edit no job at all fails, in the same words as an edit that was not allowed.
            if schedd.query(unaware, ["ClusterId"], limit=1):
                schedd.edit(unaware, "AnnexStatus", said)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the schedd did not take the status of annex {key}: {error}") from error

    def _groups(self, rows: Iterable[classad2.ClassAd]) -> Sequence[JobGroup]:
        """Of rows that differ in nothing that a machine could tell, one."""
        alike: dict[frozenset[tuple[str, str]], tuple[classad2.ClassAd, dict[tuple[str, str, str], int]]] = {}
        for row in rows:
            key = frozenset((name, str(value)) for name, value in row.items() if name not in _APART)
            kinds = alike.setdefault(key, (row, {}))[1]
            kinds[job_rows.kind(row)] = kinds.get(job_rows.kind(row), 0) + int(row["JobCount"])
        found: dict[tuple[object, ...], JobGroup] = {}
        runtimes: dict[tuple[object, ...], list[tuple[Runtime, int]]] = {}
        for row, kinds in alike.values():
            group = job_rows.group(row)
            if group is None:
                continue
            same = (group.key, group.wishes, group.ad.printOld())
            before = found[same].idle if same in found else 0
            found[same] = replace(group, idle=before + sum(kinds.values()))
            if self._expect:
                runtimes.setdefault(same, []).extend((self._expect(*kind), count) for kind, count in kinds.items())
        return tuple(replace(group, expected=mixed(runtimes.get(same, ()))) for same, group in found.items())

    def _due(self, rows: Iterable[classad2.ClassAd], now: datetime) -> list[classad2.ClassAd]:
        """Those whose AnnexAfter seconds have passed since they became idle."""
        before, self._unborn = self._unborn, {}
        found = []
        for row in rows:
            after, since = number(row, "AnnexAfter"), job_rows.idle_since(row)
            if after is None or since is None or self._since(since, before, now) + after <= now.timestamp():
                found.append(row)
        return found

    def _since(self, moment: float, before: Mapping[float, datetime], now: datetime) -> float:
        """
        Where the clock has gone back since, a job would wait that much longer: it counts from when we first saw it.

        Args:
            before: Such moments as the last answer had them.
        """
        if moment <= now.timestamp():
            return moment
        self._unborn[moment] = min(before.get(moment, now), now)
        return self._unborn[moment].timestamp()


_MEANWHILE = 50
"""So many jobs may come between two questions, though they be more than a tenth of all."""


def _believed(schedd: htcondor2.Schedd, constraint: str, asked: Sequence[str]) -> list[classad2.ClassAd]:
    """
    A group a row, all in all about as many jobs as the schedd counts: only what came or went between the two questions
    is a difference, and an empty answer, or one of half the jobs, is no queue that has run empty.

    Raises:
        Unavailable: It told of far fewer twice.
    """
    told = counted = 0
    for _ in range(2):  # a cluster may have come in between
        rows = list(schedd.query(constraint, list(asked), opts=htcondor2.QueryOpt.GroupBy))
        told = sum(int(row["JobCount"]) for row in rows)
        summary = schedd.query(constraint, opts=htcondor2.QueryOpt.SummaryOnly)
        if not summary:
            raise Unavailable("the schedd gave an answer and no summary of its queue")
        counted = int(summary[0].get("Jobs", 0))
        if not counted or (told > counted / 2 and counted - told <= max(counted / 10, _MEANWHILE)):
            return rows
    raise Unavailable(f"the schedd told of {told} jobs where it counts {counted}")


def _to_come(schedd: htcondor2.Schedd, idle: str, asked: Sequence[str]) -> list[classad2.ClassAd]:
    """
    Jobs of late materialisation that the schedd will make as soon as it comes to it: up to max_idle and
    max_materialize. They are taken to be like most idle ones of their cluster, and no more is guessed of them.
    """
    clusters = schedd.query(
        "JobFactoryId =!= undefined && AnnexProject =!= undefined",
        [*_FACTORY_STATE, "JobFactoryId", "AnnexProject"],
        opts=htcondor2.QueryOpt.IncludeClusterAd,
    )
    coming = {int(each["ClusterId"]): jobs for each in clusters if "ProcId" not in each and (jobs := _unmade(each)) > 0}
    if not coming:
        return []
    these = " || ".join(f"ClusterId == {cluster}" for cluster in coming)
    rows = schedd.query(f"{idle} && ({these})", [*asked, "ClusterId"], opts=htcondor2.QueryOpt.GroupBy)
    most: dict[int, classad2.ClassAd] = {}
    for row in rows:
        cluster = int(row["ClusterId"])
        if cluster not in most or int(row["JobCount"]) > int(most[cluster]["JobCount"]):
            most[cluster] = row
    for cluster, row in most.items():
        row["JobCount"] = coming[cluster]
        del row["ClusterId"]
    return list(most.values())


def _unmade(factory: Mapping[str, Any]) -> int:
    """How many jobs a factory may make now."""

    def whole(name: str) -> int | None:
        value = factory.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    total, following = whole("TotalSubmitProcs"), whole("JobMaterializeNextProcId")
    if total is None or following is None or whole("JobFactoryPaused") != 0:
        return 0
    bounds = [total - following]
    for most, now in (("JobMaterializeLimit", "JobsPresent"), ("JobMaterializeMaxIdle", "JobsIdle")):
        if (limit := whole(most)) is not None:
            bounds.append(limit - (whole(now) or 0))
    return min(bounds)
