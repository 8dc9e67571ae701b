"""The hierarchical logistic model behind `answers`: counts by campaign, week and hour of the week in, log-odds out.

The log-odds of an answer in one hour are a sum of normal effects:

    log-odds[c, w, t] = shared mean and shared effects of weekday and hour
                      + level of campaign c in week w              (a random walk from week to week)
                      + effects of weekday and hour in campaign c
                      + effect of the hour of the week t in campaign c
                      + noise of this one hour

Answers are binomial. The effects are found by Laplace's approximation: Newton's method finds the mode, and the curvature
there gives the variances. The scale of each group of effects is found at the same time, by the marginal likelihood of the
data and a weak prior (`SCALES`). So data that vary little give narrow intervals, data that vary much give wide ones, and
where there is little data the prior decides.

Sources: Breslow and Clayton 1993 (approximate inference in mixed models); MacKay 1992 (updates of the scales). Shapes: C
campaigns, W weeks with the newest first, 168 hours of the week from Monday 0:00.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Array: TypeAlias = NDArray[np.float64]

HOURS: Final = 168
_DAYS: Final = 7
_PATTERN: Final = 31
"""Effects of a pattern: 7 of weekdays and 24 of hours."""

MEAN: Final = (np.log(0.2 / 0.8), 1.5)
"""Prior of the shared mean, in log-odds: 20 % answered, between 2 % and 75 % with 90 % probability."""


class Scale(NamedTuple):
    """Prior of the standard deviation of a group of effects, in log-odds: log-normal.

    Attributes:
        median: of the standard deviation.
        spread: standard deviation of its logarithm.
    """

    median: float
    spread: float


SCALES: Final = {
    "level": Scale(0.5, 1.0),
    "drift": Scale(0.05, 1.0),
    "day": Scale(0.085, 0.7),
    "hour": Scale(0.14, 0.7),
    "shared_day": Scale(0.085, 0.7),
    "shared_hour": Scale(0.14, 0.7),
    "cell": Scale(0.12, 0.7),
    "hour_off": Scale(0.1, 1.0),
}
"""Priors of the scales. Days, hours and hours of the week are as far apart as in the only published table by day and hour (a
spread of 1.2 to 1.4 from best to worst, PMC5875189), half of it shared by all campaigns. A level that moves by 5 % from week to
week, and single hours that are 10 % off, are assumptions."""

_DRIFT: Final = 1
"""Place of the drift in `SCALES`."""

_OFF: Final = 7
"""Place of the noise of single hours."""

_MEDIANS: Final = np.log([each.median for each in SCALES.values()])
_TIGHTNESS: Final = np.array([each.spread**-2 for each in SCALES.values()])

ROUNDS: Final = 60
"""Most rounds; ten are usual."""

_SETTLED: Final = 1e-3
"""Largest move of a log-odds in the last round, and a twentieth of that of a scale's logarithm."""

_FARTHEST: Final = 12.0
"""Largest log-odds in either direction, so that no weight vanishes when everybody or nobody answers."""


class Coming(NamedTuple):
    """Log-odds of an answer in each hour of the coming week.

    Attributes:
        log_odds: mean, (C, 168).
        deviation: standard deviation of what is lasting, (C, 168). It counts that the level moves on.
        off: standard deviation of the noise of a single hour.
    """

    log_odds: Array
    deviation: Array
    off: float


def fit(attempts: Array, answers: Array) -> Coming:
    """Return the answer rates to expect next week.

    Args:
        attempts: calls, (C, W, 168) with C and W at least 1; 0: no data.
        answers: live persons, of the same shape, from 0 to `attempts`.
    """
    log_odds = _first_guess(attempts, answers)
    logs = _MEDIANS.copy()
    for _ in range(ROUNDS):
        share = expit(log_odds)
        weight, surplus = attempts * share * (1 - share), answers - attempts * share
        scales = np.exp(2 * logs)
        found = _solve(weight, weight * log_odds + surplus, scales)
        moved = np.clip(found.log_odds, -_FARTHEST, _FARTHEST)
        rest = weight * (log_odds - moved) + surplus
        groups = (*found.groups, _single_hours(weight, rest, found.variance, scales[_OFF]))
        step, certainty = _scale_step(groups, logs)
        shift = float(np.abs(moved - log_odds).max())
        log_odds, logs = moved, logs + step
        if max(shift, np.abs(step).max() / 20) < _SETTLED:
            break
    # The mean of a variance of which only the logarithm's mean and certainty are known (log-normal).
    ahead = np.exp(2 * logs + 2 / certainty)
    lasting = found.variance[:, 0] + ahead[_DRIFT]
    return Coming(log_odds[:, 0], np.sqrt(lasting), float(np.sqrt(ahead[_OFF])))


def _first_guess(attempts: Array, answers: Array) -> Array:
    tried, answered = attempts.sum((1, 2)), answers.sum((1, 2))
    guess = np.log((answered + 1) / (tried - answered + 4))
    return np.broadcast_to(guess[:, None, None], attempts.shape)


class _Group(NamedTuple):
    """A group of effects with one scale: their squares, as expected now, and how much of that is uncertainty."""

    squares: float
    variance: float
    number: int


def _group(effects: Array, variances: Array) -> _Group:
    variance = float(variances.sum())
    return _Group(float((effects**2).sum()) + variance, variance, effects.size)


def _scale_step(groups: tuple[_Group, ...], logs: Array) -> tuple[Array, Array]:
    """Return by how much to move the logarithms of the scales, and how certain they are (inverse variances).

    The slope of the log evidence is exact (Fisher's identity). The curvature counts only effects that the data determine.
    """
    squares, variances, numbers = (
        np.array(column, dtype=float) for column in zip(*groups, strict=True)
    )
    scales = np.exp(2 * logs)
    slope = squares / scales - numbers - (logs - _MEDIANS) * _TIGHTNESS
    certainty = 2 * np.maximum(numbers - variances / scales, 0.0) + _TIGHTNESS
    return np.clip(slope / certainty, -0.5, 0.5), certainty


def _single_hours(weight: Array, rest: Array, variance: Array, scale: float) -> _Group:
    """Return the group of the noise of single hours, over the hours with attempts.

    Args:
        weight: binomial weights, (C, W, 168).
        rest: weights times what the other effects do not explain.
        variance: of the log-odds by the other effects.
        scale: variance of the group.
    """
    gain = scale / (1 + scale * weight)
    seen = weight > 0
    return _group((gain * rest)[seen], (gain + (gain * weight) ** 2 * variance)[seen])


def _pattern() -> Array:
    """Return which weekday and which hour each hour of the week has, (168, 31)."""
    pattern = np.zeros((HOURS, _PATTERN))
    hours = np.arange(HOURS)
    pattern[hours, hours // 24] = 1
    pattern[hours, _DAYS + hours % 24] = 1
    return pattern


PATTERN: Final = _pattern()


@dataclass(frozen=True, slots=True)
class _Cells:
    """Least squares after the elimination of single hours and of hours of the week.

    An effect that meets few numbers is eliminated by a division. What is left are W levels and 31 effects of the pattern for
    each campaign: the columns below.

    Attributes:
        gain: variance of an hour of the week's effect while all other effects are known, (C, 168).
        seen: its precision times `gain` for each column, (C, 168, W + 31). 1 where the data determine the effect fully.
        pull: precision times response of an hour of the week, (C, 168).
        normal, side: normal equations of the columns, (C, W + 31, W + 31) and (C, W + 31).
    """

    gain: Array
    seen: Array
    pull: Array
    normal: Array
    side: Array


def _cells(weight: Array, pull: Array, cell: float, off: float) -> _Cells:
    """Eliminate the noise of single hours and the effects of hours of the week.

    Args:
        weight: binomial weights, (C, W, 168).
        pull: weights times working responses, (C, W, 168).
        cell: variance of the effects of hours of the week.
        off: variance of the noise of single hours.
    """
    damping = 1 / (1 + off * weight)
    precision, pull = weight * damping, pull * damping
    total = precision.sum(1)
    gain = cell / (1 + cell * total)
    left = gain / cell
    seen = (
        np.concatenate([precision.transpose(0, 2, 1), total[:, :, None] * PATTERN], axis=2)
        * gain[:, :, None]
    )
    campaigns, weeks, _ = weight.shape
    normal = np.empty((campaigns, weeks + _PATTERN, weeks + _PATTERN))
    normal[:, :weeks, :weeks] = -(precision @ seen[:, :, :weeks])
    week = np.arange(weeks)
    normal[:, week, week] += precision.sum(2)
    normal[:, :weeks, weeks:] = precision * left[:, None] @ PATTERN
    normal[:, weeks:, :weeks] = normal[:, :weeks, weeks:].transpose(0, 2, 1)
    normal[:, weeks:, weeks:] = PATTERN.T @ ((total * left)[:, :, None] * PATTERN)
    whole = pull.sum(1)
    levels = pull.sum(2) - np.einsum("ctw,ct->cw", seen[:, :, :weeks], whole)
    side = np.concatenate([levels, (whole * left) @ PATTERN], axis=1)
    return _Cells(gain, seen, whole, normal, side)


@dataclass(frozen=True, slots=True)
class _Solution:
    """Effects for given weights and scales: the mode, and the variances there.

    Attributes:
        log_odds, variance: of each hour, without the noise of single hours, (C, W, 168).
        groups: all groups of `SCALES` but the last, in that order.
    """

    log_odds: Array
    variance: Array
    groups: tuple[_Group, ...]


def _solve(weight: Array, pull: Array, scales: Array) -> _Solution:
    """Solve the weighted least squares problem of one Newton step, from the inside out.

    First come single hours and hours of the week, then the campaigns, one by one, and last what all campaigns share.

    Args:
        weight: binomial weights, (C, W, 168).
        pull: weights times working responses, (C, W, 168).
        scales: variances of the groups, in the order of `SCALES`.
    """
    level, drift, day, hour, shared_day, shared_hour, cell, off = scales
    weeks = weight.shape[1]
    cells = _cells(weight, pull, cell, off)
    own = np.linalg.inv(cells.normal + _own_precision(weeks, level, drift, day, hour))
    shared = np.r_[MEAN[1] ** -2, np.repeat(1 / np.array([shared_day, shared_hour]), [_DAYS, 24])]
    spread = np.zeros((weeks + _PATTERN, 1 + _PATTERN))  # which column each shared effect adds to
    spread[:weeks, 0] = 1
    spread[weeks:, 1:] = np.eye(_PATTERN)
    across = cells.normal @ spread
    follow = own @ across
    between = (across.transpose(0, 2, 1) @ follow).sum(0)
    common = np.linalg.inv(np.diag(shared) + spread.T @ across.sum(0) - between)
    side = spread.T @ cells.side.sum(0) - np.einsum("cij,ci->j", follow, cells.side)
    side[0] += shared[0] * MEAN[0]
    mean = common @ side
    effects = np.einsum("cij,cj->ci", own, cells.side - across @ mean)
    covariance = own + follow @ common @ follow.transpose(0, 2, 1)
    total = own + (spread - follow) @ common @ (spread - follow).transpose(0, 2, 1)
    log_odds, variance, last = _hours(cells, effects + spread @ mean, total)
    groups = (*_own_groups(effects, covariance, weeks), *_shared_groups(mean, common), last)
    return _Solution(log_odds, variance, groups)


def _own_precision(weeks: int, level: float, drift: float, day: float, hour: float) -> Array:
    """Return the prior precision of a campaign's columns: a random walk of levels, and the pattern."""
    precision = np.zeros((weeks + _PATTERN, weeks + _PATTERN))
    steps = np.diff(np.eye(weeks), axis=0)
    precision[:weeks, :weeks] = steps.T @ steps / drift
    precision[0, 0] += 1 / level
    pattern = np.arange(weeks, weeks + _PATTERN)
    precision[pattern, pattern] = np.repeat([1 / day, 1 / hour], [_DAYS, 24])
    return precision


def _hours(cells: _Cells, columns: Array, covariance: Array) -> tuple[Array, Array, _Group]:
    """Return log-odds and variance of each hour, (C, W, 168), and the group of the hours of the week.

    Args:
        cells: the elimination.
        columns: effects of the columns with what is shared, (C, W + 31).
        covariance: of the columns.
    """
    weeks = columns.shape[1] - _PATTERN
    effect = cells.gain * cells.pull - np.einsum("ctj,cj->ct", cells.seen, columns)
    pattern = columns[:, weeks:] @ PATTERN.T + effect
    log_odds = columns[:, :weeks, None] + pattern[:, None]
    beside = (
        -cells.seen
    )  # by column, how an hour's log-odds follow it, but for the level of its own week
    beside[:, :, weeks:] += PATTERN
    related = beside @ covariance
    within = cells.gain + (related * beside).sum(2)
    levels = np.diagonal(covariance, axis1=1, axis2=2)[:, :weeks]
    variance = levels[:, :, None] + 2 * related[:, :, :weeks].transpose(0, 2, 1) + within[:, None]
    own = cells.gain + ((cells.seen @ covariance) * cells.seen).sum(2)
    return log_odds, variance, _group(effect, own)


def _own_groups(effects: Array, covariance: Array, weeks: int) -> Iterator[_Group]:
    """Yield the groups of the campaigns' own columns: level, drift, day, hour."""
    variances = np.diagonal(covariance, axis1=1, axis2=2)
    levels = covariance[:, :weeks, :weeks]
    moves = np.diff(np.diff(levels, axis=1), axis=2)
    yield _group(effects[:, 0], variances[:, 0])
    yield _group(np.diff(effects[:, :weeks]), np.diagonal(moves, axis1=1, axis2=2))
    for part in (slice(weeks, weeks + _DAYS), slice(weeks + _DAYS, None)):
        yield _group(effects[:, part], variances[:, part])


def _shared_groups(mean: Array, covariance: Array) -> Iterator[_Group]:
    """Yield the groups that all campaigns share: day, hour."""
    for part in (slice(1, 1 + _DAYS), slice(1 + _DAYS, None)):
        yield _group(mean[part], np.diagonal(covariance)[part])
