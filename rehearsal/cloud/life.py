"""The machines behind instances: each boots late, runs, and ends by itself or by AWS's hand."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from moto.ec2.models.instances import Instance, InstanceState, StateReason

from rehearsal.cloud import prices
from rehearsal.cloud.clock import utc
from rehearsal.cloud.launcher import Handle, Launcher, Machine
from rehearsal.cloud.world import World

log = logging.getLogger(__name__)

BY_API = StateReason("Client.UserInitiatedShutdown: User initiated shutdown", "Client.UserInitiatedShutdown")
BY_ITSELF = StateReason(
    "Client.InstanceInitiatedShutdown: Instance initiated shutdown", "Client.InstanceInitiatedShutdown"
)
BY_SPOT = StateReason("Server.SpotInstanceTermination: Spot instance termination", "Server.SpotInstanceTermination")
NOT_BOOTED = StateReason("Server.InternalError: Internal error on launch", "Server.InternalError")

PENDING, RUNNING, SHUTTING_DOWN, TERMINATED = (0, "pending"), (16, "running"), (32, "shutting-down"), (48, "terminated")
STOPPING, STOPPED = (64, "stopping"), (80, "stopped")

_CONSOLE_TAIL = 4000
"""Characters of a machine's console that listings show."""


@dataclass
class Life:
    """One instance from launch to end; times are of the cloud's clock."""

    serial: int
    """Launch order; pages of listings hang on it."""
    instance: Instance
    boots_at: float
    release: Callable[[Instance], None]
    """Gives back what EC2 holds for the instance, once it has ended."""
    fleet: str | None = None
    image: str = ""
    """The name of its AMI, as Machine.image."""
    profile: Any = None
    """Its instance profile, moto's record."""
    metadata: str = ""
    """The URL of its metadata service."""
    booted_at: float | None = None
    ended_at: float | None = None
    taken_at: float | None = None
    """When it is taken back, once it has been given notice."""
    advised_at: float | None = None
    """When it was told that it may be taken back soon."""
    handle: Handle | None = None
    exit: int | None = None
    """What its machine exited with, where it ended by itself."""
    work: "Future[Any] | None" = None
    """Its boot or its kill, while under way."""
    reason: StateReason = field(default_factory=StateReason)
    tags: list[tuple[float, dict[str, str]]] = field(default_factory=list)
    """What instance metadata shows of its tags: each state and when it begins to show, oldest first."""

    @property
    def state(self) -> str:
        return str(self.instance.state)

    @property
    def over(self) -> bool:
        return self.state == "terminated"

    @property
    def leaving(self) -> bool:
        return self.state in {"shutting-down", "stopping"}

    def enter(self, state: tuple[int, str]) -> None:
        self.instance._state = InstanceState(state[1], state[0])  # noqa: SLF001 - moto's record has no setter

    def tags_at(self, now: float) -> dict[str, str]:
        """What instance metadata says of its tags at that moment."""
        return next((tags for since, tags in reversed(self.tags) if since <= now), {})

    def as_json(self) -> dict[str, object]:
        return {
            "id": self.instance.id,
            "type": self.instance.instance_type,
            "zone": self.instance.availability_zone,
            "address": self.instance.private_ip,
            "state": self.state,
            "fleet": self.fleet,
            "metadata": self.metadata,
            "boots_at": self.boots_at,
            "booted_at": self.booted_at,
            "ended_at": self.ended_at,
            "exit": self.exit,
            "console": self.handle.console()[-_CONSOLE_TAIL:] if self.handle else "",
        }


class Lives:
    """
    All instances of the cloud, and the loop's share of work for them.

    Its methods want World.lock held; machines are started and killed outside of it, on threads of its own.
    """

    def __init__(self, world: World, launcher: Launcher | None, metadata_of: Callable[[Life], str]) -> None:
        self._world = world
        self._launcher = launcher
        self._metadata_of = metadata_of
        self._lives: dict[str, Life] = {}
        self._current: dict[str, Life] = {}
        self._hands = ThreadPoolExecutor(max_workers=8, thread_name_prefix="machines")

    def add(
        self, instance: Instance, *, release: Callable[[Instance], None], fleet: str | None, image: str = ""
    ) -> Life:
        now = self._world.clock.now()
        settings = self._world.settings
        serial = len(self._lives)
        jitter = settings.boot_jitter_s * prices.chance(self._world.seed, "boot", serial)
        life = Life(serial, instance, now + settings.boot_delay_s + jitter, release, fleet, image)
        instance.launch_time = utc(now)
        life.enter(PENDING)
        life.metadata = self._metadata_of(life)
        self._lives[instance.id] = self._current[instance.id] = life
        return life

    def get(self, instance_id: str) -> Life | None:
        return self._lives.get(instance_id)

    def all(self) -> Iterable[Life]:
        return self._lives.values()

    def at_address(self, address: str) -> Life | None:
        """Whoever has that private address now."""
        return next((life for life in self._current.values() if life.instance.private_ip == address), None)

    def crowd(self) -> Counter[tuple[str, str]]:
        """How many instances each pool (type, zone) holds now."""
        return Counter(
            (life.instance.instance_type, str(life.instance.availability_zone)) for life in self._current.values()
        )

    def end(self, life: Life, reason: StateReason, *, stop: bool = False) -> None:
        """Terminate, or stop; its machine is killed. An instance that is leaving already goes on doing so."""
        if life.over or life.leaving:
            return
        life.enter(STOPPING if stop else SHUTTING_DOWN)
        life.reason = life.instance.state_reason = reason
        log.info("%s %s: %s", life.instance.id, life.state, reason.code)

    def give_notice(self, life: Life, *, after_s: float) -> None:
        """
        Tell a Spot instance that it is taken back so many seconds from now, which then happens.

        Raises:
            ValueError: It is no running Spot instance.
        """
        _check_spot(life)
        life.taken_at = self._world.clock.now() + after_s
        log.info("%s is taken back in %g s", life.instance.id, after_s)

    def advise(self, life: Life) -> None:
        """
        Recommend to move off a Spot instance, which ends nothing.

        Raises:
            ValueError: It is no running Spot instance.
        """
        _check_spot(life)
        life.advised_at = self._world.clock.now()

    def tick(self) -> None:
        """Whatever is due."""
        now = self._world.clock.now()
        for life in list(self._current.values()):
            if life.work and not life.work.done():
                continue
            if life.work:
                self._finish_work(life, life.work, now)
            if life.taken_at is not None and now >= life.taken_at:
                self.end(life, BY_SPOT)
            if life.leaving:
                self._leave(life, now)
            elif life.state == "pending" and now >= life.boots_at:
                self._boot(life, now)
            elif life.state == "running" and life.handle:
                self._look(life)

    def _boot(self, life: Life, now: float) -> None:
        if self._launcher:
            life.work = self._hands.submit(self._launcher.start, self._machine(life))
        else:
            life.enter(RUNNING)
            life.booted_at = now

    def _finish_work(self, life: Life, work: "Future[Any]", now: float) -> None:
        life.work = None
        if life.leaving and life.handle:
            if error := work.exception():
                log.error("%s could not be killed", life.instance.id, exc_info=error)
            self._gone(life, now)
            return
        if error := work.exception():
            log.error("%s did not boot", life.instance.id, exc_info=error)
            self.end(life, NOT_BOOTED)
            return
        life.handle = work.result()
        life.booted_at = now
        if not life.leaving:
            life.enter(RUNNING)
            log.info("%s running at %s", life.instance.id, life.instance.private_ip)

    def _look(self, life: Life) -> None:
        status = life.handle.poll() if life.handle else None
        if status is not None:
            life.exit = status
            stays = life.instance.instance_initiated_shutdown_behavior == "stop"
            self.end(life, BY_ITSELF, stop=stays)

    def _leave(self, life: Life, now: float) -> None:
        if life.handle:
            life.work = self._hands.submit(life.handle.kill)
        else:
            self._gone(life, now)

    def _gone(self, life: Life, now: float) -> None:
        life.ended_at = now
        if life.state == "stopping":
            life.enter(STOPPED)
        else:
            life.release(life.instance)
            life.enter(TERMINATED)
            del self._current[life.instance.id]
        life.instance.state_reason = life.reason
        who = "User initiated" if life.reason is BY_API else life.reason.message.rpartition(": ")[2]
        life.instance._reason = f"{who} ({utc(now):%Y-%m-%d %H:%M:%S} GMT)"  # noqa: SLF001 - moto's record has no setter
        log.info("%s %s", life.instance.id, life.state)

    def _machine(self, life: Life) -> Machine:
        instance = life.instance
        vcpus, memory_mib, _ = prices.shape(instance.instance_type)
        volumes = [volume.size for volume in instance.block_device_mapping.values() if volume.size]
        return Machine(
            instance_id=instance.id,
            instance_type=instance.instance_type,
            address=str(instance.private_ip),
            zone=str(instance.availability_zone),
            hostname=instance.private_dns_name,
            vcpus=vcpus,
            memory_mib=memory_mib,
            disk_gib=int(volumes[0]) if volumes else 8,
            user_data=instance.user_data.decode() if instance.user_data else "",
            image=life.image,
            metadata=life.metadata,
        )

    def close(self) -> None:
        """Kill every machine and wait for it; World.lock must not be held."""
        with self._world.lock:
            boots = [life.work for life in self._current.values() if life.work]
        for work in boots:
            work.exception()
        with self._world.lock:
            for life in self._current.values():
                if life.work and not life.handle and not life.work.exception():
                    life.handle = life.work.result()
            handles = [life.handle for life in self._current.values() if life.handle]
        for kill in [self._hands.submit(handle.kill) for handle in handles]:
            kill.exception()
        self._hands.shutdown()


def _check_spot(life: Life) -> None:
    if life.instance.lifecycle != "spot" or life.state != "running":
        raise ValueError(f"{life.instance.id} is no Spot instance that runs")
