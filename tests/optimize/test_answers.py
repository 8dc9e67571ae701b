"""Answer rates: calibrated on weeks that the model has not seen, better than raw ratios, honest about little data."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.optimize import answers
from reconciler.optimize.answer_rates import AnswerRate
from reconciler.optimize.base import Subject
from reconciler.pacing import Bucket
from tests.optimize.worlds import NOW, OPEN, natures, world

EVERY_HOUR = [(day, hour) for day in range(7) for hour in range(24)]


def subject(*buckets: Bucket, key: str = "1", zone: str = "UTC") -> Subject:
    return Subject(key, key, observed=buckets, zone=zone)


def week(attempts: int, share: float, *, ago: int = 1) -> tuple[Bucket, ...]:
    start = NOW - timedelta(weeks=ago)
    return tuple(
        Bucket(start + timedelta(days=day, hours=hour), attempts, round(attempts * share))
        for day, hour in OPEN
    )


# --- calibration ----------------------------------------------------------------------------------------------------------


def measured(worlds: int, campaigns: int = 1) -> tuple[float, float, float]:
    """Return, over many worlds: which share of the true rates of the held-out week lies in their 90 % intervals, the error of
    the means, and the error of the raw ratios of the hours that were observed at all."""
    covered, errors, raw_errors = [], [], []
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        made = world(rng, natures(rng, campaigns))
        rates = answers.fit(made.subjects, NOW)
        seen: dict[tuple[str, int, int], np.ndarray] = {}
        for one in made.subjects:
            for each in one.observed:
                at = (one.key, each.start.weekday(), each.start.hour)
                counted = np.array([each.attempts, each.answers])
                seen[at] = seen.get(at, np.zeros(2)) + counted
        for at, true in made.truth.items():
            found = rates.of(*at).interval
            covered.append(found.low <= true <= found.high)
            if at in seen and seen[at][0]:
                errors.append(found.mean - true)
                raw_errors.append(seen[at][1] / seen[at][0] - true)
    return float(np.mean(covered)), float(np.std(errors)), float(np.std(raw_errors))


def test_intervals_hold_the_true_rates_of_the_week_that_comes() -> None:
    coverage, error, raw = measured(60)
    print(f"90 % intervals hold {coverage:.1%}; error {error:.4f}, of raw ratios {raw:.4f}")
    assert 0.88 <= coverage <= 0.92
    assert error < 0.75 * raw


@pytest.mark.long
@pytest.mark.parametrize(("worlds", "campaigns"), [(600, 1), (60, 8)])
def test_intervals_hold_the_true_rates_in_many_worlds(worlds: int, campaigns: int) -> None:
    coverage, error, raw = measured(worlds, campaigns)
    print(f"90 % intervals hold {coverage:.1%}; error {error:.4f}, of raw ratios {raw:.4f}")
    assert 0.88 <= coverage <= 0.92
    assert error < 0.75 * raw


# --- little data ----------------------------------------------------------------------------------------------------------


def test_more_data_narrow_the_interval_and_never_to_nothing() -> None:
    widths = []
    for attempts in (4, 20, 200, 10_000):
        found = answers.fit(
            [subject(*week(attempts, 0.25, ago=1), *week(attempts, 0.25, ago=2))], NOW
        )
        low, mean, high = found.of("1", 2, 12).interval
        assert low < mean < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 0.15
    assert widths[-1] > 0.005


def test_an_hour_without_data_gets_what_its_day_and_hour_say_and_a_wider_interval() -> None:
    hours = [
        Bucket(each.start, each.attempts, round(each.attempts * (0.2 if each.start.hour < 15 else 0.4)))
        for ago in (1, 2, 3)
        for each in week(200, 0.0, ago=ago)
        if (each.start.weekday(), each.start.hour) not in {(2, 10), (2, 18)}
    ]  # fmt: skip
    rates = answers.fit([subject(*hours)], NOW)
    early, late = rates.of("1", 2, 10), rates.of("1", 2, 18)
    assert early.attempts == late.attempts == 0
    assert 0.17 < early.mean < 0.25
    assert 0.35 < late.mean < 0.45
    assert early.deviation > rates.of("1", 3, 10).deviation
    assert rates.of("1", 6, 3).deviation > early.deviation  # no hour of this Sunday was ever seen


def test_a_campaign_without_data_is_like_the_others_with_a_wide_interval() -> None:
    seen = [subject(*week(300, share), key=f"{key}") for key, share in enumerate((0.2, 0.3, 0.4))]
    rates = answers.fit([*seen, subject(key="new")], NOW)
    low, mean, high = rates.of("new", 2, 12).interval
    assert 0.2 < mean < 0.4
    assert high - low > 3 * (rates.of("0", 2, 12).interval.high - rates.of("0", 2, 12).interval.low)


def test_without_any_data_the_prior_speaks() -> None:
    low, mean, high = answers.fit([subject()], NOW).of("1", 0, 0).interval
    assert low < 0.05
    assert 0.15 < mean < 0.45
    assert high > 0.6


def test_nobody_and_everybody_are_no_certainty() -> None:
    nobody = answers.fit([subject(*week(50, 0.0))], NOW).of("1", 2, 12)
    everybody = answers.fit([subject(*week(50, 1.0))], NOW).of("1", 2, 12)
    assert 0 < nobody.interval.low < nobody.mean < nobody.interval.high < 0.02
    assert 0.98 < everybody.interval.low < everybody.interval.high < 1


def test_one_answer_to_one_call_is_not_a_rate_of_100_percent() -> None:
    (only,) = [Bucket(NOW - timedelta(hours=5), 1, 1)]
    assert answers.fit([subject(only)], NOW).of("1", 6, 19).mean < 0.5


# --- what counts ----------------------------------------------------------------------------------------------------------


def test_the_latest_weeks_count_most() -> None:
    fell = [each for ago in range(1, 5) for each in week(500, 0.3 if ago > 1 else 0.2, ago=ago)]
    assert answers.fit([subject(*fell)], NOW).of("1", 2, 12).mean < 0.215


def test_hours_of_the_future_and_of_a_quarter_ago_do_not_count() -> None:
    kept = week(100, 0.2)
    others = (*week(5000, 0.6, ago=14), *week(5000, 0.6, ago=-1))
    assert answers.fit([subject(*kept, *others)], NOW) == answers.fit([subject(*kept)], NOW)


def test_hours_are_those_of_the_schedules_clock_on_both_sides_of_a_clock_change() -> None:
    zone = "America/New_York"
    now = datetime(2027, 3, 22, tzinfo=UTC)  # the clocks changed on the 14th
    noon = [
        Bucket(datetime(2027, 3, day, 16 if day >= 14 else 17, tzinfo=UTC), 400, 200)
        for day in range(2, 22)
    ]
    night = [Bucket(each.start.replace(hour=2), 400, 40) for each in noon]
    rates = answers.fit([subject(*noon, *night, zone=zone)], now)
    assert {rates.of("1", day, 12).attempts for day in range(7)} == {1200, 800}
    assert all(rates.of("1", day, 12).mean > 0.45 for day in range(7))
    assert all(rates.of("1", day, hour).attempts == 0 for day in range(7) for hour in (11, 13))


@settings(max_examples=8)
@given(st.randoms(), st.integers(0, 1000))
def test_the_order_of_hours_and_of_objects_does_not_matter(shuffle, seed: int) -> None:
    rng = np.random.default_rng(seed)
    subjects = list(world(rng, replace(natures(rng, 3), weeks=2)).subjects)
    first = answers.fit(subjects, NOW)
    mixed = [replace(each, observed=tuple(shuffle.sample(each.observed, len(each.observed)))) for each in subjects]  # fmt: skip
    shuffle.shuffle(mixed)
    second = answers.fit(mixed, NOW)
    for each in subjects:
        for day, hour in EVERY_HOUR[::13]:
            one, other = first.of(each.key, day, hour), second.of(each.key, day, hour)
            assert other.log_odds == pytest.approx(one.log_odds, abs=1e-6)
            assert other.deviation == pytest.approx(one.deviation, rel=1e-6)


@given(st.floats(-8, 8), st.floats(0.001, 3), st.floats(0.01, 0.98), st.floats(0.005, 0.015))
def test_quantiles_rise_and_lie_between_nobody_and_everybody(log_odds, deviation, at, more):
    rate = AnswerRate(log_odds, deviation)
    assert 0 < rate.quantile(at) < rate.quantile(at + more) < 1
    assert rate.interval.low < rate.interval.mean < rate.interval.high


@given(st.floats(-3, 1), st.floats(0.01, 0.8))
def test_the_mean_is_that_of_draws(log_odds: float, deviation: float) -> None:
    rate = AnswerRate(log_odds, deviation)
    drawn = np.mean([rate.quantile((part + 0.5) / 500) for part in range(500)])
    assert rate.mean == pytest.approx(drawn, rel=0.01)


def test_no_objects_have_no_rates() -> None:
    assert answers.fit([], NOW).by_key == {}
