"""The brief's rule: dial slower when answers fall below the target, faster when they rise above it.

Read this before you use it. The rule lowers the rate when answers fall, and that is the wrong way round for
abandonment: live persons per second are dial rate times answer rate, so when answers rise and the rule dials faster
still, the agents are flooded twice over, and when answers fall they sit idle. Its floor alone, 1 call/s, keeps 45 agents
busy at 25 % answers and 180 s a call (1 x 0.25 x 180), so it suits no small team. It is here because the brief names it.
It looks at answers per attempt of the last 13 weeks and at nothing else: `veto` declines what would let abandonment pass the cap.

There is no proposal if the rule's limits of 1 to 50 calls/s reverse its direction (0.5 "lowered" to 1.0, 60 "raised" to
50), nor above the tenant's limit: a number that contradicts its reason is worse than none.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from reconciler import pacing
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
from reconciler.optimize.observations import recent, too_few, unjudged
from reconciler.optimize.wording import setting

NAME: Final = "step"
NEEDS: Final = "--target-answer-rate; attempts and answers"
PROMISES: Final = "a dial rate 15 % lower when the answer rate is below 0.9 x the target, and 15 % higher above 1.1 x: a simple rule to compare others with. For abandonment the rule is the wrong way round, so a raise is declined while abandonment exceeds pacing.abandonment_cap"
LOOK_BACK: Final = timedelta(days=7)

LEAST_ATTEMPTS: Final = 200
"""Fewest attempts for a proposal."""

DIGITS: Final = 12
"""Significant digits of a proposed rate; further digits are rounding errors of binary fractions."""


def propose(subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Apply the rule to each subject; see `pacing.step` for the numbers.

    Raises:
        ValueError: the target is not above 0 and at most 1.
    """
    target = context.target_answer_rate
    if target is None or not 0 < target <= 1:
        raise ValueError(f"a target answer rate is above 0 and at most 1: {target}")
    return tuple(_advise(subject, target, context.now) for subject in subjects)


def _advise(subject: Subject, target: float, now: datetime) -> Advice:
    evidence = Evidence.of(recent(subject.observed, now))
    current = subject.dial_rate
    if current is None:
        return Declined(subject.key, subject.name, _without_a_rate(subject, evidence))
    unusable = _unusable(evidence) or too_few(subject, now, LEAST_ATTEMPTS)
    if unusable:
        return Declined(subject.key, subject.name, unusable)
    proposed = _written(pacing.step(current, evidence.answer_rate, target))
    side = pacing.leaning(evidence.answer_rate, target)
    observed = _observed(evidence, target, side)
    unseen = unjudged(subject, RATE, now, LEAST_ATTEMPTS) if side else None
    objection = unseen or _objection(current, proposed, side, subject.ceilings.get(RATE))
    if objection:
        return Declined(subject.key, subject.name, f"{observed}; {objection}")
    return Proposal(
        key=subject.key,
        name=subject.name,
        changes=(Change(RATE, current, proposed),),
        reason=f"{observed}: {'slower' if side < 0 else 'faster'} by the step rule",
        evidence=evidence,
    )


def _without_a_rate(subject: Subject, evidence: Evidence) -> str:
    """Return what was observed of an object without a dial rate. The rule can propose nothing for it."""
    seen = "nothing was observed"
    if evidence.attempts and evidence.answers:
        seen = f"{setting(evidence.answer_rate)} of {evidence.attempts:,} attempts were answered and {_abandoned(evidence)} of those abandoned"
    return f"{subject.kind} has no rate in calls/s, so there is nothing to propose; in {evidence.hours} hour{'s' * (evidence.hours != 1)} {seen}"


def _abandoned(evidence: Evidence) -> str:
    return setting(evidence.abandons / evidence.counted) if evidence.counted else "an unknown share"


def _written(rate: float) -> float:
    """Return a rate rounded for display: 3.45, where 3 x 1.15 in binary is 3.4499999999999997."""
    return float(f"{rate:.{DIGITS}g}")


def _unusable(evidence: Evidence) -> str | None:
    if not 0 <= evidence.answers <= evidence.attempts:
        return f"{evidence.answers} answers to {evidence.attempts} attempts: answers cannot exceed attempts; check the metrics"
    return None


def _observed(evidence: Evidence, target: float, side: int) -> str:
    where = {-1: "below 0.9 times", 0: "within 10 % of", 1: "above 1.1 times"}[side]
    return f"{setting(evidence.answer_rate)} of {evidence.attempts:,} attempts were answered, {where} the target of {setting(target)}"


def _objection(current: float, proposed: float, side: int, ceiling: float | None) -> str | None:
    """Return why the rule's number must not be proposed; `None` when it may be."""
    if side == 0:
        return "nothing to change"
    if side < 0 and proposed >= current:
        return f"the rule never proposes less than {pacing.SLOWEST:g} calls/s, and the rate is {current:g}"
    if side > 0 and proposed <= current:
        return f"the rule never proposes more than {pacing.FASTEST:g} calls/s, and the rate is {current:g}"
    if ceiling is not None and proposed > ceiling:
        return f"{proposed:g} calls/s would be above the tenant's limit of {ceiling:g}"
    return None
