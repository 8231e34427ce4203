"""What a replay asks its policy, and what it hears."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from annex_core.model.limits import PoolLimits
from annex_core.model.route import Route
from annex_core.replay.offers import Offer
from annex_core.replay.yard import Machine, Yard

if TYPE_CHECKING:
    from annex_core.replay.simulation import Simulation

INTERVAL_S = 60.0
"""ANNEXD_INTERVAL: between two plans at least."""


@dataclass(frozen=True)
class Ask:
    """Machines that a policy asks for."""

    offers: tuple[Offer, ...]
    """Of any of them, the first that there is."""
    count: int
    token: str
    yard: Yard


@dataclass
class Decision:
    asks: Sequence[Ask] = ()
    gives_up: Iterable[Machine] = ()
    """Machines to end now, busy or not."""
    again: float | None = None
    """When to ask next though nothing has changed; epoch seconds."""
    about: Sequence[Yard] = ()
    """The annexes that it is about, where it is not about the one alone."""


class Policy(Protocol):
    name: str
    limits: PoolLimits
    """What annexes may have together, as far as the policy knows of it."""

    def idle_timeout(self, route: Route) -> float:
        """Seconds after which a machine without a job leaves."""

    def decide(self, world: "Simulation", yard: Yard, now: float) -> Decision:
        """What is to be done about one annex, whose jobs or machines have changed, or that asked to be asked again."""

    def is_open(self, token: str) -> bool:
        """May what was asked for with this token still come?"""
