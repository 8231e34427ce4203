"""The planner as a replay's policy: the very plan() that the daemon calls, over snapshots of the simulated world."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from annex_core.errors import NoCapacity
from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import JobCounts, JobGroup
from annex_core.model.limits import UNLIMITED, PoolLimits, Spent
from annex_core.model.names import AnnexKey
from annex_core.model.place import Place
from annex_core.model.plan import CloseLaunch, FinishAnnex, LaunchFleet, Plan, Terminate
from annex_core.model.route import Route
from annex_core.model.runtime import Runtime
from annex_core.model.setback import Setback, Subject
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Instance, InstanceState, Slot
from annex_core.planner.noes import lifted, subjects
from annex_core.planner.outlay import by_month
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
        limits: What annexes may have together; with any, all of them are planned whenever one is.
    """

    def __init__(self, name: str, limits: PoolLimits = UNLIMITED) -> None:
        self.name = name
        self.limits = limits
        self.last: Plan | None = None
        """What plan() said when it was asked last."""
        self._tokens = 0
        self._open: set[str] = set()
        self._setbacks: dict[Subject, Setback] = {}
        """Of all annexes, where they are planned together."""
        self._spent: dict[tuple[AnnexKey, str], Decimal | None] = {}
        """USD of finished annexes, by month; None where a price is not known."""

    def idle_timeout(self, route: Route) -> float:
        return route.idle_timeout.total_seconds()

    def is_open(self, token: str) -> bool:
        return token in self._open

    def decide(self, world: Simulation, yard: Yard, now: float) -> Decision:
        at = datetime.fromtimestamp(now, UTC)
        yards = {yard.key: yard}
        if self.limits:
            yards = {each.key: each for each in world.yards.values() if each is yard or each.idle or each.annex}
            for each in yards.values():
                each.setbacks = self._setbacks
        for each in yards.values():
            _remember(each, at)
        taken = snapshot(world, list(yards.values()), at)
        if self.limits:
            taken = replace(taken, pool_limits=self.limits, spent=self._past(world.route.name))
        decided = self.last = plan(taken, world.matcher)
        yard.setbacks |= {each.subject: each for each in lifted(taken)}
        asks: list[Ask] = []
        ended: list[Machine] = []
        given_up: set[AnnexKey] = set()
        of_id = {each.annex.id: each for each in yards.values() if each.annex}
        for action in decided.actions:
            match action:
                case LaunchFleet(annex):
                    asks.append(self._asked(action, world, yards[annex.key], at))
                case CloseLaunch(launch):
                    self._close(launch, of_id[launch.annex], at)
                    given_up.add(of_id[launch.annex].key)
                case Terminate(_, ids):
                    ended += [each.machines[id_] for each in yards.values() for id_ in ids if id_ in each.machines]
                case FinishAnnex(annex):
                    self._finish(yards[annex.key])
        waiting = {key for key, outlook in decided.outlooks.items() if outlook.waiting}
        lives = any(each.annex for each in yards.values())
        agains = [
            # What was given up is missing from the next plan on.
            now + INTERVAL_S
            if key in given_up
            else self._again(world.route, each, now, waiting=key in waiting, lives=lives)
            for key, each in yards.items()
        ]
        again = min((each for each in agains if each is not None), default=None)
        return Decision(asks, ended, again, tuple(yards.values()))

    def _past(self, route: str) -> tuple[Spent, ...]:
        return tuple(
            Spent(key.owner, key.name, key.owner, route, month, usd) for (key, month), usd in self._spent.items()
        )

    def _finish(self, yard: Yard) -> None:
        if self.limits:
            for known in yard.gone:
                for month, hours in by_month(known.launched, known.gone or known.launched):
                    before, hour = self._spent.get((yard.key, month), Decimal(0)), known.hourly_ceiling
                    self._spent[yard.key, month] = None if before is None or hour is None else before + hour * hours
        yard.annex = None
        yard.lease_ends = float("inf")
        yard.launches.clear()
        yard.gone.clear()

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
        return Ask(world.offers(action.types, action.route), action.target, token, yard)

    def _close(self, launch: Launch, yard: Yard, at: datetime) -> None:
        self._open.discard(launch.token)
        yard.short.pop(launch.token, None)
        yard.launches[launch.token] = replace(yard.launches[launch.token], closed=at)

    def _again(self, route: Route, yard: Yard, now: float, *, waiting: bool, lives: bool) -> float | None:
        """
        When time alone may change what was decided.

        Args:
            lives: There is an annex that takes what another one may have when it has ended.
        """
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
            yard.vain = 0 if lives or moments else yard.vain + 1
            newest = max((launch.intended.timestamp() for launch in yard.launches.values()), default=0.0)
            step = newest + route.grow_interval.total_seconds()
            if step > now:
                moments.append(step)
            elif yard.vain < _TRIES:
                moments.append(now + (_RETRY_S if lives else INTERVAL_S))
            elif yard.vain < 2 * _TRIES and any(limit.monthly is not None for limit in self.limits.said.values()):
                moments.append(_next_month(now))
        return min(moments, default=None)


def _next_month(now: float) -> float:
    first = datetime.fromtimestamp(now, UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1).timestamp()


def _remember(yard: Yard, at: datetime) -> None:
    """What the cloud has none of: as the daemon, once for each launch that it has not filled."""
    yard.obstacles = {token: why for token, why in yard.obstacles.items() if token in yard.short}
    for token in sorted(yard.short.keys() - yard.obstacles.keys()):
        yard.obstacles[token] = str(_NONE_LEFT)
        for subject, why in subjects(yard.launches[token], _NONE_LEFT):
            yard.setbacks[subject] = set_back(yard.setbacks.get(subject), subject, why, at)


def _tags(annex: Annex) -> dict[str, str]:
    return tags.AnnexTags(
        annex.key, annex.project, annex.route, POOL, ACCESS_POINT, annex.lease_ends, annex.ends_at_latest
    ).as_dict()


def snapshot(world: Simulation, yards: Sequence[Yard], at: datetime) -> Snapshot:
    """
    All that the planner is shown of some annexes.

    Where they are bound by caps of their own alone, one whose jobs and machines have not changed need not be planned
    again. Spent fleets are left out: they bring nothing and cost nothing, and to cancel them is no question of money.
    """
    machines = [machine for yard in yards for machine in yard.machines.values()]
    instances: dict[Place, list[Instance]] = {place: [] for place in world.types_in}
    for machine in machines:
        instances[machine.offer.place].append(machine.instance or _instance(machine))
    gone = [known for yard in yards for known in yard.gone]
    return Snapshot(
        at=at,
        demand=tuple(group for yard in yards for group in _demand(world, yard)),
        slots=[machine.slot or _slot(machine) for machine in machines if machine.up],
        slots_since=at - timedelta(days=1),
        regions={place: RegionView(instances=its) for place, its in instances.items()},
        routes=world.routes,
        counts={yard.key: _counts(world, yard) for yard in yards},
        types=world.types_in,
        setbacks=tuple(yards[0].setbacks.values()),
        annexes={yard.key: yard.annex for yard in yards if yard.annex},
        launches=tuple(launch for yard in yards for launch in _launches(yard)),
        known=[*(machine.known or _known(machine) for machine in machines), *gone],
        signs={place: Signs(heartbeat=at) for place in instances},
        obstacles={token: why for yard in yards for token, why in yard.obstacles.items()},
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
