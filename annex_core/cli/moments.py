"""Moments and durations as people type them."""

import argparse
from datetime import UTC, datetime

from annex_core.model import duration
from annex_core.model.tags import stamp


def duration_s(text: str) -> int:
    """Seconds of 90m, 8h or 3600; for argparse."""
    seconds = duration.seconds(text)
    if not seconds:
        raise argparse.ArgumentTypeError(f"{text}: it takes seconds, or a number with s, m, h or d")
    return seconds


def moment(text: str) -> str:
    """
    UTC, ISO 8601, of a moment as in 2026-11-21 17:00, in this machine's own time zone where it names none; for
    argparse.
    """
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text}: it takes a moment such as '2026-11-21 17:00', with a zone or in local time"
        ) from error
    return stamp(found.astimezone(UTC))
