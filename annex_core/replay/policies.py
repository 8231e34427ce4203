"""What others do, to compare with: a fixed annex, utilisation feedback, and a share of the idle jobs."""

from collections.abc import Iterator, Mapping
from functools import partial
from math import ceil

from annex_core.model.limits import UNLIMITED
from annex_core.model.route import Route
from annex_core.replay.asking import INTERVAL_S, Ask, Decision
from annex_core.replay.simulation import Simulation
from annex_core.replay.yard import Machine, Yard


def cover(world: Simulation, yard: Yard) -> Mapping[str, tuple[int, ...]]:
    """
    The types that an owner's jobs are run on, and the shapes that each is for: as few types as hold all shapes, of
    equals the one that costs least for a job. These policies know neither when jobs come nor how many.
    """
    left = {shape for shape, group in enumerate(world.groups) if group.key == yard.key}
    left = {shape for shape in left if any(world.each(shape, name) for name in world.types)}
    found: dict[str, tuple[int, ...]] = {}
    while left:
        best = min(world.types, key=partial(_order, world, frozenset(left)))
        found[best] = tuple(sorted(shape for shape in left if world.each(shape, best)))
        left = left - {*found[best]}
    return found


def _order(world: Simulation, shapes: frozenset[int], name: str) -> tuple[int, float, str]:
    fits = [shape for shape in shapes if world.each(shape, name)]
    return (-len(fits), sum(world.hourly(name) / world.each(shape, name) for shape in fits), name)


class _Covering:
    """Each owner's types are chosen once; AnnexMaxInstances binds as it binds the planner."""

    name = ""
    limits = UNLIMITED

    def __init__(self) -> None:
        self._covers: dict[Yard, Mapping[str, tuple[int, ...]]] = {}
        self._tokens = 0

    def is_open(self, token: str) -> bool:  # noqa: ARG002 - what was asked for once stays asked for
        return True

    def pools(self, world: Simulation, yard: Yard) -> Iterator[tuple[str, tuple[int, ...], list[Machine]]]:
        """Each type of the owner's, the shapes that it is for, and its machines."""
        if yard not in self._covers:
            self._covers[yard] = cover(world, yard)
        for kind, shapes in self._covers[yard].items():
            yield kind, shapes, [each for each in yard.machines.values() if each.kind.name == kind]

    def ask(self, yard: Yard, kind: str, count: int, world: Simulation) -> list[Ask]:
        room = world.route.max_instances - len(yard.machines) - yard.coming
        count = min(count, room)
        if count <= 0:
            return []
        self._tokens += 1
        return [Ask(world.offers([kind]), count, f"t{self._tokens}", yard)]


def waiting(yard: Yard, shapes: tuple[int, ...]) -> int:
    return sum(len(yard.idle[shape]) for shape in shapes if shape in yard.idle)


class Fixed(_Covering):
    """An annex of so many machines, as the withdrawn tool made: asked for when jobs wait, anew when it has ended."""

    IDLE_S = 900.0
    """The withdrawn tool's -idle, a quarter of an hour."""

    def __init__(self, machines: int) -> None:
        super().__init__()
        self.name = f"fixed annex of {machines}"
        self._machines = machines
        self._ends: dict[tuple[Yard, str], float] = {}

    def idle_timeout(self, route: Route) -> float:  # noqa: ARG002 - the withdrawn tool knows no routes
        return self.IDLE_S

    def decide(self, world: Simulation, yard: Yard, now: float) -> Decision:
        asks: list[Ask] = []
        over: list[Machine] = []
        for kind, shapes, machines in self.pools(world, yard):
            ends = self._ends.get((yard, kind), now)
            if machines and now >= ends:
                over += machines
            elif waiting(yard, shapes) and not machines and not yard.coming:
                asks += self.ask(yard, kind, self._machines, world)
                self._ends[yard, kind] = now + world.route.lifetime.total_seconds()
        alive = [end for (its, _), end in self._ends.items() if its is yard and end > now]
        again = [now + INTERVAL_S] if over or yard.idle else []
        return Decision(asks, over, min([*alive, *again], default=None))


class Feedback(_Covering):
    """
    COBalD's linear controller: more by *rate* a minute while machines are in use, fewer by as many while they are not.

    Source:
        cobald.controller.linear.LinearController, whose bounds are 0.5 each: utilisation under it lowers the demand,
        allocation over it raises it.
    """

    def __init__(self, rate: float = 1.0) -> None:
        super().__init__()
        self.name = f"feedback, {rate:g} a minute"
        self._rate = rate
        self._demand: dict[tuple[Yard, str], float] = {}

    def idle_timeout(self, route: Route) -> float:  # noqa: ARG002 - the controller decides
        return float("inf")

    def decide(self, world: Simulation, yard: Yard, now: float) -> Decision:
        asks: list[Ask] = []
        over: list[Machine] = []
        busy = False
        for kind, shapes, machines in self.pools(world, yard):
            jobs = waiting(yard, shapes)
            if not machines and not jobs:
                self._demand.pop((yard, kind), None)
                continue
            busy = True
            demand = self._controlled(self._demand.get((yard, kind), 0.0), [each for each in machines if each.up])
            demand = min(max(demand, 1.0 if jobs else 0.0), float(world.route.max_instances))
            self._demand[yard, kind] = demand
            lacking = int(demand) - len(machines) - yard.coming
            if lacking > 0:
                asks += self.ask(yard, kind, lacking, world)
            elif lacking < 0:
                over += [each for each in machines if each.up and not each.jobs][:-lacking]
        return Decision(asks, over, now + INTERVAL_S if busy else None)

    def _controlled(self, demand: float, up: list[Machine]) -> float:
        if not up:
            return demand
        used = sum(each.kind.vcpus - each.cpus for each in up) / sum(each.kind.vcpus for each in up)
        allocated = sum(bool(each.jobs) for each in up) / len(up)
        if used < 0.5:
            return demand - self._rate
        return demand + self._rate if allocated > 0.5 else demand


class IdleShare(_Covering):
    """GlideinWMS's pressure: machines for a share of the idle jobs are kept on their way; an idle one soon leaves."""

    IDLE_S = 400.0
    """GLIDEIN_Max_Tail: how long a glidein that has run jobs waits for another one."""

    def __init__(self, divisor: float = 3.0) -> None:
        super().__init__()
        self.name = f"idle/{divisor:g}"
        self._divisor = divisor

    def idle_timeout(self, route: Route) -> float:  # noqa: ARG002 - the glidein's own
        return self.IDLE_S

    def decide(self, world: Simulation, yard: Yard, now: float) -> Decision:
        asks: list[Ask] = []
        for kind, shapes, machines in self.pools(world, yard):
            slots = sum(len(yard.idle[shape]) / world.each(shape, kind) for shape in shapes if shape in yard.idle)
            pending = sum(not each.up for each in machines) + yard.coming
            asks += self.ask(yard, kind, ceil(slots / self._divisor) - pending, world)
        return Decision(asks, again=now + INTERVAL_S if yard.idle else None)
