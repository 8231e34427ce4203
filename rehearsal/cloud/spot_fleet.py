"""A Spot Fleet request, its spot requests and its history, as AWS tells of them."""

import math
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models.instances import Instance

from rehearsal.cloud.clock import epoch
from rehearsal.cloud.placement import Pool

PENDING = "pending-evaluation"
WHY_OPEN = {
    PENDING: "Your Spot request has been submitted for review, and is pending evaluation.",
    "capacity-not-available": "There is no Spot capacity available that matches your request.",
    "price-too-low": "Your Spot request price is lower than the minimum required Spot request fulfillment price.",
}
"""What AWS says of an open spot request, by its status code."""


@dataclass
class SpotRequest:
    """One instance's worth of a fleet."""

    id: str
    serial: int
    fleet: "SpotFleet"
    pool: Pool
    created: float
    state: str = "open"
    """AWS's: open, active, closed, cancelled."""
    code: str = PENDING
    message: str = WHY_OPEN[PENDING]
    updated: float = 0.0
    instance: Instance | None = None

    def become(self, state: str, code: str, message: str, now: float) -> None:
        self.state, self.code, self.message, self.updated = state, code, message, now


@dataclass(frozen=True)
class Event:
    """A line of the fleet request's history, in AWS's words."""

    at: float
    kind: str
    subtype: str
    text: str | None = None
    instance: str | None = None


@dataclass
class SpotFleet:
    id: str
    serial: int
    config: dict[str, Any]
    """SpotFleetRequestConfig with AWS's defaults."""
    pools: list[Pool]
    created: float
    state: str = "submitted"
    waiting: list[SpotRequest] = field(default_factory=list)
    """Open."""
    holding: list[SpotRequest] = field(default_factory=list)
    """With an instance that lives."""
    events: list[Event] = field(default_factory=list)
    broken: set[Pool] = field(default_factory=set)
    """Pools whose launch was refused; they are not tried again."""
    launched: float = 0.0
    """Units ever launched."""
    given_up: float = 0.0
    """Units whose open request was cancelled."""
    trouble: str = ""
    """Why it can't launch what is left; empty where nothing stands in the way."""
    expired: bool = False
    ended: float | None = None

    @property
    def refills(self) -> bool:
        return bool(self.config["Type"] == "maintain")

    @property
    def target(self) -> int:
        return int(self.config["TargetCapacity"])

    @property
    def fulfilled(self) -> float:
        return sum(request.pool.weight for request in self.holding)

    @property
    def missing(self) -> float:
        """Units that open requests must stand for."""
        return self.target - (self.fulfilled if self.refills else self.launched + self.given_up)

    @property
    def activity(self) -> str:
        """AWS's ActivityStatus."""
        if self.state == "cancelled_terminating":
            return "pending_termination"
        if self.waiting:
            return "error" if self.trouble else "pending_fulfillment"
        return "fulfilled"

    @property
    def valid_from(self) -> float:
        return epoch(self.config["ValidFrom"]) if "ValidFrom" in self.config else self.created

    @property
    def valid_until(self) -> float:
        return epoch(self.config["ValidUntil"]) if "ValidUntil" in self.config else math.inf

    def note(self, at: float, kind: str, subtype: str, text: str | None = None, instance: str | None = None) -> None:
        self.events.append(Event(at, kind, subtype, text, instance))

    def enter(self, state: str, at: float) -> None:
        self.state = state
        self.note(at, "fleetRequestChange", state)
