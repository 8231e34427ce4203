"""Spot prices and zones, asked for in the background: no cycle waits for them, and no launch."""

import logging
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from functools import partial

from annex_core.adapters.market_file import MarketFile, News
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.regions import Regions
from annex_core.errors import AnnexError
from annex_core.model.place import Place
from annex_core.model.prices import SpotPrices
from annex_core.model.route import Route

REFRESHED = timedelta(hours=1)
STALE = timedelta(days=1)
"""An older price tells nothing any more, and counts as unknown."""
_AGAIN = timedelta(minutes=10)
"""After a failure, or for a type that no route named before."""

log = logging.getLogger(__name__)


class Quotes:
    """
    For the cycle's thread, but for what it has asked of others.

    Args:
        file: What was told before this start.
    """

    def __init__(self, *, regions: Regions, hands: Hands, file: MarketFile) -> None:
        self._regions = regions
        self._hands = hands
        self._file = file
        self._lock = threading.Lock()
        self._told = file.read()
        self._tried: dict[Place, datetime] = {}
        self._silent: set[Place] = set()

    def refresh(self, routes: Iterable[Route], now: datetime) -> None:
        """Ask where it is time to, of the types that the routes name."""
        types: dict[Place, set[str]] = {}
        for route in routes:
            types.setdefault(route.place, set()).update(route.instance_types)
        for place in sorted(types.keys() & {*self._regions.places()}):
            if self._due(place, types[place], now):
                self._tried[place] = now
                self._hands.submit(place, Errand.QUOTES, partial(self._ask, place, sorted(types[place]), now))

    def _due(self, place: Place, names: set[str], now: datetime) -> bool:
        if place in self._tried and now - self._tried[place] < _AGAIN:
            return False
        with self._lock:
            told = self._told.get(place)
        return told is None or now - told.prices.asked >= REFRESHED or not names <= told.offered.keys()

    def prices(self, now: datetime) -> Mapping[Place, SpotPrices]:
        with self._lock:
            return {place: told.prices for place, told in self._told.items() if now - told.prices.asked < STALE}

    def offered(self) -> Mapping[Place, Mapping[str, frozenset[str]]]:
        """The zones that have a type; a type that the region lacks altogether is left out, its types tell that."""
        with self._lock:
            return {
                place: {name: zones for name, zones in told.offered.items() if zones}
                for place, told in self._told.items()
            }

    def _ask(self, place: Place, names: list[str], now: datetime) -> None:
        cloud = self._regions[place].cloud
        try:
            offered = cloud.offered_zones(names)
            hours = cloud.spot_prices([name for name in names if offered.get(name)])
        except AnnexError as error:
            if place not in self._silent:
                log.warning("Spot prices of %s are not known, and count as the highest: %s", place, error)
            self._silent.add(place)
            return
        except Exception:
            log.exception("Spot prices of %s", place)
            return
        self._silent.discard(place)
        news = News(SpotPrices(now, hours), {name: frozenset(offered.get(name, ())) for name in names})
        with self._lock:
            self._told = {**self._told, place: news}
            self._file.write(self._told)
