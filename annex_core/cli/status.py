"""condor_annex status: what the daemon knows of annexes, as a table or as JSON."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.table import Table

from annex_core.cli.asking_daemon import ask
from annex_core.cli.typed import Parser, annex_name
from annex_core.errors import AnnexError
from annex_core.model.wording import counted

_NUMBERS = 53
"""Characters that the table's numbers take when they are large."""
_DEATHS_SHOWN = 3
_LINES_SHOWN = 8
_LEGEND = (
    "times are hours and minutes, money is USD at most.\n"
    "Jobs are IDLE, RUN (running) or HELD; machines are DUE (asked for), BOOT (starting), UP (in the pool) or GONE."
)

Annex = dict[str, Any]
"""One entry of `annexes` in schemas/status.json."""


def run(arguments: Sequence[str]) -> int:
    wanted = _parse(arguments)
    body = {"owner": wanted.owner} if wanted.owner else {}
    try:
        known = ask("status", body)
    except AnnexError as error:
        print(f"condor_annex status: {error}", file=sys.stderr)
        return 1
    if wanted.name:
        known["annexes"] = [annex for annex in known["annexes"] if annex["name"] == wanted.name]
        if not known["annexes"]:
            print(f"condor_annex status: No annex {wanted.name} has jobs or machines.", file=sys.stderr)
            return 1
    if wanted.json:
        print(json.dumps(known, indent=2))
    else:
        show(known, Console(highlight=False), details=bool(wanted.name))
    return 0


def show(known: dict[str, Any], console: Console, *, details: bool) -> None:
    """
    Args:
        known: By schemas/status.json.
        details: Fleets and machines of each annex, too.
    """
    annexes: list[Annex] = sorted(known["annexes"], key=lambda annex: (annex["owner"], annex["name"]))
    as_of = _moment(known["as_of"])
    owners = len({annex["owner"] for annex in annexes}) > 1
    if annexes:
        console.print(_table(annexes, as_of, owners=owners, width=console.width))
    elif as_of:
        console.print("No annex has jobs or machines.")
    for annex in annexes:
        console.print(f"\n{annex['owner']}: {annex['status']}" if owners else f"\n{annex['status']}", markup=False)
        if annex["frozen"]:
            console.print(f"  frozen: {annex['frozen']}; nothing is launched for it", markup=False)
        if details:
            _details(annex, as_of, console)
            _died(annex, console)
    for route, reason in sorted(known["refused_routes"].items()):
        console.print(f"\nRoute {route} is refused as it stands: {reason}", style="red", markup=False)
    for trouble in known["troubles"]:
        console.print(f"\n{trouble}", style="red", markup=False)
    if as_of is None:
        console.print("The daemon has only just started; ask again in a minute.")
    elif annexes:
        age = _span((datetime.now(UTC) - as_of).total_seconds())
        console.print(f"\nAs of {age} ago; {_LEGEND}", style="dim")


def _table(annexes: Sequence[Annex], as_of: datetime | None, *, owners: bool, width: int) -> Table:
    """Names give way to numbers: a number cut short would be another number."""
    room = width - _NUMBERS
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("ANNEX", overflow="ellipsis", no_wrap=True, max_width=max(8, room * 3 // 5 if owners else room))
    if owners:
        table.add_column("OWNER", overflow="ellipsis", no_wrap=True, max_width=max(5, room * 2 // 5 - 1))
    for heading in ("IDLE", "RUN", "HELD", "DUE", "BOOT", "UP", "GONE", "LEASE", "$/H", "SPENT"):
        table.add_column(heading, justify="right", no_wrap=True)
    for annex in annexes:
        jobs, machines = annex["jobs"], annex["instances"]
        table.add_row(
            *((annex["name"], annex["owner"]) if owners else (annex["name"],)),
            *(str(jobs[state]) for state in ("idle", "running", "held")),
            *(str(machines[state]) for state in ("pending", "booting", "joined", "gone")),
            _left(annex["lease_ends"], as_of),
            _money(annex["hourly_cost"]),
            _money(annex["spent_estimate"]),
        )
    return table


def _details(annex: Annex, as_of: datetime | None, console: Console) -> None:
    facts = [f"{key} {annex[key]}" for key in ("id", "project", "route") if annex[key]]
    facts += ["for pilots of another pool"] if annex["pilot"] else []
    if facts:
        console.print("  " + ", ".join(facts), markup=False)
    for order in annex["orders"]:
        wanted = counted(order["instances"], "machine") if order["instances"] else counted(order["slots"], "vCPU")
        came = f"refused: {order['refused']}" if order["refused"] else f"{order['machines']} asked for or there"
        console.print(f"  ordered by {order['by']}, {_age(order['placed'], as_of)} ago: {wanted}, {came}", markup=False)
    for fleet in annex["fleets"]:
        still = f", {fleet['open']} may still come" if fleet["open"] else ""
        text = f"  fleet {fleet['id']} {fleet['state']}, {fleet['fulfilled']:g} of {fleet['target']}{still}"
        console.print(text, markup=False, soft_wrap=True)
    for machine in annex["instances"]["list"]:
        up = machine["joined"] or annex["pilot"]
        joined = machine["state"] if machine["state"] != "running" else "up" if up else "booting"
        age = _age(machine["launched"], as_of)
        text = f"  {machine['id']}  {machine['type']:<14} {machine['zone']:<12} {joined:<13} {age:>7}"
        console.print(text, markup=False, soft_wrap=True)


def _died(annex: Annex, console: Console) -> None:
    """The last few that never joined: why they ended, and their last lines."""
    for death in annex["never_joined"][-_DEATHS_SHOWN:]:
        text = f"  {death['id']} never joined; it ended at {death['at']}: {death['reason']}"
        console.print(text, style="red", markup=False, soft_wrap=True)
        for line in (death["boot_log"] or death["console"]).splitlines()[-_LINES_SHOWN:]:
            console.print(f"    {line}", markup=False, soft_wrap=True)


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("status")
    parser.add_argument(
        "name", nargs="?", type=annex_name, metavar="NAME", help="this annex, with its fleets and machines"
    )
    parser.add_argument("-owner", "--owner", metavar="USER", help="this user's annexes alone")
    parser.add_argument("-json", "--json", action="store_true", help="all there is, by schemas/status.json")
    return parser.parse_args(arguments)


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _left(text: str | None, as_of: datetime | None) -> str:
    ends = _moment(text)
    return _span((ends - as_of).total_seconds()) if ends and as_of else "-"


def _age(text: str, as_of: datetime | None) -> str:
    began = _moment(text)
    return _span((as_of - began).total_seconds()) if began and as_of else "-"


def _span(seconds: float) -> str:
    """8h05m, or 40s below two minutes."""
    if seconds <= 0:
        return "0s"
    if seconds < 120:
        return f"{seconds:.0f}s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m"


def _money(text: str | None) -> str:
    return "?" if text is None else f"{Decimal(text):.2f}"
