"""A Spot Fleet's history: what keeps it from launching, in AWS's words and as errors of ours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from annex_core.adapters.aws_errors import error_of
from annex_core.errors import AnnexError, NoCapacity, OverVcpuQuota, Refused
from annex_core.ports import Refusal, Trouble

if TYPE_CHECKING:
    from types_boto3_ec2.type_defs import HistoryRecordTypeDef

_OBSTACLES = {"error", "information"}
"""The event types that say why a fleet doesn't launch; the others tell of launches and changes of state."""
_CODE = re.compile(r"Error Code: ([A-Za-z.]+)")
_TYPE = re.compile(r"\b[a-z][a-z0-9-]*\d[a-z0-9-]*\.[a-z0-9-]+\b")
_ZONE = re.compile(r"\b[a-z]{2}(?:-[a-z0-9]+)+-\d+[a-z]\b")
_OF_ALL = "allLaunchSpecsTemporarilyBlacklisted"
_SHORT = {"launchSpecTemporarilyBlacklisted", _OF_ALL, "launchSpecUnusable", "fleetProgressHalted"}
"""Events of a launch that may succeed later, unless their description names an error that says else; the last two are
about the price."""
_QUOTA = "spotInstanceCountLimitExceeded"


def trouble(records: Sequence[HistoryRecordTypeDef]) -> Trouble | None:
    """The newest of what keeps it from launching, `subtype: description`; the description may be missing."""
    obstacles = [record for record in records if record["EventType"] in _OBSTACLES]
    if not obstacles:
        return None
    obstacles.sort(key=lambda record: record["Timestamp"], reverse=True)
    told: dict[tuple[type[AnnexError], Refusal], Refusal] = {}
    for each in map(_refusal, obstacles):
        told.setdefault((type(each.error), each), each)  # a refusal is equal to one of another kind about the same
    return Trouble(_words(obstacles[0]), tuple(told.values()))


def _words(record: HistoryRecordTypeDef) -> str:
    event = record["EventInformation"]
    said = (event.get("EventSubType"), event.get("EventDescription"))
    return ": ".join(word for word in said if word) or "an error without a word from AWS"


def _refusal(record: HistoryRecordTypeDef) -> Refusal:
    event = record["EventInformation"]
    kind, text = event.get("EventSubType", ""), event.get("EventDescription", "")
    words = _words(record)
    if kind == _QUOTA:
        return Refusal(OverVcpuQuota(words))
    name, zone = _TYPE.search(text), _ZONE.search(text)
    if kind == _OF_ALL or not name:
        return Refusal(_error(kind, text, words))
    return Refusal(_error(kind, text, words), name[0], zone[0] if zone else "")


def _error(kind: str, text: str, words: str) -> AnnexError:
    code = _CODE.search(text)
    if code:
        return error_of("Spot Fleet", code[1], words)
    return NoCapacity(words) if kind in _SHORT else Refused(words)
