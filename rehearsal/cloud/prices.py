"""
Plausible prices where none can be looked up: a formula over vCPUs, memory and GPUs.

On demand it comes within a fifth of the list prices of the common x86 families; spot is 25 to 55 % of that, by type
and zone, and drifts a little every six hours. The same type, zone and moment always cost the same.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPES

STEP_S = 6 * 3600


def shape(instance_type: str) -> tuple[int, int, int]:
    """vCPUs, memory in MiB and GPUs; KeyError for a type that there isn't."""
    described: dict[str, Any] = INSTANCE_TYPES[instance_type]
    gpus = sum(gpu.get("Count", 0) for gpu in described.get("GpuInfo", {}).get("Gpus", []))
    return described["VCpuInfo"]["DefaultVCpus"], described["MemoryInfo"]["SizeInMiB"], gpus


def chance(*of: object) -> float:
    """A number from 0 up to 1 that looks random and is always the same for the same things."""
    digest = hashlib.sha256("\0".join(map(str, of)).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def on_demand(instance_type: str) -> float:
    """USD an hour."""
    vcpus, memory_mib, gpus = shape(instance_type)
    return 0.031 * vcpus + 0.004 * memory_mib / 1024 + 0.35 * gpus


def spot(instance_type: str, zone: str, at: float) -> float:
    """USD an hour at that moment, rounded to AWS's six decimals."""
    level = 0.25 + 0.3 * chance("level", instance_type, zone)
    drift = 0.95 + 0.1 * chance("drift", instance_type, zone, int(at // STEP_S))
    return round(on_demand(instance_type) * level * drift, 6)


def changes(instance_type: str, zone: str, start: float, end: float) -> Iterator[tuple[float, float]]:
    """Moment and price, newest first, from the price in force at *start* until *end*."""
    step = int(end // STEP_S)
    while step >= int(start // STEP_S):
        moment = step * STEP_S
        yield moment, spot(instance_type, zone, moment)
        step -= 1
