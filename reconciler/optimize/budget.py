"""The strategy `budget`: slow down before the abandoned calls of 30 days pass the cap. It needs no agents, and only tightens.

With A of L live answers abandoned in the last 30 days, the probability that the share passes the cap is that of
Beta(0.5 + A, 0.5 + L - A) above it. If it is more than 10 %, the rate goes down. How far: with L' answers expected in the next
30 days, the budget allows the share (cap (L + L') - A) / L' for them, and never more than the cap. The rate is cut in the
proportion of this share to the 90 % quantile of today's.

The rate that is cut is the one at which attempts were really made in the busiest hour: where lines are the limit, they were fewer than
the dial rate allows, and a cut of that alone would change nothing.

A cut in proportion is enough. Without dialing nothing is abandoned, and the abandoned share rises faster than the rate while
agents are mostly free (`pacing.queueing`); so half the rate abandons at most half the share. One proposal cuts the rate to half
at most: look again after a week.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from reconciler.optimize import abandonment
from reconciler.optimize.base import (
    RATE,
    Advice,
    Change,
    Context,
    Declined,
    Evidence,
    Proposal,
    Subject,
)
from reconciler.optimize.observations import MONTH, last_month
from reconciler.optimize.wording import percent, rounded_down, setting

NAME: Final = "budget"
NEEDS: Final = "answers and abandons of the last 30 days; no agents"
PROMISES: Final = "a lower dial rate if the abandoned share of 30 days exceeds pacing.abandonment_cap with more than 10 % probability; never a higher one"
LOOK_BACK: Final = MONTH

LEAST_ANSWERS: Final = 50
"""Fewest answers for a proposal."""

ALARM: Final = 0.1
"""Probability of passing the cap, above which the rate goes down."""

LARGEST_CUT: Final = 0.5
"""Smallest part of the rate that one proposal leaves."""


def propose(subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Return a lower rate for each subject whose abandonment is likely to pass the cap."""
    return tuple(_advise(subject, context) for subject in subjects)


def _advise(subject: Subject, context: Context) -> Advice:
    counted = [each for each in subject.observed if each.abandons is not None]
    evidence = last_month(counted, context.now)
    current, cap = subject.dial_rate, subject.pacing.abandonment_cap
    if current is None:
        reason = f"{subject.kind} has no rate in calls/s: use --strategy ratio"
        return Declined(subject.key, subject.name, reason)
    if evidence.answers < LEAST_ANSWERS:
        reason = f"too little data: {evidence.answers:,} answers were observed in the last 30 days, and {LEAST_ANSWERS} are needed"
        if unknown := last_month(subject.observed, context.now).uncounted:
            reason += f"; {unknown:,} others do not count, because the number of abandoned ones among them is unknown"
        return Declined(subject.key, subject.name, reason)
    risk = abandonment.passes(evidence, cap)
    seen = f"{evidence.abandons:,} of {evidence.answers:,} answers ({percent(evidence.abandons / evidence.answers)}) were abandoned in the last 30 days; the probability that this share passes the cap of {setting(cap)} is {percent(risk)}"
    if risk <= ALARM:
        return Declined(subject.key, subject.name, f"{seen}; nothing to change")
    dialed = last_month((each for each in counted if each.attempts), context.now).hours
    allowed = _allowed(evidence, _expected(subject, evidence, dialed), cap)
    part = max(allowed / abandonment.quantile(evidence, 1 - ALARM), LARGEST_CUT)
    return Proposal(
        subject.key,
        subject.name,
        (Change(RATE, current, rounded_down(min(current, _placed(subject, context)) * part)),),
        f"{seen}; the next 30 days may have at most {percent(allowed)}",
        evidence,
        notes=_notes(allowed, part),
    )


def _expected(subject: Subject, evidence: Evidence, dialed: int) -> float:
    """Return the answers to expect in the next 30 days: as many per open hour as in the dialed hours."""
    week = sum(each.share for each in subject.open_hours)
    return evidence.answers / max(dialed, 1) * week * (MONTH / timedelta(weeks=1))


def _placed(subject: Subject, context: Context) -> float:
    """Return the attempts per second of the busiest hour of the last 30 days."""
    start = context.now - MONTH
    return (
        max(each.attempts for each in subject.observed if start <= each.start < context.now) / 3600
    )


def _allowed(evidence: Evidence, expected: float, cap: float) -> float:
    """Return the share of the expected answers that may be abandoned, from 0 to the cap."""
    if not expected:
        return cap
    left = cap * (evidence.answers + expected) - evidence.abandons
    return min(max(left / expected, 0.0), cap)


def _notes(allowed: float, part: float) -> tuple[str, ...]:
    if not allowed:
        return ("The abandoned calls have used up the next 30 days as well: consider to stop dialing, and look for the cause.",)  # fmt: skip
    if part == LARGEST_CUT:
        return ("This is the largest cut of one proposal: look again after a week.",)
    return ()
