"""What an instance of a type would advertise in an annex before there is one: its virtual slot ad."""

from dataclasses import dataclass

# Not called: HTCondor's own functions of the ClassAd language, such as countMatches, exist once it is loaded.
import htcondor2  # noqa: F401

from annex_core.model.hardware import CAPABILITY, InstanceType
from annex_core.model.names import AnnexKey

try:
    import classad2
except ImportError as error:  # pragma: no cover - the wheel is a dependency; say which
    raise ImportError("condor-annex needs classad2, from HTCondor's own package `htcondor` on PyPI") from error

_ARCH = {"x86_64": "X86_64", "arm64": "aarch64"}
_RESERVE_MIB = 256
_GPU_SHARE = 0.98
"""Of a GPU's memory, what its driver leaves."""

SIZES = frozenset(
    f"{prefix}{resource}".lower() for prefix in ("", "Total", "TotalSlot") for resource in ("Cpus", "Memory", "Disk")
) | {"ec2instancetype"}
"""Attributes, in lower case, that tell types of one Kin apart."""
IDENTITIES = frozenset({"annexname", "annexproject", "annexroute", "authenticatedidentity"})
"""Those that tell annexes apart."""


@dataclass(frozen=True)
class Home:
    """The annex that a slot would belong to."""

    key: AnnexKey
    project: str
    route: str


@dataclass(frozen=True)
class Kin:
    """All that a virtual slot ad says of a type beside its name and sizes."""

    architecture: str
    gpus: int
    gpu: str | None
    gpu_memory_mib: int


def kin(kind: InstanceType) -> Kin:
    return Kin(kind.architecture, usable_gpus(kind), kind.gpu, kind.gpu_memory_mib)


def usable_cpus(kind: InstanceType) -> int:
    return kind.learned.cpus if kind.learned else kind.vcpus


def usable_gpus(kind: InstanceType) -> int:
    """A driver that an image lacks leaves none."""
    return min(kind.learned.gpus, kind.gpus) if kind.learned else kind.gpus


def usable_memory_mib(kind: InstanceType) -> int:
    """What HTCondor finds of a type's memory; until that was seen, the brochure's less what the system keeps."""
    if kind.learned:
        return kind.learned.memory_mib
    return int(kind.memory_mib * 0.93) - min(_RESERVE_MIB, kind.memory_mib // 8)


def usable_disk_kib(kind: InstanceType, volume_gib: int) -> int:
    """A volume less the image's own files, in HTCondor's KiB; until those were seen, about 4 GiB."""
    if kind.learned:
        return max(volume_gib * 1024 * 1024 - kind.learned.disk_taken_kib, 0)
    return max(volume_gib - 4, 1) * 1024 * 1024


def common_slot(of: Kin) -> classad2.ClassAd:
    """The slot ad of a Kin, without what SIZES and IDENTITIES name."""
    ad = classad2.ClassAd(
        {
            "MyType": "Machine",
            "Arch": _ARCH.get(of.architecture, of.architecture),
            "OpSys": "LINUX",
            "PartitionableSlot": True,
            "SlotType": "Partitionable",
            "HasFileTransfer": True,
            "HasFileTransferPluginMethods": "http,https,file",
            "IsAnnex": True,
            "Start": True,
            "Requirements": classad2.ExprTree(
                "TARGET.RequestCpus <= Cpus && TARGET.RequestMemory <= Memory && TARGET.RequestDisk <= Disk"
            ),
            **{f"{prefix}GPUs": of.gpus for prefix in ("", "Total", "TotalSlot")},
        }
    )
    if of.gpus:
        ad.update(_gpus(of))
    return ad


def _gpus(of: Kin) -> dict[str, object]:
    """
    One nested ad for each GPU, and what all have in common, as the startd advertises them.

    What is not known is left out: a job that asks for it then doesn't match.
    """
    found: dict[str, object] = {}
    if of.gpu:
        found["DeviceName"] = of.gpu
        if of.gpu in CAPABILITY:
            found["Capability"] = CAPABILITY[of.gpu]
    if of.gpu_memory_mib:
        found["GlobalMemoryMb"] = int(of.gpu_memory_mib * _GPU_SHARE)
    names = [f"GPUs_GPU_{number}" for number in range(of.gpus)]
    return {
        **{f"GPUs_{name}": value for name, value in found.items()},
        **{name: classad2.ClassAd({"Id": name.removeprefix("GPUs_"), **found}) for name in names},
        "AvailableGPUs": classad2.ExprTree(f"{{ {', '.join(names)} }}"),
    }


def virtual_slot(kind: InstanceType, home: Home, *, domain: str, volume_gib: int) -> classad2.ClassAd:
    """The slot ad that an instance of this type would advertise in that annex."""
    ad = common_slot(kin(kind))
    sizes = {"Cpus": usable_cpus(kind), "Memory": usable_memory_mib(kind), "Disk": usable_disk_kib(kind, volume_gib)}
    ad.update({f"{prefix}{name}": size for name, size in sizes.items() for prefix in ("", "Total", "TotalSlot")})
    ad.update(
        {
            "AnnexName": home.key.name,
            "AnnexProject": home.project,
            "AnnexRoute": home.route,
            "AuthenticatedIdentity": home.key.identity(domain),
            "EC2InstanceType": kind.name,
        }
    )
    return ad
