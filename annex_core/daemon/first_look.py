"""Each route is looked at before its first launch, ahead of the jobs that want one."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from annex_core.account.checks import Finding
from annex_core.daemon.launching import Launcher
from annex_core.daemon.regions import Regions
from annex_core.errors import AnnexError, Refused
from annex_core.model.route import Route
from annex_core.model.wording import clause

_AGAIN = timedelta(minutes=5)
"""What stood against a launch may have been cured meanwhile."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Look:
    route: Route
    at: datetime
    findings: tuple[Finding, ...] = ()
    failed: bool = False
    """AWS did not answer, and is asked again; meanwhile the launch itself will say why it can't be had."""

    @property
    def obstacle(self) -> Finding | None:
        return next((each for each in self.findings if each.stops), None)


class FirstLook:
    """
    Args:
        wake: Called when a route has been looked at for the first time: jobs may have waited for that.
    """

    def __init__(
        self, *, launcher: Launcher, regions: Regions, clock: Callable[[], datetime], wake: Callable[[], None]
    ) -> None:
        self._launcher = launcher
        self._regions = regions
        self._clock = clock
        self._wake = wake
        self._lock = threading.Lock()
        self._looks: dict[str, Look] = {}

    def due(self, routes: Iterable[Route]) -> list[Route]:
        """Those that are new, were changed, or could not launch when they were looked at last."""
        now = self._clock()
        named = {route.label: route for route in routes}
        with self._lock:
            self._looks = {label: look for label, look in self._looks.items() if named.get(label) == look.route}
            return [
                route
                for label, route in named.items()
                if (look := self._looks.get(label)) is None
                or look.failed
                or (look.obstacle and now - look.at >= _AGAIN)
            ]

    def look(self, route: Route) -> None:
        findings: tuple[Finding, ...] = ()
        failed = False
        try:
            self._launcher.warm(route)
            region = self._regions[route.place]
            if region.preflight:
                findings = tuple(region.preflight(route, self._clock()))
        except Refused as error:
            log.error("route %s: %s", route.name, error)
        except AnnexError as error:
            log.info("route %s: %s", route.name, error)
            failed = True
        with self._lock:
            before = self._looks.get(route.label)
            self._looks[route.label] = Look(route, self._clock(), findings, failed)
        _report(findings, () if before is None else before.findings)
        if before is None:
            self._wake()

    def under_way(self, routes: Iterable[Route]) -> frozenset[str]:
        """The labels of those that nothing is known of yet."""
        with self._lock:
            return frozenset(route.label for route in routes if route.label not in self._looks)

    def unready(self, routes: Iterable[Route]) -> dict[str, str]:
        """Why nothing may be launched by a route, by its label."""
        with self._lock:
            looks = [(route, self._looks.get(route.label)) for route in routes]
        reasons = {}
        for route, look in looks:
            if look is None:
                reasons[route.label] = f"route {route.name} is looked at before its first launch"
            elif found := look.obstacle:
                who = route.place.owner or "an administrator"
                reasons[route.label] = (
                    f"route {route.name} can't launch ({clause(found.says)}); {who} has to run condor_annex check-setup"
                )
        return reasons


def _report(findings: Iterable[Finding], before: Iterable[Finding]) -> None:
    """What is bad and was not before."""
    for found in findings:
        if not found.good and found not in before:
            cure = f"; run: {found.cure}" if found.cure else ""
            log.log(logging.ERROR if found.stops else logging.WARNING, "%s: %s%s", found.subject, found.says, cure)
