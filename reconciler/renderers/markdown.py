"""A report for a GitHub step summary or comment: the verdict is the first line, and foreign text is never markup.

Values can come from a pull request, so each is escaped: no link, no image, no HTML, no mention that notifies a team.
If a value is shown as code, the fence is longer than any run of backticks in it. GitHub refuses text that is too long, so
a long report omits rows and says so in its first line. It never loses its verdict, its facts, its notes or a row that must be
shown (`Row.must_show`): these are shortened to a line each instead, and may take the room of a step summary. Where even
that is not enough, the first line is an error, and `left_out` counts what is missing.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial

from reconciler.errors import safe
from reconciler.report import Report, Row, Table, screen

CAP = 60_000
"""Characters of the whole output, as long as all that must be shown fits. A GitHub comment holds 65,536."""

MOST = 1_000_000
"""Bytes of the whole output otherwise. A GitHub step summary holds 1,048,576 bytes, and no comment holds as much."""

WIDTH = 106
"""Characters of a line in a code block that a GitHub comment shows without scrolling."""

SHORT, SHORTEST = 160, 40
"""Maximum length of the message in a shortened row."""

LONG = 20
"""Rows above which a table starts folded."""

_LONGEST_VERDICT = 1000
_LONGEST_CELL = 1000
_LONGEST_NAME = 200
_LONGEST_FACT = 256
_MOST_FACTS = 20

_WORDS = re.compile(r"(?:`[^`]+`|\S)+")
"""Words of a detail; text in backticks is one."""

_TICKS = re.compile(r"`+")
_CODE = re.compile(r"(?<!`)(`[^`]+`)(?!`)")
_NOT_CODE = re.compile(r"\||^`\s|\s`$")
"""In backticks, but not shown as code: a pipe would end a cell, and Markdown would drop a space at either end."""

_SHOWN = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_{}[]<>|!~$"}
    | {"&": "&amp;", "@": "@&#8203;", "#": "\\#&#8203;"}
)
"""How Markdown shows a character as itself. GitHub looks for mentions and issue numbers after Markdown is done, so only
a zero-width space behind their sign stops it."""


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown of at most `CAP` characters, or at most `MOST` bytes if the rows that must be shown need them."""
    return _fitted(report)[0]


def left_out(report: Report) -> int:
    """Return how many rows that must be shown are missing from the rendered report."""
    return _fitted(report)[1]


def _fitted(report: Report) -> tuple[str, int]:
    """Return the report at the greatest length that fits, and how many rows that must be shown are missing from it."""
    report = _in_words(report)
    every = [row for table in report.tables for row in table.rows]
    if _least(every) <= screen.CHARACTERS and screen.fits(
        whole := _compose(report, len(every), is_long=False)
    ):
        return whole, 0
    if _least(every) <= CAP and len(whole := _compose(report, len(every))) <= CAP:
        return whole, 0
    must = [row for row in every if row.must_show]
    for short, room, size in (
        (None, CAP, len),
        (SHORT, CAP, len),
        (SHORT, MOST, _bytes),
        (SHORTEST, MOST, _bytes),
    ):
        fits = partial(_fits, report, short, room, size)
        if (short is not None or _least(must) <= room) and fits(0):
            return _compose(report, _greatest(fits, len(every) - len(must)), short), 0
    return _overfull(report)


def _fits(
    report: Report, short: int | None, room: int, size: Callable[[str], int], most: int
) -> bool:
    return size(_compose(report, most, short)) <= room


def _least(rows: Iterable[Row]) -> int:
    """Return the minimum number of characters of the rows, so that rows which cannot fit need not be rendered."""
    texts = (text for row in rows for text in (*row.cells, *row.details))
    return sum(min(len(text.strip()), _LONGEST_CELL) for text in texts)


def _in_words(report: Report) -> Report:
    """Return a report with its figures in words: week strips as details of their row, charts as notes."""
    tables = [table._replace(rows=tuple(map(_row_in_words, table.rows))) for table in report.tables]
    charts = tuple(f"{chart.title}: {chart.said}" for chart in report.charts)
    return report._replace(tables=tables, notes=(*charts, *report.notes))


def _row_in_words(row: Row) -> Row:
    lines = tuple(line for figure in row.figures for line in figure.lines)
    return row._replace(details=(*row.details, *lines), figures=()) if lines else row


def _greatest(fits: Callable[[int], bool], most: int) -> int:
    """Return the greatest number up to `most` that fits; 0 always does. At most doubles the tried number, because large numbers are slow."""
    above = 1
    while above <= most and fits(above):
        above *= 2
    known = above // 2
    between = range(known + 1, min(above, most + 1))
    return known + bisect_left(between, x=True, key=lambda number: not fits(number))


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _compose(report: Report, most: int, short: int | None = None, *, is_long: bool = True) -> str:
    """Return the report with a limited number of rows for each table, plus those that must be shown; with `short`, one line for each of these.

    A long report shows its worst rows first.
    """
    top = [
        f"## {_escape(report.verdict, _LONGEST_VERDICT)}{_cut(report, most, short)}",
        _bold(_escape(report.title, _LONGEST_NAME)),
    ]
    blocks = [
        *top,
        _worst(report, top) if is_long else "",
        _facts(report.facts or {}),
        *(_table(table, most, short) for table in report.tables),
        "\n".join(f"- {_escape(note, short or _LONGEST_CELL)}" for note in report.notes),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _worst(report: Report, above: Sequence[str]) -> str:
    """Return the worst rows of a report, as long as the rest of the first screen allows."""
    found = screen.worst(report)
    if not found.rows:
        return ""
    title = f"### {_escape(found.title, _LONGEST_NAME)}"
    header = f"\n\n|  | change | what |\n{_pipes(['---'] * 3)}\n"
    room = screen.CHARACTERS - sum(map(len, above)) - len(title) - len(header) - 8
    limit = min(screen.WIDEST, room // len(found.rows) - 1)
    return title + header + "\n".join(_worst_row(row, limit) for row in found.rows)


def _worst_row(row: Row, limit: int) -> str:
    """Return a row of at most `limit` characters, escapes included, as far as it can be shortened."""
    line = ""
    for parts in screen.lengths(safe(row.head), safe(row.brief)):
        line = _pipes([_symbol(row), *(_escape(each, _LONGEST_CELL) for each in parts)])
        if len(line) <= limit:
            break
    return line


def _cut(report: Report, most: int, short: int | None) -> str:
    total = sum(len(table.rows) for table in report.tables) + len(report.notes)
    shown = sum(len(_shown(table, most)) for table in report.tables) + len(report.notes)
    if shown == total and short is None:
        return ""
    how = "shown" if short is None else "shown, shortened"
    return f" (cut: {shown} of {total} rows are {how}; all that blocks, weakens or may widen is among them; the text and JSON formats show all)"


def _shown(table: Table, most: int) -> list[Row]:
    """Return the rows that must be shown, and at most `most` others, in their order."""
    others = 0
    rows = []
    for row in table.rows:
        others += not row.must_show
        if row.must_show or others <= most:
            rows.append(row)
    return rows


def _overfull(report: Report) -> tuple[str, int]:
    """Return an error with the number of missing rows, the rows that must be shown as far as they fit, and that number."""
    rows = [row for table in report.tables for row in table.rows if row.must_show]
    rest = "\n\n".join(
        (
            f"## {_escape(report.verdict, _LONGEST_VERDICT)}",
            _bold(_escape(report.title, _LONGEST_NAME)),
            _facts(report.facts or {}),
        )
    )
    lines, room = [], MOST - _bytes(rest) - _LONGEST_CELL
    for row in rows:
        line = _brief(row, SHORTEST)
        room -= _bytes(line) + 1
        if room < 0:
            break
        lines.append(line)
    left = len(rows) - len(lines)
    error = f"## ERROR: {left} of {len(rows)} rows that block, weaken a rule or may widen dialing are not shown. Do not approve this: read the whole plan as JSON (`reconcile plan --out FILE`; in CI the artifact of the run)"
    return f"{error}\n\n{rest}\n\n{_fence(chr(10).join(lines))}\n", left


def _bold(text: str) -> str:
    return f"**{text}**" if text else ""


def _facts(facts: Mapping[str, str]) -> str:
    lines = [
        f"- {_escape(name, _LONGEST_NAME // 4)}: {_code(value)}"
        for name, value in list(facts.items())[:_MOST_FACTS]
    ]
    if len(facts) > _MOST_FACTS:
        lines.append(f"- and {len(facts) - _MOST_FACTS} more")
    return "\n".join(lines)


def _table(table: Table, most: int, short: int | None) -> str:
    """Return a table: heading, rows and details. Long details are folded, unless a row must be shown."""
    rows, total = _shown(table, most), len(table.rows)
    if not rows:
        return ""
    count = f"{total}" if len(rows) == total else f"{len(rows)} of {total}"
    must, rest = _split(rows)
    if short is not None and must:
        blocks = [_fence("\n".join(_brief(row, short) for row in must))]
    elif must and total <= LONG:
        blocks, rest = _blocks(table, rows), []
    else:
        blocks = _blocks(table, must)
    more = _blocks(table, rest)
    if total > LONG:
        names = (f"{len(rest)} rows" if must else f"{count} rows", "Details")
        more = [_folded(name, block) for name, block in zip(names, more, strict=False)]
    return "\n\n".join([f"### {_escape(table.title, _LONGEST_NAME)} ({count})", *blocks, *more])


def _split(rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Return the rows that stay unfolded, and the others. A finding stays with the row of its object."""
    must: list[Row] = []
    rest: list[Row] = []
    for row in rows:
        belongs = bool(row.rule and must and row.key and must[-1].key == row.key)
        (must if row.must_show or belongs else rest).append(row)
    return must, rest


def _blocks(table: Table, rows: Sequence[Row]) -> list[str]:
    """Return rows as a grid, and their details as a block under it."""
    if not rows:
        return []
    details = [line for row in rows if row.details for line in _details(row)]
    grid = _grid(table, rows)
    return [grid, _fence("\n".join(details))] if details else [grid]


def _brief(row: Row, limit: int) -> str:
    """Return a row as one line of a fenced block: all its names, and the start of its message."""
    names = row.names or tuple(filter(None, (row.name, row.key))) or row.cells
    said = [each for each in (*row.cells, *row.details) if each not in names]
    named = ", ".join(safe(name, limit=_LONGEST_NAME) for name in names)
    return f"{row.tone.symbol} {named}: {safe(': '.join(filter(None, said)), limit=limit)}"


def _grid(table: Table, rows: Sequence[Row]) -> str:
    placed = any(row.place for row in rows)
    count = max(len(table.columns), *(len(row.cells) for row in rows))
    header = ["", *_padded(table.columns, count), *(["where"] if placed else [])]
    lines = [_pipes(header), _pipes(["---"] * len(header))]
    for row in rows:
        where = [_escape(str(row.place or ""), _LONGEST_CELL)] if placed else []
        lines.append(_pipes([_symbol(row), *_padded(row.cells, count), *where]))
    return "\n".join(lines)


def _symbol(row: Row) -> str:
    return f"`{row.tone.symbol}`" if row.tone.symbol.strip() else ""


def _padded(cells: Sequence[str], count: int) -> list[str]:
    return [_escape(cell, _LONGEST_CELL) for cell in cells] + [""] * (count - len(cells))


def _pipes(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _details(row: Row) -> Iterator[str]:
    """Yield a row's details, under its heading, as lines of a fenced block. Inside a fence only the fence itself needs escaping."""
    yield f"{row.tone.symbol} {safe(row.heading, limit=_LONGEST_CELL)}"
    for detail in row.details:
        yield from _lines(f"    {safe(detail, limit=_LONGEST_CELL)}".rstrip())


def _lines(text: str) -> Iterator[str]:
    """Yield a detail in lines that a comment shows without scrolling. A command in backticks stays whole, and so does an aligned line."""
    line = text
    if len(text) > WIDTH and "  " not in text.strip():
        line, *rest = _WORDS.findall(text)
        line = f"    {line}"
        for word in rest:
            if len(line) + 1 + len(word) > WIDTH:
                yield line
                line = f"     {word}"
            else:
                line += f" {word}"
    yield line


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{summary}</summary>\n\n{body}\n\n</details>"


def _fence(body: str) -> str:
    fence = "`" * max(3, 1 + _longest_run(body))
    return f"{fence}diff\n{body}\n{fence}"


def _code(text: str) -> str:
    text = safe(text, limit=_LONGEST_FACT)
    ticks = "`" * (1 + _longest_run(text))
    return f"{ticks} {text} {ticks}" if "`" in text or not text.strip() else f"{ticks}{text}{ticks}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in _TICKS.findall(text)), default=0)


def _escape(text: str, limit: int) -> str:
    """Escape text so that Markdown shows it unchanged, on one line. Text in backticks is shown as code, in which nothing is markup."""
    parts = _CODE.split(safe(text, limit=limit).strip())
    text = "".join(
        each if place % 2 and _is_code(*parts[place - 1 : place + 2]) else _plain(each)
        for place, each in enumerate(parts)
    )
    return f"\\{text}" if text.startswith(("-", "+")) else text


def _is_code(before: str, text: str, after: str) -> bool:
    """Return whether text in backticks can be shown as code. Beside a dollar sign GitHub would take it for a formula."""
    return not (before.endswith("$") or after.startswith("$") or _NOT_CODE.search(text))


def _plain(text: str) -> str:
    return text.translate(_SHOWN).replace("://", ":\\//").replace("www.", "www\\.")
