"""Would a job of this group run on an instance of this type? Answered by ClassAd semantics, both ways."""

from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType

try:
    import classad2
except ImportError as error:  # pragma: no cover - the wheel is a dependency; say which
    raise ImportError("condor-annex needs classad2, from HTCondor's own package `htcondor` on PyPI") from error

_ARCH = {"x86_64": "X86_64", "arm64": "aarch64"}
_RESERVE_MIB = 256


def usable_memory_mib(kind: InstanceType) -> int:
    """What HTCondor will find of a type's memory: the brochure's less what kernel and firmware keep."""
    return int(kind.memory_mib * 0.93) - min(_RESERVE_MIB, kind.memory_mib // 8)


def virtual_slot(kind: InstanceType, group: JobGroup, *, domain: str, volume_gib: int) -> classad2.ClassAd:
    """The slot ad that an instance of this type would advertise in the group's annex."""
    return classad2.ClassAd(
        {
            "MyType": "Machine",
            "Arch": _ARCH.get(kind.architecture, kind.architecture),
            "OpSys": "LINUX",
            "Cpus": kind.vcpus,
            "TotalCpus": kind.vcpus,
            "TotalSlotCpus": kind.vcpus,
            "Memory": usable_memory_mib(kind),
            "TotalMemory": usable_memory_mib(kind),
            "TotalSlotMemory": usable_memory_mib(kind),
            "Disk": usable_disk_kib(volume_gib),
            "TotalDisk": usable_disk_kib(volume_gib),
            "TotalSlotDisk": usable_disk_kib(volume_gib),
            "GPUs": kind.gpus,
            "TotalGPUs": kind.gpus,
            "PartitionableSlot": True,
            "SlotType": "Partitionable",
            "HasFileTransfer": True,
            "HasFileTransferPluginMethods": "http,https,file",
            "IsAnnex": True,
            "AnnexName": group.key.name,
            "AnnexProject": group.project,
            "AnnexRoute": group.route or "",
            "EC2InstanceType": kind.name,
            "AuthenticatedIdentity": group.key.identity(domain),
            "Start": True,
            "Requirements": classad2.ExprTree(
                "TARGET.RequestCpus <= Cpus && TARGET.RequestMemory <= Memory && TARGET.RequestDisk <= Disk"
            ),
        }
    )


def usable_disk_kib(volume_gib: int) -> int:
    """A volume less the image's own files (about 4 GiB) in HTCondor's KiB."""
    return max(volume_gib - 4, 1) * 1024 * 1024


class Matcher:
    """
    Remembers what it has matched: a group and a type are compared once.

    It may outlive a plan where the groups' ads do, as in a replay.
    """

    def __init__(self, *, domain: str) -> None:
        self._domain = domain
        self._seen: dict[tuple[int, str, int], bool] = {}

    def fits(self, group: JobGroup, kind: InstanceType, *, volume_gib: int) -> bool:
        key = (id(group.ad), kind.name, volume_gib)
        if key not in self._seen:
            self._seen[key] = self._match(group, kind, volume_gib)
        return self._seen[key]

    def _match(self, group: JobGroup, kind: InstanceType, volume_gib: int) -> bool:
        if group.gpus > kind.gpus:
            return False
        slot = virtual_slot(kind, group, domain=self._domain, volume_gib=volume_gib)
        return bool(group.ad.symmetricMatch(slot))
