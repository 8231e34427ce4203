"""When a fleet request whose open part was cancelled is known to bring nothing more."""

import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from annex_core.model.annex import Launch

_LISTED_SURELY = timedelta(minutes=1)
"""A machine that has just begun may be missing in listings; it is neither open nor seen meanwhile."""


@dataclass
class _Seen:
    cancelled: set[str] = field(default_factory=set)
    """Ids of spot requests."""
    nothing_open: datetime | None = None
    """Since when."""


class Closing:
    """What was seen of launches that are being closed, by client token. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}

    def cancelled(self, launch: Launch, requests: list[str]) -> None:
        with self._lock:
            seen = self._seen.setdefault(launch.token, _Seen())
            seen.cancelled |= {*requests}
            seen.nothing_open = None

    def is_over(self, launch: Launch, brought: int, now: datetime) -> bool:
        """
        Nothing of it is open now. Has all that it asked for come, or been cancelled; or had it time to be listed?

        Args:
            brought: Its machines that were ever listed.
        """
        with self._lock:
            seen = self._seen.setdefault(launch.token, _Seen())
            since = seen.nothing_open = seen.nothing_open or now
            over = brought + len(seen.cancelled) >= launch.target or now - since >= _LISTED_SURELY
            if over:
                del self._seen[launch.token]
            return over
