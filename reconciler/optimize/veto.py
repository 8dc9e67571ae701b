"""The veto: no proposal of any strategy loosens while abandonment reaches the cap.

A proposal loosens if one of its values lets the dialer make more calls. It is declined if

- the 90 % interval of the predicted abandonment reaches `pacing.abandonment_cap`, or
- the abandoned share of the last 30 days reaches the cap, unless less is predicted to be abandoned than now, or
- much more was abandoned in the last 30 days than agents and handle time explain, so that predictions from them cannot be trusted, or
- the same is true of the hours of the last 13 weeks with more calls than now and no more than proposed: a rate that was tried and taken
  back is not tried again, or
- nothing can be predicted, and the 90 % interval of the abandoned share of the last 30 days reaches the cap. It counts as reached if no
  hour has a known number of abandoned calls, because an unknown number is not zero, or
- the schedule never opens, or its list is at its end, or
- none of the attempts was answered: an answer rate of zero is a fault of the metrics, and would allow any dial rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from math import inf
from typing import Final

from reconciler.optimize import abandonment, outlook
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
from reconciler.optimize.observations import MONTH, WEEKS, last_month, latest_days, recent
from reconciler.optimize.wording import between, clock, percent, setting

MORE_CALLS: Final = (RATE, CALLS, RATIO, THRESHOLD)
"""Fields whose higher values let the dialer make more calls."""

SURPRISING: Final = 2.0
"""How many times more must be abandoned than agents and handle time explain, before no prediction from them is trusted."""

UNCOUNTED: Final = "The number of calls abandoned in the last 30 days is unknown, so no observation confirms the prediction."
"""Note on a loosening proposal, for the reviewer."""


def judge(advice: Advice, subject: Subject, now: datetime) -> Advice:
    """Return the advice, or a `Declined` that contains it.

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
    current, proposed = float(change.current), float(change.proposed)
    if change.field == THRESHOLD:  # 0 limits nothing
        current, proposed = current or inf, proposed or inf
    return change.field in MORE_CALLS and proposed > current


def objection(proposal: Proposal, subject: Subject, now: datetime) -> str | None:
    """Return why a proposal must not be made; `None` if it may be, or does not loosen."""
    if not any(map(_loosens, proposal.changes)):
        return None
    return next(_objections(proposal, subject, now), None)


def _objections(proposal: Proposal, subject: Subject, now: datetime) -> Iterator[str]:
    cap, month = subject.pacing.abandonment_cap, last_month(subject.observed, now)
    seen = Evidence.of(recent(subject.observed, now))
    if not subject.open_hours:
        yield "the schedule opens at no hour of the next 400 days"
    if subject.pacing.list_size == 0:
        yield "the list is at its end (pacing.list_size: 0): load contacts and correct the number"
    if not seen.answers:
        yield f"none of the {seen.attempts:,} observed attempts was answered: check how answers are counted"
    if proposal.after is not None and proposal.after.abandonment.high >= cap:
        yield f"{_predicted(proposal.before, proposal.after)}, and the cap is {setting(cap)}"
    calms = _calms(proposal)
    if month.abandons >= cap * max(month.counted, 1) and not calms:
        share = percent(month.abandons / month.counted)
        yield f"{month.abandons} of {month.counted} answers ({share}) were abandoned in the last 30 days, and the cap is {setting(cap)}"
    if proposal.after is None:
        yield from _unpredicted(month, cap)
    elif not calms:
        yield from filter(None, (surprise(subject, now), _tried(proposal, subject, now)))


def _unpredicted(month: Evidence, cap: float) -> Iterator[str]:
    """Yield why a proposal must not be made of which nothing is predicted."""
    unknown = "abandonment cannot be predicted without agents and handle time"
    most = abandonment.interval(month).high
    if not month.counted:
        yield f"{unknown}, and the number of calls abandoned in the last 30 days is unknown"
    elif most >= cap:
        yield f"{unknown}, and by {month.counted} answers of the last 30 days it may be {percent(most)}, with a cap of {setting(cap)}"


def surprise(subject: Subject, now: datetime) -> str | None:
    """Return that much more was abandoned in the last 30 days than agents and handle time explain; `None` if it was not.

    Args:
        subject: a campaign whose agents and handle time are known.
        now: the platform's clock.
    """
    month = last_month(subject.observed, now)
    if subject.dial_rate is None or month.abandons <= subject.pacing.target_abandonment * month.counted:  # fmt: skip
        return None
    explained = outlook.explained(
        subject, (each for each in subject.observed if now - MONTH <= each.start < now)
    )
    if abandonment.quantile(month, outlook.LOW) <= SURPRISING * explained:
        return None
    seen = percent(month.abandons / month.counted)
    return f"in the last 30 days {seen} of the answers were abandoned, and agents and handle time explain {percent(explained)}: check both, or use --strategy budget, which needs neither"


def _tried(proposal: Proposal, subject: Subject, now: datetime) -> str | None:
    """Return that hours with more calls than now, and no more than proposed, abandoned what nothing explains; `None` if not."""
    latest, rate = latest_days(subject.observed, now), proposal.proposed(RATE)
    if subject.dial_rate is None or not latest:
        return None
    busiest = max(each.attempts for each in latest)
    most = 3600 * float(subject.dial_rate if rate is None else rate)
    known = (each for each in recent(subject.observed, now) if each.abandons is not None)
    tried = [each for each in known if busiest < each.attempts <= most]
    seen, cap = Evidence.of(tried), subject.pacing.abandonment_cap
    if not seen.abandons or (least := abandonment.quantile(seen, outlook.LOW)) <= cap:
        return None
    explained = outlook.explained(subject, tried)
    if least <= SURPRISING * explained:
        return None
    return f"{percent(seen.abandons / seen.answers)} of the answers were abandoned in the {seen.hours} hours of the last {WEEKS} weeks with more calls than now and no more than proposed, and agents and handle time explain {percent(explained)}: check both"


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
