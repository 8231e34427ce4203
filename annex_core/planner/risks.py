"""
How much dearer a type in a zone is than its price says: machines that AWS takes back, or that never join, cost too.

Each such machine of the last day counts, less by the hour, beside those that did their work; however many there were, a
price is taken for four times what it is at most, and a day later for what it is.
"""

from collections import defaultdict
from collections.abc import Container, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from annex_core.model.annex import KnownInstance
from annex_core.model.place import Place
from annex_core.model.route import Market
from annex_core.model.snapshot import Snapshot

REMEMBERED = timedelta(days=1)
DEAREST = Decimal(4)
_TRUST = 4.0
"""Machines that are taken to have done their work before the first one was seen: one loss alone says little."""


def risks(place: Place, market: Market, snapshot: Snapshot) -> Mapping[tuple[str, str], Decimal]:
    """What to multiply the price by, from 1 to DEAREST, by type and zone; one that is missing is 1."""
    pilots = {annex.id for annex in snapshot.annexes.values() if annex.pilot}
    lost = {known.id: ended for known in snapshot.known if (ended := _lost(known, pilots))}
    if not lost:
        return {}
    places = {launch.token: launch.place for launch in snapshot.launches}
    all_of_it: defaultdict[tuple[str, str], float] = defaultdict(float)
    lost_of_it: defaultdict[tuple[str, str], float] = defaultdict(float)
    for known in snapshot.known:
        if known.market is not market or not known.zone or places.get(known.token or "") != place:
            continue
        weight = min(1 - (snapshot.at - lost.get(known.id, known.launched)) / REMEMBERED, 1.0)
        if weight > 0:
            all_of_it[known.type, known.zone] += weight
            lost_of_it[known.type, known.zone] += weight if known.id in lost else 0.0
    shares = {pool: losses / (all_of_it[pool] + _TRUST) for pool, losses in lost_of_it.items() if losses}
    return {pool: min(1 / (1 - Decimal(share)), DEAREST) for pool, share in shares.items()}


def _lost(known: KnownInstance, pilots: Container[str]) -> datetime | None:
    """When AWS gave notice, or it ended without having joined; of pilots none is expected to join."""
    return known.interrupted or (known.gone if known.joined is None and known.annex not in pilots else None)
