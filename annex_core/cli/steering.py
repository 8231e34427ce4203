"""condor_annex extend, end, off, destroy, freeze and thaw: what is done to annexes that live."""

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from annex_core.cli.asking_daemon import ask
from annex_core.cli.consent import agreed
from annex_core.cli.typed import Parser, add_until, annex_name
from annex_core.errors import AnnexError
from annex_core.model.tags import stamp

_GONE_WITHIN_S = 900.0
_PAUSE_S = 2.0


def extend(arguments: Sequence[str]) -> int:
    parser = Parser("extend", "Move the end of an annex's lease, later or sooner.")
    _add_annex(parser)
    add_until(parser, required=True)
    return _ask("extend", _said(parser.parse_args(arguments)))


def end(arguments: Sequence[str], verb: str = "end") -> int:
    parser = Parser(verb, "End an annex: when its running jobs have ended, or now.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", type=annex_name, metavar="NAME")
    which.add_argument("-all", "--all", action="store_true", default=None, help="everybody's; for administrators")
    parser.add_argument("-owner", "--owner", metavar="USER", help="whose; others' are for administrators")
    parser.add_argument("-now", "--now", action="store_true", default=None, help="running jobs go back to the queue")
    parser.add_argument("-yes", "--yes", action="store_true", help="don't ask before all are ended")
    wanted = _said(parser.parse_args(arguments))
    yes = wanted.pop("yes")
    if wanted.get("all") and not agreed("End all annexes of everybody?", yes=yes):
        return 1
    return _ask("end", wanted, says=verb)


def destroy(arguments: Sequence[str]) -> int:
    """0 only when AWS shows nothing any more that carries the annex's tags."""
    parser = Parser("destroy", "End an annex at once, and wait until it is gone.")
    _add_annex(parser)
    parser.add_argument(
        "-verify", "--verify", action="store_true", help="then ask AWS for whatever still carries its tags"
    )
    wanted = _said(parser.parse_args(arguments))
    verify = wanted.pop("verify")
    if status := _ask("end", {**wanted, "now": True}, says="destroy"):
        return status
    try:
        return _await_end(wanted, verify=verify)
    except AnnexError as error:
        print(f"condor_annex destroy: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ncondor_annex destroy: interrupted; it ends all the same", file=sys.stderr)
        return 130


def _await_end(wanted: Mapping[str, Any], *, verify: bool) -> int:
    """The daemon is done with an annex when AWS lists no machine and no fleet of it; then it deletes the rest."""
    began, ends = stamp(datetime.now(UTC)), time.monotonic() + _GONE_WITHIN_S
    asked: dict[str, Any] = {"left": []}
    while time.monotonic() < ends:
        asked = ask("remains", wanted)
        if asked["as_of"] and asked["as_of"] >= began and not asked["living"] and not asked["left"]:
            print(f"AWS shows nothing any more that carries the tags of annex {wanted['name']}.")
            return 0
        if not asked["living"] and not verify:
            print(f"Annex {wanted['name']} is gone.")
            return 0
        time.sleep(_PAUSE_S)
    left = ", ".join(asked["left"]) or "its record in the daemon's journal"
    print(f"condor_annex destroy: this is left: {left}", file=sys.stderr)
    return 1


def freeze(arguments: Sequence[str], verb: str = "freeze") -> int:
    parser = Parser(verb, "Launch nothing for one annex, a project or all, until thaw; what runs stays.")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("name", nargs="?", type=annex_name, metavar="NAME")
    which.add_argument("-annex", "--annex", dest="name_too", type=annex_name, metavar="NAME")
    which.add_argument("-project", "--project", metavar="NAME", help="for administrators")
    which.add_argument("-all", "--all", action="store_true", default=None, help="for administrators")
    parser.add_argument("-owner", "--owner", metavar="USER", help="whose annex; others' are for administrators")
    wanted = _said(parser.parse_args(arguments))
    if "name_too" in wanted:
        wanted["name"] = wanted.pop("name_too")
    return _ask(verb, wanted)


def thaw(arguments: Sequence[str]) -> int:
    return freeze(arguments, "thaw")


def _add_annex(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", type=annex_name, metavar="NAME")
    parser.add_argument("-owner", "--owner", metavar="USER", help="whose; others' are for administrators")


def _said(wanted: argparse.Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(wanted).items() if value is not None}


def _ask(verb: str, document: Mapping[str, Any], says: str = "") -> int:
    try:
        answer = ask(verb, document)
    except AnnexError as error:
        print(f"condor_annex {says or verb}: {error}", file=sys.stderr)
        return 1
    for sentence in answer["done"]:
        print(f"{sentence[:1].upper()}{sentence[1:]}.")
    return 0
