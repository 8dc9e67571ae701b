"""When a schedule may dial: a span of instants, a week on one clock, and daily windows on each contact's own clock.

Instants are seconds since 1970 in UTC. They are whole numbers, except for the ends of a span that has fractions of a second.

While no clock changes, hours repeat every week. So the calendar is made of *phases* (stretches in which all clocks concerned
keep their UTC offset), and in each phase of one week, repeated. Clock changes of any size, and days that a zone skips, are
phase boundaries and need no other care. Weeks, phases and intervals are cached, because many schedules share their hours.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from math import ceil, floor, inf
from typing import Final, NamedTuple, TypeAlias

from reconciler.models import zone as iana

MINUTES_PER_DAY = 24 * 60

HORIZON: Final = timedelta(days=400)
"""How far ahead effects are judged: a year in which each zone goes through all of its offsets, and a month."""

Interval: TypeAlias = tuple[float, float]
"""Half-open [start, end), in seconds since 1970 in UTC."""

Phase: TypeAlias = tuple[int, int, tuple[int, ...]]
"""Start, end, and how many seconds each of some zones is ahead of UTC."""

_DAY: Final = 86_400
_WEEK: Final = 7 * _DAY
_MONDAY: Final = 4 * _DAY
"""Monday, 1970-01-05: where weeks begin."""

_CELL: Final = 8 * _WEEK
"""How far `ever_open` looks at a time. Aligned to 1970, so that schedules with other spans share what is computed."""

_PROBE: Final = 5 * _DAY
"""How often a zone's offset is looked at."""

_AHEAD: Final = HORIZON.total_seconds()

_FAR: Final = 10 * 365 * _DAY
"""How long after the horizon phases are looked at: each combination of offsets that the zone data has comes up within it."""

_KNOWN_YEARS: Final = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC))
"""Years whose offsets `closed_minute` avoids. From 2038 on, zones follow a yearly rule, so later years add no offset."""


@dataclass(frozen=True, slots=True, order=True)
class DailyHours:
    """Daily calling hours for the contacts of one zone: local [start, end), the same every day.

    Attributes:
        zone: IANA name.
        start_minute, end_minute: minutes from local midnight. Hours that end past midnight end after 1440: 22:00 to 02:00 is
            1320 to 1560. Anything but 0 ≤ start < 1440 and start < end ≤ start + 1440 is a `ValueError`.
    """

    zone: str
    start_minute: int
    end_minute: int

    def __post_init__(self) -> None:
        length = self.end_minute - self.start_minute
        if not (0 <= self.start_minute < MINUTES_PER_DAY and 0 < length <= MINUTES_PER_DAY):
            raise ValueError(
                f"not a valid range of a day: minutes {self.start_minute} to {self.end_minute}"
            )


class WeekdayHours(NamedTuple):
    """An interval of one weekday in which a schedule runs: local [start, end) in `hours.zone`, whatever the contact's zone.

    Attributes:
        weekday: 0 is Monday. What runs past midnight runs on into the next day.
        hours: which part of that day, on which clock.
    """

    weekday: int
    hours: DailyHours


class Hours(NamedTuple):
    """When a body lets the dialer call: within the span, while it runs, inside a window of the contact's zone.

    Attributes:
        start, end: the span [start, end) as instants in UTC; `None` is unbounded.
        windows: sorted. Contacts in a zone without a window are not called. `None`: every contact, at any hour.
        runs: the week, sorted; empty: never. `None`: at every hour.
    """

    start: datetime | None
    end: datetime | None
    windows: tuple[DailyHours, ...] | None = None
    runs: tuple[WeekdayHours, ...] | None = None

    @property
    def zones(self) -> tuple[str | None, ...]:
        """Zones whose contacts may be called; `(None,)` when every contact may be."""
        return (
            (None,) if self.windows is None else tuple({each.zone: None for each in self.windows})
        )


def open_intervals(
    hours: Hours, zone: str | None, start: datetime, end: datetime
) -> list[Interval]:
    """Return when contacts of a zone may be called within [start, end): sorted intervals that do not touch.

    A contact may be called at each instant of the span at which the week's clock and the contact's clock both show an open
    minute. A wall time that a clock change repeats is open twice; one that it skips is not open.

    Args:
        hours: of a schedule.
        zone: of the contacts; `None`: a zone that has no window.
        start: first instant to look at, with a zone.
        end: where to stop, with a zone.

    Raises:
        ValueError: a zone is unknown, so nobody can tell.
    """
    return _between(hours, zone, _seconds(start), _seconds(end))


@lru_cache(maxsize=4096)  # many schedules share their hours and their span
def ever_open(hours: Hours, now: datetime) -> bool:
    """Return whether any contact may be called within 400 days of the span's start, or of `now` when the span has none.

    Raises:
        ValueError: a zone is unknown.
    """
    start = hours.start or now
    since, until = _seconds(start), _seconds(start + HORIZON)
    if hours.end is not None:
        until = min(until, _seconds(hours.end))
    begun = hours._replace(start=start)
    cells = range(floor(since) // _CELL * _CELL, ceil(until), _CELL)
    return any(
        _between(begun, zone, cell, min(cell + _CELL, until))
        for cell in cells
        for zone in hours.zones
    )


def without(some: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """Return the part of sorted intervals that is not in other sorted intervals."""
    found: list[Interval] = []
    rest = iter(others)
    low, high = next(rest, (inf, inf))
    for start, end in some:
        begin = start
        while high <= begin:
            low, high = next(rest, (inf, inf))
        while low < end:
            if begin < low:
                found.append((begin, low))
            begin = high
            if high >= end:
                break
            low, high = next(rest, (inf, inf))
        if begin < end:
            found.append((begin, end))
    return found


def opens_later(before: Hours, after: Hours, zone: str | None, since: datetime) -> bool:
    """Return whether contacts of a zone may be called, from `since` on, at an instant at which they may not be before.

    Errs on the side of true: a span that gains more than 400 days counts without a look at its hours. Hours are compared in
    every combination of UTC offsets that occurs in the ten years after `since`.

    Raises:
        ValueError: a zone is unknown.
    """
    wanted, kept = _of(after, zone), _of(before, zone)
    spans = without(_span(after), [(-inf, _seconds(since))])
    if wanted is None or not spans:
        return False
    if kept is None:
        return True
    for start, end in without(spans, _span(before)):
        if end - start > _AHEAD or _between(after, zone, start, end):
            return True
    if wanted == kept:
        return False
    low = floor(_seconds(since))
    return any(
        without(_in(wanted, phase, zones), _in(kept, phase, zones))
        for zones in [_zones(*wanted, *kept)]
        for phase in _kinds_of_phases(zones, low, low + _FAR)
    )


def closed_minute(windows: Iterable[DailyHours], zone: str) -> int | None:
    """Return the first minute of the day, on the clock of `zone`, in which no contact may be called on any day; `None`: there is none."""
    every = tuple(windows)
    zones = _zones(every, (zone,))
    start, end = (floor(_seconds(year)) for year in _KNOWN_YEARS)
    taken: set[int] = set()
    for offsets in {phase[2] for phase in _phases(zones, start, end)}:
        ahead = dict(zip(zones, offsets, strict=True))
        for each in every:
            shift = ahead[zone] - ahead[each.zone]
            first = (each.start_minute * 60 + shift) // 60
            last = -(-(each.end_minute * 60 + shift) // 60)
            taken.update(minute % MINUTES_PER_DAY for minute in range(first, last))
    return next((minute for minute in range(MINUTES_PER_DAY) if minute not in taken), None)


def _span(hours: Hours) -> list[Interval]:
    """Return the span as intervals: none if it is empty."""
    start = -inf if hours.start is None else _seconds(hours.start)
    end = inf if hours.end is None else _seconds(hours.end)
    return [(start, end)] if start < end else []


Pattern: TypeAlias = tuple[tuple[DailyHours, ...] | None, tuple[WeekdayHours, ...] | None]
"""Windows of one zone, and the week."""


def _of(hours: Hours, zone: str | None) -> Pattern | None:
    """Return the hours of the contacts of one zone; `None`: they are never called."""
    windows = hours.windows
    if windows is not None:
        windows = tuple([each for each in windows if each.zone == zone])
    return None if windows == () or hours.runs == () else (windows, hours.runs)


def _between(hours: Hours, zone: str | None, start: float, end: float) -> list[Interval]:
    """Return the open intervals within [start, end)."""
    pattern = _of(hours, zone)
    spans = _clip(_span(hours), start, end)
    if pattern is None or pattern == (None, None) or not spans:
        return [] if pattern is None else spans
    [(low, high)] = spans
    return _clip(_intervals(*pattern, floor(start), ceil(end)), low, high)


def _clip(found: Sequence[Interval], low: float, high: float) -> list[Interval]:
    """Return the part of sorted intervals that lies within [low, high)."""
    first = bisect_right(found, (low, inf))
    if first and found[first - 1][1] > low:
        first -= 1
    part = list(found[first : bisect_left(found, (high,))])
    if part:
        part[0] = (max(part[0][0], low), part[0][1])
        part[-1] = (part[-1][0], min(part[-1][1], high))
    return part


@lru_cache(maxsize=1024)
def _intervals(
    windows: tuple[DailyHours, ...] | None,
    runs: tuple[WeekdayHours, ...] | None,
    start: int,
    end: int,
) -> tuple[Interval, ...]:
    """Return the open intervals of a pattern within [start, end)."""
    zones = _zones(windows, runs)
    phases = _phases(zones, start, end)
    return tuple(_joined(each for phase in phases for each in _in((windows, runs), phase, zones)))


def _in(pattern: Pattern, phase: Phase, zones: tuple[str, ...]) -> list[Interval]:
    """Return the open intervals of a pattern within a phase."""
    low, high, offsets = phase
    week = _week(*pattern, zones, offsets)
    first = low - (low - _MONDAY) % _WEEK
    whole = [(at + start, at + end) for at in range(first, high, _WEEK) for start, end in week]
    return _clip(whole, low, high)


@lru_cache(maxsize=4096)
def _week(
    windows: tuple[DailyHours, ...] | None,
    runs: tuple[WeekdayHours, ...] | None,
    zones: tuple[str, ...],
    offsets: tuple[int, ...],
) -> tuple[tuple[int, int], ...]:
    """Return the open intervals of a week, in seconds from Monday 00:00 UTC, while each zone keeps its offset."""
    ahead = dict(zip(zones, offsets, strict=True))
    everything = [(0, _WEEK)]
    calls = everything if windows is None else _folded(_calls(windows, ahead))
    if runs is None:
        return tuple(calls)
    return tuple(without(calls, without(everything, _folded(_running(runs, ahead)))))  # type: ignore[arg-type] # whole seconds stay whole


def _calls(windows: Iterable[DailyHours], ahead: dict[str, int]) -> Iterator[tuple[int, int]]:
    for each in windows:
        start = each.start_minute * 60 - ahead[each.zone]
        length = (each.end_minute - each.start_minute) * 60
        for day in range(0, _WEEK, _DAY):
            yield start + day, start + day + length


def _running(runs: Iterable[WeekdayHours], ahead: dict[str, int]) -> Iterator[tuple[int, int]]:
    for weekday, each in runs:
        start = weekday * _DAY + each.start_minute * 60 - ahead[each.zone]
        yield start, start + (each.end_minute - each.start_minute) * 60


def _folded(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return stretches of at most a day, in or around a week, as sorted intervals of that week that do not touch."""
    found = []
    for start, end in stretches:
        low = start % _WEEK
        high = low + end - start
        found.append((low, min(high, _WEEK)))
        if high > _WEEK:
            found.append((0, high - _WEEK))
    return _joined(sorted(found))  # type: ignore[return-value] # whole seconds stay whole


def _joined(intervals: Iterable[Interval]) -> list[Interval]:
    """Return sorted intervals with those that touch or overlap made one."""
    found: list[Interval] = []
    last = -inf
    for each in intervals:
        if each[0] > last:
            found.append(each)
            last = each[1]
        elif each[1] > last:
            last = each[1]
            found[-1] = (found[-1][0], last)
    return found


def _zones(*parts: Iterable[DailyHours | WeekdayHours | str] | None) -> tuple[str, ...]:
    """Return the zones of windows, runs and names, sorted."""
    names = {
        each
        if isinstance(each, str)
        else each.zone
        if isinstance(each, DailyHours)
        else each[1].zone
        for part in parts
        for each in part or ()
    }
    return tuple(sorted(names))


def _kinds_of_phases(zones: tuple[str, ...], start: int, end: int) -> Iterable[Phase]:
    """Return one phase of each kind: what is open in a phase follows from its offsets, its place in the week, and its length up to a week."""
    found: dict[tuple[object, ...], Phase] = {}
    for low, high, offsets in _phases(zones, start, end):
        length = min(high - low, _WEEK)
        found.setdefault(
            (offsets, length, length < _WEEK and low % _WEEK), (low, low + length, offsets)
        )
    return found.values()


@lru_cache(maxsize=4096)
def _phases(zones: tuple[str, ...], start: int, end: int) -> tuple[Phase, ...]:
    """Return the phases of some zones within [start, end)."""
    tables = [offsets(name, start, end) for name in zones]
    cuts = sorted({start, end}.union(at for table in tables for at, _ in table))
    return tuple(
        (low, high, tuple([table[bisect_right(table, (low, inf)) - 1][1] for table in tables]))
        for low, high in pairwise(cuts)
    )


@lru_cache(maxsize=4096)
def offsets(name: str, start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Return how many seconds a zone is ahead of UTC from `start` on, and from each change before `end` on.

    Looks every five days: no zone ever changed twice within six.
    """
    where = iana(name)

    def ahead(second: int) -> timedelta:
        return datetime.fromtimestamp(second, where).utcoffset() or timedelta()

    found = [(start, ahead(start))]
    for low in range(start, end, _PROBE):
        high = min(low + _PROBE, end)
        if ahead(high) != (before := found[-1][1]):
            seconds = range(low, high + 1)
            at = low + bisect_left(seconds, x=True, key=lambda second: ahead(second) != before)
            if at < end:
                found.append((at, ahead(at)))
    return tuple((at, offset // timedelta(seconds=1)) for at, offset in found)


def _seconds(moment: datetime) -> float:
    seconds = moment.timestamp()
    return int(seconds) if seconds.is_integer() else seconds
