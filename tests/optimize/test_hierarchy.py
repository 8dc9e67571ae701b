"""The hierarchical model: its elimination is exact, and its slopes are those of the evidence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.optimize import hierarchy
from reconciler.optimize.hierarchy import HOURS, MEAN, PATTERN, SCALES, fit

CAMPAIGNS, WEEKS = 2, 3
COLUMNS = WEEKS + PATTERN.shape[1] + HOURS


def numbers(seed: int):
    rng = np.random.default_rng(seed)
    weight = rng.gamma(1.0, 20.0, (CAMPAIGNS, WEEKS, HOURS)) * (
        rng.random((CAMPAIGNS, WEEKS, HOURS)) < 0.5
    )
    response = rng.normal(-1, 0.5, weight.shape)
    logs = np.log([each.median for each in SCALES.values()]) + rng.normal(0, 0.5, len(SCALES))
    return weight, response, logs


def dense(weight, logs):
    """Return design, prior precision and prior mean of all effects at once, row by row."""
    level, drift, day, hour, shared_day, shared_hour, cell, off = np.exp(2 * logs)
    shared = CAMPAIGNS * COLUMNS
    design = np.zeros((weight.size, shared + 32))
    for row, (campaign, week, at) in enumerate(np.ndindex(weight.shape)):
        first = campaign * COLUMNS
        design[row, first + week] = 1
        design[row, first + WEEKS : first + WEEKS + 31] = PATTERN[at]
        design[row, first + WEEKS + 31 + at] = 1
        design[row, shared] = 1
        design[row, shared + 1 :] = PATTERN[at]
    walk = np.diff(np.eye(WEEKS), axis=0)
    levels = walk.T @ walk / drift
    levels[0, 0] += 1 / level
    prior = np.zeros((shared + 32, shared + 32))
    for campaign in range(CAMPAIGNS):
        first = campaign * COLUMNS
        prior[first : first + WEEKS, first : first + WEEKS] = levels
        rest = np.r_[np.full(7, 1 / day), np.full(24, 1 / hour), np.full(HOURS, 1 / cell)]
        own = np.arange(first + WEEKS, first + COLUMNS)
        prior[own, own] = rest
    common = np.arange(shared, shared + 32)
    prior[common, common] = np.r_[
        MEAN[1] ** -2, np.full(7, 1 / shared_day), np.full(24, 1 / shared_hour)
    ]
    mean = np.zeros(shared + 32)
    mean[shared] = MEAN[0]
    seen = weight.ravel() > 0
    noise = off + 1 / weight.ravel()[seen]
    return design, seen, noise, prior, mean


def evidence(weight, response, logs) -> float:
    """Return the logarithm of the density of the responses, effects integrated out."""
    design, seen, noise, prior, mean = dense(weight, logs)
    rest = response.ravel()[seen] - design[seen] @ mean
    covariance = np.diag(noise) + design[seen] @ np.linalg.solve(prior, design[seen].T)
    return float(
        -0.5 * (np.linalg.slogdet(covariance)[1] + rest @ np.linalg.solve(covariance, rest))
    )


@pytest.mark.parametrize("seed", [1, 2])
def test_the_elimination_finds_what_the_whole_system_has(seed: int) -> None:
    weight, response, logs = numbers(seed)
    design, seen, noise, prior, mean = dense(weight, logs)
    normal = design[seen].T @ (design[seen] / noise[:, None]) + prior
    side = design[seen].T @ (response.ravel()[seen] / noise) + prior @ mean
    inverse = np.linalg.inv(normal)
    found = hierarchy._solve(weight, weight * response, np.exp(2 * logs))
    assert found.log_odds.ravel() == pytest.approx(design @ inverse @ side, abs=1e-8)
    variance = np.einsum("ri,ij,rj->r", design, inverse, design)
    assert found.variance.ravel() == pytest.approx(variance, rel=1e-7)


def test_the_slope_of_each_scale_is_that_of_the_evidence() -> None:
    weight, response, logs = numbers(3)
    found = hierarchy._solve(weight, weight * response, np.exp(2 * logs))
    rest = weight * (response - found.log_odds)
    last = hierarchy._single_hours(weight, rest, found.variance, np.exp(2 * logs[-1]))
    groups = (*found.groups, last)
    slopes = [group.squares / np.exp(2 * log) - group.number for group, log in zip(groups, logs, strict=True)]  # fmt: skip
    for place, slope in enumerate(slopes):
        shift = np.zeros(len(logs))
        shift[place] = 1e-4
        up, down = (evidence(weight, response, logs + sign * shift) for sign in (1, -1))
        assert slope == pytest.approx((up - down) / 2e-4, rel=1e-3, abs=1e-3)


COUNTS = st.sampled_from([0, 0, 0, 1, 3, 50, 10**6, 10**9])


@settings(max_examples=25)
@given(
    st.integers(1, 3),
    st.integers(1, 4),
    st.lists(st.tuples(COUNTS, st.sampled_from([0.0, 0.001, 0.3, 1.0])), min_size=1, max_size=30),
)
def test_whatever_was_counted_the_result_is_finite_and_uncertain(campaigns, weeks, rows) -> None:
    attempts = np.zeros((campaigns, weeks, HOURS))
    answers = np.zeros_like(attempts)
    for place, (count, share) in enumerate(rows):
        at = np.unravel_index(place * 37 % attempts.size, attempts.shape)
        attempts[at], answers[at] = count, np.floor(count * share)
    coming = fit(attempts, answers)
    assert np.isfinite(coming.log_odds).all()
    assert (coming.deviation > 0).all()
    assert np.isfinite(coming.deviation).all()


def test_scales_follow_the_data() -> None:
    """Where hours of the week differ much, intervals of unseen hours are wide; where they differ little, narrow."""
    rng = np.random.default_rng(5)
    widths = []
    for size in (0.02, 0.6):
        rate = 1 / (1 + np.exp(1 - rng.normal(0, size, HOURS)))
        attempts = np.full((1, 6, HOURS), 300.0)
        attempts[:, :, ::5] = 0
        answers = rng.binomial(attempts.astype(int), rate[None, None]).astype(float)
        widths.append(fit(attempts, answers).deviation[0, ::5].mean())
    assert widths[0] < 0.2
    assert widths[1] > 0.4
