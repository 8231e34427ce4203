"""An annex as an ad, for scripts that read the withdrawn tool's -status -classads."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any


def ad(annex: Mapping[str, Any]) -> dict[str, Any]:
    """
    Args:
        annex: One of `annexes` in schemas/status.json.

    Returns:
        Attributes of a ClassAd: moments in seconds since 1970, money in USD; what is unknown is absent, never zero.
    """
    machines, jobs = annex["instances"], annex["jobs"]
    found: dict[str, Any] = {
        "MyType": "Annex",
        "AnnexName": annex["name"],
        "Owner": annex["owner"],
        "AnnexId": annex["id"],
        "AnnexProject": annex["project"],
        "AnnexRoute": annex["route"],
        "AnnexStatus": annex["status"],
        "LeaseEnds": _epoch(annex["lease_ends"]),
        "EndsAtLatest": _epoch(annex["ends_at_latest"]),
        "TotalInstances": machines["pending"] + machines["booting"] + machines["joined"],
        "PendingInstances": machines["pending"],
        "BootingInstances": machines["booting"],
        "JoinedInstances": machines["joined"],
        "IdleJobs": jobs["idle"],
        "RunningJobs": jobs["running"],
        "HeldJobs": jobs["held"],
        "HourlyCost": _usd(annex["hourly_cost"]),
        "SpentEstimate": _usd(annex["spent_estimate"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def _epoch(moment: str | None) -> int | None:
    return int(datetime.fromisoformat(moment).timestamp()) if moment else None


def _usd(text: str | None) -> float | None:
    return float(text) if text is not None else None
