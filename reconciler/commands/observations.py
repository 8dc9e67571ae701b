"""A CSV file of observations (`optimize --metrics`). Rows that cannot be read are reported; all others are used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from reconciler.errors import ManifestError, Problem, UsageError
from reconciler.optimize import metrics
from reconciler.optimize.metrics import Metrics
from reconciler.report import NAMES_SHOWN, count

MOST_BYTES: Final = 300 * 10**6
"""Largest file: 13 weeks of 2,000 campaigns fit into it."""


def read(path: Path) -> Metrics:
    """Return the observed hours of a CSV file. A byte that is not UTF-8 affects only its own row.

    Raises:
        ManifestError: no row can be used; lists the first problems.
        UsageError: the file cannot be read, or has no end.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{path} is larger than {MOST_BYTES // 10**6} MB: leave out old hours")
    found = metrics.parse(data.decode(errors="replace"), str(path))
    if not found.observed:
        raise ManifestError(_first(found.problems))
    return found


def notes(path: Path, found: Metrics, known: Collection[str]) -> Iterator[str]:
    """Yield a note on the columns, rows and objects of a file that are not used.

    Args:
        path: the file.
        found: its content.
        known: ids that a manifest claims.
    """
    if found.ignored:
        columns = ", ".join(metrics.REQUIRED + metrics.OPTIONAL)
        yield f"{path}: unknown columns are ignored: {_some(found.ignored)}; known are {columns}"
    if "abandons" in found.absent:
        yield f"{path}: without a column abandons, the number of abandoned calls is unknown"
    if found.problems:
        rows = len({problem.place.line for problem in found.problems})
        yield f"{path}: {count(rows, 'row')} left out; all others are used"
        yield from map(str, _first(found.problems))
    strange = [key for key in found.observed if key not in known]
    if strange:
        yield f"{path}: rows of ids that no manifest has are not used: {_some(strange)}"


def _first(problems: tuple[Problem, ...]) -> list[Problem]:
    """Return at most `NAMES_SHOWN` problems; where there are more, one more with their number."""
    shown, rest = list(problems[:NAMES_SHOWN]), problems[NAMES_SHOWN:]
    if rest:
        shown.append(Problem(rest[0].place, f"{count(len(rest), 'more problem')} from here on"))
    return shown


def _some(names: Collection[str]) -> str:
    shown = ", ".join([*names][:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
