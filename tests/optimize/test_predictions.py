"""The table of the last predictions: kept and read without loss, never believed without the records, compared with chance in mind."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.optimize.base import Change, Evidence, OpenHour, Prediction, Proposal, Subject
from reconciler.optimize.intervals import Interval
from reconciler.optimize.predictions import (
    LEAST_HOURS,
    Kept,
    Verdict,
    compare,
    is_ours,
    of_proposal,
    parse,
    render,
    spread,
    wilson,
)
from reconciler.pacing import Bucket

NOW = datetime(2027, 3, 1, 12, 30, 59, tzinfo=UTC)
TUESDAY = datetime(2027, 3, 2, 23, tzinfo=UTC)
"""Tue 18:00 in New York."""
NEW_YORK = "America/New_York"
OPEN = OpenHour(TUESDAY, 1.0, 1, 18)


def intervals(most: float) -> st.SearchStrategy[Interval]:
    values = st.floats(0, most).map(lambda value: float(f"{value:.6g}"))
    return st.lists(values.filter(lambda value: value == 0 or value > 1e-12), min_size=3, max_size=3).map(lambda three: Interval(*sorted(three)))  # fmt: skip


KEPT = st.builds(
    Kept,
    st.from_regex(r"[A-Za-z0-9_.:-]{1,10}", fullmatch=True),
    st.integers(0, 50_000_000).map(lambda minutes: NOW.replace(second=0) + timedelta(minutes=minutes)),
    st.dictionaries(st.sampled_from(["dial_rate", "max_concurrent_calls", "maximum_ratio"]), st.floats(0.001, 5000).map(lambda v: float(f"{v:.6g}")), min_size=1),
    st.integers(0, 6),
    st.integers(0, 23),
    st.sampled_from([NEW_YORK, "UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+5"]),
    intervals(1),
    intervals(1e6),
)  # fmt: skip


def proposal(**more: Any) -> Proposal:
    after = Prediction(OPEN, Interval(0.012, 0.02, 0.029), Interval(0.8, 0.9, 0.95), Interval(500, 560, 610))  # fmt: skip
    values = {"changes": (Change("dial_rate", 2.4, 2.1),), "after": after}
    return Proposal("1001", "spring", reason="why", evidence=Evidence(1, 1), **values | more)


def kept(**more: Any) -> Kept:
    found = of_proposal(proposal(), NEW_YORK, NOW)
    assert found is not None
    return replace(found, **more)


def subject(*buckets: Bucket, share: float = 1.0) -> Subject:
    hours = (replace(OPEN, share=share), OpenHour(TUESDAY - timedelta(hours=1), 1.0, 1, 17))
    return Subject("1001", "spring", observed=buckets, open_hours=hours, zone=NEW_YORK)


@given(st.lists(KEPT, max_size=4, unique_by=lambda each: each.key))
def test_what_is_kept_is_read(rows: list[Kept]) -> None:
    text = render(rows)
    assert is_ours(text)
    assert parse(text, "p.md") == ({each.key: each for each in rows}, ())
    assert render(reversed(rows)) == text


@given(st.text(max_size=200) | KEPT.map(lambda row: render([row])).flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.text("|` =.:9aZ\n", max_size=3)).map(lambda cut: text[: cut[0]] + cut[1] + text[cut[0] + 1 :])
))  # fmt: skip
def test_no_text_raises_and_what_is_read_is_written_again(text: str) -> None:
    found, _ = parse(text, "p.md")
    assert parse(render(found.values()), "p.md") == (found, ())


def test_digits_that_somebody_added_are_read_as_they_would_be_kept() -> None:
    text = render([kept()]).replace("2.1", "2.10000004").replace("560", "560.0000004")
    assert parse(text, "p.md") == ({"1001": kept()}, ())


def test_a_reader_understands_a_row() -> None:
    assert render([kept()]).splitlines()[-1] == (
        "| `1001` | 2027-03-01T12:30Z | dial_rate=2.1 | Tue 18:00 America/New_York | 0.012 0.02 0.029 | 500 560 610 |"
    )


@pytest.mark.parametrize(
    "row",
    [
        "| `1001` | 2027-03-01T12:30Z | dial_rate=2.1 | Tue 24:00 UTC | 0 0 0 | 1 1 1 |",
        "| `1001` | 2027-13-01T12:30Z | dial_rate=2.1 | Tue 18:00 UTC | 0 0 0 | 1 1 1 |",
        "| `1001` | 2027-03-01T12:30Z | dial_rate=2.1 | Tue 18:00 Mars/Base | 0 0 0 | 1 1 1 |",
        "| `1001` | 2027-03-01T12:30Z | dial_rate=2.1 | Tue 18:00 UTC | 1 0 0 | 1 1 1 |",
        "| `1001` | 2027-03-01T12:30Z | dial_rate=nan | Tue 18:00 UTC | 0 0 0 | 1 1 1 |",
        "| `1001` | soon |",
    ],
)
def test_a_row_that_is_none_of_ours_is_named(row: str) -> None:
    found, problems = parse(f"{render([kept(key='9')])}{row}\n", "p.md")
    assert [*found] == ["9"]
    assert [str(each) for each in problems] == ["p.md:8:1: this row cannot be read"]


def test_what_predicts_nothing_or_cannot_be_plain_text_is_not_kept() -> None:
    assert of_proposal(proposal(after=None), NEW_YORK, NOW) is None
    assert of_proposal(replace(proposal(), key="a|b"), NEW_YORK, NOW) is None
    text = (Change("aggressiveness", "low", "high"),)
    assert of_proposal(proposal(changes=text), NEW_YORK, NOW) is None


# --- what then happened -------------------------------------------------------------------------------------------------


def hour(attempts: int, answers: int, abandons: int, at: datetime = TUESDAY) -> Bucket:
    return Bucket(at, attempts, answers, abandons)


WEEKS = tuple(TUESDAY + timedelta(weeks=number) for number in range(-3, 2))
"""Five Tuesdays before the clocks change."""


@pytest.mark.parametrize(
    ("hours", "verdict"),
    [
        ([(1000, 20)], Verdict.INSIDE),
        ([(1000, 12)] * 5, Verdict.INSIDE),
        ([(1000, 60)] * 5, Verdict.ABOVE),
        ([(1000, 60), (1000, 55), (1000, 66), (1000, 50)], Verdict.ABOVE),
        ([(1000, 0)] * 5, Verdict.BELOW),
        ([(1000, 60)] * 3, Verdict.CHANCE),
        ([(1000, 200), (1000, 5), (1000, 10), (1000, 0), (1000, 1)], Verdict.CHANCE),
        ([(20, 0)] * 5, Verdict.CHANCE),
        ([(20, 1)] * 5, Verdict.CHANCE),
        ([(0, 0)], Verdict.UNSEEN),
        ([], Verdict.UNSEEN),
    ],
)
def test_abandonment_is_judged_with_chance_in_mind(hours, verdict) -> None:
    seen = [hour(4000, *each, at) for each, at in zip(hours, WEEKS, strict=False)]
    found = compare(kept(), subject(*seen), WEEKS[0])
    assert found.abandonment.verdict == verdict
    assert found.abandonment.events == sum(abandons for _, abandons in hours)
    assert found.abandonment.of == sum(answers for answers, _ in hours)


@given(
    st.lists(st.tuples(st.integers(0, 50), st.floats(50, 100)), min_size=LEAST_HOURS, max_size=9)
)
def test_hours_that_differ_more_tell_less_and_more_hours_tell_more(pairs) -> None:
    half = spread(pairs)
    assert half >= 0
    assert spread([*pairs, *pairs]) <= half + 1e-12
    assert spread(pairs[: LEAST_HOURS - 1]) == inf


def test_the_interval_of_a_ratio_holds_the_true_one_nine_times_in_ten() -> None:
    rng, held = Random(7), 0
    for _ in range(1000):
        pairs = []
        for _ in range(6):
            answers, share = rng.randint(300, 900), min(1.0, rng.gammavariate(4, 0.005))
            pairs.append(
                (sum(rng.random() < share for _ in range(answers // 10)) * 10, float(answers))
            )
        value = sum(event for event, _ in pairs) / sum(of for _, of in pairs)
        held += abs(value - 0.02) <= spread(pairs)
    assert 780 < held < 960


def test_only_the_binding_hour_counts_for_abandonment_and_every_open_hour_for_contacts() -> None:
    before, closed = TUESDAY - timedelta(hours=1), TUESDAY + timedelta(hours=1)
    hours = (hour(2000, 500, 10), hour(2000, 700, 0, before), hour(9, 9, 9, closed), hour(0, 0, 0))
    found = compare(kept(), subject(*hours), NOW)
    assert (found.abandonment.events, found.abandonment.of) == (10, 500)
    assert (found.contacts_per_hour.events, found.contacts_per_hour.of) == (490 + 700, 2.0)
    assert found.contacts_per_hour.verdict == Verdict.INSIDE


def test_hours_whose_abandoned_calls_are_unknown_are_not_observed() -> None:
    unknown = replace(hour(2000, 500, 0), abandons=None)
    found = compare(kept(), subject(unknown), NOW)
    assert [each.verdict for each in (found.abandonment, found.contacts_per_hour)] == [Verdict.UNSEEN] * 2  # fmt: skip


def test_an_hour_that_is_open_for_a_part_counts_as_this_part() -> None:
    found = compare(kept(), subject(hour(1000, 280, 0), share=0.5), NOW)
    assert found.contacts_per_hour.value == 560


def test_an_hour_in_which_the_values_were_applied_does_not_count() -> None:
    found = compare(kept(), subject(hour(2000, 500, 10)), TUESDAY + timedelta(minutes=1))
    assert found.abandonment.verdict == found.contacts_per_hour.verdict == Verdict.UNSEEN


def test_the_hour_of_the_week_stays_after_the_clocks_changed() -> None:
    later = datetime(
        2027, 3, 16, 22, tzinfo=UTC
    )  # Tue 18:00 again: the clocks went forward on 14 March
    found = compare(kept(), subject(hour(2000, 500, 10, later), hour(2000, 500, 99, later + timedelta(hours=1))), NOW)  # fmt: skip
    assert found.abandonment.events == 10


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_interval_of_a_share_holds_the_share_and_narrows(count: int, of: int) -> None:
    count = min(count, of)
    low, high = wilson(count, of)
    assert 0 <= low <= count / of + 1e-12
    assert count / of - 1e-12 <= high <= 1
    narrow = wilson(count * 4, of * 4)
    assert narrow[1] - narrow[0] < high - low
