"""The first screen of a long report: the verdict and the worst rows, for a reviewer with one minute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.report import Report, Risk, Row
from reconciler.report.fields import shortened

LINES: Final = 40
"""Lines of the first screen."""

CHARACTERS: Final = 3000
"""Characters of the first screen."""

MOST_ROWS: Final = 10
"""Rows that the first screen holds."""

WIDEST: Final = 220
"""Characters of a row on the first screen."""


class Worst(NamedTuple):
    """The rows of the first screen, in the order of the report.

    Attributes:
        rows: at most `MOST_ROWS`.
        total: how many rows compete for these places.
    """

    rows: tuple[Row, ...]
    total: int

    @property
    def title(self) -> str:
        """Heading of the rows; it says how many follow."""
        more = self.total - len(self.rows)
        follow = (
            f"{more} more follow{'s' if more == 1 else ''} below" if more else "each in full below"
        )
        return f"Worst first ({len(self.rows)} of {self.total} rows; {follow})"


def worst(report: Report) -> Worst:
    """Return the worst rows of a report.

    The worst row of each class has a place, so that many loosenings of one kind hide neither a retirement nor a loosening of
    another kind.
    """
    rows = [row for table in report.tables for row in table.rows if row.seat is not None]
    rows.sort(key=lambda row: row.seat or (Risk.REST, 0))
    return Worst(tuple(_seated(rows)), len(rows))


def _seated(rows: Sequence[Row]) -> Iterable[Row]:
    """Return the rows that have a place: the first of each risk, then the first of each class within it, then the worst others."""
    seats = [row.seat or (Risk.REST, 0) for row in rows]
    chosen = [*_firsts([risk for risk, _ in seats]), *_firsts(seats), *range(len(rows))]
    return (rows[index] for index in sorted([*dict.fromkeys(chosen)][:MOST_ROWS]))


def _firsts(classes: Sequence[object]) -> Iterable[int]:
    """Return the index of the first of each class."""
    first: dict[object, int] = {}
    for index, each in enumerate(classes):
        first.setdefault(each, index)
    return first.values()


def fits(text: str) -> bool:
    """Return whether a whole output is one screen."""
    return len(text) <= CHARACTERS and text.count("\n") <= LINES


_HEADS: Final = (110, 64, 64, 64, 36, 20, 12, 12, 8, 8)
_BRIEFS: Final = (WIDEST, 180, 160, 140, 115, 115, 115, 95, 95, 60)
"""The change keeps its room longer than the name, which stands whole in the table below."""


def lengths(head: str, brief: str) -> Iterator[tuple[str, str]]:
    """Yield what a row is about and what changes, shorter each time, until a renderer has room for both."""
    for longest_head, longest_brief in zip(_HEADS, _BRIEFS, strict=True):
        yield shortened(head, longest_head), shortened(brief, longest_brief)
