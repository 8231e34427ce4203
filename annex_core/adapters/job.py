"""One job in the queue: its annex, how it stands, and by what its group is known."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import htcondor2

from annex_core.adapters.job_rows import IDLE, PLANNED_BY, TIMES, idle_since, number, shape, supposed
from annex_core.errors import BadRequest, Refused, Unavailable
from annex_core.model.names import AnnexKey

_ID = re.compile(r"(\d{1,9})\.(\d{1,9})")
_STATES = {IDLE: "idle", 2: "running", 3: "removed", 4: "completed", 5: "held", 6: "running", 7: "suspended"}
_ASKED = (*PLANNED_BY, "JobStatus", "HoldReason", "RemoteHost", *TIMES, "AnnexJobRequirements")


@dataclass(frozen=True)
class Job:
    id: str
    key: AnnexKey
    state: str
    """In words, as part of a sentence."""
    idle: bool
    shape: Mapping[str, Any]
    """What it has in common with its group alone, by `group` in schemas/request.json."""


def job_of(text: str, now: datetime) -> Job:
    """
    Raises:
        BadRequest: It is no job id.
        Refused: There is no such job, or it names no annex.
        Unavailable: The schedd does not answer.
    """
    found = _ID.fullmatch(text)
    if not found:
        raise BadRequest(f"{text} is neither an annex's name nor a job's id, such as 12.3")
    cluster, proc = map(int, found.groups())
    try:
        ads = htcondor2.Schedd().query(f"ClusterId == {cluster} && ProcId == {proc}", list(_ASKED))
    except (htcondor2.HTCondorException, OSError) as error:
        raise Unavailable(f"the schedd does not answer: {error}") from error
    if not ads:
        raise Refused(f"there is no job {cluster}.{proc} in the queue")
    return described(f"{cluster}.{proc}", ads[0], now)


def described(id_: str, ad: Any, now: datetime) -> Job:
    """
    Raises:
        Refused: It names no annex.
    """
    if "AnnexProject" not in ad or not isinstance(ad.get("TargetAnnexName"), str):
        raise Refused(f"job {id_} names no annex")
    group = supposed(ad.printOld(), str(ad.get("Owner")), 1, None)
    return Job(id=id_, key=group.key, state=_state(ad, now), idle=ad.get("JobStatus") == IDLE, shape=shape(group))


def _state(ad: Any, now: datetime) -> str:
    word = _STATES.get(ad.get("JobStatus"), "in no state that is known")
    if word == "held":
        return f"held ({ad.get('HoldReason') or 'nobody says why'}); machines come for idle jobs alone"
    if word == "running" and isinstance(ad.get("RemoteHost"), str):
        return f"running on {ad.get('RemoteHost')}"
    after, since = number(ad, "AnnexAfter"), idle_since(ad)
    if word == "idle" and after is not None and since is not None and since + after > now.timestamp():
        due = datetime.fromtimestamp(since + after, UTC).astimezone()
        return f"idle; by its annex_after the cloud counts it from {due:%Y-%m-%d %H:%M:%S} on"
    if word == "idle" and not isinstance(ad.get("AnnexRoute"), str):
        return "idle; the job router has not taken it yet"
    return word
