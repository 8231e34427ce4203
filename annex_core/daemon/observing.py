"""Take a snapshot: ask the pool and AWS, and mark what did not answer as not known."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_learned import LearnedBook
from annex_core.adapters.journal_setbacks import SetbackBook
from annex_core.adapters.order_book import OrderBook
from annex_core.connectivity.advice import obstacle
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.inquiry import NO_ANSWER_YET, Inquiry, Kept
from annex_core.daemon.keyring import KeyRing
from annex_core.daemon.losses import Losses
from annex_core.daemon.quotes import Quotes
from annex_core.daemon.regions import Regions
from annex_core.daemon.setbacks import KEPT, note
from annex_core.daemon.steady import Steady
from annex_core.errors import AnnexError, NotPermitted
from annex_core.model.annex import Annex, Launch
from annex_core.model.demand import JobGroup
from annex_core.model.hardware import InstanceType
from annex_core.model.outcomes import Outcomes
from annex_core.model.place import Place
from annex_core.model.route import Route
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.planner.caps import tightened
from annex_core.planner.holdings import overdue, remember, with_memory
from annex_core.planner.learned import observed
from annex_core.planner.noes import lifted
from annex_core.planner.places import once
from annex_core.planner.strangers import Sighting, adopt, sighting, strangers
from annex_core.ports import Queue, Slots, Trouble

T = TypeVar("T")

_PATIENCE = timedelta(seconds=5)
"""AWS answers within two; for a region that takes longer, the others don't wait."""

_FRESH = timedelta(minutes=1)
"""A listing that was asked for longer ago is not acted on."""

_SIGNS_STAY = timedelta(minutes=1)
"""What a region's reaper and a freeze at AWS told is not asked for again before."""

_BARRED_STAYS, _WAY_STAYS = timedelta(minutes=2), timedelta(hours=1)
"""Nor whether the collector can be reached from a region: it could not, or it could."""

_WORDS_STAY = timedelta(hours=1)
"""What a fleet's history tells is for people to read: it is never waited for, and told a cycle later."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Listing:
    """What a place answered."""

    asked: datetime
    under_way: frozenset[str]
    """Subjects of what was being done there when it was asked: the view may show it or not."""
    view: RegionView
    types: Mapping[str, InstanceType]
    """Those that routes and view speak of, as far as it has them."""


class Observer:
    """
    Args:
        hands: What waits for AWS.
        late: Called when a region has answered for which the last snapshot did not wait.
        pool: The value of the htcondor:Pool tag.
        domain: ANNEX_DOMAIN.
        trust_domain: Of this pool's collectors.
        outcomes: What became of the jobs on each machine.
    """

    def __init__(
        self,
        *,
        queue: Queue,
        slots: Slots,
        regions: Regions,
        hands: Hands,
        late: Callable[[], None],
        journal: Journal,
        orders: OrderBook,
        hearsay: Hearsay,
        keyring: KeyRing,
        quotes: Quotes,
        pool: str,
        access_point: str,
        domain: str,
        trust_domain: str,
        outcomes: Callable[[], Mapping[str, Outcomes]] = dict,
        patience: timedelta = _PATIENCE,
    ) -> None:
        self._queue = queue
        self._slots = slots
        self._regions = regions
        self._hands = hands
        self._journal = journal
        self._orders = orders
        self._setbacks = SetbackBook(journal)
        self._learned = LearnedBook(journal)
        self._hearsay = hearsay
        self._losses = Losses(journal)
        self._keyring = keyring
        self._outcomes = outcomes
        self._quotes = quotes
        self._pool = pool
        self._access_point = access_point
        self._domain = domain
        self._trust_domain = trust_domain
        self._slots_since: datetime | None = None
        self._sightings: dict[Place, Sighting | None] = {}
        self._listings = Inquiry[Listing](patience=patience, good_for=_FRESH, late=late)
        self._histories = Inquiry[Trouble](patience=timedelta(0), good_for=_WORDS_STAY)
        self._obstacles: dict[str, str] = {}
        self._steady = Steady()
        self._puzzles: dict[str, str] = {}
        """Answers that can't be read, and how they were last told of."""
        self._reading = Inquiry[Signs](patience=patience, good_for=_FRESH, late=late)
        self._signs = Kept[Signs](lambda _: _SIGNS_STAY)
        self._probing = Inquiry[str](patience=patience, good_for=_FRESH, late=late)
        self._barred = Kept[str](lambda why: _BARRED_STAYS if why else _WAY_STAYS)
        """Why the collector can't be reached from a region; empty where it can, or nobody there can be asked."""
        self.used: Sequence[Route] = ()
        """The routes that AWS can be asked by, as they are for each user where they go by users' keys."""
        self.silent: Mapping[str, str] = {}
        """What did not answer for the last snapshot, and why."""
        self.unseen: frozenset[str] = frozenset()
        """Subjects of what was under way when the regions of the last snapshot were asked."""

    def snapshot(
        self,
        now: datetime,
        routes: Mapping[str, Route],
        refused: Mapping[str, str],
        under_way: Mapping[str, str],
    ) -> Snapshot:
        """
        Args:
            under_way: Subjects of what is being done, and the place of each.
        """
        silent: dict[str, str] = {}
        forbidden: set[str] = set()

        def ask(what: str, question: Callable[[], T]) -> T | None:
            try:
                answer = question()
            except AnnexError as error:
                silent[what] = str(error)
                if isinstance(error, NotPermitted):
                    forbidden.add(what)
            except Exception as error:
                if self._puzzles.get(what) != repr(error):
                    log.exception("%s", what)
                self._puzzles[what] = repr(error)
                silent[what] = f"its answer can't be read ({type(error).__name__}); condor_annexd's log says more"
            else:
                self._puzzles.pop(what, None)
                return answer
            return None

        def ask_all(
            inquiry: Inquiry[T], questions: Mapping[str, Callable[[], Future[T]]], meanwhile: str | None = None
        ) -> dict[str, T]:
            answers = inquiry.ask(questions, now)
            for what in questions.keys() - answers.keys():
                if why := self.silent.get(what, meanwhile):
                    silent[what] = why
            found = {what: ask(what, answer.result) for what, answer in answers.items()}
            return {what: answer for what, answer in found.items() if answer is not None}

        annexes = self._journal.annexes()
        # Slots, then all jobs, then those that wait: one that starts in between is served, not one machine more to buy.
        slots = ask("slots", self._slots.slots)
        self._slots_since = None if slots is None else min(self._slots_since or now, now)
        jobs = ask("queue", lambda: (self._queue.counts(), self._hearsay.routed(self._queue.demand(now), now)))
        counts, demand = jobs or ({}, None)
        used = self._bound(routes, annexes, demand or (), now)
        clashes = self._regions.follow(used, annexes, self._journal.places(annexes))
        here = self._regions.places()
        places = [place for place in here if not place.owner or not self._keyring.empty(place.owner)]
        self.used = [route for route in used if route.place in places]
        self._quotes.refresh(self.used, now)
        ordered = {place: self._ordered(annexes, place) for place in places}
        listed = ask_all(
            self._listings,
            {place: partial(self._ask, place, used, ordered[place], now, under_way) for place in places},
            meanwhile=NO_ANSWER_YET,
        )
        listings = {place: listed[place] for place in places if place in listed}
        unread = self._signs.stale([route.place for route in self.used if route.reaper], now)
        read = ask_all(self._reading, {f"signs in {place}": partial(self._read, place, now) for place in unread})
        unasked = self._barred.stale([route.place for route in self.used if route.reaper and route.probe], now)
        asked = ask_all(self._probing, {f"the function in {place}": partial(self._probe, place) for place in unasked})
        for place in places:
            if (what := f"signs in {place}") in read:
                self._signs.keep(place, read[what], now)
            if (what := f"the function in {place}") in asked:
                self._barred.keep(place, asked[what], now)
        self.unseen = frozenset().union(*(listing.under_way for listing in listings.values()))
        for place in places:
            if place.owner and (place in listings or place in forbidden):
                self._keyring.answered(place.owner, silent.get(place))
        frozen = {place: f"AWS does not answer in {place}: {silent[place]}" for place in places if place in silent}
        frozen |= {place: why for place in here if place.owner and (why := self._keyring.lacking(place.owner))}
        steady = {place: self._steady(place, listing.view, slots or (), now) for place, listing in listings.items()}
        views = once(steady, annexes)
        for place, view in views.items():
            why = self._strange(place, view, listings[place].asked)
            if why:
                frozen[place] = why
        living = self._journal.annexes()
        snapshot = Snapshot(
            at=min([now, *(listing.asked for listing in listings.values())]),
            demand=demand,
            slots_since=self._slots_since,
            counts=counts,
            slots=slots,
            regions=views,
            routes={name: route for name, route in routes.items() if name not in clashes},
            refused_routes={**refused, **clashes},
            types={place: listing.types for place, listing in listings.items()},
            prices=self._quotes.prices(now),
            offered=self._quotes.offered(),
            zones={place: self._regions[place].cloud.known_zones() for place in listings},
            annexes={annex.key: annex for annex in living},
            launches=self._journal.launches(living),
            known=self._journal.instances(living),
            deaths=self._journal.deaths(living),
            frozen=frozen,
            signs=self._signs.answers(),
            unreachable={place: why for place, why in self._barred.answers().items() if why},
            setbacks=self._setbacks.setbacks(now - KEPT),
            outcomes=self._outcomes(),
            learned=self._learned.learned(),
            images=self._learned.images(),
            orders=self._orders.orders(living),
            freezes=self._orders.freezes(),
            domain=self._domain,
            access_point=self._access_point,
            pool=self._pool,
        )
        changed = remember(snapshot)
        self._journal.remember(changed)
        snapshot = tightened(with_memory(snapshot, changed))
        if found := observed(snapshot):
            self._learned.learn(found)
            for (kind, image), has in found.items():
                log.info("machines of type %s and image %s have %s", kind, image, has)
            snapshot = replace(snapshot, learned={**snapshot.learned, **found})
        self._setbacks.lift(lifted(snapshot))
        for annex in living:
            if snapshot.annexes[annex.key] != annex:
                self._journal.keep_limits(snapshot.annexes[annex.key])
        if since := self._losses.since(snapshot):
            self._losses.keep(snapshot, ask("evictions", partial(self._queue.evictions, since)) or ())
        late = {f"history of {launch.fleet} in {launch.place}": launch for launch in overdue(snapshot)}
        told = ask_all(self._histories, {what: partial(self._ask_why, launch) for what, launch in late.items()})
        for what, trouble in told.items():
            launch = late[what]
            if launch.token not in self._obstacles:
                note(self._journal, launch, trouble.refusals, now)
            self._obstacles[launch.token] = trouble.words
        wanted = {launch.token for launch in late.values()}
        self._obstacles = {token: why for token, why in self._obstacles.items() if why and token in wanted}
        self._report(silent)
        return replace(snapshot, obstacles=dict(self._obstacles), lost=self._journal.lost(living))

    def _bound(
        self, routes: Mapping[str, Route], annexes: Iterable[Annex], demand: Iterable[JobGroup], now: datetime
    ) -> list[Route]:
        """The routes; those by their owners' keys once for each user who needs them, as they are for that user."""
        by_owner = {name for name, route in routes.items() if route.by_owner}
        by_owner |= {name for name, route in routes.items() if not by_owner.isdisjoint(route.fallback)}
        needed = {annex.place.owner for annex in annexes if annex.place.owner}
        needed |= {group.key.owner for group in demand if group.route in by_owner}
        self._keyring.need(needed, now)
        users = sorted(self._keyring.owners())
        return [
            bound
            for route in routes.values()
            for bound in ([route.of(user) for user in users if route.open_to(user)] if route.by_owner else [route])
        ]

    def _ask(
        self, place: Place, routes: Iterable[Route], ordered: Iterable[str], now: datetime, under_way: Mapping[str, str]
    ) -> Future[Listing]:
        here = frozenset(subject for subject, where in under_way.items() if where == place)
        names = {each for route in routes if route.place == place for each in route.instance_types} | {*ordered}
        return self._hands.submit(place, Errand.LIST, lambda: Listing(now, here, *self._list(place, names)))

    def _ordered(self, annexes: Iterable[Annex], place: Place) -> frozenset[str]:
        """Instance types that somebody asked for by hand, whatever the routes say."""
        orders = self._orders.orders([annex for annex in annexes if annex.place == place])
        return frozenset(name for order in orders for name in order.overrides.get("instance_types", ()))

    def _list(self, place: Place, names: Iterable[str]) -> tuple[RegionView, Mapping[str, InstanceType]]:
        cloud = self._regions[place].cloud
        instances, fleets = cloud.instances(self._pool), cloud.fleets(self._pool)
        view = RegionView(instances=instances, fleets=fleets, ahead=cloud.ahead())
        kinds = cloud.instance_types(sorted({*names, *(instance.type for instance in view.instances)}))
        prices = self._quotes.on_demand(place, kinds)
        return view, {each: replace(kind, on_demand=prices.get(each)) for each, kind in kinds.items()}

    def _read(self, place: Place, now: datetime) -> Future[Signs]:
        return self._hands.submit(place, Errand.SIGNS, lambda: self._regions[place].signs.read(now))

    def _probe(self, place: Place) -> Future[str]:
        def ask() -> str:
            return obstacle(self._regions[place].prober.ask() or (), self._trust_domain) or ""

        return self._hands.submit(place, Errand.PROBE, ask)

    def _ask_why(self, launch: Launch) -> Future[Trouble]:
        """What keeps AWS from filling a launch; without words when its history tells of nothing."""
        cloud = self._regions[launch.place].cloud
        return self._hands.submit(
            launch.place,
            Errand.HISTORY,
            lambda: cloud.fleet_trouble(launch.fleet or "", launch.intended) or Trouble(""),
        )

    def _strange(self, place: Place, view: RegionView, now: datetime) -> str | None:
        """Why nothing may be launched where AWS shows what the journal can't explain; adopts it once settled."""
        annexes = {annex.key: annex for annex in self._journal.annexes()}
        known = self._journal.launches(annexes.values())
        fleets, instances = strangers(view, annexes, known, access_point=self._access_point)
        ids = [fleet.id for fleet in fleets] + [instance.id for instance in instances]
        seen = self._sightings[place] = sighting(self._sightings.get(place), ids, now)
        if seen is None:
            return None
        if not seen.settled(now):
            return f"{place} shows {len(ids)} fleets and machines that the journal does not know; waiting to be sure"
        begun, launches = adopt(place, fleets, instances, annexes, access_point=self._access_point)
        log.warning("taking %s into the journal, which did not know them; they end with their lease", ", ".join(ids))
        for annex in begun:
            self._journal.begin(annex)
        for launch in launches:
            self._journal.adopt(launch)
        del self._sightings[place]
        return None

    def _report(self, silent: Mapping[str, str]) -> None:
        for what, why in silent.items():
            if self.silent.get(what) != why:
                log.error("%s: %s", what, why)
        for what in self.silent:
            if what not in silent:
                log.info("%s answers again", what)
        self.silent = silent
