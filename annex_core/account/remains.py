"""What is still there: annexes that live, and what a teardown left."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from annex_core.account.components import role_region
from annex_core.model import tags

LAUNCH_TEMPLATE = "launch-template"


@dataclass(frozen=True, order=True)
class Thing:
    kind: str
    """As EC2 calls it, else bucket, role or stack."""
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Living:
    """Any pool's: the components are the account's. Tags by id."""

    instances: Mapping[str, Mapping[str, str]]
    fleets: Mapping[str, Mapping[str, str]]

    def annexes(self) -> Iterator[str]:
        """A line for each annex: alice's blue (pool ap.example.org): 3 instances, 1 fleet request."""
        instances = Counter(map(_annex, self.instances.values()))
        fleets = Counter(map(_annex, self.fleets.values()))
        for annex in sorted(instances | fleets):
            counts = [
                f"{count} {word}{'' if count == 1 else 's'}"
                for count, word in ((instances[annex], "instance"), (fleets[annex], "fleet request"))
                if count
            ]
            yield f"{annex}: {', '.join(counts)}"


def _annex(its: Mapping[str, str]) -> str:
    return f"{its.get(tags.OWNER, '?')}'s {its.get(tags.NAME, '?')} (pool {its.get(tags.POOL, '?')})"


def left(tagged: Iterable[Thing], others: Iterable[Thing], living: Living) -> list[Thing]:
    """AWS shows the tags of what has ended for hours; whether instances and fleets live, *living* knows."""
    alive = {"instance": living.instances, "spot-fleet-request": living.fleets}
    return [*(thing for thing in tagged if thing.kind not in alive or thing.name in alive[thing.kind]), *others]


def elsewhere(roles: Iterable[str], looked_at: Iterable[str]) -> dict[str, list[str]]:
    """
    Roles of ours by region, of regions that nobody has looked at: of what we make, IAM shows those of all regions.

    Args:
        roles: The names of all that the account has.
    """
    found: dict[str, list[str]] = {}
    here = {*looked_at}
    for role in sorted(roles):
        if (region := role_region(role)) and region not in here:
            found.setdefault(region, []).append(role)
    return dict(sorted(found.items()))


def orphaned_templates(tagged: Iterable[Thing]) -> list[str]:
    """Launch templates of annexes that are no more; only to be asked when none lives."""
    return [thing.name for thing in tagged if thing.kind == LAUNCH_TEMPLATE]
