"""What goes wrong on request: calls that fail, dawdle or get lost, and pools without capacity."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Self

_ASK_FOR_LEAVE = frozenset({"CreateFleet", "CreateLaunchTemplate", "RequestSpotFleet"})
"""Their dry runs look at nothing but policies; that of RunInstances at its parameters, too."""
_NO_LEAVE = frozenset({"AccessDenied", "AuthFailure", "UnauthorizedOperation"})


@dataclass(frozen=True)
class CallFault:
    """
    What happens to the next *times* calls of *action*; with times None, to all of them.

    A dry run meets what can be the answer to one, and uses up nothing else.
    """

    action: str
    """As AWS spells it, or `*`."""
    times: int | None = 1
    error: str | None = None
    """AWS's error code: the call is refused with it and does nothing."""
    status: int = 400
    """The HTTP status that goes with *error*."""
    delay_s: float = 0.0
    """Real seconds, before the call does anything."""
    then: str | None = None
    """`lose`: the call acts, and no answer is ever sent."""

    def meets(self, action: str, *, dry_run: bool) -> bool:
        if self.action not in {action, "*"}:
            return False
        return not (dry_run and action in _ASK_FOR_LEAVE) or self.error in _NO_LEAVE


@dataclass(frozen=True)
class CapacityFault:
    """Each pool (an instance type in a zone) that the rule names holds at most *capacity* instances."""

    capacity: int
    types: tuple[str, ...] = ()
    """Empty is every type."""
    zones: tuple[str, ...] = ()
    """Empty is every zone."""
    market: str | None = None
    """`spot` or `on-demand`; None is both."""

    def binds(self, instance_type: str, zone: str, market: str) -> bool:
        return (
            (not self.types or instance_type in self.types)
            and (not self.zones or zone in self.zones)
            and self.market in {None, market}
        )


@dataclass(frozen=True)
class _Numbered:
    """A rule that was posted, by the number it is listed under."""

    id: int
    rule: CallFault | CapacityFault

    def as_json(self) -> dict[str, object]:
        return {"id": self.id, **asdict(self.rule)}


class Faults:
    """The rules in force, oldest first; safe to use from any thread."""

    def __init__(self) -> None:
        self._rules: list[_Numbered] = []
        self._posted = 0
        self._lock = Lock()

    def add(self, rule: CallFault | CapacityFault) -> int:
        with self._lock:
            self._posted += 1
            self._rules.append(_Numbered(self._posted, rule))
            return self._posted

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def as_json(self) -> list[dict[str, object]]:
        with self._lock:
            return [rule.as_json() for rule in self._rules]

    def take(self, action: str, *, dry_run: bool = False) -> CallFault | None:
        """The oldest rule for this call, used up by one."""
        with self._lock:
            for index, numbered in enumerate(self._rules):
                rule = numbered.rule
                if not isinstance(rule, CallFault) or not rule.meets(action, dry_run=dry_run):
                    continue
                if rule.times is not None:
                    self._use_up(index, rule, rule.times)
                return rule
        return None

    def _use_up(self, index: int, rule: CallFault, times: int) -> None:
        if times <= 1:
            del self._rules[index]
            return
        left = CallFault(rule.action, times - 1, rule.error, rule.status, rule.delay_s, rule.then)
        self._rules[index] = _Numbered(self._rules[index].id, left)

    def room(self, instance_type: str, zone: str, market: str) -> int | None:
        """How many instances the pool may hold in all where the market asks; None is no limit."""
        with self._lock:
            limits = [
                numbered.rule.capacity
                for numbered in self._rules
                if isinstance(numbered.rule, CapacityFault) and numbered.rule.binds(instance_type, zone, market)
            ]
        return min(limits, default=None)


class _Fields:
    """A rule's JSON, read field by field; whatever is left unread is a mistake."""

    def __init__(self, posted: Mapping[str, object]) -> None:
        self._left = dict(posted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._left:
            raise ValueError(f"not a field of this kind of rule: {', '.join(sorted(self._left))}")

    def text(self, name: str) -> str | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"{name} must be text")
        return value

    def number(self, name: str, default: float | None) -> float | None:
        value = self._left.pop(name, default)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ValueError(f"{name} must be a number, 0 or more")
        return value

    def count(self, name: str, default: int | None) -> int | None:
        value = self.number(name, default)
        return None if value is None else int(value)

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._left.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{name} must be a list of texts")
        return tuple(value)


def read_rule(posted: Mapping[str, object]) -> CallFault | CapacityFault:
    """
    Raises:
        ValueError: It is no rule; the sentence says why.
    """
    with _Fields(posted) as given:
        if "capacity" in posted:
            most, types, zones = given.count("capacity", 0) or 0, given.texts("types"), given.texts("zones")
            market = given.text("market")
            if market not in {None, "spot", "on-demand"}:
                raise ValueError("market is spot or on-demand")
            return CapacityFault(most, types, zones, market)
        action = given.text("action")
        if not action:
            raise ValueError("a rule names an action, or a capacity")
        rule = CallFault(
            action=action,
            times=given.count("times", 1),
            error=given.text("error"),
            status=given.count("status", 400) or 400,
            delay_s=given.number("delay_s", 0.0) or 0.0,
            then=given.text("then"),
        )
        if rule.then not in {None, "lose"}:
            raise ValueError("then can only be lose")
        if rule.times == 0:
            raise ValueError("times is at least 1, or null for always")
        return rule
