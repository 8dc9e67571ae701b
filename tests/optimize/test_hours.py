"""The open hours of a schedule: its own windows, hour by hour, of the week that comes next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.calendar import DailyHours, Hours
from reconciler.optimize.hours import open_between, open_hours

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)  # a Monday
NEW_YORK, CHICAGO, KOLKATA = "America/New_York", "America/Chicago", "Asia/Kolkata"


def daily(zone: str, start: int, end: int) -> DailyHours:
    return DailyHours(zone, start * 60, end * 60)


def test_a_week_of_one_zone_is_its_windows_on_its_own_clock() -> None:
    found = open_hours(Hours(None, None, (daily(NEW_YORK, 9, 12),)), NEW_YORK, NOW)
    assert [(each.weekday, each.hour) for each in found] == [
        (day, hour) for day in range(7) for hour in (9, 10, 11)
    ]
    assert found[0].start == datetime(2027, 3, 1, 14, tzinfo=UTC)
    assert {each.share for each in found} == {1.0}


def test_two_zones_are_open_while_one_of_them_is() -> None:
    windows = (daily(CHICAGO, 9, 10), daily(NEW_YORK, 9, 10))
    found = open_hours(Hours(None, NOW + timedelta(days=1), windows), NEW_YORK, NOW)
    assert [(each.start.hour, each.hour) for each in found] == [(14, 9), (15, 10)]


def test_an_hour_cut_by_the_span_or_by_a_zone_of_half_hours_is_a_share() -> None:
    start = datetime(2027, 3, 2, 3, 45, tzinfo=UTC)
    end = datetime(2027, 3, 2, 12, tzinfo=UTC)
    found = open_hours(Hours(start, end, (daily(KOLKATA, 9, 11),)), KOLKATA, NOW)
    assert [(each.start.hour, each.hour, each.share) for each in found] == [
        (3, 8, 0.25),
        (4, 9, 1.0),
        (5, 10, 0.5),
    ]


@pytest.mark.parametrize(("day", "ahead"), [(13, 5), (14, 4)])
def test_a_clock_change_moves_the_instants_and_not_the_hours(day: int, ahead: int) -> None:
    now = datetime(2027, 3, day, 5, tzinfo=UTC)
    first = open_hours(Hours(None, None, (daily(NEW_YORK, 9, 10),)), NEW_YORK, now)[0]
    assert (first.start.day, first.start.hour, first.hour) == (day, 9 + ahead, 9)


def test_an_hour_that_a_clock_change_repeats_is_open_twice() -> None:
    now = datetime(2027, 11, 7, 0, tzinfo=UTC)
    hours = Hours(now, now + timedelta(days=1), (daily(NEW_YORK, 1, 2),))
    assert [(each.weekday, each.hour) for each in open_hours(hours, NEW_YORK, now)] == [(6, 1)] * 2


def test_a_schedule_that_opens_later_shows_its_first_week() -> None:
    start = NOW + timedelta(days=500, hours=1)
    found = open_hours(Hours(start, None, (daily(NEW_YORK, 9, 10),)), NEW_YORK, NOW)
    assert len(found) == 7
    assert start <= found[0].start < start + timedelta(days=1)


@pytest.mark.parametrize(
    "hours",
    [
        Hours(None, NOW, (daily(NEW_YORK, 9, 12),)),
        Hours(None, NOW - timedelta(days=900)),
        Hours(NOW, None, ()),
        Hours(None, None, (daily(NEW_YORK, 9, 12),), ()),
    ],
)
def test_a_schedule_that_never_opens_has_no_hours(hours: Hours) -> None:
    assert open_hours(hours, NEW_YORK, NOW) == ()


@given(
    st.integers(0, 60 * 24 * 400),
    st.lists(
        st.tuples(
            st.sampled_from([NEW_YORK, CHICAGO, KOLKATA]), st.integers(0, 20), st.integers(1, 4)
        ),
        min_size=1,
        max_size=3,
    ),
)
def test_every_open_minute_lies_in_an_open_hour_and_shares_sum_to_the_open_time(minutes, rows):
    now = NOW + timedelta(minutes=minutes)
    windows = tuple(daily(zone, start, start + length) for zone, start, length in rows)
    found = open_hours(Hours(None, None, windows), NEW_YORK, now)
    assert sorted({each.start for each in found}) == [each.start for each in found]
    assert all(0 < each.share <= 1 for each in found)
    opened = 0
    starts = {each.start for each in found}
    for minute in range(0, 7 * 24 * 60, 15):
        instant = now + timedelta(minutes=minute)
        if any(inside(each, instant) for each in windows):
            opened += 15
            assert instant.replace(minute=0) in starts
    assert sum(each.share for each in found) * 60 == pytest.approx(opened, abs=15 * 21)


def inside(hours: DailyHours, instant: datetime) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - the standard library's own clock, independent of the calendar

    local = instant.astimezone(ZoneInfo(hours.zone))
    return hours.start_minute <= local.hour * 60 + local.minute < hours.end_minute


def test_the_hours_between_two_instants_are_those_of_the_weeks_between() -> None:
    hours = Hours(None, None, (daily(NEW_YORK, 9, 12),))
    weeks = [open_hours(hours, NEW_YORK, NOW + timedelta(days=days)) for days in (0, 7, 14, 21)]
    assert open_between(hours, NEW_YORK, NOW, NOW + timedelta(days=28)) == sum(weeks, ())
