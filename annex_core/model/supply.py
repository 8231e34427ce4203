"""What AWS and the annex collector show of an annex."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from annex_core.model.names import AnnexKey
from annex_core.model.route import Market


class InstanceState(StrEnum):
    """EC2's own words; terminated ones are not listed."""

    PENDING = "pending"
    RUNNING = "running"
    SHUTTING_DOWN = "shutting-down"
    STOPPING = "stopping"
    STOPPED = "stopped"
    TERMINATED = "terminated"


@dataclass(frozen=True)
class Instance:
    id: str
    type: str
    zone: str
    state: InstanceState
    launched: datetime
    tags: Mapping[str, str] = field(hash=False)
    fleet: str | None = None
    """The fleet request it came from, where a tag says so (AWS's own tag comes minutes after boot)."""
    client_token: str | None = None
    """Of the launch that tagged it so; a Spot Fleet's carry none."""
    market: Market = Market.SPOT
    address: str | None = None
    """The private address."""
    image: str = ""
    """The AMI that it booted."""
    reason: str = ""
    """The code of AWS's StateReason, such as Server.SpotInstanceTermination."""

    @property
    def taken_back(self) -> bool:
        """It ends because Spot wants it."""
        return self.reason.startswith("Server.SpotInstance")


@dataclass(frozen=True)
class Fleet:
    """A Spot Fleet request."""

    id: str
    state: str
    """AWS's BatchState: submitted, active, cancelled, failed, cancelled_running, cancelled_terminating, modifying."""
    client_token: str
    target: int
    """TargetCapacity; with every weight 1, instances."""
    fulfilled: float
    created: datetime
    valid_until: datetime | None
    tags: Mapping[str, str] = field(hash=False)
    trouble: str | None = None
    """The newest error in the request's history, where it was asked for."""

    @property
    def live(self) -> bool:
        """It can still launch, or still holds instances."""
        return self.state not in {"cancelled", "failed"}

    @property
    def may_launch(self) -> bool:
        return self.state in {"submitted", "active", "modifying"}


@dataclass(frozen=True)
class OpenRequest:
    """One spot request of a fleet that AWS has not fulfilled yet."""

    id: str
    fleet: str
    status: str = ""
    """AWS's word for why it is open: capacity-not-available, price-too-low, pending-evaluation, ..."""


@dataclass(frozen=True)
class Slot:
    """
    A partitionable slot of an execution point that joined the annex collector, or one claimed out of it.

    Source:
        The startd's ad; *identity* is AuthenticatedIdentity, which the collector stamps and the startd can't choose.
    """

    name: str
    identity: str
    claimed_name: str
    """The AnnexName it advertises: a claim, believed only where *identity* agrees."""
    instance: str | None
    type: str | None
    cpus: int
    """In all, claimed or not."""
    free_cpus: int
    free_memory_mib: int
    free_disk_kib: int
    free_gpus: int = 0
    memory_mib: int = 0
    disk_kib: int = 0
    gpus: int = 0
    """In all, like *cpus*."""
    claimed: bool = False
    """For one job at a time, and its *free* resources are that job's; there may be news of it that is on its way."""

    busy_since: datetime | None = None
    """Since when it has been at the job that it runs now, by the machine's clock; None where it runs none."""
    draining: bool = False
    """It says that it takes no new job."""
    interrupted_at: datetime | None = None
    """When AWS takes its machine back, once the machine has been given notice."""
    rebalance_at: datetime | None = None
    """When AWS recommended to move off its machine, if it did."""

    def of(self, key: AnnexKey, domain: str) -> bool:
        return self.identity == key.identity(domain)
