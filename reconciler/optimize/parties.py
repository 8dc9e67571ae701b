"""Sort a tenant's campaigns: those that share its capacity, and those that dial and stay unchanged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Final, NamedTuple

from reconciler.optimize import outlook, pace
from reconciler.optimize.answer_rates import AnswerRates
from reconciler.optimize.base import CALLS, OpenHour, Subject
from reconciler.optimize.demand import Demand
from reconciler.optimize.erlang import unfit, unstaffed
from reconciler.optimize.hours import open_between
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.pace import Pace

WEEKS: Final = 4
"""Weeks from now in which the capacity is shared. Proposals may wait for a merge, and schedules may begin later."""


@dataclass(frozen=True, slots=True)
class Aside:
    """A campaign that dials and stays unchanged.

    Attributes:
        name: its manifest.
        rate: its dial rate, calls per second.
        calls: its `max_concurrent_calls`.
        starts: its open hours, UTC.
    """

    name: str
    rate: float
    calls: int
    starts: frozenset[datetime]


class Party(NamedTuple):
    """A campaign that shares.

    Attributes:
        subject: the campaign.
        hours: its open hours in all weeks.
        week: those of its next week, with what a prediction needs.
        best: its best pace if nothing is scarce.
        demand: what it reaches with less.
        held: why none of its values may rise; empty: they may.
    """

    subject: Subject
    hours: tuple[OpenHour, ...]
    week: tuple[Hour, ...]
    best: Pace
    demand: Demand
    held: str = ""

    def hold(self, reason: str) -> Party:
        """Return the campaign with no value above the current one."""
        now = Setting.of(self.subject)
        best = Setting(*map(min, self.demand.best, now))
        return self._replace(demand=replace(self.demand, best=best), held=reason)


def sort_out(
    everybody: Sequence[Subject], asked: set[str], rates: AnswerRates, now: datetime
) -> tuple[list[Party], list[Aside], dict[str, str]]:
    """Return who shares, who dials and stays as it is, and why, by key, for all that do not share.

    Args:
        everybody: all campaigns of the tenant.
        asked: keys of those that may change.
        rates: their answer rates.
        now: the platform's clock.
    """
    parties, asides, reasons = [], [], {}
    for subject in everybody:
        hours = _open_hours(subject, now)
        whole = replace(subject, open_hours=hours)
        reason = _silent(whole)
        if reason is None:
            found = _party(subject, hours, rates, now) if subject.key in asked else "not asked"
            if isinstance(found, Party):
                parties.append(found)
                continue
            asides.append(_aside(whole))
            reason = f"{found}. It stays as it is, and what it may take is not shared"
        reasons[subject.key] = reason
    return parties, asides, reasons


def _open_hours(subject: Subject, now: datetime) -> tuple[OpenHour, ...]:
    if subject.hours is None:
        return subject.open_hours
    hour = now.replace(minute=0, second=0, microsecond=0)  # so that a second changes no proposal
    return open_between(subject.hours, subject.zone, hour, hour + timedelta(weeks=WEEKS))


def _silent(subject: Subject) -> str | None:
    """Return why a campaign does not dial; `None` if it does."""
    if subject.dial_rate is None:
        return f"{subject.kind} has no rate in calls/s: use --strategy ratio"
    if not subject.open_hours:
        return f"the schedule opens at no hour of the next {WEEKS} weeks: ask again when it does"
    if subject.pacing.list_size == 0:
        return "the list is at its end (pacing.list_size: 0): load contacts and correct the number, or retire the schedule"
    return None


def _party(
    subject: Subject, open_hours: tuple[OpenHour, ...], rates: AnswerRates, now: datetime
) -> Party | str:
    """Return what a campaign reaches in its open hours, or why nobody can tell."""
    reason = unfit(subject, now)
    if reason is not None:
        return reason
    hours = outlook.hours_of(replace(subject, open_hours=open_hours), rates)
    kinds = {(each.open.weekday, each.open.hour): each for each in reversed(hours)}
    best = pace.best(sorted(kinds.values(), key=lambda each: each.open.start), subject)
    if best is None:
        return unstaffed(hours, subject)
    pacing = subject.pacing
    demand = Demand(
        best.setting,
        hours,
        WEEKS,
        inf if pacing.list_size is None else pacing.list_size,
        pacing.value_per_contact,
    )
    next_week = {each.start for each in subject.open_hours}
    week = tuple(each for each in hours if each.open.start in next_week)
    return Party(subject, open_hours, week, best, demand)


def _aside(subject: Subject) -> Aside:
    starts = frozenset(each.start for each in subject.open_hours)
    return Aside(subject.name, subject.dial_rate or 0.0, int(subject.spec.get(CALLS, 0)), starts)
