"""A report as annotations of a GitHub Actions run: what is wrong appears at its line of the pull request.

One line a warning or error, one for whatever else nobody may overlook (a notice), one for the verdict. GitHub shows ten annotations of each kind a step; the rest stay in
the log, so this format goes beside a step summary (`markdown`) and does not replace it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from reconciler.errors import Place, safe
from reconciler.report import Report, Row, Table, Tone

_COMMANDS = {Tone.BAD: "error", Tone.WARN: "warning"}
_NOTICE = "notice"


def render(report: Report) -> str:
    """Return one workflow command a line: the rows that warn or must be shown, most important table first, and the verdict last."""
    lines = [
        _row(table, row)
        for table in report.tables
        for row in table.rows
        if row.tone in _COMMANDS or row.must_show
    ]
    verdict = _COMMANDS.get(report.tone, _NOTICE)
    lines.append(_command(verdict, report.title, [report.verdict]))
    return "\n".join(lines) + "\n"


def _row(table: Table, row: Row) -> str:
    # The command says the level, and GitHub shows it.
    cells = [cell for name, cell in zip_longest(table.columns, row.cells) if name != "level"]
    message = [": ".join(filter(None, cells)), *row.details]
    return _command(_COMMANDS.get(row.tone, _NOTICE), table.title, message, row.place)


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
