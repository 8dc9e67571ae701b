"""Any result → one `Report` value, which every renderer can show.

text, markdown, html and github render the tables; json dumps `data`. Six results times five formats would be thirty
functions; with this seam it is six and five.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.errors import Place


class Tone(StrEnum):
    """How a line should strike the eye; a renderer decides what that means."""

    PLAIN = "plain"
    GOOD = "good"
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    WARN = "warn"
    BAD = "bad"
    DIM = "dim"

    @property
    def symbol(self) -> str:
        """The mark that stands for it where there is no colour; a space for what needs none."""
        return _SYMBOLS.get(self, " ")


_SYMBOLS = {
    Tone.GOOD: "=",
    Tone.ADD: "+",
    Tone.CHANGE: "~",
    Tone.REMOVE: "-",
    Tone.WARN: "!",
    Tone.BAD: "!",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: raw, unescaped cells, and lines of detail that belong under it.

    Attributes:
        cells: as many as the table has columns; missing ones are empty.
        place: where to look, when it is about a file: a renderer shows it beside or under the row, so no cell repeats it.
    """

    cells: tuple[str, ...]
    tone: Tone = Tone.PLAIN
    details: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. Columns that explain themselves are named with empty text: when all are, no header is shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a command, ready for any renderer.

    Attributes:
        title: what was asked, e.g. "Plan for tenant acme".
        verdict: the answer in one sentence; always shown, whatever is cut.
        tone: of the verdict.
        exit_code: DESIGN §7.
        tables: in order of importance.
        notes: sentences after the tables.
        facts: short names and values that every format shows (digest, commit, clock).
        data: the result itself, JSON values only, for machines.
    """

    title: str
    verdict: str
    tone: Tone
    exit_code: int
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, str] | None = None
    data: Any = None
