"""Means, intervals and bars of made-up runs."""

from __future__ import annotations

from dataclasses import replace
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.simulate.bars import bars, grouped, mean
from reconciler.simulate.runs import Run

RUN = Run("agents-60", "erlang", 1, 10_000, 2000, 1960, 0.02, 100.0, 80.0, 0)


def runs(**contacts: int) -> list[Run]:
    """Return five runs of each policy, with these contacts."""
    return [
        replace(RUN, policy=name.replace("_", "-"), seed=seed, contacts=reached)
        for name, reached in contacts.items()
        for seed in range(5)
    ]


def holds(found: list[Run]) -> list[bool | None]:
    return [bar.holds for bar in bars(grouped(found))]


def test_good_runs_clear_every_bar() -> None:
    good = runs(erlang=1960, progressive=1800, oracle=2000, allocate=1100, equal_shares=1000)
    assert holds(good) == [True] * 5


def test_one_run_in_twenty_may_exceed_the_cap() -> None:
    twenty = [replace(RUN, seed=seed) for seed in range(20)]
    one = [replace(twenty[0], abandonment=0.0301), *twenty[1:]]
    assert holds(one)[0] is True
    assert holds([replace(twenty[1], seed=99, abandonment=0.0301), *one[:-1]])[0] is False


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [(1841, 1841, True), (1839, 1839, False), (1890, 1801, True), (1990, 1799, False)],
)
def test_the_oracle_is_near_as_a_mean_and_never_far(one, other, expected) -> None:
    near = runs(erlang=one, oracle=2000)
    far = [replace(run, scenario="agents-200") for run in runs(erlang=other, oracle=2000)]
    found = bars(grouped(near + far))[1]
    assert found.holds is expected
    assert other == one or "agents-200" in found.reached


@pytest.mark.parametrize(
    ("contacts", "abandonment", "expected"),
    [
        (1799, 0.0011, False),
        (1799, 0.001, True),
        (1799, 0.0, True),
        (1800, 0.02, True),
        (1900, 0.02, True),
    ],
)
def test_worse_than_progressive_is_worse_on_both_measures(contacts, abandonment, expected) -> None:
    own = [replace(run, abandonment=abandonment) for run in runs(erlang=contacts)]
    other = [replace(run, abandonment=0.0) for run in runs(progressive=1800)]
    assert holds([*own, *other])[2] is expected


def test_one_minute_outside_the_window_is_too_many() -> None:
    assert holds([replace(RUN, policy="constant", minutes_outside=1)])[3] is False


def test_allocation_must_gain_a_tenth() -> None:
    assert holds(runs(allocate=1099, equal_shares=1000))[4] is False
    assert holds(runs(allocate=1100, equal_shares=1000))[4] is True


def test_what_was_not_run_is_not_judged() -> None:
    assert holds(runs(progressive=1800)) == [None, None, None, True, None]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=50))
def test_an_interval_holds_its_mean(values) -> None:
    found = mean(values)
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(fmean(values))


def test_an_interval_is_that_of_student() -> None:
    """One sample of the tables: t with 3 degrees of freedom is 3.182."""
    found = mean([1.0, 2.0, 3.0, 4.0])
    assert found.high - found.value == pytest.approx(3.182 * 1.29099 / 2, rel=1e-3)
    assert mean([5.0]) == (5.0, None, None)
