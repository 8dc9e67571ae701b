"""The open hours of a schedule: the hours of one week in which its own windows let it dial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from reconciler import calendar
from reconciler.calendar import HORIZON, Hours
from reconciler.models import zone as iana
from reconciler.optimize.base import OpenHour

WEEK: Final = timedelta(days=7)
_HOUR: Final = 3600


def open_hours(hours: Hours, clock: str, now: datetime) -> tuple[OpenHour, ...]:
    """Return the hours in which a schedule may dial, of its next week.

    The week begins at `now`, or with the first open hour if nothing is open within seven days of `now`. Hours are those of UTC,
    like those of the observations. An hour is open if contacts of any zone may be called in a part of it.

    Args:
        hours: of the schedule.
        clock: IANA zone by which weekday and hour are told.
        now: the platform's clock, with a zone.

    Returns:
        Sorted. Empty when nothing opens within 400 days.

    Raises:
        ValueError: a zone is unknown.
    """
    where = iana(clock)
    first = begin = max(now, hours.start or now)
    shares: dict[int, float] = {}
    while not shares and begin < first + HORIZON:
        shares = _shares(hours, begin, begin + WEEK)
        begin += WEEK
    if shares and min(shares) >= (now + WEEK).timestamp():  # the week begins when it opens
        begin = datetime.fromtimestamp(min(shares), UTC)
        shares = _shares(hours, begin, begin + WEEK)
    return _told(shares, where)


def open_between(hours: Hours, clock: str, start: datetime, end: datetime) -> tuple[OpenHour, ...]:
    """Return the hours in which a schedule may dial within [start, end), sorted; see `open_hours`.

    Raises:
        ValueError: a zone is unknown.
    """
    return _told(_shares(hours, start, end), iana(clock))


def cell(instant: datetime, where: ZoneInfo) -> tuple[int, int]:
    """Return the weekday (0 is Monday) and the hour of an instant on a zone's clock."""
    local = instant.astimezone(where)
    return local.weekday(), local.hour


def _shares(hours: Hours, start: datetime, end: datetime) -> dict[int, float]:
    """Return the open part of each hour of [start, end) that has one, by the hour's start in seconds since 1970."""
    seconds: dict[int, float] = {}
    done = 0.0
    every = (calendar.open_intervals(hours, zone, start, end) for zone in hours.zones)
    for low, high in sorted(interval for intervals in every for interval in intervals):
        for at, length in _cut(max(low, done), high):
            seconds[at] = seconds.get(at, 0.0) + length
        done = max(done, high)
    return {at: length / _HOUR for at, length in seconds.items()}


def _cut(low: float, high: float) -> Iterator[tuple[int, float]]:
    """Yield the hours of [low, high), each with the seconds of it that are in there."""
    at = int(low // _HOUR) * _HOUR
    while at < high:
        yield at, min(high, at + _HOUR) - max(low, at)
        at += _HOUR


def _told(shares: Mapping[int, float], where: ZoneInfo) -> tuple[OpenHour, ...]:
    return tuple(_hour(start, share, where) for start, share in sorted(shares.items()))


def _hour(start: int, share: float, where: ZoneInfo) -> OpenHour:
    instant = datetime.fromtimestamp(start, UTC)
    return OpenHour(instant, share, *cell(instant, where))
