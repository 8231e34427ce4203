"""
A job ad in long form, as the job router writes it to a hook and reads it back: one `Name = expression` a line.

Bytes in, bytes out: what isn't touched comes back as it was. Names don't distinguish case; of two lines with one
name the last one counts, as it does for HTCondor.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from annex_core.errors import BadRequest

SEPARATOR = b"\n------\n"
_STRING = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_ROUTE_NAME = re.compile(rb'\bName\s*=\s*"([^"\\]*)"', re.IGNORECASE)


@dataclass(frozen=True)
class Translation:
    """What a translate hook is asked."""

    route: str | None
    """The name of the route that took the job."""
    job: bytes


def split_translate(stdin: bytes) -> Translation:
    """
    Raises:
        BadRequest: No separator, or no job ad behind it.
    """
    route, separator, job = stdin.partition(SEPARATOR)
    if not separator or attribute(job, "ClusterId") is None or attribute(job, "ProcId") is None:
        raise BadRequest("a translate hook's input is a route, a line of dashes and a job ad")
    name = _ROUTE_NAME.search(route)
    return Translation(route=name[1].decode(errors="replace") if name else None, job=job)


def attribute(ad: bytes, name: str) -> bytes | None:
    """The expression behind *name* as it is written, or None."""
    wanted = name.lower().encode()
    found = None
    for line in ad.split(b"\n"):
        left, _, right = line.partition(b"=")
        if left.strip().lower() == wanted and right.strip():
            found = right.strip()
    return found


def string(ad: bytes, name: str) -> str | None:
    """The text of an attribute that is a string literal; None where it is missing or anything else."""
    written = _STRING.fullmatch(attribute(ad, name) or b"")
    return written[1].replace(b'\\"', b'"').decode(errors="replace") if written else None


def integer(ad: bytes, name: str) -> int | None:
    try:
        return int(attribute(ad, name) or b"")
    except ValueError:
        return None


def literal(text: str) -> bytes:
    """
    *text* as a ClassAd string literal on one line.

    Long form and ClassAd syntax proper disagree on what a backslash means, so none is written: quotes become
    apostrophes, backslashes slashes, and what can't be printed a space.
    """
    plain = "".join(c if c.isprintable() else " " for c in text)
    return b'"%s"' % plain.replace('"', "'").replace("\\", "/").encode(errors="replace")


def with_attributes(ad: bytes, new: Mapping[str, bytes]) -> bytes:
    """
    The ad with these expressions instead of, or beside, its own; the others keep their order.

    Args:
        new: ClassAd expressions, each on one line, by attribute name.
    """
    names = {name.lower().encode() for name in new}
    kept = [line for line in ad.split(b"\n") if line and line.partition(b"=")[0].strip().lower() not in names]
    added = [name.encode() + b" = " + expression for name, expression in new.items()]
    return b"\n".join([*kept, *added, b""])


def refusal(owner_in_ad: str | None, peer_name: str | None) -> str | None:
    """
    Why the word of *peer_name* about a job of *owner_in_ad* doesn't count, or None where it does.

    The router runs a hook as the job's owner, so whoever speaks of another's job is no hook. There is no exception:
    root and condor run no hooks for others, and in a personal pool everybody is the one user.

    Args:
        owner_in_ad: The ad's Owner: a claim.
        peer_name: The user name of the socket's peer, from its uid: the kernel's word. None where the uid has none.
    """
    if owner_in_ad is None:
        return "the job ad names no Owner"
    if peer_name is None:
        return f"the user who speaks of a job of {owner_in_ad!r} has no name on this machine"
    if owner_in_ad != peer_name:
        return f"{peer_name} speaks of a job of {owner_in_ad!r}"
    return None
