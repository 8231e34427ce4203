"""Job ads as condor_history prints them, with -long or as JSON, one at a time: a history may be larger than memory."""

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import classad2

Ad = dict[str, Any]
"""Attribute, by the name that was asked for: a str, int, float or bool; what is an expression has its value."""

_PLAIN = re.compile(r"-?\d+")
_LONGEST = 1 << 24
"""Characters of one JSON ad; what is longer is no job."""


class NotAds(ValueError):  # noqa: N818 - what the text is
    """Text that holds no job ads; str() says where it stops making sense."""


class CutOff(NotAds):
    """The last ad is not whole; all before it were."""


def ads(lines: Iterable[str], wanted: Collection[str]) -> Iterator[Ad]:
    """
    Args:
        lines: With their line ends, or without.
        wanted: The attributes to keep; everything else is skipped unread.

    Raises:
        NotAds: A line is neither of a long-form ad nor of JSON.
    """
    stream = iter(lines)
    for line in stream:
        start = line.strip()
        if start:
            read = _from_json if start[0] in "[{" else _from_long
            yield from read(chain([line], stream), {name.lower(): name for name in wanted})


def _from_long(lines: Iterator[str], names: dict[str, str]) -> Iterator[Ad]:
    ad: Ad = {}
    raw: list[str] = []
    any_line = False
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("***"):
            if any_line:
                yield _evaluated(ad, raw)
            ad, raw, any_line = {}, [], False
            continue
        name, equals, value = text.partition("=")
        if not equals:
            if any_line and not line.endswith("\n") and next(lines, None) is None:
                raise CutOff("the last job ad is cut off")
            raise NotAds(f"line {number} is no ATTRIBUTE = VALUE: {text[:60]!r}")
        any_line = True
        kept = names.get(name.strip().lower())
        if kept:
            value = value.strip()
            plain = _value(value)
            if plain is None:
                raw.append(f"{kept} = {value}")
            else:
                ad[kept] = plain
    if any_line:
        yield _evaluated(ad, raw)


def evaluated(raw: Mapping[str, str]) -> Ad:
    """An ad of attributes whose values are ClassAd expressions, as text."""
    ad: Ad = {}
    left = []
    for name, text in raw.items():
        plain = _value(text)
        if plain is None:
            left.append(f"{name} = {text}")
        else:
            ad[name] = plain
    return _evaluated(ad, left)


def _value(text: str) -> str | int | float | bool | None:
    """A literal's value; None for what has to be evaluated."""
    if text[:1] == '"' and text[-1:] == '"' and len(text) > 1 and "\\" not in text and '"' not in text[1:-1]:
        return text[1:-1]
    if _PLAIN.fullmatch(text):
        return int(text)
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        return float(text)
    except ValueError:
        return None


def _evaluated(ad: Ad, raw: list[str]) -> Ad:
    """The ad with its expressions' values, as far as they have one; Requirements stays text."""
    if not raw:
        return ad
    scope = classad2.ClassAd()
    for name, value in ad.items():
        scope[name] = value
    for line in raw:
        name, _, text = line.partition(" = ")
        try:
            scope[name] = classad2.ExprTree(text)
        except (classad2.ClassAdException, ValueError, SyntaxError):
            continue
        if name.endswith("Requirements"):
            ad[name] = text
            continue
        value = scope.eval(name)
        if isinstance(value, str | int | float | bool) and not isinstance(value, classad2.Value):
            ad[name] = value
    return ad


def _from_json(lines: Iterable[str], names: dict[str, str]) -> Iterator[Ad]:
    """An array of objects, as -json prints it, or one object a line, as -jsonl does."""
    decoder = json.JSONDecoder()
    waiting = ""
    for number, line in enumerate(lines, 1):
        waiting += line
        if line.endswith("\n") and line.rstrip()[-1:] not in {"}", "]", ","}:
            continue
        while waiting := waiting.lstrip("[], \r\n\t"):
            try:
                found, end = decoder.raw_decode(waiting)
            except json.JSONDecodeError as error:
                if len(waiting) > _LONGEST or waiting[0] != "{":
                    raise NotAds(f"line {number} is no JSON of job ads: {error.msg}") from error
                break
            if not isinstance(found, dict):
                raise NotAds(f"line {number} holds {type(found).__name__}, not a job ad")
            yield _of_json(found, names)
            waiting = waiting[end:]
    if waiting.strip("[], \r\n\t"):
        raise CutOff("the last job ad is cut off")


def _of_json(found: dict[str, Any], names: dict[str, str]) -> Ad:
    """JSON keeps an expression as a string of its own form, "\\/Expr(...)\\/"."""
    ad: Ad = {}
    raw = []
    for name, value in found.items():
        kept = names.get(name.lower())
        if not kept:
            continue
        expression = re.fullmatch(r"\\?/Expr\((.*)\)\\?/", value, re.DOTALL) if isinstance(value, str) else None
        if expression:
            raw.append(f"{kept} = {expression[1].strip()}")
        elif isinstance(value, str | int | float | bool):
            ad[kept] = value
    return _evaluated(ad, raw)
