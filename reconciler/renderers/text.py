"""A report for a terminal or a log. The verdict is the last line, next to the prompt.

A report that is longer than a screen also begins with its verdict and its worst rows.

All foreign text passes `safe`, so the only control characters in the output are line feeds, and colour codes where they
are asked for. Symbols in the margin repeat the colours: `+ ~ - ! =`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import safe
from reconciler.renderers._layout import GAP, MARGIN, aligned, fold, pad, width_of
from reconciler.renderers._signs import chart_lines, figures, legend
from reconciler.report import Report, Row, Table, Tone, screen

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
        *(
            [_paint(safe(chart.title), _BOLD, colour=colour), *chart_lines(chart, width)]
            for chart in report.charts
        ),
        list(legend(report)),
        [line for note in report.notes for line in fold(safe(note), width)],
        list(_facts(report.facts or {}, width, colour=colour)),
        _verdict(report, width, colour=colour),
    ]


def _joined(blocks: Sequence[Sequence[str]]) -> str:
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _verdict(report: Report, width: int | None, *, colour: bool) -> list[str]:
    code = _BOLD + _COLOURS.get(report.tone, "")
    return [_paint(line, code, colour=colour) for line in fold(safe(report.verdict), width)]


def _worst(found: screen.Worst, width: int | None, above: str, *, colour: bool) -> list[str]:
    """Return the worst rows of a long report, as long as the rest of the first screen allows.

    Args:
        found: the rows.
        width: columns of the terminal.
        above: the lines above them on the screen.
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
        said = safe(f"{head}: {brief}")  # a colon of the text may join ours
        lines = fold(said, room)
        if len(said) <= limit and len(lines) <= most:
            break
    return lines[:most]


def _paint(text: str, code: str, *, colour: bool) -> str:
    return f"{code}{text}{_RESET}" if colour and code and text.strip() else text


def _facts(facts: Mapping[str, str], width: int | None, *, colour: bool) -> Iterator[str]:
    """Yield a line for each fact. There is no margin if a terminal would break a value that is there to be copied."""
    shown = {safe(name): safe(value) for name, value in facts.items()}
    widest = max(map(width_of, shown), default=0)
    longest = max(map(width_of, shown.values()), default=0)
    fits = width is None or len(MARGIN) + widest + len(GAP) + longest <= width
    for name, value in shown.items():
        yield (
            (MARGIN if fits else "") + _paint(pad(name, widest), _DIM, colour=colour) + GAP + value
        )


def _table(table: Table, width: int | None, *, colour: bool) -> Iterator[str]:
    header = [safe(column) for column in table.columns]
    folded, widths = aligned(
        header, [[safe(cell) for cell in row.cells] for row in table.rows], width
    )
    yield _paint(safe(table.title), _BOLD, colour=colour)
    if any(header):
        yield from (_paint(_line(" ", line, widths), _DIM, colour=colour) for line in folded[0])
    for place, (row, lines) in enumerate(zip(table.rows, folded[1:], strict=True)):
        if place and row.figures:
            yield ""
        yield from _row(row, lines, widths, colour=colour)
        yield from _below(row, width, colour=colour)
        yield from figures(row, width)


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
    padded = GAP.join(pad(cell, width) for cell, width in zip(cells, widths, strict=False))
    return f"{MARGIN}{symbol} {padded}".rstrip()


def _below(row: Row, width: int | None, *, colour: bool) -> Iterator[str]:
    """Yield the lines under a row: its details, indented, and its place."""
    indent = MARGIN * 3
    for detail in row.details:
        first, *rest = fold(safe(detail), width and width - len(indent) - len(MARGIN))
        yield (indent + first).rstrip()
        yield from (indent + MARGIN + line for line in rest)
    if row.place is not None:
        yield indent + _paint(f"at {row.place}", _DIM, colour=colour)
