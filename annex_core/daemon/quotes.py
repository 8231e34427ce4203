"""Prices and zones, asked for in the background: no cycle waits for them, and no launch."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

from annex_core.adapters.market_file import MarketFile, News
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.regions import Regions
from annex_core.errors import AnnexError, NotPermitted
from annex_core.model.place import Place
from annex_core.model.prices import ListPrices, SpotPrices
from annex_core.model.route import Route

REFRESHED = timedelta(hours=1)
STALE = timedelta(days=1)
"""An older price tells nothing any more, and counts as unknown."""
_AGAIN = timedelta(minutes=10)
"""After a failure, or for a type that no route named before."""

LIST_REFRESHED = timedelta(days=1)
"""A list price never gets stale: they change by years, and what came with the package is older still."""
_LIST_AGAIN = timedelta(hours=1)

log = logging.getLogger(__name__)


class Quotes:
    """
    For the cycle's thread, but for what it has asked of others, and on_demand, which is for all.

    Args:
        file: What was told before this start.
        bundled: On-demand prices of types in a region, USD an hour by name, where AWS has told none.
    """

    def __init__(
        self,
        *,
        regions: Regions,
        hands: Hands,
        file: MarketFile,
        bundled: Callable[[str, Iterable[str]], Mapping[str, Decimal]],
    ) -> None:
        self._regions = regions
        self._hands = hands
        self._file = file
        self._bundled = bundled
        self._lock = threading.Lock()
        self._told = file.read()
        self._tried: dict[tuple[Place, Errand], datetime] = {}
        self._silent: set[tuple[Place, Errand]] = set()

    def refresh(self, routes: Iterable[Route], now: datetime) -> None:
        """Ask where it is time to, of the types that the routes name; a place of nobody any more is forgotten."""
        types: dict[Place, set[str]] = {}
        places = {*self._regions.places()}
        with self._lock:
            self._told = {place: told for place, told in self._told.items() if place in places}
        for route in routes:
            types.setdefault(route.place, set()).update(route.instance_types)
        for place in sorted(types.keys() & places):
            names = types[place]
            if self._tried_long_ago(place, Errand.QUOTES, _AGAIN, now) and self._due(place, names, now):
                self._ask(place, Errand.QUOTES, partial(self._quoted, place, sorted(names), now), now)
            if self._tried_long_ago(place, Errand.PRICE_LIST, _LIST_AGAIN, now) and self._list_due(place, names, now):
                self._ask(place, Errand.PRICE_LIST, partial(self._listed, place, sorted(names), now), now)

    def _tried_long_ago(self, place: Place, errand: Errand, again: timedelta, now: datetime) -> bool:
        tried = self._tried.get((place, errand))
        return tried is None or now - tried >= again

    def _due(self, place: Place, names: set[str], now: datetime) -> bool:
        told = self._of(place)
        return told.prices is None or now - told.prices.asked >= REFRESHED or not names <= told.offered.keys()

    def _list_due(self, place: Place, names: set[str], now: datetime) -> bool:
        if self._regions[place].price_list is None:
            return False
        listed = self._of(place).listed
        return listed is None or abs(now - listed.asked) >= LIST_REFRESHED or not names <= listed.names

    def _of(self, place: Place) -> News:
        with self._lock:
            return self._told.get(place, News())

    def prices(self, now: datetime) -> Mapping[Place, SpotPrices]:
        with self._lock:
            return {
                place: told.prices
                for place, told in self._told.items()
                if told.prices and now - told.prices.asked < STALE
            }

    def on_demand(self, place: Place, names: Iterable[str]) -> Mapping[str, Decimal]:
        """USD an hour by type, as AWS's price list last said, else as the bundled one does; one missing is unknown."""
        names = list(names)
        listed = self._of(place).listed
        told = {name: listed.hours[name] for name in names if name in listed.hours} if listed else {}
        return {**self._bundled(place.region, names), **told}

    def offered(self) -> Mapping[Place, Mapping[str, frozenset[str]]]:
        """The zones that have a type; a type that the region lacks altogether is left out, its types tell that."""
        with self._lock:
            return {
                place: {name: zones for name, zones in told.offered.items() if zones}
                for place, told in self._told.items()
            }

    def _ask(self, place: Place, errand: Errand, question: Callable[[], News], now: datetime) -> None:
        self._tried[place, errand] = now
        self._hands.submit(place, errand, partial(self._answer, place, errand, question))

    def _answer(self, place: Place, errand: Errand, question: Callable[[], News]) -> None:
        try:
            news = question()
        except AnnexError as error:
            if (place, errand) not in self._silent:
                log.warning(_UNKNOWN[errand], place, _with_cure(error, errand))
            self._silent.add((place, errand))
            return
        except Exception:
            log.exception("%s of %s", errand, place)
            return
        self._silent.discard((place, errand))
        with self._lock:
            before = self._told.get(place, News())
            told = replace(before, listed=news.listed) if news.listed else replace(news, listed=before.listed)
            self._told = {**self._told, place: told}
            self._file.write(self._told)

    def _quoted(self, place: Place, names: list[str], now: datetime) -> News:
        cloud = self._regions[place].cloud
        offered = cloud.offered_zones(names)
        hours = cloud.spot_prices([name for name in names if offered.get(name)])
        return News(SpotPrices(now, hours), {name: frozenset(offered.get(name, ())) for name in names})

    def _listed(self, place: Place, names: list[str], now: datetime) -> News:
        asked = self._regions[place].price_list
        hours = asked.on_demand(names) if asked else {}
        log.info("AWS's price list tells on-demand prices in %s of %s", place, ", ".join(sorted(hours)) or "nothing")
        if missing := [name for name in names if name not in hours]:
            log.info("it tells none that can be believed of %s: the bundled ones count", ", ".join(missing))
        return News(listed=ListPrices(now, frozenset(names), hours))


_UNKNOWN = {
    Errand.QUOTES: "Spot prices of %s are not known, and count as the highest: %s",
    Errand.PRICE_LIST: "on-demand prices of %s can't be had from AWS's price list, those known before count: %s",
}


def _with_cure(error: AnnexError, errand: Errand) -> str:
    if errand is Errand.PRICE_LIST and isinstance(error, NotPermitted):
        return f"{error}; allow pricing:GetProducts, as `condor_annex policies daily` does"
    return str(error)
