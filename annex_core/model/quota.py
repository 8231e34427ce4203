"""AWS's quotas of vCPUs: one for each class of instance types, in each market of a region."""

import re
from dataclasses import dataclass

from annex_core.model.route import Market


@dataclass(frozen=True)
class VcpuClass:
    """
    Instance types that share a quota, which counts vCPUs.

    Source:
        "Amazon EC2 service quotas": Running On-Demand ... instances, and All ... Spot Instance Requests.
    """

    name: str
    on_demand: str
    """The code of its quota."""
    spot: str | None
    """None: there is no Spot market for it."""


_STANDARD = VcpuClass("Standard", "L-1216C47A", "L-34B43A08")
_G_AND_VT = VcpuClass("G and VT", "L-DB2E81BA", "L-3819A6DF")
_FAMILIES = {
    **dict.fromkeys("acdhimrtz", _STANDARD),
    "f": VcpuClass("F", "L-74FC7D96", "L-88CF9481"),
    "g": _G_AND_VT,
    "vt": _G_AND_VT,
    "p": VcpuClass("P", "L-417A185B", "L-7212CCBC"),
    "x": VcpuClass("X", "L-7295265B", "L-E3A00192"),
    "dl": VcpuClass("DL", "L-6E869C2A", "L-85EED4F7"),
    "hpc": VcpuClass("HPC", "L-F7808C92", None),
    "inf": VcpuClass("Inf", "L-1945791B", "L-B5D1601B"),
    "trn": VcpuClass("Trn", "L-2C3B7624", "L-6B0D517C"),
    "u": VcpuClass("High Memory", "L-43DA4232", None),
}


def vcpu_class(instance_type: str) -> VcpuClass | None:
    """None for what this version doesn't know, such as mac1."""
    found = re.match(r"[a-z]+", instance_type)
    family = found[0] if found else ""
    if family in _FAMILIES:
        return _FAMILIES[family]
    return None if family == "mac" else _FAMILIES.get(family[:1])


def quota_code(kind: VcpuClass, market: Market) -> str | None:
    return kind.on_demand if market is Market.ON_DEMAND else kind.spot
