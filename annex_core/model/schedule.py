"""Hours of the week, such as `Mon-Fri 08:00-18:00, Sat 10:00-14:00 Europe/Berlin`."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?\s+(\d{1,2}):(\d\d)\s*-\s*(\d{1,2}):(\d\d)", re.IGNORECASE)
_ZONE = re.compile(r"\s+([A-Za-z]+(?:[/_+-][A-Za-z0-9_+-]+)*)$")
_MINUTES = 24 * 60
_LOOKED_AHEAD = 16
"""Spans that join one another: more than a week's."""


@dataclass(frozen=True)
class Span:
    """From *start* to *end*, minutes of the day; an end that is not later is on the day after."""

    days: frozenset[int]
    """0 is Monday; of the start."""
    start: int
    end: int


@dataclass(frozen=True)
class Schedule:
    spans: tuple[Span, ...]
    zone: str = "UTC"
    """By its IANA name."""

    def until(self, now: datetime) -> datetime | None:
        """When the hours that are running now end, also where others begin just then; None outside of them."""
        end: datetime | None = None
        for _ in range(_LOOKED_AHEAD):
            later = self._end_of_span(end or now)
            if later is None:
                break
            end = later
        return end

    def _end_of_span(self, moment: datetime) -> datetime | None:
        zone = ZoneInfo(self.zone)
        today = moment.astimezone(zone).date()
        found = []
        for day in (today - timedelta(days=1), today):
            midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 - by the wall's clock; the zone comes last
            for span in self.spans:
                if day.weekday() not in span.days:
                    continue
                length = (span.end - span.start) % _MINUTES or _MINUTES
                begins = midnight + timedelta(minutes=span.start)
                start, end = (
                    each.replace(tzinfo=zone).astimezone(UTC) for each in (begins, begins + timedelta(minutes=length))
                )
                if start <= moment < end:
                    found.append(end)
        return max(found, default=None)


ALWAYS = Schedule((Span(frozenset(range(7)), 0, _MINUTES),))


def parse(text: str) -> Schedule:
    """
    Raises:
        ValueError: It is none; says why.
    """
    plain = " ".join(text.split())
    if plain.lower() == "always":
        return ALWAYS
    zone = _ZONE.search(plain)
    name = zone[1] if zone else "UTC"
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"this machine knows no time zone {name}") from error
    spans = tuple(_span(part.strip()) for part in plain[: zone.start() if zone else None].split(","))
    return Schedule(spans, name)


def _span(text: str) -> Span:
    found = _SPAN.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is no time such as Mon-Fri 08:00-18:00")
    first, last = (found[1].lower(), (found[2] or found[1]).lower())
    start, end = (int(hour) * 60 + int(minute) for hour, minute in ((found[3], found[4]), (found[5], found[6])))
    if first not in DAYS or last not in DAYS:
        raise ValueError(f"{text!r}: the days are Mon, Tue, Wed, Thu, Fri, Sat and Sun")
    if max(int(found[4]), int(found[6])) > 59 or start >= _MINUTES or end > _MINUTES or start == end:
        raise ValueError(f"{text!r} has no time of the day, or ends when it begins")
    begins = DAYS.index(first)
    days = (DAYS.index(last) - begins) % 7 + 1
    return Span(frozenset((begins + day) % 7 for day in range(days)), start, end)
