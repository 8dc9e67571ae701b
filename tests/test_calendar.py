"""Open intervals against a walk over every minute (`support/minutes.py`), on ordinary days and on those on which clocks change."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pkgutil import get_data
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import calendar
from reconciler.calendar import (
    DailyHours,
    Hours,
    WeekdayHours,
    closed_minute,
    ever_open,
    open_intervals,
    opens_later,
    without,
)
from reconciler.models.zones import zone_names
from tests.support import minutes
from tests.support.factories import KIND, SKILL
from tests.support.minutes import ELSEWHERE, ZONES, Range

YEAR = Range(datetime(2026, 11, 29, 13, 0, tzinfo=UTC), 400 * 1440)
CHANGES = tuple(
    Range(datetime(*first, tzinfo=UTC), 3 * 1440)
    for first in [
        (2027, 3, 13),
        (2027, 3, 26),
        (2027, 4, 2),
        (2027, 10, 1),
        (2027, 11, 6),
        (2011, 12, 29),
    ]
)
"""Days on which clocks change: most zones, half an hour in Lord Howe, two hours in Troll; and the day that Samoa skipped."""


def at(month: int, day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2027, month, day, hour, minute, tzinfo=UTC)


def found(hours: Hours, name: str, span: Range):
    contact = None if name == ELSEWHERE else name
    return open_intervals(hours, contact, span.start, span.start + timedelta(minutes=span.length))


# --- the oracle ---------------------------------------------------------------------------------------------------------


def agrees_with_a_walk_over_every_minute(seed: int, count: int, span: Range) -> None:
    random = Random(seed)
    for number in range(count):
        kind, make = random.choice(
            [
                (KIND, minutes.random_campaign),
                (KIND, minutes.random_campaign),
                (SKILL, minutes.random_skill),
            ]
        )
        body = kind.canonical(make(random, span)) if kind is KIND else make(random, span)
        for name in minutes.zones_of(body):
            expected = minutes.intervals(minutes.open_minutes(body, name, span), span)
            assert found(kind.hours(body), name, span) == expected, (seed, number, name, body)


@pytest.mark.parametrize("span", CHANGES, ids=lambda span: f"{span.start:%Y-%m-%d}")
def test_bodies_are_open_at_the_minutes_at_which_the_clocks_say_so(span):
    agrees_with_a_walk_over_every_minute(1, 100, span)


@pytest.mark.long
def test_ten_thousand_bodies_are_open_for_400_days_at_the_minutes_at_which_the_clocks_say_so():
    agrees_with_a_walk_over_every_minute(2, 10_000, YEAR)


windows = st.builds(
    lambda name, start, length: DailyHours(name, start, start + length),
    st.sampled_from(ZONES),
    st.integers(0, 1439) | st.integers(0, 23).map(lambda hour: hour * 60),
    st.integers(1, 90) | st.integers(1, 1440),
)
weeks = st.lists(st.builds(WeekdayHours, st.integers(0, 6), windows), max_size=4).map(
    lambda runs: tuple(sorted(runs))
)
several_hours = st.builds(
    Hours,
    st.none() | st.integers(-500, 500).map(lambda hour: at(6, 1, 0) + timedelta(hours=hour)),
    st.none() | st.integers(-500, 500).map(lambda hour: at(6, 1, 0) + timedelta(hours=hour)),
    st.none() | st.lists(windows, max_size=3).map(lambda some: tuple(sorted(some))),
    st.none() | weeks,
)


@settings(max_examples=60, deadline=None)
@given(
    several_hours,
    st.sampled_from(ZONES),
    st.integers(-800, 800),
    st.integers(1, 1600),
    st.integers(0, 1600),
)
def test_a_part_of_a_range_is_open_as_in_the_whole_range(hours, name, start, length, cut):
    """And intervals are sorted, and do not touch."""
    first = at(6, 1, 0) + timedelta(hours=start)
    middle, last = (first + timedelta(hours=min(each, length)) for each in (cut, length))
    whole = open_intervals(hours, name, first, last)
    assert all(low[1] < high[0] for low, high in pairwise(whole))
    assert all(low < high for low, high in whole)
    parts = [
        *open_intervals(hours, name, first, middle),
        *open_intervals(hours, name, middle, last),
    ]
    assert without(whole, parts) == without(parts, whole) == []


# --- examples -----------------------------------------------------------------------------------------------------------


def lasts(hours: Hours, name: str | None, start: datetime, days: float) -> list[tuple[str, float]]:
    """Return the open intervals as start (UTC) and minutes."""
    some = open_intervals(hours, name, start, start + timedelta(days=days))
    return [
        (f"{datetime.fromtimestamp(low, UTC):%m-%d %H:%M}", (high - low) / 60) for low, high in some
    ]


@pytest.mark.parametrize(
    ("name", "start", "hours", "expected"),
    [
        ("America/New_York", at(3, 14, 4), (60, 240), [("03-14 06:00", 120)]),  # 02:00 to 03:00 is skipped
        ("America/New_York", at(3, 14, 4), (120, 180), []),  # nothing else is open
        ("America/New_York", at(11, 7, 4), (60, 120), [("11-07 05:00", 120)]),  # comes twice
        ("America/New_York", at(11, 7, 4), (60, 90), [("11-07 05:00", 30), ("11-07 06:00", 30)]),
        ("Australia/Lord_Howe", at(4, 3, 12), (90, 120), [("04-03 14:30", 60)]),  # half an hour, twice
        ("Antarctica/Troll", at(3, 28, 0), (60, 180), [("03-28 23:00", 60)]),  # skipped, and then on summer time
        ("Antarctica/Troll", at(3, 28, 0), (0, 240), [("03-28 00:00", 120), ("03-28 22:00", 120)]),
        ("America/St_Johns", at(1, 5, 0), (540, 600), [("01-05 12:30", 60)]),
        ("Europe/London", at(1, 5, 0), (1320, 1560), [("01-05 00:00", 120), ("01-05 22:00", 120)]),
        ("Europe/London", at(1, 5, 0), (0, 1440), [("01-05 00:00", 1440)]),
    ],
)  # fmt: skip
def test_a_window_on_one_day_is_open_as_its_clock_shows(name, start, hours, expected):
    assert lasts(Hours(None, None, (DailyHours(name, *hours),)), name, start, 1) == expected


def test_the_day_that_samoa_skipped_was_not_open():
    hours = Hours(None, None, (DailyHours("Pacific/Apia", 540, 600),))
    start = datetime(2011, 12, 29, 12, tzinfo=UTC)
    days = [each for each, _ in lasts(hours, "Pacific/Apia", start, 3)]
    assert days == [
        "12-29 19:00",
        "12-30 19:00",
        "12-31 19:00",
    ]  # the 29th, the 31st and the 1st on the spot


def test_a_week_that_runs_past_midnight_runs_on_the_next_day():
    friday = WeekdayHours(4, DailyHours("America/New_York", 1320, 1560))
    hours = Hours(None, None, None, (friday,))
    assert lasts(hours, None, at(1, 4, 0), 7) == [("01-09 03:00", 240)]
    sunday = friday._replace(weekday=6)
    assert lasts(hours._replace(runs=(sunday,)), None, at(1, 4, 0), 7) == [("01-04 03:00", 240)]


def test_seconds_and_fractions_of_a_span_count():
    hours = Hours(at(1, 5, 9).replace(second=1, microsecond=500_000), at(1, 5, 9, 1))
    assert lasts(hours, None, at(1, 1, 0), 30) == [("01-05 09:00", 58.5 / 60)]


def test_contacts_without_a_window_are_called_only_where_nobody_needs_one():
    window = DailyHours("Europe/London", 540, 600)
    for windows, expected in (((window,), []), ((), []), (None, [("01-05 00:00", 1440)])):
        assert lasts(Hours(None, None, windows), None, at(1, 5, 0), 1) == expected
    assert lasts(Hours(None, None, None, ()), None, at(1, 5, 0), 1) == []  # it never runs


@pytest.mark.parametrize("unread", ["Mars/Olympus", "", "Eastern Standard Time"])
def test_hours_in_a_zone_that_nobody_knows_are_unknown_and_never_empty(unread):
    window = DailyHours(unread, 540, 600)
    runs = (WeekdayHours(0, window),)
    for hours in (Hours(None, None, (window,)), Hours(None, None, None, runs)):
        with pytest.raises(ValueError, match="is not an IANA time zone"):
            open_intervals(hours, unread, at(1, 5, 0), at(1, 6, 0))
        with pytest.raises(ValueError, match="is not an IANA time zone"):
            ever_open(hours, at(1, 5, 0))


@pytest.mark.parametrize(
    ("start", "end"),
    [(-1, 10), (10, 10), (20, 10), (0, 1441), (0, 10**12), (1440, 1500), (60, 1501)],
)
def test_a_window_is_at_most_a_day_long_and_starts_on_it(start, end):
    with pytest.raises(ValueError, match="not a valid range of a day"):
        DailyHours("Etc/UTC", start, end)


def test_no_zone_changes_twice_between_two_looks_at_its_clock():
    gaps = [high - low for name in zone_names() for low, high in pairwise(changes_of(name))]
    assert len(gaps) > 10_000
    assert min(gaps) > calendar._PROBE


def changes_of(name: str) -> list[int]:
    """Return the instants at which a zone's offset changes, from the compiled data (RFC 8536)."""
    data = get_data("tzdata", f"zoneinfo/{name}")
    isut, isstd, leaps, times, types, letters = struct.unpack(">6l", data[20:44])
    at = (
        44 + times * 5 + types * 6 + letters + leaps * 8 + isstd + isut
    )  # the second block has 64 bits
    _, _, _, times, types, _ = struct.unpack(">6l", data[at + 20 : at + 44])
    moments = struct.unpack(f">{times}q", data[at + 44 : at + 44 + 8 * times])
    kinds = data[at + 44 + 8 * times : at + 44 + 9 * times]
    rows = data[at + 44 + 9 * times :]
    offsets = [struct.unpack(">l", rows[6 * kind : 6 * kind + 4])[0] for kind in range(types)]
    before = [0, *kinds[:-1]]
    return [
        moment
        for moment, old, new in zip(moments, before, kinds, strict=False)
        if offsets[old] != offsets[new]
    ]


# --- `ever_open` --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(several_hours)
def test_it_is_ever_open_when_there_is_an_interval(hours):
    now = at(6, 1, 12)
    start = hours.start or now
    end = start + calendar.HORIZON
    some = any(open_intervals(hours, each, start, end) for each in hours.zones)
    assert ever_open(hours, now) == some


def test_a_week_that_meets_a_window_on_two_days_a_year_is_open():
    """Israel and Britain change their clocks two days apart."""
    run = WeekdayHours(5, DailyHours("Asia/Jerusalem", 540, 570))
    hours = Hours(None, None, (DailyHours("Europe/London", 360, 390),), (run,))
    assert lasts(hours, "Europe/London", at(1, 1, 0), 365) == [("03-27 06:00", 30)]
    assert ever_open(hours, at(6, 1, 0))
    assert not ever_open(hours._replace(runs=(run._replace(weekday=1),)), at(6, 1, 0))


def test_a_span_that_is_empty_or_turned_round_is_never_open():
    day = at(1, 12, 12)
    for end in (day, day - timedelta(hours=1)):
        assert not ever_open(Hours(day, end), day)
        assert not ever_open(Hours(day, end, (DailyHours("Etc/UTC", 0, 1440),)), day)


def test_the_span_is_open_at_its_start_and_closed_at_its_end():
    window = (DailyHours("Etc/UTC", 9 * 60, 10 * 60),)
    day = at(1, 12, 0)
    assert not ever_open(Hours(day, day.replace(hour=9), window), day)
    assert not ever_open(Hours(day.replace(hour=10), day.replace(hour=23), window), day)
    assert ever_open(Hours(day, day.replace(hour=9, second=1), window), day)
    late = day.replace(hour=9, minute=59, second=59)
    assert ever_open(Hours(late, day.replace(hour=23), window), day)


# --- comparing ----------------------------------------------------------------------------------------------------------

some_intervals = st.lists(st.integers(0, 40), unique=True).map(
    lambda ends: [
        (low, high) for low, high in zip(sorted(ends)[::2], sorted(ends)[1::2], strict=False)
    ]
)


@given(some_intervals, some_intervals)
def test_what_is_left_without_others_is_what_only_the_first_have(some, others):
    def points(intervals):
        return {point for low, high in intervals for point in range(low, high)}

    left = without(some, others)
    assert points(left) == points(some) - points(others)
    assert all(low < high for low, high in left)
    assert without(some, some) == []


@settings(max_examples=60, deadline=None)
@given(several_hours, several_hours, st.sampled_from([*ZONES, None]))
def test_nothing_opens_later_unless_it_is_said(before, after, name):
    since = at(5, 30, 0)
    if not opens_later(before, after, name, since):
        end = since + timedelta(days=800)
        opened = without(*(open_intervals(each, name, since, end) for each in (after, before)))
        assert opened == []


def test_a_week_that_gains_hours_in_which_nobody_may_be_called_opens_nothing_later():
    def hours(run_end, call_end):
        week = tuple(
            WeekdayHours(day, DailyHours("America/New_York", 480, run_end)) for day in range(7)
        )
        return Hours(None, None, (DailyHours("America/New_York", 540, call_end),), week)

    since, name = at(5, 30, 0), "America/New_York"
    assert not opens_later(hours(1260, 1200), hours(1320, 1200), name, since)
    assert opens_later(hours(1260, 1290), hours(1320, 1290), name, since)


@settings(max_examples=25, deadline=None)
@given(st.lists(windows, max_size=3), st.sampled_from(ZONES))
def test_a_closed_minute_is_closed_on_every_day(some, name):
    minute = closed_minute(some, name)
    if minute is None:
        assert some
        return
    every = tuple(WeekdayHours(day, DailyHours(name, minute, minute + 1)) for day in range(7))
    assert not ever_open(Hours(None, None, tuple(sorted(some)), every), at(6, 1, 0))


def test_there_is_no_closed_minute_when_somebody_is_called_at_any_hour():
    assert closed_minute([DailyHours("Europe/London", 0, 1440)], "Europe/London") is None
    assert closed_minute([], "Europe/London") == 0
    assert closed_minute([DailyHours("Europe/London", 0, 540)], "Europe/London") == 540
    assert closed_minute([DailyHours("Europe/London", 0, 540)], "Africa/Abidjan") == 540
    assert closed_minute([DailyHours("Europe/London", 0, 540)], "Europe/Madrid") == 0
