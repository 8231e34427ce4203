"""One route on its way to a recipe: where each macro's text comes from, and what was found."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from annex_core.adapters.route_text import Macro, RouteText, expand
from annex_core.model.setting import Origin


@dataclass(frozen=True)
class Finding:
    """One thing to tell an administrator about a route."""

    route: str
    where: str
    """FILE:LINE, as far as it is known."""
    text: str
    fatal: bool
    """The route can't be used; otherwise a warning."""

    def __str__(self) -> str:
        return f"{self.where}: {'error' if self.fatal else 'warning'}: route {self.route}: {self.text}"


class Reading:
    """
    Args:
        own: The route's macros, by lower-case name.
        configuration: HTCondor's, expanded; it takes names in any case.
        places: FILE:LINE of macros in it, by lower-case name, as far as it is known.
    """

    def __init__(
        self, text: RouteText, own: Mapping[str, Macro], configuration: Mapping[str, str], places: Mapping[str, str]
    ) -> None:
        self._text = text
        self.own = own
        self.lines = tuple(line.text for line in text.lines)
        self._configuration = configuration
        self._places = places
        self._found: list[tuple[int, Finding]] = []
        self.refused = False

    def is_set(self, name: str, *, pool_wide: str) -> bool:
        """Whether the route has the macro, or the configuration the one that stands for it in all routes."""
        own = self.own.get(name.lower())
        return bool(own.text if own else self._configuration.get(pool_wide))

    def text_of(self, name: str) -> str | None:
        """
        The macro's text, the route's own or else the pool-wide one; None when neither is there, "" when it is empty.

        Raises:
            RouteTextError: It can't be resolved without a job.
        """
        if name.lower() in self.own:
            text = expand(f"$({name})", self.own, self._configuration)
        else:
            found = self._configuration.get(name)
            if found is None:
                return None
            text = str(found)
        text = text.strip()
        return text[1:-1] if re.fullmatch(r'"[^"]*"', text) else text

    def origin(self, name: str) -> tuple[Origin, str]:
        """Who says it, and at which FILE:LINE."""
        if macro := self.own.get(name.lower()):
            return Origin.ROUTE, self._text.where(macro.line)
        if self._configuration.get(name) is not None:
            return Origin.POOL, self._places.get(name.lower(), "")
        return Origin.DEFAULT, ""

    def findings(self) -> tuple[Finding, ...]:
        """In the order of the lines they stand on; what has no line comes first."""
        return tuple(finding for _, finding in sorted(self._found, key=lambda found: found[0]))

    def refuse(self, name: str, text: str) -> None:
        self.refused = True
        self._add(name, text, fatal=True)

    def warn(self, name: str, text: str) -> None:
        self._add(name, text, fatal=False)

    def _add(self, name: str, text: str, *, fatal: bool) -> None:
        macro = self.own.get(name.lower())
        line = macro.line if macro else None
        pool_wide = macro is None and name in self._configuration
        where = self._places.get(name.lower(), f"pool-wide {name}") if pool_wide else self._text.where(line)
        self._found.append((line or 0, Finding(self._text.name, where, text, fatal)))
