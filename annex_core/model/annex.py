"""An annex while it lives, and what was asked of AWS for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any

from annex_core.model.audit import Who
from annex_core.model.demand import Limits
from annex_core.model.names import AnnexKey
from annex_core.model.place import SITE, Place
from annex_core.model.route import FleetApi, Market


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
    credentials: str = SITE
    """The route's that it was made with: nobody else may see its machines, or end them."""
    pilot: bool = False
    """Its machines bring their own pilot and join no pool of ours, whatever becomes of its route."""
    lifetime: timedelta | None = None
    """What its jobs, or whoever set its lease, asked for; None where the route decided, or a moment was said."""
    lease_by: Who | None = None
    """Whoever set its lease by a command; None: its jobs or its route did, or the journal is older than that."""
    ended_by: Who | None = None
    """Whoever ended it by hand."""

    @property
    def place(self) -> Place:
        """Where its machines are, and in whose account: all that a snapshot knows of them goes by it."""
        return Place.of(self.region, self.endpoint, self.credentials)


class LaunchState(StrEnum):
    INTENDED = "intended"
    """Written down; AWS's answer is not, or not yet."""
    REQUESTED = "requested"
    """AWS took it."""
    REFUSED = "refused"
    """AWS said no; nothing can come of it."""
    LOST = "lost"
    """No answer, too old to send again, and not in AWS's listing."""


class Obstacle(StrEnum):
    """What keeps AWS from giving what was asked for."""

    CAPACITY = "capacity"
    """It has none now, or not at the price."""
    QUOTA = "quota"
    REFUSAL = "refusal"
    """The request, the permissions or the account won't do."""


@dataclass(frozen=True)
class Launch:
    """One call that asks for machines, as the journal knows it."""

    token: str
    annex: str
    """The annex id."""
    place: Place
    target: int
    """Instances asked for."""
    types: tuple[str, ...]
    hourly_ceiling: Decimal | None
    """USD an hour for one instance of the dearest type it may bring; None is unknown."""
    intended: datetime
    api: FleetApi = FleetApi.SPOT_FLEET
    market: Market = Market.SPOT
    state: LaunchState = LaunchState.INTENDED
    fleet: str | None = None
    """The fleet request's id; None also where no fleet is asked for (RunInstances)."""
    reason: str | None = None
    """Why it brought less than was asked for."""
    obstacle: Obstacle | None = None
    """What kind of reason that is, where it is known."""
    order: str | None = None
    """The id of the order that it fills; None where jobs asked for it."""
    by_jobs: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What its jobs decided in the route's place: idle_s and instance_types, as a create says them."""
    ends_at_latest: datetime | None = None
    """Its own outer bound, which no extension moves; None where the journal is older than that."""
    route: str = ""
    """The name of the route that it goes by, the annex's own or a fallback; empty where the journal is older."""
    pools: tuple[tuple[str, str], ...] = ()
    """The types and zones that it may draw from; empty where the journal is older than that."""
    closed: datetime | None = None
    """When its unfilled part was cancelled, or AWS's answer said that there is none: it brings no more instances."""

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
    zone: str = ""
    """Empty until a listing has shown it."""
    market: Market = Market.SPOT
    image: str = ""
    """The AMI that it booted; empty where the journal is older than that."""
    interrupted: datetime | None = None
    """When it was first seen that AWS takes it back."""
    drained: datetime | None = None
    """When it was told to take no more job; it ends when its last one has."""

    @property
    def leaving(self) -> bool:
        """No job starts there any more."""
        return self.interrupted is not None or self.drained is not None
