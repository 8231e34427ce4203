"""condor_annex create: rent machines by hand; what they are and cost at most is shown before anything is asked for."""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from annex_core.adapters.user_files import UserFiles
from annex_core.cli.asking_daemon import ask
from annex_core.cli.consent import agreed
from annex_core.cli.typed import Parser, add_until, annex_name, duration_s
from annex_core.errors import AnnexError, BadRequest, Refused
from annex_core.model.names import AnnexKey
from annex_core.model.wording import counted

_PATIENCE_S = 90.0
"""Bundle, launch template and fleet request take seconds; a region that hangs is given up for now."""
_PAUSE_S = 0.5
_FIRST_PAUSE_S = 0.03
_SAYS = "condor_annex create"
_FILES = {
    "config_files": "-config-dir",
    "fleet_config": "-fleet-config",
    "user_data": "-user-data",
    "default_user_data": "-default-user-data",
}
"""Options that name a file, of which the request has the content."""
_MONEY = re.compile(r"\d{1,9}(\.\d{1,9})?")
_TYPE = re.compile(r"[a-z0-9-]+\.[a-z0-9-]+")


def run(arguments: Sequence[str]) -> int:
    """1 when it was refused, not agreed to, or not answered by AWS in time; 2 when it makes no sense."""
    parser = _parser()
    wanted = vars(parser.parse_args(arguments))
    yes, wait, dry = wanted.pop("yes"), not wanted.pop("no_wait"), wanted.pop("dry_run")
    document = {name: value for name, value in wanted.items() if value is not None}
    if "tags" in document:
        document["tags"] = dict(document["tags"])
        if len(document["tags"]) < len(wanted["tags"]):
            parser.error("-tag: a key stands twice")
    files = UserFiles()
    read: Mapping[str, Callable[[str], Any]] = {
        "config_files": files.config_files,
        "fleet_config": files.fleet,
        "user_data": files.text,
        "default_user_data": files.text,
    }
    for name in read.keys() & document.keys():
        try:
            document[name] = read[name](document[name])
        except BadRequest as error:
            print(f"{_SAYS}: {_FILES[name]} {error}", file=sys.stderr)
            return 2
    return place(document, yes=yes, wait=wait, dry=dry)


def place(document: Mapping[str, Any], *, yes: bool, wait: bool, dry: bool = False) -> int:
    """
    Show what would be rented, ask, order it, and wait for AWS's answer.

    Args:
        document: By `create` in schemas/request.json.
        yes: Don't ask.
        wait: False: come back as soon as it is ordered.
        dry: Show it, and no more.

    Returns:
        0 when it was ordered and, if waited for, AWS took it; 2 when it makes no sense; else 1.
    """
    try:
        offered = _quoted(document)
        if offered["refused"]:
            print(f"{_SAYS}: {offered['refused']}", file=sys.stderr)
            return 1
        show(offered)
        if dry:
            return 0
        if not agreed("Rent them?", yes=yes):
            print("Nothing was ordered.")
            return 1
        ordered = ask("create", document)
        print(f"Ordered for annex {ordered['name']}; its id is {ordered['id']}.")
        return _await(ordered) if wait else 0
    except AnnexError as error:
        print(f"{_SAYS}: {error}", file=sys.stderr)
        return 2 if isinstance(error, BadRequest) else 1
    except KeyboardInterrupt:
        print(f"\n{_SAYS}: interrupted; what was ordered stays ordered, condor_annex status tells", file=sys.stderr)
        return 130


def _quoted(document: Mapping[str, Any]) -> Any:
    """
    Raises:
        BadRequest: What the daemon refused makes no sense by the schema.
    """
    try:
        return ask("create", {**document, "dry_run": True})
    except Refused:
        from annex_core.adapters.requests import read  # jsonschema takes longer to start than all the rest

        read("create", json.dumps(document).encode())
        raise


def show(offered: Mapping[str, Any]) -> None:
    """
    Args:
        offered: By `answers.create` in schemas/request.json.
    """
    left = datetime.fromisoformat(offered["lease_ends"]) - datetime.now(UTC)
    hours, minutes = divmod(round(left.total_seconds() / 60), 60)
    verb = "lives, and gets" if offered["lives"] else "would be made, with"
    called = AnnexKey(offered["owner"], offered["name"]).spoken
    print(f"{called[:1].upper()}{called[1:]} {verb}")
    print(f"  {counted(offered['how_many'], 'machine')} ({offered['market']}): {' or '.join(offered['what'])}")
    print(f"  in {offered['region']}, by route {offered['route']}")
    print(f"  until {offered['lease_ends']}, {hours}h{minutes:02} from now")
    if offered["usd_at_most"] is None:
        print("  at a price that is not known")
    else:
        print(f"  at most ${offered['usd_per_hour_at_most']} an hour, ${offered['usd_at_most']} in all")
    for warning in offered["warnings"]:
        print(f"  note: {warning}")


def _await(ordered: Mapping[str, Any]) -> int:
    began = time.monotonic()
    ends = began + _PATIENCE_S
    told = ""
    while time.monotonic() < ends:
        known = ask("status", {"owner": ordered["owner"]})["annexes"]
        annex = next(
            (each for each in known if (each["name"], each["owner"]) == (ordered["name"], ordered["owner"])), None
        )
        order = next((each for each in (annex or {}).get("orders", ()) if each["id"] == ordered["order"]), None)
        if order and order["refused"]:
            print(f"{_SAYS}: AWS refused it: {order['refused']}", file=sys.stderr)
            return 1
        if order and order["answered"]:
            print(f"AWS has taken the request. condor_annex status {ordered['name']} follows the machines.")
            return 0
        told = annex["status"] if annex else told
        waited = time.monotonic() - began
        time.sleep(min(max(_FIRST_PAUSE_S, waited / 5), _PAUSE_S))
    print(f"{_SAYS}: AWS has not answered in {_PATIENCE_S:.0f} s; it stays ordered. {told}", file=sys.stderr)
    return 1


def _tag(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text}: it takes KEY=VALUE")
    return key, value


def _prices(text: str) -> dict[str, str]:
    """USD by instance type, and for all others under *."""
    found: dict[str, str] = {}
    for word in _words(text):
        kind, equals, price = word.rpartition("=")
        if not _MONEY.fullmatch(price) or (equals and not _TYPE.fullmatch(kind)):
            raise argparse.ArgumentTypeError(f"{word}: it takes dollars, such as 0.25, or TYPE=USD")
        if (kind or "*") in found:
            raise argparse.ArgumentTypeError(f"{text}: it says twice what {kind or 'others'} may cost")
        found[kind or "*"] = price
    return found


def _words(text: str) -> list[str]:
    found = [word for word in re.split(r"[,\s]+", text) if word]
    if not found:
        raise argparse.ArgumentTypeError(f"{text or 'nothing'}: it takes one or more, with commas between them")
    return found


def _parser() -> argparse.ArgumentParser:
    parser = Parser("create", "Rent machines for an annex, by hand; it shows what and at what price, and asks.")

    def option(name: str, **given: Any) -> None:
        parser.add_argument(f"-{name}", f"--{name}", **given)

    parser.add_argument(
        "name", type=annex_name, metavar="NAME", help="1 to 37 letters, digits and dashes; one that lives gets more"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("-instances", "--instances", type=int, metavar="N", help="machines; default: 1")
    size.add_argument("-slots", "--slots", type=int, metavar="N", help="vCPUs")
    add_until(parser, required=False)
    option("idle", dest="idle_s", type=duration_s, metavar="TIME", help="a machine leaves after so long without a job")
    option("route", metavar="NAME", help="default: ANNEX_DEFAULT_ROUTE, or the only one there is")
    option("region", metavar="REGION", help="the only route in this region")
    option("project", metavar="NAME", help="what it is paid by; default: the owner")
    whose = parser.add_mutually_exclusive_group()
    whose.add_argument("-owner", "--owner", metavar="USER", help="whose jobs it runs; others' are for administrators")
    whose.add_argument(
        "-no-owner",
        "--no-owner",
        dest="any_owner",
        action="store_true",
        default=None,
        help="anybody's jobs that name it; for administrators",
    )
    option("instance-types", dest="instance_types", type=_words, metavar="TYPES", help="with commas between them")
    option("market", choices=("spot", "on-demand"))
    option("fleet-api", dest="fleet_api", choices=("spot-fleet", "ec2-fleet"), help="how spot machines are asked for")
    option(
        "max-price",
        dest="max_price_usd",
        type=_prices,
        metavar="USD",
        help="an hour of spot at most; or TYPE=USD,TYPE=USD, with a bare USD for all others",
    )
    option("tag", dest="tags", action="append", type=_tag, metavar="KEY=VALUE", help="again for each further one")
    option("config-dir", dest="config_files", metavar="DIR", help="files for the machines' HTCondor configuration")
    option("image", metavar="AMI", help="for administrators, as all that follow")
    option("subnets", type=_words, metavar="IDS")
    option("security-groups", dest="security_groups", type=_words, metavar="IDS")
    option("key-name", dest="key_name", metavar="NAME")
    option("instance-profile", dest="instance_profile", metavar="NAME")
    option("fleet-config", dest="fleet_config", metavar="FILE", help="as AWS's console exports it; - is standard input")
    option("user-data", dest="user_data", metavar="FILE", help="run at boot in place of the boot script")
    option("default-user-data", dest="default_user_data", metavar="FILE", help="where the fleet file brings none")
    option(
        "pilot", action="store_true", default=None, help="machines bring their own software and join no pool of ours"
    )
    parser.add_argument("-dry-run", "--dry-run", dest="dry_run", action="store_true", help="show it, and rent nothing")
    parser.add_argument("-yes", "--yes", action="store_true", help="don't ask")
    parser.add_argument("-no-wait", "--no-wait", action="store_true", help="don't wait for AWS's answer")
    return parser
