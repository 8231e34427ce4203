"""What hooks said that the schedd doesn't show yet: the route that a job has just been taken by."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey

_GOOD_FOR = timedelta(minutes=5)

ANNEXES_EACH = 1000
"""Of one user, the latest: whoever names more, or a route of a longer name, is no hook."""
LONGEST_ROUTE = 256


class Hearsay:
    """
    A translate hook speaks seconds before the router's edit reaches the job ad. Its word names the route, no more;
    who may use a route is decided by the route's AnnexOwners, not by who says its name.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard: dict[str, dict[str, tuple[str, datetime]]] = {}

    def hear(self, key: AnnexKey, route: str, now: datetime) -> None:
        if len(route) > LONGEST_ROUTE:
            return
        with self._lock:
            of_owner = self._heard.setdefault(key.owner, {})
            of_owner.pop(key.name, None)
            of_owner[key.name] = (route, now)
            if len(of_owner) > ANNEXES_EACH:
                del of_owner[next(iter(of_owner))]

    def routed(self, groups: Sequence[JobGroup], now: datetime) -> Sequence[JobGroup]:
        """The groups, those that name no route yet with the one heard of."""
        with self._lock:
            for owner, of_owner in list(self._heard.items()):
                fresh = {name: word for name, word in of_owner.items() if now - word[1] < _GOOD_FOR}
                if fresh:
                    self._heard[owner] = fresh
                else:
                    del self._heard[owner]
            heard = {
                AnnexKey(owner, name): route
                for owner, of_owner in self._heard.items()
                for name, (route, _) in of_owner.items()
            }
        return [
            replace(group, route=heard[group.key]) if group.route is None and group.key in heard else group
            for group in groups
        ]
