"""Load over time: how many calls all objects together may begin, and have in progress, at each instant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby, pairwise
from typing import Any, Final, NamedTuple

from reconciler.kinds.base import CALLS, CALLS_PER_SECOND
from reconciler.models import TenantSpec
from reconciler.report import clocks
from reconciler.report.fields import number
from reconciler.report.figures import Chart, Level, LoadDay
from reconciler.report.strips import DAYS_PER_WEEK, Schedule, Subject, Window

_MICRO: Final = 1_000_000
"""Rates are summed in millionths of a call per second, so that no sum depends on its order."""


def capacity_of(spec: TenantSpec) -> dict[str, float | None]:
    """Return what a tenant declares that it can carry, by unit."""
    declared = spec.capacity
    return {CALLS_PER_SECOND: declared.calls_per_second, CALLS: declared.concurrent_calls}


class Load(NamedTuple):
    """What may be dialed at the same time.

    Attributes:
        rate: calls per second.
        concurrent: calls in progress.
        objects: objects that may dial.
    """

    rate: float = 0.0
    concurrent: int = 0
    objects: int = 0


class Step(NamedTuple):
    """A stretch [start, end) of constant load, in seconds since 1970."""

    start: float
    end: float
    before: Load
    after: Load

    def serialised(self, *, compared: bool) -> dict[str, Any]:
        """Return it as JSON values."""
        sides = {"before": self.before, "after": self.after} if compared else {"after": self.after}
        return {
            "start": clocks.instant(self.start),
            "end": clocks.instant(self.end),
            **{
                name: {
                    "calls_per_second": load.rate,
                    "concurrent_calls": load.concurrent,
                    "objects": load.objects,
                }
                for name, load in sides.items()
            },
        }


def steps(subjects: Iterable[Subject], window: Window, clock: str) -> list[Step]:
    """Return the load within a window on one clock, as steps; stretches without load are left out."""
    moves: dict[float, list[int]] = defaultdict(lambda: [0] * 6)
    for subject in subjects:
        for side, schedule in enumerate((subject.before, subject.after)):
            if schedule is not None:
                _add(moves, schedule, window, clock, side * 3)
    found, now = [], [0] * 6
    for start, end in pairwise(sorted(moves)):
        now = [a + b for a, b in zip(now, moves[start], strict=True)]
        if any(now):
            sides = (Load(rate / _MICRO, calls, many) for rate, calls, many in (now[:3], now[3:]))
            found.append(Step(start, end, *sides))
    return found


def _add(
    moves: dict[float, list[int]], schedule: Schedule, window: Window, clock: str, first: int
) -> None:
    """Add where a schedule begins and stops to dial to any contact."""
    every = [
        each
        for contacts in schedule.hours.zones
        for each in schedule.intervals(contacts, window.first, window.end, clock)
    ]
    amounts = (round((schedule.rate or 0) * _MICRO), round(schedule.concurrent or 0), 1)
    for start, end in clocks.joined(sorted(every)):
        for n, amount in enumerate(amounts, first):
            moves[start][n] += amount
            moves[end][n] -= amount


class Frame(NamedTuple):
    """What a chart shows.

    Attributes:
        window: the days.
        clock: zone of their clock.
        compared: whether the load before is shown.
    """

    window: Window
    clock: str
    compared: bool


def charts(
    found: Sequence[Step], frame: Frame, capacity: Mapping[str, float | None]
) -> tuple[Chart, ...]:
    """Return the charts of calls per second and of calls in progress; none for objects without such limits.

    Args:
        found: the load.
        frame: what to show.
        capacity: by unit, what the tenant declares.
    """
    kinds: tuple[tuple[str, str, Callable[[Load], float]], ...] = (
        ("Calls per second", CALLS_PER_SECOND, lambda load: load.rate),
        ("Calls in progress", CALLS, lambda load: load.concurrent),
    )
    return tuple(
        _chart(title, unit, _levels(found, of, frame), frame, capacity.get(unit))
        for title, unit, of in kinds
        if any(of(step.before) or of(step.after) for step in found)
    )


def _chart(
    title: str,
    unit: str,
    levels: Mapping[date, list[Level]],
    frame: Frame,
    capacity: float | None,
) -> Chart:
    days = tuple(_days(levels, frame, capacity))
    return Chart(
        f"{title}, on the clock of {frame.clock}",
        unit,
        days,
        _said(days, unit, capacity, compared=frame.compared),
        capacity,
        frame.compared,
        _columns(frame.window),
    )


def _columns(window: Window) -> tuple[str, ...]:
    """Return the labels below a chart: the days of one week, or the first days of a few weeks."""
    days = [clocks.day_name(day) for day in clocks.days_between(window.first, window.end)]
    if len(days) <= DAYS_PER_WEEK:
        return tuple(day.partition(" ")[0] for day in days)
    weeks, rest = divmod(len(days), DAYS_PER_WEEK)
    few = not rest and weeks <= DAYS_PER_WEEK
    return tuple(day[-len("03-01") :] for day in days[::DAYS_PER_WEEK]) if few else ()


def _levels(
    found: Sequence[Step], of: Callable[[Load], float], frame: Frame
) -> dict[date, list[Level]]:
    """Return the levels by day, those that follow each other with equal values as one."""
    levels: dict[date, list[Level]] = defaultdict(list)
    first, end, clock = frame.window.first, frame.window.end, frame.clock
    for step in found:
        after = of(step.after)
        before = of(step.before) if frame.compared else after
        if not (before or after):
            continue
        walls = clocks.on_the_wall([(step.start, step.end)], clock, first, end)
        for day, stretches in walls.items():
            for since, until in stretches:
                last = levels[day][-1] if levels[day] else None
                if last and last[1:] == (since, before, after):
                    levels[day][-1] = last._replace(end=until)
                else:
                    levels[day].append(Level(since, until, before, after))
    return levels


def _days(
    levels: Mapping[date, list[Level]], frame: Frame, capacity: float | None
) -> Iterator[LoadDay]:
    first, end = frame.window.first, frame.window.end
    changes = {each.day: each.said for each in clocks.changes(frame.clock, first, end)}
    days = list(clocks.days_between(first, end))
    single = len(days) <= DAYS_PER_WEEK

    def alike(day: date) -> object:
        return day if single else (levels.get(day), changes.get(day))

    for _, run in groupby(days, key=alike):
        dates = list(run)
        found = levels.get(dates[0], [])
        yield LoadDay(
            clocks.day_name(dates[0]),
            clocks.day_name(dates[-1]) if len(dates) > 1 else "",
            len(dates),
            tuple(found),
            max((each.before for each in found), default=0),
            max((each.after for each in found), default=0),
            sum(each.end - each.start for each in found if capacity and each.after > capacity),
            changes.get(dates[0], ""),
        )


def _said(days: Sequence[LoadDay], unit: str, capacity: float | None, *, compared: bool) -> str:
    """Return the highest level in words, when it is reached first, and how it relates to the capacity."""
    peak = max(days, key=lambda day: day.after)
    was = max(day.before for day in days)
    change = f"{number(was)} → " if compared and was != peak.after else ""
    said = f"at most {change}{number(peak.after)} {unit}"
    if peak.after:
        first = next(each for each in peak.levels if each.after == peak.after)
        said += f", first on {peak.name} at {clocks.clock(first.start)}"
    if capacity is None:
        return f"{said}; no capacity is declared"
    over = sum(day.over * day.repeated for day in days)
    if over:
        return f"{said}; ABOVE THE CAPACITY of {number(capacity)} for {clocks.hours_of(over)}"
    return f"{said}; capacity {number(capacity)}"
