"""
The macros of a JOB_ROUTER_ROUTE_<name>, read as the job router reads them.

A route's text is a program: comments, if and else, macro definitions, and commands (SET, EVALSET, ...) that edit the
job. The router runs it for each job; we need its macros once, without a job. So references are resolved against the
route's own macros (the last definition counts, wherever it stands) and then the configuration, and what only a job
could decide is refused where an Annex macro depends on it.

Source:
    Parse_macros, ConfigIfStack and ParseRulesCallback in HTCondor's config.cpp and xform_utils.cpp.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

_MACRO = re.compile(r"([A-Za-z_][\w.]*)\s*(@=|\+?=)\s*(.*)", re.DOTALL)
_CONDITION = re.compile(r"(if|elif|else|endif)(?:\s+(.*))?$", re.IGNORECASE)
_REFERENCE = re.compile(r"\$\(([\w.]+)(?::([^()$]*))?\)")
_FUNCTION = re.compile(r"\$(\w*|\$)\(")
_NUMBER = re.compile(r"-?\d+(\.\d*)?")
_NAME = re.compile(r"[A-Za-z_][\w.]*")
_DOLLAR = "\0"
"""Stands for $(DOLLAR), which starts no reference, until all references are resolved."""


class RouteTextError(ValueError):
    """Not what a route or one of its macros may look like; says the line's number, where there is one, and why."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


@dataclass(frozen=True)
class Line:
    """One logical line: trimmed, continuations joined, neither empty nor a comment."""

    number: int
    text: str


@dataclass(frozen=True)
class RouteText:
    """
    Source:
        JOB_ROUTER_ROUTE_<name>, unexpanded.
    """

    name: str
    lines: tuple[Line, ...]
    file: str | None = None
    """Where the numbers count; without it they count within the route's text."""

    def where(self, line: int | None) -> str:
        """For messages: FILE:LINE where that is known."""
        if line is None:
            return self.file or f"JOB_ROUTER_ROUTE_{self.name}"
        return f"{self.file}:{line}" if self.file else f"JOB_ROUTER_ROUTE_{self.name}, line {line}"


@dataclass(frozen=True)
class Macro:
    name: str
    text: str
    """Unexpanded, but for references to itself."""
    line: int
    decided: bool = True
    """False inside an `if` whose condition depends on the job."""


def logical_lines(physical: Sequence[str], first: int = 1) -> tuple[Line, ...]:
    """
    Args:
        first: The number of the first of them.

    Returns:
        Lines with the number of their first physical line.
    """
    found: list[Line] = []
    held: Line | None = None
    for number, raw in enumerate(physical, first):
        text = raw.strip()
        if held is None and (not text or text.startswith("#")):
            continue
        held = Line(held.number, held.text + text) if held else Line(number, text)
        if held.text.endswith("\\"):
            held = replace(held, text=held.text[:-1])
            continue
        found.append(held)
        held = None
    if held:
        found.append(held)
    return tuple(line for line in found if line.text)


def macros(lines: Sequence[Line], configuration: Mapping[str, str]) -> dict[str, Macro]:
    """
    The route's macros by lower-case name, each as it stands at the end of the route.

    Raises:
        RouteTextError: The router would not take the route either: an unbalanced if, an @= without its end, or an
            Annex... line that is no definition.
    """
    found: dict[str, Macro] = {}
    conditions = _Conditions(found, configuration)
    rest = iter(lines)
    for line in rest:
        if conditions.take(line) or conditions.enabled is False:
            continue
        definition = _MACRO.fullmatch(line.text)
        if definition is None:
            if line.text.lower().startswith("annex"):
                raise RouteTextError(f"{line.text!r} is not NAME = VALUE", line.number)
            if line.text.split()[0].lower() == "transform":
                break
            continue
        name, operator, text = definition.groups()
        if operator == "@=":
            text = _block(rest, text, line)
        before = found.get(name.lower())
        old = before.text if before else str(configuration.get(name) or "")
        text = f"{old} {text}".strip() if operator == "+=" else _own(text, name, old)
        found[name.lower()] = Macro(name, text, line.number, decided=conditions.enabled is True)
    conditions.end()
    return found


def expand(
    text: str,
    own: Mapping[str, Macro],
    configuration: Mapping[str, str],
    *,
    missing: str | None = None,
) -> str:
    """
    Resolve $(NAME) and $(NAME:DEFAULT).

    Args:
        missing: What a name stands for that is defined nowhere; None refuses it.

    Raises:
        RouteTextError: A name that is defined nowhere, a circle, a $FUNCTION, or something that depends on the job.
    """
    return _resolve(text, own, configuration, frozenset(), missing).replace(_DOLLAR, "$")


def _resolve(
    text: str, own: Mapping[str, Macro], configuration: Mapping[str, str], within: frozenset[str], missing: str | None
) -> str:
    while reference := _REFERENCE.search(text):
        name, default = reference.group(1), reference.group(2)
        value = _value(name, missing if default is None else default, own, configuration, within)
        text = text[: reference.start()] + value + text[reference.end() :]
    function = _FUNCTION.search(text)
    if function:
        raise RouteTextError(f"it uses {function.group()}...), which only the job router can evaluate")
    return text


def _value(
    name: str, default: str | None, own: Mapping[str, Macro], configuration: Mapping[str, str], within: frozenset[str]
) -> str:
    key = name.lower()
    if key == "dollar":
        return _DOLLAR
    if key.startswith("my."):
        raise RouteTextError(f"$({name}) depends on the job; an annex is made for many")
    if key in within:
        raise RouteTextError(f"$({name}) refers to itself")
    if key in own:
        if not own[key].decided:
            raise RouteTextError(f"$({name}) is set under an if that only the job router can decide")
        return _resolve(own[key].text, own, configuration, within | {key}, None)
    found = configuration.get(name)
    if found is None and default is None:
        raise RouteTextError(f"$({name}) is defined nowhere")
    return str(found) if found is not None else str(default)


def _own(text: str, name: str, old: str) -> str:
    """A macro that names itself means what it was before."""
    itself = re.compile(rf"\$\({re.escape(name)}(?::([^()$]*))?\)", re.IGNORECASE)
    return itself.sub(lambda reference: old or reference.group(1) or "", text)


def _block(rest: Iterator[Line], tag: str, opened: Line) -> str:
    """The lines up to @TAG, joined by newlines."""
    block: list[str] = []
    for line in rest:
        if line.text == f"@{tag}":
            return "\n".join(block)
        block.append(line.text)
    raise RouteTextError(f"@{tag} is missing: a text that starts with @= ends with a line of its own", opened.number)


@dataclass
class _Branch:
    """One open `if`. None is "the job decides"."""

    enabled: bool | None
    taken: bool | None
    """An earlier branch, or this one, is the one taken."""
    line: int
    last: bool = False
    """Its else has been seen."""


class _Conditions:
    """The if, elif, else and endif around a line."""

    def __init__(self, own: Mapping[str, Macro], configuration: Mapping[str, str]) -> None:
        self._own = own
        self._configuration = configuration
        self._open: list[_Branch] = []

    @property
    def enabled(self) -> bool | None:
        """Whether the line counts; None when only a job decides."""
        states = {branch.enabled for branch in self._open}
        if False in states:
            return False
        return None if None in states else True

    def take(self, line: Line) -> bool:
        """Whether the line was one of the four; it counts then."""
        condition = _CONDITION.match(line.text)
        if condition is None:
            return False
        word, rest = condition.group(1).lower(), (condition.group(2) or "").strip()
        if word == "if":
            chosen = self._decide(rest) if self.enabled is not False else False
            self._open.append(_Branch(chosen, chosen, line.number))
            return True
        if not self._open:
            raise RouteTextError(f"{word} without an if", line.number)
        branch = self._open[-1]
        if word == "endif":
            self._open.pop()
            return True
        if branch.last:
            raise RouteTextError(f"{word} after else", line.number)
        branch.last = word == "else"
        chosen = True if branch.last else self._decide(rest)
        branch.enabled = False if branch.taken or chosen is False else chosen if branch.taken is False else None
        branch.taken = True if branch.taken or chosen else branch.taken if chosen is False else None
        return True

    def end(self) -> None:
        if self._open:
            raise RouteTextError("this if has no endif", self._open[-1].line)

    def _decide(self, condition: str) -> bool | None:
        try:
            text = expand(condition, self._own, self._configuration, missing="").strip()
        except RouteTextError:
            return None
        negated = text.startswith("!")
        answer = self._plain(text.removeprefix("!").strip())
        return answer if answer is None else answer is not negated

    def _plain(self, text: str) -> bool | None:
        words = text.split()
        if not words or words[0].lower() in {"false", "no", "f"}:
            return False
        if words[0].lower() in {"true", "yes", "t"}:
            return True
        if _NUMBER.fullmatch(words[0]):
            return float(words[0]) != 0
        if words[0].lower() == "defined" and len(words) == 2:
            return self._defined(words[1])
        return None

    def _defined(self, name: str) -> bool | None:
        key = name.lower()
        if key.startswith("my.") or not _NAME.fullmatch(name):
            return None
        if key in self._own:
            return bool(self._own[key].text) if self._own[key].decided else None
        return bool(self._configuration.get(name))
