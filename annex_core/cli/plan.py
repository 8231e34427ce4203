"""condor_annex plan: what jobs would get, what that costs and when they would be done, before they are submitted."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from annex_core.cli import groups
from annex_core.cli.asking_daemon import ask
from annex_core.cli.screen import Screen, Style
from annex_core.cli.typed import Parser
from annex_core.errors import AnnexError, BadRequest
from annex_core.model.wording import counted, span

_SAYS = "condor_annex plan"

Plan = Mapping[str, Any]
"""By `answers.plan` in schemas/request.json."""


def run(arguments: Sequence[str]) -> int:
    """1 when some of the jobs would never run, or there was no answer; 2 when it makes no sense."""
    parser = Parser("plan", __doc__)
    parser.usage = "condor_annex plan [-route ROUTE] [-json] [condor_submit's options] SUBMIT-FILE"
    parser.add_argument("-route", "--route", metavar="ROUTE", help="plan for this route and no other")
    parser.add_argument("-json", "--json", action="store_true", help="all there is, by schemas/request.json")
    wanted, submit = parser.parse_known_args(arguments)
    if not submit:
        parser.error("which submit file? All that condor_submit takes may stand here")
    try:
        from annex_core.adapters.submission import questions  # HTCondor's bindings take 70 ms to load

        found = [ask("plan", question) for question in questions(submit, wanted.route)]
    except AnnexError as error:
        print(f"{_SAYS}: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadRequest) else 1
    if wanted.json:
        print(json.dumps({"plans": found}, indent=2))
    else:
        screen = Screen()
        for number, each in enumerate(found):
            if number:
                screen.line()
            show(each, screen)
    return 0 if all(each["seconds"] for each in found) else 1


def show(plan: Plan, screen: Screen) -> None:
    jobs = sum(group["jobs"] for group in plan["groups"])
    how = "lives; it would get" if plan["lives"] else "would be made, with"
    what = counted(plan["machines"], "machine") if plan["machines"] else "no machine"
    more = " more" if plan["lives"] and plan["machines"] else ""
    screen.prose(
        f"{counted(jobs, 'job')}, nothing submitted. Annex {plan['name']} {how} {what}{more} "
        f"({plan['market']}), by route {plan['route']} in {plan['region']}.",
        Style.BOLD,
    )
    _fleets(plan, screen)
    screen.line()
    groups.table(plan["groups"], screen, served="SERVED")
    groups.reasons(plan["groups"], screen)
    screen.line()
    for name, text in (("Price", _price(plan)), ("In all", _total(plan)), ("Last job", _finish(plan))):
        screen.prose(f"{name + ':':<10}{text}")
    screen.prose(f"{'Caps:':<10}{_limits(plan)}")
    for note in _notes(plan):
        screen.prose(note, Style.DIM)


def _fleets(plan: Plan, screen: Screen) -> None:
    for each in plan["fleets"]:
        when = f"after {span(each['after_s'])}" if each["after_s"] else "at once"
        price = "a price that is not known" if each["usd_per_hour"] is None else f"${_cents(each['usd_per_hour'])}"
        most = each["usd_per_hour_at_most"]
        ceiling = f", ${_cents(most)} at most" if most not in (None, each["usd_per_hour"]) else ""
        types = " or ".join(each["types"])
        screen.prose(f"  {when:<11} {counted(each['machines'], 'machine')} at {price} an hour{ceiling}: {types}")


def _price(plan: Plan) -> str:
    if not plan["machines"]:
        return "nothing more than the annex costs already" if plan["lives"] else "nothing"
    expected, most = plan["usd_per_hour"], plan["usd_per_hour_at_most"]
    if expected is None:
        return "not known"
    return f"${_cents(expected)} an hour" + ("" if most is None else f", ${_cents(most)} at most")


def _total(plan: Plan) -> str:
    usd, most = plan["usd"], plan["usd_at_most"]
    text = "not known"
    if usd:
        text = f"about ${usd['middle']:.2f} (${usd['low']:.2f} to ${usd['high']:.2f})"
    if most is not None and plan["machines"]:
        text += f"; ${_cents(most)} at most, if they stay until the lease ends"
    return text


def _finish(plan: Plan) -> str:
    seconds = plan["seconds"]
    if not seconds:
        if any(group["never"] for group in plan["groups"]):
            return "some of the jobs would never run"
        return "some of the jobs run longer than the annex lives, or would not be done for weeks"
    ends = datetime.now(UTC).astimezone() + timedelta(seconds=seconds["middle"])
    text = f"ends after about {span(seconds['middle'])} ({span(seconds['low'])} to {span(seconds['high'])})"
    text += f", at {ends:%Y-%m-%d %H:%M}"
    return text if plan["leases"] == 1 else f"{text}, over {plan['leases']} leases"


def _limits(plan: Plan) -> str:
    if plan["limits"]:
        return "; ".join(plan["limits"])
    return "the annex would grow on" if plan["cut"] else "none binds"


def _notes(plan: Plan) -> list[str]:
    notes = []
    if plan["guessed"]:
        notes.append(
            "Of some of these jobs no history tells how long they run: an hour is guessed, and may be wrong by much."
        )
    if plan["others"]:
        notes.append(f"{counted(plan['others'], 'other job')} of the annex, already in the queue, come first.")
    notes.append(
        "Supposed: AWS gives what is asked for and takes nothing back. Of what is in brackets, one try in ten came out "
        "below, one above."
    )
    return notes


def _cents(usd: str) -> str:
    return f"{float(usd):.2f}"
