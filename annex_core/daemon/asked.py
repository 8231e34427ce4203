"""What was asked to end lately: AWS takes a while to show it, and asking at each look would only fill log and audit."""

import threading
from collections.abc import Iterable
from datetime import datetime, timedelta

_AGAIN = timedelta(minutes=1)
"""A machine that AWS still shows as running by then is asked for anew; EC2 shows what it did in seconds."""


class AskedLately:
    """Ids of instances, by when AWS was last asked to end them and answered. For several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[str, datetime] = {}

    def due(self, ids: Iterable[str], now: datetime) -> tuple[str, ...]:
        """Those that are to be asked for now."""
        with self._lock:
            self._asked = {each: at for each, at in self._asked.items() if timedelta(0) <= now - at < _AGAIN}
            return tuple(each for each in ids if each not in self._asked)

    def note(self, ids: Iterable[str], now: datetime) -> None:
        """AWS has answered, with a yes or a no, for these."""
        with self._lock:
            self._asked |= dict.fromkeys(ids, now)
