"""When a schedule may dial: a span of instants, a week on one clock, and daily windows on each contact's own clock."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from reconciler.models import zone

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True, order=True)
class DailyHours:
    """Daily calling hours for the contacts of one zone: local [start, end), the same every day.

    Attributes:
        zone: IANA name.
        start_minute, end_minute: minutes from local midnight, 0 ≤ start < end ≤ 1440; anything else is a `ValueError`.
    """

    zone: str
    start_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        if not 0 <= self.start_minute < self.end_minute <= MINUTES_PER_DAY:
            raise ValueError(
                f"not a valid range within a day: minutes {self.start_minute} to {self.end_minute}"
            )


class WeekdayHours(NamedTuple):
    """An interval of one weekday in which a schedule runs: local [start, end) in `hours.zone`, whatever the contact's zone.

    Attributes:
        weekday: 0 is Monday.
        hours: which part of that day, on which clock.
    """

    weekday: int
    hours: DailyHours


class Hours(NamedTuple):
    """When a body lets the dialer call: within the span, while it runs, inside a window of the contact's zone.

    Attributes:
        start, end: the span [start, end) as instants in UTC; `None` is unbounded.
        windows: sorted; empty means that the span alone limits.
        runs: the week, sorted; empty means that it runs at every hour.
    """

    start: datetime | None
    end: datetime | None
    windows: tuple[DailyHours, ...] = ()
    runs: tuple[WeekdayHours, ...] = ()


def ever_open(hours: Hours) -> bool:
    """Return whether any instant of the span lies inside any window, on the clock of the window's zone, while the week runs.

    An unbounded span meets every window. Windows repeat daily, so two days from the start are enough. Span and week are
    compared with the windows separately, so a combination of both that never meets a window is not found.
    """
    if hours.runs and hours.windows and not _week_meets(hours.runs, hours.windows):
        return False
    if hours.start is None or hours.end is None:
        return True
    if hours.end <= hours.start:
        return False
    if not hours.windows or hours.end - hours.start >= timedelta(days=2):
        return True
    return any(_meets(window, hours.start, hours.end) for window in hours.windows)


def _week_meets(runs: Iterable[WeekdayHours], windows: Iterable[DailyHours]) -> bool:
    """Return whether a week meets a window in some month.

    Days are ignored: windows repeat every day, so either each day of the week meets a window or none does.
    """
    return any(
        _overlap(run.hours.start_minute - shift, _length(run.hours), window)
        for run in runs
        for window in windows
        for shift in _shifts(run.hours.zone, window.zone)
    )


def _overlap(start: int, length: int, window: DailyHours) -> bool:
    """Return whether a stretch of the day overlaps a window; both wrap around midnight."""
    after = (window.start_minute - start) % MINUTES_PER_DAY
    before = (start - window.start_minute) % MINUTES_PER_DAY
    return after < length or before < _length(window)


def _length(window: DailyHours) -> int:
    return window.end_minute - window.start_minute


@cache
def _shifts(zone_of_run: str, zone_of_window: str) -> frozenset[int]:
    """Return how many minutes the first clock is ahead of the second, at the start of each month of a sample year."""
    months = [datetime(2027, month, 1, tzinfo=UTC) for month in range(1, 13)]
    return frozenset(
        _offset_minutes(month, zone(zone_of_run)) - _offset_minutes(month, zone(zone_of_window))
        for month in months
    )


def _offset_minutes(instant: datetime, where: ZoneInfo) -> int:
    offset = instant.astimezone(where).utcoffset() or timedelta()
    return int(offset.total_seconds()) // 60


def _meets(window: DailyHours, start: datetime, end: datetime) -> bool:
    """Return whether a span of less than two days meets a window: on its first day or its second, for a third would make that whole."""
    return any(
        day + timedelta(minutes=window.start_minute) < high
        and day + timedelta(minutes=window.end_minute) > low
        for low, high in _on_the_wall(start, end, zone(window.zone))
        for day in (datetime.combine(low, time()) + timedelta(days=n) for n in range(2))
    )


def _on_the_wall(
    start: datetime, end: datetime, where: ZoneInfo
) -> tuple[tuple[datetime, datetime], ...]:
    """Return a span as intervals of wall time without zone, split at each clock change, because wall time is continuous only in between."""
    cut = min(end, _clock_change(start, end, where))
    walls = (
        (low.astimezone(where).replace(tzinfo=None), high - low)
        for low, high in ((start, cut), (cut, end))
    )
    return tuple((wall, wall + lasts) for wall, lasts in walls if lasts)


def _clock_change(start: datetime, end: datetime, where: ZoneInfo) -> datetime:
    """Return the first second at which the zone's offset changes, or one second after `end` if it does not.

    No zone changes twice in two days.
    """

    def changed(second: int) -> bool:
        return (start + timedelta(seconds=second)).astimezone(where).utcoffset() != offset

    offset = start.astimezone(where).utcoffset()
    seconds = range(int((end - start).total_seconds()) + 1)
    return start + timedelta(seconds=bisect_left(seconds, x=True, key=changed))
