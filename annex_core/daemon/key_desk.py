"""Who is asked for keys, and what becomes of those that are handed over; the peer's name, by the kernel, says whose."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime

from annex_core.adapters.requests import read_keys
from annex_core.adapters.server import Call
from annex_core.adapters.wire import KeysWanted
from annex_core.daemon.keyring import KeyRing
from annex_core.errors import Refused
from annex_core.model.keys import Keys
from annex_core.model.route import Route


class KeyDesk:
    """
    Args:
        files: ANNEX_KEY_FILES, where users keep them.
        routes: In force, by name.
        wake: New keys are there: a cycle begins at once.
    """

    def __init__(
        self,
        ring: KeyRing,
        files: tuple[str, str],
        routes: Callable[[], Mapping[str, Route]],
        *,
        clock: Callable[[], datetime],
        wake: Callable[[], None],
    ) -> None:
        self._ring = ring
        self._files = files
        self._routes = routes
        self._clock = clock
        self._wake = wake

    def first(self, owner: str) -> None:
        """
        Raises:
            KeysWanted: Something of this user's needs keys that are not here, or not good; not at once again.
        """
        if self._ring.ask(owner, self._clock()):
            raise KeysWanted(self._files)

    def need(self, owner: str, route: str | None) -> None:
        """
        This user's jobs, or a command, go by that route.

        Raises:
            KeysWanted: As first() does.
        """
        named = self._routes().get(route or "")
        if named and named.by_owner and named.open_to(owner):
            self._ring.need([owner], self._clock())
            self.first(owner)

    def lacking(self, owner: str) -> str | None:
        """Why AWS can't be asked by a user's keys; None where it can."""
        return self._ring.lacking(owner)

    def answer(self, call: Call) -> bytes:
        """
        Take what is handed over; by `answers.keys` in schemas/request.json.

        Raises:
            Refused: It is no keys, or no route would use them.
        """
        owner = call.peer.name
        handed = read_keys(call.body)
        if owner is None:
            raise Refused(f"uid {call.peer.uid} has no user name on this machine")
        if isinstance(handed, Keys):
            if not any(route.by_owner and route.open_to(owner) for route in self._routes().values()):
                raise Refused(f"no annex route that is open to {owner} goes by its users' own keys")
            if self._ring.hand(owner, handed, self._clock()):
                self._wake()
        elif owner in self._ring.owners():
            self._ring.miss(owner, handed, self._clock())
            self._wake()
        return json.dumps({"lacking": self._ring.lacking(owner)}).encode()
