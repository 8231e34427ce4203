"""Recorded work as a Workload: condor_history's output, a schedd's job_queue.log, or the Standard Workload Format."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from annex_core.adapters.ads_text import Ad, CutOff, NotAds, ads, evaluated
from annex_core.adapters.history import condor_history, run_seconds
from annex_core.errors import Refused
from annex_core.model.wording import counted
from annex_core.replay.workload import Arrival, Shape, Workload, workload

ATTRIBUTES = (
    "JobStatus",
    "JobUniverse",
    "Owner",
    "Cmd",
    "SUBMIT_Cmd",
    "QDate",
    "CompletionDate",
    "JobStartDate",
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
_BEYOND = 10**15
_LOG_LINE = re.compile(r"10[1-9]( |$)")
_SWF_LINE = re.compile(r"[-+.\d]+(\s+[-+.\d]+){10,}")
_SWF_FIELDS = 18
_SWF_START = re.compile(r";\s*UnixStartTime:\s*(\d+)", re.IGNORECASE)


def recorded(file: Path, *, since: float = -math.inf) -> Workload:
    """
    The jobs of a file that ran to their end, whichever of the forms it has.

    Args:
        since: Leave out what was submitted before; epoch seconds.

    Raises:
        Refused: It can't be read, is of no known form, or holds no job that ran to its end.
    """
    try:
        with file.open(errors="replace") as lines:
            reading = _Reading(lines)
            return _whole(_arrivals(reading), since, str(file), reading)
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
    return _whole(_of_ads(found), since, "the schedd's history", None)


class _Reading:
    """Lines as they are read, and what can't be taken of them. A file that is still being written ends in mid-line."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines
        self.cut = False
        """The last line has no end."""
        self.empty = True
        self.left_out: Counter[str] = Counter()

    def __iter__(self) -> Iterator[str]:
        for line in self._lines:
            self.empty = False
            self.cut = not line.endswith("\n")
            yield line

    def cut_off(self) -> None:
        self.left_out["that the file's end cuts off"] += 1


def _whole(arrivals: Iterable[Arrival], since: float, where: str, reading: _Reading | None) -> Workload:
    found = workload((each for each in arrivals if not each.submitted < since), reading.left_out if reading else None)
    if not len(found):
        if reading and reading.empty:
            raise Refused(f"{where} is empty")
        left = "".join(f"; {counted(number, 'job')} {which}" for which, number in found.left_out.items())
        raise Refused(f"{where} holds no job that ran to its end{' since then' if math.isfinite(since) else ''}{left}")
    return found


def _arrivals(reading: _Reading) -> Iterator[Arrival]:
    stream = iter(reading)
    before: list[str] = []
    for line in stream:
        before.append(line)
        text = line.strip()
        if text and not text.startswith(";"):
            if _SWF_LINE.fullmatch(text):
                yield from _of_swf(chain(before, stream), reading)
            elif _LOG_LINE.match(text):
                yield from _of_ads(_logged(chain(before, stream)))
            else:
                yield from _of_ads(_but_the_cut(ads(chain(before, stream), ATTRIBUTES), reading))
            return


def _but_the_cut(found: Iterator[Ad], reading: _Reading) -> Iterator[Ad]:
    """All ads but a last one that the end of the file cuts off: what it still has may be half a number."""
    before: Ad | None = None
    try:
        for ad in found:
            if before is not None:
                yield before
            before = ad
    except CutOff:
        reading.cut_off()
    else:
        if reading.cut:
            before = None
            reading.cut_off()
    if before is not None:
        yield before


def _of_ads(found: Iterable[Ad]) -> Iterator[Arrival]:
    shapes: dict[Shape, Shape] = {}
    for ad in found:
        submitted = _whole_number(ad, "QDate", 0)
        if ad.get("JobStatus") == _COMPLETED and ad.get("JobUniverse", _VANILLA) == _VANILLA:
            shape = _shape(ad)
            # Not the batch: each submission may have its own, and it asks for nothing.
            yield Arrival(shapes.setdefault(shape, shape), float(submitted or math.nan), run_seconds(ad), _began(ad))


def _began(ad: Ad) -> float:
    """Its first run; where only the last one is known, that."""
    for name in ("JobStartDate", "JobCurrentStartDate", "JobCurrentStartExecutingDate"):
        if began := _whole_number(ad, name, 0):
            return float(began)
    return math.inf


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


def _number(word: str) -> float:
    """
    Raises:
        ValueError: It is no number, or larger than any that there is of anything.
    """
    value = float(word)
    if not abs(value) <= _BEYOND:
        raise ValueError(f"{word[:40]} is no number that can be")
    return value


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
        if not line.endswith("\n"):
            break  # half a line
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


def _of_swf(lines: Iterable[str], reading: _Reading) -> Iterator[Arrival]:
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
        words = text.split()
        if len(words) < _SWF_FIELDS and reading.cut:
            reading.cut_off()
            continue
        fields = [_number(word) for word in words]
        if len(fields) < 11:
            raise ValueError(f"a line of {len(fields)} numbers, where SWF has 18: {text[:60]!r}")
        fields += [-1.0] * (_SWF_FIELDS - len(fields))
        _, submitted, waited, ran, allocated, _, used_kib, asked, _, asked_kib, _, user, _, executable = fields[:14]
        cpus = max(int(asked if asked > 0 else allocated), 1)
        kib = asked_kib if asked_kib > 0 else used_kib if used_kib > 0 else 1024 * 1024
        shape = Shape(
            owner=f"user{int(user)}" if user >= 0 else "nobody",
            cpus=cpus,
            memory_mib=math.ceil(kib * cpus / 1024),
            executable=f"program{int(executable)}" if executable >= 0 else "",
        )
        yield Arrival(shape, start + submitted, ran, start + submitted + waited if waited >= 0 else math.inf)
