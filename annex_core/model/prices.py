"""What machines cost on the Spot market of a region, as AWS last told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal


@dataclass(frozen=True)
class SpotPrices:
    """
    Source:
        EC2 DescribeSpotPriceHistory, Linux/UNIX.
    """

    asked: datetime
    hours: Mapping[tuple[str, str], Decimal] = field(default_factory=dict, hash=False)
    """USD an hour by instance type and zone; what is missing is unknown, which is never zero and never best."""

    def of(self, instance_type: str, zone: str) -> Decimal | None:
        return self.hours.get((instance_type, zone))
