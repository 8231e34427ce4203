"""Which idle jobs machines may be asked for: those that a route has taken."""

from collections.abc import Sequence
from dataclasses import replace

from annex_core.model.demand import JobGroup
from annex_core.model.plan import GroupOutlook, Outlook

NOT_ROUTED = "waiting for the job router to take the job"


def admitted(groups: Sequence[JobGroup]) -> tuple[list[JobGroup], list[JobGroup]]:
    """
    Groups that a route has taken, and the others.

    The router takes a cluster job by job, at some hundreds a second: their like count with those that it has taken.
    """
    taken = {_shape(group) for group in groups if group.route is not None}
    parts: tuple[list[JobGroup], list[JobGroup]] = [], []
    for group in groups:
        parts[group.route is None and _shape(group) not in taken].append(group)
    return parts


def with_others(outlook: Outlook | None, others: Sequence[JobGroup], name: str) -> Outlook:
    """
    The outlook of an annex some of whose jobs no route has taken.

    Args:
        outlook: Of its other jobs, and its orders; None where it has none.
    """
    jobs = sum(group.idle for group in others)
    by_group = tuple(GroupOutlook(group, waiting=group.idle, why_not_more=NOT_ROUTED) for group in others)
    if outlook is None:
        return Outlook(f"Annex {name}: {NOT_ROUTED}.", jobs, NOT_ROUTED, groups=by_group)
    return replace(
        outlook,
        sentence=f"{outlook.sentence} Some jobs wait for the job router to take them.",
        waiting=outlook.waiting + jobs,
        reason="; ".join(each for each in (outlook.reason, NOT_ROUTED) if each),
        groups=(*outlook.groups, *by_group),
    )


def _shape(group: JobGroup) -> tuple[object, ...]:
    """What a route can tell like jobs apart by."""
    wants = group.cpus, group.memory_mib, group.disk_kib, group.gpus
    return (*wants, group.wishes, str(group.ad.get("Requirements")))
