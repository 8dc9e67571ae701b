"""Lay text out in the columns of a terminal: fold, pad, and align the cells of a table.

No library does it: `click` has no public table, and to import `rich` would make `validate` about half as slow again. Tables of `rich`
also break long words, and an id or a URL must stay whole to be copied.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import accumulate, zip_longest
from typing import Final

MARGIN = "  "
GAP = "  "
NARROWEST = 20
"""Smallest width of a folded column. A narrower table shows its cells below each other instead."""

_WORD: Final = re.compile(r"(\s*)(\S+(?: %\S*)?)")
"""The spaces before a word, and what stays in one line: the word, or a number with its per cent sign."""


def aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int | None
) -> tuple[list[list[list[str]]], list[int]]:
    """Lay a table out: fold the widest cells, then the names of the columns; else put the cells of a row below each other.

    Args:
        header: names of the columns.
        rows: the cells of each row.
        width: columns of the terminal; `None`: nothing is folded.

    Returns:
        The lines of the header and of each row, each line as cells, and the widths of the columns.
    """
    upper = [name.upper() for name in header]
    every = [upper, *rows]
    folded, widths = _in_columns(every, _limits(every, width))
    if width is not None and _span(widths) > width:
        folded, widths = _in_columns(every, _limits([_words(upper), *rows], width))
    if width is not None and _span(widths) > width:
        # No columns fit: one cell after the other reads better than lines that the terminal breaks anywhere.
        return [[[line] for line in lines] for lines in _packed(header, rows, width)], [0]
    return folded, widths


def _words(header: Sequence[str]) -> list[str]:
    """Return the longest word of each name: a name of several words may be folded."""
    return [max(name.split(), key=width_of, default="") for name in header]


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
    return [max(map(width_of, column)) for column in zip_longest(*rows, fillvalue="")]


def _lines(cells: Sequence[str], limits: Sequence[int | None]) -> list[list[str]]:
    """Return one row as the lines that it takes when every cell is folded to its column."""
    folded = [fold(cell, limit) for cell, limit in zip(cells, limits, strict=False)]
    return [list(line) for line in zip_longest(*folded, fillvalue="")] or [[]]


def fold(text: str, width: int | None) -> list[str]:
    """Break at spaces, and keep the other spaces. A word that is too long stays whole: ids and URLs are there to be copied."""
    if width is None or width_of(text) <= width:
        return [text]
    lines = [""]
    for spaces, word in _WORD.findall(text):
        longer = f"{lines[-1]}{spaces}{word}" if lines[-1] else word
        if lines[-1] and width_of(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def pad(text: str, width: int) -> str:
    """Fill a text with spaces up to a width."""
    return text + " " * (width - width_of(text))


def _packed(names: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Wrap the names of the columns, and the cells of each row, to the width. Continuation lines are indented.

    The cells on the first line stand in columns, unless fewer of them would fit.

    If more than one cell of a row has to stand below its first line, each of them is preceded by the name of its column.
    """
    room = width - len(MARGIN) - len("+ ")
    header = [name.upper() for name in names]
    most = max(len(names), *map(len, rows))
    first = min(_fitting(row, room) for row in rows)
    named = first + 1 < most and any(names[first:])
    widths = _widths([header, *rows])[:first]
    if sum(widths) + len(GAP) * (first - 1) <= room:
        below = names[first:] if named else ()
        return [
            _in_line(header, widths, (), room)[: 1 if named else None],
            *(_in_line(row, widths, below, room) for row in rows),
        ]
    shown = first if named else most
    return [
        _one_after_the_other(header[:shown], room),
        *(
            [*_one_after_the_other(row[:shown], room), *_named(names[shown:], row[shown:], room)]
            for row in rows
        ),
    ]


def _in_line(
    cells: Sequence[str], widths: Sequence[int], names: Sequence[str], room: int
) -> list[str]:
    """Return one line with the first cells in columns, and the other cells below it, with the names of their columns."""
    padded = GAP.join(pad(cell, width) for cell, width in zip(cells, widths, strict=False))
    return [padded, *_named(names, cells[len(widths) :], room)]


def _named(names: Sequence[str], cells: Sequence[str], room: int) -> Iterator[str]:
    """Yield each cell with the name of its column, on a line of its own."""
    for name, cell in zip_longest(names, cells, fillvalue=""):
        said = f"{name}: {cell}" if name and cell else cell
        yield from (MARGIN + line for line in fold(said, room - len(MARGIN)) if cell)


def _fitting(cells: Sequence[str], room: int) -> int:
    """Return how many of the first cells fit into one line, at least one."""
    ends = accumulate(width_of(cell) + len(GAP) if cell else 0 for cell in cells)
    return max(1, sum(end - len(GAP) <= room for end in ends))


def _one_after_the_other(cells: Sequence[str], room: int) -> list[str]:
    lines: list[str] = []
    for cell in filter(None, cells):
        if lines and width_of(joined := lines[-1] + GAP + cell) <= room:
            lines[-1] = joined
        else:
            lines += [MARGIN + line for line in fold(cell, room - len(MARGIN))]
    return [lines[0].removeprefix(MARGIN), *lines[1:]] if lines else [""]


def width_of(text: str) -> int:
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
