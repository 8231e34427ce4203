"""
A freeze: what may not grow, or has to end at once, whatever its lease says.

In an account it stands in an SSM parameter of each region, which the reaper and the daemon read, so that it works with
the access point gone: a JSON list such as [{"scope": "project", "project": "physics", "mode": "freeze"}].
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from annex_core.errors import Refused
from annex_core.model import tags


class Mode(StrEnum):
    FREEZE = "freeze"
    """Nothing more is launched; machines stay until their lease ends."""
    END = "end"
    """All of it is ended now."""


@dataclass(frozen=True)
class Freeze:
    """What is None is not asked for: without all four, every annex of every pool is meant."""

    mode: Mode
    project: str | None = None
    owner: str | None = None
    annex: str | None = None
    """An annex's name; of any owner's where *owner* is None."""
    pool: str | None = None

    def covers(self, carried: Mapping[str, str]) -> bool:
        """Whether what carries these tags is meant."""
        wanted = {tags.PROJECT: self.project, tags.OWNER: self.owner, tags.NAME: self.annex, tags.POOL: self.pool}
        return all(carried.get(key) == value for key, value in wanted.items() if value is not None)

    def __str__(self) -> str:
        """What it covers: project physics, annex blue of alice."""
        words = [f"project {self.project}"] if self.project is not None else []
        if self.annex is not None:
            words.append(f"annex {self.annex}" + (f" of {self.owner}" if self.owner is not None else ""))
        if self.pool is not None:
            words.append(f"pool {self.pool}")
        return ", ".join(words) or "all annexes"


_NEEDS = {"all": set(), "project": {"project"}, "annex": {"annex"}}
_MAY_HAVE = {"all": {"pool"}, "project": {"pool"}, "annex": {"owner", "pool"}}
"""By scope; every entry has scope and mode."""


def parse(text: str) -> tuple[Freeze, ...]:
    """
    The freezes that a parameter holds; an empty list is none.

    Raises:
        Refused: It isn't what it has to be; the sentence says what. No part of it counts then: a misspelt project must
            not end everybody's annexes.
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise Refused(f"no JSON: {error}") from error
    if not isinstance(entries, list):
        raise Refused("it has to be a list: [] for no freeze")
    return tuple(_freeze(number, entry) for number, entry in enumerate(entries, 1))


def _freeze(number: int, entry: object) -> Freeze:
    if not isinstance(entry, dict) or not all(isinstance(value, str) and value for value in entry.values()):
        raise Refused(f"entry {number} has to be an object whose values are words")
    scope, mode = entry.get("scope", ""), entry.get("mode", "")
    if scope not in _NEEDS:
        raise Refused(f"entry {number}: scope is {' or '.join(_NEEDS)}, not {scope!r}")
    if mode not in {*Mode}:
        raise Refused(f"entry {number}: mode is {' or '.join(Mode)}, not {mode!r}")
    its = entry.keys() - {"scope", "mode"}
    if lacking := _NEEDS[scope] - its:
        raise Refused(f"entry {number}: scope {scope} takes {', '.join(sorted(lacking))}")
    if strange := its - _NEEDS[scope] - _MAY_HAVE[scope]:
        raise Refused(f"entry {number}: scope {scope} takes no {', '.join(sorted(strange))}")
    return Freeze(Mode(mode), **{key: entry[key] for key in its})
