"""The veto: no proposal of any strategy loosens while abandonment reaches the cap.

A proposal loosens if one of its values lets the dialer make more calls. It is not made if

- the 90 % interval of the predicted abandonment reaches `pacing.abandonment_cap`, or
- the share that was abandoned in the last 30 days reaches it, unless the prediction says that less will be abandoned than now, or
- nothing can be predicted, and the 90 % interval of the observed share reaches it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from reconciler.optimize import abandoned
from reconciler.optimize.base import (
    CALLS,
    RATE,
    RATIO,
    THRESHOLD,
    Advice,
    Change,
    Declined,
    Prediction,
    Proposal,
    Subject,
)
from reconciler.optimize.observed import last_month
from reconciler.optimize.wording import between, clock, percent, setting

MORE_CALLS: Final = (RATE, CALLS, RATIO, THRESHOLD)
"""Fields whose higher values let the dialer make more calls."""


def judge(advice: Advice, subject: Subject, now: datetime) -> Advice:
    """Return the advice, or that it is declined, with the proposal that is not made.

    Args:
        advice: of any strategy.
        subject: its object.
        now: the platform's clock.
    """
    if isinstance(advice, Declined):
        return advice
    why = objection(advice, subject, now)
    if why is None:
        return advice
    reason = f"{advice.reason}; not proposed, because {why}"
    return Declined(advice.key, advice.name, reason, advice)


def _loosens(change: Change) -> bool:
    return change.field in MORE_CALLS and float(change.proposed) > float(change.current)


def objection(proposal: Proposal, subject: Subject, now: datetime) -> str | None:
    """Return why a proposal must not be made; `None` if it may be, or does not loosen."""
    if not any(map(_loosens, proposal.changes)):
        return None
    cap = subject.pacing.abandonment_cap
    if proposal.after is not None and proposal.after.abandonment.high >= cap:
        return f"{_predicted(proposal.before, proposal.after)}, and the cap is {setting(cap)}"
    month = last_month(subject.observed, now)
    if month.abandons >= cap * max(month.answers, 1) and not _calms(proposal):
        share = percent(month.abandons / month.answers)
        return f"{month.abandons} of {month.answers} answers ({share}) were abandoned in the last 30 days, and the cap is {setting(cap)}"
    seen = proposal.evidence
    if proposal.after is None and (most := abandoned.interval(seen).high) >= cap:
        return f"abandonment cannot be predicted without agents and handle time, and by {seen.answers} observed answers it may be {percent(most)}, with a cap of {setting(cap)}"
    return None


def _calms(proposal: Proposal) -> bool:
    """Return whether less is predicted to be abandoned than now: fewer lines can calm what a higher rate alone would not."""
    before, after = proposal.before, proposal.after
    if before is None or after is None:
        return False
    pairs = zip(after.abandonment, before.abandonment, strict=True)
    return all(then < now for then, now in pairs)


def _predicted(before: Prediction | None, after: Prediction) -> str:
    hour = f" on {clock(after.binding)}" if after.binding else ""
    start = f" from {percent(before.abandonment.mean)}" if before else ""
    return f"abandonment{hour} would go{start} to {between(after.abandonment)}"
