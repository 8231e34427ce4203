"""What options take, as people type it: names, months, moments, durations; and no option twice."""

import argparse
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from annex_core.model import duration
from annex_core.model.names import misnamed
from annex_core.model.tags import stamp

_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])")


class Parser(argparse.ArgumentParser):
    """A verb's: no option is cut short, and none stands twice, unless its action gathers what it is given."""

    def __init__(self, verb: str, description: str | None = None) -> None:
        super().__init__(prog=f"condor_annex {verb}", description=description, allow_abbrev=False, add_help=False)
        self.register("action", None, Once)
        self.add_argument("-h", "-help", "--help", action="help", help="this")
        self.said: set[str] = set()

    def _get_option_tuples(self, option_string: str) -> list[Any]:
        """
        allow_abbrev=False leaves out options with a single dash: `end blue -n` would be -now to argparse. It asks here
        for what an option may be that is none as it stands, in all its versions.
        """
        word = option_string.partition("=")[0]
        if meant := [each for each in self._option_string_actions if each.startswith(word)]:
            self.error(f"there is no option {word}; write it whole: {' or '.join(meant)}")
        return []


class Once(argparse.Action):
    """Of an option that stands twice, argparse would take the last value without a word."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        if values == "":
            parser.error(f"{option_string or self.metavar} is empty")
        if option_string and isinstance(parser, Parser):
            if self.dest in parser.said:
                several = "; it takes several behind it" if self.nargs == "+" else ""
                parser.error(f"{option_string} stands twice{several}")
            parser.said.add(self.dest)
        setattr(namespace, self.dest, values)


def annex_name(text: str) -> str:
    """For argparse: what no annex can be called is a slip, and not an annex that there isn't."""
    if wrong := misnamed(text):
        raise argparse.ArgumentTypeError(wrong)
    return text


def duration_s(text: str) -> int:
    """Seconds of 90m, 8h or 3600; for argparse."""
    seconds = duration.seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text}: it takes seconds, or a number with s, m, h or d, more than 0")
    return seconds


def month(text: str) -> str:
    """As in 2026-11; for argparse."""
    if not _MONTH.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text}: it takes a year and a month, such as 2026-11")
    return text


def moment(text: str) -> str:
    """
    UTC, ISO 8601, of a moment as in 2026-11-21 17:00, in this machine's own time zone where it names none; for
    argparse.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: it takes a moment such as '2026-11-21 17:00', with a zone or in local time"
        ) from error
    return stamp(found.astimezone(UTC))


def add_until(parser: argparse.ArgumentParser, *, required: bool) -> None:
    """When a lease is to end, as `lifetime_s` or `lease_ends`."""
    until = parser.add_mutually_exclusive_group(required=required)
    until.add_argument(
        "-duration", "--duration", dest="lifetime_s", type=duration_s, metavar="TIME", help="from now: 90m, 8h"
    )
    until.add_argument(
        "-until",
        "--until",
        dest="lease_ends",
        type=moment,
        metavar="MOMENT",
        help="2026-11-21 17:00, in local time unless it names its zone",
    )
