"""What machines cost in a region, on the Spot market and on demand, as AWS last told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any


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


@dataclass(frozen=True)
class ListPrices:
    """
    On demand, the same to every account.

    Source:
        GetProducts of AWS's Price List API: Linux, shared tenancy, nothing installed.
    """

    asked: datetime
    names: frozenset[str]
    """The instance types that were asked about."""
    hours: Mapping[str, Decimal] = field(default_factory=dict, hash=False)
    """USD an hour by instance type; what is missing is unknown, which is never zero and never best."""


_HIGHEST = Decimal(1000)
"""USD an hour; no machine costs that, and AnnexOnDemandMaxPrice takes no more."""
_DIGITS = Decimal("1E-10")
"""As many as AWS gives."""


def believable(usd: Any) -> Decimal | None:
    """A price an hour, of its text; None for what is no number, not above zero, or higher than any machine's."""
    try:
        price = Decimal(usd).quantize(_DIGITS) if isinstance(usd, str) else Decimal(0)
        return Decimal(f"{price.normalize():f}") if 0 < price <= _HIGHEST else None
    except InvalidOperation:
        return None
