"""A report for a terminal or a log. The verdict is the last line, next to the prompt.

A report that is longer than a screen also begins with its verdict and its worst rows.

All foreign text passes `safe`, so the only control characters in the output are line feeds, and colour codes where they
are asked for. Symbols in the margin repeat the colours: `+ ~ - ! =`.

The tables are laid out by hand. `click` has no public table, and to import `rich` would make `validate` about half as
slow again. Tables of `rich` also break long words, and an id or a URL must stay whole to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate, zip_longest
from math import ceil
from typing import Final

from reconciler.errors import safe
from reconciler.report import Report, Row, Table, Tone, screen
from reconciler.report.fields import number
from reconciler.report.figures import Bar, Chart, Day, LoadDay, Part, Strip

MARGIN = "  "
GAP = "  "
NARROWEST = 20
"""Smallest width of a folded column. A narrower table shows its cells below each other instead."""

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

_WORD: Final = re.compile(r"\S+(?: %\S*)?")
"""What stays in one line: a word, or a number with its per cent sign."""

_BOLD, _DIM, _RESET = "\x1b[1m", "\x1b[2m", "\x1b[0m"
_COLOUR = re.compile("\x1b\\[[0-9]+m")
_COLOURS = {
    Tone.GOOD: "\x1b[32m",
    Tone.ADD: "\x1b[32m",
    Tone.CHANGE: "\x1b[33m",
    Tone.REMOVE: "\x1b[31m",
    Tone.WARN: "\x1b[33m",
    Tone.BAD: "\x1b[31m",
    Tone.DIM: _DIM,
}


def render(report: Report, *, width: int | None = None, colour: bool = False) -> str:
    """Return the report as text: title, tables, notes, facts, and the verdict as the last line; see the module for a long one.

    Args:
        report: what to show.
        width: columns of the terminal, to which long cells are folded at spaces; `None` (a pipe, a log) never folds, so
            that a search finds whole lines.
        colour: whether to write ANSI colours.
    """
    blocks = _blocks(report, width, colour=colour)
    whole = _joined(blocks)
    worst = screen.worst(report)
    if not worst.rows or screen.fits(_COLOUR.sub("", whole)):
        return whole
    top = [blocks[0], blocks[-1]]
    return _joined([*top, _worst(worst, width, _joined(top), colour=colour), *blocks[1:]])


def _blocks(report: Report, width: int | None, *, colour: bool) -> list[list[str]]:
    """Return the parts of a whole report, the title first."""
    return [
        [_paint(safe(report.title), _BOLD, colour=colour)],
        *(list(_table(table, width, colour=colour)) for table in report.tables if table.rows),
        *(list(_chart(chart, width, colour=colour)) for chart in report.charts),
        list(_legend(report)),
        [line for note in report.notes for line in _fold(safe(note), width)],
        list(_facts(report.facts or {}, colour=colour)),
        [_verdict(report, colour=colour)],
    ]


def _joined(blocks: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _verdict(report: Report, *, colour: bool) -> str:
    return _paint(safe(report.verdict), _BOLD + _COLOURS.get(report.tone, ""), colour=colour)


def _worst(found: screen.Worst, width: int | None, above: str, *, colour: bool) -> list[str]:
    """Return the worst rows of a long report, as long as the rest of the first screen allows.

    Args:
        found: the rows.
        width: columns of the terminal.
        above: what stands above on the screen.
        colour: whether to write ANSI colours.
    """
    shown = _COLOUR.sub("", above)
    lines = sum(1 + (len(line) - 1) // width if width else 1 for line in shown.splitlines())
    room = screen.CHARACTERS - len(shown) - len(found.title) - 2
    most = max(1, (screen.LINES - lines - 2) // len(found.rows))
    limit = min(screen.WIDEST, room // len(found.rows)) - len(MARGIN) * 3
    told = [_paint(safe(found.title), _BOLD, colour=colour)]
    for row in found.rows:
        first, *more = _brief(row, limit, width, most)
        told.append(
            MARGIN
            + _paint(row.tone.symbol, _COLOURS.get(row.tone, ""), colour=colour)
            + f" {first}"
        )
        told += [MARGIN * 3 + line for line in more]
    return told


def _brief(row: Row, limit: int, width: int | None, most: int) -> list[str]:
    """Return a row as at most `most` lines of at most `limit` characters together."""
    room = width and width - len(MARGIN) * 3
    lines = [""]
    for head, brief in screen.lengths(safe(row.head), safe(row.brief)):
        said = f"{head}: {brief}"
        lines = _fold(said, room)
        if len(said) <= limit and len(lines) <= most:
            break
    return lines[:most]


def _paint(text: str, code: str, *, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour and code and text.strip() else text


def _facts(facts: Mapping[str, str], *, colour: bool) -> Iterator[str]:
    shown = {safe(name): safe(value) for name, value in facts.items()}
    widest = max(map(_columns, shown), default=0)
    for name, value in shown.items():
        yield MARGIN + _paint(_pad(name, widest), _DIM, colour=colour) + GAP + value


def _table(table: Table, width: int | None, *, colour: bool) -> Iterator[str]:
    cells = [[safe(cell) for cell in row.cells] for row in table.rows]
    header = [safe(column).upper() for column in table.columns]
    folded, widths = _in_columns([header, *cells], _limits([header, *cells], width))
    if width is not None and _span(widths) > width:
        folded, widths = _in_columns([header, *cells], _limits([_words(header), *cells], width))
    if width is not None and _span(widths) > width:
        # No columns fit: one cell after the other reads better than lines that the terminal breaks anywhere.
        folded = [[[line] for line in lines] for lines in _packed(table.columns, cells, width)]
        widths = [0]
    yield _paint(safe(table.title), _BOLD, colour=colour)
    if any(header):
        yield from (_paint(_line(" ", line, widths), _DIM, colour=colour) for line in folded[0])
    for place, (row, lines) in enumerate(zip(table.rows, folded[1:], strict=True)):
        if place and row.figures:
            yield ""
        yield from _row(row, lines, widths, colour=colour)
        yield from _below(row, width, colour=colour)
        yield from _figures(row, width)


def _packed(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Wrap the names of the columns, and the cells of each row, to the width. Continuation lines are indented.

    If more than one cell of a row has to stand below its first line, each of them is told with the name of its column.
    """
    names = [safe(column) for column in columns]
    room = width - len(MARGIN) - len("+ ")
    most = max(len(columns), *map(len, rows))
    first = min(_fitting(row, room) for row in rows)
    if first + 1 >= most or not any(names[first:]):
        first = most
    header = [name.upper() for name in names[:first]]
    return [
        _one_after_the_other(header, room),
        *(
            [*_one_after_the_other(row[:first], room), *_named(names[first:], row[first:], room)]
            for row in rows
        ),
    ]


def _named(names: Sequence[str], cells: Sequence[str], room: int) -> Iterator[str]:
    """Yield each cell with the name of its column, on a line of its own."""
    for name, cell in zip_longest(names, cells, fillvalue=""):
        said = f"{name}: {cell}" if name and cell else cell
        yield from (MARGIN + line for line in _fold(said, room - len(MARGIN)) if cell)


def _fitting(cells: Sequence[str], room: int) -> int:
    """Return how many of the first cells fit into one line, at least one."""
    ends = accumulate(_columns(cell) + len(GAP) if cell else 0 for cell in cells)
    return max(1, sum(end - len(GAP) <= room for end in ends))


def _one_after_the_other(cells: Sequence[str], room: int) -> list[str]:
    lines: list[str] = []
    for cell in filter(None, cells):
        if lines and _columns(joined := lines[-1] + GAP + cell) <= room:
            lines[-1] = joined
        else:
            lines += [MARGIN + line for line in _fold(cell, room - len(MARGIN))]
    return [lines[0].removeprefix(MARGIN), *lines[1:]] if lines else [""]


def _row(
    row: Row, lines: Sequence[Sequence[str]], widths: Sequence[int], *, colour: bool
) -> Iterator[str]:
    code = _COLOURS.get(row.tone, "")
    for place, line in enumerate(lines):
        symbol = row.tone.symbol if place == 0 else " "
        if row.tone is Tone.DIM:
            yield _paint(_line(symbol, line, widths), code, colour=colour)
        else:
            yield _line(_paint(symbol, code, colour=colour), line, widths)


def _line(symbol: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = GAP.join(_pad(cell, width) for cell, width in zip(cells, widths, strict=False))
    return f"{MARGIN}{symbol} {padded}".rstrip()


def _below(row: Row, width: int | None, *, colour: bool) -> Iterator[str]:
    """Yield the lines under a row: its details, indented, and its place."""
    indent = MARGIN * 3
    for detail in row.details:
        first, *rest = _fold(safe(detail), width and width - len(indent) - len(MARGIN))
        yield (indent + first).rstrip()
        yield from (indent + MARGIN + line for line in rest)
    if row.place is not None:
        yield indent + _paint(f"at {row.place}", _DIM, colour=colour)


def _words(header: Sequence[str]) -> list[str]:
    """Return the longest word of each name: a name of several words may be folded."""
    return [max(name.split(), key=_columns, default="") for name in header]


def _in_columns(
    rows: Sequence[Sequence[str]], limits: Sequence[int | None]
) -> tuple[list[list[list[str]]], list[int]]:
    """Return the lines of each row, and the widths of the columns."""
    folded = [_lines(row, limits) for row in rows]
    return folded, _widths([line for lines in folded for line in lines])


def _limits(rows: Sequence[Sequence[str]], width: int | None) -> list[int | None]:
    """Return the width of each column. The widest column shrinks until the table fits, but not below `NARROWEST`."""
    widths = _widths(rows)
    if width is None:
        return [None] * len(widths)
    spare = width - _span([0] * len(widths))
    while sum(widths) > spare and max(widths, default=0) > NARROWEST:
        widest = widths.index(max(widths))
        others = sum(widths) - widths[widest]
        second = max([w for i, w in enumerate(widths) if i != widest], default=0)
        widths[widest] = max(NARROWEST, spare - others, min(second, widths[widest] - 1))
    return list(widths)


def _span(widths: Sequence[int]) -> int:
    """Return the line length of columns with these widths, including the margin and the symbol."""
    return len(MARGIN) + len("+ ") + sum(widths) + len(GAP) * (len(widths) - 1)


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_columns, column)) for column in zip_longest(*rows, fillvalue="")]


def _lines(cells: Sequence[str], limits: Sequence[int | None]) -> list[list[str]]:
    """Return one row as the lines that it takes when every cell is folded to its column."""
    columns = [_fold(cell, limit) for cell, limit in zip(cells, limits, strict=False)]
    return [list(line) for line in zip_longest(*columns, fillvalue="")] or [[]]


def _fold(text: str, width: int | None) -> list[str]:
    """Break at spaces. A word that is too long stays whole: ids and URLs are there to be copied."""
    if width is None or _columns(text) <= width:
        return [text]
    lines = [""]
    for word in _WORD.findall(text):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if lines[-1] and _columns(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _pad(text: str, width: int) -> str:
    return text + " " * (width - _columns(text))


def _columns(text: str) -> int:
    """Return how many columns of a terminal a text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    import unicodedata  # noqa: PLC0415 - most of what is shown is plain

    return sum(
        0
        if unicodedata.category(c) in {"Mn", "Me"}
        else 1 + (unicodedata.east_asian_width(c) in "WF")
        for c in text
    )


# --- figures ------------------------------------------------------------------------------------------------------------


def _figures(row: Row, width: int | None) -> Iterator[str]:
    """Yield the week strips of a row, one sign for each half hour, or for each hour on a narrow terminal."""
    for figure in row.figures:
        if figure.names:
            yield from _fold(f"{MARGIN * 2}{safe(', '.join(figure.names))}", width)
        for place, strip in enumerate(figure.strips):
            if place:
                yield ""
            yield from _fold(f"{MARGIN * 2}{safe(strip.title)}: {safe(strip.said)}", width)
            yield _scale(_step(width))
            yield from _strip(strip, _step(width))
        if figure.note:
            yield f"{MARGIN * 2}{safe(figure.note)}"


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


def _chart(chart: Chart, width: int | None, *, colour: bool) -> Iterator[str]:
    """Yield a chart: a row for each day, a sign for the highest load of each half hour."""
    step = _step(width)
    yield _paint(safe(chart.title), _BOLD, colour=colour)
    yield _scale(step)
    for day in chart.days:
        signs = "".join(
            _level(day, start, start + step, chart) for start in range(0, 24 * HOUR, step)
        )
        yield _labelled(day.name, signs, _most(day, chart), "*" if day.note else " ")
        if day.last:
            yield f"{MARGIN * 2}to  {safe(day.last[4:])}"
    yield from _fold(MARGIN * 2 + safe(chart.said), width)


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


def _legend(report: Report) -> Iterator[str]:
    strips = [
        strip
        for table in report.tables
        for row in table.rows
        for figure in row.figures
        for strip in figure.strips
    ]
    if strips:
        yield _LEGEND_OF_CHANGES if any(strip.compared for strip in strips) else _LEGEND
