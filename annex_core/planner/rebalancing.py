"""AWS's recommendation to move off a machine that it may take back soon: followed only as often as the route says."""

from datetime import timedelta

from annex_core.model import tags
from annex_core.model.annex import Annex
from annex_core.model.plan import Retag
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.retagging import tagged

_AN_HOUR = timedelta(hours=1)


def rebalanced(annex: Annex, route: Route, snapshot: Snapshot) -> list[Retag]:
    """
    Drain machines that AWS recommends to leave: their jobs run on, new ones find another machine.

    AWS recommends it of many machines that it never takes back, and of whole fleets at once: whoever follows each time
    buys a fleet anew and loses the work of none. Hence AnnexRebalance, the most machines of an annex that are drained
    for it in an hour; the ones that were told first come first.
    """
    mine = snapshot.known_of(annex)
    lately = sum(known.drained is not None and snapshot.at - known.drained < _AN_HOUR for known in mine)
    told = {slot.instance: slot.rebalance_at for slot in snapshot.slots_of(annex.key) if slot.rebalance_at}
    due = sorted(
        (told[known.id], known.id) for known in mine if known.id in told and known.gone is None and not known.leaving
    )
    some = tuple(id_ for _, id_ in due[: max(route.rebalance - lately, 0)])
    return tagged(annex, (tags.DRAINING, tags.stamp(snapshot.at)), some, snapshot)
