"""Spot Fleets over time: their spot requests fill, wait, are cancelled or expire."""

import heapq
import json
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import count
from typing import Any
from uuid import uuid4

from moto.core.exceptions import ServiceException
from moto.ec2.exceptions import EC2ClientError
from moto.ec2.models import EC2Backend
from moto.ec2.utils import convert_tag_spec, random_spot_request_id

from rehearsal.cloud import fleet_config
from rehearsal.cloud.life import BY_API, BY_SPOT, Lives
from rehearsal.cloud.placement import Pool, choose, ranked
from rehearsal.cloud.spot_fleet import PENDING, WHY_OPEN, SpotFleet, SpotRequest
from rehearsal.cloud.world import World

FLEET_TAG = "aws:ec2spot:fleet-request-id"
_LISTED_S = 48 * 3600
"""How long AWS lists a cancelled fleet."""
_MOST_FLEETS = 1000
"""Active and *_running in a region: AWS's quota."""
_ALL_FULL = (
    "Several attempts to launch instances have failed. Either the request could not be satisfied or the configuration "
    "is not valid. We will retry the request again later. For more information, see the description of the event."
)


class Fleets:
    """The Spot Fleets of one region; World.lock is held by whoever calls."""

    def __init__(self, ec2: EC2Backend, world: World, lives: Lives) -> None:
        self._ec2 = ec2
        self._world = world
        self._lives = lives
        self.fleets: dict[str, SpotFleet] = {}
        self.requests: dict[str, SpotRequest] = {}
        self._serials = count()
        self._tags_due: list[tuple[float, str, str]] = []
        """A heap: when, instance, fleet."""

    def request(self, given: dict[str, Any]) -> SpotFleet:
        """
        RequestSpotFleet; what can be launched at once is.

        Raises:
            ServiceException: AWS refuses it.
        """
        now = self._world.clock.now()
        config = fleet_config.complete(given, self._ec2, now)
        pools = fleet_config.pools(config, self._ec2)
        fleet = SpotFleet(f"sfr-{uuid4()}", len(self.fleets), config, pools, now)
        if sum(other.state in {"submitted", "active", "cancelled_running"} for other in self.listed()) >= _MOST_FLEETS:
            raise EC2ClientError("MaxSpotFleetRequestCountExceeded", "Max spot fleet request count exceeded.")
        self.fleets[fleet.id] = fleet
        tags = convert_tag_spec(config.get("TagSpecifications", [])).get("spot-fleet-request", {})
        self._ec2.create_tags([fleet.id], tags)
        fleet.enter("submitted", now)
        fleet.enter("active", now)
        self._balance(fleet, now)
        self._advance(fleet, now)
        return fleet

    def listed(self) -> Iterable[SpotFleet]:
        """Those that AWS still shows."""
        horizon = self._world.clock.now() - _LISTED_S
        return [fleet for fleet in self.fleets.values() if fleet.ended is None or fleet.ended > horizon]

    def cancel(self, fleet: SpotFleet, *, terminate: bool) -> bool:
        """False where AWS says that it is in no state to be cancelled."""
        wanted = "cancelled_terminating" if terminate else "cancelled_running"
        if fleet.state in {"cancelled", "cancelled_terminating", wanted}:
            return False
        self._close(fleet, wanted, "request-canceled", self._world.clock.now())
        return True

    def cancel_request(self, request: SpotRequest) -> None:
        """The instance of one that is fulfilled goes on running; a `request` fleet doesn't replace an open one."""
        now = self._world.clock.now()
        if request.state == "open":
            request.fleet.waiting.remove(request)
            request.fleet.given_up += request.pool.weight
            request.become("cancelled", "canceled-before-fulfillment", "Your Spot request is canceled.", now)
        elif request.state == "active":
            request.become("cancelled", "request-canceled-and-instance-running", "Your Spot request is canceled.", now)

    def tick(self) -> None:
        """Whatever is due."""
        now = self._world.clock.now()
        for fleet in self.fleets.values():
            if fleet.ended is None:
                self._advance(fleet, now)
        while self._tags_due and self._tags_due[0][0] <= now:
            _, instance, fleet_id = heapq.heappop(self._tags_due)
            self._ec2.create_tags([instance], {FLEET_TAG: fleet_id})

    def _advance(self, fleet: SpotFleet, now: float) -> None:
        self._let_go(fleet, now)
        if now >= fleet.valid_until and not fleet.expired:
            fleet.expired = True
            fleet.note(now, "fleetRequestChange", "expired")
            if fleet.state == "active":
                ends = fleet.config["TerminateInstancesWithExpiration"]
                state = "cancelled_terminating" if ends else "cancelled_running"
                self._close(fleet, state, "schedule-expired", now)
        if fleet.state == "active":
            self._balance(fleet, now)
            self._fill(fleet, now)
        elif fleet.state.startswith("cancelled_") and not fleet.holding:
            fleet.enter("cancelled", now)
            fleet.ended = now

    def _let_go(self, fleet: SpotFleet, now: float) -> None:
        """Of instances that have ended or are ending."""
        held = []
        for request in fleet.holding:
            life = self._lives.get(request.instance.id) if request.instance else None
            if life and not life.over:
                held.append(request)
                continue
            fleet.note(now, "instanceChange", "terminated", instance=request.instance.id if request.instance else None)
            if request.state == "active":
                by = "no-capacity" if life and life.reason is BY_SPOT else "by-user"
                request.become("closed", f"instance-terminated-{by}", "Your Spot instance was terminated.", now)
        fleet.holding = held

    def _close(self, fleet: SpotFleet, state: str, code: str, now: float) -> None:
        for request in fleet.waiting:
            request.become("cancelled", code, "Your Spot request is canceled.", now)
        fleet.waiting = []
        fleet.enter(state, now)
        if state == "cancelled_terminating":
            for request in fleet.holding:
                if request.instance and (life := self._lives.get(request.instance.id)):
                    self._lives.end(life, BY_API)

    def _balance(self, fleet: SpotFleet, now: float) -> None:
        """Open requests that just cover what is missing."""
        open_units = sum(request.pool.weight for request in fleet.waiting)
        while fleet.waiting and open_units - fleet.waiting[-1].pool.weight >= fleet.missing:
            dropped = fleet.waiting.pop()
            open_units -= dropped.pool.weight
            del self.requests[dropped.id]
        if open_units >= fleet.missing:
            return
        best = ranked(fleet.pools, fleet.config["AllocationStrategy"], seed=self._world.seed, at=now)
        crowd = Counter(request.pool for request in fleet.holding + fleet.waiting)
        while open_units < fleet.missing:
            pool = choose(best, crowd, spread=fleet.config["AllocationStrategy"] == "diversified")
            assert pool is not None, "a fleet has a pool"  # noqa: S101 - fleet_config refuses one without
            request = SpotRequest(random_spot_request_id(), next(self._serials), fleet, pool, now, updated=now)
            self.requests[request.id] = request
            self._ec2.create_tags([request.id], {FLEET_TAG: fleet.id})
            fleet.waiting.append(request)
            crowd[pool] += 1
            open_units += pool.weight

    def _fill(self, fleet: SpotFleet, now: float) -> None:
        settings = self._world.settings
        if not fleet.waiting or now < max(fleet.valid_from, fleet.created + settings.fill_delay_s):
            return
        rest_after = settings.fill_rest_after_s
        all_now = settings.fill_fraction >= 1 or (rest_after is not None and now >= fleet.created + rest_after)
        allowed = fleet.target if all_now else fleet.target * settings.fill_fraction
        placed = fleet.fulfilled if fleet.refills else fleet.launched
        launches: dict[Pool, list[SpotRequest]] = {}
        site = _Site(fleet, self._world, self._lives, self._free_addresses, now)
        while fleet.waiting and placed < allowed and (pool := site.next()):
            request = fleet.waiting.pop(0)
            request.pool = pool
            launches.setdefault(pool, []).append(request)
            placed += pool.weight
        for pool, requests in launches.items():
            self._launch(fleet, pool, requests, now)
        self._explain(fleet, site, now, held_back=placed >= allowed)
        self._balance(fleet, now)

    def _free_addresses(self, subnet: str) -> int:
        return self._ec2.get_subnet(subnet).available_ip_address_count

    def _launch(self, fleet: SpotFleet, pool: Pool, requests: list[SpotRequest], now: float) -> None:
        try:
            made = self._ec2.run_instances(
                pool.image,
                len(requests),
                instance_type=pool.instance_type,
                is_instance_type_default=False,
                subnet_id=pool.subnet,
                lifecycle="spot",
                # A token of AWS's own, without an underscore: condor-annex-ec2 waits until there is one.
                client_token=f"{fleet.id}-{now:.0f}",
                fleet=fleet.id,
                **pool.launch,
            )
        except ServiceException as error:
            fleet.broken.add(pool)
            fleet.waiting[:0] = requests
            fleet.note(now, "error", "launchSpecUnusable", f"{_name(pool)}: {error.message} (Error Code: {error.code})")
            return
        for request, instance in zip(requests, made.instances, strict=True):
            instance.spot_instance_request_id = request.id  # type: ignore[attr-defined] # moto shows it where it is
            request.instance = instance
            request.become("active", "fulfilled", "Your Spot request is fulfilled.", now)
            fleet.launched += pool.weight
            heapq.heappush(self._tags_due, (now + self._world.settings.tag_delay_s, instance.id, fleet.id))
            text = {
                "instanceType": pool.instance_type,
                "image": instance.image_id,
                "productDescription": "Linux/UNIX",
                "availabilityZone": pool.zone,
            }
            fleet.note(now, "instanceChange", "launched", json.dumps(text), instance.id)
        fleet.holding += requests

    def _explain(self, fleet: SpotFleet, site: "_Site", now: float, *, held_back: bool) -> None:
        """Say why the rest stays open, in the history once for each new reason, and on the requests."""
        trouble = "" if held_back or not fleet.waiting else site.trouble
        if trouble and trouble != fleet.trouble:
            for pool in site.full:
                text = (
                    f'Repeated errors have occurred processing the launch specification "{_name(pool)}". '
                    f"Error message: {WHY_OPEN['capacity-not-available']} "
                    "(Service: AmazonEC2; Status Code: 500; Error Code: InsufficientInstanceCapacity)"
                )
                fleet.note(now, "information", "launchSpecTemporarilyBlacklisted", text)
            for pool in site.dear:
                fleet.note(now, "information", "launchSpecUnusable", f"{_name(pool)}: Spot price is above the maximum")
            fleet.note(now, "error", "allLaunchSpecsTemporarilyBlacklisted", _ALL_FULL)
        fleet.trouble = trouble
        short = "price-too-low" if site.dear and not site.full else "capacity-not-available"
        code = PENDING if held_back else short
        for request in fleet.waiting:
            if request.code != code:
                request.become("open", code, WHY_OPEN[code], now)


class _Site:
    """The pools of a fleet as they are at one moment: which still takes an instance."""

    def __init__(
        self, fleet: SpotFleet, world: World, lives: Lives, free_addresses: Callable[[str], int], now: float
    ) -> None:
        strategy = fleet.config["AllocationStrategy"]
        usable = [pool for pool in fleet.pools if pool not in fleet.broken]
        self.dear = [pool for pool in usable if not pool.affordable(now, world.settings.spot_price_factor)]
        self._open = [pool for pool in ranked(usable, strategy, seed=world.seed, at=now) if pool not in self.dear]
        self.full: list[Pool] = []
        self._faults = world.faults
        self._held = lives.crowd()
        self._crowd = Counter(request.pool for request in fleet.holding)
        self._spread = strategy == "diversified"
        self._broken = len(fleet.broken)
        self._free_addresses = free_addresses
        self._addresses: dict[str, int] = {}
        """Free ones by subnet, counted when first asked for."""

    @property
    def trouble(self) -> str:
        """What distinguishes one reason for not launching from another; empty while a pool is open."""
        return "" if self._open else f"{sorted(map(_name, self.full))} {sorted(map(_name, self.dear))} {self._broken}"

    def next(self) -> Pool | None:
        """Where the next instance goes, counted as if it were there."""
        while pool := choose(self._open, self._crowd, spread=self._spread):
            if self._has_room(pool):
                self._held[pool.instance_type, pool.zone] += 1
                self._addresses[pool.subnet] -= 1
                self._crowd[pool] += 1
                return pool
            self._open.remove(pool)
            self.full.append(pool)
        return None

    def _has_room(self, pool: Pool) -> bool:
        room = self._faults.room(pool.instance_type, pool.zone, "spot")
        if room is not None and self._held[pool.instance_type, pool.zone] >= room:
            return False
        if pool.subnet not in self._addresses:
            self._addresses[pool.subnet] = self._free_addresses(pool.subnet)
        return self._addresses[pool.subnet] > 0


def _name(pool: Pool) -> str:
    """As AWS's events name a launch specification."""
    return f"{pool.instance_type}, {pool.image}, Linux/UNIX (Amazon VPC), {pool.zone}"
