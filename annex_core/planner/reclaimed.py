"""Where AWS has just taken Spot machines back it has none to spare: others are asked for in other zones."""

from collections.abc import Mapping
from datetime import timedelta

from annex_core.model.route import Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.planner.places import homes

_A_WHILE = timedelta(minutes=10)


def reclaimed(route: Route, snapshot: Snapshot) -> Mapping[tuple[str, str], str]:
    """
    Types in zones that a launch leaves out for a while, and why; shared by all annexes.

    A type keeps a zone: where it was taken back in all of them it is asked for as before, and the request itself tells
    whether there is any.
    """
    zones = route.zones(snapshot.zones.get(route.place, {}))
    if route.market is Market.ON_DEMAND or not zones:
        return {}
    lately = [known for known in snapshot.known if known.interrupted and snapshot.at - known.interrupted < _A_WHILE]
    if not lately:
        return {}
    annexes = {annex.id: annex for annex in snapshot.annexes.values()}
    home = {
        id_: place
        for name in dict.fromkeys(known.annex for known in lately if known.annex in annexes)
        for id_, place in homes(annexes[name], [known for known in lately if known.annex == name], snapshot).items()
    }
    taken = {(known.type, known.zone) for known in lately if home.get(known.id) == route.place}
    return {
        (name, zone): "AWS has just taken machines back there"
        for name, zone in taken
        if any((name, other) not in taken for other in zones)
    }
