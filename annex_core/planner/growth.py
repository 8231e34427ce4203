"""One annex: what it may ask for now, and the sentence that says why not more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from annex_core.model.annex import Annex, Launch, LaunchState
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.order import Frozen
from annex_core.model.plan import LaunchFleet, Outlook
from annex_core.model.route import FleetApi, Market, Route
from annex_core.model.snapshot import Snapshot
from annex_core.model.wording import clause, counted
from annex_core.planner.caps import queued_limits
from annex_core.planner.commons import FLEETS_A_REGION, Commons, unreadable
from annex_core.planner.fallback import Stage, announced, due, in_their_place, lasting, none_left, stages
from annex_core.planner.holdings import NO_START, Holding, anything_left
from annex_core.planner.matching import Matcher
from annex_core.planner.ordering import shortfalls
from annex_core.planner.places import places_of, unseen
from annex_core.planner.rooms import Need
from annex_core.planner.safeguard import unsafe
from annex_core.planner.step import Step
from annex_core.planner.verdicts import STEP_BY_STEP
from annex_core.planner.warm import to_keep_ready
from annex_core.planner.wishes import lifetime
from annex_core.planner.worth import boot

_LAST_CALL = timedelta(minutes=10)
_TOO_LATE = NO_START + timedelta(minutes=1)
"""A machine takes a minute to come."""

_REASONS_TOLD = 3

_TRY_AGAIN = timedelta(seconds=15)
_DOUBLED_AT_MOST = 6
"""After a try that failed before a fleet was asked for; each further one doubles the wait, to 16 minutes in the end."""


@dataclass(frozen=True)
class Growth:
    launches: tuple[LaunchFleet, ...]
    outlook: Outlook
    stuck: frozenset[str] = frozenset()
    """Tokens of launches that AWS has nothing for, and whose jobs could have other machines."""


def new_annex(key: AnnexKey, groups: Sequence[JobGroup], route: Route, snapshot: Snapshot) -> Annex:
    """The annex that these jobs would begin now."""
    wished = lifetime(groups, route)
    now = snapshot.aws_now(route.place)
    return Annex(
        id=annex_id(key, access_point=snapshot.access_point),
        key=key,
        project=max(groups, key=lambda group: group.idle).project,
        route=route.name,
        region=route.region,
        endpoint=route.endpoint,
        credentials=route.credentials,
        started=snapshot.at,
        lease_ends=now + (wished or min(route.lifetime, route.max_lifetime)),
        ends_at_latest=now + route.max_lifetime,
        limits=queued_limits(key, groups, snapshot),
        pilot=route.pilot,
        lifetime=wished,
    )


def grow(
    annex: Annex,
    route: Route,
    groups: Sequence[JobGroup],
    held: Holding,
    snapshot: Snapshot,
    matcher: Matcher,
    commons: Commons | None = None,
) -> Growth:
    """
    Decide one annex's growth step: what was ordered by hand comes first, and has room for jobs like all machines.

    Args:
        annex: Living, or from new_annex().
        route: Its own, with its overrides in force.
        groups: Its idle jobs.
        held: What it holds, from the same snapshot.
        commons: What annexes have together, with what the plan has given to others; None: nothing yet.
    """
    commons = commons or Commons(snapshot)
    first, *later = stages(annex, route, snapshot)
    late = _too_late(annex, groups, snapshot)
    all_, groups = groups, [group for group in groups if id(group) not in late]
    step = Step(annex, first.route, groups, held, snapshot, matcher, commons, later=bool(later))
    steps = [step]
    lacking = shortfalls(annex, route, snapshot)
    needs = step.needs()
    waiting = sum(need.jobs for need in needs)
    held_back: str | None = None
    if lacking or waiting or to_keep_ready(annex, first.route, held, snapshot):
        hold = _hold(annex, route, groups, held, snapshot, commons, fresh=any(each.fresh for each in lacking))
        hold = hold or _full(annex, route, commons)
        step.reasons.append(hold)
        if hold is None:
            for each in lacking:
                step.fill(each)
        held_back = hold
        if waiting and (annex.pilot or route.pilot):
            held_back = f"route {route.name} is for pilots of another pool, and jobs of this queue can't run there"
            step.reasons.append(held_back)
        elif hold is None:
            needs = step.needs() if lacking else needs
            step.serve(needs)
            steps += _fall_back(step, later, annex, groups, snapshot, matcher)
        # The jobs' machines are ready too, when they are done.
        last = steps[-1]
        if hold is None and (ready := to_keep_ready(annex, first.route, last.held, snapshot)):
            last.fill(ready)
    left_out = [Need(group, group.idle) for group in all_ if id(group) in late]
    for need in left_out:
        step.reasons.append(late[id(need.group)])
        step.verdicts.hold(need.group, late[id(need.group)])
    waiting += sum(need.jobs for need in left_out)
    said = [reason for reason in dict.fromkeys(reason for each in steps for reason in each.reasons) if reason]
    if len(said) > _REASONS_TOLD:
        said[_REASONS_TOLD:] = [
            f"and {counted(len(said) - _REASONS_TOLD, 'group')} of jobs more for reasons of this kind"
        ]
    unfilled = sum(each.machines for each in lacking)
    outlook = _outlook(annex, steps[-1].held, waiting, unfilled, said, snapshot)
    by_group = step.verdicts.outlooks(all_, [*needs, *left_out], held_back or step.rest)
    launches = tuple(launch for each in steps for launch in each.launches.values())
    may_ask = held_back in {None, STEP_BY_STEP}
    stuck = frozenset[str]().union(*(each.stuck() for each in steps if may_ask))
    return Growth(launches, replace(outlook, groups=by_group), stuck)


def _too_late(annex: Annex, groups: Iterable[JobGroup], snapshot: Snapshot) -> dict[int, str]:
    """Groups, by identity, that no machine of the annex would start, for by what they say they outlast its lease."""
    told = [(id(group), group.wishes.takes) for group in groups if group.wishes.takes is not None]
    if not told:
        return {}
    left = annex.lease_ends - snapshot.aws_now(annex.place) - boot(snapshot) - NO_START
    return {
        group: f"they may take {takes}, as they say, and the annex's lease ends before that"
        for group, takes in told
        if takes >= left
    }


def _fall_back(
    first: Step,
    later: Iterable[Stage],
    annex: Annex,
    groups: Sequence[JobGroup],
    snapshot: Snapshot,
    matcher: Matcher,
) -> list[Step]:
    """The steps after the first one: each serves groups that AWS had nothing for in all that came before."""
    steps, lacked = [first], dict(first.lacked)
    only_lasting = any(group.wishes.on_demand for group in groups)
    for stage in later:
        if only_lasting and not lasting(stage):
            continue
        among = due(lacked, stage, snapshot.at)
        if lacked and not among:
            steps[-1].reasons.append(announced(lacked, stage))
        if not among:
            break
        last = steps[-1]
        if why := none_left(stage) or _closed(annex, stage, snapshot) or _hopeless(stage, steps, snapshot):
            last.reasons.append(why)
            continue
        step = Step(annex, stage.route, groups, last.held, snapshot, matcher, last.commons, after=last, among=among)
        if needs := step.needs():
            step.serve(needs)
        if step.launches:
            step.reasons.append(in_their_place(stage))
        steps.append(step)
        lacked = {group: max(since, step.lacked[group]) for group, since in lacked.items() if group in step.lacked}
    return steps[1:]


def _closed(annex: Annex, stage: Stage, snapshot: Snapshot) -> str | None:
    """Why an annex may not grow by another route than its own now."""
    route, place = stage.route, stage.route.place
    if not stage.fallback:
        return None
    if place not in snapshot.regions:
        return f"AWS does not answer in {place}"
    return (
        closed_to(annex.key, route)
        or snapshot.frozen.get(place)
        or unsafe(annex, route, snapshot)
        or snapshot.unready.get(route.name)
    )


def _hopeless(stage: Stage, steps: Sequence[Step], snapshot: Snapshot) -> str | None:
    """Why nothing comes of a stage's machines, or whether one is being tried: it may be by a step before."""
    asked = (each.as_launch("", snapshot.at) for step in steps for each in step.launches.values())
    seen = replace(snapshot, launches=(*snapshot.launches, *asked))
    return steps[0].commons.black_holes.of(stage.route, seen).closed


def _hold(
    annex: Annex,
    route: Route,
    groups: Sequence[JobGroup],
    held: Holding,
    snapshot: Snapshot,
    commons: Commons,
    *,
    fresh: bool,
) -> str | None:
    """
    What keeps an annex from growing at all just now.

    Args:
        fresh: There is an order that nothing was asked for yet: whoever placed it waits, and it is one step alone.
    """
    if frozen := frozen_by(annex, snapshot.freezes):
        return frozen
    if closed := closed_to(annex.key, route):
        return closed
    if route.market is not Market.ON_DEMAND and any(group.wishes.on_demand for group in groups):
        return f"they ask for on-demand machines (annex_on_demand), and route {route.name} buys Spot ones"
    if snapshot.pool_limits.malformed:
        return unreadable(snapshot.pool_limits.malformed)
    if route.place != annex.place:
        return f"it lives in {annex.place}, and route {route.name} is in {route.place} now, where the next one begins"
    if annex.place in snapshot.frozen:
        return snapshot.frozen[annex.place]
    if why := unsafe(annex, route, snapshot):
        return why
    asked = places_of(annex, snapshot)
    for place, view in sorted(snapshot.regions.items()):
        if place not in asked and anything_left(annex.key, view, snapshot.access_point):
            return (
                f"there are machines of it in {place} still, from before the journal was lost; they have to end first"
            )
    if silent := unseen(annex, snapshot):
        return f"AWS does not answer in {silent}"
    if route.label in snapshot.unready:
        return snapshot.unready[route.label]
    if snapshot.slots is None:
        return "the annex collector does not answer"
    mine = snapshot.launches_of(annex)
    if any(launch.state is LaunchState.INTENDED for launch in mine):
        return "AWS has not answered the last request yet"
    left = annex.lease_ends - snapshot.aws_now(annex.place)
    if left < max(_TOO_LATE, min(_LAST_CALL, (annex.lease_ends - annex.started) / 4)):
        return "the annex's lease is about to end; a new one begins after it"
    failure = snapshot.failures.get(annex.id)
    pause = _TRY_AGAIN * 2 ** min(failure.tries - 1, _DOUBLED_AT_MOST) if failure else timedelta(0)
    if failure and timedelta(0) <= snapshot.at - failure.last < pause:
        return "the next try comes in a while"
    if hopeless := commons.black_holes.closed(annex, route, held, snapshot):
        return hopeless
    # A moment that is still to come is from before the clock went back: it would hold for as long as that was.
    past = [launch for launch in mine if launch.intended <= snapshot.at]
    newest = max(past, key=lambda launch: launch.intended, default=None)
    if newest and not fresh and not _lost_since(newest, held) and snapshot.at - newest.intended < route.grow_interval:
        if newest.state is LaunchState.REFUSED:
            return f"AWS refused the last request ({clause(newest.reason or '')}); the next try comes soon"
        if newest.reason:
            return f"AWS gave less than was asked for ({clause(newest.reason)}); the next try comes soon"
        return STEP_BY_STEP
    return None


def _lost_since(newest: Launch, held: Holding) -> bool:
    """A machine was given notice that nothing was asked for since: its jobs need another one at once."""
    return any(known.interrupted and known.interrupted > newest.intended for known in held.instances)


def _full(annex: Annex, route: Route, commons: Commons) -> str | None:
    if route.api is FleetApi.RUN_INSTANCES or commons.fleets_left(annex.place):
        return None
    full = f"{FLEETS_A_REGION:,} fleet requests are active in {annex.region}, which is AWS's quota"
    return f"{full}; it goes on when some have ended"


def closed_to(key: AnnexKey, route: Route) -> str | None:
    """Why the owner of an annex may not use a route; None where they may."""
    if key.shared and route.by_owner:
        return f"route {route.name} charges each owner's account, and an annex for anybody's jobs has none"
    if route.open_to(key.owner):
        return None
    if key.shared:
        return (
            f"route {route.name} is open to {', '.join(route.owners)} alone; anybody's jobs take one that all may use"
        )
    return f"route {route.name} is not open to {key.owner}; its administrator lists who may use it"


def frozen_by(annex: Annex, freezes: Iterable[Frozen]) -> str | None:
    """The sentence for an annex that a command has frozen, or one that names it; None where none has."""
    for each in freezes:
        if each.holds(annex.key, annex.project):
            if each.after_end:
                return f"it was ended by {each.by}; condor_annex thaw {annex.key.name} lets its jobs begin a new one"
            return f"{each} was frozen by {each.by}"
    return None


def _outlook(
    annex: Annex, held: Holding, waiting: int, ordered: int, reasons: Sequence[str], snapshot: Snapshot
) -> Outlook:
    sentence = f"Annex {annex.key.name}: {machines(held)}."
    told = snapshot.obstacles
    obstacles = {clause(told[launch.token]) for launch, _ in held.outstanding if launch.token in told}
    if obstacles:
        sentence += f" AWS has not filled the request: {'; '.join(sorted(obstacles))}."
    if not reasons:
        return Outlook(sentence, waiting)
    reason = "; ".join(map(clause, reasons))
    who = "Fewer machines are kept ready than should be"
    if waiting or ordered:
        who = "Jobs wait" if waiting else f"{counted(ordered, 'ordered machine')} wait" + ("s" if ordered == 1 else "")
    return Outlook(f"{sentence} {who}: {reason}.", waiting, reason)


def _it(count: int) -> str:
    return "it" if count == 1 else "them"


def machines(held: Holding) -> str:
    """How many there are, as part of a sentence."""
    booting = sum(known.joined is None for known in held.instances)
    joined = len(held.instances) - booting
    parts = [
        f"{count} {word}"
        for count, word in ((held.coming, "asked for"), (booting, "booting"), (joined, "joined"))
        if count
    ]
    if held.taken_back:
        parts.append(f"{held.taken_back} of them given notice by AWS, which takes {_it(held.taken_back)} back")
    return f"machines: {', '.join(parts)}" if parts else "no machine yet"
