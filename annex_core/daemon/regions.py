"""The places that routes and annexes name: a Cloud and the bundles' buckets for each, made once."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from annex_core.account.checks import Finding
from annex_core.errors import AnnexError, Unavailable
from annex_core.model.annex import Annex
from annex_core.model.place import Place
from annex_core.model.route import Route
from annex_core.ports import BundleStore, Cloud, PriceList, Prober, SignReader

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Region:
    place: Place
    cloud: Cloud
    bucket: Callable[[str], BundleStore]
    """The store of a bucket of that name."""
    signs: SignReader
    prober: Prober
    preflight: Callable[[Route, datetime], Iterable[Finding]] | None = None
    """Would a route's machines start? Asked before its first launch."""
    price_list: PriceList | None = None
    """None where none can be asked."""
    stores: dict[str, BundleStore] = field(default_factory=dict)
    making: threading.Lock = field(default_factory=threading.Lock)
    """boto3's sessions make one client at a time, and several annexes may want theirs at once."""

    def store(self, bucket: str) -> BundleStore:
        with self.making:
            if bucket not in self.stores:
                self.stores[bucket] = self.bucket(bucket)
            return self.stores[bucket]


class Regions:
    """
    What is known goes by place: one region may be reached by several credentials, each of which shows its own machines.

    Args:
        make: Builds what reaches a place.
    """

    def __init__(self, make: Callable[[Place], Region]) -> None:
        self._make = make
        self._made: dict[Place, Region] = {}

    def follow(self, routes: Iterable[Route], annexes: Iterable[Annex], places: Iterable[Place] = ()) -> dict[str, str]:
        """
        Have a Region for the place of every route and of every living annex, whose route may be gone; no others.

        Args:
            places: Where annexes have something: one may have fallen back to another place, by a route that is gone.

        Returns:
            Why a route can't be used, by its name.
        """
        made: dict[Place, Region] = {}
        refused = {}
        for route in routes:
            if why := self._reach(route.place, made):
                refused[route.name] = why
        for annex in annexes:
            if why := self._reach(annex.place, made):
                log.error("annex %s can't be looked at: %s", annex.key, why)
        for place in places:
            if why := self._reach(place, made):
                log.error("what annexes have in %s can't be looked at: %s", place, why)
        self._made = made  # all at once: other threads launch, end and ask what remains meanwhile
        return refused

    def _reach(self, place: Place, made: dict[Place, Region]) -> str | None:
        """Why it can't be reached; None where it is."""
        if place in made:
            return None
        try:
            made[place] = self._made[place] if place in self._made else self._make(place)
        except AnnexError as error:
            return str(error)
        return None

    def __getitem__(self, place: Place) -> Region:
        """
        Raises:
            Unavailable: No route and no annex names it any more.
        """
        try:
            return self._made[place]
        except KeyError:
            raise Unavailable(f"no route and no annex is in {place}") from None

    def places(self) -> list[Place]:
        return sorted(self._made)
