"""The strategy `erlang`: dial rate and concurrent calls with the most contacts that hold abandonment at its target.

A schedule has one dial rate and one number of concurrent calls for all its hours, so the open hour with the least room binds.
`pace` explains the two ways of pacing and the promise that both hold. Only the answer rate is uncertain here: agents and handle
time are taken as they are observed, or as the manifest has them.

If these values are wrong, the observed abandonment shows it: if it exceeds both the cap and the share that they explain at today's
settings, they are not used, and `budget` cuts the rate.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from statistics import median
from typing import Final

from reconciler.optimize import abandonment, answers, budget, outlook, pace, staffing, veto
from reconciler.optimize.answer_rates import AnswerRates
from reconciler.optimize.base import (
    CALLS,
    RATE,
    Advice,
    Change,
    Context,
    Declined,
    Evidence,
    Proposal,
    Subject,
)
from reconciler.optimize.observations import LATEST, RECENT, latest_days, no_faster, recent, too_few
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.pace import Pace, Way
from reconciler.optimize.wording import clock, number, percent, rounded_down, setting

NAME: Final = "erlang"
NEEDS: Final = "attempts and answers; agents and handle time, from the observations or from pacing; pacing.wrap_up_s to pace by concurrent calls"
PROMISES: Final = "the dial rate and the concurrent calls that reach the most contacts within pacing.target_abandonment and the tenant's limits. The open hour with the least room decides (the binding hour), at the 90 % quantile of its answer rate"
LOOK_BACK: Final = RECENT

LEAST_ATTEMPTS: Final = 200
"""Fewest attempts for a proposal. With fewer, the interval of the answer rate is as wide as without any."""

CLOSE: Final = 0.05
"""A value that is as close as this to the best one, relative to it, is not worth a change."""

LONELY: Final = 0.8
"""An hour holds the others back if its rate is below this part of what half of the hours allow."""


PACED_BY_LINES: Final = "max_concurrent_calls paces this campaign, and dial_rate only uses free lines again: raise neither alone."
"""What somebody must know who merges such a proposal."""


def propose(subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Return the best values for each subject. Free of IO, apart from the first import of SciPy."""
    rates = context.answer_rates or answers.fit(subjects, context.now)
    return tuple(_advise(subject, context, rates) for subject in subjects)


def _advise(subject: Subject, context: Context, rates: AnswerRates) -> Advice:
    reason = unfit(subject, context.now)
    if reason:
        return Declined(subject.key, subject.name, reason)
    hours = outlook.hours_of(subject, rates)
    best = pace.best(hours, subject)
    if best is None:
        return Declined(subject.key, subject.name, unstaffed(hours, subject))
    slower = _disproved(subject, hours, context)
    if slower is not None and float(slower.changes[0].proposed) < best.setting.dial_rate:
        return slower
    return _compare(subject, hours, best, context.now)


def _disproved(subject: Subject, hours: Sequence[Hour], context: Context) -> Proposal | None:
    """Return the cut of `budget` if more is abandoned than the cap and than the prediction for today's settings; else `None`."""
    today = Setting.of(subject)
    days = latest_days(subject.observed, context.now)
    latest = Evidence.of(no_faster(days, today.dial_rate))
    if not latest.abandons:
        return None
    least = abandonment.quantile(latest, outlook.LOW)
    if least <= subject.pacing.abandonment_cap:
        return None
    predicted = outlook.predict(hours, today).abandonment
    (cut,) = budget.propose([subject], context)
    if least <= predicted.high or isinstance(cut, Declined):
        return None
    seen = f"in the last {LATEST.days} observed days {percent(latest.abandons / latest.answers)} of the answers were abandoned, and agents, handle time and wrap-up explain at most {percent(predicted.high)} in any hour: check all three"
    return replace(cut, reason=f"{seen}. Until they agree, abandoned calls decide: {cut.reason}")


def unfit(subject: Subject, now: datetime) -> str | None:
    """Return why no dial rate can be computed for an object; `None` if one can be.

    Args:
        subject: the object.
        now: the platform's clock.
    """
    if subject.dial_rate is None:
        return f"{subject.kind} has no rate in calls/s: use --strategy ratio"
    if not subject.open_hours:
        return "the schedule opens at no hour of the next 400 days"
    if subject.ceilings.get(RATE, 1.0) <= 0 or subject.ceilings.get(CALLS, 1.0) < 1:
        return "the tenant's limits allow no call, so no value can be proposed"
    few = too_few(subject, now, LEAST_ATTEMPTS)
    if few:
        return few
    missing = staffing.of(subject).missing
    if missing:
        return f"no observation and no manifest says how many agents take the calls, and for how long: write {' and '.join(missing)}, or use --strategy budget"
    return None


def _compare(subject: Subject, hours: Sequence[Hour], best: Pace, now: datetime) -> Advice:
    """Return the changes that lead to the best values, or that there is nothing to change."""
    current = Setting.of(subject)
    why = reason_of(subject, best)
    wanted = [Change(RATE, current.dial_rate, best.setting.dial_rate)]
    if CALLS in subject.spec:
        wanted.append(Change(CALLS, subject.spec[CALLS], int(best.setting.calls)))
    if not any(_is_worth(each, subject) for each in wanted):
        reason = f"nothing to change: {_told(wanted)}; {why}"
        return Declined(subject.key, subject.name, reason)
    changes = tuple(each for each in wanted if each.current != each.proposed)
    proposed = {each.field: float(each.proposed) for each in changes}
    return Proposal(
        subject.key,
        subject.name,
        changes,
        why,
        Evidence.of(recent(subject.observed, now)),
        before=outlook.predict(hours, current),
        after=outlook.predict(hours, Setting.of(subject, **proposed)),
        notes=tuple(_notes(subject, hours, best, now)),
    )


def _is_worth(change: Change, subject: Subject) -> bool:
    """Return whether a value is far enough from the best one, or above the tenant's limit."""
    current, proposed = float(change.current), float(change.proposed)
    limit = subject.ceilings.get(change.field, current)
    return abs(current - proposed) > CLOSE * proposed or current > limit


def _told(wanted: Sequence[Change]) -> str:
    """Return that values are close to the best ones."""
    values = " and ".join(f"{each.field} {number(float(each.current))}" for each in wanted)
    best = " and ".join(number(float(each.proposed)) for each in wanted)
    are, them = ("is", "value") if len(wanted) == 1 else ("are", "values")
    return f"{values} {are} within {setting(CLOSE)} of the best {them}, {best}"


def unstaffed(hours: Sequence[Hour], subject: Subject) -> str:
    """Return that no pace is possible, with the hour that has the fewest agents."""
    worst = min(hours, key=lambda each: each.agents)
    return f"{_staffed(worst)}, no dial rate keeps abandonment at {setting(subject.pacing.target_abandonment)}: staff this hour, or close it"


def reason_of(subject: Subject, best: Pace) -> str:
    """Return what binds the best pace of a campaign."""
    at, rate, calls = best.binding, number(best.setting.dial_rate), int(best.setting.calls)
    answered = percent(at.rate.mean_quantile(pace.CAUTIOUS))
    holds = f"keep abandonment at {setting(subject.pacing.target_abandonment)} when up to {answered} of the calls are answered; no other open hour allows less"
    if best.way is Way.RATE:
        return f"{_staffed(at)}, up to {number(rounded_down(best.allowed))} calls/s {holds}; {calls} concurrent calls carry {rate} calls/s"
    refilled = f"{rate} calls/s use each free line again"
    if best.way is Way.LINES:
        return f"{_staffed(at)}, up to {calls} calls in progress {holds}; {refilled}"
    return f"{_staffed(at)}, {calls} calls in progress leave an agent for nearly everybody who answers; {refilled}"


def _staffed(hour: Hour) -> str:
    agents, seconds = number(hour.agents), number(hour.handle_time_s)
    return f"on {clock(hour.open)}, with {agents} agents and {seconds} s a call"


def _notes(subject: Subject, hours: Sequence[Hour], best: Pace, now: datetime) -> Iterator[str]:
    """Yield notes for the reviewer of a proposal."""
    yield from _on_surprises(subject, now)
    yield from _on_small_teams(subject, hours, best)
    if best.way is not Way.RATE:
        yield PACED_BY_LINES
    elif best.needed > best.setting.calls:
        yield f"The tenant's limit of {int(best.setting.calls)} concurrent calls holds the rate back: it needs {best.needed}."
    usual = median(pace.room(each, subject) for each in hours)
    if best.way is Way.RATE and best.allowed < LONELY * usual:
        yield f"{clock(best.binding.open)} holds the other hours back: half of them allow {number(usual)} calls/s or more. More agents in this hour, or closing it, would allow that."


def _on_small_teams(subject: Subject, hours: Sequence[Hour], best: Pace) -> Iterator[str]:
    """Yield that a rate suits this team badly, if one call for each free agent would reach more people."""
    by_rate = pace.by_rate(hours, subject)
    if by_rate is None:
        return
    contacts, progressive = (
        outlook.mean_contacts(hours, by_rate.setting),
        pace.progressive_contacts(hours),
    )
    if contacts < progressive:
        reached = outlook.mean_contacts(hours, best.setting)
        yield f"A rate in calls per second suits this team badly: {number(by_rate.setting.dial_rate)} calls/s reach {number(contacts)} contacts an hour, one call for each free agent (progressive dialing) reaches about {number(progressive)} and abandons nobody, and this proposal {number(reached)}."
        if subject.pacing.wrap_up_s is None:
            yield "Write pacing.wrap_up_s, as it was measured: then concurrent calls can pace this team, which reach more people."


def _on_surprises(subject: Subject, now: datetime) -> Iterator[str]:
    """Yield that much more was abandoned in the last 30 days than agents and handle time explain."""
    said = veto.surprise(subject, now)
    if said is not None:
        yield f"{said[0].upper()}{said[1:]}."
