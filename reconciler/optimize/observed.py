"""Which observed hours can be used, and why the others are left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from math import isfinite
from typing import Final

from reconciler.optimize.base import Evidence, Subject
from reconciler.pacing import Bucket

WEEKS: Final = 13
"""Weeks of observations that count, back from now. It is also the longest interval that the campaigns API answers for."""

_WEEK: Final = timedelta(weeks=1)

MONTH: Final = timedelta(days=30)
"""Over how long the law counts abandoned calls (16 CFR 310.4(b)(4), 47 CFR 64.1200(a)(7): per campaign and 30 days)."""


def usable(subject: Subject, now: datetime) -> tuple[Subject, tuple[str, ...]]:
    """Return a subject with only the hours that can be used, and a sentence for each reason to leave hours out.

    A handle time of 0 means that there were no calls to measure: the hour stays, its handle time is unknown.

    Args:
        subject: with observations from anywhere.
        now: the platform's clock, with a zone.
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
    return (each for each in buckets if now - WEEKS * _WEEK < each.start <= now)


def last_month(buckets: Iterable[Bucket], now: datetime) -> Evidence:
    """Return what was observed in the 30 days before `now`."""
    return Evidence.of(each for each in buckets if now - MONTH <= each.start < now)


def _objection(bucket: Bucket, now: datetime) -> str | None:
    """Return why an hour cannot be used; `None` if it can be."""
    return next(_objections(bucket, now), None)


def _objections(bucket: Bucket, now: datetime) -> Iterator[str]:
    counts = (bucket.attempts, bucket.answers, bucket.abandons)
    if not all(type(count) is int for count in counts):
        yield "attempts, answers and abandons must be whole numbers"
    elif min(counts) < 0:
        yield "a count is negative"
    elif bucket.answers > bucket.attempts:
        yield "answers exceed attempts"
    elif bucket.abandons > bucket.answers:
        yield "abandons exceed answers"
    if not _is_measure(bucket.agents) or not _is_measure(bucket.handle_time_s):
        yield "agents and handle time must be numbers from 0 up"
    if bucket.start.tzinfo is None:
        yield "the start has no UTC offset"
    elif bucket.start >= now:
        yield "it lies in the future"


def _is_measure(value: object) -> bool:
    return value is None or (
        isinstance(value, int | float)
        and type(value) is not bool
        and isfinite(value)
        and value >= 0
    )
