"""The brief's formulas, to the letter, and what is true of them whatever the numbers."""

from __future__ import annotations

import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import pacing
from reconciler.pacing import Bucket, activation_latency, during, project_answer_rate, step

RATES = st.floats(min_value=1, max_value=50)
SHARES = st.floats(min_value=0.01, max_value=1)


def test_the_examples_in_the_docstrings_are_true() -> None:
    assert doctest.testmod(pacing).failed == 0
    assert doctest.testmod(pacing).attempted == 3


@pytest.mark.parametrize(
    ("dial_rate", "historical", "expected"),
    [
        (0, 0.3, 0.3),
        (1, 1.0, 0.9970089730807579),
        (25, 0.215, 0.2),
        (50, 0.23, 0.2),
        (100, 0.26, 0.2),
        (100, 0.0, 0.0),
    ],
)
def test_the_projection_is_the_formula_of_the_brief(dial_rate, historical, expected) -> None:
    assert project_answer_rate(dial_rate, historical) == expected


@given(st.floats(0, 100), st.floats(0, 100), SHARES)
def test_a_faster_dialer_is_never_projected_to_reach_more(one, other, historical) -> None:
    slow, fast = sorted((one, other))
    assert project_answer_rate(fast, historical) <= project_answer_rate(slow, historical)
    assert project_answer_rate(fast, historical) <= historical


@pytest.mark.parametrize(
    ("dial_rate", "answer_rate", "target", "expected"),
    [
        (20.0, 0.2249, 0.25, 17.0),  # just below the band
        (20.0, 0.225, 0.25, 20.0),  # on its lower edge
        (20.0, 0.25, 0.25, 20.0),
        (20.0, 0.275, 0.25, 20.0),  # on its upper edge
        (20.0, 0.2751, 0.25, 23.0),  # just above
        (1.1, 0.1, 0.25, 1.0),  # the floor
        (45.0, 0.9, 0.25, 50.0),  # the ceiling
        (0.5, 0.1, 0.25, 1.0),  # "lowered": turned round by the floor
        (60.0, 0.9, 0.25, 50.0),  # "raised": turned round by the ceiling
        (60.0, 0.1, 0.25, 51.0),  # lowered, and above the ceiling still: it only holds upwards
        (0.5, 0.9, 0.25, 0.575),
        (0.5, 0.25, 0.25, 0.5),
        (60.0, 0.25, 0.25, 60.0),
    ],
)
def test_the_step_is_the_rule_of_the_brief(dial_rate, answer_rate, target, expected) -> None:
    assert step(dial_rate, answer_rate, target) == pytest.approx(expected, abs=1e-12)


@given(RATES, RATES, SHARES, SHARES)
def test_a_faster_campaign_stays_the_faster_one(one, other, answer_rate, target) -> None:
    slow, fast = sorted((one, other))
    assert step(slow, answer_rate, target) <= step(fast, answer_rate, target)


@given(RATES, SHARES, SHARES, SHARES)
def test_more_answers_never_make_it_dial_slower(dial_rate, one, other, target) -> None:
    fewer, more = sorted((one, other))
    assert step(dial_rate, fewer, target) <= step(dial_rate, more, target)


@given(RATES, SHARES, SHARES)
def test_from_within_its_clamps_a_step_never_leaves_them(dial_rate, answer_rate, target) -> None:
    assert pacing.SLOWEST <= step(dial_rate, answer_rate, target) <= pacing.FASTEST


@given(st.floats(0.01, 100), SHARES, SHARES)
def test_a_step_moves_only_when_the_answer_rate_leans(dial_rate, answer_rate, target) -> None:
    moved = step(dial_rate, answer_rate, target) != dial_rate
    assert not moved or pacing.leaning(answer_rate, target) != 0


def test_latency_is_the_difference_of_the_platforms_two_instants() -> None:
    assert activation_latency("2027-01-11T14:00:00Z", "2027-01-11T14:00:00Z") == 0
    assert activation_latency("2027-03-14T01:59:59-05:00", "2027-03-14T03:00:01-04:00") == 2
    assert activation_latency("2027-01-11T14:00:01Z", "2027-01-11T14:00:00Z") == -1


@pytest.mark.parametrize("text", ["yesterday", "", "2027-01-11T14:00:00", "2027-01-11"])
def test_an_instant_without_an_offset_is_refused(text) -> None:
    with pytest.raises(ValueError, match=r"offset|isoformat"):
        activation_latency("2027-01-11T14:00:00Z", text)


def test_an_interval_holds_its_start_and_not_its_end() -> None:
    noon = datetime(2027, 1, 11, 12, tzinfo=UTC)
    hours = tuple(Bucket(noon + timedelta(hours=n), 10, 2) for n in range(4))
    assert during(hours, hours[1].start, hours[3].start) == hours[1:3]
    assert during(hours, None, hours[1].start) == hours[:1]
    assert during(hours, hours[3].start, None) == hours[3:]
    assert during(hours, None, None) == hours
