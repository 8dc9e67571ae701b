"""An oracle of what a body lets the dialer do, minute by minute: slow, from the standard library alone, and without the product.

It reads bodies by itself and looks at clocks on the wall, one minute after the other. The minutes of a range are the bits of
one number, the first minute first, so that two bodies are compared with `&` and `~`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.bodies import DAYS, make_body, make_skill_body

Body = Mapping[str, Any]

ZONES = (
    "Africa/Cairo", "Africa/Casablanca", "America/Asuncion", "America/Chicago", "America/Denver", "America/Havana",
    "America/Los_Angeles", "America/New_York", "America/Nuuk", "America/Phoenix", "America/Santiago", "America/St_Johns",
    "Antarctica/Troll", "Asia/Beirut", "Asia/Jerusalem", "Asia/Kathmandu", "Asia/Tehran", "Atlantic/Azores",
    "Australia/Adelaide", "Australia/Lord_Howe", "Australia/Sydney", "Europe/Dublin", "Europe/London", "Pacific/Apia",
    "Pacific/Chatham", "Pacific/Easter", "Pacific/Honolulu",
)  # fmt: skip
"""Zones with clock changes of every kind: by half an hour and by two, on Fridays, at midnight, for a month of fasting, and none."""

ELSEWHERE = "every other zone"


@cache
def clock(zone: str) -> ZoneInfo:
    """Return a zone of the package `tzdata`, whatever this machine has."""
    with files("tzdata").joinpath("zoneinfo", *zone.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=zone)


@dataclass(frozen=True)
class Range:
    """A range of minutes: its start, an aware whole minute, and how many there are."""

    start: datetime
    length: int

    def minute(self, moment: datetime) -> int:
        """Return the minute of an instant, cut to the range."""
        return max(0, min(self.length, (moment - self.start) // timedelta(minutes=1)))


@cache
def walls(zone: str, span: Range) -> tuple[bytes, bytes]:
    """Return the hour of the week, and the minute of the hour, that the clock of a zone shows, for each minute of a range."""
    first, where = int(span.start.timestamp()), clock(zone)
    moments = [datetime.fromtimestamp(first + 60 * each, where) for each in range(span.length)]
    hours = bytes(at.weekday() * 24 + at.hour for at in moments)
    return hours, bytes(at.minute for at in moments)


@lru_cache(maxsize=500)
def shown(zone: str, span: Range, stretches: tuple[tuple[int, int], ...]) -> int:
    """Return the minutes at which a clock shows a minute of the week that is in any of the stretches [start, end)."""
    chosen = {minute % (7 * 1440) for start, end in stretches for minute in range(start, end)}
    by_part: dict[frozenset[int], set[int]] = {}
    for hour in range(7 * 24):
        part = frozenset(minute for minute in range(60) if 60 * hour + minute in chosen)
        by_part.setdefault(part, set()).add(hour)
    hours, minutes = walls(zone, span)
    return _any(_bits(hours, some) & _bits(minutes, part) for part, some in by_part.items() if part)


def _bits(values: bytes, chosen: Iterable[int]) -> int:
    table = bytearray(b"0" * 256)
    for each in chosen:
        table[each] = ord("1")
    return int(values.translate(table), 2)


def within(span: Range, start: datetime | None, end: datetime | None) -> int:
    """Return the minutes of [start, end)."""
    low = 0 if start is None else span.minute(start)
    high = span.length if end is None else span.minute(end)
    return ((1 << max(high - low, 0)) - 1) << (span.length - high)


def open_minutes(body: Body | None, zone: str, span: Range) -> int:
    """Return the minutes at which a body lets the dialer call the contacts of a zone."""
    if body is None:
        return 0
    if "compliance_windows" in body:
        start, end = (datetime.fromisoformat(body[name]) for name in ("start_time", "end_time"))
        found, rows = within(span, start, end), body["compliance_windows"]
        calls = [
            (row["start_hour"] * 60, row["end_hour"] * 60)
            for row in rows
            if row["timezone"] == zone
        ]
        return (
            found & _any(shown(zone, span, every_day(*each)) for each in calls) if rows else found
        )
    calls = [
        (minute_of(row["start"]), minute_of(row["end"]))
        for row in body["calling_windows"]
        if row["timezone"] == zone
    ]
    week = tuple(
        stretch_of(DAYS.index(row["day"]), minute_of(row["start"]), minute_of(row["end"]))
        for row in body["run_window"]
    )
    if not calls:
        return 0
    return shown(body["timezone"], span, week) & _any(
        shown(zone, span, every_day(*each)) for each in calls
    )


def every_day(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Return the stretches of a week that a daily window has."""
    return tuple(stretch_of(day, start, end) for day in range(7))


def stretch_of(day: int, start: int, end: int) -> tuple[int, int]:
    """Return a stretch of one day in minutes of the week; it may run past midnight."""
    return day * 1440 + start, day * 1440 + (end if start < end else end + 1440)


def _any(several: Iterable[int]) -> int:
    found = 0
    for each in several:
        found |= each
    return found


def minute_of(text: str) -> int:
    return int(text[:2]) * 60 + int(text[3:])


def zones_of(*bodies: Body | None) -> list[str]:
    """Return the zones that bodies name for contacts, and the one that stands for all others."""
    named = {
        row["timezone"]
        for body in bodies
        if body is not None
        for row in body.get("compliance_windows", body.get("calling_windows"))
    }
    return [*sorted(named), ELSEWHERE]


def intervals(minutes: int, span: Range) -> list[tuple[float, float]]:
    """Return minutes as intervals of seconds since 1970."""
    first = int(span.start.timestamp())
    return [
        (first + 60 * each.start(), first + 60 * each.end())
        for each in re.finditer("1+", f"{minutes:0{span.length}b}")
    ]


# --- random bodies ------------------------------------------------------------------------------------------------------


def random_campaign(random: Random, span: Range) -> dict[str, Any]:
    """Return a campaign's body; the platform may hold windows that end at midnight or run past it, or none at all."""
    zones = random.sample(ZONES, random.choice([0, 1, 1, 1, 2, 2, 3]))
    windows = [
        {"timezone": zone, "start_hour": start, "end_hour": (start + random.randint(1, 23)) % 24}
        for zone in zones
        for start in [random.randrange(24)]
    ]
    start = span.start + timedelta(minutes=random.randint(-30 * 1440, span.length))
    length = random.choice([random.randint(1, 3 * 1440), random.randint(1, span.length)])
    end = start + timedelta(minutes=length)
    return make_body(
        start_time=f"{start:%Y-%m-%dT%H:%M:00Z}",
        end_time=f"{end:%Y-%m-%dT%H:%M:00Z}",
        compliance_windows=sorted(windows, key=lambda row: (row["timezone"], row["start_hour"])),
    )


def random_skill(random: Random, _: Range) -> dict[str, Any]:
    """Return a skill's body; the platform may hold closed days, windows past midnight and skills that call nobody."""
    days = (
        DAYS
        if random.random() < 0.7
        else sorted(random.sample(DAYS, random.randrange(7)), key=DAYS.index)
    )
    zones = random.sample(ZONES, random.choice([0, 1, 1, 2, 3]))
    return make_skill_body(
        timezone=random.choice(ZONES),
        run_window=[{"day": day, **_random_hours(random)} for day in days],
        calling_windows=[{"timezone": zone, **_random_hours(random)} for zone in sorted(zones)],
    )


def _random_hours(random: Random) -> dict[str, str]:
    step = random.choice([60, 60, 15, 1])
    start = random.randrange(0, 1440, step)
    end = (start + random.randrange(step, 1440, step)) % 1441
    if end == start:
        end += 1
    return {"start": _text(start), "end": _text(end)}


def _text(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
