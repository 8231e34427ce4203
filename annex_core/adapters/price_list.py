"""What instance types cost on demand, as AWS's public price list says: the same to every account."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import islice
from typing import TYPE_CHECKING, Any

from annex_core.adapters.aws_errors import aws_call
from annex_core.adapters.aws_session import AwsRegion
from annex_core.model.prices import believable

if TYPE_CHECKING:
    from types_boto3_pricing import PricingClient
    from types_boto3_pricing.type_defs import FilterTypeDef

_SERVICE = "AmazonEC2"
_LINUX_ON_DEMAND = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
}
_HOUR = "Hrs"
_PAGE = 10
_MOST_PAGES = 10
"""Of one type, which has one product; AWS may give pages with nothing on them."""


class PriceList:
    """ports.PriceList over boto3."""

    def __init__(self, client: PricingClient, region: str) -> None:
        self._client = client
        self._region = region

    def on_demand(self, names: Iterable[str]) -> Mapping[str, Decimal]:
        found = {
            name: self._hour({**_LINUX_ON_DEMAND, "regionCode": self._region, "instanceType": name}) for name in names
        }
        return {name: usd for name, usd in found.items() if usd is not None}

    def _hour(self, wanted: Mapping[str, str]) -> Decimal | None:
        """Of the one product that is meant; None where there is none, or more than one."""
        filters: list[FilterTypeDef] = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()
        ]
        pages = self._client.get_paginator("get_products").paginate(
            ServiceCode=_SERVICE, Filters=filters, PaginationConfig={"PageSize": _PAGE}
        )
        with aws_call("GetProducts"):
            told = (each for page in islice(pages, _MOST_PAGES) for each in page.get("PriceList", ()))
            products = list(islice((each for each in map(_read, told) if _is(each, wanted)), 2))
        return _usd(products[0]) if len(products) == 1 else None


def price_list(region: AwsRegion) -> PriceList | None:
    """None where no price list can be asked."""
    client = region.pricing()
    return PriceList(client, region.region) if client else None


def _read(product: str) -> Any:
    try:
        return json.loads(product)
    except (ValueError, RecursionError):
        return None


def _is(product: Any, wanted: Mapping[str, str]) -> bool:
    """What answers may know no filters."""
    try:
        return bool(product["product"]["attributes"].items() >= wanted.items())
    except (KeyError, TypeError, AttributeError):
        return False


def _usd(product: Any) -> Decimal | None:
    """An hour's; None for what can't be read or believed, and for more than one."""
    try:
        [term] = product["terms"]["OnDemand"].values()
        [dimension] = term["priceDimensions"].values()
        return believable(dimension["pricePerUnit"]["USD"]) if dimension["unit"] == _HOUR else None
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
