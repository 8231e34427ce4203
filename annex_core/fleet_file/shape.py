"""Bring JSON that people and consoles write into the shape that a schema asks for, and name all that won't go."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

Json = dict[str, Any]

_WHOLE = re.compile(r"-?\d{1,18}")
_DECIMAL = re.compile(r"-?\d{1,18}(\.\d{1,18})?")


class _Misfit(Exception):  # noqa: N818 - never leaves this module
    """The value can't be what the schema wants; str() says what it wants."""


def conform(value: object, schema: Mapping[str, Any]) -> tuple[Any, tuple[str, ...]]:
    """
    Numbers in strings become numbers where the schema has numbers, and the other way round; null and "" say nothing
    and are left out.

    Args:
        value: As the json module reads it, without NaN.
        schema: Of the plain form of schemas/spot-fleet.json: $ref into $defs, properties, items, type, enum.

    Returns:
        The value in shape, and a sentence for each attribute that can't be brought into it.
    """
    definitions = schema["$defs"]
    wrong: list[str] = []
    shaped = _shaped(value, schema, definitions, "", wrong)
    return shaped, tuple(wrong)


def _shaped(value: object, schema: Mapping[str, Any], definitions: Mapping[str, Any], at: str, wrong: list[str]) -> Any:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    match schema["type"]:
        case "object":
            return _object(value, schema, definitions, at, wrong)
        case "array":
            if not isinstance(value, list):
                wrong.append(f"{at}: it takes a list, not {_kind(value)}")
                return []
            items = enumerate(value)
            return [_shaped(item, schema["items"], definitions, f"{at}[{i}]", wrong) for i, item in items]
        case kind:
            try:
                return _scalar(value, kind, schema.get("enum"))
            except _Misfit as misfit:
                wrong.append(f"{at}: it takes {misfit}, not {_kind(value)}")
                return None


def _object(
    value: object, schema: Mapping[str, Any], definitions: Mapping[str, Any], at: str, wrong: list[str]
) -> Json:
    if not isinstance(value, dict):
        wrong.append(f"{at or 'the whole'}: it takes an object, not {_kind(value)}")
        return {}
    known: Mapping[str, Any] = schema["properties"]
    shaped: Json = {}
    for name, item in value.items():
        place = f"{at}.{name}" if at else name
        if name not in known:
            wrong.append(f"{place}: AWS has no such attribute{_hint(name, known)}")
        elif item is not None and item != "":
            shaped[name] = _shaped(item, known[name], definitions, place, wrong)
    return shaped


def _scalar(value: object, kind: str, allowed: list[str] | None) -> Any:
    match kind, value:
        case "boolean", bool():
            return value
        case "boolean", str() if value.lower() in {"true", "false"}:
            return value.lower() == "true"
        case "boolean", _:
            raise _Misfit("true or false")
        case "integer" | "number", bool():
            raise _Misfit("a number")
        case "integer", int():
            return value
        case "integer", float() if value.is_integer():
            return int(value)
        case "integer", str() if _WHOLE.fullmatch(value):
            return int(value)
        case "integer", _:
            raise _Misfit("a whole number")
        case "number", int() | float():
            return value
        case "number", str() if _DECIMAL.fullmatch(value):
            return float(value)
        case "number", _:
            raise _Misfit("a number")
        case "string", str():
            text = value
        case "string", int() | float() if not isinstance(value, bool):
            # 0.00001 prints as 1e-05, which AWS doesn't read.
            text = str(value) if "e" not in str(value) else f"{value:.18f}".rstrip("0").rstrip(".")
        case _:
            raise _Misfit("text")
    if allowed and text not in allowed:
        raise _Misfit(f"one of {', '.join(allowed)}")
    return text


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case dict():
            return "an object"
        case list():
            return "a list"
        case bool():
            return str(value).lower()
        case str():
            return repr(value[:40])
        case _:
            return str(value)[:40]


def _hint(name: str, known: Mapping[str, Any]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.8)
    return f"; did you mean {by_lower[close[0]]}?" if close else ""
