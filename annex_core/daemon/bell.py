"""What wakes the loop: a hook's word, a late answer, a reconfiguration."""

import threading
from collections.abc import Callable
from datetime import timedelta


class Bell:
    """
    Args:
        gather: Waits for a moment. Whatever rings in it, after the first ring, is answered by one plan.
    """

    def __init__(self, gather: Callable[[], object]) -> None:
        self._gather = gather
        self._rung = threading.Event()
        self._hurried = False

    def ring(self) -> None:
        self._rung.set()

    def ring_at_once(self) -> None:
        """For somebody who waits at a terminal: nothing more is gathered."""
        self._hurried = True
        self._rung.set()

    def wait(self, longest: timedelta) -> bool:
        """Until it rings, or the time is over; did it ring?"""
        rung = self._rung.wait(longest.total_seconds())
        if rung:
            if not self._hurried:
                self._gather()
            self._hurried = False
            self._rung.clear()
        return rung
