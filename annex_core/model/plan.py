"""What was decided, as values: actions to take, and for each annex a sentence its users can read."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from annex_core.model.annex import Annex, Launch
from annex_core.model.audit import Who
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.model.order import Frozen
from annex_core.model.place import Place
from annex_core.model.route import Route


@dataclass(frozen=True)
class LaunchFleet:
    """Ask for *target* instances of any of *types*, which the plan holds interchangeable for the jobs."""

    annex: Annex
    types: tuple[str, ...]
    ceilings: Mapping[str, Decimal | None]
    """USD an hour by type, the most the market may ask; None leaves AWS's own default, the on-demand price."""
    target: int
    hourly_ceiling: Decimal | None
    """USD an hour that one instance of the dearest type may cost, with all that is paid beside it."""
    idle_timeout_s: int
    route: Route
    """As this launch has it, with what was decided by hand in place of the configuration's."""
    left_out: AbstractSet[tuple[str, str]] = frozenset()
    """Types in zones that AWS has just had none of."""
    order: str | None = None
    """The order it fills, by its id; None where jobs ask for it."""
    by_jobs: Mapping[str, Any] = field(default_factory=dict)
    """As of Launch."""
    warm_until: datetime | None = None
    """Until then its instances don't shut themselves down for want of work."""

    def as_launch(self, token: str, at: datetime) -> Launch:
        """What stands in the journal before AWS is asked."""
        return Launch(
            token=token,
            annex=self.annex.id,
            place=self.route.place,
            target=self.target,
            types=self.types,
            hourly_ceiling=self.hourly_ceiling,
            intended=at,
            api=self.route.api,
            market=self.route.market,
            order=self.order,
            by_jobs=self.by_jobs,
            ends_at_latest=self.annex.ends_at_latest,
            route=self.route.name,
        )


@dataclass(frozen=True)
class CloseLaunch:
    """Cancel what a fleet request has not filled; the fleet itself stays, so that ValidUntil still binds."""

    launch: Launch
    why: str
    by: Who | None = None
    """Whoever ended the annex by hand, where that is why."""


@dataclass(frozen=True)
class CancelFleets:
    place: Place
    fleets: tuple[str, ...]
    terminate: bool
    why: str
    by: Who | None = None
    """As of CloseLaunch."""


@dataclass(frozen=True)
class Terminate:
    place: Place
    instances: tuple[str, ...]
    why: str
    by: Who | None = None
    """As of CloseLaunch."""


@dataclass(frozen=True)
class Retag:
    """Write tags anew: what the journal wants of an annex's lease and AWS does not show yet."""

    annex: Annex
    place: Place
    changes: tuple[tuple[tuple[tuple[str, str], ...], tuple[str, ...]], ...]
    """Tags, and the ids that are to carry them; in this order, fleets first."""
    by: Who | None = None
    """Whoever set the lease by a command, or ended the annex."""


@dataclass(frozen=True)
class DropFreeze:
    """It came of an end, and no job is left that it keeps from beginning anew."""

    freeze: Frozen


@dataclass(frozen=True)
class FinishAnnex:
    """The annex has ended and nothing is left: delete template and bundle, close the record."""

    annex: Annex


Action = LaunchFleet | CloseLaunch | CancelFleets | Terminate | Retag | DropFreeze | FinishAnnex


@dataclass(frozen=True)
class Asked:
    """Machines of any of these types, the cheapest first; of equals, what the jobs' Rank prefers."""

    types: tuple[str, ...]
    machines: int


@dataclass(frozen=True)
class GroupOutlook:
    """What was decided for one group of idle jobs; *placed*, *served* and *waiting* are all of them."""

    group: JobGroup
    placed: int = 0
    """Jobs that have room on what is there, or on its way."""
    served: int = 0
    """Jobs that this plan asks for machines for."""
    asked: tuple[Asked, ...] = ()
    """Those machines. Other groups may share them."""
    waiting: int = 0
    """Jobs that get nothing now."""
    why_not_more: str | None = None
    """Why these get nothing, as part of a sentence; None where there are none."""


@dataclass(frozen=True)
class Outlook:
    """How one annex stands, and why it gets no more than it gets."""

    sentence: str
    """For AnnexStatus: one sentence that a user understands, with no moment in it that changes each cycle."""
    waiting: int = 0
    """Idle jobs that nothing asked for so far will serve."""
    reason: str | None = None
    """Why they wait, in the words of *sentence*; None when nothing holds them back."""
    groups: tuple[GroupOutlook, ...] = ()
    """The same by group of idle jobs, as data."""


@dataclass(frozen=True)
class Plan:
    actions: tuple[Action, ...]
    outlooks: Mapping[AnnexKey, Outlook]
    troubles: tuple[str, ...] = ()
    """For the log and for administrators: what the snapshot shows that nobody asked for."""
