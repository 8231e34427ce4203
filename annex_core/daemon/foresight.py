"""What people ask about jobs and change nothing by: what would come of some (plan), and why some wait (why)."""

import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from annex_core.adapters.job_rows import shape, supposed
from annex_core.adapters.requests import read
from annex_core.adapters.server import Peer
from annex_core.adapters.wire import AGAIN
from annex_core.daemon.asker import Asker
from annex_core.daemon.creating import in_force
from annex_core.daemon.provisioner import Standing
from annex_core.daemon.status import money, sentence, with_what_it_asks_for
from annex_core.errors import Refused, Unavailable
from annex_core.model.demand import JobGroup
from annex_core.model.names import AnnexKey
from annex_core.model.plan import GroupOutlook
from annex_core.model.route import Route
from annex_core.model.runtime import Expect
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.planner.estimate import Range, estimate
from annex_core.planner.lineup import lineup
from annex_core.planner.matching import Matcher
from annex_core.planner.offers import expected
from annex_core.planner.prospect import Ahead, Prospect, prospect

_PATIENCE_S = 2.0
"""For who asks before; the socket gives each answer 5 seconds."""
_EFFORT = 20_000
"""Comparisons of a job with a type in one of the plans that are looked ahead; some tenths of a second."""


class Foresight:
    """
    Args:
        standing: What the last cycle saw and decided.
        expect: How long jobs run; None where nobody learns it.
        domain: ANNEX_DOMAIN.
    """

    def __init__(
        self,
        *,
        standing: Callable[[], Standing | None],
        expect: Expect | None,
        domain: str,
        administrators: Container[str],
    ) -> None:
        self._standing = standing
        self._expect = expect
        self._domain = domain
        self._administrators = administrators
        self._one_at_a_time = threading.Lock()

    def __call__(self, verb: str, body: bytes, peer: Peer) -> dict[str, Any]:
        """
        Raises:
            Refused: The sentence says why.
            Unavailable: It can't be answered just now.
        """
        asked = read(verb, body)
        key = Asker.of(peer, self._administrators).key(asked)
        standing = self._standing()
        if standing is None:
            raise Unavailable(f"condor_annexd has only just started{AGAIN}")
        if verb == "why":
            return _why(key, standing)
        if not self._one_at_a_time.acquire(timeout=_PATIENCE_S):
            raise Unavailable("somebody else's plan is being made; ask again in a moment")
        try:
            return self._plan(key, asked, with_what_it_asks_for(standing))
        finally:
            self._one_at_a_time.release()

    def _plan(self, key: AnnexKey, asked: Mapping[str, Any], snapshot: Snapshot) -> dict[str, Any]:
        route = _route(key, asked, snapshot)
        groups, jobs = [], {}
        for each in asked["groups"]:
            at_a_time = min(each["jobs"], each.get("at_a_time", each["jobs"]))
            group = supposed(each["ad"], key.owner, at_a_time, self._expect)
            if group.key != key:
                raise Refused(f"the jobs name annex {group.key.name}, and {key.name} was asked for")
            groups.append(group)
            jobs[id(group)] = each["jobs"]
        matcher = Matcher(domain=self._domain, effort=_EFFORT)
        found = prospect(snapshot, key, route, groups, matcher)
        return _foreseen(found, matcher, jobs, lives=key in snapshot.annexes)


def _route(key: AnnexKey, asked: Mapping[str, Any], snapshot: Snapshot) -> Route:
    """The annex's own where it lives, else the one that was asked for."""
    annex, name = snapshot.annexes.get(key), str(asked["route"])
    if annex and annex.route != name and asked.get("insist"):
        raise Refused(
            f"annex {key.name} lives, and keeps its route {annex.route} until its lease ends; with another annex_name "
            f"the jobs can have route {name}"
        )
    return in_force(annex.route if annex else name, snapshot).of(key.owner)


def _foreseen(found: Prospect, matcher: Matcher, jobs: Mapping[int, int], *, lives: bool) -> dict[str, Any]:
    """By `answers.plan` in schemas/request.json."""
    played = lineup(found, matcher, jobs)
    estimated = estimate(played)
    run = {id(batch.group) for batch in played.batches if batch.kinds}
    annex, world = found.annex, found.world
    asked = [each.fleet for each in found.fleets]
    hourly = [expected(each.route, world)(world.types[each.route.place][each.types[0]]) for each in asked]
    ceilings = [each.fleet.hourly_ceiling for each in found.fleets]
    left = annex.lease_ends - world.aws_now(annex.place)
    hours = [Decimal(max((left - each.after).total_seconds(), 60.0)) / 3600 for each in found.fleets]
    mine = {id(each.group) for each in found.groups}
    others = [group for group in world.demand or () if group.key == annex.key and id(group) not in mine]
    return {
        "as_of": stamp(world.at),
        "owner": annex.key.owner,
        "name": annex.key.name,
        "lives": lives,
        "route": found.route.name,
        "region": annex.region,
        "market": found.route.market.value,
        "lease_ends": stamp(annex.lease_ends),
        "fleets": [_fleet(each, usd) for each, usd in zip(found.fleets, hourly, strict=True)],
        "machines": sum(each.fleet.target for each in found.fleets),
        "usd_per_hour": money(_sum(found.fleets, hourly)),
        "usd_per_hour_at_most": money(_sum(found.fleets, ceilings)),
        "usd": _range(estimated.usd),
        "usd_at_most": money(
            _sum(found.fleets, [None if usd is None else usd * h for usd, h in zip(ceilings, hours, strict=True)])
        ),
        "seconds": _range(estimated.seconds),
        "leases": estimated.leases,
        "guessed": estimated.guessed,
        "others": sum(group.idle for group in others),
        "cut": found.cut,
        "status": found.outlook.sentence,
        "limits": list(dict.fromkeys(each.why_not_more for each in found.groups if each.why_not_more)),
        "groups": [
            group_document(each, jobs=jobs[id(each.group)], never=id(each.group) not in run) for each in found.groups
        ],
    }


def _fleet(ahead: Ahead, usd: Decimal | None) -> dict[str, Any]:
    return {
        "after_s": ahead.after.total_seconds(),
        "machines": ahead.fleet.target,
        "types": list(ahead.fleet.types),
        "usd_per_hour": money(usd),
        "usd_per_hour_at_most": money(ahead.fleet.hourly_ceiling),
    }


def _sum(fleets: Iterable[Ahead], each: Iterable[Decimal | None]) -> Decimal | None:
    """Of all machines; None where the price of one is unknown."""
    total = Decimal(0)
    for ahead, usd in zip(fleets, each, strict=True):
        if usd is None:
            return None
        total += usd * ahead.fleet.target
    return total


def _range(of: Range | None) -> dict[str, float] | None:
    return {"low": round(of.low, 4), "middle": round(of.middle, 4), "high": round(of.high, 4)} if of else None


def _why(key: AnnexKey, standing: Standing) -> dict[str, Any]:
    """By `answers.why` in schemas/request.json."""
    snapshot, outlook = standing.snapshot, standing.plan.outlooks.get(key)
    annex = snapshot.annexes.get(key)
    if outlook is None and annex is None and key not in snapshot.counts:
        if snapshot.demand is None:
            raise Unavailable(
                f"whether {key.owner} has jobs for annex {key.name} is not known: the schedd does not answer"
            )
        raise Refused(f"no annex {key.name} of {key.owner} has jobs or machines")
    groups: Sequence[GroupOutlook] = outlook.groups if outlook else ()
    return {
        "as_of": stamp(snapshot.at),
        "owner": key.owner,
        "name": key.name,
        "route": annex.route if annex else next((each.group.route for each in groups if each.group.route), None),
        "status": sentence(key, standing),
        "reason": outlook.reason if outlook else None,
        "waiting": outlook.waiting if outlook else 0,
        "groups": [group_document(each) for each in groups],
    }


def group_document(each: GroupOutlook, *, jobs: int | None = None, never: bool | None = None) -> dict[str, Any]:
    """By `group` in schemas/request.json."""
    group: JobGroup = each.group
    expected_ = group.expected
    more = (jobs or group.idle) - group.idle
    return {
        "jobs": group.idle + more,
        **shape(group),
        "run_time": {
            "seconds": round(expected_.mean.total_seconds(), 1),
            "spread": round(expected_.spread.total_seconds(), 1),
            "jobs": expected_.jobs,
            "basis": expected_.basis,
        }
        if expected_
        else None,
        "placed": each.placed,
        "served": each.served,
        "machines": [{"types": list(some.types), "machines": some.machines} for some in each.asked],
        "waiting": each.waiting + more,
        "why_not_more": each.why_not_more
        or (f"at most {group.idle} of them wait in the queue at a time" if more else None),
        "never": never,
    }
