"""What annexes have cost so far, living and finished; an estimate from above, by schemas/costs.json."""

from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal
from typing import Any

from annex_core.daemon.provisioner import Standing
from annex_core.model.limits import Spent
from annex_core.model.snapshot import Snapshot
from annex_core.model.tags import stamp
from annex_core.planner.outlay import by_month, price

_MILL = Decimal("0.0001")


def costs(standing: Standing | None, past: Iterable[Spent], owner: str | None) -> dict[str, Any]:
    """
    Args:
        standing: None before the first cycle.
        past: Of finished lives, by month.
        owner: Whose annexes; None for everybody's.
    """
    if standing is None:
        return {"as_of": None, "costs": []}
    snapshot = standing.snapshot
    sums: dict[tuple[str, str, str, str, str], Decimal | None] = {}
    for each in [*past, *_living(snapshot)]:
        if owner in (None, each.owner):
            key = each.month, each.project, each.owner, each.name, each.route
            before = sums.get(key, Decimal(0))
            sums[key] = None if before is None or each.usd is None else before + each.usd
    return {"as_of": stamp(snapshot.at), "costs": [_row(key, usd) for key, usd in sorted(sums.items())]}


def _living(snapshot: Snapshot) -> Iterable[Spent]:
    """What each machine of the living annexes has cost by now."""
    annexes = {annex.id: annex for annex in snapshot.annexes.values()}
    for known in snapshot.known:
        annex = annexes.get(known.annex)
        if annex is None:
            continue
        hour = known.hourly_ceiling
        if hour is None:
            hour = price(snapshot.types.get(annex.place, {}).get(known.type), snapshot.routes.get(annex.route))
        for month, hours in by_month(known.launched, known.gone or snapshot.at):
            usd = None if hour is None else hour * hours
            yield Spent(annex.key.owner, annex.key.name, annex.project, annex.route, month, usd)


def _row(key: tuple[str, str, str, str, str], usd: Decimal | None) -> Mapping[str, Any]:
    month, project, owner, name, route = key
    return {
        "month": month,
        "project": project,
        "owner": owner,
        "annex": name,
        "route": route,
        "usd_estimate": None if usd is None else f"{usd.quantize(_MILL, ROUND_CEILING):f}",
    }
