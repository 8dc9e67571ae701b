"""The strategy `ratio`, for skills: one call for each agent in small teams, else a ratio in small steps.

A skill has no rate in calls per second. Its dialer paces itself, by the agents that are free, within `maximum_ratio` calls for
each available agent and slower above `abandon_rate_threshold`. So there is no open-loop formula to set, only bounds:

- Below `SMALL` agents, the ratio is 1: the dialer never dials ahead, and nobody is abandoned for want of an agent.
- Else it is κ(N) / q90, with q90 the 90 % quantile of the answer rate in the open hour with the most answers: as many calls as
  it takes that κ(N) of them are answered, at the most. A proposal raises it by `STEP` at most. κ comes from a simulation of
  pacing by free agents that was tuned to 3 % abandonment (`KAPPA`); a tenth less aims below that.
- A ratio is raised again only by what was observed since it was last changed.
- The threshold is never above `pacing.abandonment_cap`.

A ratio above 1 is a bound, so its effect is measured and not predicted. `aggressiveness` is defined by the platform, so no value of it is
proposed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from math import floor, log
from typing import Final

from reconciler.optimize import abandonment, answers, staffing
from reconciler.optimize.answer_rates import AnswerRate, AnswerRates
from reconciler.optimize.base import (
    RATIO,
    THRESHOLD,
    Advice,
    Change,
    Context,
    Declined,
    Evidence,
    Prediction,
    Proposal,
    Subject,
)
from reconciler.optimize.intervals import Interval
from reconciler.optimize.observations import RECENT, last_month, recent, too_few, unjudged
from reconciler.optimize.wording import between, number, percent, setting
from reconciler.pacing import queueing

NAME: Final = "ratio"
NEEDS: Final = "pacing.agents, because skills report no agents; attempts, answers and abandons"
PROMISES: Final = "maximum_ratio 1 below 15 agents, else a ratio by the answer rate, raised by at most 0.25 at a time and only while the observed abandonment is below pacing.abandonment_cap; and an abandon_rate_threshold of at most that cap"
LOOK_BACK: Final = RECENT

SMALL: Final = 15
"""Agents below which dialing ahead gains little and abandons much."""

STEP: Final = 0.25
"""Most that a proposal raises a ratio."""

OWN: Final = "override_business_unit_abandon_rate"
"""Field: whether the skill's own threshold counts."""

HIGHEST: Final = 3.0
"""Highest ratio of the platform."""

LEAST_ATTEMPTS: Final = 200
"""Fewest attempts for a proposal."""

KAPPA: Final = ((10, 0.44), (20, 0.49), (50, 0.69), (100, 0.89))
"""Agents, and the answers that may be under way for each free agent at 3 % abandonment. Simulated at an answer rate of 25 % and
180 s a call (reference, B5)."""

_BELOW: Final = 0.9
"""Part of κ that aims at 2 % instead of 3 %."""


def propose(subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
    """Return the bounds for each subject."""
    rates = context.answer_rates or answers.fit(subjects, context.now)
    return tuple(_advise(subject, context, rates) for subject in subjects)


def _advise(subject: Subject, context: Context, rates: AnswerRates) -> Advice:
    evidence = Evidence.of(recent(subject.observed, context.now))
    unfit = _unfit(subject, context.now)
    agents = subject.pacing.agents
    if unfit or agents is None:
        return Declined(subject.key, subject.name, unfit or "")
    busiest = max(
        (rates.of(subject.key, each.weekday, each.hour) for each in subject.open_hours),
        key=lambda rate: rate.quantile(0.9),
    )
    month = _dialed(subject, context.now)
    ratio, why = _ratio(subject, agents, busiest, month)
    unseen = unjudged(subject, RATIO, context.now, LEAST_ATTEMPTS)
    if unseen and ratio > float(subject.spec[RATIO]):
        ratio, why = float(subject.spec[RATIO]), f"{why}, but {unseen}"
    seen = f"{between(abandonment.interval(month))} of {month.counted:,} answers were abandoned in the last 30 days"
    if not month.counted:
        seen = "the number of calls abandoned in the last 30 days is unknown"
    changes = tuple(_changes(subject, ratio))
    if not changes:
        reason = f"{why}; {seen}; nothing to change"
        return Declined(subject.key, subject.name, reason)
    return Proposal(
        subject.key,
        subject.name,
        changes,
        f"{why}; {seen}",
        evidence,
        before=_before(subject, agents, month),
        after=_progressive(subject, agents, busiest) if ratio == 1 else None,
        notes=tuple(_notes(subject, ratio)),
    )


def _unfit(subject: Subject, now: datetime) -> str | None:
    if RATIO not in subject.spec:
        return f"{subject.kind} has no maximum_ratio: use --strategy erlang"
    if not subject.open_hours:
        return "the schedule opens at no hour of the next 400 days"
    if subject.pacing.agents is None:
        return "skills report no agents: write pacing.agents, the agents who take its calls at the same time"
    few = too_few(subject, now, LEAST_ATTEMPTS)
    if few:
        return few
    needed = _busy_agents(subject, _dialed(subject, now))
    if needed is not None and needed > subject.pacing.agents:
        return f"the calls of the last 30 days kept {number(needed)} agents busy, and pacing.agents is {subject.pacing.agents}: correct it"
    return None


def _dialed(subject: Subject, now: datetime) -> Evidence:
    """Return what was observed in the dialed hours of the last 30 days."""
    return last_month((each for each in subject.observed if each.attempts), now)


def _ratio(
    subject: Subject, agents: int, busiest: AnswerRate, month: Evidence
) -> tuple[float, str]:
    """Return the proposed ratio and why."""
    current, limit = float(subject.spec[RATIO]), min(subject.ceilings.get(RATIO, HIGHEST), HIGHEST)
    if agents < SMALL:
        return 1.0, f"{agents} agents are too few to dial ahead (below {SMALL}, one call for each agent abandons nobody)"  # fmt: skip
    answered = busiest.quantile(0.9)
    wanted = _tenth(max(_BELOW * _kappa(agents) / answered, 1.0))
    bound = max(min(wanted, limit), 1.0)
    why = f"{agents} agents and up to {percent(answered)} answered in the busiest open hour allow a ratio of {number(bound)}"
    if bound > current and abandonment.interval(month).high >= subject.pacing.target_abandonment:
        return (
            current,
            f"{why}, but abandonment may be at its target of {setting(subject.pacing.target_abandonment)}",
        )
    if bound > current + STEP:
        return round(current + STEP, 2), f"{why}; a proposal raises it by {STEP:g} at most"
    return bound, why


def _kappa(agents: int) -> float:
    """Return κ, between the simulated teams in proportion to the logarithm of their size."""
    for (low, least), (high, most) in pairwise(KAPPA):
        if agents < high:
            return least + (most - least) * (log(agents) - log(low)) / (log(high) - log(low))
    return KAPPA[-1][1]


def _tenth(value: float) -> float:
    return floor(value * 10 + 1e-9) / 10


def _changes(subject: Subject, ratio: float) -> Iterator[Change]:
    current, threshold = float(subject.spec[RATIO]), float(subject.spec[THRESHOLD])
    if ratio != current:
        yield Change(RATIO, current, ratio)
    most = round(100 * subject.pacing.abandonment_cap, 1)
    if not 0 < threshold <= most and subject.spec.get(OWN):  # 0 limits nothing
        yield Change(THRESHOLD, threshold, most)


def _before(subject: Subject, agents: int, month: Evidence) -> Prediction | None:
    """Return what was observed in the last 30 days, as far as it can be told."""
    busy = _busy_agents(subject, month)
    if busy is None or month.uncounted:
        return None
    contacts = (month.answers - month.abandons) / month.hours
    exact = (Interval(value, value, value) for value in (busy / agents, contacts))
    return Prediction(None, abandonment.interval(month), *exact)


def _busy_agents(subject: Subject, month: Evidence) -> float | None:
    """Return how many agents the calls of the dialed hours kept busy on average; `None` if handle times are unknown."""
    handle_time_s = _handle_time_s(subject)
    if not month.answers or handle_time_s is None:
        return None
    return (month.answers - month.abandons) / month.hours * handle_time_s / 3600


def _progressive(subject: Subject, agents: int, rate: AnswerRate) -> Prediction | None:
    """Predict the results of one call for each free agent."""
    handle_time_s = _handle_time_s(subject)
    if handle_time_s is None:
        return None
    busy = [queueing.progressive_utilisation(each, handle_time_s) for each in rate.interval]
    contacts = [each * agents * 3600 / handle_time_s for each in busy]
    return Prediction(None, Interval(0.0, 0.0, 0.0), Interval(*busy), Interval(*contacts))


def _handle_time_s(subject: Subject) -> float | None:
    return staffing.of(subject).usual_handle_time_s


def _notes(subject: Subject, ratio: float) -> Iterator[str]:
    if ratio > 1:
        yield "The effect of this ratio is not predicted: compare utilisation and abandonment after a week."
    if not subject.spec.get(OWN):
        yield f"The business unit's abandonment threshold counts, and not the skill's own, because {OWN} is false."
