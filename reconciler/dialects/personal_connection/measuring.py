"""Observations by hour. The platform returns those of all skills in one answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

from reconciler.dialects import answers
from reconciler.dialects.base import Bucket, Measured
from reconciler.dialects.calls import Call, Exchange
from reconciler.dialects.personal_connection import assumed
from reconciler.dialects.personal_connection.answers import SkillAnswer


def contacts_call(start: datetime, end: datetime) -> Call:
    """Return the call for the contacts that were dialed in [start, end)."""
    params = {"startDate": _text(start), "endDate": _text(end)}
    path = "/wfm-data/skills/dialer-contacts"
    return Call("GET", path, params=params, expects=answers.LISTED)


def metrics(key: str, start: datetime, end: datetime) -> Exchange[Measured]:
    """Read the hours of [start, end) of one skill: dials, connects, abandons and the handle time of what was connected."""
    parts = answers.spans(start, end, timedelta(days=assumed.METRICS_DAYS))
    pages = yield from SkillAnswer.ask_all([contacts_call(*part) for part in parts])
    rows = ((page, row) for page in pages for row in page.rows(*assumed.CONTACTS))
    return answers.measured(rows, partial(_bucket, key))


def _bucket(key: str, answer: SkillAnswer, row: answers.Row) -> Bucket | None:
    """Return a row as one hour of the skill; `None` if the row is about another skill."""
    if answer.id(row, "skillId") != key:
        return None
    attempts, connects = answer.whole(row, "dials"), answer.whole(row, "connects")
    if attempts is None or connects is None:
        raise answer.wrong("an hour has no `dials` or no `connects`")
    return Bucket(
        start=answer.start(row),
        attempts=attempts,
        answers=connects,
        abandons=answer.whole(row, "abandons"),
        agents=None,
        handle_time_s=answer.duration_s(row, "connectsAHT") or None,
    )


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
