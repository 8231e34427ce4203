"""What all parts of one local cloud share."""

from dataclasses import dataclass, field
from threading import RLock

from rehearsal.cloud.clock import Clock
from rehearsal.cloud.faults import Faults
from rehearsal.cloud.settings import Settings


@dataclass
class World:
    account: str
    """AWS's account id: twelve digits."""
    seed: int = 0
    """Of everything that looks random: prices, jitter, which pool a fleet prefers."""
    settings: Settings = field(default_factory=Settings)
    clock: Clock = field(default_factory=Clock)
    faults: Faults = field(default_factory=Faults)
    lock: RLock = field(default_factory=RLock)
    """Held by whoever reads or changes moto's records or ours: moto itself is not made for threads."""
