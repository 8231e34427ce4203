"""Which of several machines jobs would rather have, by their Rank; what the machines cost was compared before."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple


class Word(NamedTuple):
    """What the jobs of one group say of a machine that they would be on."""

    rank: float
    weight: float
    """Of these jobs among all on the machine."""


def liked(machines: Sequence[Mapping[int, Word]]) -> list[float]:
    """
    How many of the others the jobs on each machine like less, on average.

    Ranks of two groups are of no common scale: only the order of one group's is looked at.

    Args:
        machines: By group what its jobs say; groups that don't care are left out.
    """
    return [_beaten(mine, machines) for mine in machines]


def _beaten(mine: Mapping[int, Word], machines: Iterable[Mapping[int, Word]]) -> float:
    weights = sum(word.weight for word in mine.values())
    others = [(group, word.rank) for each in machines for group, word in each.items() if group in mine]
    beaten = sum(mine[group].weight for group, rank in others if rank < mine[group].rank)
    return round(beaten / weights, 9) if weights else 0.0
