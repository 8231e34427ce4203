"""Sequences that many ask for a part of: a look at all of it for each annex would take the square of their number."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Indexed(tuple[T, ...]):
    """Things in an order of theirs, never changed."""

    _by: dict[Callable[[T], Hashable], dict[Hashable, list[T]]]

    def __new__(cls, things: Iterable[T] = ()) -> "Indexed[T]":
        """The same object where it is one already: what was found in it is kept."""
        if isinstance(things, cls):
            return things
        made = super().__new__(cls, things)
        made._by = {}
        return made

    def where(self, attribute: Callable[[T], Hashable], value: Hashable) -> Sequence[T]:
        """
        Those whose attribute has that value, in their order.

        Args:
            attribute: The same function each time; all are looked at when it is first asked for.
        """
        groups = self._by.get(attribute)
        if groups is None:
            groups = self._by[attribute] = {}
            for thing in self:
                groups.setdefault(attribute(thing), []).append(thing)
        return groups.get(value, ())
