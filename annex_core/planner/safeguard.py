"""Is it safe to launch in a region: is its reaper at work, is there a way home, and does no freeze at AWS forbid it?"""

from annex_core.model import tags
from annex_core.model.annex import Annex
from annex_core.model.route import Route
from annex_core.model.signs import FREEZE, FRESH
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import clause


def unsafe(annex: Annex, route: Route, snapshot: Snapshot) -> str | None:
    """
    Why nothing may be launched for an annex; the reaper guarantees that what is launched ends.

    Returns:
        A clause that stays the same while its reason does; None where nothing stands against it.
    """
    region, place = route.region, route.place
    unreachable = snapshot.unreachable.get(place)
    if unreachable and route.probe and not annex.pilot:
        return f"no machine in {region} would reach the annex collector: {clause(unreachable)}"
    signs = snapshot.signs.get(place)
    if signs is None:
        return (
            f"it is not known whether the reaper in {region} is at work: SSM does not answer" if route.reaper else None
        )
    if signs.malformed:
        return f"nobody can tell what is frozen in {region}, for {FREEZE} can't be read ({clause(signs.malformed)})"
    its = {
        tags.PROJECT: annex.project,
        tags.OWNER: annex.key.owner,
        tags.NAME: annex.key.name,
        tags.POOL: snapshot.pool,
    }
    frozen = [each for each in signs.freezes if each.covers(its)]
    if frozen:
        return f"{frozen[0]} is frozen in {region}, by {FREEZE}"
    if not route.reaper:
        return None
    if signs.heartbeat is None:
        return f"there is no reaper in {region}; an administrator has to run condor_annex setup -regions {region}"
    if snapshot.at - signs.heartbeat > FRESH:
        return (
            f"the reaper in {region} has left no heartbeat since {signs.heartbeat:%Y-%m-%d %H:%M} UTC; an administrator"
            f" has to run condor_annex check-setup -regions {region}"
        )
    return None
