"""The local cloud's own knobs, asked over HTTP as anybody could."""

from typing import Any

import urllib3


class CloudControl:
    """
    Args:
        url: Of the local cloud's API.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    def calls(self, since: int = 0) -> list[dict[str, Any]]:
        """Every AWS call after number *since*: n, at (epoch s), service, action, status, error, token, dry_run, ms."""
        found: list[dict[str, Any]] = self._ask("GET", f"calls?since={since}")
        return found

    def machines(self) -> list[dict[str, Any]]:
        """Every instance there ever was, with the moments of its life in epoch seconds."""
        found: list[dict[str, Any]] = self._ask("GET", "machines")
        return found

    def settings(self, **changed: float | None) -> dict[str, Any]:
        """The settings as they are after the change."""
        found: dict[str, Any] = self._ask("PUT", "settings", changed) if changed else self._ask("GET", "settings")
        return found

    def fail(self, **rule: Any) -> None:
        """Add a fault; docs/architecture.md lists what a rule may say."""
        self._ask("POST", "faults", rule)

    def faults(self) -> list[dict[str, Any]]:
        """Those in force; one that has happened as often as it was to is gone."""
        found: list[dict[str, Any]] = self._ask("GET", "faults")
        return found

    def heal(self) -> None:
        self._ask("DELETE", "faults")

    def interrupt(self, instance: str) -> float:
        """Have a Spot instance taken back, with notice; returns when, in epoch seconds of the cloud's clock."""
        return float(self._ask("POST", "notices", {"instance": instance, "kind": "interruption"})["taken_at"])

    def recommend_rebalance(self, instance: str) -> None:
        self._ask("POST", "notices", {"instance": instance, "kind": "rebalance"})

    def advance(self, seconds: float) -> None:
        self._ask("POST", "clock", {"advance_s": seconds})

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        answer = urllib3.request(method, f"{self.url}/_rehearsal/{path}", json=body, timeout=30, retries=False)
        if answer.status >= 400:
            raise ValueError(f"{method} {path}: {answer.data.decode(errors='replace')}")
        return answer.json() if answer.data else None
