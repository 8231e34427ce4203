"""Listings of AWS's, steadied: what runs may be missing in one answer and be there in the next."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from annex_core.model.place import Place
from annex_core.model.snapshot import RegionView
from annex_core.model.supply import Instance, Slot
from annex_core.planner.holdings import LISTED_SURELY


class Steady:
    """Remembers what each place has shown."""

    def __init__(self) -> None:
        self._shown: dict[Place, Mapping[str, Instance]] = {}
        self._missed: dict[str, datetime] = {}

    def __call__(self, place: Place, view: RegionView, slots: Iterable[Slot], now: datetime) -> RegionView:
        """
        With machines that it leaves out and showed before, as long as their slots are still in the collector and it is
        no minute since they were missed first: they cost money, and run jobs. What AWS takes back may be gone at once.
        """
        speaking = {slot.instance for slot in slots if slot.interrupted_at is None}
        listed = {each.id for each in view.instances}
        out = [each for each in self._shown.get(place, {}).values() if each.id not in listed and each.id in speaking]
        since = {each.id: self._missed.get(each.id, now) for each in out}
        kept = [each for each in out if abs(now - since[each.id]) < LISTED_SURELY]
        self._missed = {id_: at for id_, at in self._missed.items() if id_ not in listed} | since
        whole = replace(view, instances=(*view.instances, *kept)) if kept else view
        self._shown[place] = {each.id: each for each in whole.instances}
        return whole
