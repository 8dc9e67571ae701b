"""The veto: no proposal of any strategy loosens while abandonment reaches the cap.

A proposal loosens if one of its values lets the dialer make more calls. It is not made if

- the 90 % interval of the predicted abandonment reaches `pacing.abandonment_cap`, or
- the share that was abandoned in the last 30 days reaches it, unless the prediction says that less will be abandoned than now, or
- nothing can be predicted, and the 90 % interval of the share that was abandoned in the last 30 days reaches it. Without any hour
  whose abandoned calls are known, it does: what nobody counted is not nothing.

Nor is a proposal made that loosens a schedule which never opens: nothing can be predicted of it.
"""

from __future__ import annotations

from dataclasses import replace
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
    Evidence,
    Prediction,
    Proposal,
    Subject,
)
from reconciler.optimize.observed import last_month
from reconciler.optimize.wording import between, clock, percent, setting

MORE_CALLS: Final = (RATE, CALLS, RATIO, THRESHOLD)
"""Fields whose higher values let the dialer make more calls."""

UNCOUNTED: Final = "Nobody knows how many calls were abandoned in the last 30 days, so nothing observed confirms the prediction."
"""What somebody must know who merges a proposal that loosens."""


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
        return _unconfirmed(advice, subject, now)
    reason = f"{advice.reason}; not proposed, because {why}"
    return Declined(advice.key, advice.name, reason, advice)


def _unconfirmed(proposal: Proposal, subject: Subject, now: datetime) -> Proposal:
    """Return a proposal with a note if it loosens and only a prediction speaks for it."""
    if last_month(subject.observed, now).counted or not any(map(_loosens, proposal.changes)):
        return proposal
    return replace(proposal, notes=(*proposal.notes, UNCOUNTED))


def _loosens(change: Change) -> bool:
    return change.field in MORE_CALLS and float(change.proposed) > float(change.current)


def objection(proposal: Proposal, subject: Subject, now: datetime) -> str | None:
    """Return why a proposal must not be made; `None` if it may be, or does not loosen."""
    if not any(map(_loosens, proposal.changes)):
        return None
    if not subject.open_hours:
        return "the schedule opens at no hour of the next 400 days"
    cap = subject.pacing.abandonment_cap
    if proposal.after is not None and proposal.after.abandonment.high >= cap:
        return f"{_predicted(proposal.before, proposal.after)}, and the cap is {setting(cap)}"
    month = last_month(subject.observed, now)
    if month.abandons >= cap * max(month.counted, 1) and not _calms(proposal):
        share = percent(month.abandons / month.counted)
        return f"{month.abandons} of {month.counted} answers ({share}) were abandoned in the last 30 days, and the cap is {setting(cap)}"
    return _unpredicted(month, cap) if proposal.after is None else None


def _unpredicted(month: Evidence, cap: float) -> str | None:
    """Return why a proposal must not be made of which nothing is predicted; `None` if it may be."""
    most = abandoned.interval(month).high
    if most < cap:
        return None
    unknown = "abandonment cannot be predicted without agents and handle time"
    if not month.counted:
        return f"{unknown}, and nobody knows how many calls were abandoned in the last 30 days"
    return f"{unknown}, and by {month.counted} answers of the last 30 days it may be {percent(most)}, with a cap of {setting(cap)}"


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
