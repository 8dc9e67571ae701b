"""When a schedule may dial: a span of instants, and daily windows on each contact's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

MINUTES_PER_DAY = 24 * 60


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """Daily calling hours for the contacts of one zone: local [start, end), the same every day.

    Attributes:
        zone: IANA name.
        start_minute, end_minute: minutes from local midnight, 0 ≤ start < end ≤ 1440.
    """

    zone: str
    start_minute: int
    end_minute: int


@dataclass(frozen=True, slots=True)
class Hours:
    """When a body lets the dialer call: within the span, inside a window of the contact's zone.

    Attributes:
        start, end: the span [start, end) as instants; `None` is unbounded.
        windows: sorted; empty means that the span alone limits.
    """

    start: datetime | None
    end: datetime | None
    windows: tuple[Window, ...] = ()


def ever_open(hours: Hours) -> bool:
    """Return whether any instant of the span lies inside any window, on the clock of the window's zone.

    An unbounded span meets every window. Windows repeat daily, so two days from the start tell all.
    """
    if hours.start is None or hours.end is None or not hours.windows:
        return True
    if hours.end - hours.start >= timedelta(days=2):
        return True
    return any(_meets(window, hours.start, hours.end) for window in hours.windows)


def _meets(window: Window, start: datetime, end: datetime) -> bool:
    zone = ZoneInfo(window.zone)
    first = start.astimezone(zone).date()
    return any(
        _bounds(window, first + timedelta(days=n), zone)[0] < end
        and _bounds(window, first + timedelta(days=n), zone)[1] > start
        for n in range(3)
    )


def _bounds(window: Window, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """Return a window of one local day as instants. Wall times are converted one by one: adding hours to an aware time is wrong across DST."""
    midnight = datetime.combine(day, time(), zone)
    wall = [
        midnight.replace(tzinfo=None) + timedelta(minutes=minute)
        for minute in (window.start_minute, window.end_minute)
    ]
    low, high = (moment.replace(tzinfo=zone).astimezone(UTC) for moment in wall)
    return low, high
