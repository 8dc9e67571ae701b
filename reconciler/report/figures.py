"""Figures of a report, as plain data: week strips and capacity charts.

They hold words, and minutes of wall time, so a renderer draws them without a calendar.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple


class Part(StrEnum):
    """Which side of a comparison is open."""

    BOTH = "both"
    AFTER = "after"
    BEFORE = "before"


class Bar(NamedTuple):
    """Open minutes [start, end) of a day, from local midnight."""

    start: int
    end: int
    part: Part


class Day(NamedTuple):
    """One day of a strip, or several that are alike.

    Attributes:
        name: the first day: ``Sun 2027-03-14``.
        last: the last of several days; empty for one day.
        bars: when it is open, sorted.
        before, after: open hours in words; equal where nothing is compared.
        gained, lost: minutes that only one side has.
        skipped: minutes of the day that do not exist, because the clocks go forward.
        note: the clock change of the day; empty for most days.
    """

    name: str
    last: str
    bars: tuple[Bar, ...]
    before: str
    after: str
    gained: int = 0
    lost: int = 0
    skipped: tuple[int, int] | None = None
    note: str = ""

    @property
    def said(self) -> str:
        """The open hours in words, before → after where they differ."""
        return self.after if self.before == self.after else f"{self.before} → {self.after}"


class Strip(NamedTuple):
    """The days of one or more zones in which the same hours are open.

    Attributes:
        title: the zones, and the clock where it is another one.
        days: the days.
        said: open hours in total.
        compared: whether the bars are those of a comparison.
    """

    title: str
    days: tuple[Day, ...]
    said: str
    compared: bool = False

    @property
    def lines(self) -> tuple[str, ...]:
        """The strip in words."""
        runs = [list(run) for _, run in groupby(self.days, key=lambda day: (day.said, day.note))]
        said = (
            f"{run[0].name}{_until(run)}: {run[0].said}"
            + (f" ({run[0].note})" if run[0].note else "")
            for run in runs
        )
        return (f"{self.title}: {self.said}", *(f"    {line}" for line in said))

    @property
    def notes(self) -> tuple[str, ...]:
        """The clock changes, each with its day."""
        return tuple(f"{day.name}: {day.note}" for day in self.days if day.note)


def _until(run: Sequence[Day]) -> str:
    last = run[-1].last or run[-1].name
    return f" to {last}" if last != run[0].name else ""


class Figure(NamedTuple):
    """The strips of one object, or of several that have the same ones.

    Attributes:
        names: the objects, where there are several.
        strips: the strips.
        note: what the strips leave out; empty when nothing.
    """

    names: tuple[str, ...]
    strips: tuple[Strip, ...]
    note: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The figure in words, for formats that draw nothing: a line for each strip, and one for each run of days with the same hours."""
        said = [line for strip in self.strips for line in strip.lines]
        return tuple(filter(None, (", ".join(self.names), *said, self.note)))


class Level(NamedTuple):
    """A stretch [start, end) of a day, in minutes of wall time from midnight, and what may be dialed in it before and after."""

    start: int
    end: int
    before: float
    after: float


class LoadDay(NamedTuple):
    """One day of a chart, or several that are alike.

    Attributes:
        name, last: as of `Day`.
        repeated: number of days.
        levels: sorted; nothing is dialed in between.
        before, after: the highest levels.
        over: minutes above the declared capacity, after.
        note: the clock change of the day; empty for most days.
    """

    name: str
    last: str
    repeated: int
    levels: tuple[Level, ...]
    before: float
    after: float
    over: int = 0
    note: str = ""


class Chart(NamedTuple):
    """Load over time: the sum of a limit over all objects that may dial.

    Attributes:
        title: what is summed, and on which clock.
        unit: of the levels.
        days: the days.
        said: the highest level in words, and the capacity.
        capacity: what `tenant.yaml` declares; `None` when nothing.
        compared: whether `before` is shown.
        columns: labels of equal parts of the time: days of a week, or weeks; empty for any other length.
    """

    title: str
    unit: str
    days: tuple[LoadDay, ...]
    said: str
    capacity: float | None = None
    compared: bool = False
    columns: tuple[str, ...] = ()

    @property
    def top(self) -> float:
        """The highest value to draw."""
        levels = [each for day in self.days for each in (day.before, day.after)]
        return max([*levels, self.capacity or 0]) or 1
