"""Instance types as AWS describes them."""

from dataclasses import dataclass
from decimal import Decimal


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
