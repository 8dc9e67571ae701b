"""Make week strips: when an object may dial, day by day, on the clock of its contacts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import groupby
from typing import Final, NamedTuple

from reconciler.calendar import MINUTES_PER_DAY, Hours, Interval, open_intervals, without
from reconciler.effect import number
from reconciler.kinds import Kind
from reconciler.models import Body, zone
from reconciler.report import clocks
from reconciler.report.figures import Bar, Day, Figure, Part, Strip

DAYS_PER_WEEK: Final = 7
HORIZON_DAYS: Final = 400
"""How many days ahead the first week to show is searched, and how many days can be shown."""

_CHUNK: Final = timedelta(days=28)
"""Days that are searched at a time: most schedules dial soon."""

MOST_STRIPS: Final = 6
"""Strips drawn for one object; zones with other hours beyond that are counted."""

MOST_ZONES: Final = 6
"""Zones named above a strip; more are counted."""


class Window(NamedTuple):
    """The days to show.

    Attributes:
        first, end: the days [first, end), on the clock of each strip.
        clock: zone of the clock; `None`: each contact's own.
    """

    first: date
    end: date
    clock: str | None = None

    @property
    def title(self) -> str:
        """The days in words."""
        last = list(clocks.days_between(self.first, self.end))[-1]
        return f"{clocks.day_name(self.first)} to {clocks.day_name(last)}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """What a body says about dialing.

    Attributes:
        hours: when it may dial.
        clock: the zone that the body names; for contacts in every zone.
        rate: most calls per second; `None` when the kind has no rate.
        concurrent: most calls in progress; `None` when the kind has no such limit.
    """

    hours: Hours
    clock: str
    rate: float | None = None
    concurrent: float | None = None

    @classmethod
    def of(cls, kind: Kind, body: Body) -> Schedule:
        """Read a canonical body.

        Raises:
            AttributeError, KeyError, TypeError, ValueError, OverflowError: it cannot be read.
        """
        hours, clock = kind.hours(body), body["timezone"]
        for name in (clock, *hours.zones):
            zone(name or clock)
        rate, concurrent = (
            number(body[field]) if field else None for field in (kind.rate, kind.concurrency)
        )
        return cls(hours, clock, rate, concurrent)

    def intervals(self, contacts: str | None, first: date, end: date, clock: str) -> list[Interval]:
        """Return when contacts of a zone may be called on the days [first, end) of a clock."""
        return open_intervals(self.hours, contacts, *clocks.bounds(first, end, clock))


@dataclass(frozen=True, slots=True)
class Subject:
    """One object of a timeline.

    Attributes:
        key, name, kind: the object.
        before, after: `None` where it has no schedule. Without a comparison, `before` is unused.
    """

    key: str
    name: str
    kind: str
    before: Schedule | None
    after: Schedule | None

    @property
    def zones(self) -> tuple[str | None, ...]:
        """Zones of the contacts who may be called on either side; `None`: every zone."""
        sides = (each.hours.zones for each in (self.before, self.after) if each)
        return tuple(
            sorted({each for zones in sides for each in zones}, key=lambda name: name or "")
        )

    def clock_of(self, contacts: str | None) -> str:
        """Return the zone of the clock of a zone's contacts; for contacts in every zone, the one that the body names."""
        side = self.after or self.before
        return contacts or (side.clock if side else "UTC")


class Shown(NamedTuple):
    """Intervals of one zone in which it may be dialed: before and after."""

    contacts: str | None
    clock: str
    before: list[Interval]
    after: list[Interval]

    @property
    def minutes(self) -> tuple[float, float]:
        """Minutes before and after."""
        return _minutes(self.before), _minutes(self.after)


def shown(subject: Subject, window: Window) -> Iterator[Shown]:
    """Yield the intervals of each zone of an object within a window."""
    for contacts in subject.zones:
        clock = window.clock or subject.clock_of(contacts)
        before, after = (
            side.intervals(contacts, window.first, window.end, clock) if side else []
            for side in (subject.before, subject.after)
        )
        yield Shown(contacts, clock, before, after)


def dialing(each: Shown) -> list[Interval]:
    """Return when a zone may be dialed, before or after."""
    return [*each.before, *each.after]


def differing(each: Shown) -> list[Interval]:
    """Return when a zone may be dialed on one side only."""
    return [*without(each.after, each.before), *without(each.before, each.after)]


def first_week(
    subjects: Sequence[Subject],
    today: date,
    clock: str,
    wanted: Callable[[Shown], list[Interval]] = dialing,
) -> date | None:
    """Return the Monday of the first week from `today` on that has a wanted interval; `None` if no week of the next 400 days has one.

    Args:
        subjects: the objects.
        today: a day on the clock.
        clock: zone of the clock of the weeks.
        wanted: the wanted intervals of a zone's contacts: `dialing` or `differing`.
    """
    last = today + timedelta(days=HORIZON_DAYS)
    start = today
    while start < last:
        window = Window(start, min(start + _CHUNK, last), clock)
        starts = [
            begin
            for subject in subjects
            for each in shown(subject, window)
            for begin, _ in wanted(each)
        ]
        if starts:
            (day,) = clocks.on_the_wall([(min(starts), min(starts) + 1)], clock, start, last)
            return clocks.monday(day)
        start = window.end
    return None


def figure(subject: Subject, window: Window, *, compared: bool) -> Figure:
    """Return the strips of an object. Zones with the same wall times share one."""
    alike: dict[tuple[tuple[Day, ...], str], list[Shown]] = {}
    for each in shown(subject, window):
        days = tuple(_days(each, window, compared=compared and each.before != each.after))
        clock = "" if each.clock == each.contacts else each.clock
        alike.setdefault((days, clock), []).append(each)
    found = [
        Strip(
            _title(group, clock),
            days,
            _total(group[0], compared=compared),
            compared and group[0].before != group[0].after,
        )
        for (days, clock), group in alike.items()
    ]
    left = sum(len(group) for group in list(alike.values())[MOST_STRIPS:])
    note = f"{left} more zones have other hours" if left else ""
    return Figure((), tuple(found[:MOST_STRIPS]), note)


def _title(group: Sequence[Shown], clock: str) -> str:
    names = [each.contacts or "contacts in every zone" for each in group]
    more = f" and {len(names) - MOST_ZONES} more" if len(names) > MOST_ZONES else ""
    on = f", on the clock of {clock}" if clock else ""
    return f"{', '.join(names[:MOST_ZONES])}{more}{on}"


def _total(each: Shown, *, compared: bool) -> str:
    before, after = map(clocks.hours_of, each.minutes)
    if compared and before != after:
        return f"{before} → {after}"
    return f"{after}, unchanged" if compared and each.before == each.after else after


def _days(each: Shown, window: Window, *, compared: bool) -> Iterator[Day]:
    """Yield the days of a strip; in a longer window than a week, days that are alike are one."""
    days = list(clocks.days_between(window.first, window.end))
    whole = _whole_days(each, days, compared=compared)
    if len(days) <= DAYS_PER_WEEK:
        yield from (day._replace(name=clocks.day_name(at)) for at, day in whole)
        return
    for alike, run in groupby(whole, key=lambda pair: pair[1]):
        dates = [at for at, _ in run]
        last = clocks.day_name(dates[-1]) if len(dates) > 1 else ""
        yield alike._replace(name=clocks.day_name(dates[0]), last=last)


def _whole_days(each: Shown, days: Sequence[date], *, compared: bool) -> Iterator[tuple[date, Day]]:
    """Yield each day without its name."""
    first, end = days[0], days[-1] + timedelta(days=1)
    gained, lost = (
        without(*sides) for sides in ((each.after, each.before), (each.before, each.after))
    )
    both = without(each.after, gained)
    told = {change.day: change for change in clocks.changes(each.clock, first, end)}

    def wall(intervals: Iterable[Interval]) -> dict[date, list[tuple[int, int]]]:
        return clocks.on_the_wall(intervals, each.clock, first, end)

    sides = {Part.BOTH: wall(both if compared else each.after)}
    if compared:
        sides |= {Part.AFTER: wall(gained), Part.BEFORE: wall(lost)}
    before, after = wall(each.before if compared else each.after), wall(each.after)
    for day in days:
        change = told.get(day)
        yield (
            day,
            Day(
                name="",
                last="",
                bars=tuple(sorted(_bars(sides, day))),
                before=_said(before.get(day)),
                after=_said(after.get(day)),
                gained=_length(sides.get(Part.AFTER, {}).get(day)),
                lost=_length(sides.get(Part.BEFORE, {}).get(day)),
                skipped=(change.wall, min(change.wall + change.shift, MINUTES_PER_DAY))
                if change and change.shift > 0
                else None,
                note=change.said if change else "",
            ),
        )


def _bars(sides: Mapping[Part, Mapping[date, list[tuple[int, int]]]], day: date) -> Iterator[Bar]:
    for part, by_day in sides.items():
        yield from (Bar(start, end, part) for start, end in by_day.get(day, ()))


def _said(stretches: Sequence[tuple[int, int]] | None) -> str:
    """Return open minutes of a day in words: ``09:00-20:00``."""
    if not stretches:
        return "closed"
    if list(stretches) == [(0, MINUTES_PER_DAY)]:
        return "all day"
    return ", ".join(f"{clocks.clock(start)}-{clocks.clock(end)}" for start, end in stretches)


def _length(stretches: Sequence[tuple[int, int]] | None) -> int:
    return sum(end - start for start, end in stretches or ())


def _minutes(intervals: Iterable[Interval]) -> float:
    return sum(end - start for start, end in intervals) / 60
