"""Draw week strips and charts as SVG within HTML. Everything that is drawn also stands beside it as text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from reconciler.renderers._markup import inline
from reconciler.report import Row, Table, fields
from reconciler.report.figures import Bar, Chart, Day, Figure, Level, LoadDay, Part, Strip

MINUTES: Final = 24 * 60
"""Width of a day in a drawing."""

OPEN: Final = 20
"""Rows of a table whose week strips are unfolded. The strips of the others open on a click or with a key."""

_PARTS: Final = {Part.BOTH: "k", Part.AFTER: "o", Part.BEFORE: "c"}
"""Classes of bars: kept, opened, closed."""

_TOP, _LOW, _HEIGHT = 2, 11, 20
"""Of a day's drawing: where the lanes before and after begin, and its height. A lane is 7 high."""


# --- week strips --------------------------------------------------------------------------------------------------------


def figures(row: Row, place: int) -> str:
    """Return the week strips of a row: unfolded, unless there are many above or a change leaves the hours alone."""
    if not row.figures:
        return ""
    drawn = "".join(map(_figure, row.figures))
    strips = [strip for figure in row.figures for strip in figure.strips]
    same = bool(row.direction and strips) and not any(strip.compared for strip in strips)
    if place < OPEN and not same:
        return f'<div class="strips">{drawn}</div>'
    summary = "Hours unchanged" if same else "Week strips"
    return f'<details class="strips"><summary>{summary}</summary>{drawn}</details>'


def _figure(figure: Figure) -> str:
    names = f'<p class="names">{inline(", ".join(figure.names))}</p>' if figure.names else ""
    note = f'<p class="place">{inline(figure.note)}</p>' if figure.note else ""
    return names + "".join(map(_strip, figure.strips)) + note


_RANGE: Final = re.compile(r"[0-9:]+-[0-9:]+( →)?")
"""Hours that stay on one line."""

_DATE: Final = re.compile(r"([A-Z][a-z]{2}) ([0-9]{4}-)([0-9]{2}-[0-9]{2})")
"""The name of a day: weekday, year, month and day."""

_SCALE: Final = (
    '<thead><tr><th scope="col">Day</th><th scope="col" class="scale"><span>0</span><span>6</span>'
    '<span>12</span><span>18</span><span>24</span></th><th scope="col">Open</th></tr></thead>'
)


def _strip(strip: Strip) -> str:
    rows = "".join(_day(day, compared=strip.compared) for day in strip.days)
    notes = "".join(f'<p class="place">✱ {inline(note)}</p>' for note in strip.notes)
    return (
        f'<div class="strip"><table class="week{" compared" if strip.compared else ""}"><caption>{inline(strip.title)} <span class="total">{inline(strip.said)}</span></caption>'
        f"{_SCALE}<tbody>{rows}</tbody></table>{notes}</div>"
    )


def _day(day: Day, *, compared: bool) -> str:
    mark = '<span aria-hidden="true">✱</span>' if day.note else ""
    name = _date(day.name, mark) + (f" to {_date(day.last)}" if day.last else "")
    return (
        f'<tr><th scope="row">{name}</th><td>{_drawing(day, compared=compared)}</td>'
        f"<td>{_hours_said(day.said)}</td></tr>"
    )


def _hours_said(text: str) -> str:
    """Return hours in words, each stretch on one line."""
    return _RANGE.sub(lambda found: f"<span>{found[0]}</span>", inline(text))


def _date(name: str, mark: str = "") -> str:
    """Return the name of a day. A narrow screen hides its year, and the weekday and the day stay on one line."""
    if found := _DATE.fullmatch(name):
        weekday, year, day = found.groups()
        return f'<span class="date">{weekday} <span class="year">{year}</span>{day}{mark}</span>'
    return inline(name) + mark


def _drawing(day: Day, *, compared: bool) -> str:
    """Return a day as a drawing: what was open above what will be, or one lane where nothing is compared."""
    paths = []
    if day.skipped:
        start, end = day.skipped
        paths.append(f'<path class="s" d="M{start} 0h{end - start}v{_HEIGHT}h-{end - start}z"/>')
    for part in Part:
        bars = [bar for bar in day.bars if bar.part is part]
        if bars:
            lanes = "".join(_lanes(bar, compared=compared) for bar in bars)
            paths.append(f'<path class="{_PARTS[part]}" d="{lanes}"/>')
    return (
        f'<svg role="img" viewBox="0 0 {MINUTES} {_HEIGHT}" preserveAspectRatio="none">'
        f"<title>{inline(_title(day))}</title>{''.join(paths)}</svg>"
    )


def _title(day: Day) -> str:
    """Return what a drawing shows, in words other than those beside it."""
    changes = (("opens", day.gained), ("closes", day.lost))
    said = [f"{word} {_hours(minutes)}" for word, minutes in changes if minutes]
    return " and ".join(said) or f"{_hours(sum(bar.end - bar.start for bar in day.bars))} of 24 h"


def _hours(minutes: int) -> str:
    whole, rest = divmod(minutes, 60)
    return f"{whole}:{rest:02} h" if rest else f"{whole} h"


def _lanes(bar: Bar, *, compared: bool) -> str:
    if not compared:
        return _box(bar, 4, 12)
    before = _box(bar, _TOP, 7) if bar.part is not Part.AFTER else ""
    after = _box(bar, _LOW, 7) if bar.part is not Part.BEFORE else ""
    return before + after


def _box(bar: Bar, top: int, height: int) -> str:
    length = bar.end - bar.start
    return f"M{bar.start} {top}h{length}v{height}h-{length}z"


def legend(tables: Iterable[Table]) -> Iterator[str]:
    """Yield what the bars mean, if any week strips are shown."""
    strips = [
        strip
        for table in tables
        for row in table.rows
        for figure in row.figures
        for strip in figure.strips
    ]
    if not strips:
        return
    signs = [("k", "open")]
    if any(strip.compared for strip in strips):
        signs = [
            ("k", "open before (upper lane) and after (lower lane)"),
            ("o", "opens"),
            ("c", "closes"),
        ]
    yield _signs("Week strips", signs, "<li>✱ the clocks change</li>")


def _signs(name: str, signs: Iterable[tuple[str, str]], more: str = "") -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 24 20" aria-hidden="true"><path class="{style}" d="M2 4h20v12h-20z"/></svg>{word}</li>'
        for style, word in signs
    )
    return f'<ul class="legend" aria-label="{name}">{items}{more}</ul>'


def _chart_legend(charts: Sequence[Chart]) -> Iterator[str]:
    """Yield what the colours of charts mean, if there are several."""
    signs = [("a", "after")]
    if any(chart.compared for chart in charts):
        signs.append(("b", "before"))
    if any(chart.capacity for chart in charts):
        signs.append(("x", "above the capacity, which is the line"))
    if len(signs) > 1:
        yield _signs("Charts", signs)


# --- charts -------------------------------------------------------------------------------------------------------------


def charts(drawn: Sequence[Chart]) -> Iterator[str]:
    if drawn:
        yield '<section aria-labelledby="load">\n<h2 id="load">Load</h2>\n<div class="charts">'
        yield from (_chart(chart, number) for number, chart in enumerate(drawn))
        yield "</div>"
        yield from _chart_legend(drawn)
        yield "</section>"


def _chart(chart: Chart, number: int) -> str:
    over = any(day.over for day in chart.days)
    names = f"c{number}t c{number}d"
    days = sum(day.repeated for day in chart.days)
    return (
        f'<figure class="chart"><figcaption><h3>{inline(chart.title)}</h3>'
        f'<p class="{"bad" if over else "said"}">{inline(chart.said)}</p></figcaption>'
        f'<p class="axis">{fields.number(chart.top)} {inline(chart.unit)}</p>'
        f'<svg role="img" aria-labelledby="{names}" viewBox="0 0 {days * MINUTES} 100" preserveAspectRatio="none">'
        f'<title id="c{number}t">{inline(chart.title)}</title><desc id="c{number}d">{inline(chart.said)}</desc>'
        f"{''.join(_curves(chart, days))}</svg>"
        f"{_axis(chart)}<details><summary>By day</summary>{_load_table(chart)}</details></figure>"
    )


def _curves(chart: Chart, days: int) -> Iterator[str]:
    """Yield the paths of a chart: columns, what was before as an outline, and the capacity as a line."""
    capacity = chart.capacity or math.inf
    after: list[str] = []
    over: list[str] = []
    before: list[str] = []
    ends = 0
    for start, level in _placed(chart):
        column = _column(start, level.end - level.start, level.after / chart.top)
        (over if level.after > capacity else after).append(column)
        if level.before:
            joins = before and start == ends
            down = "" if joins else "V100" * bool(before) + f"M{start} 100"
            ends = start + level.end - level.start
            before.append(f"{down}V{_top(level.before, chart):g}H{ends}")
    for place in range(1, len(chart.columns)):
        yield f'<path class="g" d="M{place * days * MINUTES // len(chart.columns)} 0v100"/>'
    if any(after):
        yield f'<path class="a" d="{"".join(after)}"/>'
    if over:
        yield f'<path class="x" d="{"".join(over)}"/>'
    if chart.compared and before:
        yield f'<path class="b" d="{"".join(before)}V100"/>'
    if chart.capacity:
        yield f'<path class="m" d="M0 {_top(chart.capacity, chart):g}h{days * MINUTES}"/>'


def _placed(chart: Chart) -> Iterator[tuple[int, Level]]:
    """Yield each level with its start in minutes from the start of the chart."""
    at = 0
    for day in chart.days:
        for first in range(at, at + day.repeated * MINUTES, MINUTES):
            yield from ((first + level.start, level) for level in day.levels)
        at += day.repeated * MINUTES


def _top(value: float, chart: Chart) -> float:
    """Return how far below the top of a chart a value is drawn, in percent."""
    return 100 - round(value / chart.top * 98, 2)


def _column(start: int, length: int, share: float) -> str:
    height = f"{round(share * 98, 2):g}"
    return f"M{start} 100v-{height}h{length}v{height}z" if share else ""


def _axis(chart: Chart) -> str:
    """Return the axis of a chart: its columns, or its first and its last day."""
    if chart.columns:
        names = "".join(f"<span>{inline(name)}</span>" for name in chart.columns)
        return f'<p class="axis columns" aria-hidden="true">{names}</p>'
    first, last = chart.days[0], chart.days[-1]
    return f'<p class="axis ends" aria-hidden="true"><span>{inline(first.name)}</span><span>{inline(last.last or last.name)}</span></p>'


def _load_table(chart: Chart) -> str:
    before = '<th scope="col">Before</th>' if chart.compared else ""
    rows = "".join(_load_row(day, chart) for day in chart.days)
    return (
        f'<table class="loads"><thead><tr><th scope="col">Day</th>{before}<th scope="col">Most, {inline(chart.unit)}</th>'
        f"</tr></thead><tbody>{rows}</tbody></table>"
    )


def _load_row(day: LoadDay, chart: Chart) -> str:
    name = f"{day.name} to {day.last}" if day.last else day.name
    before = f"<td>{fields.number(day.before)}</td>" if chart.compared else ""
    over = f" above the capacity for {_hours(day.over)}" if day.over else ""
    note = f' <span class="place">{inline(day.note)}</span>' if day.note else ""
    return f'<tr><th scope="row">{inline(name)}{note}</th>{before}<td>{fields.number(day.after)}{over}</td></tr>'
