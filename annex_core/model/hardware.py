"""Instance types as AWS describes them."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

CAPABILITY = {
    "A100": 8.0,
    "A10G": 8.6,
    "B200": 10.0,
    "B300": 10.3,
    "H100": 9.0,
    "H200": 9.0,
    "L4": 8.9,
    "L40S": 8.9,
    "RTX PRO 4500": 12.0,
    "RTX PRO Server 6000": 12.0,
    "T4": 7.5,
    "T4g": 7.5,
    "V100": 7.0,
}
"""CUDA's compute capability by AWS's name of the GPU (NVIDIA's list of CUDA GPUs); one that is missing is unknown."""


@dataclass(frozen=True)
class Learned:
    """What a machine that joined had for jobs, by its slot's ad."""

    cpus: int
    memory_mib: int
    disk_taken_kib: int
    """Of the root volume, by the image's own files."""
    gpus: int
    since: datetime = field(compare=False)
    """When that was seen first; a later word that is no less changes nothing."""

    def __str__(self) -> str:
        taken = f"all of their volume but {self.disk_taken_kib // 1024} MiB"
        return f"{self.cpus} CPUs, {self.gpus} GPUs, {self.memory_mib} MiB and {taken} for jobs"


@dataclass(frozen=True)
class InstanceType:
    """
    Source:
        EC2 DescribeInstanceTypes; the price list for *on_demand*.
    """

    name: str
    vcpus: int
    memory_mib: int
    architecture: str
    """x86_64 or arm64, AWS's words."""
    gpus: int = 0
    on_demand: Decimal | None = None
    """USD an hour in the region it was asked for; None is unknown, which is never zero and never best."""
    gpu: str | None = None
    """AWS's name of each of its GPUs."""
    gpu_memory_mib: int = 0
    """Of each of its GPUs; 0 is unknown."""
    learned: Learned | None = None
    """From machines of the image that is to be launched; None: none has joined yet."""
