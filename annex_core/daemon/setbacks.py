"""Keep what AWS says no to, for all annexes and beyond a restart."""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_setbacks import SetbackBook
from annex_core.errors import NoCapacity
from annex_core.model.annex import Launch
from annex_core.model.supply import OpenRequest
from annex_core.planner.noes import subjects
from annex_core.planner.shortages import set_back, until
from annex_core.ports import Refusal

KEPT = timedelta(days=1)

_SHORT = {"capacity-not-available", "capacity-oversubscribed", "price-too-low"}
"""Status codes of spot requests that are open because there is nothing to fill them with, or not at the price."""

log = logging.getLogger(__name__)


def refusals(still_open: Iterable[OpenRequest]) -> list[Refusal]:
    """What the spot requests of one fleet say: it could have filled them out of any of its pools, and did of none."""
    codes = {each.status for each in still_open} & _SHORT
    return [Refusal(NoCapacity(", ".join(sorted(codes))))] if codes else []


def note(journal: Journal, launch: Launch, refusals: Iterable[Refusal], at: datetime) -> None:
    """Of a launch that brought less than it was to bring."""
    noes = dict(no for each in refusals for no in subjects(launch, each.error, each.type, each.zone))
    if not noes:
        return
    book = SetbackBook(journal)
    for each in book.add(noes.items(), at, set_back):
        log.warning("%s is left alone until %s: %s", each.subject, f"{until(each):%H:%M:%S} UTC", each.why)
    book.forget(at - KEPT)
