"""Figures of a table: medians of the rounds' ratios, with the least and the greatest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from processes import Run

Row = tuple[str, str, str, str]
"""What, its ground, what was measured, the goal."""

EMPTY = "empty ledger"


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes:
        small, large: manifests of the two plans.
        rounds: of every comparison; `starts` for each start of a process.
        changes: that are applied; `cut` by the client to beat.
        objects: manifests of the tenants with a history.
        short, long, longest: records of their ledgers.
        campaigns: of the tenant whose stop is timed; `silenced` by `--all`.
        again: changes of each of the applies in a row; `in_a_row`: how many.
    """

    small: int
    large: int
    rounds: int
    starts: int
    changes: int
    cut: int
    objects: int
    short: int
    long: int
    longest: int
    campaigns: int
    silenced: int
    again: int
    in_a_row: int


FULL = Size(
    small=1000,
    large=10_000,
    rounds=5,
    starts=15,
    changes=1000,
    cut=100,
    objects=1000,
    short=10_000,
    long=100_000,
    longest=300_000,
    campaigns=1000,
    silenced=300,
    again=2000,
    in_a_row=5,
)
QUICK = Size(
    small=20,
    large=60,
    rounds=1,
    starts=1,
    changes=6,
    cut=8,
    objects=12,
    short=300,
    long=600,
    longest=800,
    campaigns=12,
    silenced=4,
    again=6,
    in_a_row=2,
)


def ratio(ours: Iterable[Run], theirs: Iterable[Run], *, by: float = 1.0) -> str:
    """Return the median of the rounds' ratios of wall time, their range, and the same of CPU time."""
    pairs = list(zip(ours, theirs, strict=True))
    walls = sorted(a.wall_s / b.wall_s / by for a, b in pairs)
    cpu = median(a.cpu_s / b.cpu_s / by for a, b in pairs)
    return (
        f"{_spread(walls)[:-1]}; CPU {cpu:.2f})"
        if len(walls) > 1
        else f"{walls[0]:.2f} (CPU {cpu:.2f})"
    )


def costs(ours: Sequence[Run], theirs: Sequence[Run]) -> str:
    """Return the ratio of CPU time, with the range of the rounds' ratios, and the median ratio of peak memory.

    The ratio is the least time of ours ÷ the least of theirs: what else runs on the machine can only add to either.
    """
    pairs = list(zip(ours, theirs, strict=True))
    cpu = min(each.cpu_s for each in ours) / min(each.cpu_s for each in theirs)
    ratios = sorted(a.cpu_s / b.cpu_s for a, b in pairs)
    span = f" (rounds: {ratios[0]:.2f} to {ratios[-1]:.2f})" if len(ratios) > 1 else ""
    memory = median(a.peak_kib / b.peak_kib for a, b in pairs)
    return f"CPU {cpu:.2f}{span}, memory {memory:.2f}"


def _spread(values: Sequence[float]) -> str:
    span = f" ({values[0]:.2f} to {values[-1]:.2f})" if len(values) > 1 else ""
    return f"{median(values):.2f}{span}"
