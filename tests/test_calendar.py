"""`ever_open` against a walk over every minute, on ordinary days and on those on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reconciler.calendar import DailyHours, Hours, WeekdayHours, ever_open
from reconciler.models import zone


def at(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


CHANGES = {
    "America/New_York": (at(3, 14, 7), at(11, 7, 6)),
    "Europe/London": (at(3, 28, 1), at(10, 31, 1)),
    "Australia/Sydney": (at(4, 3, 16), at(10, 2, 16)),
    "Australia/Lord_Howe": (at(4, 3, 15), at(10, 2, 15, 30)),
}
"""When clocks change in 2027, UTC, by zone."""


def open_at_any_minute(hours: Hours) -> bool:
    """The law itself: walk over the span and look at the clock on the wall."""
    moment = hours.start
    while moment < hours.end:
        for window in hours.windows:
            wall = moment.astimezone(zone(window.zone))
            if window.start_minute <= wall.hour * 60 + wall.minute < window.end_minute:
                return True
        moment += timedelta(minutes=1)
    return False


def window_of(name: str, start: int, length: int) -> DailyHours:
    return DailyHours(name, start, min(start + length, 1440))


windows = st.builds(
    window_of,
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 1439) | st.integers(0, 23).map(lambda hour: hour * 60),
    st.integers(1, 90) | st.integers(1, 1440),
)
starts = st.sampled_from([change for both in CHANGES.values() for change in both]).flatmap(
    lambda change: st.integers(-3 * 1440, 1440).map(
        lambda minutes: change + timedelta(minutes=minutes)
    )
)


@pytest.mark.parametrize("name", sorted(CHANGES))
def test_the_days_on_which_clocks_change_are_those_days(name):
    for change in CHANGES[name]:
        before, after = (
            (change + timedelta(minutes=n)).astimezone(zone(name)).utcoffset() for n in (-1, 0)
        )
        assert before != after


@settings(max_examples=150)
@given(
    starts,
    st.integers(1, 240) | st.integers(1, 3 * 1440),
    st.lists(windows, min_size=1, max_size=2),
)
@example(
    at(3, 14, 6, 30), 90, [DailyHours("America/New_York", 120, 180)]
)  # the hour that is skipped
@example(
    at(11, 7, 6, 0), 10, [DailyHours("America/New_York", 60, 90)]
)  # the half hour that comes twice, the second time
@example(at(11, 7, 5, 40), 15, [DailyHours("America/New_York", 60, 90)])
@example(
    at(4, 3, 15, 0), 5, [DailyHours("Australia/Lord_Howe", 90, 100)]
)  # clocks go back by half an hour
@example(
    at(3, 13, 8), 24 * 60, [DailyHours("America/New_York", 120, 180)]
)  # a day and a night that miss it
def test_it_agrees_with_a_walk_over_every_minute(start, minutes, some):
    hours = Hours(start, start + timedelta(minutes=minutes), tuple(some))
    assert ever_open(hours) == open_at_any_minute(hours)


@pytest.mark.parametrize("name", sorted(CHANGES))
@pytest.mark.parametrize("autumn", [0, 1], ids=["first-change", "second-change"])
def test_each_half_hour_around_a_change_is_open_when_its_wall_clock_says_so(name, autumn):
    change = CHANGES[name][autumn]
    for half in range(-8, 8):
        start = change + timedelta(minutes=30 * half)
        for minute in range(0, 300, 30):
            hours = Hours(
                start, start + timedelta(minutes=30), (DailyHours(name, minute, minute + 30),)
            )
            assert ever_open(hours) == open_at_any_minute(hours), (half, minute)


def test_one_open_second_at_either_end_of_the_span_is_enough():
    window = (DailyHours("Etc/UTC", 9 * 60, 10 * 60),)
    day = at(1, 12, 0)
    before = Hours(day, day.replace(hour=9, second=1), window)
    after = Hours(day.replace(hour=9, minute=59, second=59), day.replace(hour=23), window)
    assert ever_open(before)
    assert ever_open(after)


def test_the_span_is_open_at_its_start_and_closed_at_its_end():
    window = (DailyHours("Etc/UTC", 9 * 60, 10 * 60),)
    day = at(1, 12, 0)
    assert not ever_open(Hours(day, day.replace(hour=9), window))
    assert not ever_open(Hours(day.replace(hour=10), day.replace(hour=23), window))


@given(starts, st.integers(2 * 1440, 4 * 1440), windows)
@settings(max_examples=20)
def test_two_days_meet_every_window(start, minutes, window):
    assert ever_open(Hours(start, start + timedelta(minutes=minutes), (window,)))


@pytest.mark.parametrize(("start", "end"), [(None, None), ("then", None), (None, "then")])
def test_an_unbounded_span_meets_every_window(start, end):
    day = at(1, 12, 0)
    assert ever_open(Hours(start and day, end and day, (DailyHours("Europe/London", 0, 1),)))


def test_a_span_that_is_empty_or_turned_round_is_never_open():
    day = at(1, 12, 12)
    for end in (day, day - timedelta(hours=1)):
        assert not ever_open(Hours(day, end))
        assert not ever_open(Hours(day, end, (DailyHours("Etc/UTC", 0, 1440),)))


@pytest.mark.parametrize(("start", "end"), [(-1, 10), (10, 10), (20, 10), (0, 1441), (0, 10**12)])
def test_a_window_is_a_part_of_one_day(start, end):
    with pytest.raises(ValueError, match="not a valid range within a day"):
        DailyHours("Etc/UTC", start, end)


def test_without_windows_the_span_alone_limits():
    day = at(1, 12, 0)
    assert ever_open(Hours(day, day + timedelta(minutes=1)))


# --- weeks --------------------------------------------------------------------------------------------------------------

MONTHS = [datetime(2027, month, 1, tzinfo=UTC) for month in range(1, 13)]


def meets_in_any_month(run: WeekdayHours, window: DailyHours) -> bool:
    """The law itself: on some first day of a month both clocks show a minute that is allowed."""
    return any(
        inside(moment, run.hours) and inside(moment, window)
        for first in MONTHS
        for moment in (first + timedelta(minutes=5 * step) for step in range(-300, 600))
    )


def inside(moment: datetime, window: DailyHours) -> bool:
    wall = moment.astimezone(zone(window.zone))
    return window.start_minute <= wall.hour * 60 + wall.minute < window.end_minute


five_minutes = st.builds(
    lambda name, start, length: DailyHours(name, start * 5, min((start + length) * 5, 1440)),
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 287),
    st.integers(1, 100),
)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 6), five_minutes, five_minutes)
def test_a_week_meets_a_window_when_both_clocks_allow_some_minute(weekday, hours, window):
    run = WeekdayHours(weekday, hours)
    found = ever_open(Hours(None, None, (window,), (run,)))
    assert found == meets_in_any_month(run, window)


def test_a_week_without_windows_and_windows_without_a_week_are_open():
    hours = DailyHours("America/New_York", 540, 600)
    assert ever_open(Hours(None, None, (), (WeekdayHours(0, hours),)))
    assert ever_open(Hours(None, None, (hours,), ()))


def test_a_week_and_a_window_that_never_meet_are_closed_whatever_the_span():
    week, window = DailyHours("Europe/London", 0, 1), DailyHours("Europe/London", 540, 600)
    for start, end in ((None, None), (at(1, 1, 0), at(12, 31, 0))):
        assert not ever_open(Hours(start, end, (window,), (WeekdayHours(0, week),)))
        assert ever_open(
            Hours(start, end, (window,), (WeekdayHours(0, week), WeekdayHours(1, window)))
        )
