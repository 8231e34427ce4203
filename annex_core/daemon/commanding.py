"""
What people ask of annexes by hand: create, extend, end, freeze, thaw, and what remains.

Answered at once from the last snapshot and the journal; the cycle that is woken does what was decided. Users reach
their own annexes, administrators all.
"""

import logging
import threading
import uuid
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from annex_core.adapters.fleet_files import completed
from annex_core.adapters.journal import Journal
from annex_core.adapters.order_book import OrderBook
from annex_core.adapters.requests import read
from annex_core.adapters.server import Peer
from annex_core.adapters.wire import AGAIN
from annex_core.daemon.asker import Asker
from annex_core.daemon.creating import Types, answer, check_rights, chosen, knowing, leased, longer, within_rights
from annex_core.daemon.inquiry import NO_ANSWER_YET
from annex_core.daemon.key_desk import KeyDesk
from annex_core.daemon.provisioner import Standing
from annex_core.daemon.remains import Remains
from annex_core.errors import BadRequest, JournalBroken, Refused
from annex_core.model.annex import Annex, Ending
from annex_core.model.limits import Spent
from annex_core.model.names import AnnexKey
from annex_core.model.order import Frozen, Order, Scope
from annex_core.model.place import Place
from annex_core.model.route import Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.model.wording import clause
from annex_core.planner.commands import (
    begun,
    by_aws,
    extended,
    joined,
    lease,
    of_an_order,
    quote,
)
from annex_core.planner.growth import closed_to

log = logging.getLogger(__name__)


class Commands:
    """
    Args:
        standing: What the last cycle saw and decided.
        default_route: ANNEX_DEFAULT_ROUTE, empty where it is not set.
        wake: A cycle begins within a second.
        spent: What finished annexes have cost by now.
    """

    def __init__(
        self,
        *,
        standing: Callable[[], Standing | None],
        journal: Journal,
        orders: OrderBook,
        remains: Remains,
        keys: KeyDesk,
        administrators: Container[str],
        default_route: str,
        wake: Callable[[], None],
        clock: Callable[[], datetime],
        types: Types,
        spent: Callable[[datetime], Sequence[Spent]],
        unique: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._standing = standing
        self._journal = journal
        self._orders = orders
        self._remains = remains
        self._keys = keys
        self._administrators = administrators
        self._default_route = default_route
        self._wake = wake
        self._clock = clock
        self._types = types
        self._spent = spent
        self._unique = unique
        self._one_at_a_time = threading.Lock()

    def __call__(self, verb: str, body: bytes, peer: Peer) -> dict[str, Any]:
        """
        Raises:
            Refused: The sentence says why; nothing was changed.
        """
        asked = read(verb, body)
        asker = Asker.of(peer, self._administrators)
        with self._one_at_a_time:  # of two creates the second is quoted beside the first one's order
            return self._carry_out(verb, asked, asker)

    def _carry_out(self, verb: str, asked: dict[str, Any], asker: Asker) -> dict[str, Any]:
        match verb:
            case "create":
                return self._create(asked, asker)
            case "remains":
                living = self._snapshot().annexes  # before the first look no place is known, and nothing would be left
                key = asker.key(asked, living)
                return self._remains(key, living=key in living)
            case "extend":
                done = [self._extend(asked, asker)]
            case "end":
                done = self._end(asked, asker)
            case "freeze":
                done = [self._freeze(self._frozen(asked, asker), asker)]
            case _:
                done = [self._thaw(self._frozen(asked, asker), asker)]
        self._wake()
        return {"done": done}

    def standing(self) -> Standing | None:
        """
        The last one, with what the journal has learned since: who waits for AWS to answer an order reads it at once,
        and not after the next cycle.
        """
        standing = self._standing()
        if standing is None:
            return None
        try:
            return replace(standing, snapshot=self._snapshot())
        except JournalBroken as error:
            log.warning("answered as things stood at the last look: %s", error)
            return standing

    def _snapshot(self) -> Snapshot:
        """The last one, with what the journal has learned since."""
        standing = self._standing()
        if standing is None:
            raise Refused(f"condor_annexd has only just started{AGAIN}")
        living = self._journal.annexes()
        return replace(
            standing.snapshot,
            annexes={annex.key: annex for annex in living},
            launches=self._journal.launches(living),
            orders=self._orders.orders(living),
            freezes=self._orders.freezes(),
            spent=self._spent(self._clock()),
        )

    def _unheard(self, place: Place) -> bool:
        """Whether AWS was asked there, and has neither answered nor failed."""
        standing = self._standing()
        return standing is not None and standing.silent.get(place) == NO_ANSWER_YET

    # More machines.

    def _create(self, asked: Mapping[str, Any], asker: Asker) -> dict[str, Any]:
        key, snapshot, now = asker.key(asked), self._snapshot(), self._clock()
        if key.owner == "root" and not asked.get("pilot"):
            raise Refused("root has no jobs, and an annex runs its owner's jobs alone; say whose it is with -owner")
        lives = snapshot.annexes.get(key)
        route = chosen(asked, snapshot, lives, self._default_route)
        asked, warnings = within_rights(asked, asker, route)
        check_rights(asked, asker, route)
        if closed := closed_to(key, route):
            raise Refused(closed)
        route = self._by_its_owner(route, key, asker)
        if route.place not in snapshot.regions and (route.place.owner or self._unheard(route.place)):
            raise Refused(f"AWS has not answered in {route.place} yet{AGAIN}")
        asked, notes = completed(asked, route)
        warnings += notes
        snapshot = knowing(asked.get("instance_types", ()), route.place, snapshot, self._types, warnings)
        if lives:
            warnings += joined(lives, asked)
            annex = longer(lives, asked, asker, snapshot, now, warnings)
        else:
            annex = begun(
                key, asked, route, snapshot, now, project=asked.get("project", asker.name if key.shared else key.owner)
            )
            annex = leased(annex, asked, asker)
        order = Order(
            id=self._unique(),
            annex=annex.id,
            placed=now,
            by=asker.name,
            instances=asked.get("instances", None if "slots" in asked else 1),
            slots=asked.get("slots"),
            overrides=of_an_order(asked),
            by_uid=asker.uid,
        )
        offered = quote(annex, order, snapshot)
        if not asked.get("dry_run"):
            if offered.reason:
                raise Refused(f"nothing was ordered for annex {key.name}: {clause(offered.reason)}")
            self._orders.place(annex, order)
            if lives and annex != lives:
                self._orders.keep_lease(annex)
            self._wake()
        return answer(annex, order, offered, now, warnings, lives=lives is not None, dry=bool(asked.get("dry_run")))

    def _by_its_owner(self, route: Route, key: AnnexKey, asker: Asker) -> Route:
        """
        The route as it is for a user, whose own keys it may go by.

        Raises:
            KeysWanted: That user asks, and they are not here.
            Refused: There are none, or AWS does not take them.
        """
        if not route.by_owner:
            return route
        if key.owner == asker.name:
            self._keys.need(key.owner, route.name)
        if why := self._keys.lacking(key.owner):
            raise Refused(f"route {route.name} goes by its users' own keys: {why}")
        return route.of(key.owner)

    # What there is.

    def _living(self, asked: Mapping[str, Any], asker: Asker, snapshot: Snapshot) -> Annex:
        key = asker.key(asked, snapshot.annexes)
        if key not in snapshot.annexes:
            raise Refused(f"there is no {key.spoken}" if key.shared else f"{key.owner} has no annex {key.name}")
        return snapshot.annexes[key]

    def _extend(self, asked: Mapping[str, Any], asker: Asker) -> str:
        snapshot, now = self._snapshot(), self._clock()
        annex = self._living(asked, asker, snapshot)
        until = lease(asked, by_aws(now, annex.place, snapshot))
        if until is None:
            raise BadRequest("extend: say until when")
        if why := self._out_of_reach(annex):
            raise Refused(f"the lease of annex {annex.key.name} stays as it is, for {why}")
        changed = leased(extended(annex, until, snapshot, now), asked, asker)
        self._orders.keep_lease(changed)
        sentence = f"the lease of annex {annex.key.name} ends at {stamp(changed.lease_ends)}"
        if changed.ends_at_latest != annex.ends_at_latest:
            sentence += f"; machines that it has now end at {stamp(annex.ends_at_latest)}, and others take their place"
        return sentence

    def _end(self, asked: Mapping[str, Any], asker: Asker) -> list[str]:
        snapshot, now = self._snapshot(), self._clock()
        how = Ending.NOW if asked.get("now") else Ending.DRAIN
        if "name" in asked:
            annexes = [self._living(asked, asker, snapshot)]
        elif asker.administrator:
            annexes = list(snapshot.annexes.values())
        else:
            raise Refused("only an administrator may end everybody's annexes")
        freezes = [
            Frozen(Scope.ANNEX, each.key.owner, each.key.name, now, asker.name, after_end=True) for each in annexes
        ]
        self._orders.end(annexes, how, freezes, now, asker.who)
        what = "is ended at once" if how is Ending.NOW else "gets no new job and ends when its running jobs have"
        return [f"{each.key.spoken} {what}{self._not_before(each)}" for each in annexes] or ["no annex lives"]

    def _not_before(self, annex: Annex) -> str:
        why = self._out_of_reach(annex)
        return f"; not before AWS can be asked, for {why}" if why else ""

    def _out_of_reach(self, annex: Annex) -> str | None:
        """Why AWS can't be told anything of an annex by its owner's keys; None where it can, and where others sign."""
        return self._keys.lacking(annex.place.owner) if annex.place.owner else None

    def _frozen(self, asked: Mapping[str, Any], asker: Asker) -> Frozen:
        since, by = self._clock(), asker.name
        if "name" in asked:
            key = asker.key(asked, {each.key for each in self._journal.annexes()})
            return Frozen(Scope.ANNEX, key.owner, key.name, since, by)
        if not asker.administrator:
            raise Refused("only an administrator may freeze or thaw more than an annex of their own")
        if "project" in asked:
            return Frozen(Scope.PROJECT, name=asked["project"], since=since, by=by)
        return Frozen(Scope.ALL, since=since, by=by)

    def _freeze(self, freeze: Frozen, asker: Asker) -> str:
        self._standing_freeze(freeze, asker)
        self._orders.freeze([freeze])
        return f"{freeze} is frozen: nothing is launched for it, and what runs stays"

    def _thaw(self, freeze: Frozen, asker: Asker) -> str:
        if not self._standing_freeze(freeze, asker):
            raise Refused(f"{freeze} is not frozen; condor_annex status names what is")
        self._orders.thaw([freeze])
        return f"{freeze} is frozen no more"

    def _standing_freeze(self, freeze: Frozen, asker: Asker) -> Frozen | None:
        """
        Raises:
            Refused: An administrator put it on a user's annex, who may not take it away.
        """
        found = next((each for each in self._orders.freezes() if each == freeze), None)
        if found and not found.after_end and found.by != asker.name and not asker.administrator:
            raise Refused(f"{found} was frozen by {found.by}; only an administrator may change that")
        return found
