"""Draw week strips and charts with the signs of a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Final

from reconciler.errors import safe
from reconciler.renderers._layout import MARGIN, fold
from reconciler.report import Report, Row
from reconciler.report.fields import number
from reconciler.report.figures import Bar, Chart, Day, LoadDay, Part, Strip

HOUR: Final = 60
LEVELS: Final = "▁▂▃▄▅▆▇█"
"""Signs for a load, from low to high."""

_WORDS: Final = len("09:00-20:00")
_STRIP: Final = len("    Mon 2027-03-08  ") + _WORDS + 48
"""Columns that a strip takes with two signs an hour."""

_LEGEND: Final = "█ open, ▒ open for a part of the sign's time, · closed, * the clocks change"
_LEGEND_OF_CHANGES: Final = (
    "█ open before and after, + opens, - closes, · closed, * the clocks change"
)


def figures(row: Row, width: int | None) -> Iterator[str]:
    """Yield the week strips of a row, one sign for each half hour, or for each hour on a narrow terminal."""
    for figure in row.figures:
        if figure.names:
            yield from _indented(safe(", ".join(figure.names)), width)
        for place, strip in enumerate(figure.strips):
            if place:
                yield ""
            yield from _indented(safe(f"{strip.title}: {strip.said}"), width)
            yield _scale(_step(width))
            yield from _strip(strip, _step(width))
        if figure.note:
            yield f"{MARGIN * 2}{safe(figure.note)}"


def _indented(text: str, width: int | None) -> Iterator[str]:
    indent = MARGIN * 2
    yield from (indent + line for line in fold(text, width and width - len(indent)))


def _step(width: int | None) -> int:
    """Return the minutes of one sign."""
    return HOUR // 2 if width is None or width >= _STRIP else HOUR


def _scale(step: int) -> str:
    hours = "".join(f"{hour:<{3 * HOUR // step}}" for hour in range(0, 24, 3))
    return _labelled("", hours)


def _labelled(label: str, signs: str, words: str = "", mark: str = " ") -> str:
    return f"{MARGIN * 2}{safe(label):14}{mark}{signs} {safe(words)}".rstrip()


def _strip(strip: Strip, step: int) -> Iterator[str]:
    for day in strip.days:
        signs = "".join(
            " "
            if day.skipped and day.skipped[0] <= start and start + step <= day.skipped[1]
            else _sign(day.bars, start, start + step)
            for start in range(0, 24 * HOUR, step)
        )
        words = _change(day.gained, day.lost) if day.gained or day.lost else _hours(day)
        yield _labelled(day.name, signs, words, "*" if day.note else " ")
        if day.last:
            yield f"{MARGIN * 2}to  {safe(day.last[4:])}"
    yield from (f"{MARGIN * 2}* {safe(note)}" for note in strip.notes)


def _sign(bars: Sequence[Bar], start: int, end: int) -> str:
    """Return the sign of a stretch of the day. What opens is shown before what closes, and that before what stays open."""
    lengths = {part: _overlap(bars, part, start, end) for part in Part}
    if lengths[Part.AFTER]:
        return "+"
    if lengths[Part.BEFORE]:
        return "-"
    both = lengths[Part.BOTH]
    return "█" if both >= end - start else "▒" if both else "·"


def _overlap(bars: Sequence[Bar], part: Part, start: int, end: int) -> int:
    return sum(
        max(0, min(bar.end, end) - max(bar.start, start)) for bar in bars if bar.part is part
    )


def _hours(day: Day) -> str:
    """Return the open hours of a day: the stretch, or how much time in how many."""
    several = day.after.count(",") + 1
    if several == 1:
        return day.after
    whole, rest = divmod(sum(bar.end - bar.start for bar in day.bars), HOUR)
    return f"{whole}:{rest:02} in {several}" if rest else f"{whole} h in {several}"


def _change(gained: int, lost: int) -> str:
    signed = (("+", gained), ("-", lost))
    said = [f"{sign}{n // 60}:{n % 60:02}" for sign, n in signed if n]
    spaced = " ".join(said)
    return spaced if len(spaced) <= _WORDS else "".join(said)


def chart_lines(chart: Chart, width: int | None) -> Iterator[str]:
    """Yield a chart without its title: a row for each day, a sign for the highest load of each half hour."""
    step = _step(width)
    yield _scale(step)
    for day in chart.days:
        signs = "".join(
            _level(day, start, start + step, chart) for start in range(0, 24 * HOUR, step)
        )
        yield _labelled(day.name, signs, _most(day, chart), "*" if day.note else " ")
        if day.last:
            yield f"{MARGIN * 2}to  {safe(day.last[4:])}"
    yield from _indented(safe(chart.said), width)


def _most(day: LoadDay, chart: Chart) -> str:
    """Return the highest load of a day, before → after if both fit."""
    said = f"{number(day.before)} → {number(day.after)}"
    differs = chart.compared and day.before != day.after
    return said if differs and len(said) <= _WORDS else number(day.after)


def _level(day: LoadDay, start: int, end: int, chart: Chart) -> str:
    most = max(
        (each.after for each in day.levels if each.start < end and start < each.end), default=0
    )
    if not most:
        return "·"
    if chart.capacity and most > chart.capacity:
        return "!"
    return LEVELS[ceil(most / chart.top * len(LEVELS)) - 1]


def legend(report: Report) -> Iterator[str]:
    """Yield the meaning of the signs, if the report has week strips."""
    strips = [
        strip
        for table in report.tables
        for row in table.rows
        for figure in row.figures
        for strip in figure.strips
    ]
    if strips:
        yield _LEGEND_OF_CHANGES if any(strip.compared for strip in strips) else _LEGEND
