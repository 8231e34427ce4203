"""Hours of the week."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annex_core.model.schedule import ALWAYS, parse

MONDAY = datetime(2026, 11, 23, tzinfo=UTC)


def at(hours, minutes=0, *, days=0):
    return MONDAY + timedelta(days=days, hours=hours, minutes=minutes)


@pytest.mark.parametrize(
    ("text", "moment", "ends"),
    [
        ("Mon-Fri 08:00-18:00", at(8), at(18)),
        ("Mon-Fri 08:00-18:00", at(17, 59), at(18)),
        ("Mon-Fri 08:00-18:00", at(18), None),
        ("Mon-Fri 08:00-18:00", at(7, 59), None),
        ("Mon-Fri 08:00-18:00", at(12, days=5), None),
        ("mon-fri 8:00-18:00,  sat 10:00-14:00", at(12, days=5), at(14, days=5)),
        ("Sat-Mon 08:00-09:00", at(8, days=6), at(9, days=6)),
        ("Sun 22:00-06:00", at(5), at(6)),
        ("Mon 00:00-24:00, Tue 00:00-12:00", at(1), at(12, days=1)),
        ("Mon 08:00-12:00, Mon 10:00-18:00", at(9), at(18)),
        ("Mon 08:00-18:00 America/Chicago", at(13), None),
        ("Mon 08:00-18:00 America/Chicago", at(14), at(24)),
        ("Mon 08:00-18:00 UTC", at(9), at(18)),
    ],
)
def test_hours_run_until_their_end_or_that_of_those_that_join_them(text, moment, ends):
    assert parse(text).until(moment) == ends


def test_a_change_of_the_clocks_moves_the_hours_of_its_zone_and_no_others():
    hours = parse("Sun 08:00-09:00 Europe/Berlin")
    before, after = datetime(2026, 10, 18, 6, 30, tzinfo=UTC), datetime(2026, 10, 25, 7, 30, tzinfo=UTC)
    assert hours.until(before) == before + timedelta(minutes=30)
    assert hours.until(after) == after + timedelta(minutes=30)
    assert hours.until(after - timedelta(hours=1)) is None


@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - hypothesis wants it so
def test_always_is_always(moment):
    until = ALWAYS.until(moment)
    assert until is not None
    assert until > moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no time such as"),
        ("08:00-18:00", "is no time such as"),
        ("Mon-Fri", "is no time such as"),
        ("Mon 8-18", "is no time such as"),
        ("Mon 08:00-18:00 Europe/Ber lin", "no time zone lin"),
        ("Mon 08:00-18:00 Mars/Olympus", "no time zone Mars/Olympus"),
        ("Mon 08:00-18:00 ../../etc/passwd", "is no time such as"),
        ("Mon-Foo 08:00-18:00", "the days are"),
        ("Mon 25:00-26:00", "no time of the day"),
        ("Mon 08:60-09:00", "no time of the day"),
        ("Mon 08:00-08:00", "ends when it begins"),
        ("never", "is no time such as"),
    ],
)
def test_what_is_no_schedule_is_refused_with_its_reason(text, why):
    with pytest.raises(ValueError, match=why):
        parse(text)
