"""AWS's Price List API, of which moto knows nothing: EC2's GetProducts, in the shape that AWS gives it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from moto.ec2.models.instance_types import INSTANCE_TYPE_OFFERINGS
from werkzeug.wrappers import Response

from rehearsal.cloud import prices

_JSON = "application/x-amz-json-1.1"
_PAGE = 100
_CAPACITY = ("Used", "UnusedCapacityReservation")
"""Of each type AWS lists machines, and what is reserved and not used, beside each other."""


def answer(action: str, body: bytes) -> Response:
    """The region of a call is where the list answers; the regions that it tells of are asked for by filter."""
    if action != "GetProducts":
        return _refused("UnknownOperationException", f"this cloud's price list knows no {action}")
    asked = json.loads(body)
    if asked.get("ServiceCode") != "AmazonEC2":
        return _refused("NotFoundException", "this cloud lists EC2 alone")
    wanted = {each["Field"]: each["Value"] for each in asked.get("Filters", ())}
    found = [each for each in _products(wanted.get("regionCode", "")) if _attributes(each).items() >= wanted.items()]
    start, size = int(asked.get("NextToken", 0)), asked.get("MaxResults", _PAGE)
    told: dict[str, Any] = {"FormatVersion": "aws_v1", "PriceList": list(map(json.dumps, found[start : start + size]))}
    if start + size < len(found):
        told["NextToken"] = str(start + size)
    return Response(json.dumps(told), content_type=_JSON)


def _products(region: str) -> Iterator[dict[str, Any]]:
    for offer in INSTANCE_TYPE_OFFERINGS["region"].get(region, []):
        for capacity in _CAPACITY:
            yield _product(region, offer["InstanceType"], capacity)


def _product(region: str, kind: str, capacity: str) -> dict[str, Any]:
    sku = f"{region}.{kind}.{capacity}"
    price = {"unit": "Hrs", "pricePerUnit": {"USD": f"{prices.on_demand(kind):.10f}"}, "rateCode": f"{sku}.1.1"}
    attributes = {
        "servicecode": "AmazonEC2",
        "regionCode": region,
        "instanceType": kind,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": capacity,
        "marketoption": "OnDemand",
    }
    return {
        "serviceCode": "AmazonEC2",
        "product": {"sku": sku, "productFamily": "Compute Instance", "attributes": attributes},
        "terms": {"OnDemand": {f"{sku}.1": {"sku": sku, "priceDimensions": {f"{sku}.1.1": price}}}},
    }


def _attributes(product: Mapping[str, Any]) -> Mapping[str, str]:
    return product["product"]["attributes"]  # type: ignore[no-any-return]


def _refused(code: str, message: str) -> Response:
    return Response(json.dumps({"__type": code, "message": message}), status=400, content_type=_JSON)
