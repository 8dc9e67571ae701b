"""Rates of a dialer: observations, and formulas for them. Numbers in, numbers out.

Three formulas are taken unchanged from the product's brief. The docstrings of two of them list known objections: they are
not queueing theory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

LOW, HIGH = 0.9, 1.1
"""Factors of the target answer rate between which `step` keeps the dial rate."""

SLOWER, FASTER = 0.85, 1.15
"""Factors by which `step` changes a dial rate, below and above the band."""

SLOWEST, FASTEST = 1.0, 50.0
"""Lowest and highest dial rate of `step`, in calls per second."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Observations of an object in one hour. `start` is UTC; means are over the hour.

    Attributes:
        attempts, answers: counts; `answers` are live persons.
        abandons: answers that no agent took in time; `None` when unknown, which is not the same as none.
        agents, handle_time_s: hourly means; `None` when unknown.
    """

    start: datetime
    attempts: int
    answers: int
    abandons: int | None = None
    agents: float | None = None
    handle_time_s: float | None = None


def during(
    buckets: Iterable[Bucket], start: datetime | None, end: datetime | None
) -> tuple[Bucket, ...]:
    """Return the hours that start in [start, end); `None` is unbounded. Both bounds carry a zone."""
    return tuple(
        bucket
        for bucket in buckets
        if (start is None or bucket.start >= start) and (end is None or bucket.start < end)
    )


def project_answer_rate(dial_rate: float, historical: float) -> float:
    """Return the answer rate to expect at a dial rate: ``historical / (1 + 0.3 * dial_rate / 100)``.

    The formula is the brief's. No other source for it was found: it takes 0.3 % off at 1 call/s and 13 % off at
    50 calls/s, whatever the agents, the hour or the list. Read it as a label on a proposal, not as a forecast.

    Args:
        dial_rate: calls per second.
        historical: observed answers per attempt, 0 to 1.

    >>> project_answer_rate(50, 0.23)
    0.2
    """
    return historical / (1 + 0.3 * dial_rate / 100)


def activation_latency(stored_at: str, activated_at: str) -> float:
    """Return the seconds between storing a schedule and the dialer loading it.

    Both instants are by the platform's clock. A negative result is returned as it is: the dialer loaded another schedule, or
    the platform's clock was set back.

    Args:
        stored_at: ISO 8601 with an offset, as the platform wrote it (a schedule's `updated_at`).
        activated_at: the same, from the dialer.

    Raises:
        ValueError: one of them is not an ISO 8601 instant, or has no offset.

    >>> activation_latency("2027-01-11T14:00:00Z", "2027-01-11T09:00:01.250-05:00")
    1.25
    """
    return (_instant(activated_at) - _instant(stored_at)).total_seconds()


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"an instant needs an offset from UTC: {text!r}")
    return moment


def leaning(answer_rate: float, target: float) -> int:
    """Return the side of the band around the target on which an answer rate lies: -1 below, 0 within, 1 above."""
    return (answer_rate > HIGH * target) - (answer_rate < LOW * target)


def step(dial_rate: float, answer_rate: float, target: float) -> float:
    """Return the next dial rate by the product brief's step rule, in calls per second.

    Below ``0.9 * target``: ``max(1, 0.85 * dial_rate)``. Above ``1.1 * target``: ``min(50, 1.15 * dial_rate)``. Else
    the dial rate, unchanged. For a dial rate outside 1 to 50 the limits can reverse the direction (0.5 is "lowered" to
    1.0), so a caller must check the direction of the result (`reconciler.optimize.step` does).

    For abandonment the rule works in the wrong direction. Live answers per second are ``dial_rate * answer_rate``. When
    more people answer, the rule dials even faster, and agents who were just busy enough are flooded.

    Args:
        dial_rate: calls per second.
        answer_rate: observed answers per attempt, 0 to 1.
        target: the answer rate to keep, 0 to 1.

    >>> step(20.0, 0.10, 0.25), step(20.0, 0.25, 0.25), step(20.0, 0.40, 0.25)
    (17.0, 20.0, 23.0)
    """
    side = leaning(answer_rate, target)
    if side < 0:
        return max(SLOWEST, SLOWER * dial_rate)
    if side > 0:
        return min(FASTEST, FASTER * dial_rate)
    return dial_rate
