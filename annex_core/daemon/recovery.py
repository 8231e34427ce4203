"""Launches that were meant and have no outcome: the daemon died, or AWS did not answer."""

import logging
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from annex_core.adapters.journal import Journal
from annex_core.daemon.regions import Regions
from annex_core.daemon.setbacks import note
from annex_core.errors import AnnexError, NoCapacity, NotPermitted, OverQuota, Refused
from annex_core.model.annex import KnownInstance, Launch, LaunchState, Obstacle
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.wording import clause
from annex_core.planner.resending import barred
from annex_core.planner.strangers import SETTLED
from annex_core.ports import Launched, Refusal

RESEND_FOR = timedelta(minutes=30)
"""For so long AWS is trusted to know a client token; past it, only its listing is."""

UNDONE = {LaunchState.REFUSED, LaunchState.LOST}

FINAL = (NoCapacity, NotPermitted, OverQuota, Refused)
"""Answers after which nothing can come of a launch."""

log = logging.getLogger(__name__)


def recover(journal: Journal, snapshot: Snapshot, launching: Container[str]) -> tuple[bool, list[tuple[Launch, str]]]:
    """
    Settle each launch without a fleet by AWS's listing where it shows the client token, one that was given up too, and
    give up as lost what is too old to be sent again and was not listed since.

    Args:
        launching: Annex ids with a launch under way in this process.

    Returns:
        Whether anything was settled, so that the snapshot's launches are out of date; and the launches to send again,
        each with its document: while AWS still knows the token, the same bytes can't launch twice. AWS may not have
        heard of it at all: what would be too much by now is not sent again, and counts as coming until it is settled.
    """
    settled = False
    again = []
    wanted = {
        annex.id: annex
        for annex in snapshot.annexes.values()
        if annex.lease_ends > snapshot.aws_now(annex.place) and not annex.ending
    }
    for launch in snapshot.launches:
        if launch.state in UNDONE and (shown := _shown(launch, snapshot)):
            log.warning("%s was given up as %s, and AWS shows it", shown, launch.state)
            journal.settle(launch.token, LaunchState.REQUESTED, fleet=shown.fleet)
            settled = True
    unanswered = list(journal.unanswered())
    too_much = barred([(each, wanted[each.annex]) for each, _ in unanswered if each.annex in wanted], snapshot)
    for launch, document in unanswered:
        if launch.annex in launching or launch.place not in snapshot.regions:
            continue
        age = snapshot.at - launch.intended
        if shown := _shown(launch, snapshot):
            log.info("%s answers for client token %s", shown, launch.token)
            journal.settle(launch.token, LaunchState.REQUESTED, fleet=shown.fleet)
            settled = True
        elif age < RESEND_FOR and launch.annex in wanted:
            if launch.token in too_much:
                log.warning("client token %s is not sent again: %s", launch.token, too_much[launch.token])
            else:
                again.append((launch, document))
        elif age >= RESEND_FOR + SETTLED:
            log.warning("client token %s is in no listing of %s; given up", launch.token, launch.place)
            journal.settle(launch.token, LaunchState.LOST, reason="AWS never answered and lists no such fleet")
            settled = True
    return settled, again


@dataclass(frozen=True)
class _Shown:
    """What of a launch AWS lists: its fleet request, or where there is none or none is listed, a machine."""

    id: str
    fleet: str | None

    def __str__(self) -> str:
        return f"fleet {self.fleet}" if self.fleet else f"instance {self.id}"


def _shown(launch: Launch, snapshot: Snapshot) -> _Shown | None:
    view = snapshot.regions.get(launch.place, RegionView())
    fleets = (_Shown(each.id, each.id) for each in view.fleets if each.live and each.client_token == launch.token)
    machines = (_Shown(each.id, each.fleet) for each in view.instances if each.client_token == launch.token)
    return next(fleets, None) or next(machines, None)


def send(
    journal: Journal,
    regions: Regions,
    launch: Launch,
    document: str,
    now: datetime,
    clock: Callable[[], datetime],
    *,
    before: datetime | None = None,
) -> datetime | None:
    """
    Send a launch's document, the first time or again, and write down what came of it.

    Without an outcome the launch stays unanswered, and counts as coming. A refusal is no outcome as long as an earlier
    sending may have acted and no listing shows it yet.

    Args:
        now: When it is sent.
        clock: Tells when the answer has come.
        before: When it was last sent that nobody heard of; None: never.

    Returns:
        When it was last sent and may have acted, where the outcome is still open.
    """
    try:
        launched = regions[launch.place].cloud.request(document)
    except FINAL as error:
        if before and now - before < SETTLED:
            log.error(
                "client token %s, sent again, is refused; an earlier sending may have acted: %s", launch.token, error
            )
            return before
        log.error("AWS refused %d of %s for %s: %s", launch.target, ", ".join(launch.types), launch.annex, error)
        journal.settle(launch.token, LaunchState.REFUSED, reason=str(error), obstacle=obstacle([error]))
        note(journal, launch, [Refusal(error)], clock())
    except AnnexError as error:
        log.error("no outcome for client token %s yet: %s", launch.token, error)
        return now
    else:
        _take(journal, launch, launched, now)
        note(journal, launch, launched.refusals, clock())
    return None


def _take(journal: Journal, launch: Launch, launched: Launched, now: datetime) -> None:
    """Machines that an answer names are held from then on: a listing may show them only minutes later."""
    came = [
        KnownInstance(id_, launch.annex, launch.token, type_, now, launch.hourly_ceiling)
        for id_, type_ in launched.instances.items()
    ]
    journal.settle(
        launch.token,
        LaunchState.REQUESTED,
        fleet=launched.fleet,
        reason="; ".join(map(clause, dict.fromkeys(map(str, launched.errors)))) or None,
        obstacle=obstacle(launched.errors),
        closed=now if launched.complete else None,
        instances=came,
    )
    log.info(
        "%s: %d of %s for %s%s",
        f"fleet {launched.fleet}" if launched.fleet else f"client token {launch.token}",
        launch.target,
        ", ".join(launch.types),
        launch.annex,
        f", of which {len(came)} came" if launched.complete else "",
    )
    for error in launched.errors:
        log.warning("%s for %s: %s", launch.token, launch.annex, error)


def obstacle(errors: Iterable[AnnexError]) -> Obstacle | None:
    """The kind of what stood in the way; where there are several, the one that waiting for capacity won't cure."""
    kinds = {
        Obstacle.CAPACITY
        if isinstance(error, NoCapacity)
        else Obstacle.QUOTA
        if isinstance(error, OverQuota)
        else Obstacle.REFUSAL
        for error in errors
    }
    return next((kind for kind in (Obstacle.REFUSAL, Obstacle.QUOTA, Obstacle.CAPACITY) if kind in kinds), None)
