"""What the daemon says on its socket. It answers from what it knows; it asks nobody while someone waits."""

import json
import logging
from collections.abc import Callable, Container
from datetime import datetime
from typing import Any

from annex_core.adapters.requests import VERBS, without_secrets
from annex_core.adapters.server import Call, Peer
from annex_core.adapters.wire import KeysWanted
from annex_core.daemon.asker import Asker
from annex_core.daemon.hearsay import Hearsay
from annex_core.daemon.key_desk import KeyDesk
from annex_core.errors import AnnexError, BadRequest, Refused
from annex_core.model import jobad
from annex_core.model.audit import Origin, Record, Who
from annex_core.model.names import AnnexKey, misnamed

_ASKED_FIRST = frozenset({"translate", "status", *VERBS})
"""Who says so has their keys asked for before anything else, where something of theirs needs them."""

log = logging.getLogger(__name__)


class Answers:
    """
    Args:
        outlook: The sentence for an annex's jobs as last decided, or None.
        status: The answer to a status request for one owner's annexes, or for all (None); and whether an
            administrator asks.
        foresee: Answers what changes nothing (plan, why): the verb, its body, who asks; its answer.
        costs: What annexes of an owner, or of all (None), have cost.
        command: Carries out what somebody asks by hand: the verb, its body, who asks; its answer.
        keys: Asks users for their own, and takes them.
        administrators: User names that see everybody's annexes.
        wake: Called when a hook has spoken: a cycle begins within a second.
        audit: Keeps who asked for what, and what came of it.
    """

    def __init__(
        self,
        *,
        hearsay: Hearsay,
        outlook: Callable[[AnnexKey], str | None],
        status: Callable[[str | None, bool], dict[str, Any]],
        costs: Callable[[str | None], dict[str, Any]],
        command: Callable[[str, bytes, Peer], dict[str, Any]],
        foresee: Callable[[str, bytes, Peer], dict[str, Any]],
        keys: KeyDesk,
        administrators: Container[str],
        wake: Callable[[], None],
        audit: Callable[[Record], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._hearsay = hearsay
        self._outlook = outlook
        self._status = status
        self._costs = costs
        self._command = command
        self._foresee = foresee
        self._keys = keys
        self._administrators = administrators
        self._wake = wake
        self._audit = audit
        self._clock = clock

    def __call__(self, call: Call) -> bytes:
        if call.verb in _ASKED_FIRST and call.peer.name:
            self._keys.first(call.peer.name)
        match call.verb:
            case "keys":
                return self._recorded(call, Origin.COMMAND, lambda: self._keys.answer(call))
            case "translate":
                return self._recorded(call, Origin.HOOK, lambda: self._translate(call))
            case "wake":
                self._wake()
                return b""
            case "status":
                return json.dumps(self._status(*self._wanted(call))).encode()
            case "costs":
                wanted, _ = self._wanted(call)
                return json.dumps(self._costs(wanted)).encode()
            case "plan" | "why":
                return json.dumps(self._foresee(call.verb, call.body, call.peer)).encode()
            case "remains":
                return json.dumps(self._command(call.verb, call.body, call.peer)).encode()  # it changes nothing
            case verb if verb in VERBS:
                return self._recorded(
                    call, Origin.COMMAND, lambda: json.dumps(self._command(verb, call.body, call.peer)).encode()
                )
            case _:
                return b""  # update, finalize and cleanup of a routed copy: the schedd tells the daemon all of it

    def _recorded(self, call: Call, origin: Origin, answer: Callable[[], bytes]) -> bytes:
        outcome = "failed"
        try:
            answered = answer()
            outcome = "ok"
        except KeysWanted:
            outcome = "asked for keys"
            raise
        except AnnexError as error:
            outcome = str(error)
            raise
        finally:
            annex, asked = _about(call)
            who = Who(call.peer.name, call.peer.uid, call.peer.pid)
            self._audit(Record(self._clock(), origin, call.verb, outcome, who, annex, asked=asked))
        return answered

    def _translate(self, call: Call) -> bytes:
        """The job with a fresh AnnexStatus; a plan is made within a second."""
        asked = jobad.split_translate(call.body)
        owner = jobad.string(asked.job, "Owner")
        refused = jobad.refusal(owner, call.peer.name)
        if refused:
            log.warning("translate from pid %d refused: %s", call.peer.pid, refused)
            raise Refused(f"The annex service takes no word from others about a job: {refused}.")
        name = jobad.string(asked.job, "TargetAnnexName")
        if owner is None or name is None:
            raise BadRequest("The job names no annex (TargetAnnexName).")
        if wrong := misnamed(name):
            raise BadRequest(wrong)
        key = AnnexKey(owner, name)
        self._keys.need(owner, asked.route)
        if asked.route:
            self._hearsay.hear(key, asked.route, self._clock())
        self._wake()
        sentence = self._outlook(key) or f"Annex {name}: the request has arrived; machines are being planned."
        return jobad.with_attributes(asked.job, {"AnnexStatus": jobad.literal(sentence)})

    def _wanted(self, call: Call) -> tuple[str | None, bool]:
        """
        Whose annexes are asked for, and whether by an administrator: those see whom they ask for or all, others
        themselves.
        """
        wanted, asker = _owner_wanted(call.body), Asker.of(call.peer, self._administrators)
        if not asker.administrator:
            if wanted not in (None, asker.name):
                raise Refused(f"only an administrator may see the annexes of {wanted}")
            wanted = asker.name
        return wanted, asker.administrator


def _about(call: Call) -> tuple[str | None, str | None]:
    """The annex that is spoken of, as owner/name, and what a command asked for; as far as it can be read."""
    if call.verb == "keys":
        return None, None  # whatever stands there may be one
    try:
        if call.verb == "translate":
            job = jobad.split_translate(call.body).job
            owner, name = jobad.string(job, "Owner"), jobad.string(job, "TargetAnnexName")
            return (f"{owner}/{name}" if name else None), None
        asked = json.loads(call.body)
        name = asked.get("name")
        return (f"{asked.get('owner') or call.peer.name}/{name}" if name else None), without_secrets(asked)
    except (ValueError, AttributeError, AnnexError):
        return None, None


def _owner_wanted(body: bytes) -> str | None:
    try:
        asked = json.loads(body or b"{}")
    except ValueError as error:
        raise BadRequest(f"a status request is JSON: {error}") from error
    if not isinstance(asked, dict) or not isinstance(asked.get("owner"), str | None):
        raise BadRequest('a status request is {} or {"owner": NAME}')
    return asked.get("owner")
