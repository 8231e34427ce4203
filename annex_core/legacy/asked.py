"""What an old command line asks for, in the words of our own verbs."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from annex_core.errors import BadRequest

_AWS_URL = re.compile(
    r"https://(?:ec2|events|lambda|s3|cloudformation)[.-]([a-z]{2,4}(?:-[a-z]+)+-\d+)\.amazonaws\.com(?:\.cn)?/?"
)


@dataclass(frozen=True)
class Asked:
    verb: str
    """create, extend, end, off, status, condor_status, setup, check-setup or help."""
    body: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """For create, extend and end: by schemas/request.json. For the others what their command line needs: see Verb."""
    notes: tuple[str, ...] = ()
    """What an option means now that it did not mean then, a sentence each; to be shown before anything is asked."""
    yes: bool = False
    debug: bool = False
    keys: tuple[str, str] | None = None
    """The files with the user's own access key and its secret, for a route that goes by them."""
    words: tuple[str, ...] = ()
    """Further words of the verb's own command line."""


class Files(Protocol):
    """What the user who asks can read."""

    def text(self, path: str) -> str:
        """
        Raises:
            BadRequest: It can't be read, is too large, or no text in UTF-8.
        """
        ...

    def fleet(self, path: str) -> dict[str, Any]:
        """A fleet configuration, as it stands in the file; - is the standard input."""
        ...

    def config_files(self, path: str) -> Mapping[str, str]:
        """The files of a directory, or the one file, base64 by name."""
        ...


def whole(option: object, text: str, *, most: int) -> int:
    """A count as the tools took it, above 0."""
    try:
        found = int(text, 0)
    except ValueError as error:
        raise BadRequest(f"{option} {text}: it takes a whole number") from error
    if not 0 < found <= most:
        raise BadRequest(f"{option} {text}: it takes a whole number from 1 to {most}")
    return found


def hours(option: object, text: str, *, least: int, most: int) -> int:
    """
    Decimal hours.

    Args:
        least: Seconds, as *most*.

    Returns:
        Seconds.
    """
    try:
        found = float(text)
    except ValueError as error:
        raise BadRequest(f"{option} {text}: it takes a decimal number of hours") from error
    if not least <= found * 3600 <= most:
        raise BadRequest(f"{option} {text}: it takes hours, from {least} seconds to {most // 86400} days of them")
    return int(found * 3600)


def listed(what: object, text: str) -> list[str]:
    """
    Raises:
        BadRequest: There are only commas.
    """
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found:
        raise BadRequest(
            f"{what} {text}: it names nothing; leave it out, or name one or more, with commas between them"
        )
    return found


def region_of(what: object, url: str) -> str:
    """
    The region of an endpoint of AWS's own.

    Raises:
        BadRequest: It is another's.
    """
    found = _AWS_URL.fullmatch(url)
    if not found:
        raise BadRequest(f"{what} {url}: an endpoint that is not AWS's own stands in a route, as AnnexEndpoint")
    return found[1]
