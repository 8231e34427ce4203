"""
The keys of annexes' owners, in memory alone.

The daemon can't read a user's files; what runs as the user reads them and hands the keys over the socket, whose peer
the kernel names. Where they are lacking, whoever comes next is asked for them: a hook, or a command of the user's.
"""

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from annex_core.errors import NotPermitted
from annex_core.model.keys import Keys
from annex_core.model.wording import clause

_ASKED_AGAIN = timedelta(seconds=10)
"""A user whose jobs come in hundreds of clusters isn't asked by each of their hooks."""
_TRIED_AGAIN = timedelta(seconds=2)
"""But whoever reads that the files could not be read mends them and submits again; whoever said so is heard first."""
_KEPT_FOR = timedelta(hours=1)
"""After nothing of a user's needs them any more."""


@dataclass(frozen=True)
class _Ring:
    """One user's."""

    needed: datetime
    """When something needed them last."""
    keys: Keys | None = None
    missing: str | None = None
    """Why they could not be read, as whoever was asked said."""
    doubt: str | None = None
    """What AWS said that did not take them."""
    asked: datetime | None = None


class KeyRing:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rings: dict[str, _Ring] = {}

    def need(self, owners: Iterable[str], now: datetime) -> None:
        """Something of these owners' needs their keys; those that nothing has needed for an hour are forgotten."""
        with self._lock:
            for owner in owners:
                self._rings[owner] = replace(self._rings.get(owner, _Ring(now)), needed=now)
            self._rings = {owner: ring for owner, ring in self._rings.items() if now - ring.needed < _KEPT_FOR}

    def owners(self) -> frozenset[str]:
        """Those of whom something needs keys, or did not long ago."""
        with self._lock:
            return frozenset(self._rings)

    def ask(self, owner: str, now: datetime) -> bool:
        """Whether who speaks for this owner just now is to hand the keys over first; not again for a while then."""
        with self._lock:
            ring = self._rings.get(owner)
            if ring is None or (ring.keys and not ring.doubt) or (ring.asked and now - ring.asked < _ASKED_AGAIN):
                return False
            self._rings[owner] = replace(ring, asked=now)
            return True

    def hand(self, owner: str, keys: Keys, now: datetime) -> bool:
        """Keep them; whether they are new."""
        with self._lock:
            ring = self._rings.get(owner, _Ring(now))
            if ring.keys == keys:
                return False
            self._rings[owner] = _Ring(ring.needed, keys, asked=ring.asked)
            return True

    def miss(self, owner: str, why: str, now: datetime) -> None:
        """They could not be read; those that were handed over before stay in use."""
        with self._lock:
            asked = now - _ASKED_AGAIN + _TRIED_AGAIN
            self._rings[owner] = replace(self._rings.get(owner, _Ring(now)), missing=clause(why), asked=asked)

    def answered(self, owner: str, doubt: str | None) -> None:
        """AWS has answered by an owner's keys; *doubt*: it did not take them."""
        with self._lock:
            if (ring := self._rings.get(owner)) and ring.keys:
                self._rings[owner] = replace(ring, doubt=doubt, missing=ring.missing if doubt else None)

    def empty(self, owner: str) -> bool:
        """There is nothing that AWS could be asked with."""
        with self._lock:
            ring = self._rings.get(owner)
        return ring is None or ring.keys is None

    def lacking(self, owner: str) -> str | None:
        """Why AWS can't be asked by an owner's keys, or doesn't take them; None where they are there and good."""
        with self._lock:
            ring = self._rings.get(owner)
        if ring and ring.keys and not ring.doubt:
            return None
        comes = f"{owner}'s next job or condor_annex command"
        if ring and ring.keys:
            return f"AWS does not take {owner}'s keys ({clause(ring.doubt or '')}); {comes} brings the files' keys"
        if ring and ring.missing:
            return f"{owner}'s keys can't be had: {ring.missing}; {comes} tries again"
        return f"{owner}'s keys are not here; {comes} brings them"

    def keys(self, owner: str) -> Keys:
        """
        Raises:
            NotPermitted: They are not here.
        """
        with self._lock:
            ring = self._rings.get(owner)
        if ring is None or ring.keys is None:
            raise NotPermitted(self.lacking(owner) or f"{owner}'s keys are not here")
        return ring.keys
