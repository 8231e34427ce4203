"""One annex in a replay: its waiting jobs, its machines, and what runs where."""

from collections import deque
from dataclasses import dataclass, field
from random import Random

from annex_core.model.annex import Annex, KnownInstance, Launch
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey
from annex_core.model.setback import Setback, Subject
from annex_core.model.supply import Instance, Slot
from annex_core.replay.offers import Offer


class Machine:
    """From the launch until it is gone."""

    __slots__ = (
        "cpus",
        "disk",
        "gpus",
        "id",
        "idle_since",
        "instance",
        "jobs",
        "kind",
        "known",
        "launched",
        "memory",
        "offer",
        "ready",
        "slot",
        "token",
        "up",
        "yard",
    )

    def __init__(self, id_: str, offer: Offer, yard: "Yard", token: str, launched: float, ready: float) -> None:
        self.id = id_
        self.offer = offer
        self.kind: InstanceType = offer.kind
        self.yard = yard
        self.token = token
        self.launched = launched
        self.ready = ready
        self.up = False
        """It has joined, and has not gone."""
        self.cpus = self.memory = self.disk = self.gpus = 0
        """What is free."""
        self.jobs: dict[int, float] = {}
        """What runs, and since when."""
        self.idle_since: float | None = None
        self.known: KnownInstance | None = None
        self.instance: Instance | None = None
        self.slot: Slot | None = None
        """What the planner was last shown of it, while that holds."""


@dataclass(eq=False)
class Yard:
    """An owner's annex, whether it lives just now or not."""

    key: AnnexKey
    luck: Random
    """Of its machines."""
    idle: dict[int, deque[int]] = field(default_factory=dict)
    """Waiting jobs by shape, the oldest first; no empty ones."""
    running: dict[int, int] = field(default_factory=dict)
    """How many run, by shape."""
    machines: dict[str, Machine] = field(default_factory=dict)
    """All that live, booting ones included."""
    free: dict[Machine, None] = field(default_factory=dict)
    """Those that have joined and have a CPU free."""
    blocked: set[int] = field(default_factory=set)
    """Shapes for which no free machine has room, until one has more."""
    annex: Annex | None = None
    """Its life, where the policy is the planner."""
    tags: dict[str, str] = field(default_factory=dict)
    """Of this life's machines."""
    launches: dict[str, Launch] = field(default_factory=dict)
    """By token; those that may bring machines, or have machines that live."""
    gone: list[KnownInstance] = field(default_factory=list)
    """Of this life."""
    lease_ends: float = float("inf")
    plan_at: float | None = None
    """When the policy is asked about it next."""
    planned: float = float("-inf")
    """When it was asked last."""
    short: dict[str, float] = field(default_factory=dict)
    """Tokens of what the cloud has none of, and since when."""
    obstacles: dict[str, str] = field(default_factory=dict)
    """Those of them that the planner has been told of, in AWS's words."""
    setbacks: dict[Subject, Setback] = field(default_factory=dict)
    """What it remembers of them."""
    vain: int = 0
    """How often it was asked in a row for nothing."""
    coming: int = 0
    """Machines asked for that the cloud has not begun."""

    @property
    def waiting(self) -> int:
        return sum(map(len, self.idle.values()))
