"""The planner as a replay's policy: the very plan() that the daemon calls, over snapshots of the simulated world."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from annex_core.errors import NoCapacity
from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.place import Place
from annex_core.model.plan import CloseLaunch, FinishAnnex, LaunchFleet, Plan, Terminate
from annex_core.model.route import Route
from annex_core.model.runtime import Runtime
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Instance, InstanceState, Slot
from annex_core.planner.noes import lifted, subjects
from annex_core.planner.plan import plan
from annex_core.planner.shortages import set_back, until
from annex_core.replay.asking import INTERVAL_S, Ask, Decision
from annex_core.replay.simulation import Simulation
from annex_core.replay.yard import Machine, Yard

ACCESS_POINT = "replay"
DOMAIN = "replay"
POOL = "replay"
_RETRY_S = 600.0
"""What keeps jobs waiting may pass with time alone: a pause, or a lease that is about to end."""
_NONE_LEFT = NoCapacity("there is none of them")
_TRIES = 6
"""So many of those in vain, with no machine left and none asked for: the caps keep the jobs, and nothing more comes."""


class Planner:
    """
    Args:
        name: What its line in the table is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.last: Plan | None = None
        """What plan() said when it was asked last."""
        self._tokens = 0
        self._open: set[str] = set()

    def idle_timeout(self, route: Route) -> float:
        return route.idle_timeout.total_seconds()

    def is_open(self, token: str) -> bool:
        return token in self._open

    def decide(self, world: Simulation, yard: Yard, now: float) -> Decision:
        at = datetime.fromtimestamp(now, UTC)
        _remember(yard, at)
        taken = snapshot(world, yard, at)
        decided = self.last = plan(taken, world.matcher)
        yard.setbacks |= {each.subject: each for each in lifted(taken)}
        asks: list[Ask] = []
        ended: list[Machine] = []
        for action in decided.actions:
            match action:
                case LaunchFleet():
                    asks.append(self._asked(action, world, yard, at))
                case CloseLaunch(launch):
                    self._close(launch, yard, at)
                case Terminate(_, ids):
                    ended += [yard.machines[id_] for id_ in ids if id_ in yard.machines]
                case FinishAnnex():
                    _finish(yard)
        again = self._again(world.route, yard, now, waiting=any(each.waiting for each in decided.outlooks.values()))
        if any(isinstance(action, CloseLaunch) for action in decided.actions):
            again = now + INTERVAL_S  # what was given up is missing from the next plan on
        return Decision(asks, ended, again)

    def _asked(self, action: LaunchFleet, world: Simulation, yard: Yard, at: datetime) -> Ask:
        if yard.annex is None:
            yard.annex = action.annex
            yard.lease_ends = action.annex.lease_ends.timestamp()
            yard.tags = _tags(action.annex)
        self._tokens += 1
        token = f"t{self._tokens}"
        launch = replace(action.as_launch(token, at), state=LaunchState.REQUESTED, fleet=f"sfr-{token}")
        yard.launches[token] = launch
        self._open.add(token)
        return Ask(world.offers(action.types, action.route), action.target, token)

    def _close(self, launch: Launch, yard: Yard, at: datetime) -> None:
        self._open.discard(launch.token)
        yard.short.pop(launch.token, None)
        yard.launches[launch.token] = replace(yard.launches[launch.token], closed=at)

    def _again(self, route: Route, yard: Yard, now: float, *, waiting: bool) -> float | None:
        """When time alone may change what was decided."""
        moments = []
        if yard.annex:
            moments.append(max(yard.lease_ends, now + INTERVAL_S))
            unfilled = [launch.intended for launch in yard.launches.values() if launch.closed is None]
            if unfilled and yard.coming:
                moments.append(min(unfilled).timestamp() + route.fulfil_within.total_seconds())
                if yard.obstacles:
                    moments.append(now + INTERVAL_S)
        if waiting:
            standing = [each for each in yard.setbacks.values() if each.stands]
            moments += [
                moment
                for each in standing
                for moment in (until(each).timestamp(), (each.since + route.fallback_after).timestamp())
                if moment > now
            ]
            yard.vain = 0 if yard.annex or moments else yard.vain + 1
            newest = max((launch.intended.timestamp() for launch in yard.launches.values()), default=0.0)
            step = newest + route.grow_interval.total_seconds()
            if step > now:
                moments.append(step)
            elif yard.vain < _TRIES:
                moments.append(now + (_RETRY_S if yard.annex else INTERVAL_S))
        return min(moments, default=None)


def _remember(yard: Yard, at: datetime) -> None:
    """What the cloud has none of: as the daemon, once for each launch that it has not filled."""
    yard.obstacles = {token: why for token, why in yard.obstacles.items() if token in yard.short}
    for token in sorted(yard.short.keys() - yard.obstacles.keys()):
        yard.obstacles[token] = str(_NONE_LEFT)
        for subject, why in subjects(yard.launches[token], _NONE_LEFT):
            yard.setbacks[subject] = set_back(yard.setbacks.get(subject), subject, why, at)


def _finish(yard: Yard) -> None:
    yard.annex = None
    yard.lease_ends = float("inf")
    yard.launches.clear()
    yard.gone.clear()


def _tags(annex: Annex) -> dict[str, str]:
    return tags.AnnexTags(
        annex.key, annex.project, annex.route, POOL, ACCESS_POINT, annex.lease_ends, annex.ends_at_latest
    ).as_dict()


def snapshot(world: Simulation, yard: Yard, at: datetime) -> Snapshot:
    """
    All that the planner is shown of one annex.

    Annexes are bound by caps of their own, so that one whose jobs and machines have not changed need not be planned
    again. Spent fleets are left out: they bring nothing and cost nothing, and to cancel them is no question of money.
    """
    machines = list(yard.machines.values())
    instances: dict[Place, list[Instance]] = {place: [] for place in world.types_in}
    for machine in machines:
        instances[machine.offer.place].append(machine.instance or _instance(machine))
    return Snapshot(
        at=at,
        demand=tuple(_demand(world, yard)),
        slots=[machine.slot or _slot(machine) for machine in machines if machine.up],
        slots_since=at - timedelta(days=1),
        regions={place: RegionView(instances=its) for place, its in instances.items()},
        routes=world.routes,
        counts={yard.key: _counts(world, yard)},
        types=world.types_in,
        setbacks=tuple(yard.setbacks.values()),
        annexes={yard.key: yard.annex} if yard.annex else {},
        launches=tuple(_launches(yard)),
        known=[*(machine.known or _known(machine) for machine in machines), *yard.gone],
        signs={place: Signs(heartbeat=at) for place in instances},
        obstacles=yard.obstacles,
        domain=DOMAIN,
        access_point=ACCESS_POINT,
        pool=POOL,
    )


def _demand(world: Simulation, yard: Yard) -> Iterator[JobGroup]:
    for shape, jobs in yard.idle.items():
        yield replace(world.groups[shape], idle=len(jobs), expected=_expected(world, shape))


def _expected(world: Simulation, shape: int) -> Runtime:
    of = world.jobs.shapes[shape]
    return world.runtimes.expected(of.owner, of.executable, of.batch)


def _counts(world: Simulation, yard: Yard) -> JobCounts:
    times = [_expected(world, shape) for shape, running in yard.running.items() if running]
    longest = max(times, key=lambda each: (not each.sure, each.mean), default=None)
    return JobCounts(yard.waiting, sum(yard.running.values()), running_for=longest)


def _launches(yard: Yard) -> Iterator[Launch]:
    living = {machine.token for machine in yard.machines.values()}
    for token, launch in list(yard.launches.items()):
        if launch.closed and token not in living:
            del yard.launches[token]
        else:
            yield launch


def _known(machine: Machine) -> KnownInstance:
    launch = machine.yard.launches.get(machine.token)
    machine.known = KnownInstance(
        id=machine.id,
        annex=machine.yard.annex.id if machine.yard.annex else "",
        token=machine.token,
        type=machine.kind.name,
        launched=datetime.fromtimestamp(machine.launched, UTC),
        hourly_ceiling=launch.hourly_ceiling if launch else None,
        joined=datetime.fromtimestamp(machine.ready, UTC) if machine.up else None,
        market=machine.offer.market,
    )
    return machine.known


def _instance(machine: Machine) -> Instance:
    machine.instance = Instance(
        id=machine.id,
        type=machine.kind.name,
        zone="",
        state=InstanceState.RUNNING,
        launched=datetime.fromtimestamp(machine.launched, UTC),
        tags=machine.yard.tags,
        fleet=f"sfr-{machine.token}",
        market=machine.offer.market,
    )
    return machine.instance


def _slot(machine: Machine) -> Slot:
    key = machine.yard.key
    machine.slot = Slot(
        name=f"slot1@{machine.id}",
        identity=key.identity(DOMAIN),
        claimed_name=key.name,
        instance=machine.id,
        type=machine.kind.name,
        cpus=machine.kind.vcpus,
        free_cpus=machine.cpus,
        free_memory_mib=machine.memory,
        free_disk_kib=machine.disk,
        free_gpus=machine.gpus,
    )
    return machine.slot
