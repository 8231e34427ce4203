"""
The schedd's history, read as it grows: how long jobs ran.

It is read in a thread of its own, with HTCondor's own condor_history, newest first back to where the last look ended; a
cycle asks for what has been learned by then and waits for nothing. What was learned lies in a file beside the journal:
lost, it is learned anew.
"""

import json
import logging
import math
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from annex_core.adapters.ads_text import Ad, NotAds, ads
from annex_core.adapters.job_rows import last_instance
from annex_core.errors import AnnexError, Unavailable
from annex_core.model.outcomes import Outcomes
from annex_core.model.runtime import Runtime
from annex_core.planner.runtimes import Finished, Runtimes, Tally

log = logging.getLogger(__name__)

_ATTRIBUTES = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "Owner",
    "Cmd",
    "SUBMIT_Cmd",
    "JobBatchName",
    "CompletionDate",
    "JobCurrentStartExecutingDate",
    "JobCurrentStartDate",
    "RemoteWallClockTime",
    "LastRemoteHost",
    "ExitCode",
    "ExitBySignal",
)
_COMPLETED = 4
AT_FIRST = 50_000
"""Jobs that the first look goes back, or one whose mark is no longer in the history."""

A_MOMENT = 60.0
"""Seconds; a job that fails within them has hardly begun."""
_OUTCOMES_KEPT = 10_000

Mark = tuple[int, int]
"""(ClusterId, ProcId) of the newest job that was read."""

Read = Callable[[Mark | None], Iterable[Ad]]
"""The job ads of the history, newest first, down to but not including the mark."""


def condor_history(
    mark: Mark | None,
    *,
    attributes: Sequence[str] = _ATTRIBUTES,
    limit: int = AT_FIRST,
    since: str | None = None,
) -> Iterator[Ad]:
    """
    Args:
        since: Where there is no mark: an expression, true of the first job that is too old.

    Raises:
        Unavailable: The program can't be run, or failed.
    """
    words = ["condor_history", "-long", "-attributes", ",".join(attributes), "-limit", str(limit)]
    if mark or since:
        words += ["-since", f"{mark[0]}.{mark[1]}" if mark else since or ""]
    with _running(words) as process:
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        try:
            yield from ads(process.stdout, attributes)
        except NotAds as error:
            raise Unavailable(f"condor_history's answer can't be read: {error}") from error
        if process.wait() != 0:
            raise Unavailable(f"condor_history failed with exit status {process.returncode}")


@contextmanager
def _running(words: Sequence[str]) -> Iterator["subprocess.Popen[str]"]:
    try:
        process = subprocess.Popen(
            words,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise Unavailable(f"condor_history can't be run: {error}") from error
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finished(ad: Ad) -> Finished | None:
    """What a job's ad tells of its run time; None for one that did not run to its end."""
    if ad.get("JobStatus") != _COMPLETED or not isinstance(ad.get("Owner"), str):
        return None
    return Finished(
        owner=ad["Owner"],
        executable=str(ad.get("SUBMIT_Cmd") or ad.get("Cmd") or ""),
        batch=str(ad.get("JobBatchName") or ""),
        seconds=run_seconds(ad),
    )


def ran_on(ad: Ad) -> tuple[str, bool] | None:
    """The instance that a job ran on last, and whether it failed there within a moment; None where it was none."""
    instance = last_instance(ad)
    if instance is None or ad.get("JobStatus") != _COMPLETED:
        return None
    failed = ad.get("ExitBySignal") is True or _number(ad, "ExitCode") != 0
    return instance, failed and run_seconds(ad) < A_MOMENT


def run_seconds(ad: Ad) -> float:
    """
    How long the job's last run took.

    From its start to its end; where those are not there or make no sense, the wall clock of all its runs.
    """
    ended = _number(ad, "CompletionDate")
    for name in ("JobCurrentStartExecutingDate", "JobCurrentStartDate"):
        began = _number(ad, name)
        if began > 0 and ended > began:
            return ended - began
    return _number(ad, "RemoteWallClockTime")


def _number(ad: Ad, name: str) -> float:
    value = ad.get(name)
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else 0.0


class History:
    """
    What the site's history says of run times.

    Args:
        file: Where what was learned is kept, beside the journal.
        read: Gives the ads; condor_history by default.
    """

    def __init__(self, file: Path, read: Read = condor_history) -> None:
        self._file = file
        self._read = read
        self._lock = threading.Lock()
        self._mark, self._runtimes = _loaded(file)
        self._outcomes: dict[str, Outcomes] = {}

    def expected(self, owner: str, executable: str, batch: str) -> Runtime:
        """At once, from what has been learned by now."""
        with self._lock:
            return self._runtimes.expected(owner, executable, batch)

    def outcomes(self) -> Mapping[str, Outcomes]:
        """What became of jobs on machines of annexes, by instance, since the daemon began."""
        with self._lock:
            return dict(self._outcomes)

    def look(self) -> int:
        """
        Learn from what has finished since the last look.

        Returns:
            How many jobs that were.

        Raises:
            Unavailable: The history can't be read; what was learned before stands.
        """
        newest: Mark | None = None
        found: list[Finished] = []
        ran: list[tuple[str, bool]] = []
        for ad in self._read(self._mark):
            if newest is None and "ClusterId" in ad and "ProcId" in ad:
                newest = (int(ad["ClusterId"]), int(ad["ProcId"]))
            if seen := ran_on(ad):
                ran.append(seen)
            job = finished(ad)
            if job:
                found.append(job)
        with self._lock:
            for job in reversed(found):  # what finished last counts most
                self._runtimes.learn(job)
            for instance, burned in reversed(ran):
                before = self._outcomes.pop(instance, Outcomes())  # those seen last stay longest
                self._outcomes[instance] = Outcomes(before.well + (not burned), before.burned + burned)
            for oldest in list(self._outcomes)[:-_OUTCOMES_KEPT]:
                del self._outcomes[oldest]
            self._mark = newest or self._mark
        if newest:
            self._save()
        return len(found)

    def watch(self, wait: Callable[[], object]) -> None:
        """Look for ever, between calls of *wait*. For a thread of its own."""
        trouble = ""
        while True:
            try:
                count = self.look()
                log.debug("run times: learned from %d finished jobs", count)
                trouble = ""
            except Exception as error:  # whatever it is: the next look may do better
                if str(error) != trouble:
                    unknown = not isinstance(error, AnnexError | OSError)
                    log.warning("run times are not learned: %s", error or type(error).__name__, exc_info=unknown)
                trouble = str(error)
            wait()

    def _save(self) -> None:
        with self._lock:
            kinds = [[list(kind), tally.jobs, tally.mean, tally.variance] for kind, tally in self._runtimes.items()]
        text = json.dumps({"mark": self._mark, "kinds": kinds})
        beside = self._file.with_suffix(".new")
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.write_text(text)
        beside.replace(self._file)


def _loaded(file: Path) -> tuple[Mark | None, Runtimes]:
    """What lies in the file; nothing where it is not there or not whole."""
    try:
        kept = json.loads(file.read_text())
        mark = kept["mark"]
        return (int(mark[0]), int(mark[1])) if mark else None, Runtimes(
            {
                tuple(map(str, kind)): Tally(int(jobs), float(mean), float(variance))
                for kind, jobs, mean, variance in kept["kinds"]
            }
        )
    except FileNotFoundError:
        pass
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        log.warning("%s can't be read (%s); run times are learned anew", file, error)
    return None, Runtimes()
