"""A report for a GitHub step summary or comment: the verdict is the first line, and nothing foreign is markup.

Values can come from a pull request, so each is escaped: no link, no image, no HTML, no mention that notifies a team.
Where a value stands as code, the fence is longer than any run of backticks in it. GitHub refuses what is too long, so a
long report loses rows, never its verdict or its facts, and says so in its first line.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence

from reconciler.errors import safe
from reconciler.report import Report, Row, Table

CAP = 60_000
"""Characters of the whole output. A GitHub comment holds 65,536."""

LONG = 20
"""Rows above which a table starts folded."""

_LONGEST_VERDICT = 1000
_LONGEST_CELL = 1000
_LONGEST_NAME = 200
_LONGEST_FACT = 256
_MOST_FACTS = 20

_TICKS = re.compile(r"`+")
_SHOWN = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*_{}[]<>|!~$"}
    | {"&": "&amp;", "@": "@&#8203;", "#": "\\#&#8203;"}
)
"""How Markdown shows a character as itself. GitHub looks for mentions and issue numbers after Markdown is done, so only
a zero-width space behind their sign stops it."""


def render(report: Report) -> str:
    """Return the report as GitHub-flavoured Markdown of at most `CAP` characters."""
    most = max((len(part) for part in _parts(report)), default=0)
    whole = _compose(report, most)
    if len(whole) <= CAP:
        return whole
    too_many = bisect_right(range(most), CAP, key=lambda rows: len(_compose(report, rows)))
    return _compose(report, max(too_many - 1, 0))


def _parts(report: Report) -> Iterator[Sequence[object]]:
    yield from (table.rows for table in report.tables)
    yield report.notes


def _compose(report: Report, most: int) -> str:
    """Return the report with at most so many rows of each table, and so many notes."""
    blocks = [
        f"## {_escape(report.verdict, _LONGEST_VERDICT)}{_cut(report, most)}",
        _bold(_escape(report.title, _LONGEST_NAME)),
        _facts(report.facts or {}),
        *(_table(table, most) for table in report.tables if table.rows and most),
        "\n".join(f"- {_escape(note, _LONGEST_CELL)}" for note in report.notes[:most]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _cut(report: Report, most: int) -> str:
    total = sum(len(part) for part in _parts(report))
    shown = sum(min(len(part), most) for part in _parts(report))
    if shown == total:
        return ""
    return f" (cut: {shown} of {total} rows are shown; the text and JSON formats show all)"


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


def _table(table: Table, most: int) -> str:
    """Return a heading, the rows, and what belongs under them: folded only when it is long, for an approver must see it."""
    rows, total = table.rows[:most], len(table.rows)
    count = f"{total}" if len(rows) == total else f"{len(rows)} of {total}"
    blocks = [_grid(table, rows)]
    details = [line for row in rows if row.details for line in _details(row, table.columns)]
    if details:
        blocks.append(_fence("\n".join(details)))
    if total > LONG:
        names = (f"{count} rows", "Details")
        blocks = [_folded(name, block) for name, block in zip(names, blocks, strict=False)]
    return "\n\n".join([f"### {_escape(table.title, _LONGEST_NAME)} ({count})", *blocks])


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


def _details(row: Row, columns: Sequence[str]) -> Iterator[str]:
    """Yield a row's details as lines of a fenced block, under what they are about; what is inside one needs no escaping but for its end."""
    first = row.cells[0] if row.cells else ""
    named = dict(zip(columns[1:], row.cells[1:], strict=False))
    heading = (first, named.get("manifest"), f"({named['id']})" if named.get("id") else "")
    words = " ".join(filter(None, heading))
    yield f"{row.tone.symbol} {safe(words, limit=_LONGEST_CELL)}"
    yield from (f"    {safe(detail, limit=_LONGEST_CELL)}".rstrip() for detail in row.details)


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
    """Return text that Markdown shows as it is, on one line."""
    text = safe(text, limit=limit).strip().translate(_SHOWN)
    text = text.replace("://", ":\\//").replace("www.", "www\\.")
    return f"\\{text}" if text.startswith(("-", "+")) else text
