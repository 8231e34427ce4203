"""Jobs that nobody has submitted, as they would stand in the queue: transformed, checked, routed, and counted."""

import getpass
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import classad2
import htcondor2

from annex_core.adapters.dry_run import Kind, Raw, submission, transformed
from annex_core.adapters.job_rows import PLANNED_BY
from annex_core.errors import BadRequest, Refused

Question = dict[str, Any]
"""By `plan` in schemas/request.json."""


def questions(
    arguments: Sequence[str], route: str | None, configuration: Mapping[str, str] = htcondor2.param
) -> list[Question]:
    """
    What to ask the daemon about the jobs of a submit file, for each annex that they name.

    Args:
        arguments: condor_submit's.
        route: No other will do; None: whichever takes them.
        configuration: HTCondor's, expanded.

    Raises:
        BadRequest: The command line, or the submit file, makes no sense.
        Refused: The jobs would be refused, or no route would take them.
        Unavailable: HTCondor's programs can't be run.
    """
    transforms = _names(configuration, "JOB_TRANSFORM_NAMES")
    if not any(name.startswith("Annex") for name in transforms):
        raise Refused("HTCondor's configuration here has no transforms for annexes; ask on an access point that has")
    routes = _routes(configuration, route)
    texts = [configuration.get(f"JOB_TRANSFORM_{name}", "") for name in transforms]
    texts += [configuration.get(f"JOB_ROUTER_ROUTE_{name}", "") for name in routes]
    given = submission(arguments, looked_at=texts)
    owner = getpass.getuser()
    ads = [{**each.ad, "Owner": classad2.quote(owner), "JobStatus": "1", "ProcId": "1"} for each in given.kinds]
    found = [_parsed(each) for each in transformed(ads, transforms, routes)]
    for ad in found:
        _check(ad, configuration)
    return _by_annex(list(zip(given.kinds, found, strict=True)), given.at_a_time, route, routes)


def _names(configuration: Mapping[str, str], knob: str) -> list[str]:
    return configuration.get(knob, "").replace(",", " ").split()


def _routes(configuration: Mapping[str, str], wanted: str | None) -> list[str]:
    """Annex routes in the router's order."""
    annexes = {*_names(configuration, "ANNEX_ROUTE_NAMES")}
    have = [
        name
        for name in _names(configuration, "JOB_ROUTER_ROUTE_NAMES")
        if name in annexes and f"JOB_ROUTER_ROUTE_{name}" in configuration
    ]
    if wanted and wanted not in have:
        raise BadRequest(f"there is no annex route {wanted}; there are: {', '.join(have) or 'none'}")
    if not have:
        raise Refused("HTCondor's configuration here has no annex route")
    return [wanted] if wanted else have


def _parsed(ad: Raw) -> classad2.ClassAd:
    return classad2.parseOne("\n".join(f"{name} = {value}" for name, value in ad.items()))


def _check(ad: classad2.ClassAd, configuration: Mapping[str, str]) -> None:
    """As the schedd would at submit."""
    for name in _names(configuration, "SUBMIT_REQUIREMENT_NAMES"):
        text = configuration.get(f"SUBMIT_REQUIREMENT_{name}", "")
        warns = configuration.get(f"SUBMIT_REQUIREMENT_{name}_IS_WARNING", "").lower() == "true"
        if not text or warns or _value(ad, text) is True:
            continue
        reason = _value(ad, configuration.get(f"SUBMIT_REQUIREMENT_{name}_REASON", ""))
        said = reason if isinstance(reason, str) and reason else f"SUBMIT_REQUIREMENT_{name} is not true of it."
        raise Refused(f"condor_submit would refuse it: {said}")


def _value(ad: classad2.ClassAd, text: str) -> object:
    try:
        return classad2.ExprTree(text).eval(ad) if text else None
    except (classad2.ClassAdException, ValueError, SyntaxError):
        return None


def _by_annex(
    jobs: Iterable[tuple[Kind, classad2.ClassAd]], at_a_time: int | None, route: str | None, routes: Sequence[str]
) -> list[Question]:
    found: dict[str, Question] = {}
    for kind, ad in jobs:
        name, takes = ad.get("TargetAnnexName"), ad.get("AnnexRoute")
        if not isinstance(name, str) or "AnnexProject" not in ad:
            raise Refused(
                "the jobs name no annex; put annex_name = NAME into the submit file, or -append 'annex_name = NAME' "
                "on the command line"
            )
        if not isinstance(takes, str):
            raise Refused(f"no route takes these jobs: the REQUIREMENTS of {', '.join(routes)} are not true of them")
        asked = found.setdefault(
            name, {"name": name, "route": takes, "groups": [], **({"insist": True} if route else {})}
        )
        asked["groups"].append({"ad": _told(ad), "jobs": kind.jobs})
    for asked in found.values():
        total = sum(group["jobs"] for group in asked["groups"])
        for group in asked["groups"] if at_a_time is not None and at_a_time < total else ():
            group["at_a_time"] = max(1, (at_a_time or 0) * group["jobs"] // total)  # kinds come mixed
    return list(found.values())


def _told(ad: classad2.ClassAd) -> str:
    """What annexes are planned by, and all that it refers to; a line an attribute."""
    names = {each.lower(): each for each in ad}
    todo = [name.lower() for name in PLANNED_BY]
    kept: dict[str, None] = {}
    while todo:
        name = todo.pop()
        if name in names and name not in kept:
            kept[name] = None
            todo += [each.lower().removeprefix("my.") for each in ad.internalRefs(ad.lookup(names[name]))]
    return "\n".join(f"{names[name]} = {ad.lookup(names[name])}" for name in kept)
