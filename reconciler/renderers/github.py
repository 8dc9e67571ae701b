"""A report as annotations of a GitHub Actions run: each problem appears at its line of the pull request.

One line for the verdict, one for each warning or error, one notice for every other row that must be shown. GitHub shows ten annotations
of each kind for a step. The rest stay in the step's log, and the verdict, which comes first, says how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from reconciler.errors import Place, safe
from reconciler.report import Report, Row, Table, Tone

_COMMANDS = {Tone.BAD: "error", Tone.WARN: "warning"}
_NOTICE = "notice"

_SHOWN = 10
"""Annotations of each kind that GitHub shows for a step."""


def render(report: Report) -> str:
    """Return one workflow command a line: the verdict, then the rows that warn or must be shown, most important table first."""
    rows = [
        (table, row)
        for table in report.tables
        for row in table.rows
        if row.tone in _COMMANDS or row.must_show
    ]
    kind = _COMMANDS.get(report.tone, _NOTICE)
    kinds = Counter([kind, *(_COMMANDS.get(row.tone, _NOTICE) for _, row in rows)])
    hidden = sum(max(0, number - _SHOWN) for number in kinds.values())
    more = f"{hidden} further rows that must be seen are in the log of this step" if hidden else ""
    verdict = _command(kind, report.title, list(filter(None, [report.verdict, more])))
    return "\n".join([verdict, *(_row(table, row) for table, row in rows)]) + "\n"


def _row(table: Table, row: Row) -> str:
    command = _COMMANDS.get(row.tone, _NOTICE)
    return _command(command, table.title, [row.text, *row.details], row.place)


def _command(command: str, title: str, message: Sequence[str], place: Place | None = None) -> str:
    properties = ",".join(f"{name}={_property(value)}" for name, value in _where(place, title))
    return f"::{command} {properties}::{'%0A'.join(map(_data, message))}"


def _where(place: Place | None, title: str) -> Iterator[tuple[str, str]]:
    if place is not None:
        yield "file", place.file
        if place.line:
            yield "line", str(place.line)
        if place.column:
            yield "col", str(place.column)
    yield "title", title


def _data(text: str) -> str:
    """Escape a message. `safe` has shown every control character before, so only the escape sign itself is left."""
    return safe(text).replace("%", "%25")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
