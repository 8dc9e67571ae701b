"""Calendar days on one clock: where they begin, and the wall times of intervals.

An interval is half-open [start, end), in seconds since 1970 in UTC, as `calendar` gives it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor
from typing import Final, NamedTuple, TypeVar

from reconciler.calendar import MINUTES_PER_DAY, Interval, offsets
from reconciler.models import zone

_DAY_S: Final = 86_400
_EPOCH: Final = date(1970, 1, 1)
_WEEKDAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

_Number = TypeVar("_Number", int, float)


class Change(NamedTuple):
    """A clock change.

    Attributes:
        at: the instant, in seconds since 1970.
        day: the local day on which it happens.
        wall: local time before the change, in minutes from the midnight of `day`.
        shift: minutes that the clock goes forward; negative: back.
    """

    at: int
    day: date
    wall: int
    shift: int

    @property
    def said(self) -> str:
        """The change in words: ``02:00 → 03:00, the clocks go forward``."""
        way = "forward" if self.shift > 0 else "back"
        return f"{clock(self.wall)} → {clock((self.wall + self.shift) % MINUTES_PER_DAY)}, the clocks go {way}"


def days_between(first: date, end: date) -> Iterator[date]:
    """Yield the days [first, end)."""
    return (first + timedelta(days=n) for n in range((end - first).days))


def bounds(first: date, end: date, where: str) -> tuple[datetime, datetime]:
    """Return the instants at which two days begin on the clock of a zone, in UTC."""
    return _midnight(first, where), _midnight(end, where)


def _midnight(day: date, where: str) -> datetime:
    return datetime.combine(day, time(), zone(where)).astimezone(UTC)


@lru_cache(maxsize=256)
def changes(where: str, first: date, end: date) -> tuple[Change, ...]:
    """Return the clock changes of a zone on the days [first, end)."""
    found = _offsets(where, first, end)
    told = (_change(at, before, after) for (_, before), (at, after) in pairwise(found))
    return tuple(each for each in told if first <= each.day < end)


def _change(at: int, before: int, after: int) -> Change:
    day, second = divmod(at + before, _DAY_S)
    return Change(at, _EPOCH + timedelta(days=day), second // 60, (after - before) // 60)


def on_the_wall(
    intervals: Iterable[Interval], where: str, first: date, end: date
) -> dict[date, list[tuple[int, int]]]:
    """Return intervals as wall times: for each of the days [first, end) that they meet, sorted minutes [start, end) from midnight.

    What a clock change repeats is there once. Parts of a minute count as the whole minute.
    """
    phases = _offsets(where, first, end)
    ends = [at for at, _ in phases[1:]]
    found: dict[date, list[tuple[int, int]]] = {}
    for start, stop in intervals:
        for (low, offset), high in zip(phases, [*ends, stop], strict=True):
            since, until = max(start, low), min(stop, high)
            if since < until:
                _add(found, floor((since + offset) / 60), ceil((until + offset) / 60))
    return {day: joined(sorted(minutes)) for day, minutes in found.items() if first <= day < end}


def _add(found: dict[date, list[tuple[int, int]]], start: int, end: int) -> None:
    """Add minutes of wall time, counted from 1970, to the days that they meet."""
    for number in range(start // MINUTES_PER_DAY, (end - 1) // MINUTES_PER_DAY + 1):
        midnight = number * MINUTES_PER_DAY
        part = (max(start - midnight, 0), min(end - midnight, MINUTES_PER_DAY))
        found.setdefault(_EPOCH + timedelta(days=number), []).append(part)


def joined(stretches: Iterable[tuple[_Number, _Number]]) -> list[tuple[_Number, _Number]]:
    """Return sorted stretches with those that touch or overlap made one."""
    found: list[tuple[_Number, _Number]] = []
    for start, end in stretches:
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _offsets(where: str, first: date, end: date) -> tuple[tuple[int, int], ...]:
    """Return the offsets of a zone from two days before `first` until two days after `end`."""
    start, stop = ((day - _EPOCH).days * _DAY_S for day in (first, end))
    return offsets(where, start - 2 * _DAY_S, stop + 2 * _DAY_S)


def monday(day: date) -> date:
    """Return the Monday of a day's week."""
    return day - timedelta(days=day.weekday())


def clock(minute: int) -> str:
    """Return a minute of the day as ``09:30``."""
    return f"{minute // 60:02}:{minute % 60:02}"


def hours_of(minutes: float) -> str:
    """Return minutes as hours: ``66 h`` or ``9:30 h``."""
    whole, rest = divmod(round(minutes), 60)
    return f"{whole}:{rest:02} h" if rest else f"{whole} h"


def day_name(day: date) -> str:
    """Return a day with its weekday: ``Sun 2027-03-14``."""
    return f"{_WEEKDAYS[day.weekday()]} {day.isoformat()}"


def instant(seconds: float) -> str:
    """Return an instant as ISO 8601 in UTC."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.isoformat().replace("+00:00", "Z")
