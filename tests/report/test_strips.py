"""Week strips and load: what is drawn is what a clock on the wall would show, minute by minute."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.kinds.campaign import KIND
from reconciler.kinds.skill import KIND as SKILL
from reconciler.report import clocks
from reconciler.report.figures import Bar, Part, Strip
from reconciler.report.loads import Frame, charts, steps
from reconciler.report.strips import (
    Schedule,
    Subject,
    Window,
    differing,
    figure,
    first_week,
    shown,
)
from tests.support.bodies import make_body, make_skill_body, make_window

ZONES = (
    *(
        "America/New_York",
        "America/St_Johns",
        "America/Phoenix",
        "Europe/London",
        "Antarctica/Troll",
    ),
    *(
        "Australia/Lord_Howe",
        "Asia/Jerusalem",
        "America/Santiago",
        "Pacific/Apia",
        "Asia/Kathmandu",
    ),
)
DAYS = st.sampled_from(
    [date(2027, 3, 8), date(2027, 3, 22), date(2027, 10, 25), date(2027, 11, 1), date(2027, 4, 1)]
)
WINDOWS = st.lists(
    st.tuples(st.sampled_from(ZONES), st.integers(0, 22), st.integers(1, 12)), min_size=1, max_size=3,
    unique_by=lambda each: each[0],
)  # fmt: skip


@st.composite
def bodies(draw: Any) -> dict[str, Any]:
    start = datetime(2027, 3, 1, tzinfo=UTC) + timedelta(minutes=draw(st.integers(0, 400_000)))
    end = start + timedelta(minutes=draw(st.integers(30, 60_000)))
    windows = [make_window(zone, first, min(first + n, 24)) for zone, first, n in draw(WINDOWS)]
    return make_body(
        start_time=f"{start:%Y-%m-%dT%H:%M:%SZ}",
        end_time=f"{end:%Y-%m-%dT%H:%M:%SZ}",
        compliance_windows=windows,
        timezone=windows[0]["timezone"],
    )


def subject(before: dict[str, Any] | None, after: dict[str, Any] | None, key: str = "1") -> Subject:
    sides = (None if body is None else Schedule.of(KIND, body) for body in (before, after))
    return Subject(key, f"campaign-{key}", KIND.name, *sides)


def oracle(body: dict[str, Any], zone: str, clock: str, window: Window) -> set[tuple[date, int]]:
    """Return the open wall minutes, found by walking through every minute with the standard library alone."""
    start, end = (datetime.fromisoformat(body[name]) for name in ("start_time", "end_time"))
    (hours,) = [each for each in body["compliance_windows"] if each["timezone"] == zone]
    found = set()
    minute = datetime.combine(window.first, datetime.min.time(), UTC) - timedelta(days=2)
    last = datetime.combine(window.end, datetime.min.time(), UTC) + timedelta(days=2)
    while minute < last:
        there = minute.astimezone(ZoneInfo(zone))
        wall = minute.astimezone(ZoneInfo(clock))
        if (
            start <= minute < end
            and hours["start_hour"] <= there.hour < hours["end_hour"]
            and window.first <= wall.date() < window.end
        ):
            found.add((wall.date(), wall.hour * 60 + wall.minute))
        minute += timedelta(minutes=1)
    return found


def drawn(strip: Strip, *parts: Part) -> set[tuple[date, int]]:
    return {
        (date.fromisoformat(day.name[4:]), minute)
        for day in strip.days
        for bar in day.bars
        if bar.part in parts
        for minute in range(bar.start, bar.end)
    }


def bars(strip: Strip, day: int) -> tuple[Bar, ...]:
    return strip.days[day].bars


@settings(max_examples=25)
@given(bodies(), DAYS, st.none() | st.sampled_from(ZONES))
def test_a_strip_is_what_the_clock_on_the_wall_shows(
    body: dict[str, Any], first: date, clock: str | None
) -> None:
    window = Window(first, first + timedelta(days=3), clock)
    for strip in figure(subject(None, body), window, compared=False).strips:
        for zone in strip.title.partition(", on the clock")[0].split(", "):
            expected = oracle(body, zone, clock or zone, window)
            assert drawn(strip, Part.BOTH) == expected


@settings(max_examples=25)
@given(bodies(), bodies(), DAYS)
def test_a_comparison_draws_both_sides_and_nothing_twice(
    was: dict[str, Any], now: dict[str, Any], first: date
) -> None:
    window = Window(first, first + timedelta(days=7))
    pair = subject(was, now)
    found = {
        name: strip
        for strip in figure(pair, window, compared=True).strips
        for name in strip.title.split(", ")
    }
    for each in shown(pair, window):
        strip = found[str(each.contacts)]
        for side, part in ((each.after, Part.AFTER), (each.before, Part.BEFORE)):
            walls = clocks.on_the_wall(side, each.clock, first, window.end)
            minutes = {(day, n) for day, runs in walls.items() for run in runs for n in range(*run)}
            assert drawn(strip, Part.BOTH, part) == minutes
        if not strip.notes:  # a repeated hour may be open once and opened once
            assert not drawn(strip, Part.AFTER) & drawn(strip, Part.BEFORE)


@settings(max_examples=25)
@given(st.lists(bodies(), min_size=1, max_size=4), DAYS, st.integers(0, 10_000))
def test_the_load_is_the_sum_of_what_may_dial_at_an_instant(
    every: list[dict[str, Any]], first: date, minute: int
) -> None:
    window = Window(first, first + timedelta(days=7), "UTC")
    subjects = [subject(None, body, str(n)) for n, body in enumerate(every)]
    at = datetime.combine(first, datetime.min.time(), UTC).timestamp() + minute * 60 + 30
    open_now = [
        each
        for each in subjects
        if any(start <= at < end for zone in shown(each, window) for start, end in zone.after)
    ]
    found = [step.after for step in steps(subjects, window, "UTC") if step.start <= at < step.end]
    expected = (len(open_now) * 25.0, len(open_now) * 500, len(open_now))
    assert (found or [(0.0, 0, 0)]) == [expected]


def test_the_clock_change_is_marked_and_its_hour_is_missing() -> None:
    body = make_body(
        end_time="2027-12-31T00:00:00Z", compliance_windows=[make_window(start=0, end=4)]
    )
    (strip,) = figure(
        subject(None, body), Window(date(2027, 3, 8), date(2027, 3, 15)), compared=False
    ).strips
    sunday = strip.days[-1]
    assert (sunday.name, sunday.skipped) == ("Sun 2027-03-14", (120, 180))
    assert sunday.note == "02:00 → 03:00, the clocks go forward"
    assert sunday.after == "00:00-02:00, 03:00-04:00"
    assert [day.note for day in strip.days[:-1]] == [""] * 6
    assert strip.said == "27 h"


def test_what_a_clock_change_repeats_is_drawn_once_and_counted_twice() -> None:
    body = make_body(
        end_time="2027-12-31T00:00:00Z", compliance_windows=[make_window(start=0, end=4)]
    )
    (strip,) = figure(
        subject(None, body), Window(date(2027, 11, 7), date(2027, 11, 8)), compared=False
    ).strips
    assert strip.days[0].note == "02:00 → 01:00, the clocks go back"
    assert bars(strip, 0) == (Bar(0, 240, Part.BOTH),)
    assert strip.said == "5 h"


def test_days_that_are_alike_are_one_in_a_long_window() -> None:
    body = make_body(end_time="2027-12-31T00:00:00Z")
    (strip,) = figure(
        subject(None, body), Window(date(2027, 3, 1), date(2027, 3, 21)), compared=False
    ).strips
    assert [(day.name, day.last) for day in strip.days] == [
        ("Mon 2027-03-01", "Sat 2027-03-13"),
        ("Sun 2027-03-14", ""),
        ("Mon 2027-03-15", "Sat 2027-03-20"),
    ]


def test_zones_with_the_same_wall_times_share_a_strip_and_too_many_strips_are_counted() -> None:
    same = make_body(
        compliance_windows=[make_window("America/New_York"), make_window("America/Toronto")]
    )
    window = Window(date(2027, 1, 11), date(2027, 1, 18))
    assert [each.title for each in figure(subject(None, same), window, compared=False).strips] == [
        "America/New_York, America/Toronto"
    ]
    many = make_body(
        compliance_windows=[make_window(zone, n, n + 1) for n, zone in enumerate(ZONES, 1)],
        start_time="2027-01-01T00:00:00Z", end_time="2027-02-01T00:00:00Z",
    )  # fmt: skip
    found = figure(subject(None, many), window, compared=False)
    assert len(found.strips) == 6
    assert found.note == "4 more zones have other hours"


def test_without_windows_every_contact_is_shown_on_the_clock_of_the_body() -> None:
    body = make_body(compliance_windows=[])
    (strip,) = figure(
        subject(None, body), Window(date(2027, 1, 11), date(2027, 1, 12)), compared=False
    ).strips
    assert strip.title == "contacts in every zone, on the clock of America/New_York"
    assert strip.days[0].after == "09:00-24:00"


def test_a_skill_runs_on_its_own_clock_and_calls_on_that_of_its_contacts() -> None:
    body = make_skill_body(
        calling_windows=[{"timezone": "America/Los_Angeles", "start": "06:30", "end": "20:00"}]
    )
    each = Subject("1", "skill", SKILL.name, None, Schedule.of(SKILL, body))
    (strip,) = figure(each, Window(date(2027, 1, 11), date(2027, 1, 12)), compared=False).strips
    assert strip.days[0].after == "06:30-18:00"
    assert (
        charts(
            steps([each], Window(date(2027, 1, 11), date(2027, 1, 12)), "UTC"),
            Frame(Window(date(2027, 1, 11), date(2027, 1, 12)), "UTC", compared=False),
            {},
        )
        == ()
    )


def test_the_first_week_is_that_of_the_first_dialing_or_of_the_first_difference() -> None:
    was = make_body(end_time="2027-12-31T00:00:00Z")
    now = make_body(end_time="2028-02-28T00:00:00Z")
    pair = [subject(was, now)]
    assert first_week(pair, date(2026, 6, 1), "UTC") == date(2027, 1, 11)
    assert first_week(pair, date(2027, 6, 2), "UTC") == date(2027, 5, 31)
    assert first_week(pair, date(2027, 1, 1), "UTC", differing) == date(2027, 12, 27)
    assert first_week([subject(was, was)], date(2027, 1, 1), "UTC", differing) is None
    assert first_week(pair, date(2029, 1, 1), "UTC") is None


@pytest.mark.parametrize(
    "odd",
    [
        {"timezone": "Mars/Olympus"},
        {"dial_rate": "fast"},
        {"compliance_windows": [{"timezone": "Mars/Olympus", "start_hour": 9, "end_hour": 20}]},
        {"start_time": "soon"},
    ],
)
def test_a_body_that_cannot_be_read_is_no_schedule(odd: dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Schedule.of(KIND, make_body(**odd))


def of_load(capacity: float | None, every: Iterable[dict[str, Any]]) -> tuple[str, int]:
    window = Window(date(2027, 1, 11), date(2027, 1, 12))
    found = steps(
        [subject(None, body, str(n)) for n, body in enumerate(every)], window, "America/New_York"
    )
    rates, _ = charts(
        found, Frame(window, "America/New_York", compared=False), {"calls/s": capacity}
    )
    return rates.said, rates.days[0].over


def test_a_chart_says_what_is_reached_and_for_how_long_it_is_above_the_capacity() -> None:
    one = make_body()
    both = [one, make_body(compliance_windows=[make_window(start=18, end=20)])]
    assert of_load(None, [one]) == (
        "at most 25 calls/s, first on Mon 2027-01-11 at 09:00; no capacity is declared", 0,
    )  # fmt: skip
    assert of_load(50, both) == (
        "at most 50 calls/s, first on Mon 2027-01-11 at 18:00; capacity 50",
        0,
    )
    said, over = of_load(40, both)
    assert said.endswith("; ABOVE THE CAPACITY of 40 for 2 h")
    assert over == 120
