"""What waits in the queue, group by group."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any

from annex_core.model.names import AnnexKey
from annex_core.model.runtime import Runtime


@dataclass(frozen=True)
class Limits:
    """What jobs allow their annex at most; None is no limit of that kind."""

    max_instances: int | None = None
    max_hourly_cost: Decimal | None = None
    """USD an hour."""
    budget: Decimal | None = None
    """USD for one life of the annex."""


def tightest(limits: Iterable[Limits]) -> Limits:
    """The least of each kind."""
    some = tuple(limits)
    return Limits(
        max_instances=min((each.max_instances for each in some if each.max_instances is not None), default=None),
        max_hourly_cost=min((each.max_hourly_cost for each in some if each.max_hourly_cost is not None), default=None),
        budget=min((each.budget for each in some if each.budget is not None), default=None),
    )


@dataclass(frozen=True)
class Wishes:
    """
    What the jobs themselves ask of their annex; a route's caps win over every one.

    Source:
        The submit commands annex_lifetime, annex_idle, annex_max_instances, annex_max_hourly_cost, annex_budget,
        annex_instance_types and annex_on_demand, allowed_execute_duration and allowed_job_duration, as job attributes.
    """

    lifetime: timedelta | None = None
    idle_timeout: timedelta | None = None
    limits: Limits = Limits()
    instance_types: tuple[str, ...] = ()
    on_demand: bool = False
    takes: timedelta | None = None
    """At most, as the job itself says: no machine that ends sooner starts it."""


@dataclass(frozen=True)
class JobGroup:
    """
    Idle jobs of one annex that no execution point could tell apart.

    Source:
        The schedd's GroupBy query over idle jobs; what comes to the same requests and Requirements is one group.
    """

    key: AnnexKey
    project: str
    route: str | None
    """The route whose transforms the jobs have passed; None while the router has not seen them."""
    idle: int
    cpus: int
    memory_mib: int
    disk_kib: int
    gpus: int = 0
    wishes: Wishes = Wishes()
    expected: Runtime | None = None
    """How long one of them is expected to run; None where no history was asked."""
    ad: Any = field(default=None, compare=False, repr=False)
    """The group's classad2.ClassAd, for two-way matching; only planner/matching.py looks into it."""


@dataclass(frozen=True)
class JobCounts:
    """Jobs of one annex by state; copies made by a route count once, as their source."""

    idle: int = 0
    running: int = 0
    """On the annex's machines."""
    at_home: int = 0
    """Running elsewhere, as jobs may that don't need the annex (AnnexAfter)."""
    held: int = 0
    limits: Limits = Limits()
    """The tightest that any of them carries, whatever its state."""
    running_for: Runtime | None = None
    """The expected run time of the longest kind that runs; None where no history was asked, or nothing runs."""
