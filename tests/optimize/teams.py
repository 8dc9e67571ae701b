"""Campaigns with as much data as a test needs, for strategies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.calendar import DailyHours, Hours
from reconciler.models import Pacing
from reconciler.optimize.base import CALLS, RATE, Context, OpenHour, Subject
from reconciler.optimize.hours import open_hours
from reconciler.pacing import Bucket

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)  # a Monday
ZONE = "America/Chicago"
CONTEXT = Context(NOW)

Observe = Callable[[OpenHour], dict[str, object]]


def team(
    agents: int | None = 140,
    *,
    answer_rate: float = 0.334,
    handle_time_s: float | None = 150.0,
    dial_rate: float = 2.4,
    calls: int = 300,
    weeks: int = 4,
    attempts: int | None = None,
    abandoned: float = 0.006,
    observe: Observe = lambda _: {},
    ceilings: dict[str, float] | None = None,
    key: str = "1003",
    **pacing: float,
) -> Subject:
    """Return the sample of the brief, or another team: 9 to 20 h every day, dialed and answered at the same rate in each hour.

    Args:
        agents, handle_time_s: of the manifest.
        answer_rate: answers per attempt.
        dial_rate, calls: of the manifest.
        weeks: of observations.
        attempts: an hour; without it, as the dial rate makes them.
        abandoned: share of the answers.
        observe: more of an observed hour, by its weekday and hour.
        ceilings: the tenant's limits.
        key: the campaign's id.
        pacing: more of the manifest's section.
    """
    hours = Hours(None, None, (DailyHours(ZONE, 9 * 60, 20 * 60),))
    coming = open_hours(hours, ZONE, NOW)
    made = round(3600 * dial_rate) if attempts is None else attempts
    answers = round(made * answer_rate)
    observed = tuple(
        replace(
            Bucket(hour.start - timedelta(weeks=week), made, answers, round(answers * abandoned)),
            **observe(hour),
        )
        for week in range(1, weeks + 1)
        for hour in coming
    )
    return Subject(
        key,
        "warranty-reminders",
        spec={RATE: dial_rate, CALLS: calls},
        observed=observed,
        pacing=Pacing(agents=agents, handle_time_s=handle_time_s, **pacing),
        open_hours=coming,
        hours=hours,
        ceilings=ceilings or {},
        zone=ZONE,
    )
