"""What would come of jobs that are not submitted yet: plan after plan, as if AWS gave all that is asked for."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from annex_core.model.annex import Annex, LaunchState
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.model.plan import Asked, GroupOutlook, LaunchFleet, Outlook, Plan
from annex_core.model.route import Route, overridden
from annex_core.model.snapshot import Snapshot
from annex_core.planner.caps import tightened
from annex_core.planner.growth import new_annex
from annex_core.planner.holdings import as_answered
from annex_core.planner.matching import Matcher
from annex_core.planner.plan import plan
from annex_core.planner.verdicts import STEP_BY_STEP, UNSETTLED

_STEPS = 30
"""Growth steps that are looked ahead."""


@dataclass(frozen=True)
class Ahead:
    """A fleet that would be requested, so long from now."""

    after: timedelta
    fleet: LaunchFleet
    token: str
    """Of its launch in the prospect's world."""


@dataclass(frozen=True)
class Prospect:
    annex: Annex
    """The one that lives, or that the jobs would begin."""
    route: Route
    fleets: tuple[Ahead, ...]
    groups: tuple[GroupOutlook, ...]
    """Of the jobs that were asked about: *served* are those that the fleets are for, *waiting* get nothing of their
    own even then."""
    outlook: Outlook
    """Of the last plan."""
    world: Snapshot
    """With all of it carried out."""
    cut: bool
    """The annex would grow on after these steps."""


def prospect(snapshot: Snapshot, key: AnnexKey, route: Route, groups: Sequence[JobGroup], matcher: Matcher) -> Prospect:
    """
    Args:
        snapshot: The present, with *known* and limits brought up to date.
        route: The annex's own, or the one that the jobs would pass.
        groups: Of the annex *key*, as if they waited now.
        matcher: Not the daemon's own, which another thread may be using.
    """
    world = _supposed(snapshot, key, groups)
    annex = world.annexes.get(key) or new_annex(key, groups, route, world)
    steps = [plan(world, matcher)]
    ahead: list[Ahead] = []
    after = timedelta(0)
    while len(steps) <= _STEPS:
        fleets = _fleets(steps[-1], key)
        new = [Ahead(after, each, f"ahead-{len(steps)}-{number}") for number, each in enumerate(fleets)]
        ahead += new
        after = after + route.grow_interval if fleets else max(after, _next_step(world, annex, route))
        if len(steps) > 1 and not fleets and not _unsettled(steps[-1], key):
            break
        world = _carried_out(world, annex, new, route)
        steps.append(plan(world, matcher))
    outlooks = [{id(each.group): each for each in _outlook(step, key).groups} for step in steps]
    return Prospect(
        annex=annex,
        route=overridden(route, annex.overrides),
        fleets=tuple(ahead),
        groups=tuple(_whole(group, outlooks) for group in groups),
        outlook=_outlook(steps[-1], key),
        world=world,
        cut=bool(_fleets(steps[-1], key)),
    )


def _supposed(snapshot: Snapshot, key: AnnexKey, groups: Sequence[JobGroup]) -> Snapshot:
    """
    With the jobs in the queue.

    Other annexes grow beside it no more than they have: the caps they share count what they hold.
    """
    mine = [group for group in snapshot.demand or () if group.key == key]
    return tightened(replace(as_answered(snapshot), demand=(*mine, *groups)))


def _outlook(decided: Plan, key: AnnexKey) -> Outlook:
    return decided.outlooks.get(key, Outlook(""))


def _fleets(decided: Plan, key: AnnexKey) -> list[LaunchFleet]:
    return [each for each in decided.actions if isinstance(each, LaunchFleet) and each.annex.key == key]


def _unsettled(decided: Plan, key: AnnexKey) -> bool:
    return any(each.why_not_more == UNSETTLED for each in _outlook(decided, key).groups)


def _next_step(world: Snapshot, annex: Annex, route: Route) -> timedelta:
    """From now until the annex may grow by its next step."""
    newest = max((each.intended for each in world.launches_of(annex)), default=None)
    return route.grow_interval if newest is None else max(newest + route.grow_interval - world.at, timedelta(0))


def _carried_out(world: Snapshot, annex: Annex, fleets: Sequence[Ahead], route: Route) -> Snapshot:
    """The fleets are requested, and the next step is due."""
    made = [
        replace(each.fleet.as_launch(each.token, world.at), state=LaunchState.REQUESTED, fleet=each.token)
        for each in fleets
    ]
    return replace(
        world,
        annexes={annex.key: annex, **world.annexes} if made else world.annexes,
        launches=(*world.launches, *made),
        routes={**world.routes, route.name: replace(world.routes[route.name], grow_interval=timedelta(0))},
    )


def _whole(group: JobGroup, steps: Sequence[Mapping[int, GroupOutlook]]) -> GroupOutlook:
    """What all steps together come to for one group."""
    told = [step[id(group)] for step in steps if id(group) in step]
    if not told:
        return GroupOutlook(group, waiting=group.idle, why_not_more="nothing was decided for them")
    asked: Counter[tuple[str, ...]] = Counter()
    for each in told:
        for some in each.asked:
            asked[some.types] += some.machines
    # Each plan puts jobs anew into the room there is; who is served is who machines were asked for.
    placed = told[0].placed
    served = min(sum(each.served for each in told), group.idle - placed)
    waiting = group.idle - placed - served
    why = next((each.why_not_more for each in reversed(told) if each.why_not_more), STEP_BY_STEP)
    return GroupOutlook(
        group,
        placed=placed,
        served=served,
        waiting=waiting,
        why_not_more=why if waiting else None,
        asked=tuple(Asked(types, machines) for types, machines in asked.items()),
    )
