"""Select the observed hours that can be used, and explain why the others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite, sqrt
from typing import Final

from reconciler.optimize.base import Evidence, Subject
from reconciler.pacing import Bucket

WEEKS: Final = 13
"""Weeks of observations that count, back from now. It is also the longest interval that the campaigns API answers for."""

_WEEK: Final = timedelta(weeks=1)

RECENT: Final = WEEKS * _WEEK
"""How far back strategies that estimate answer rates ask the platform."""

MONTH: Final = timedelta(days=30)
"""Over how long the law counts abandoned calls (16 CFR 310.4(b)(4), 47 CFR 64.1200(a)(7): per campaign and 30 days)."""

LATEST: Final = timedelta(days=3)
"""Length of the latest observations that count as made under today's settings."""

SHORTEST_S, LONGEST_S = 1.0, 86_400.0
"""Handle times that can be means of calls."""

MOST_ATTEMPTS: Final = 360_000
"""Most attempts of an object in an hour: 100 a second, the highest dial rate that a schedule may have."""

MOST_AGENTS: Final = 100_000
"""Most agents of an object."""


OLDEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Earliest start of an observed hour. Some zones cannot represent the first and the last hours of the calendar."""


def usable(subject: Subject, now: datetime) -> tuple[Subject, tuple[str, ...]]:
    """Return a subject with only the hours that can be used, and a sentence for each reason to leave hours out.

    A handle time of 0 means that there were no calls to measure: the hour stays, its handle time is unknown.

    Args:
        subject: with observations from anywhere.
        now: the platform's clock.
    """
    kept: dict[datetime, Bucket] = {}
    reasons = Counter[str]()
    for bucket in subject.observed:
        reason = _objection(bucket, now)
        if reason is None and bucket.start in kept:
            reason = "the same hour is there twice"
        if reason is None:
            kept[bucket.start] = replace(bucket, handle_time_s=bucket.handle_time_s or None)
        else:
            reasons[reason] += 1
    said = (
        f"{number} observed hour{'s are' if number > 1 else ' is'} left out: {reason}"
        for reason, number in reasons.items()
    )
    return replace(subject, observed=tuple(kept.values())), tuple(said)


def recent(buckets: Iterable[Bucket], now: datetime) -> Iterator[Bucket]:
    """Yield the hours of the last `WEEKS` weeks: older ones say nothing about next week."""
    return (each for each in buckets if now - RECENT < each.start <= now)


def too_few(subject: Subject, now: datetime, least: int) -> str | None:
    """Return why there are too few attempts to estimate an answer rate; `None` if there are enough.

    Args:
        subject: the object.
        now: the platform's clock.
        least: fewest attempts in the last `WEEKS` weeks.
    """
    attempts = Evidence.of(recent(subject.observed, now)).attempts
    if attempts >= least:
        return None
    others = len(subject.observed) - sum(1 for _ in recent(subject.observed, now))
    more = (
        f"; {others:,} observed hour{'s lie' if others > 1 else ' lies'} outside of the {WEEKS} weeks before {now:%Y-%m-%d %H:%M} UTC"
        if others
        else ""
    )
    return f"too little data: {attempts:,} attempts were observed, and {least} are needed{more}"


def unjudged(subject: Subject, field: str, now: datetime, least: int) -> str | None:
    """Return why the last change of a field cannot be judged yet; `None` if it can be, or if nobody knows when it changed.

    A strategy that moves a value by steps would else move it again and again by the same observations.

    Args:
        subject: the object.
        field: of its spec.
        now: the platform's clock.
        least: fewest attempts since the change.
    """
    if field not in subject.changed:
        return None
    since = subject.changed[field]
    if since is None:
        return f"the platform does not hold the manifest's {field} yet, so nothing was observed with it"
    attempts = sum(each.attempts for each in recent(subject.observed, now) if each.start >= since)
    if attempts >= least:
        return None
    return f"{attempts:,} attempts were observed since {field} was last changed ({since.astimezone(UTC):%Y-%m-%d %H:%M} UTC), and {least} are needed"


def last_month(buckets: Iterable[Bucket], now: datetime) -> Evidence:
    """Return what was observed in the 30 days before `now`."""
    return Evidence.of(each for each in buckets if now - MONTH <= each.start < now)


def latest_days(buckets: Iterable[Bucket], now: datetime) -> tuple[Bucket, ...]:
    """Return the hours with known abandons within `LATEST` of the newest of the last 30 days: mostly under today's settings."""
    counted = (each for each in buckets if each.answers and each.abandons is not None)
    month = [each for each in counted if now - MONTH <= each.start < now]
    newest = max((each.start for each in month), default=now)
    return tuple(each for each in month if newest - each.start < LATEST)


def no_faster(buckets: Iterable[Bucket], dial_rate: float) -> Iterator[Bucket]:
    """Yield the hours in which no more was dialed than a rate allows, with a margin for chance.

    The others were under a faster rate: after a proposal was merged, they say nothing about the slower one.

    Args:
        buckets: observed hours.
        dial_rate: calls per second.
    """
    expected = 3600 * dial_rate
    most = 1.05 * expected + 3 * sqrt(expected)
    return (each for each in buckets if each.attempts <= most)


def _objection(bucket: Bucket, now: datetime) -> str | None:
    """Return why an hour cannot be used; `None` if it can be."""
    return next(_objections(bucket, now), None)


def _objections(bucket: Bucket, now: datetime) -> Iterator[str]:
    abandons = 0 if bucket.abandons is None else bucket.abandons
    counts = (bucket.attempts, bucket.answers, abandons)
    if not all(type(count) is int for count in counts):
        yield "attempts, answers and abandons must be whole numbers"
    elif min(counts) < 0:
        yield "a count is negative"
    elif bucket.answers > bucket.attempts:
        yield "answers exceed attempts"
    elif abandons > bucket.answers:
        yield "abandons exceed answers"
    elif bucket.attempts > MOST_ATTEMPTS:
        yield f"no schedule dials more than {MOST_ATTEMPTS:,} times an hour"
    if not _is_measure(bucket.agents) or not _is_measure(bucket.handle_time_s):
        yield "agents and handle time must be numbers from 0 up"
    elif bucket.agents and bucket.agents > MOST_AGENTS:
        yield f"agents are at most {MOST_AGENTS:,}"
    elif bucket.handle_time_s and not SHORTEST_S <= bucket.handle_time_s <= LONGEST_S:
        yield f"a handle time is from {SHORTEST_S:g} s to {LONGEST_S:g} s"
    yield from _of_start(bucket.start, now)


def _of_start(start: datetime, now: datetime) -> Iterator[str]:
    if start.tzinfo is None:
        yield "the start has no UTC offset"
    elif start > now:
        yield "the start lies in the future"
    elif start < OLDEST:
        yield "the start lies before the year 2000"


def _is_measure(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and type(value) is not bool
        and isfinite(value)
        and value >= 0
    )
