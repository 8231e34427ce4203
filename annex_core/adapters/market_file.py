"""What machines cost and which zones have what, as last told, in a file: a restart asks AWS nothing anew."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from annex_core.model.place import Place
from annex_core.model.prices import ListPrices, SpotPrices, believable

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class News:
    """What one place told; None is nothing yet."""

    prices: SpotPrices | None = None
    offered: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """The zones that have a type, of all types that were asked about; empty where the region lacks it."""
    listed: ListPrices | None = None


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
    written: dict[str, Any] = {}
    if news.prices:
        hours = [[name, zone, str(usd)] for (name, zone), usd in sorted(news.prices.hours.items())]
        written |= {"asked": news.prices.asked.isoformat(), "hours": hours}
        written["offered"] = {name: sorted(zones) for name, zones in news.offered.items()}
    if news.listed:
        written["listed"] = {
            "asked": news.listed.asked.isoformat(),
            "names": sorted(news.listed.names),
            "hours": {name: str(usd) for name, usd in sorted(news.listed.hours.items())},
        }
    return written


def _news(told: Mapping[str, Any]) -> News:
    listed = _listed(told["listed"]) if "listed" in told else None
    if "asked" not in told:
        return News(listed=listed)
    hours = {(str(name), str(zone)): Decimal(usd) for name, zone, usd in told["hours"]}
    offered = {str(name): frozenset(map(str, zones)) for name, zones in told["offered"].items()}
    return News(SpotPrices(datetime.fromisoformat(told["asked"]), hours), offered, listed)


def _listed(told: Mapping[str, Any]) -> ListPrices:
    hours = {str(name): usd for name, text in told["hours"].items() if (usd := believable(text)) is not None}
    return ListPrices(datetime.fromisoformat(told["asked"]), frozenset(map(str, told["names"])), hours)
