"""A report's tables for a spreadsheet: commas, one line a row. Only for reports whose cells are plain values.

Guards against CSV injection: a spreadsheet takes a cell that begins with one of `= + - @`, a tab or a carriage return for a
formula, which can send other cells to an attacker. Such a cell gets an apostrophe in front, so that spreadsheets show it as
text. A plain number keeps its sign.
"""

from __future__ import annotations

import csv
import io
import re
from typing import Final

from reconciler.errors import safe
from reconciler.report import Report

_FORMULA: Final = re.compile(
    r"\s*[=+\-@\t\r\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}]"
)
_NUMBER: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def render(report: Report) -> str:
    """Return each table's columns and rows as CSV: quoted where needed, line feeds between rows, no control character in a cell."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for table in report.tables:
        writer.writerow(table.columns)
        writer.writerows([_cell(cell) for cell in row.cells] for row in table.rows)
    return out.getvalue()


def _cell(text: str) -> str:
    harmless = _NUMBER.fullmatch(text) or not _FORMULA.match(text)
    return safe(text if harmless else f"'{text}")
