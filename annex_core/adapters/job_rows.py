"""The schedd's answers about jobs, a row for each group of like ones, as values."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any

import classad2

from annex_core.errors import BadRequest
from annex_core.model.demand import JobCounts, JobGroup, Limits, Wishes, tightest
from annex_core.model.eviction import Eviction
from annex_core.model.names import ANNEX_NAME, AnnexKey
from annex_core.model.runtime import Expect

IDLE = 1
_STATES = {IDLE: "idle", 2: "running", 5: "held", 6: "running", 7: "running"}
"""JobStatus in words; a job transferring its output, or suspended, has its machine still. Removed and completed ones
count no more."""

IDENTITY = ("Owner", "TargetAnnexName", "AnnexProject", "AnnexRoute")
LIMITS = ("AnnexMaxInstances", "AnnexMaxHourlyCost", "AnnexBudget")
DURATIONS = ("AllowedExecuteDuration", "AllowedJobDuration")
"""What a job says that it takes at most; the first one that is there counts, as in START of bundle/annex.config."""
WISHES = ("AnnexLifetime", "AnnexIdleTimeout", "AnnexInstanceTypes", "AnnexOnDemand", *LIMITS, *DURATIONS)
REQUESTS = ("RequestCpus", "RequestMemory", "RequestDisk", "RequestGPUs")
KIND = ("Cmd", "JobBatchName")
"""What run times go by, beside the owner."""
PLANNED_BY = ("Requirements", "Rank", *IDENTITY, *REQUESTS, "RequireGPUs", *WISHES, *KIND, "JobUniverse")
"""Attributes of a job that its annex is planned by, beside what they refer to."""
TIMES = ("AnnexAfter", "QDate", "EnteredCurrentStatus")
"""How long a job waits at home, and since when."""
WHERE = "MachineAttrAnnexName0"
"""The annex that a running job's slot belongs to, by JobMachineAttrs; undefined at home."""

_INSTANCE = re.compile(r"@(i-[0-9a-z]+)(?:@|$)")
"""In a slot's name: its execution point is called like its instance."""
OF_RUNS = (
    "ClusterId",
    "ProcId",
    "LastRemoteHost",
    "LastVacateTime",
    "JobCurrentStartDate",
    "JobLastStartDate",
    "JobLastCheckpointTime",
    "LastCkptTime",
    "WhenToTransferOutput",
)

_KEPT = tuple(name.lower() for name in (*IDENTITY, "RequireGPUs", "Rank"))
"""What a group's ad has whether Requirements looks at it or not; the requests come to it as they evaluate."""
_ASKED = tuple(name.lower() for name in REQUESTS)
_REMEMBERED = 4096
"""Expressions: most groups share theirs with others."""
_OWN = re.compile(r"\bMY\.AnnexJobRequirements$")
"""How Requirements of a job that was steered to its annex end: with what its user wrote (config.d/50-annex-submit)."""

_WORD = re.compile(r"(?<!TARGET\.)\b[A-Za-z_]\w*", re.IGNORECASE)

_BEYOND = 10**12
"""More than there is of anything: an ad may say 1e400, which is infinite and no number to reckon with."""


def kind(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Owner, executable and batch name; empty where they are no text."""
    owner, *words = (found if isinstance(found := row.get(name), str) else "" for name in ("Owner", *KIND))
    return owner, words[0], words[1]


def counted(rows: Iterable[Mapping[str, Any]], expect: Expect | None = None) -> dict[AnnexKey, JobCounts]:
    """
    Args:
        rows: Of jobs in any state, by what IDENTITY, LIMITS, KIND and WHERE name.
    """
    found: dict[AnnexKey, JobCounts] = {}
    for row in rows:
        word = _STATES.get(int(row["JobStatus"]))
        if word:
            key = AnnexKey(str(row["Owner"]), str(row["TargetAnnexName"]))
            if word == "running" and row.get(WHERE) != key.name and "AnnexAfter" in row:
                word = "at_home"
            before = found.get(key, JobCounts())
            number = getattr(before, word) + int(row["JobCount"])
            found[key] = replace(before, **{word: number}, limits=tightest([before.limits, _limits(row)]))
            if expect and word == "running":
                kinds = [each for each in (before.running_for, expect(*kind(row))) if each]
                # What is not known well may run for ever.
                longest = max(kinds, key=lambda each: (not each.sure, each.mean))
                found[key] = replace(found[key], running_for=longest)
    return found


def last_instance(ad: Mapping[str, Any]) -> str | None:
    """The instance that a job ran on last; None where that was no machine of an annex."""
    where = _INSTANCE.search(str(ad.get("LastRemoteHost")))
    return where[1] if where else None


def eviction(ad: Mapping[str, Any]) -> Eviction | None:
    """
    The last time that a job had to leave its machine; None where its ad doesn't say when, or from where.

    What it did since its last checkpoint is lost; a job that transfers its output when it is evicted has lost nothing.
    """
    instance, at = last_instance(ad), number(ad, "LastVacateTime")
    if not instance or not at:
        return None
    # The job may run again by now: then the start before this one was that run's.
    starts = (number(ad, name) or 0 for name in ("JobCurrentStartDate", "JobLastStartDate"))
    began = max((start for start in starts if start <= at), default=0)
    kept = max(number(ad, name) or 0 for name in ("JobLastCheckpointTime", "LastCkptTime"))
    written_out = ad.get("WhenToTransferOutput") == "ON_EXIT_OR_EVICT"
    lost = 0 if written_out or not began else at - max(began, min(kept, at))
    return Eviction(
        job=f"{ad['ClusterId']}.{ad['ProcId']}",
        at=datetime.fromtimestamp(int(at), UTC),
        instance=instance,
        lost=timedelta(seconds=lost),
    )


def group(row: classad2.ClassAd) -> JobGroup | None:
    """One group's value; None where its ad names no annex that can be (a hand-edited job)."""
    owner, name = row.get("Owner"), row.get("TargetAnnexName")
    if not isinstance(owner, str) or not isinstance(name, str) or not ANNEX_NAME.fullmatch(name):
        return None
    route = row.get("AnnexRoute")
    ad = _ad(row)
    return JobGroup(
        key=AnnexKey(owner, name),
        project=str(row.get("AnnexProject")),
        route=route if isinstance(route, str) else None,
        idle=int(row["JobCount"]),
        cpus=_whole(ad, "RequestCpus", 1),
        memory_mib=_whole(ad, "RequestMemory", 0),
        disk_kib=_whole(ad, "RequestDisk", 0),
        gpus=_whole(ad, "RequestGPUs", 0),
        wishes=wishes(row),
        ad=ad,
    )


def shape(group: JobGroup) -> dict[str, Any]:
    """What tells a group from an annex's others, by `group` in schemas/request.json."""
    return {
        "cpus": group.cpus,
        "memory_mib": group.memory_mib,
        "disk_kib": group.disk_kib,
        "gpus": group.gpus,
        "requirements": str(group.ad.lookup("Requirements")) if "Requirements" in group.ad else "",
    }


def idle_since(row: Mapping[str, Any]) -> float | None:
    """Since when an idle job waits, by the clock of the schedd's machine."""
    return number(row, "EnteredCurrentStatus") or number(row, "QDate")


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
    ad["JobStatus"] = IDLE
    ad["JobCount"] = jobs
    made = group(ad)
    if made is None:
        raise BadRequest("the jobs name no annex (annex_name)")
    return replace(made, expected=expect(*kind(ad)) if expect else None)


def _ad(row: classad2.ClassAd) -> classad2.ClassAd:
    """
    What such a job is matched by: its requests as they evaluate, its Requirements whole, and what those look at.

    Jobs that came to the same by another way (another ImageSize, another ProcId) are alike then.
    """
    have = {name.lower(): name for name in row}
    found: dict[str, Any] = {name: row.lookup(have[name]) for name in _KEPT if name in have}
    for name in _ASKED:
        if name in have:
            value = row.eval(have[name])
            found[name] = value if _is_number(value) else row.lookup(have[name])
    if "requirements" in have:
        text = str(row.lookup("Requirements"))
        own = str(row.lookup("AnnexJobRequirements")) if "annexjobrequirements" in have else None
        found["requirements"] = _whole_requirements(text, own)
    new = list(found)
    while new:
        # What the expressions look at in the job comes along, and what that looks at.
        for word in (_words(str(found[new.pop()])) & have.keys()) - found.keys():
            found[word] = row.lookup(have[word])
            new.append(word)
    # Of the same attributes in the same order, whatever order the schedd had.
    return classad2.ClassAd(
        {"MyType": "Job", "TargetType": "Machine"} | {have[name]: found[name] for name in sorted(found)}
    )


@lru_cache(_REMEMBERED)
def _words(text: str) -> frozenset[str]:
    """What may be an attribute of the job's, in lower case. One word too many, such as a string's, does no harm."""
    return frozenset(word.lower() for word in _WORD.findall(text))


@lru_cache(_REMEMBERED)
def _whole_requirements(text: str, own: str | None) -> Any:
    """With the user's own in their place, so that each of their conditions can be told apart."""
    if own is None or not _OWN.search(text):
        return classad2.ExprTree(text)
    return classad2.ExprTree(_OWN.sub(lambda _: f"({own})", text))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, classad2.Value) and not math.isnan(value)


def _whole(ad: classad2.ClassAd, attribute: str, default: int) -> int:
    """What an attribute evaluates to, rounded up; *default* where it is undefined. Matching decides what that means."""
    value = ad.eval(attribute) if attribute in ad else None
    if not isinstance(value, int | float) or not _is_number(value):
        return default
    return math.ceil(min(max(value, -_BEYOND), _BEYOND))


def wishes(ad: Mapping[str, Any]) -> Wishes:
    types = ad.get("AnnexInstanceTypes")
    return Wishes(
        takes=next((each for name in DURATIONS if (each := _seconds(ad, name)) is not None), None),
        lifetime=_seconds(ad, "AnnexLifetime"),
        idle_timeout=_seconds(ad, "AnnexIdleTimeout"),
        limits=_limits(ad),
        instance_types=tuple(word for word in types.replace(",", " ").split()) if isinstance(types, str) else (),
        on_demand=ad.get("AnnexOnDemand") is True,
    )


def _limits(ad: Mapping[str, Any]) -> Limits:
    return Limits(_count(ad, "AnnexMaxInstances"), _dollars(ad, "AnnexMaxHourlyCost"), _dollars(ad, "AnnexBudget"))


def number(ad: Mapping[str, Any], attribute: str) -> float | None:
    """
    A wish as a number, None where the job has none.

    A wish that is there and is no number (a hand-edited job: submit refuses it) counts as 0, which launches nothing.
    """
    value = ad.get(attribute)
    if value is None or value is classad2.Value.Undefined:
        return None
    if not isinstance(value, int | float) or not _is_number(value) or value < 0:
        return 0
    return min(value, _BEYOND)


def _seconds(ad: Mapping[str, Any], attribute: str) -> timedelta | None:
    value = number(ad, attribute)
    return None if value is None else timedelta(seconds=min(value, 10 * 365 * 86400))


def _count(ad: Mapping[str, Any], attribute: str) -> int | None:
    value = number(ad, attribute)
    return None if value is None else int(value)


def _dollars(ad: Mapping[str, Any], attribute: str) -> Decimal | None:
    value = number(ad, attribute)
    return None if value is None else Decimal(str(float(value)))
