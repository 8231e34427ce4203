"""The regions that routes name: a Cloud and the bundles' buckets for each, made once."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from annex_core.account.checks import Finding
from annex_core.errors import AnnexError
from annex_core.model.annex import Annex
from annex_core.model.route import Route
from annex_core.ports import BundleStore, Cloud, Prober, SignReader

log = logging.getLogger(__name__)


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
        make: Builds a region from its name, an endpoint other than AWS's own, or None, and whose credentials sign.
    """

    def __init__(self, make: Callable[[str, str | None, str], Region]) -> None:
        self._make = make
        self._made: dict[str, tuple[str | None, str, Region]] = {}

    def follow(self, routes: Iterable[Route], annexes: Iterable[Annex]) -> dict[str, str]:
        """
        Have a Region for every route and every living annex, whose route may be gone.

        Returns:
            Why a route can't be used, by its name: two routes can't reach one region by two endpoints, or by two
            credentials; and where an annex lives, nobody else's credentials show its machines.
        """
        refused = {}
        annexes = list(annexes)
        living = {annex.region: annex for annex in annexes}
        for route in routes:
            lives = living.get(route.region)
            if lives and lives.credentials != route.credentials:
                refused[route.name] = (
                    f"AnnexCredentials is {route.credentials}, and annex {lives.key} lives in {route.region} by"
                    f" {lives.credentials}; the route can be used when that has ended"
                )
            elif why := self._reach(route.region, route.endpoint, route.credentials):
                refused[route.name] = why
        for annex in annexes:
            if why := self._reach(annex.region, annex.endpoint, annex.credentials, whatever_reaches_it=True):
                log.error("annex %s can't be looked at: %s", annex.key, why)
        return refused

    def _reach(
        self, region: str, endpoint: str | None, credentials: str, *, whatever_reaches_it: bool = False
    ) -> str | None:
        """Why it can't be reached so; None where it is."""
        known = self._made.get(region)
        if known is None:
            try:
                self._made[region] = endpoint, credentials, self._make(region, endpoint, credentials)
            except AnnexError as error:
                return str(error)
            return None
        if whatever_reaches_it:
            return None
        since = f"by which {region} is reached since the daemon started; restart condor_annexd to change it"
        if known[0] != endpoint:
            return f"AnnexEndpoint {endpoint} differs from {known[0]}, {since}"
        if known[1] != credentials:
            return f"AnnexCredentials {credentials} differs from {known[1]}, {since}"
        return None

    def endpoint(self, name: str) -> str | None:
        return self._made[name][0]

    def credentials(self, name: str) -> str:
        return self._made[name][1]

    def __getitem__(self, name: str) -> Region:
        return self._made[name][2]

    def names(self) -> list[str]:
        return sorted(self._made)
