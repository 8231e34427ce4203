"""What AWS still shows of an annex: asked anew for whoever wants to know, and answered when it has answered."""

from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.regions import Regions
from annex_core.model import tags
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.tags import stamp

_GOOD_FOR = timedelta(minutes=1)


class Remains:
    """
    For one caller at a time.

    Args:
        hands: Of its own, for Hands are for one thread alone.
    """

    def __init__(
        self, *, regions: Regions, hands: Hands, pool: str, access_point: str, clock: Callable[[], datetime]
    ) -> None:
        self._regions = regions
        self._hands = hands
        self._pool = pool
        self._access_point = access_point
        self._clock = clock
        self._asked: dict[AnnexKey, tuple[datetime, dict[Place, Future[list[str]]]]] = {}

    def __call__(self, key: AnnexKey, *, living: bool) -> dict[str, Any]:
        """
        By `answers.remains` in schemas/request.json: the first call asks AWS, a later one tells.

        Raises:
            AnnexError: A region did not answer, or refused to.
        """
        now = self._clock()
        at, answers = self._asked.get(key, (now - 2 * _GOOD_FOR, {}))
        if now - at > _GOOD_FOR:
            at, answers = self._asked[key] = (
                now,
                {place: self._ask(place, key) for place in self._regions.places() if place.owner in {None, key.owner}},
            )
        if not all(answer.done() for answer in answers.values()):
            return {"as_of": None, "living": living, "left": []}
        del self._asked[key]
        left = [f"{each} in {place}" for place, answer in answers.items() for each in answer.result()]
        return {"as_of": stamp(at), "living": living, "left": left}

    def _ask(self, place: Place, key: AnnexKey) -> Future[list[str]]:
        cloud = self._regions[place].cloud
        wanted = {
            tags.POOL: self._pool,
            tags.ACCESS_POINT: self._access_point,
            tags.OWNER: key.owner,
            tags.NAME: key.name,
        }
        return self._hands.submit(place, Errand.LIST, partial(cloud.remains, wanted))
