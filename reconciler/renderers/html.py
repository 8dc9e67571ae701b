"""A report as one self-contained HTML page: no script, font, image or request.

The page forbids itself to load anything (its content security policy) and follows the reader's light or dark setting.
Everything that a colour shows is also shown by a word or symbol.

The HTML is written by hand, because a template engine would not make it simpler: there is one page, all text passes
`_text`, which escapes it, and Jinja2 would be a dependency with an escaping mode that can be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape

from reconciler.errors import safe
from reconciler.report import Report, Row, Table

_HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""

_STYLE = """\
<style>
:root { --good: #17692f; --change: #8a5300; --bad: #b3261e; --dim: #5c6066; --line: #d5d8dc; }
@media (prefers-color-scheme: dark) {
  :root { --good: #6fd08c; --change: #f0b45b; --bad: #ff8f85; --dim: #a3a9b1; --line: #3c4148; }
}
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; line-height: 1.3; }
h1, p { overflow-wrap: anywhere; }
.verdict { font-size: 1.25rem; font-weight: 600; border-left: .3rem solid; padding-left: .8rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 2rem 0; }
caption { font-weight: 600; text-align: left; padding-bottom: .4rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--line); }
ul { margin: .2rem 0; padding-left: 1.2rem; min-width: 14rem; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; }
dt, .place, .dim { color: var(--dim); }
dd { margin: 0; }
code, dd, .place, .mark { font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
.good, .add { color: var(--good); }
.change, .warn { color: var(--change); }
.remove, .bad { color: var(--bad); }
</style>
"""


def render(report: Report) -> str:
    """Return the report as a whole HTML page: title, verdict, facts, tables, notes."""
    parts = [
        f"{_HEAD}<title>{escape(safe(report.title))}</title>\n{_STYLE}</head>\n<body>\n<main>",
        f"<h1>{_text(report.title)}</h1>",
        f'<p class="verdict {report.tone.value}">{_text(report.verdict)}</p>',
        *_facts(report.facts or {}),
        *(line for table in report.tables if table.rows for line in _table(table)),
        *(f"<p>{_text(note)}</p>" for note in report.notes),
        "</main>\n</body>\n</html>\n",
    ]
    return "\n".join(parts)


_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")


def _text(text: str) -> str:
    """Return text as HTML, with text in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(safe(text)))


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    if facts:
        yield "<dl>"
        yield from (f"<dt>{_text(k)}</dt><dd>{_text(v)}</dd>" for k, v in facts.items())
        yield "</dl>"


def _table(table: Table) -> Iterator[str]:
    yield f'<div class="scroll">\n<table>\n<caption>{_text(table.title)}</caption>'
    if any(table.columns):
        names = "".join(f'<th scope="col">{_text(column)}</th>' for column in table.columns)
        yield f"<thead><tr><td></td>{names}</tr></thead>"
    yield "<tbody>"
    yield from (_row(row) for row in table.rows)
    yield "</tbody>\n</table>\n</div>"


def _row(row: Row) -> str:
    """Return one row. Its details are in the last cell, so that a screen reader reads them with the row."""
    cells = [_text(cell) for cell in row.cells] or [""]
    cells[-1] += _details(row.details)
    if row.place is not None:
        cells[-1] += f'<div class="place">at {escape(str(row.place))}</div>'
    mark = f'<td class="mark {row.tone.value}" title="{row.tone.value}">{row.tone.symbol}</td>'
    style = ' class="dim"' if row.tone.value == "dim" else ""
    return f"<tr{style}>{mark}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _details(details: Sequence[str]) -> str:
    items = "".join(f"<li>{_text(detail)}</li>" for detail in details)
    return f"<ul>{items}</ul>" if items else ""
