"""Measured signals from a CSV: text in, hours of each object and every problem by line out.

    campaign_id,start,attempts,answers,abandons,agents,handle_time_s
    1001,2027-01-11T14:00:00Z,3600,720,14,60,181.5

The first four columns are required, in any order; an empty cell of the others means unknown. `start` is a whole hour in
ISO 8601 with its offset. Numbers are plain: a decimal point, no thousands separators. `handle_time_s` may also be a duration:
`PT3M1.5S` or `00:03:01`. The columns may have the names that the platforms give them: `skill_id`, `dials`, `connects` (`NAMES`).

A row is one line. A row that cannot be read is left out and named, and all others are used. An unknown column is ignored and named.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler import scalars
from reconciler.errors import Place, Problem
from reconciler.pacing import Bucket

REQUIRED = ("campaign_id", "start", "attempts", "answers")
OPTIONAL = ("abandons", "agents", "handle_time_s")

NAMES: Mapping[str, str] = {
    **{name: name for name in REQUIRED + OPTIONAL},
    "campaignid": "campaign_id",
    "skill_id": "campaign_id",
    "skillid": "campaign_id",
    "intervalstartdate": "start",
    "dials": "attempts",
    "connects": "answers",
    "connectsaht": "handle_time_s",
}
"""Columns by the names that they may have, in lower case: the names above, and those of the platforms' own answers."""

_COUNT = re.compile(r"[0-9]{1,12}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")
_LINE_END = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True)
class Metrics:
    """The content of a file of metrics.

    Attributes:
        observed: hours by the object's id, sorted by start; only rows without a problem.
        problems: why rows are left out, by line. Without any `observed` hour, why the file cannot be used.
        ignored: the unknown columns, as the file names them.
        absent: optional columns that the file has not.
    """

    observed: Mapping[str, tuple[Bucket, ...]]
    problems: tuple[Problem, ...]
    ignored: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def parse(text: str, file: str) -> Metrics:
    """Parse a CSV of metrics. Never raises: problems are part of the result.

    Args:
        text: the whole file, decoded.
        file: its name, for the problems.
    """
    reading = _Reading(file)
    reading.read(text.removeprefix("\ufeff"))
    return reading.result()


class _Reading:
    """One pass over one file."""

    def __init__(self, file: str) -> None:
        self._line = 1
        self._file = file
        self._hours: dict[str, dict[datetime, Bucket]] = {}
        self._problems: list[Problem] = []
        self._ignored: tuple[str, ...] = ()
        self._absent: tuple[str, ...] = ()

    def read(self, text: str) -> None:
        rows = self._rows(text)
        header = next(rows, None)
        if header is None:
            self._complain(
                f"the file is empty: its first line names the columns {_names(REQUIRED)}"
            )
            return
        columns = [NAMES.get(name.lower()) for name in header]
        if self._accepts(header, columns):
            for row in rows:
                self._row(columns, row)
            if not (self._hours or self._problems):
                self._complain("there are no rows below the names of the columns")

    def _rows(self, text: str) -> Iterator[list[str]]:
        """Yield the rows that are not blank. Each is one line: so an unbalanced quote spoils no row but its own."""
        for self._line, line in enumerate(_LINE_END.split(text), start=1):
            try:
                (row,) = csv.reader([line], strict=True)
            except csv.Error as error:
                self._complain(f"this is not CSV: {error}")
            else:
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield cells

    def _complain(self, message: str) -> None:
        self._problems.append(Problem(Place(self._file, self._line, 1), message))

    def result(self) -> Metrics:
        observed = {
            key: tuple(hours[start] for start in sorted(hours))
            for key, hours in sorted(self._hours.items())
        }
        return Metrics(observed, tuple(sorted(self._problems)), self._ignored, self._absent)

    def _accepts(self, header: Sequence[str], columns: Sequence[str | None]) -> bool:
        self._ignored = tuple(
            name for name, column in zip(header, columns, strict=True) if column is None
        )
        self._absent = tuple(name for name in OPTIONAL if name not in columns)
        missing = [name for name in REQUIRED if name not in columns]
        twice = sorted({name for name in columns if name and columns.count(name) > 1})
        if missing:
            self._complain(_lacking(header, missing))
        if twice:
            self._complain(f"the first line names {_names(twice)} more than once")
        return not (missing or twice)

    def _row(self, columns: Sequence[str | None], row: Sequence[str]) -> None:
        if len(row) != len(columns):
            self._complain(f"{len(row)} values, but the first line names {len(columns)} columns")
            return
        cells = {name: cell for name, cell in zip(columns, row, strict=True) if name}
        found = list(_problems(cells))
        for message in found:
            self._complain(message)
        if not found:
            self._keep(cells["campaign_id"], _bucket(cells))

    def _keep(self, key: str, bucket: Bucket) -> None:
        hours = self._hours.setdefault(key, {})
        if bucket.start in hours:
            hour = bucket.start.isoformat()
            self._complain(f"{key} already has the hour {hour} on an earlier line")
        hours.setdefault(bucket.start, bucket)


def _problems(cells: Mapping[str, str]) -> Iterator[str]:
    bad = False
    for name, cell in cells.items():
        expected = None if name in OPTIONAL and not cell else _expected(name, cell)
        if expected:
            bad = True
            yield f"{name} must be {expected}, not {cell[:40]!r}"
    if not bad:
        yield from _contradictions(_bucket(cells))


def _expected(name: str, cell: str) -> str | None:
    """Return the expected format of a cell; `None` when the cell is valid."""
    accepts, expected = _COLUMNS[name]
    return None if accepts(cell) else expected


def _contradictions(bucket: Bucket) -> Iterator[str]:
    if bucket.answers > bucket.attempts:
        yield f"{bucket.answers} answers to {bucket.attempts} attempts: answers cannot exceed attempts"
    if bucket.abandons is not None and bucket.abandons > bucket.answers:
        yield f"{bucket.abandons} abandons of {bucket.answers} answers: abandons cannot exceed answers"


def _bucket(cells: Mapping[str, str]) -> Bucket:
    return Bucket(
        start=scalars.instant(cells["start"]),
        attempts=int(cells["attempts"]),
        answers=int(cells["answers"]),
        abandons=int(cells["abandons"]) if cells.get("abandons") else None,
        agents=_number(cells.get("agents")),
        handle_time_s=_duration_s(cells.get("handle_time_s")),
    )


def _number(cell: str | None) -> float | None:
    return float(cell) if cell else None


def _duration_s(cell: str | None) -> float | None:
    return scalars.duration_s(cell) if cell else None


def _is_hour(cell: str) -> bool:
    """Whether a cell is an instant, with an offset, on a whole hour of UTC."""
    try:
        return not scalars.instant(cell).timestamp() % 3600
    except ValueError:
        return False


def _is_count(cell: str) -> bool:
    return _COUNT.fullmatch(cell) is not None


def _is_number(cell: str) -> bool:
    return _NUMBER.fullmatch(cell) is not None


def _is_duration(cell: str) -> bool:
    try:
        scalars.duration_s(cell)
    except ValueError:
        return False
    return True


_COLUMNS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "campaign_id": (bool, "the id of a campaign or of a skill"),
    "start": (_is_hour, "a whole hour in ISO 8601 with its offset, like 2027-01-11T14:00:00Z"),
    "attempts": (_is_count, "a whole number from 0 up"),
    "answers": (_is_count, "a whole number from 0 up"),
    "abandons": (_is_count, "a whole number from 0 up"),
    "agents": (_is_number, "a number from 0 up"),
    "handle_time_s": (_is_duration, "a number of seconds, or a duration such as PT3M1.5S"),
}


def _lacking(header: Sequence[str], missing: Sequence[str]) -> str:
    """Return why columns are missing: how spreadsheets save a file, or that nobody named them."""
    line = ",".join(header)
    if "\0" in line or "\ufffd" in line:
        return "the first line is not UTF-8: save the file as CSV in UTF-8"
    for sign, named in ((";", "semicolons"), ("\t", "tabs")):
        if sign in line:
            return f"the first line separates columns by {named}: save the file as CSV with commas, and with points in numbers"
    return f"the first line must also name the columns {_names(missing)}, separated by commas"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)
