"""A small world of values for tests of the planner: one annex, one route, one region."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import classad2

from annex_core.model import tags
from annex_core.model.annex import Annex, KnownInstance, Launch, LaunchState
from annex_core.model.demand import JobGroup, Wishes
from annex_core.model.hardware import InstanceType
from annex_core.model.names import AnnexKey, annex_id
from annex_core.model.place import Place
from annex_core.model.plan import LaunchFleet, Retag
from annex_core.model.route import Market, Route
from annex_core.model.setback import Setback, Subject
from annex_core.model.signs import Signs
from annex_core.model.snapshot import RegionView, Snapshot
from annex_core.model.supply import Fleet, Instance, InstanceState, Slot
from annex_core.planner.caps import tightened
from annex_core.planner.holdings import remember, with_memory
from annex_core.planner.plan import plan

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
DOMAIN = "pool.example"
ACCESS_POINT = "ap.example"
REGION = Place("us-east-2")
ALICE = AnnexKey("alice", "blue")
BOB = AnnexKey("bob", "blue")

ROUTE = Route(
    name="spot",
    region=REGION,
    subnets=("subnet-1",),
    image="ami-1",
    instance_types=("c5.large", "c5.xlarge", "c5.4xlarge"),
    bucket="bucket",
    fleet_role="arn:aws:iam::123456789012:role/fleet",
    max_instances=10,
)

TYPES = {
    name: InstanceType(name, vcpus, memory, "x86_64", on_demand=price)
    for name, vcpus, memory, price in (
        ("c5.large", 2, 4096, Decimal("0.085")),
        ("c5.xlarge", 4, 8192, Decimal("0.17")),
        ("c5.4xlarge", 16, 32768, Decimal("0.68")),
        ("x9.new", 4, 8192, None),
    )
}


def group(idle: int = 1, **given: Any) -> JobGroup:
    requirements, rank = given.pop("requirements", "true"), given.pop("rank", None)
    made = JobGroup(
        **{
            "key": ALICE,
            "project": "physics",
            "route": "spot",
            "idle": idle,
            "cpus": 1,
            "memory_mib": 1024,
            "disk_kib": 1024,
            **given,
        }
    )
    ad = classad2.ClassAd(
        {
            "MyType": "Job",
            "Owner": made.key.owner,
            "TargetAnnexName": made.key.name,
            "RequestCpus": made.cpus,
            "RequestMemory": made.memory_mib,
            "RequestDisk": made.disk_kib,
            "Requirements": classad2.ExprTree(requirements),
        }
    )
    if rank is not None:
        ad["Rank"] = classad2.ExprTree(rank)
    return replace(made, ad=ad)


def annex(key: AnnexKey = ALICE, **given: Any) -> Annex:
    return Annex(
        **{
            "id": annex_id(key, access_point=ACCESS_POINT),
            "key": key,
            "project": "physics",
            "route": "spot",
            "region": REGION,
            "endpoint": None,
            "started": NOW - timedelta(hours=1),
            "lease_ends": NOW + timedelta(hours=7),
            "ends_at_latest": NOW + timedelta(hours=23),
            **given,
        }
    )


def launch(token: str = "t1", target: int = 1, **given: Any) -> Launch:
    return Launch(
        **{
            "token": token,
            "annex": annex().id,
            "place": Place(REGION),
            "target": target,
            "types": ("c5.large",),
            "hourly_ceiling": Decimal("0.1"),
            "intended": NOW - timedelta(minutes=5),
            "state": LaunchState.REQUESTED,
            "fleet": f"sfr-{token}",
            **given,
        }
    )


def carried(key: AnnexKey = ALICE, of: Annex | None = None) -> dict[str, str]:
    life = of or annex(key)
    return tags.AnnexTags(
        key=key,
        project=life.project,
        route=life.route,
        pool="pool",
        access_point=ACCESS_POINT,
        lease_ends=life.lease_ends,
        ends_at_latest=life.ends_at_latest,
    ).as_dict()


def instance(id_: str = "i-1", **given: Any) -> Instance:
    return Instance(
        **{
            "id": id_,
            "type": "c5.large",
            "zone": "us-east-2a",
            "state": InstanceState.RUNNING,
            "launched": NOW - timedelta(minutes=4),
            "tags": carried(),
            **given,
        }
    )


def fleet(token: str = "t1", **given: Any) -> Fleet:
    return Fleet(
        **{
            "id": f"sfr-{token}",
            "state": "active",
            "client_token": token,
            "target": 1,
            "fulfilled": 1.0,
            "created": NOW - timedelta(minutes=5),
            "valid_until": None,
            "tags": carried(),
            **given,
        }
    )


def slot(instance_id: str = "i-1", key: AnnexKey = ALICE, **given: Any) -> Slot:
    return Slot(
        **{
            "name": f"slot1@{instance_id}",
            "identity": key.identity(DOMAIN),
            "claimed_name": key.name,
            "instance": instance_id,
            "type": "c5.large",
            "cpus": 2,
            "free_cpus": 2,
            "free_memory_mib": 3500,
            "free_disk_kib": 10_000_000,
            **given,
        }
    )


def snapshot(groups: Iterable[JobGroup] | None = (), **given: Any) -> Snapshot:
    """With the memory that the daemon would have of it."""
    made = Snapshot(
        **{
            "at": NOW,
            "demand": None if groups is None else tuple(groups),
            "slots": (),
            "slots_since": NOW - timedelta(hours=1),
            "regions": {REGION: RegionView()},
            "routes": {ROUTE.name: ROUTE},
            "types": {REGION: TYPES},
            "signs": {REGION: Signs(heartbeat=NOW)},
            "domain": DOMAIN,
            "access_point": ACCESS_POINT,
            "pool": "pool",
            **given,
        }
    )
    return tightened(with_memory(made, remember(made)))


def living(groups: Iterable[JobGroup] | None = (), *, at: RegionView, **given: Any) -> Snapshot:
    """A snapshot in which alice's annex lives."""
    return snapshot(groups, **{"annexes": {ALICE: annex()}, "regions": {REGION: at}, **given})


def actions(of: Snapshot, kind: Any) -> list[Any]:
    return [action for action in plan(of).actions if isinstance(action, kind)]


def fleets(of: Snapshot) -> list[LaunchFleet]:
    return actions(of, LaunchFleet)


def drained(of: Snapshot) -> list[str]:
    """Instances that no job may come to any more, in the plan's order."""
    retags = [change for action in actions(of, Retag) for change in action.changes]
    return [id_ for wanted, ids in retags if tags.DRAINING in dict(wanted) for id_ in ids]


def sentence(of: Snapshot, key: AnnexKey = ALICE) -> str:
    """What the jobs of an annex are told."""
    return plan(of).outlooks[key].sentence


def known(id_: str, **given: Any) -> KnownInstance:
    return KnownInstance(
        **{
            "id": id_,
            "annex": annex().id,
            "token": "t1",
            "type": "c5.large",
            "launched": NOW - timedelta(minutes=30),
            "hourly_ceiling": Decimal("0.1"),
            **given,
        }
    )


def setback(
    type_: str = "c5.large",
    zone: str = "",
    *,
    ago: timedelta = timedelta(minutes=1),
    place: Place = REGION,
    market: Market = Market.SPOT,
    quota: str = "",
    **given: Any,
) -> Setback:
    return Setback(
        **{
            "subject": Subject(place, market, type_, zone, quota),
            "why": "no capacity",
            "since": NOW - ago,
            "last": NOW - ago,
            **given,
        }
    )


def wishing(**given: Any) -> Wishes:
    return Wishes(**given)
