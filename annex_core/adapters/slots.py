"""The annex collector: the slots that execution points advertise there, with the identity each joined by."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import htcondor2

from annex_core.errors import Unavailable
from annex_core.model.supply import Slot

_RESOURCES = ("Cpus", "Memory", "Disk", "GPUs")
_ATTRIBUTES = [
    "Name",
    "AuthenticatedIdentity",
    "AnnexName",
    "EC2InstanceID",
    "EC2InstanceType",
    "DynamicSlot",
    "AnnexDraining",
    "AnnexInterruptionAt",
    "AnnexRebalanceAt",
    "Activity",
    "EnteredCurrentActivity",
    *_RESOURCES,
    *(f"TotalSlot{each}" for each in _RESOURCES),
]
_LAST = 253_402_300_799
"""9999-12-31: a machine's word is no reason to fail."""
_WANTED = 'PartitionableSlot =?= true || (DynamicSlot =?= true && State =?= "Claimed")'


class CollectorSlots:
    """ports.Slots over HTCondor's bindings."""

    def __init__(self, collector: str) -> None:
        self._collector = collector

    def slots(self) -> Sequence[Slot]:
        try:
            ads = htcondor2.Collector(self._collector).query(htcondor2.AdType.Startd, _WANTED, _ATTRIBUTES)
        except (htcondor2.HTCondorException, OSError) as error:
            raise Unavailable(f"the annex collector {self._collector} does not answer: {error}") from error
        return read(ads)


def read(ads: Sequence[Mapping[str, Any]]) -> Sequence[Slot]:
    """
    What a partitionable slot has free is what the slots claimed out of it leave: when one of them ends, the collector
    hears so at once, and of what the partitionable slot has free some seconds later.
    """
    claims = [ad for ad in ads if ad.get("DynamicSlot") is True]
    taken: dict[str, Counter[str]] = {}
    for ad in claims:
        resources = taken.setdefault(_parent(str(ad.get("Name", ""))), Counter())
        resources.update({each: _whole(ad.get(each)) for each in _RESOURCES})
    return [_slot(ad, taken.get(str(ad.get("Name", "")), Counter())) for ad in ads]


def _parent(name: str) -> str:
    """slot1@HOST of slot1_2@HOST."""
    slot, at, host = name.partition("@")
    return slot.rpartition("_")[0] + at + host


def _slot(ad: Mapping[str, Any], taken: Mapping[str, int]) -> Slot:
    free = {each: max(_whole(ad.get(f"TotalSlot{each}")) - taken.get(each, 0), 0) for each in _RESOURCES}
    return Slot(
        name=str(ad.get("Name", "")),
        identity=str(ad.get("AuthenticatedIdentity", "nobody")),
        claimed_name=str(ad.get("AnnexName", "")),
        instance=_text(ad.get("EC2InstanceID")),
        type=_text(ad.get("EC2InstanceType")),
        cpus=_whole(ad.get("TotalSlotCpus")),
        free_cpus=free["Cpus"],
        free_memory_mib=free["Memory"],
        free_disk_kib=free["Disk"],
        free_gpus=free["GPUs"],
        memory_mib=_whole(ad.get("TotalSlotMemory")),
        disk_kib=_whole(ad.get("TotalSlotDisk")),
        gpus=_whole(ad.get("TotalSlotGPUs")),
        claimed=ad.get("DynamicSlot") is True,
        busy_since=_busy_since(ad),
        draining=ad.get("AnnexDraining") is True,
        interrupted_at=_moment(ad.get("AnnexInterruptionAt")),
        rebalance_at=_moment(ad.get("AnnexRebalanceAt")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int:
    """A resource as the slot says it; one it doesn't say, or says wrongly, is none."""
    return max(int(value), 0) if isinstance(value, int | float) and math.isfinite(value) else 0


def _moment(value: object) -> datetime | None:
    """Seconds since 1970, as a machine says them; what is no moment is still a word that it was given notice."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return datetime.fromtimestamp(min(max(value, 0), _LAST), UTC) if math.isfinite(value) else None


def _busy_since(ad: Mapping[str, Any]) -> datetime | None:
    since = ad.get("EnteredCurrentActivity")
    if ad.get("Activity") != "Busy" or ad.get("DynamicSlot") is not True or not isinstance(since, int):
        return None
    return datetime.fromtimestamp(since, UTC)
