"""condor_annex config: every setting that is in force, and who said it."""

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from annex_core.adapters.catalogue import Catalogue
from annex_core.adapters.old_knobs import DEFAULT, dumped, knobs_in
from annex_core.adapters.recipes import FIELDS, Checker
from annex_core.adapters.route_text import RouteTextError
from annex_core.adapters.routes import Configured, configured
from annex_core.adapters.schemas import schema
from annex_core.adapters.settings import KNOBS
from annex_core.cli.asking_daemon import ask
from annex_core.cli.typed import Parser, annex_name
from annex_core.errors import AnnexError, Refused
from annex_core.model.setting import Origin, Setting

_CAPS = ("AnnexMaxInstances", "AnnexMaxHourlyCost", "AnnexBudget")
"""What a job may only tighten."""
_SECONDS = {"idle_s": "AnnexIdleTimeout", "lifetime_s": "AnnexLifetime"}
_MACROS = {field: macro for macro, field in FIELDS.items()} | _SECONDS
"""The macro that stands for a field of a create, or of what jobs decide."""
_LEASE = "lease_ends"


_ANNEX = re.compile(r"ANNEX|(\w+\.)*ANNEX_DEFAULT_")


def run(arguments: Sequence[str]) -> int:
    """1 when there is no such route or annex, or HTCondor or the daemon does not answer."""
    wanted = _parse(arguments)
    try:
        found = configured()
        if wanted.name:
            its = _annex(wanted.name)
            if wanted.route not in {None, its["route"]}:
                raise Refused(f"annex {wanted.name} was made by route {its['route']}")
            routes = {its["route"]: for_annex(_route(its["route"], found), its["decided"], its[_LEASE])}
        else:
            names = [wanted.route] if wanted.route else [text.name for text in found.texts]
            routes = {name: settings for name in names if (settings := _route(name, found, ours=not wanted.route))}
        pool = pool_settings(dumped("ANNEX"))
    except AnnexError as error:
        print(f"condor_annex config: {error}", file=sys.stderr)
        return 1
    if wanted.json:
        print(
            json.dumps(
                {"pool": _plain(pool), "routes": {name: _plain(all_) for name, all_ in routes.items()}}, indent=2
            )
        )
        return 0
    _show("Pool", pool)
    for name, settings in routes.items():
        _show(f"Annex {wanted.name}, by route {name}" if wanted.name else f"Route {name}", settings)
    return 0


def pool_settings(answer: str) -> list[Setting]:
    """
    The daemon's own knobs, set or not, then others as far as somebody set them, the withdrawn tool's among them.

    Args:
        answer: condor_config_val's, as knobs_in takes it.
    """
    said = {knob.name.upper(): knob for knob in knobs_in(answer) if knob.place != DEFAULT}
    found = []
    for name, default in KNOBS.items():
        knob = said.get(name)
        if knob and knob.value:
            found.append(Setting(name, knob.value, Origin.POOL, knob.place))
        else:
            found.append(Setting(name, default, Origin.DEFAULT))
    macros = {name.upper() for name in FIELDS}
    others = [knob for name, knob in said.items() if _ANNEX.match(name) and name not in {*KNOBS, *macros}]
    return found + [Setting(knob.name, knob.value, Origin.POOL, knob.place) for knob in others]


def for_annex(
    settings: Iterable[Setting], decided: Mapping[str, Mapping[str, str]], lease_ends: str | None = None
) -> list[Setting]:
    """
    A route's settings as they are for one annex.

    Args:
        decided: Of schemas/status.json.
        lease_ends: None before its first request.
    """
    command, jobs = _by_macro(decided["command"]), _by_macro(decided["job"])
    found = []
    for setting in _with_lease(settings, lease_ends):
        if setting.name in command and setting.name != "AnnexTags":  # those come beside the route's
            found.append(replace(setting, value=command.pop(setting.name), origin=Origin.COMMAND, where=""))
        elif setting.name in jobs and (setting.name not in _CAPS or _tighter(jobs[setting.name], setting.value)):
            found.append(replace(setting, value=jobs[setting.name], origin=Origin.JOB, where=""))
        else:
            found.append(setting)
    return found + [Setting(name, value, Origin.COMMAND) for name, value in command.items()]


def _with_lease(settings: Iterable[Setting], lease_ends: str | None) -> Iterator[Setting]:
    for setting in settings:
        yield setting
        if setting.name == "AnnexLifetime" and lease_ends:
            yield replace(setting, name=_LEASE, value=lease_ends)


def _by_macro(fields: Mapping[str, str]) -> dict[str, str]:
    return {_MACROS.get(name, name): f"{value}s" if name in _SECONDS else value for name, value in fields.items()}


def _tighter(limit: str, cap: str | None) -> bool:
    try:
        return cap is None or Decimal(limit) < Decimal(cap)
    except InvalidOperation:
        return True


def _route(name: str, found: Configured, *, ours: bool = False) -> list[Setting]:
    """
    Args:
        ours: One that is none of ours has no settings; otherwise it is refused.
    """
    text = next((each for each in found.texts if each.name.lower() == name.lower()), None)
    if text is None:
        raise Refused(f"there is no route {name}")
    try:
        settings = list(Checker(schema("route"), Catalogue()).settings(text, found.values, found.places))
    except RouteTextError as error:
        raise Refused(f"route {name} can't be read: {error}") from error
    if not any(each.origin is Origin.ROUTE for each in settings):
        if ours:
            return []
        raise Refused(f"route {name} has no Annex macro, so it makes no annex")
    return settings


def _annex(name: str) -> Any:
    known = [each for each in ask("status", {})["annexes"] if each["name"] == name]
    if not known:
        raise Refused(f"no annex {name} has jobs or machines")
    if len(known) > 1:
        raise Refused(f"several users have an annex {name}; ask for its route: -route {known[0]['route']}")
    if known[0]["route"] is None:
        raise Refused(f"no route has taken the jobs of annex {name} yet")
    return known[0]


def _show(title: str, settings: Iterable[Setting]) -> None:
    print(title)
    for line in _lines(settings):
        print(f"  {line}")


def _lines(settings: Iterable[Setting]) -> Iterator[str]:
    for setting in settings:
        value = "is not set" if setting.value is None else f"= {'; '.join(map(str.strip, setting.value.splitlines()))}"
        yield f"{setting.name} {value}   # {setting.origin}{f', {setting.where}' if setting.where else ''}"


def _plain(settings: Iterable[Setting]) -> list[dict[str, Any]]:
    return [asdict(each) for each in settings]


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = Parser("config", "Every setting that is in force, and who said it: command, job, route, pool, or default.")
    parser.add_argument("name", nargs="?", type=annex_name, metavar="NAME", help="as it is for that annex of yours")
    parser.add_argument("-route", "--route", metavar="ROUTE", help="one route instead of all")
    parser.add_argument("-json", "--json", action="store_true")
    return parser.parse_args(arguments)
