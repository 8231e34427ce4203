"""condor_annex costs: what annexes have cost so far, by month."""

import json
import sys
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from annex_core.cli.asking_daemon import ask
from annex_core.cli.screen import Screen, Style
from annex_core.cli.typed import Parser, month
from annex_core.errors import AnnexError

_BY = ("annex", "owner", "project", "route", "month")
_LEGEND = (
    "USD, an estimate from above: machines at their price ceilings, until they were gone or until now. The bill alone"
    " is exact."
)


def run(arguments: Sequence[str]) -> int:
    """1 when there was no answer."""
    parser = Parser("costs", "What annexes have cost so far, finished ones included: an estimate from above.")
    parser.add_argument("-by", "--by", choices=_BY, default="annex", help="what is added up in a line; default: annex")
    parser.add_argument("-month", "--month", type=month, metavar="YYYY-MM", help="this month alone, by UTC")
    parser.add_argument("-owner", "--owner", metavar="USER", help="whose; others' are for administrators")
    parser.add_argument("-json", "--json", action="store_true", help="all there is, by schemas/costs.json")
    wanted = parser.parse_args(arguments)
    try:
        known = ask("costs", {"owner": wanted.owner} if wanted.owner else {})
    except AnnexError as error:
        print(f"condor_annex costs: {error}", file=sys.stderr)
        return 1
    if wanted.month:
        known["costs"] = [row for row in known["costs"] if row["month"] == wanted.month]
    if wanted.json:
        print(json.dumps(known, indent=2))
    else:
        show(known, Screen(), by=wanted.by)
    return 0


def show(known: dict[str, Any], screen: Screen, *, by: str) -> None:
    """
    Args:
        known: By schemas/costs.json.
        by: What a line is for, beside the month.
    """
    if known["as_of"] is None:
        screen.prose("The daemon has only just started; ask again in a minute.")
        return
    if not known["costs"]:
        screen.prose("No annex has cost anything.")
        return
    heads = {
        "annex": ("month", "project", "owner", "annex"),
        "owner": ("month", "owner"),
        "project": ("month", "project"),
        "route": ("month", "route"),
        "month": ("month",),
    }[by]
    sums: dict[tuple[str, ...], Decimal | None] = {}
    for row in known["costs"]:
        _add(sums, tuple(row[head] for head in heads), row["usd_estimate"])
        _add(sums, (), row["usd_estimate"])
    total = sums.pop(())
    rows = [[*names, _usd(usd)] for names, usd in sorted(sums.items())]
    rows.append(["total", *("" for _ in heads[1:]), _usd(total)])
    room = max((screen.width - 20) // max(len(heads) - 1, 1), 8)
    screen.table([*(head.upper() for head in heads), "USD"], rows, names=[7, *(room for _ in heads[1:])])
    screen.prose(f"\n{_LEGEND}", Style.DIM)


def _add(sums: dict[tuple[str, ...], Decimal | None], names: tuple[str, ...], usd: str | None) -> None:
    before = sums.get(names, Decimal(0))
    sums[names] = None if before is None or usd is None else before + Decimal(usd)


def _usd(amount: Decimal | None) -> str:
    return "unknown" if amount is None else f"{amount:.2f}"
