"""
What the daemon needs of the world, each as the few calls it makes.

Every method may raise Unavailable (nothing was changed, ask again) and those of Cloud the other errors of
errors.py. Times are aware UTC.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from annex_core.connectivity.answer import Answer
from annex_core.errors import AnnexError
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.eviction import Eviction
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.route import FleetApi, Market
from annex_core.model.signs import Signs
from annex_core.model.supply import Fleet, Instance, OpenRequest, Slot


@dataclass(frozen=True)
class TemplateRequest:
    """What an annex's launch template holds: everything of an instance but its type and subnet."""

    name: str
    client_token: str
    image: str
    user_data: str
    """Plain text; the adapter encodes it. At most 16 KB."""
    tags: Mapping[str, str] = field(hash=False)
    """For the template, and through it for instances and volumes."""
    security_groups: tuple[str, ...] = ()
    key_name: str | None = None
    instance_profile: str | None = None
    metadata_tokens: str = "required"
    """HttpTokens, `required` or `optional`."""
    volume_gib: int = 20
    data: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What a fleet configuration says of it, in a launch template's words: laid over all but what the lease needs."""


@dataclass(frozen=True)
class TemplateRef:
    id: str
    version: int


@dataclass(frozen=True)
class Override:
    """One pool that a launch may draw from: a type in a subnet, weighing one unless a fleet configuration says else."""

    instance_type: str
    subnet: str | None
    """None: wherever *place* and the template allow."""
    max_price: Decimal | None
    """USD an hour, the ceiling; None leaves AWS's own, the on-demand price."""
    weight: Decimal = Decimal(1)
    place: tuple[tuple[str, Any], ...] = ()
    """More of a fleet configuration: AvailabilityZone, AvailabilityZoneId, Priority."""
    template: TemplateRef | None = None
    """Another than the launch's own."""


@dataclass(frozen=True)
class LaunchRequest:
    """One launch, whole, whichever call asks for it; what the journal keeps before AWS is called."""

    api: FleetApi
    market: Market
    """Spot or on-demand; which of them spot-then-on-demand means now is decided before."""
    client_token: str
    template: TemplateRef | TemplateRequest
    """The launch template; or, for RunInstances, what the call itself says in its place."""
    overrides: tuple[Override, ...]
    """RunInstances takes exactly one."""
    target: int
    allocation_strategy: str
    """Of Spot machines, as Spot Fleet spells it; EC2 Fleet's own spelling is the adapter's affair."""
    valid_from: datetime
    valid_until: datetime
    """Only Spot Fleet has such a bound; what the others launch is bound by its tags alone."""
    fleet_role: str | None
    """Spot Fleet's alone."""
    tags: Mapping[str, str] = field(hash=False)
    attributes: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Of the fleet, as a fleet configuration has them; Spot Fleet only."""
    capacity: int | None = None
    """In weights, where they are not all one; else *target* is the capacity."""


@dataclass(frozen=True)
class Refusal:
    """What AWS said no to, of what a launch asked for; an empty text is all of it."""

    error: AnnexError = field(hash=False, compare=False)
    type: str = ""
    zone: str = ""
    subnet: str = ""
    """Where AWS names that and no zone."""


@dataclass(frozen=True)
class Trouble:
    """What keeps a fleet request from launching."""

    words: str
    """AWS's, of the newest event."""
    refusals: tuple[Refusal, ...] = ()
    """Of all of them."""


@dataclass(frozen=True)
class Launched:
    """What AWS answered to a launch that it took."""

    fleet: str | None
    """The fleet request's id; None where no fleet was asked for."""
    instances: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The type of each instance that the answer names, by id; Spot Fleet's names none, they come later."""
    complete: bool = False
    """The answer says all: what it does not name will not come."""
    errors: tuple[AnnexError, ...] = ()
    """Why it brings less than was asked for, each reason once."""
    refusals: tuple[Refusal, ...] = ()
    """The same, for each type and place that AWS named."""


class Cloud(Protocol):
    """
    EC2 in one region, with one set of credentials.

    A call that changes something and gets no clear answer raises OutcomeUnknown: the next listing shows what it did,
    and each may be sent again (only request needs the same document for that).
    """

    def instances(self, pool: str) -> Sequence[Instance]:
        """All instances tagged with this pool that are not terminated, every page."""
        ...

    def fleets(self, pool: str) -> Sequence[Fleet]:
        """All Spot Fleet requests tagged with this pool that AWS still lists, every page."""
        ...

    def open_requests(self, fleets: Sequence[str]) -> Sequence[OpenRequest]:
        """The spot requests of these fleets that are still open."""
        ...

    def instance_types(self, names: Iterable[str]) -> Mapping[str, InstanceType]:
        """The types among *names* that the region has; one that it lacks is absent, not an error."""
        ...

    def spot_prices(self, names: Iterable[str]) -> Mapping[tuple[str, str], Decimal]:
        """What a Linux machine costs now on the Spot market, USD an hour by type and zone, where AWS tells one."""
        ...

    def offered_zones(self, names: Iterable[str]) -> Mapping[str, frozenset[str]]:
        """The zones that have a type, by type; one that the region lacks is absent."""
        ...

    def resolve_image(self, image: str) -> str:
        """
        An AMI id: itself, or the value of the SSM parameter it names.

        The answer is kept for an hour, and the AMI is looked at once: asked early, no launch waits for it.

        Raises:
            Refused: There is no such parameter, or no such AMI.
        """
        ...

    def subnet_zones(self, subnets: Sequence[str]) -> Mapping[str, str]:
        """
        The availability zone of each subnet, in their order: a fleet may not have two subnets of one zone.

        Args:
            subnets: Ids; or DEFAULT_SUBNETS alone, for those of the account's default VPC.

        Raises:
            Refused: There is no such subnet, or no default VPC.
        """
        ...

    def known_zones(self) -> Mapping[str, str]:
        """What subnet_zones has found out so far; made without a call."""
        ...

    def need_key_pair(self, name: str) -> None:
        """
        Raises:
            Refused: There is no such key pair.
        """
        ...

    def template_data(self, template: str, version: str) -> Mapping[str, Any]:
        """
        What another's launch template says, to be copied.

        Args:
            template: An id or a name.
            version: A number, $Latest or $Default.

        Raises:
            Refused: There is none.
        """
        ...

    def put_template(self, request: TemplateRequest, *, existing: str | None) -> TemplateRef:
        """
        Create the template, or a new version of *existing* (its id).

        A template of that name that carries this annex's tags is ours, from a call whose answer was lost: it gets a
        new version. Another's is Refused.
        """
        ...

    def encode(self, request: LaunchRequest) -> str:
        """The call and its parameters as JSON text: the same text sent again is the same request to AWS."""
        ...

    def request(self, document: str) -> Launched:
        """
        Send a launch exactly as *document* (from encode, by this version or an older one) says.

        Raises:
            OutcomeUnknown: No answer, or a 5xx: it may have acted. Sending the same document again is safe for 30
                minutes, AWS knows its client token.
        """
        ...

    def cancel_fleets(self, ids: Sequence[str], *, terminate: bool) -> Mapping[str, str]:
        """
        Cancel Spot Fleets, delete EC2 Fleets; returns the reason for each id that AWS left as it was.

        An EC2 Fleet of type `instant` goes with its instances whatever *terminate* says.
        """
        ...

    def cancel_open_requests(self, ids: Sequence[str]) -> None: ...

    def terminate(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Terminate, halving a batch that fails; returns the reason for each instance that stays."""
        ...

    def console(self, instance: str) -> str:
        """What an instance has printed, as far as EC2 keeps it; up to 64 KB, empty where it has nothing yet."""
        ...

    def state_reasons(self, ids: Sequence[str]) -> Mapping[str, str]:
        """Why instances ended, in AWS's words; one that AWS lists no more is absent."""
        ...

    def retag(self, ids: Sequence[str], wanted: Mapping[str, str]) -> Mapping[str, str]:
        """Give fleets and instances these tags, in the order of *ids*; returns the reason for each that was refused."""
        ...

    def ahead(self) -> timedelta:
        """How far AWS's clock is ahead of ours, by its last answer; 0 where they agree."""
        ...

    def remains(self, wanted: Mapping[str, str]) -> list[str]:
        """What carries all these tags and is not gone, a phrase each: instances, fleets, volumes, launch templates."""
        ...

    def find_template(self, name: str, wanted: Mapping[str, str]) -> str | None:
        """
        The id of the template of that name, where it is ours: from a call whose answer was lost.

        Args:
            wanted: Tags of the annex; a template that carries another annex's is not found.
        """
        ...

    def delete_template(self, template: str) -> None:
        """Gone already is fine."""
        ...

    def fleet_trouble(self, fleet: str, since: datetime) -> Trouble | None:
        """What of the fleet's history since then keeps it from launching."""
        ...


class BundleStore(Protocol):
    """One S3 bucket."""

    def put(self, key: str, content: bytes, tags: Mapping[str, str]) -> None: ...

    def url(self, key: str, *, expires_in: int) -> str:
        """A presigned URL, good for that many seconds at most; made without a call."""
        ...

    def delete(self, key: str) -> None:
        """Gone already is fine."""
        ...


class SignReader(Protocol):
    """What a region's reaper, and people at AWS, have left for us."""

    def read(self, now: datetime) -> Signs: ...


class PriceList(Protocol):
    """What AWS asks for a machine on demand in one region, whoever buys it."""

    def on_demand(self, names: Iterable[str]) -> Mapping[str, Decimal]:
        """USD an hour by type, for Linux; one without a price that can be believed is absent."""
        ...


class Prober(Protocol):
    """What we have inside a region, that can be asked who is at the annex collector's address as seen from there."""

    def ask(self) -> Sequence[Answer] | None:
        """None where there is nothing of ours to ask."""
        ...


class Queue(Protocol):
    """The schedd."""

    def demand(self, now: datetime) -> Sequence[JobGroup]:
        """
        Idle jobs that name an annex and have been idle for their AnnexAfter, by group; with those that late
        materialisation makes as soon as the schedd comes to it.

        A copy made by a route is not counted beside its source, nor where it runs in a grid.
        """
        ...

    def counts(self) -> Mapping[AnnexKey, JobCounts]:
        """All jobs that name an annex, by annex, with the tightest limits that any of them carries."""
        ...

    def evictions(self, since: datetime) -> Sequence[Eviction]:
        """Annex jobs in the queue that had to leave their machine since then, each with the last time it did."""
        ...

    def say(self, key: AnnexKey, sentence: str) -> None:
        """Set AnnexStatus of the annex's idle jobs that don't say so yet."""
        ...


class Slots(Protocol):
    """The annex collector."""

    def slots(self) -> Sequence[Slot]: ...


class Tokens(Protocol):
    """Who signs the IDTOKENs of execution points."""

    def issue(self, identity: str, lifetime_s: int) -> str: ...
