"""All that one decision is made of: taken once, never changed."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import attrgetter

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch
from annex_core.model.death import Death
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.eviction import Lost
from annex_core.model.hardware import InstanceType, Learned
from annex_core.model.indexed import Indexed
from annex_core.model.limits import UNLIMITED, PoolLimits, Spent
from annex_core.model.names import AnnexKey
from annex_core.model.order import Frozen, Order
from annex_core.model.outcomes import Outcomes
from annex_core.model.place import Place
from annex_core.model.plan import LaunchFleet
from annex_core.model.prices import SpotPrices
from annex_core.model.route import Route
from annex_core.model.setback import Setback
from annex_core.model.signs import Signs
from annex_core.model.supply import Fleet, Instance, Slot

_annex, _id, _identity = attrgetter("annex"), attrgetter("id"), attrgetter("identity")


def _key_of(thing: Instance | Fleet) -> AnnexKey | None:
    return tags.key_of(thing.tags)


@dataclass(frozen=True)
class RegionView:
    """What one place listed of this access point's, every page of it."""

    instances: Sequence[Instance] = ()
    fleets: Sequence[Fleet] = ()
    ahead: timedelta = timedelta(0)
    """How far AWS's clock is ahead of ours, by the answer's date; whole seconds."""

    def __post_init__(self) -> None:
        for name in ("instances", "fleets"):
            object.__setattr__(self, name, Indexed(getattr(self, name)))

    def instances_of(self, key: AnnexKey) -> Sequence[Instance]:
        """Those that carry the annex's name, whichever access point's they are."""
        return Indexed(self.instances).where(_key_of, key)

    def fleets_of(self, key: AnnexKey) -> Sequence[Fleet]:
        """Likewise."""
        return Indexed(self.fleets).where(_key_of, key)

    def shows(self, instance: str) -> bool:
        """Is the instance of this id among them?"""
        return bool(Indexed(self.instances).where(_id, instance))

    def fleet(self, id_: str | None) -> Fleet | None:
        """The fleet request of this id, if it is among them."""
        return next(iter(Indexed(self.fleets).where(_id, id_)), None)


@dataclass(frozen=True)
class Failure:
    """Tries at one thing that failed one after the other."""

    why: str
    """Of the last one."""
    last: datetime
    tries: int = 1


@dataclass(frozen=True)
class Snapshot:
    """
    None, or a place that is absent, means "not known now"; it never means "none".
    """

    at: datetime
    demand: Sequence[JobGroup] | None
    slots: Sequence[Slot] | None
    regions: Mapping[Place, RegionView]
    routes: Mapping[str, Route]
    slots_since: datetime | None = None
    """Since when the annex collector has answered each time it was asked; None where it does not."""
    counts: Mapping[AnnexKey, JobCounts] = field(default_factory=dict)
    """All jobs that name an annex, idle or not; asked between *slots* and *demand*, and known when demand is."""
    refused_routes: Mapping[str, str] = field(default_factory=dict)
    """Why a route can't be used, by its name."""
    types: Mapping[Place, Mapping[str, InstanceType]] = field(default_factory=dict)
    """Instance types by place and name."""
    prices: Mapping[Place, SpotPrices] = field(default_factory=dict)
    """Of the Spot market, by place; asked in the background, so that they are minutes or hours old."""
    zones: Mapping[Place, Mapping[str, str]] = field(default_factory=dict)
    """The availability zone of each subnet that a route names, by place."""
    offered: Mapping[Place, Mapping[str, AbstractSet[str]]] = field(default_factory=dict)
    """The zones that have a type at all, by place and type; a type that is missing is not known of."""
    setbacks: Sequence[Setback] = ()
    """What AWS had none of, or no quota for, not long ago."""
    annexes: Mapping[AnnexKey, Annex] = field(default_factory=dict)
    launches: Sequence[Launch] = ()
    """Of the living annexes."""
    obstacles: Mapping[str, str] = field(default_factory=dict)
    """Why AWS has not filled a launch, in its words, by client token."""
    known: Sequence[KnownInstance] = ()
    """Instances ever seen of the living annexes, gone ones included."""
    outcomes: Mapping[str, Outcomes] = field(default_factory=dict)
    """What became of the jobs on each machine, by its id, as the schedd's history has told since the daemon began."""
    learned: Mapping[tuple[str, str], Learned] = field(default_factory=dict)
    """What machines that joined have shown of themselves, by instance type and AMI."""
    images: Mapping[tuple[Place, str], str] = field(default_factory=dict)
    """The AMI that a route's image was last found to be, by place and the route's own word for it."""
    lost: Mapping[str, Lost] = field(default_factory=dict)
    """What the living annexes have lost to interruptions, by annex id."""
    deaths: Sequence[Death] = ()
    """Of the living annexes' machines that never joined, oldest first."""
    frozen: Mapping[Place, str] = field(default_factory=dict)
    """Why nothing may be launched in a place now, by place."""
    unready: Mapping[str, str] = field(default_factory=dict)
    """Why nothing may be launched by a route yet, by its label."""
    unseen_routes: AbstractSet[str] = frozenset()
    """Of those the ones whose first look is under way, and takes seconds."""
    failures: Mapping[str, Failure] = field(default_factory=dict)
    """Of launches, before a fleet was asked for, by annex id."""
    signs: Mapping[Place, Signs] = field(default_factory=dict)
    """What the reaper of a region and people at AWS have left there, as last heard, by place."""
    unreachable: Mapping[Place, str] = field(default_factory=dict)
    """Why no machine of a place could reach the annex collector, as our function there found; not known: absent."""
    orders: Sequence[Order] = ()
    """Of the living annexes."""
    freezes: Sequence[Frozen] = ()
    """By command; *frozen* is what we found out ourselves."""
    pool_limits: PoolLimits = UNLIMITED
    """What several annexes may have together."""
    spent: Sequence[Spent] = ()
    """By finished lives of annexes, as the journal keeps it; asked for after *annexes*, so that none is in neither."""
    under_way: Sequence[tuple[datetime, Sequence[LaunchFleet]]] = ()
    """What plans made at these moments ask for and hands have not finished; some may stand in *launches* already."""
    domain: str = ""
    """ANNEX_DOMAIN, the domain of execution points' identities."""
    access_point: str = ""
    pool: str = ""
    """The value of the htcondor:Pool tag."""

    def __post_init__(self) -> None:
        for name in ("known", "launches", "orders", *(["slots"] if self.slots is not None else [])):
            object.__setattr__(self, name, Indexed(getattr(self, name)))

    def known_of(self, annex: Annex) -> Sequence[KnownInstance]:
        """An annex's of *known*."""
        return Indexed(self.known).where(_annex, annex.id)

    def launches_of(self, annex: Annex) -> Sequence[Launch]:
        """An annex's of *launches*."""
        return Indexed(self.launches).where(_annex, annex.id)

    def orders_of(self, annex: Annex) -> Sequence[Order]:
        """An annex's of *orders*."""
        return Indexed(self.orders).where(_annex, annex.id)

    def slots_of(self, key: AnnexKey) -> Sequence[Slot]:
        """An annex's of *slots*, by the identity that the collector stamped; none also where they are not known."""
        return Indexed(self.slots or ()).where(_identity, key.identity(self.domain))

    def aws_now(self, place: Place) -> datetime:
        """By AWS's clock, which leases are measured by; ours may be wrong by minutes."""
        return self.at + self.regions.get(place, RegionView()).ahead
