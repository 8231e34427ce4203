"""condor_annex status: what the daemon knows of annexes, as a table or as JSON."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from annex_core.cli.asking_daemon import ask
from annex_core.cli.screen import Screen, Style
from annex_core.cli.typed import Parser, annex_name
from annex_core.errors import AnnexError
from annex_core.model.wording import counted, span

_NUMBERS = 53
"""Characters that the table's numbers take when they are large."""
_DEATHS_SHOWN = 3
_LINES_SHOWN = 8
_LEGEND = (
    "times are hours and minutes, money is USD at most.\n"
    "Jobs are IDLE, RUN (running) or HELD; machines are DUE (asked for), BOOT (starting), UP (in the pool) or GONE."
)

_OPTIONS = {"owner", "json", "h", "help"}

Annex = dict[str, Any]
"""One entry of `annexes` in schemas/status.json."""


def is_condor_status(rest: Sequence[str]) -> bool:
    """Whether what stands behind `status` is condor_status's to read, as it was with the withdrawn tool."""
    return any(word.startswith("-") and word.lstrip("-") not in _OPTIONS for word in rest)


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
        show(known, Screen(), details=bool(wanted.name))
    return 0


def show(known: dict[str, Any], screen: Screen, *, details: bool) -> None:
    """
    Args:
        known: By schemas/status.json.
        details: Fleets and machines of each annex, too.
    """
    annexes: list[Annex] = sorted(known["annexes"], key=lambda annex: (annex["owner"], annex["name"]))
    as_of = _moment(known["as_of"])
    owners = len({annex["owner"] for annex in annexes}) > 1
    if annexes:
        _table(annexes, as_of, screen, owners=owners)
    elif as_of:
        screen.prose("No annex has jobs or machines.")
    for annex in annexes:
        screen.prose(f"\n{annex['owner']}: {annex['status']}" if owners else f"\n{annex['status']}")
        if annex["frozen"]:
            screen.prose(f"  frozen: {annex['frozen']}; nothing is launched for it")
        if details:
            _details(annex, as_of, screen)
            _died(annex, screen)
    for route, reason in sorted(known["refused_routes"].items()):
        screen.prose(f"\nRoute {route} is refused as it stands: {reason}", Style.RED)
    for trouble in known["troubles"]:
        screen.prose(f"\n{trouble}", Style.RED)
    if as_of is None:
        screen.prose("The daemon has only just started; ask again in a minute.")
    elif annexes:
        age = span((datetime.now(UTC) - as_of).total_seconds())
        screen.prose(f"\nAs of {age} ago; {_LEGEND}", Style.DIM)


def _table(annexes: Sequence[Annex], as_of: datetime | None, screen: Screen, *, owners: bool) -> None:
    """Names give way to numbers: a number cut short would be another number."""
    room = screen.width - _NUMBERS
    heads, names = ["ANNEX"], [max(8, room)]
    if owners:
        heads, names = ["ANNEX", "OWNER"], [max(8, room * 3 // 5), max(5, room * 2 // 5 - 1)]
    heads += ["IDLE", "RUN", "HELD", "DUE", "BOOT", "UP", "GONE", "LEASE", "$/H", "SPENT"]
    rows = []
    for annex in annexes:
        jobs, machines = annex["jobs"], annex["instances"]
        rows.append(
            [
                *((annex["name"], annex["owner"]) if owners else (annex["name"],)),
                *(str(jobs[state]) for state in ("idle", "running", "held")),
                *(str(machines[state]) for state in ("pending", "booting", "joined", "gone")),
                _left(annex["lease_ends"], as_of),
                _money(annex["hourly_cost"]),
                _money(annex["spent_estimate"]),
            ]
        )
    screen.table(heads, rows, names=names)


def _details(annex: Annex, as_of: datetime | None, screen: Screen) -> None:
    facts = [f"{key} {annex[key]}" for key in ("id", "project", "route") if annex[key]]
    facts += ["for pilots of another pool"] if annex["pilot"] else []
    if facts:
        screen.prose("  " + ", ".join(facts))
    for order in annex["orders"]:
        wanted = counted(order["instances"], "machine") if order["instances"] else counted(order["slots"], "vCPU")
        came = f"refused: {order['refused']}" if order["refused"] else f"{order['machines']} asked for or there"
        screen.prose(f"  ordered by {order['by']}, {_age(order['placed'], as_of)} ago: {wanted}, {came}")
    for fleet in annex["fleets"]:
        still = f", {fleet['open']} may still come" if fleet["open"] else ""
        text = f"  fleet {fleet['id']} {fleet['state']}, {fleet['fulfilled']:g} of {fleet['target']}{still}"
        screen.line(text)
    taken = annex["interruptions"]
    if taken["machines"]:
        evicted = counted(taken["jobs"], "job")
        work = f"; {evicted} had to leave, with {span(taken['lost_s'])} of work lost" if taken["jobs"] else ""
        screen.prose(f"  AWS took back {counted(taken['machines'], 'machine')}{work}")
    for machine in annex["instances"]["list"]:
        joined = _doing(machine, pilot=annex["pilot"])
        age = _age(machine["launched"], as_of)
        text = f"  {machine['id']}  {machine['type']:<14} {machine['zone']:<12} {joined:<13} {age:>7}"
        screen.line(text)


def _doing(machine: dict[str, Any], *, pilot: bool) -> str:
    if machine["state"] != "running":
        return str(machine["state"])
    if machine["interrupted"]:
        return "taken back"
    if machine["draining"]:
        return "draining"
    return "up" if machine["joined"] or pilot else "booting"


def _died(annex: Annex, screen: Screen) -> None:
    """The last few that never joined: why they ended, and their last lines."""
    for death in annex["never_joined"][-_DEATHS_SHOWN:]:
        text = f"  {death['id']} never joined; it ended at {death['at']}: {death['reason']}"
        screen.line(text, Style.RED)
        for line in (death["boot_log"] or death["console"]).splitlines()[-_LINES_SHOWN:]:
            screen.line(f"    {line}")


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
    return span((ends - as_of).total_seconds()) if ends and as_of else "-"


def _age(text: str, as_of: datetime | None) -> str:
    began = _moment(text)
    return span((as_of - began).total_seconds()) if began and as_of else "-"


def _money(text: str | None) -> str:
    return "?" if text is None else f"{Decimal(text):.2f}"
