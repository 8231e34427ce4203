"""condor_annex replay: what a history would have cost, and how long its jobs would have waited."""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.pool_limits import pool_limits
from annex_core.adapters.routes import Reading, RouteBook, configured
from annex_core.adapters.workloads import of_schedd, recorded
from annex_core.cli.typed import Parser
from annex_core.errors import AnnexError, BadRequest, Refused
from annex_core.model import duration
from annex_core.model.place import SITE
from annex_core.model.route import Route
from annex_core.model.wording import counted, span
from annex_core.replay.asking import Policy
from annex_core.replay.cloud import CloudModel
from annex_core.replay.offers import Stock
from annex_core.replay.oracle import oracle
from annex_core.replay.outcome import Outcome
from annex_core.replay.planning import Planner
from annex_core.replay.policies import Feedback, Fixed, IdleShare
from annex_core.replay.side_by_side import replayed
from annex_core.replay.simulation import Simulation
from annex_core.replay.workload import Workload

_WORD = "condor_annex replay"
_KNOBS = {"fixed": 20.0, "feedback": 1.0, "idle": 3.0, "oracle": 0.0}
"""The policies to compare with, and the knob of each: machines, machines a minute, divisor, none."""

Contestant = Callable[[Workload, CloudModel], Outcome]


def run(arguments: Sequence[str]) -> int:
    wanted = _parse(arguments)
    try:
        cloud = _cloud(wanted)
        contestants = _contestants(wanted)
        jobs = _jobs(wanted)
        outcomes = [each(jobs, cloud) for each in contestants]
        if wanted.plot:
            _plot(outcomes, Path(wanted.plot))
    except BadRequest as error:
        print(f"{_WORD}: {error}", file=sys.stderr)
        return 2
    except AnnexError as error:
        print(f"{_WORD}: {error}", file=sys.stderr)
        return 1
    if wanted.json:
        print(json.dumps(_document(jobs, cloud, outcomes), indent=2))
    else:
        show(jobs, cloud, outcomes, Console(highlight=False))
    return 0 if any(each.jobs > each.unserved for each in outcomes) else 1


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("replay", __doc__)
    parser.add_argument("file", nargs="?", metavar="FILE", help="condor_history -long or -json, job_queue.log, or SWF")
    parser.add_argument("-since", metavar="30d", help="leave out what was submitted longer ago (the schedd's: 30d)")
    parser.add_argument("-route", action="append", metavar="R", help="a route to play it through; all without")
    parser.add_argument(
        "-policy", action="append", default=[], metavar="P", help="fixed:N, feedback:N, idle:N, oracle, all"
    )
    parser.add_argument("-boot", default="150s", metavar="TIME", help="from launch to pool, in the mean")
    parser.add_argument(
        "-shortage", type=float, default=0.02, metavar="SHARE", help="of hours that a type is not to be had"
    )
    parser.add_argument("-interruptions", type=float, default=0.01, metavar="RATE", help="of a machine, an hour")
    parser.add_argument("-spot-share", type=float, default=1.0, metavar="SHARE", help="Spot price in on-demand prices")
    parser.add_argument("-seed", type=int, default=0, metavar="N", help="of the cloud's luck")
    parser.add_argument("-plot", metavar="NAME", help="write NAME.png and NAME.svg")
    parser.add_argument("-json", action="store_true", help="print all there is, curves included")
    return parser.parse_args(arguments)


def _cloud(wanted: argparse.Namespace) -> CloudModel:
    boot = duration.seconds(wanted.boot)
    if not boot:
        raise BadRequest(f"-boot {wanted.boot}: it takes seconds, or a number with s, m, h or d, more than 0")
    for name, least, most in (("shortage", 0, 0.9), ("interruptions", 0, 60), ("spot_share", 0.01, 10)):
        value = getattr(wanted, name)
        if not least <= value <= most:
            raise BadRequest(f"-{name.replace('_', '-')} {value:g}: it takes a number from {least:g} to {most:g}")
    return CloudModel(
        boot=timedelta(seconds=boot),
        shortage=wanted.shortage,
        interruptions=wanted.interruptions,
        spot_share=wanted.spot_share,
        seed=wanted.seed,
    )


def _jobs(wanted: argparse.Namespace) -> Workload:
    span = duration.seconds(wanted.since) if wanted.since else None
    if wanted.since and not span:
        raise BadRequest(f"-since {wanted.since}: it takes a duration, such as 30d")
    if wanted.file:
        return recorded(Path(wanted.file), since=time.time() - span if span else -math.inf)
    return of_schedd(since=time.time() - (span or 30 * duration.DAY))


def _contestants(wanted: argparse.Namespace) -> list[Contestant]:
    limits = pool_limits()
    if limits.malformed:
        raise Refused(f"ANNEX_LIMITS can't be read: {limits.malformed}")
    reading = known_routes()
    routes = _chosen(wanted.route, reading)
    made: list[Contestant] = []
    for route in routes:
        others = [_stock(reading.routes[name]) for name in route.fallback if name in reading.routes]
        made.append(partial(_play, _stock(route), others, Planner(f"route {route.name}", limits)))
    names = [*_KNOBS] if "all" in wanted.policy else wanted.policy
    for name in names:
        word, _, knob = name.partition(":")
        if word not in _KNOBS:
            raise BadRequest(f"-policy {name}: there are {', '.join(_KNOBS)} and all")
        made.append(_policy(_stock(routes[0]), word, _knob(name, knob, _KNOBS[word])))
    return made


def _knob(name: str, text: str, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e6 or (text and value == 0):
        raise BadRequest(f"-policy {name}: what stands behind the colon must be a number above 0")
    if name.startswith("fixed") and value != int(value):
        raise BadRequest(f"-policy {name}: what stands behind the colon must be a whole number of machines")
    return value


def _policy(of: Stock, word: str, knob: float) -> Contestant:
    if word == "oracle":
        return lambda jobs, cloud: oracle(Simulation(jobs, of.route, of.types, cloud, Fixed(1)))
    made: dict[str, Policy] = {"fixed": Fixed(int(knob)), "feedback": Feedback(knob), "idle": IdleShare(knob)}
    return partial(_play, of, (), made[word])


def known_routes() -> Reading:
    """The routes of HTCondor's configuration."""
    return RouteBook(Catalogue()).read(configured())


def _chosen(names: Sequence[str] | None, reading: Reading) -> list[Route]:
    for name in names or ():
        if name in reading.refused:
            raise Refused(f"route {name} can't be used: {reading.refused[name]}")
        if name not in reading.routes:
            have = ", ".join(sorted(reading.routes)) or "none"
            raise BadRequest(f"there is no annex route {name} in HTCondor's configuration; there are: {have}")
    found = [reading.routes[name] for name in names or sorted(reading.routes)]
    if not found:
        raise Refused("HTCondor's configuration has no annex route that can be used; condor_annex lint says why")
    return found


def _stock(route: Route) -> Stock:
    types = Catalogue().types(route.region, route.instance_types)
    if not any(kind.on_demand for kind in types.values()):
        raise Refused(f"no price is known in {route.region} for any type of route {route.name}")
    return Stock(replace(route, credentials=SITE), types)  # whoever signs pays the same


def _play(of: Stock, fallbacks: Sequence[Stock], policy: Policy, jobs: Workload, cloud: CloudModel) -> Outcome:
    return replayed(jobs, of.route, of.types, cloud, policy, fallbacks=fallbacks)


def _plot(outcomes: Sequence[Outcome], file: Path) -> None:
    try:
        from annex_core.cli import replay_plot
    except ImportError as error:
        raise Refused(f"-plot needs matplotlib: pip install 'condor-annex[replay]' ({error})") from error
    files = [file.with_name(file.name.removesuffix(".png").removesuffix(".svg") + end) for end in (".png", ".svg")]
    try:
        replay_plot.draw(outcomes, *files)
        print(f"written: {files[0]} and {files[1]}", file=sys.stderr)
    except OSError as error:
        raise Refused(f"the plot can't be written: {error}") from error


def show(jobs: Workload, cloud: CloudModel, outcomes: Sequence[Outcome], console: Console) -> None:
    days = (jobs.submitted[-1] - jobs.submitted[0]) / duration.DAY
    console.print(
        f"{counted(len(jobs), 'job')} in {counted(len(jobs.shapes), 'shape')}, {jobs.cpu_hours:,.0f} CPU-hours, "
        f"submitted in {days:.1f} days; each owner has an annex."
    )
    for which, number in jobs.left_out.items():
        console.print(f"Left out: {counted(number, 'job')} {which}.", soft_wrap=True)
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("", no_wrap=True, max_width=20)
    for name in ("USD", "/CPU-h", "WAIT", "95%", "WASTE", "BUSY", "MACHINES", "NOT RUN"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in outcomes:
        table.add_row(
            each.name,
            f"{each.dollars:,.2f}",
            f"{each.dollars / each.useful:.4f}" if each.useful else "-",
            span(each.mean_wait),
            span(each.p95_wait),
            f"{each.waste:.0%}",
            f"{each.utilisation:.0%}",
            f"{each.machines:,}",
            f"{each.unserved:,}",
        )
    console.print(table)
    for each in outcomes:
        if each.at_home:
            text = f"{each.name}: {counted(each.at_home, 'job')} began at home before the annex had a slot for them"
            console.print(text, soft_wrap=True)
        for why in each.why_unserved[:3]:
            console.print(f"{each.name}: {why}", markup=False, soft_wrap=True)
    console.print(
        f"Supposed: a boot takes {cloud.boot.total_seconds():g} s; a type is short on Spot in "
        f"{cloud.shortage:.0%} of hours; {cloud.interruptions:.1%} of spot machines are taken back an hour; a machine "
        f"costs {cloud.spot_share:g} of its on-demand list price, and volume and address. WASTE is what was paid for "
        "and did no lasting work; BUSY is the share of joined machines that ran jobs.",
        style="dim",
    )


def _document(jobs: Workload, cloud: CloudModel, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {
        "jobs": len(jobs),
        "shapes": len(jobs.shapes),
        "left_out": dict(jobs.left_out),
        "cpu_hours": jobs.cpu_hours,
        "from": datetime.fromtimestamp(jobs.submitted[0], UTC).isoformat(),
        "to": datetime.fromtimestamp(jobs.submitted[-1], UTC).isoformat(),
        "cloud": {
            "boot_s": cloud.boot.total_seconds(),
            "shortage": cloud.shortage,
            "interruptions_an_hour": cloud.interruptions,
            "spot_share": cloud.spot_share,
            "seed": cloud.seed,
        },
        "outcomes": [
            {**asdict(each), "waste": each.waste, "utilisation": each.utilisation, "ended": _iso(each.ended)}
            for each in outcomes
        ],
    }


def _iso(at: float) -> str | None:
    return datetime.fromtimestamp(at, UTC).isoformat() if at else None
