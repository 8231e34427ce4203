"""The regions that routes name: a Cloud and the bundles' buckets for each, made once."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from annex_core.account.checks import Finding
from annex_core.model.annex import Annex
from annex_core.model.route import Route
from annex_core.ports import BundleStore, Cloud, Prober, SignReader


@dataclass(frozen=True)
class Region:
    name: str
    cloud: Cloud
    bucket: Callable[[str], BundleStore]
    """The store of a bucket of that name."""
    signs: SignReader
    prober: Prober
    preflight: Callable[[Route, datetime], Iterable[Finding]] | None = None
    """Would a route's machines start? Asked before its first launch."""
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
    Args:
        make: Builds a region from its name and an endpoint other than AWS's own, or None.
    """

    def __init__(self, make: Callable[[str, str | None], Region]) -> None:
        self._make = make
        self._made: dict[str, tuple[str | None, Region]] = {}

    def follow(self, routes: Iterable[Route], annexes: Iterable[Annex]) -> dict[str, str]:
        """
        Have a Region for every route and every living annex, whose route may be gone.

        Returns:
            Why a route can't be used, by its name: two routes can't reach one region by two endpoints.
        """
        refused = {}
        for route in routes:
            known = self._made.get(route.region)
            if known is None:
                self._made[route.region] = (route.endpoint, self._make(route.region, route.endpoint))
            elif known[0] != route.endpoint:
                refused[route.name] = (
                    f"AnnexEndpoint {route.endpoint} differs from {known[0]}, by which {route.region} is reached"
                    " since the daemon started; restart condor_annexd to change it"
                )
        for annex in annexes:
            if annex.region not in self._made:
                self._made[annex.region] = (annex.endpoint, self._make(annex.region, annex.endpoint))
        return refused

    def endpoint(self, name: str) -> str | None:
        return self._made[name][0]

    def __getitem__(self, name: str) -> Region:
        return self._made[name][1]

    def names(self) -> list[str]:
        return sorted(self._made)
