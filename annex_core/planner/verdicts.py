"""What one growth step decides for each group of idle jobs, kept as it is decided."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from annex_core.model.demand import JobGroup
from annex_core.model.plan import Asked, GroupOutlook
from annex_core.planner.rooms import Need

STEP_BY_STEP = "more are asked for step by step"
UNSETTLED = "they are not yet compared with every type of the route; that goes on"
TRIED_ALONE = "the last machines never joined the pool, and one is tried alone"


@dataclass
class _Verdict:
    jobs: int = 0
    asked: dict[tuple[str, ...], int] = field(default_factory=dict)
    why: str | None = None


class Verdicts:
    """Groups are told apart by identity: they are those of one snapshot."""

    def __init__(self) -> None:
        self._of: dict[int, _Verdict] = {}

    def take(
        self, group: JobGroup, types: tuple[str, ...], machines: int, jobs: int, *, why_not_more: str | None
    ) -> None:
        """
        Machines were asked for, or none.

        Args:
            jobs: Of the group, on each.
            why_not_more: What kept more from being asked for; None where nothing did.
        """
        verdict = self._of.setdefault(id(group), _Verdict())
        if machines:
            verdict.jobs += jobs * machines
            verdict.asked[types] = verdict.asked.get(types, 0) + machines
        verdict.why = why_not_more or verdict.why

    def hold(self, group: JobGroup, why: str) -> None:
        """No machines are to be asked for, for some of its jobs at least."""
        self._of.setdefault(id(group), _Verdict()).why = why

    def outlooks(self, groups: Iterable[JobGroup], needs: Sequence[Need], default: str) -> tuple[GroupOutlook, ...]:
        """
        Args:
            groups: All of the annex.
            needs: Jobs that found no room before the step asked for anything on their account.
            default: Why those wait of whom nothing was said.
        """
        lacking = {id(need.group): need.jobs for need in needs}
        return tuple(self._outlook(group, lacking.get(id(group), 0), default) for group in groups)

    def _outlook(self, group: JobGroup, lacking: int, default: str) -> GroupOutlook:
        verdict = self._of.get(id(group), _Verdict())
        served = min(verdict.jobs, lacking)
        waiting = lacking - served
        return GroupOutlook(
            group=group,
            placed=group.idle - lacking,
            served=served,
            asked=tuple(Asked(types, machines) for types, machines in verdict.asked.items()),
            waiting=waiting,
            why_not_more=(verdict.why or default) if waiting else None,
        )
