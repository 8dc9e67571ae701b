"""A report as one self-contained HTML page: no script, font, image or request.

The page forbids itself to load anything: its content security policy allows only its own style, by hash. It follows the reader's
light or dark setting. Everything that a colour shows is also shown by a word or shape, and everything that is drawn also
stands there as text.

The HTML is written by hand, because a template engine would not make it simpler: there is one page, all text passes
`inline`, which escapes it, and Jinja2 would be a dependency with an escaping mode that can be forgotten.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from html import escape
from typing import Final

from reconciler.errors import safe
from reconciler.renderers import _drawings, _plots
from reconciler.renderers._markup import STYLE, inline
from reconciler.report import Report, Row, Table
from reconciler.report.figures import Chart

_POLICY = "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'"
_SHAPES: Final = {"loosen": "▲", "tighten": "▼", "mixed": "◆", "neutral": "●"}


def render(report: Report) -> str:
    """Return the report as a whole HTML page: title, verdict, tables, charts, notes, facts."""
    tables = [table for table in report.tables if table.rows]
    parts = [
        _head(report.title),
        f'<header>\n<h1>{inline(report.title)}</h1>\n<p class="verdict {report.tone.value}">{inline(report.verdict)}</p>\n</header>',
        *_contents(tables, report.charts),
        "<main>",
        *_drawings.legend(tables),
        *(line for number, table in enumerate(tables) for line in _section(table, number)),
        *_drawings.charts(report.charts),
        *_notes(report.notes),
        "</main>",
        *_facts(report.facts or {}),
        "</body>\n</html>\n",
    ]
    return "\n".join(parts)


def _head(title: str) -> str:
    policy = _POLICY.format(b64encode(sha256(STYLE.encode()).digest()).decode())
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{escape(safe(title))}</title>
<style>{STYLE}</style>
</head>
<body>"""


def _contents(tables: Sequence[Table], charts: Sequence[Chart]) -> Iterator[str]:
    """Yield links to the sections, if there are several."""
    links = [(f"t{number}", table.title) for number, table in enumerate(tables)]
    if charts:
        links.append(("load", "Load"))
    if len(links) > 1:
        items = "".join(f'<li><a href="#{name}">{inline(title)}</a></li>' for name, title in links)
        yield f'<nav aria-label="Sections"><ul>{items}</ul></nav>'


def _facts(facts: Mapping[str, str]) -> Iterator[str]:
    if facts:
        yield "<footer>\n<dl>"
        yield from (f"<dt>{inline(k)}</dt><dd>{inline(v)}</dd>" for k, v in facts.items())
        yield "</dl>\n</footer>"


def _notes(notes: Sequence[str]) -> Iterator[str]:
    if notes:
        yield '<section class="notes" aria-label="Notes">'
        yield from (f"<p>{inline(note)}</p>" for note in notes)
        yield "</section>"


# --- tables and cards ---------------------------------------------------------------------------------------------------


def _section(table: Table, number: int) -> Iterator[str]:
    """Yield a table under its heading: as cards if it shows changes or drawings, else as a table."""
    name = f"t{number}"
    yield f'<section aria-labelledby="{name}">'
    yield f'<h2 id="{name}">{inline(table.title)} <span class="count">{len(table.rows)}</span></h2>'
    if any(row.direction or row.figures or row.plots for row in table.rows):
        yield '<ol class="cards">'
        yield from (_card(row, place) for place, row in enumerate(table.rows))
        yield "</ol>"
    else:
        yield from _table(table, name)
    yield "</section>"


def _card(row: Row, place: int) -> str:
    """Return a row as a card: the change first, then what it is about, then its details and its strips."""
    said = {row.status, row.name, row.key, row.direction, ""}
    *others, change = row.cells or ("",)
    more = [row.key, *(cell for cell in others if cell not in said)]
    about = " ".join(
        f'<span class="{style}">{inline(text)}</span>'
        for style, text in (("name", row.name), *(("id", each) for each in more))
        if text
    )
    shape = _SHAPES.get(row.direction, row.tone.symbol.strip() if row.rule else "")
    mark = f'<span class="shape" aria-hidden="true">{escape(shape)}</span> ' if shape else ""
    words = inline(row.direction or (row.status if row.rule else ""))
    action = f' <span class="action">{inline(row.status)}</span>' if row.direction else ""
    parts = [
        f'<span><span class="badge">{mark}{words}</span>{action}</span>' if mark or words else "",
        f'<span class="change">{inline(change)}</span>',
        f'<span class="about">{about}</span>' if about else "",
    ]
    if not row.direction and not row.rule:  # no change and no finding: the name comes first
        parts.reverse()
    head = " ".join(filter(None, parts))
    shown = row.direction if row.direction in _SHAPES else "finding" if row.rule else "plain"
    kind = f"{shown} {row.tone.value}"
    where = f'<p class="place">at {escape(str(row.place))}</p>' if row.place else ""
    return (
        f'<li class="card {kind}"><h3>{head}</h3>'
        f"{_details(row.details)}{where}{_drawings.figures(row, place)}{_plots.plots(row.plots)}</li>"
    )


def _details(details: Sequence[str]) -> str:
    items = "".join(f"<li>{inline(detail)}</li>" for detail in details)
    return f"<ul>{items}</ul>" if items else ""


def _table(table: Table, name: str) -> Iterator[str]:
    """Yield a table. On a narrow screen its cells stack; the roles keep it a table for a screen reader then, too."""
    yield f'<table role="table" class="rows" aria-labelledby="{name}">'
    if any(table.columns):
        names = "".join(
            f'<th role="columnheader" scope="col">{inline(column)}</th>' for column in table.columns
        )
        yield f'<thead role="rowgroup"><tr role="row"><td role="cell"></td>{names}</tr></thead>'
    yield '<tbody role="rowgroup">'
    yield from (_row(row, table.columns) for row in table.rows)
    yield "</tbody>\n</table>"


def _row(row: Row, columns: Sequence[str]) -> str:
    """Return one row. Its details are in the last cell, so that a screen reader reads them with the row.

    A row with fewer cells than columns ends in a sentence of its own: it takes the place of the rest.
    """
    texts = row.cells or ("",)
    cells = [inline(text) for text in texts]
    below = (*row.details, str(row.place or ""))
    words = [_whole(text) for text in (*texts[:-1], " ".join((texts[-1], *below)))]
    cells[-1] += _details(row.details)
    if row.place is not None:
        cells[-1] += f'<div class="place">at {escape(str(row.place))}</div>'
    mark = f'<td role="cell" class="mark {row.tone.value}" title="{row.tone.value}">{row.tone.symbol}</td>'
    style = ' class="dim"' if row.tone.value == "dim" else ""
    *attributes, last = [
        *(_label(name) for name in columns[: len(cells)]),
        *[""] * (len(cells) - len(columns)),
    ]
    if len(columns) > len(cells):
        last = f' colspan="{len(columns) - len(cells) + 1}"'
    shown = "".join(
        f'<td role="cell"{whole}{each}>{cell}</td>'
        for whole, each, cell in zip(words, [*attributes, last], cells, strict=True)
    )
    return f'<tr role="row"{style}>{mark}{shown}</tr>'


_WORD: Final = 24
"""Most characters of a word that is never broken: an instant in UTC has as many."""


def _whole(text: str) -> str:
    """Return the class of a cell whose words are short: long details of a row would else leave it the width of a letter."""
    words = text.split()
    if any(len(word) > _WORD for word in words):
        return ""
    return ' class="line"' if len(words) == 1 else ' class="words"'


def _label(column: str) -> str:
    return f' data-label="{escape(safe(column))}"' if column else ""
