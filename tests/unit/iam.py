"""
IAM's evaluation of one policy, as far as ours go; anything else in a policy is an error.

moto can't stand in here: its evaluator takes a statement whose condition fails for a denial, knows StringEquals alone,
and asks for the conditions of role trust only.

Source:
    "Policy evaluation logic" and "IAM JSON policy elements" in IAM's user guide.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Context = Mapping[str, str | list[str]]

_KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}


def allowed(policy: Mapping[str, Any], action: str, resource: str, context: Context | None = None) -> bool:
    """Whether some statement allows it; policies of ours deny nothing."""
    return any(_allows(statement, action, resource, context or {}) for statement in policy["Statement"])


def _allows(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    if statement["Effect"] != "Allow" or statement.keys() - _KNOWN:
        raise NotImplementedError(f"a statement that isn't like ours: {statement}")
    return (
        _like(action, statement["Action"], ignore_case=True)
        and _like(resource, statement["Resource"])
        and all(
            _OPERATORS[operator](_of(context, key), _many(expected))
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def _of(context: Context, key: str) -> list[str]:
    """A key's values; IAM takes keys in any case, but for the tag's own key in them."""
    return [value for name, found in context.items() if name == key for value in _many(found)]


def _many(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _like(text: str, patterns: str | list[str], *, ignore_case: bool = False) -> bool:
    flags = re.IGNORECASE if ignore_case else 0
    return any(
        re.fullmatch("".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern), text, flags)
        for pattern in _many(patterns)
    )


def _null(found: Iterable[str], expected: list[str]) -> bool:
    return (not list(found)) == (expected == ["true"])


_OPERATORS: dict[str, Callable[[list[str], list[str]], bool]] = {
    "StringEquals": lambda found, expected: len(found) == 1 and found[0] in expected,
    "ArnEquals": lambda found, expected: len(found) == 1 and _like(found[0], expected),
    "ForAnyValue:StringEquals": lambda found, expected: bool(set(found) & set(expected)),
    "ForAllValues:StringEquals": lambda found, expected: set(found) <= set(expected),
    "Null": _null,
}
