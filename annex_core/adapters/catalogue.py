"""
What instance types are and cost, from a snapshot in the package: enough to plan and to check routes by.

tools/make_catalogue.py makes the snapshot. Its prices are a public list's, older than its types; a few are those of
dedicated tenancy, a tenth too high. What a fleet may bid is bound by them, so an old price costs capacity, not money;
the daemon has better ones as soon as AWS's price list tells them (daemon/quotes.py).
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cached_property
from importlib.resources import files
from typing import Any

from annex_core.model.hardware import InstanceType


@dataclass(frozen=True)
class Dates:
    """How old the snapshot is."""

    types: date
    prices: date


class Catalogue:
    """Nothing is read before the first question; reading takes some 20 ms."""

    @cached_property
    def dates(self) -> Dates:
        read = self._content
        return Dates(date.fromisoformat(read["types_as_of"]), date.fromisoformat(read["prices_as_of"]))

    @cached_property
    def names(self) -> frozenset[str]:
        """Every instance type that can run an execution point, whatever the region."""
        return frozenset(self._content["types"])

    @cached_property
    def regions(self) -> frozenset[str]:
        """The regions that have prices; others exist."""
        return frozenset(self._content["prices"])

    def types(self, region: str, names: Iterable[str]) -> Mapping[str, InstanceType]:
        """
        Those of *names* that exist somewhere at AWS; whether *region* has them, EC2 alone knows.

        Their on-demand price is None where the list lacks the region, or the type in it.
        """
        prices = self._content["prices"].get(region, {})
        return {name: self._type(name, prices.get(name)) for name in names if name in self.names}

    def _type(self, name: str, price: str | None) -> InstanceType:
        vcpus, memory_mib, architecture, gpus, *gpu = self._content["types"][name]
        return InstanceType(name, vcpus, memory_mib, architecture, gpus, Decimal(price) if price else None, *gpu)

    @cached_property
    def _content(self) -> dict[str, Any]:
        packed = files("annex_core").joinpath("catalogue", "catalogue.json.gz").read_bytes()
        content: dict[str, Any] = json.loads(gzip.decompress(packed))
        return content
