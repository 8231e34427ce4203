"""The cloud's time: the machine's, moved ahead at will."""

import time
from datetime import UTC, datetime
from threading import Lock


class Clock:
    """Seconds since the epoch; every delay and every expiry of the cloud is measured with it."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._lock = Lock()

    def now(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """
        Raises:
            ValueError: *seconds* is negative; AWS's clock doesn't go back.
        """
        if seconds < 0:
            raise ValueError("the clock only moves ahead")
        with self._lock:
            self._ahead += seconds


def utc(at: float) -> datetime:
    """Naive UTC, the form in which moto keeps and prints times."""
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None)


def epoch(moment: datetime) -> float:
    """The inverse of utc()."""
    return moment.replace(tzinfo=UTC).timestamp()
