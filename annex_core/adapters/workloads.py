"""Recorded work as a Workload: condor_history's output, a schedd's job_queue.log, or the Standard Workload Format."""

import math
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from annex_core.adapters.ads_text import Ad, NotAds, ads, evaluated
from annex_core.adapters.history import condor_history, run_seconds
from annex_core.errors import Refused
from annex_core.replay.workload import Arrival, Shape, Workload, workload

ATTRIBUTES = (
    "JobStatus",
    "JobUniverse",
    "Owner",
    "Cmd",
    "SUBMIT_Cmd",
    "QDate",
    "CompletionDate",
    "JobCurrentStartExecutingDate",
    "JobCurrentStartDate",
    "RemoteWallClockTime",
    "RequestCpus",
    "RequestMemory",
    "RequestDisk",
    "RequestGPUs",
    "Requirements",
    "AnnexJobRequirements",
    "MemoryUsage",
    "DiskUsage",
    "ImageSize",
)
"""The last ones, because RequestMemory and RequestDisk refer to them."""

_VANILLA = 5
_COMPLETED = 4
_MOST = 10**9
_LOG_LINE = re.compile(r"10[1-9]( |$)")
_SWF_LINE = re.compile(r"[-+.\d]+(\s+[-+.\d]+){10,}")
_SWF_START = re.compile(r";\s*UnixStartTime:\s*(\d+)", re.IGNORECASE)


def recorded(file: Path, *, since: float = 0.0) -> Workload:
    """
    The jobs of a file that ran to their end, whichever of the forms it has.

    Args:
        since: Leave out what was submitted before; epoch seconds.

    Raises:
        Refused: It can't be read, is of no known form, or holds no job that ran to its end.
    """
    try:
        with file.open(errors="replace") as lines:
            return _whole(_arrivals(lines), since, str(file))
    except OSError as error:
        raise Refused(f"{file} can't be read: {error.strerror or error}") from error
    except (NotAds, ValueError) as error:
        raise Refused(f"{file} is no history: {error}") from error


def of_schedd(*, since: float) -> Workload:
    """
    The jobs in the schedd's own history, back to *since*.

    Raises:
        Refused: There is none.
        Unavailable: condor_history can't be run, or fails.
    """
    until = f"CompletionDate > 0 && CompletionDate < {int(since)}"
    found = condor_history(None, attributes=ATTRIBUTES, limit=_MOST, since=until)
    return _whole(_of_ads(found), since, "the schedd's history")


def _whole(arrivals: Iterable[Arrival], since: float, where: str) -> Workload:
    found = workload(arrival for arrival in arrivals if arrival[1] >= since)
    if not len(found):
        raise Refused(f"{where} holds no job that ran to its end{' since then' if since else ''}")
    return found


def _arrivals(lines: Iterable[str]) -> Iterator[Arrival]:
    stream = iter(lines)
    before: list[str] = []
    for line in stream:
        before.append(line)
        text = line.strip()
        if text and not text.startswith(";"):
            if _SWF_LINE.fullmatch(text):
                yield from _of_swf(chain(before, stream))
            elif _LOG_LINE.match(text):
                yield from _of_ads(_logged(chain(before, stream)))
            else:
                yield from _of_ads(ads(chain(before, stream), ATTRIBUTES))
            return


def _of_ads(found: Iterable[Ad]) -> Iterator[Arrival]:
    shapes: dict[Shape, Shape] = {}
    for ad in found:
        submitted = _whole_number(ad, "QDate", 0)
        if ad.get("JobStatus") == _COMPLETED and ad.get("JobUniverse", _VANILLA) == _VANILLA and submitted > 0:
            shape = _shape(ad)
            # Not the batch: each submission may have its own, and it asks for nothing.
            yield shapes.setdefault(shape, shape), float(submitted), run_seconds(ad)


def _shape(ad: Ad) -> Shape:
    return Shape(
        owner=str(ad.get("Owner") or "nobody"),
        cpus=max(_whole_number(ad, "RequestCpus", 1), 1),
        memory_mib=_whole_number(ad, "RequestMemory", 0),
        disk_kib=_whole_number(ad, "RequestDisk", 0),
        gpus=_whole_number(ad, "RequestGPUs", 0),
        requirements=str(ad.get("AnnexJobRequirements") or ad.get("Requirements") or "true"),
        executable=str(ad.get("SUBMIT_Cmd") or ad.get("Cmd") or ""),
    )


def _whole_number(ad: Ad, name: str, default: int) -> int:
    value: Any = ad.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return default
    return math.ceil(min(max(value, 0), 10**12))


def _logged(lines: Iterable[str]) -> Iterator[Ad]:
    """
    The jobs of a job_queue.log: what each had when it left the queue, or has at the log's end.

    Source:
        HTCondor's ClassAd log: 101 KEY, a new ad; 102 KEY, its end; 103 KEY NAME VALUE; 104 KEY NAME, deleted. A
        cluster's ad has the key 0CLUSTER.-1, and its jobs have its attributes where they have none of their own.
    """
    wanted = {name.lower(): name for name in ATTRIBUTES}
    jobs: dict[str, dict[str, str]] = {}
    for line in lines:
        number, _, rest = line.rstrip("\n").partition(" ")
        key, _, rest = rest.partition(" ")
        if number == "101":
            jobs[key] = {}
        elif number == "102" and key in jobs:
            ad = jobs.pop(key)
            if not key.endswith(".-1"):
                yield _merged(jobs, key, ad)
        elif number == "103":
            name, _, value = rest.partition(" ")
            if name.lower() in wanted:
                jobs.setdefault(key, {})[wanted[name.lower()]] = value
        elif number == "104" and rest.lower() in wanted:
            jobs.get(key, {}).pop(wanted[rest.lower()], None)
    for key, ad in jobs.items():
        if not key.endswith(".-1") and "." in key:
            yield _merged(jobs, key, ad)


def _merged(jobs: dict[str, dict[str, str]], key: str, ad: dict[str, str]) -> Ad:
    cluster = jobs.get(f"0{key.partition('.')[0]}.-1", {})
    return evaluated({**cluster, **ad})


def _of_swf(lines: Iterable[str]) -> Iterator[Arrival]:
    """
    Source:
        The Standard Workload Format, version 2.2: 18 numbers a line, -1 for what is not known.
    """
    start = 0.0
    for line in lines:
        text = line.strip()
        if found := _SWF_START.match(text):
            start = float(found[1])
        if not text or text.startswith(";"):
            continue
        fields = [float(word) for word in text.split()]
        if len(fields) < 11:
            raise ValueError(f"a line of {len(fields)} numbers, where SWF has 18: {text[:60]!r}")
        fields += [-1.0] * (18 - len(fields))
        _, submitted, _, ran, allocated, _, used_kib, asked, _, asked_kib, _, user, _, executable = fields[:14]
        cpus = max(int(asked if asked > 0 else allocated), 1)
        kib = asked_kib if asked_kib > 0 else used_kib if used_kib > 0 else 1024 * 1024
        shape = Shape(
            owner=f"user{int(user)}" if user >= 0 else "nobody",
            cpus=cpus,
            memory_mib=math.ceil(kib * cpus / 1024),
            executable=f"program{int(executable)}" if executable >= 0 else "",
        )
        yield shape, start + submitted, ran
