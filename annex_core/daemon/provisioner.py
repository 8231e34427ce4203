"""The loop: observe, recover, plan, act, say. One thread decides; a few others wait for AWS."""

import logging
import threading
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from annex_core.adapters.audit import because
from annex_core.adapters.journal import Journal
from annex_core.adapters.journal_costs import Ledger
from annex_core.adapters.order_book import OrderBook
from annex_core.daemon.asked import AskedLately
from annex_core.daemon.causes import cause
from annex_core.daemon.closing import Closing
from annex_core.daemon.deaths import Deaths
from annex_core.daemon.first_look import FirstLook
from annex_core.daemon.hands import Errand, Hands
from annex_core.daemon.launching import Launcher
from annex_core.daemon.observing import Observer
from annex_core.daemon.recovery import recover, send
from annex_core.daemon.regions import Regions
from annex_core.daemon.setbacks import note, refusals
from annex_core.errors import AnnexError
from annex_core.model.annex import Launch
from annex_core.model.limits import UNLIMITED, PoolLimits
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.plan import (
    Action,
    CancelFleets,
    CloseLaunch,
    DropFreeze,
    FinishAnnex,
    LaunchFleet,
    Outlook,
    Plan,
    Retag,
    Terminate,
)
from annex_core.model.route import Route
from annex_core.model.snapshot import Failure, Snapshot
from annex_core.model.wording import clause
from annex_core.planner.matching import Matcher
from annex_core.planner.plan import plan
from annex_core.ports import Queue

_SAY_AGAIN = timedelta(seconds=20)
"""Each new AnnexStatus is a write for every idle job: numbers that change often are told this often at most, and as
often jobs that came meanwhile are told."""

_GOOD_FOR = timedelta(minutes=2)
"""A plan to launch that has waited longer for a free hand is out of date."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipes:
    """The routes as last read, and what annexes may have together."""

    routes: Mapping[str, Route]
    refused: Mapping[str, str]
    limits: PoolLimits = UNLIMITED


@dataclass(frozen=True)
class Standing:
    """What the last cycle saw and decided; what status answers from."""

    snapshot: Snapshot
    plan: Plan
    failures: Mapping[str, str] = field(default_factory=dict)
    """Why the last try to act failed, by subject: an annex id for launches."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """What did not answer, and why."""


class Provisioner:
    """
    Args:
        ledger: What finished annexes have cost.
        hands: What actions are carried out by.
        wake: Called when a cycle has something to go on with before its time.
        matcher: Kept from plan to plan.
    """

    def __init__(
        self,
        *,
        observer: Observer,
        launcher: Launcher,
        journal: Journal,
        orders: OrderBook,
        ledger: Ledger,
        regions: Regions,
        queue: Queue,
        hands: Hands,
        matcher: Matcher,
        clock: Callable[[], datetime],
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._observer = observer
        self._launcher = launcher
        self._journal = journal
        self._orders = orders
        self._ledger = ledger
        self._regions = regions
        self._queue = queue
        self._clock = clock
        self._hands = hands
        self._first_look = FirstLook(launcher=launcher, regions=regions, clock=clock, wake=wake)
        self._matcher = matcher
        self._asked = AskedLately()
        self._closing = Closing()
        self._began = clock()
        self._unheard: dict[str, datetime] = {}
        """When launches without an outcome were last sent, by client token; by an earlier process: until this began."""
        self._deaths = Deaths(journal=journal, regions=regions, clock=clock)
        self._lock = threading.Lock()
        self._busy: dict[str, str] = {}
        self._asking: dict[str, tuple[datetime, tuple[LaunchFleet, ...]]] = {}
        self._failures: dict[str, Failure] = {}
        self._said: dict[AnnexKey, tuple[Outlook, datetime]] = {}
        self._standing: Standing | None = None

    @property
    def standing(self) -> Standing | None:
        """Of the last cycle, with what hands have still to ask for."""
        last, asking = self._standing, self._asked_for()
        return replace(last, snapshot=replace(last.snapshot, under_way=asking)) if last else None

    def cycle(self, recipes: Recipes) -> None:
        """
        One round.

        Raises:
            JournalBroken: Nothing was launched.
        """
        now = self._clock()
        asking = self._asked_for()  # before the journal is read, so that nothing is in neither
        snapshot = self._observer.snapshot(now, recipes.routes, recipes.refused, self._under_way())
        # What was under way when AWS was asked may have ended since, unseen by the answer: leave that alone.
        unseen = self._observer.unseen
        self._look_ahead()
        snapshot = replace(snapshot, pool_limits=recipes.limits, spent=self._ledger.spent(now))
        settled, again = recover(self._journal, snapshot, unseen | self._under_way().keys())
        for launch, document in again:
            task = partial(self._send_again, launch, document, snapshot)
            self._start(launch.annex, launch.place, Errand.LAUNCH, task)
        if settled:
            snapshot = replace(snapshot, launches=self._journal.launches(snapshot.annexes.values()))
        with self._lock:
            failed = dict(self._failures)
        routes = self._observer.used
        snapshot = replace(
            snapshot,
            failures=failed,
            unready=self._first_look.unready(routes),
            unseen_routes=self._first_look.under_way(routes),
            under_way=asking,
        )
        decided = plan(snapshot, self._matcher)
        self._act(decided.actions, snapshot, unseen)
        for place, gone in self._deaths.unexplained(snapshot).items():
            self._start(f"deaths in {place}", place, Errand.HISTORY, partial(self._deaths.explain, place, gone))
        for trouble in decided.troubles:
            if self._standing is None or trouble not in self._standing.plan.troubles:
                log.warning("%s", trouble)
        wanted = {_subject(action) for action in decided.actions}
        wanted |= {
            annex_id(key, access_point=snapshot.access_point)
            for key, outlook in decided.outlooks.items()
            if outlook.waiting
        }
        wanted |= {f"route {label}" for label in snapshot.unseen_routes}
        with self._lock:
            # What is wanted no more has not failed any more.
            self._failures = {what: failure for what, failure in self._failures.items() if what in wanted}
            failures = {what: clause(failure.why) for what, failure in self._failures.items()}
        self._standing = Standing(snapshot, decided, failures, self._observer.silent)
        self._say(decided, snapshot, failures)

    @property
    def hurried(self) -> bool:
        """AWS takes a machine back: its jobs will wait for another one within seconds."""
        return self._standing is not None and any(
            known.interrupted and known.gone is None for known in self._standing.snapshot.known
        )

    def outlook(self, key: AnnexKey) -> str | None:
        """The sentence for an annex's jobs, as last decided."""
        standing = self._standing
        outlook = standing.plan.outlooks.get(key) if standing else None
        return outlook.sentence if outlook else None

    def _look_ahead(self) -> None:
        for route in self._first_look.due(self._observer.used):
            self._start(f"route {route.label}", route.place, Errand.LAUNCH, partial(self._first_look.look, route))

    def _under_way(self) -> Mapping[str, str]:
        """Subjects of what is being done, and the place of each."""
        with self._lock:
            return dict(self._busy)

    def _asked_for(self) -> tuple[tuple[datetime, tuple[LaunchFleet, ...]], ...]:
        with self._lock:
            return tuple(self._asking.values())

    def _act(self, actions: Iterable[Action], snapshot: Snapshot, unseen: Container[str]) -> None:
        """Start all actions; those about one thing in their order, and none beside an earlier one about it."""
        by_subject: dict[str, list[Action]] = {}
        for action in actions:
            by_subject.setdefault(_subject(action), []).append(action)
        for subject, some in by_subject.items():
            if subject not in unseen:
                launches = tuple(action for action in some if isinstance(action, LaunchFleet))
                asks = (snapshot.at, launches) if launches else None
                self._start(subject, *_place(some[0]), partial(self._do_all, some, snapshot), asks)

    def _start(
        self,
        subject: str,
        place: str,
        errand: Errand,
        task: Callable[[], None],
        asks: tuple[datetime, tuple[LaunchFleet, ...]] | None = None,
    ) -> None:
        with self._lock:
            if subject in self._busy:
                return
            self._busy[subject] = place
            if asks:
                self._asking[subject] = asks
        self._hands.submit(place, errand, partial(self._carry_out, subject, task))

    def _carry_out(self, subject: str, task: Callable[[], None]) -> None:
        failure = None
        try:
            task()
        except AnnexError as error:
            log.error("%s: %s", subject, error)
            failure = str(error)
        except Exception:
            log.exception("%s", subject)
            failure = "condor_annexd failed on this; its log says how"
        with self._lock:
            del self._busy[subject]
            self._asking.pop(subject, None)
            before = self._failures.pop(subject, None)
            if failure:
                self._failures[subject] = Failure(failure, self._clock(), before.tries + 1 if before else 1)

    def _send_again(self, launch: Launch, document: str, snapshot: Snapshot) -> None:
        now, before = self._clock(), self._unheard.get(launch.token, max(launch.intended, self._began))
        with because(*cause(launch, snapshot)):
            sent = send(self._journal, self._regions, launch, document, now, self._clock, before=before)
        self._unheard.pop(launch.token, None)
        if sent:
            self._unheard[launch.token] = sent

    def _do_all(self, actions: Iterable[Action], snapshot: Snapshot) -> None:
        for action in actions:
            with because(*cause(action, snapshot)):
                self._do(action, snapshot)

    def _do(self, action: Action, snapshot: Snapshot) -> None:
        match action:
            case LaunchFleet() if self._clock() - snapshot.at > _GOOD_FOR:
                log.info("annex %s: its turn came too late; the next cycle plans anew", action.annex.key)
            case LaunchFleet() if self._lengthened(snapshot):
                log.info("annex %s: a lease was moved meanwhile; the next cycle plans anew", action.annex.key)
            case LaunchFleet():
                self._launcher.launch(action)
            case CloseLaunch(launch, why):
                cloud = self._regions[launch.place].cloud
                still_open = cloud.open_requests([launch.fleet or ""])
                note(self._journal, launch, refusals(still_open), self._clock())
                if still_open:
                    log.info("fleet %s: cancelling %d open requests, %s", launch.fleet, len(still_open), why)
                    cloud.cancel_open_requests([each.id for each in still_open])  # the next listing shows what it did
                    self._closing.cancelled(launch, [each.id for each in still_open])
                elif self._closing.is_over(launch, _brought(launch, snapshot), self._clock()):
                    self._journal.close_launch(launch.token, self._clock())
            case CancelFleets(place, fleets, terminate, why):
                log.info("cancelling %s: %s", ", ".join(fleets), why)
                _complain(self._regions[place].cloud.cancel_fleets(fleets, terminate=terminate))
            case Terminate(place, instances, why):
                if due := self._asked.due(instances, self._clock()):
                    self._deaths.before_ending(place, due, why, snapshot)
                    log.info("terminating %s: %s", ", ".join(due), why)
                    _complain(self._regions[place].cloud.terminate(due))
                    self._asked.note(due, self._clock())
            case Retag(annex, place, changes):
                for tags, ids in changes:
                    log.info("annex %s: %s of %s", annex.key, ", ".join(f"{k} = {v}" for k, v in tags), ", ".join(ids))
                    _complain(self._regions[place].cloud.retag(ids, dict(tags)))
            case DropFreeze(freeze):
                self._orders.thaw([freeze])
            case FinishAnnex(annex):
                self._launcher.finish(annex)
                log.info("annex %s has ended, and nothing of it is left", annex.key)

    def _lengthened(self, snapshot: Snapshot) -> bool:
        """Somebody has extended an annex since, and more is taken now of a budget that it may share."""
        return any(
            before is not None and annex.lease_ends > before.lease_ends
            for annex in self._journal.annexes()
            for before in [snapshot.annexes.get(annex.key)]
        )

    def _say(self, decided: Plan, snapshot: Snapshot, failures: Mapping[str, str]) -> None:
        self._said = {key: said for key, said in self._said.items() if snapshot.at - said[1] < _SAY_AGAIN}
        waiting = {group.key for group in snapshot.demand or ()}
        for key, outlook in decided.outlooks.items():
            if key not in waiting:
                continue
            failure = failures.get(annex_id(key, access_point=snapshot.access_point))
            if failure:
                outlook = replace(outlook, sentence=f"{outlook.sentence} The last try failed: {failure}.")
            before = self._said.get(key)
            if before and before[0].reason == outlook.reason:
                continue
            try:
                self._queue.say(key, outlook.sentence)
            except AnnexError as error:
                log.error("%s", error)
                continue
            self._said[key] = (outlook, snapshot.at)


def _brought(launch: Launch, snapshot: Snapshot) -> int:
    return sum(known.token == launch.token for known in snapshot.known)


def _subject(action: Action) -> str:
    """What an action is about: an annex by its id for launches, else the very things that are ended."""
    match action:
        case LaunchFleet(annex=annex):
            return annex.id
        case CloseLaunch(launch):
            return f"close {launch.token}"
        case CancelFleets(place, fleets):
            return f"cancel in {place}: {' '.join(fleets)}"
        case Terminate(place, instances):
            return f"terminate in {place}: {' '.join(instances)}"
        case Retag(annex, place):
            return f"retag {annex.id} in {place}"
        case DropFreeze(freeze):
            return f"drop the freeze of {freeze}"
        case FinishAnnex(annex):
            return f"finish {annex.key}"


def _place(action: Action) -> tuple[str, Errand]:
    """Where an action is carried out, and by which hands."""
    match action:
        case LaunchFleet(route=route):
            return route.place, Errand.LAUNCH
        case FinishAnnex(annex):
            return annex.place, Errand.LAUNCH
        case CloseLaunch(launch):
            return launch.place, Errand.END
        case CancelFleets(place) | Terminate(place):
            return place, Errand.END
        case Retag(place=place):
            return place, Errand.RETAG
        case DropFreeze():
            return "here", Errand.RETAG


def _complain(reasons: Mapping[str, str]) -> None:
    for what, why in reasons.items():
        log.error("%s stays: %s", what, why)
