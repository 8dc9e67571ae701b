"""Directions of random changes against the oracle of `support/minutes.py`, which lists minute by minute what a body lets the dialer do.

Never unsafe: a change that is called tightening or neutral opens no minute, raises no limit and drops no safeguard. Not timid:
few changes that do none of this are called loosening.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from reconciler.effect import by_fields, direction
from tests.support import minutes
from tests.support.factories import KIND, SKILL
from tests.support.minutes import Range

YEAR = Range(datetime(2026, 11, 29, 13, 0, tzinfo=UTC), 400 * 1440)
FORTNIGHT = Range(datetime(2027, 3, 13, tzinfo=UTC), 16 * 1440)
"""Clocks change in most zones. It says nothing about timid verdicts, because what opens later is wider, too."""

LIMITS = ("dial_rate", "max_concurrent_calls", "maximum_ratio")
SAFEGUARDS = ("dnc_verification", "block_multiple_calls")


def is_wider(live: Mapping[str, Any], desired: Mapping[str, Any], span: Range) -> bool:
    """Whether the desired body lets the dialer do something that the live one does not, within a range."""
    if any(desired[name] > live[name] for name in LIMITS if name in live):
        return True
    if any(live[name] and not desired[name] for name in SAFEGUARDS if name in live):
        return True
    if {*live.get("dnc_groups", ())} - {*desired.get("dnc_groups", ())}:
        return True
    return any(
        minutes.open_minutes(desired, zone, span) & ~minutes.open_minutes(live, zone, span)
        for zone in minutes.zones_of(live, desired)
    )


def random_pair(random: Random, span: Range) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Return a kind, and two bodies of it: edits of one another, or unrelated."""
    kind, make = random.choice([(KIND, minutes.random_campaign), (SKILL, minutes.random_skill)])
    live, other = make(random, span), make(random, span)
    for body in (live, other):
        body |= {name: random.choice([1, 2, 3]) for name in LIMITS if name in body}
        body |= {name: random.random() < 0.5 for name in SAFEGUARDS if name in body}
    if kind is SKILL:
        other["timezone"] = live["timezone"]  # nothing can write another one
        live["dnc_groups"], other["dnc_groups"] = (
            sorted(random.sample(["70", "71"], random.randrange(3))) for _ in range(2)
        )
    desired = {**live}
    for name in random.sample(sorted(live), random.choice([1, 1, 2, 3, len(live)])):
        desired[name] = _edited(random, live[name]) if random.random() < 0.5 else other[name]
    if kind is KIND and desired["start_time"] >= desired["end_time"]:
        desired["start_time"], desired["end_time"] = other["start_time"], other["end_time"]
    return kind, kind.canonical(live), kind.canonical(desired)


def _edited(random: Random, value: Any) -> Any:
    """Return hours or an instant moved a little; anything else as it is."""
    if isinstance(value, list) and value and isinstance(value[0], dict):
        rows = [{**row} for row in value]
        row = random.choice(rows)
        if "start_hour" in row:
            name = random.choice(["start_hour", "end_hour"])
            row[name] = (row[name] + random.choice([-2, -1, 1, 2])) % 24
            return value if row["start_hour"] == row["end_hour"] else rows
        name = random.choice(["start", "end"])
        moved = (minutes.minute_of(row[name]) + random.choice([-120, -60, -15, 15, 60, 120])) % 1440
        row[name] = f"{moved // 60:02}:{moved % 60:02}"
        return value if row["start"] == row["end"] else rows
    if isinstance(value, str) and value.endswith("Z"):
        moved = datetime.fromisoformat(value) + timedelta(
            hours=random.choice([-13, -5, -2, -1, 1, 2, 5, 13])
        )
        return f"{moved:%Y-%m-%dT%H:%M:%SZ}"
    return value


def judge(seed: int, count: int, span: Range) -> Counter[str]:
    """Return how many changes were judged, by verdict; fail at an unsafe one."""
    random, counts = Random(seed), Counter[str]()
    while counts["pairs"] < count:
        kind, live, desired = random_pair(random, span)
        found = direction(live, desired, kind, span.start)
        wider = is_wider(live, desired, span)
        counts["pairs"] += 1
        if wider:
            counts["wider"] += 1
            assert found.widens, (seed, counts["pairs"], found, live, desired)
        else:
            counts["not wider"] += 1
            counts["called loosening"] += found.widens
            counts["called loosening field by field"] += by_fields(live, desired, kind.rules).widens
    return counts


def test_no_change_that_opens_a_minute_is_called_tightening_or_neutral():
    counts = judge(1, 600, FORTNIGHT)
    assert counts["wider"] > 100
    assert counts["not wider"] > 100


@pytest.mark.long
def test_of_twenty_thousand_changes_none_is_unsafe_and_one_in_a_hundred_is_timid():
    counts = judge(2, 20_000, YEAR)
    print(dict(counts))
    assert counts["wider"] > 5_000
    assert counts["called loosening"] <= counts["not wider"] / 100
