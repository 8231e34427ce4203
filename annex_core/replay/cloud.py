"""A cloud that answers as AWS may: machines take their time to boot, types run short, spot machines are taken back."""

import random
import zlib
from dataclasses import dataclass
from datetime import timedelta

from annex_core.model.place import Place

_HOUR = 3600.0


@dataclass(frozen=True)
class CloudModel:
    """
    What the replay supposes of AWS.

    The same seed gives the same luck to every route and policy: whether a type is short at a moment doesn't depend on
    who asks, nor an owner's luck on what other owners do.
    """

    boot: timedelta = timedelta(minutes=2, seconds=30)
    """From the launch to the pool, in the mean."""
    boot_spread: float = 0.25
    """Its coefficient of variation."""
    shortage: float = 0.02
    """The share of hours in which a type can't be had on a region's Spot market."""
    interruptions: float = 0.01
    """Of a spot machine, an hour."""
    spot_share: float = 1.0
    """What a spot machine costs, as a share of the on-demand price; 1 where nobody knows better."""
    seed: int = 0

    def luck(self, owner: str) -> random.Random:
        """An owner's, from the beginning."""
        return random.Random(f"cloud {self.seed} {owner}")

    def boots_in(self, luck: random.Random) -> float:
        """Seconds."""
        mean = self.boot.total_seconds()
        return max(luck.gauss(mean, mean * self.boot_spread), mean / 4)

    def interrupted_in(self, luck: random.Random) -> float | None:
        """Seconds until the machine is taken back; None for never."""
        return luck.expovariate(self.interruptions / _HOUR) if self.interruptions > 0 else None

    def short_of(self, place: Place, kind: str, at: float) -> bool:
        """Does the Spot market of the place's region have none of the type in this hour?"""
        drawn = zlib.crc32(f"{self.seed} {place.region} {kind} {int(at // _HOUR)}".encode()) / 2**32
        return drawn < self.shortage
