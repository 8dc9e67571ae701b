"""When a schedule may dial: a span of instants, and daily windows on each contact's own clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

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
