"""The clock that decides when holds and locks end: two clocks that contradict each other end nothing early."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.world import APART, Clock

START = datetime(2027, 3, 1, 12, tzinfo=UTC)
spans = st.timedeltas(timedelta(days=-400), timedelta(days=400))


def clock(ours: timedelta, theirs: timedelta | None, **more) -> Clock:
    return Clock(lambda: START + ours, lambda: None if theirs is None else START + theirs, **more)


@given(spans, spans, spans)
def test_what_has_not_ended_by_both_contradicting_clocks_has_not_ended(
    ours: timedelta, theirs: timedelta, end: timedelta
) -> None:
    both = clock(ours, theirs)
    ended = both.passed() >= START + end
    if abs(ours - theirs) > APART:
        assert ended == (end <= ours and end <= theirs)
        assert f"{START + ours:%H:%M:%S}" in both.contradiction()
        assert f"{START + theirs:%H:%M:%S}" in both.contradiction()
    else:
        assert ended == (end <= theirs)
        assert both.contradiction() == ""


@given(spans, spans)
def test_what_is_written_down_is_the_platforms_time(ours: timedelta, theirs: timedelta) -> None:
    assert clock(ours, theirs).now() == START + theirs
    assert clock(ours, theirs).end(timedelta(hours=6)) == START + theirs + timedelta(hours=6)
    assert clock(ours, theirs).end(START) == START
    assert clock(ours, None).now() == clock(ours, None).passed() == START + ours


@given(spans, spans)
def test_a_platform_for_trials_may_have_any_date(ours: timedelta, theirs: timedelta) -> None:
    alone = clock(ours, theirs, alone=True)
    assert alone.passed() == alone.now() == START + theirs
    assert alone.contradiction() == ""


@given(spans, spans, spans)
def test_a_machine_behind_its_ledger_ends_nothing(
    ours: timedelta, seen: timedelta, end: timedelta
) -> None:
    offline = clock(ours, None, seen=START + seen)
    if seen - ours > APART:
        assert offline.passed() < START + end
        assert f"{START + seen:%H:%M:%S}" in offline.contradiction()
    else:
        assert offline.passed() == START + ours
        assert offline.contradiction() == ""


@pytest.mark.parametrize("side", [-1, 1])
def test_five_minutes_are_no_contradiction(side: int) -> None:
    assert clock(side * APART, timedelta()).contradiction() == ""
    more = clock(side * (APART + timedelta(microseconds=1)), timedelta())
    assert more.contradiction()
