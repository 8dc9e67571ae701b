"""What was dialed, hour by hour. The platform says it of every skill at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.dialects.base import Bucket, Call, Exchange
from reconciler.dialects.personal_connection import assumed, reading
from reconciler.dialects.personal_connection.answers import Answer


def contacts_call(start: datetime, end: datetime) -> Call:
    """Return the call for what was dialed in [start, end)."""
    params = {"startDate": _text(start), "endDate": _text(end)}
    path = "/wfm-data/skills/dialer-contacts"
    return Call("GET", path, params=params, expects=reading.LISTED)


def metrics(key: str, start: datetime, end: datetime) -> Exchange[tuple[Bucket, ...]]:
    """Read the hours of [start, end) of one skill: dials, connects, abandons and the handle time of what was connected."""
    calls = tuple(contacts_call(low, high) for low, high in _spans(start, end))
    replies = (yield calls) if calls else ()
    return tuple(
        _bucket(answer, row)
        for answer in map(Answer, calls, replies)
        for row in answer.rows(*assumed.CONTACTS)
        if answer.id(row, "skillId") == key
    )


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    span = timedelta(days=assumed.METRICS_DAYS)
    while start < end:
        yield start, min(start + span, end)
        start += span


def _bucket(answer: Answer, row: Mapping[str, Any]) -> Bucket:
    counts = (int(answer.number(row, name)) for name in ("dials", "connects", "abandons"))
    attempts, answers, abandons = counts
    handle_time_s = answer.number(row, "connectsAHT")
    return Bucket(
        start=answer.instant(row, *assumed.INTERVAL_START),
        attempts=attempts,
        answers=answers,
        abandons=abandons,
        agents=None,
        handle_time_s=handle_time_s or None,
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
