"""An annex while it lives, and what was asked of AWS for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from annex_core.model.demand import Limits
from annex_core.model.names import AnnexKey


class Ending(StrEnum):
    """How an annex is ended by hand, before its lease does."""

    DRAIN = "drain"
    """It gets no new job; its machines go when their last one has ended."""
    NOW = "now"


@dataclass(frozen=True)
class Annex:
    """
    One life of an annex: from its first fleet request until its lease has ended and nothing is left.

    It keeps the route it was made with, whichever route later jobs pass.
    """

    id: str
    key: AnnexKey
    project: str
    route: str
    region: str
    endpoint: str | None
    """The region's, where it is not AWS's own: to end the annex when its route is gone."""
    started: datetime
    lease_ends: datetime
    ends_at_latest: datetime
    limits: Limits = field(default_factory=Limits)
    """The tightest that any job has carried that was in the queue in this life; they are never loosened."""
    overrides: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What a create by hand decided in the route's place: fields of `create` in schemas/request.json."""
    ending: Ending | None = None
    ending_since: datetime | None = None


class LaunchState(StrEnum):
    INTENDED = "intended"
    """Written down; AWS's answer is not, or not yet."""
    REQUESTED = "requested"
    """AWS gave it a fleet request id."""
    REFUSED = "refused"
    """AWS said no; nothing can come of it."""
    LOST = "lost"
    """No answer, too old to send again, and not in AWS's listing."""


@dataclass(frozen=True)
class Launch:
    """One growth step: a fleet request of type `request`, as the journal knows it."""

    token: str
    annex: str
    """The annex id."""
    region: str
    target: int
    """Instances asked for."""
    types: tuple[str, ...]
    hourly_ceiling: Decimal | None
    """USD an hour for one instance of the dearest type it may bring; None is unknown."""
    intended: datetime
    state: LaunchState = LaunchState.INTENDED
    fleet: str | None = None
    reason: str | None = None
    order: str | None = None
    """The id of the order that it fills; None where jobs asked for it."""
    ends_at_latest: datetime | None = None
    """Its own outer bound, which no extension moves; None where the journal is older than that."""
    closed: datetime | None = None
    """When its unfilled part was cancelled: from then on it brings no more instances."""

    @property
    def may_bring(self) -> bool:
        """Instances may still come of it."""
        return self.closed is None and self.state in {LaunchState.INTENDED, LaunchState.REQUESTED}


@dataclass(frozen=True)
class KnownInstance:
    """An instance as the journal remembers it, from when it was first listed."""

    id: str
    annex: str
    token: str | None
    """The launch it was attributed to."""
    type: str
    launched: datetime
    hourly_ceiling: Decimal | None
    joined: datetime | None = None
    gone: datetime | None = None
