"""The routes that HTCondor's configuration holds: read, checked, and the last good version of each kept."""

import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import htcondor2

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.recipes import FIELDS, Checker
from annex_core.adapters.route_reading import Finding
from annex_core.adapters.route_text import Line, RouteText, logical_lines
from annex_core.adapters.schemas import schema
from annex_core.errors import Unavailable
from annex_core.model.route import Route

_PREFIX = "JOB_ROUTER_ROUTE_"
_HEAD = re.compile(rf"(?:\w+\.)*{_PREFIX}(\w+) (@=end|= )(.*)", re.IGNORECASE)
_POOL_WIDE = re.compile(r"(?:\w+\.)*(Annex\w+) (?:@=end|= ).*", re.IGNORECASE)
_PLACE = re.compile(r" # at: (.*), line (\d+)")
_DEADLINE_S = 60
_BURST_COST = "AnnexBurstCost"
"""The transform that gives jobs which named no annex their AnnexCost."""


@dataclass(frozen=True)
class Configured:
    """What HTCondor's configuration says of routes."""

    names: tuple[str, ...]
    """JOB_ROUTER_ROUTE_NAMES, in its order: only these are live."""
    texts: tuple[RouteText, ...]
    """Those of them that have a text."""
    announced: tuple[str, ...]
    """ANNEX_ROUTE_NAMES: those that users are told take annex jobs."""
    values: Mapping[str, str]
    """The whole configuration, expanded; it takes names in any case."""
    places: Mapping[str, str] = field(default_factory=dict)
    """FILE:LINE of pool-wide Annex macros, by lower-case name, as far as it is known."""


@dataclass(frozen=True)
class Reading:
    """The outcome of one look at the configuration."""

    routes: Mapping[str, Route]
    """Good ones, and the last good version of those that are refused now."""
    refused: Mapping[str, str]
    """Why a route was refused, by name."""
    findings: tuple[Finding, ...]


class RouteBook:
    """Remembers the last good version of each route."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._checker = Checker(schema("route"), catalogue)
        self._good: dict[str, Route] = {}

    def read(self, configured: Configured) -> Reading:
        """A route that is gone from the configuration is forgotten; one that is refused stays as it was."""
        routes: dict[str, Route] = {}
        findings: list[Finding] = []
        ours: set[str] = set()
        for text in configured.texts:
            checked = self._checker.check(text, configured.values, configured.places)
            findings += checked.findings
            if checked.ours:
                ours.add(text.name)
            route = checked.route or (self._good.get(text.name) if checked.ours else None)
            if route:
                routes[text.name] = route
        findings += _names(configured, ours)
        findings += _fallbacks(routes)
        findings += _costs(configured, routes)
        self._good = routes
        return Reading(dict(routes), _reasons(findings), tuple(findings))


def configured() -> Configured:
    """
    Ask HTCondor, as the job router sees it.

    The texts come from condor_config_val: the bindings expand a route's references to its own macros to nothing,
    without a word, and don't say in which file a route stands.

    Raises:
        Unavailable: condor_config_val did not answer.
    """
    values = htcondor2.param
    names = tuple(_list(values.get("JOB_ROUTER.JOB_ROUTER_ROUTE_NAMES") or values.get("JOB_ROUTER_ROUTE_NAMES")))
    unique: dict[str, str] = {}
    for name in names:
        unique.setdefault(name.lower(), name)
    pool_wide = [macro for macro in FIELDS if values.get(macro) is not None]
    answer = _config_val([*(_PREFIX + name for name in unique.values()), *pool_wide]) if unique else ""
    texts = tuple(replace(text, name=unique[text.name.lower()]) for text in texts_in(answer))
    return Configured(names, texts, tuple(_list(values.get("ANNEX_ROUTE_NAMES"))), values, places_in(answer))


def texts_in(answer: str) -> Iterator[RouteText]:
    """
    Args:
        answer: What `condor_config_val -v -raw JOB_ROUTER_ROUTE_<name> ...` prints. Lines of a text are indented, so
            no text can end itself.
    """
    lines = iter(answer.splitlines())
    for line in lines:
        head = _HEAD.fullmatch(line)
        if head is None:
            continue
        name, operator, rest = head.groups()
        if operator == "= ":
            text = [rest]
        else:
            text = []
            for inner in lines:
                if inner == "@end":
                    break
                text.append(inner)
        place = _PLACE.fullmatch(next(lines, ""))
        if place is None:
            yield RouteText(name, logical_lines(text))
        elif operator == "= ":
            yield RouteText(name, logical_lines(text, int(place.group(2))), place.group(1))
        else:
            yield _placed(name, logical_lines(text), Path(place.group(1)), int(place.group(2)))


def places_in(answer: str) -> Mapping[str, str]:
    """Where the macros of no route stand: FILE:LINE, by lower-case name; from the same answer."""
    places: dict[str, str] = {}
    name = ""
    for line in answer.splitlines():
        if head := _POOL_WIDE.fullmatch(line):
            name = head.group(1).lower()
        elif place := _PLACE.fullmatch(line):
            if name:
                places[name] = f"{place.group(1)}:{place.group(2)}"
            name = ""
    return places


def _placed(name: str, lines: tuple[Line, ...], file: Path, last: int) -> RouteText:
    """
    With the numbers that its lines have in the file, where they can be found there.

    Args:
        last: The line that ends the text, as HTCondor counts.
    """
    try:
        physical = file.read_text(errors="replace").splitlines()[: last - 1]
    except OSError:
        return RouteText(name, lines)
    head = re.compile(rf"\s*(?:\w+\.)*{_PREFIX}{re.escape(name)}\s*@=", re.IGNORECASE)
    first = next((n for n in range(len(physical), 0, -1) if head.match(physical[n - 1])), None)
    if first is None:
        return RouteText(name, lines)
    there = logical_lines(physical[first:], first + 1)
    same = [line.text for line in there] == [line.text for line in lines]
    return RouteText(name, there, str(file)) if same else RouteText(name, lines)


def _config_val(names: Iterable[str]) -> str:
    program = Path(str(htcondor2.param.get("BIN") or "/usr/bin")) / "condor_config_val"
    command = [str(program), "-subsystem", "JOB_ROUTER", "-v", "-raw", *names]
    try:
        # Its exit status is 1 when any of the names is not defined, and the others are printed all the same.
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"routes can't be read: {e}") from e
    if answer.returncode not in {0, 1}:
        raise Unavailable(f"routes can't be read: condor_config_val: {answer.stderr.strip()[-200:]}")
    return answer.stdout


def _names(configured: Configured, ours: Iterable[str]) -> Iterator[Finding]:
    """What the two lists of names say against each other, and against the routes that are there."""
    there = {text.name.lower() for text in configured.texts}
    ours = {name.lower() for name in ours}
    announced = {name.lower() for name in configured.announced}
    seen: dict[str, str] = {}
    for name in configured.names:
        before = seen.setdefault(name.lower(), name)
        if before != name:
            text = f"it differs from {before} by case alone, and HTCondor can't tell them apart"
            yield Finding(name, "JOB_ROUTER_ROUTE_NAMES", text, fatal=True)
        elif name.lower() not in there:
            yield Finding(
                name, "JOB_ROUTER_ROUTE_NAMES", f"there is no {_PREFIX}{name}", fatal=name.lower() in announced
            )
        elif name.lower() in ours and name.lower() not in announced:
            text = "it is not in ANNEX_ROUTE_NAMES, by which condor_submit knows that annex jobs have a route at all"
            yield Finding(name, "ANNEX_ROUTE_NAMES", text, fatal=False)
    for name in configured.announced:
        if name.lower() not in seen:
            text = "it is not in JOB_ROUTER_ROUTE_NAMES: its jobs would wait for ever"
            yield Finding(name, "ANNEX_ROUTE_NAMES", text, fatal=True)
        elif name.lower() in there and name.lower() not in ours:
            yield Finding(name, "ANNEX_ROUTE_NAMES", "it has no Annex macro, so it makes no annex", fatal=True)


def _costs(configured: Configured, routes: Mapping[str, Route]) -> Iterator[Finding]:
    """Jobs that named no annex must bring AnnexCost along: the router may not set it."""
    values = configured.values
    names = values.get("SCHEDD.JOB_TRANSFORM_NAMES") or values.get("JOB_TRANSFORM_NAMES")
    if names is None or _BURST_COST.lower() in {name.lower() for name in _list(names)}:
        return
    for route in routes.values():
        if route.after is not None:
            text = (
                f"jobs that it takes have no AnnexCost: add JOB_TRANSFORM_NAMES = $(JOB_TRANSFORM_NAMES) {_BURST_COST}"
            )
            yield Finding(route.name, "AnnexAfter", text, fatal=False)


def _fallbacks(routes: Mapping[str, Route]) -> Iterator[Finding]:
    """A route works without its fallbacks; that it has none is to be known before they are needed."""
    for route in routes.values():
        for name in route.fallback:
            other = routes.get(name)
            if name == route.name:
                why = "names the route itself"
            elif other is None:
                why = f"there is no route {name} that is in force"
            elif other.pilot != route.pilot:
                why = f"route {name} is {'for pilots' if other.pilot else 'not for pilots'}, and this one is otherwise"
            else:
                continue
            yield Finding(route.name, "AnnexFallback", f"{why}: nothing falls back there", fatal=False)


def _reasons(findings: Iterable[Finding]) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for finding in findings:
        if finding.fatal:
            before = reasons.get(finding.route)
            reasons[finding.route] = f"{before}; {finding.text}" if before else f"{finding.where}: {finding.text}"
    return reasons


def _list(text: object) -> list[str]:
    return [word for word in re.split(r"[,\s]+", str(text or "")) if word]
