"""Threads to wait for AWS with, so that what hangs keeps nothing else waiting."""

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Errand(StrEnum):
    """What a hand is needed for; each kind has hands of its own in every place."""

    LIST = "list"
    HISTORY = "history"
    QUOTES = "quotes"
    PRICE_LIST = "price list"
    """A question for each instance type: Spot prices don't wait for it."""
    SIGNS = "signs"
    PROBE = "probe"
    LAUNCH = "launch"
    """All that comes before a fleet, and tidying up: it may wait."""
    END = "end"
    """Cancelling and terminating: as long as it waits, it costs."""
    RETAG = "retag"
    """Moving leases: as long as it waits, machines may end that are still wanted."""


_HANDS = {
    Errand.LIST: 1,
    Errand.HISTORY: 1,
    Errand.QUOTES: 1,
    Errand.PRICE_LIST: 1,
    Errand.SIGNS: 1,
    Errand.PROBE: 1,
    Errand.LAUNCH: 8,
    Errand.END: 8,
    Errand.RETAG: 4,
}


def threads(place: str, errand: Errand) -> Executor:
    return ThreadPoolExecutor(_HANDS[errand], thread_name_prefix=f"{errand} {place}")


class Hands:
    """
    For one caller's thread.

    Args:
        hire: What carries out one kind of errand in one place.
    """

    def __init__(self, hire: Callable[[str, Errand], Executor] = threads) -> None:
        self._hire = hire
        self._hired: dict[tuple[str, Errand], Executor] = {}

    def submit(self, place: str, errand: Errand, task: Callable[[], T]) -> Future[T]:
        if (place, errand) not in self._hired:
            self._hired[place, errand] = self._hire(place, errand)
        return self._hired[place, errand].submit(task)
