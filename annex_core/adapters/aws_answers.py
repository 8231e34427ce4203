"""What AWS's answers carry beside what was asked for: their date, and the id by which AWS's support finds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from botocore.session import Session

_SAME = timedelta(seconds=5)
"""Dates are whole seconds, and an answer takes its time: what differs less is the same clock."""


@dataclass(frozen=True)
class Answered:
    """One call, and what came of it."""

    service: str
    operation: str
    region: str
    code: str | None
    """AWS's error code, or what happened on the way; None where the call succeeded."""
    request_id: str | None

    @property
    def changes(self) -> bool:
        return not self.operation.startswith(("Describe", "Get", "Head", "List"))


class Listener:
    """
    Hears every answer of a session's clients.

    Args:
        told: Called with each; from the threads that call AWS.
    """

    def __init__(
        self,
        region: str,
        told: Callable[[Answered], None],
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._region = region
        self._told = told
        self._clock = clock
        self.ahead = timedelta(0)
        """How far AWS's clock is ahead of ours, by the last answer that had a date; whole seconds."""

    def listen(self, session: Session) -> None:
        session.register("after-call", self._answered)
        session.register("after-call-error", self._unanswered)

    def _answered(self, **event: Any) -> None:
        self._set_clock(event["http_response"].headers.get("Date"))
        parsed: Mapping[str, Any] = event["parsed"]
        model = event["model"]
        self._told(
            Answered(
                service=model.service_model.service_name,
                operation=model.name,
                region=self._region,
                code=parsed.get("Error", {}).get("Code") or None,
                request_id=parsed.get("ResponseMetadata", {}).get("RequestId") or None,
            )
        )

    def _unanswered(self, **event: Any) -> None:
        _, service, operation = event["event_name"].split(".", 2)
        self._told(Answered(service, operation, self._region, type(event["exception"]).__name__, None))

    def _set_clock(self, date: str | None) -> None:
        try:
            theirs = parsedate_to_datetime(date or "")
        except ValueError:
            return
        ahead = theirs.astimezone(UTC) - self._clock()
        self.ahead = timedelta(seconds=round(ahead.total_seconds())) if abs(ahead) >= _SAME else timedelta(0)
