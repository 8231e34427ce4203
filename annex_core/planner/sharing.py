"""Annexes for anybody's jobs: whose jobs wait for one, instead of beginning an annex of their owner's."""

from annex_core.model.demand import JobCounts
from annex_core.model.names import ANYBODY, AnnexKey
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.holdings import Holding, holding
from annex_core.planner.ordering import shortfalls


def shared_with(key: AnnexKey, snapshot: Snapshot) -> Holding | None:
    """
    What the annex for anybody's jobs holds that these jobs wait for; None where they are to have one of their own.

    They have none yet, and that one takes jobs and has machines, or is to get some. It never grows for them: whoever
    created it pays for what was ordered, and no job of somebody else's makes it more.
    """
    annex = snapshot.annexes.get(AnnexKey(ANYBODY, key.name))
    if annex is None or key in snapshot.annexes or annex.ending or annex.lease_ends <= snapshot.aws_now(annex.place):
        return None
    held = holding(annex.key, annex, snapshot, volume_gib=Route.volume_gib)
    route = snapshot.routes.get(annex.route)
    ordered = route is not None and shortfalls(annex, route, snapshot)
    return held if held.instances or held.outstanding or ordered else None


def jobs_of(key: AnnexKey, snapshot: Snapshot) -> JobCounts:
    """The jobs that run or wait for an annex; for one that is for anybody's, of all who have none of that name."""
    if not key.shared:
        return snapshot.counts.get(key, JobCounts())
    its = [
        counts
        for each, counts in snapshot.counts.items()
        if each.name == key.name and (each == key or each not in snapshot.annexes)
    ]
    return JobCounts(
        idle=sum(each.idle for each in its),
        running=sum(each.running for each in its),
        at_home=sum(each.at_home for each in its),
        held=sum(each.held for each in its),
    )
