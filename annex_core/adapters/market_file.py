"""What the Spot market asked and which zones have what, as last told, in a file: a restart asks AWS nothing anew."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from annex_core.model.place import Place
from annex_core.model.prices import SpotPrices

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What one place told."""

    prices: SpotPrices
    offered: Mapping[str, frozenset[str]]
    """The zones that have a type, of all types that were asked about; empty where the region lacks it."""


class MarketFile:
    """What can't be read is as good as never told, and is asked for anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> dict[Place, News]:
        try:
            return {Place(place): _news(told) for place, told in json.loads(self._path.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            log.warning("%s can't be read, prices are asked for anew: %s", self._path, error)
            return {}

    def write(self, news: Mapping[Place, News]) -> None:
        """That it fails costs a question after the next start."""
        text = json.dumps({place: _written(told) for place, told in news.items()}, sort_keys=True)
        new = self._path.with_suffix(".new")
        try:
            new.write_text(text)
            new.replace(self._path)
        except OSError as error:
            log.warning("prices can't be kept in %s: %s", self._path, error)


def _written(news: News) -> dict[str, Any]:
    return {
        "asked": news.prices.asked.isoformat(),
        "hours": [[name, zone, str(usd)] for (name, zone), usd in sorted(news.prices.hours.items())],
        "offered": {name: sorted(zones) for name, zones in news.offered.items()},
    }


def _news(told: Mapping[str, Any]) -> News:
    hours = {(str(name), str(zone)): Decimal(usd) for name, zone, usd in told["hours"]}
    offered = {str(name): frozenset(map(str, zones)) for name, zones in told["offered"].items()}
    return News(SpotPrices(datetime.fromisoformat(told["asked"]), hours), offered)
