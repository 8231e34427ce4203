"""What AWS said no to, kept for all annexes: a type in a zone that it has none of, a quota that is used up."""

from dataclasses import dataclass
from datetime import datetime

from annex_core.model.place import Place
from annex_core.model.route import Market


@dataclass(frozen=True)
class Subject:
    """What a no is about; an empty text is whichever: without type and quota it is all that there is to buy."""

    place: Place
    market: Market
    type: str = ""
    zone: str = ""
    quota: str = ""
    """The class of instance types whose quota of vCPUs is used up (model/quota.py)."""

    def __str__(self) -> str:
        what = self.type or (f"class {self.quota}" if self.quota else "everything")
        return f"{what} ({self.market}) in {self.zone or self.place}"


@dataclass(frozen=True)
class Setback:
    """Noes to one thing, one after the other."""

    subject: Subject
    why: str
    """In AWS's words, of the last one."""
    since: datetime
    """When the first one came."""
    last: datetime
    tries: int = 1
    """How many there were, those within one penalty counted once."""
    lifted: datetime | None = None
    """When AWS gave such a machine; after *last*, it is no setback any more."""

    @property
    def stands(self) -> bool:
        return self.lifted is None or self.lifted <= self.last
