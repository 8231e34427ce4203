"""ANNEX_LIMITS, a line for each whose annexes are limited together; checked against schemas/limits.json."""

import shlex
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import htcondor2
from jsonschema import Draft202012Validator

from annex_core.adapters.schemas import hint, schema
from annex_core.errors import Refused
from annex_core.model.limits import EACH, Kind, Limit, PoolLimits, Subject

KNOB = "ANNEX_LIMITS"
_FIELDS = {
    "MaxInstances": "instances",
    "MaxVcpus": "vcpus",
    "MaxHourlyCost": "hourly",
    "Budget": "budget",
    "MonthlyBudget": "monthly",
}
_EXACT = {name.lower(): name for name in _FIELDS}


def pool_limits(configuration: Mapping[str, str] = htcondor2.param) -> PoolLimits:
    """What is in force; where it can't be read, the reason, by which nothing is launched."""
    try:
        return read(str(configuration.get(KNOB) or ""))
    except Refused as error:
        return PoolLimits(malformed=str(error))


def read(text: str) -> PoolLimits:
    """
    Args:
        text: A line each, such as `owner alice MaxInstances=40 MonthlyBudget=200`; # begins a comment.

    Raises:
        Refused: Which line it is, and what is wrong with it.
    """
    said: dict[Subject, Limit] = {}
    shape = schema("limits")["items"]
    for line in text.splitlines():
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise Refused(f"{line.strip()!r}: {error}") from error
        if words:
            subject, limit = _line(words, shape)
            if subject in said:
                raise Refused(f"there are two lines for {subject}; put all its limits on one")
            said[subject] = limit
    return PoolLimits(said)


def _line(words: list[str], shape: Mapping[str, Any]) -> tuple[Subject, Limit]:
    kind = words[0].lower()
    if kind not in {*Kind}:
        raise Refused(f"{' '.join(words)!r}: a line begins with {', '.join(Kind)}{hint(kind, [*Kind])}")
    name, limits = ("", words[1:]) if kind == Kind.POOL else ("".join(words[1:2]), words[2:])
    if kind != Kind.POOL and (not name or (not limits and "=" in name)):
        raise Refused(f"{' '.join(words)!r}: behind {kind} stands a name, or * for each of them")
    if kind == Kind.ANNEX and name != EACH and name.count("/") != 1:
        raise Refused(f"annex {name}: an annex is named as OWNER/NAME, or * for each of them")
    subject = Subject(Kind(kind), name)
    values = dict(_value(each, subject, shape["properties"]["limits"]["properties"]) for each in limits)
    if len(values) < len(limits):
        raise Refused(f"{subject}: a limit stands there twice")
    if not values:
        raise Refused(f"{subject}: there is no limit on its line; it takes {', '.join(_FIELDS)}, each as NAME=NUMBER")
    return subject, Limit(**{_FIELDS[name]: value for name, value in values.items()})


def _value(text: str, subject: Subject, shapes: Mapping[str, Any]) -> tuple[str, Any]:
    said, equals, number = text.partition("=")
    name = _EXACT.get(said.lower())
    if name is None or not equals:
        raise Refused(f"{subject}: {text!r} is no limit; it takes {', '.join(_FIELDS)}{hint(said, _FIELDS)}")
    value = _number(number, whole=shapes[name]["type"] == "integer")
    if not Draft202012Validator(shapes[name]).is_valid(float(value) if isinstance(value, Decimal) else value):
        raise Refused(f"{subject}: {name}={number} won't do; it takes {shapes[name]['expects']}")
    return name, value


def _number(text: str, *, whole: bool) -> int | Decimal | str:
    """The number that the text is; the text itself where it is none."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite() or "_" in text:
        return text
    if whole:
        return int(number) if number == number.to_integral_value() and abs(number) < 10**12 else text
    return number
