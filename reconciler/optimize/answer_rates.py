"""Answer rates by object and hour of the week, as values. `answers` estimates them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

from reconciler.optimize.intervals import Interval

_NORMAL: Final = NormalDist()

_EQUALLY_LIKELY: Final = tuple(_NORMAL.inv_cdf((2 * part + 1) / 80) for part in range(40))
"""Forty equally likely values of a standard normal."""


@dataclass(frozen=True, slots=True)
class AnswerRate:
    """The answer rate of one hour of the coming week: log-odds with a normal distribution.

    Attributes:
        log_odds: mean of the log-odds.
        lasting: standard deviation of what will last: the mean of this hour of the week, and the level of the coming weeks.
        off: standard deviation of the noise of single hours. It evens out over the weeks.
        attempts: observed attempts in this hour of the week.
    """

    log_odds: float
    lasting: float
    off: float = 0.0
    attempts: int = 0

    @property
    def deviation(self) -> float:
        """Standard deviation of the log-odds of one coming hour."""
        return math.hypot(self.lasting, self.off)

    def quantile(self, probability: float) -> float:
        """Return the answer rate below which the true one lies with a probability, which is above 0 and below 1."""
        return _share(self.log_odds + _NORMAL.inv_cdf(probability) * self.deviation)

    def mean_quantile(self, probability: float, off: float = 0.0) -> float:
        """Return a quantile of the mean rate of this hour over the coming weeks, in which the noise of single hours evens out.

        Args:
            probability: above 0 and below 1.
            off: noise to add, in standard deviations of a single hour.
        """
        log_odds = self.log_odds + _NORMAL.inv_cdf(probability) * self.lasting
        return _share(log_odds + off * self.off)

    @property
    def mean(self) -> float:
        """Expected answer rate: the mean of equally likely ones."""
        likely = (_share(self.log_odds + z * self.deviation) for z in _EQUALLY_LIKELY)
        return math.fsum(likely) / len(_EQUALLY_LIKELY)

    @property
    def interval(self) -> Interval:
        """The 90 % interval."""
        return Interval(self.quantile(0.05), self.mean, self.quantile(0.95))


def _share(log_odds: float) -> float:
    odds = math.exp(-abs(log_odds))
    return (1.0 if log_odds > 0 else odds) / (1 + odds)


@dataclass(frozen=True, slots=True)
class AnswerRates:
    """The answer rates of several objects.

    Attributes:
        by_key: 168 hours from Monday 0:00, by the object's key.
    """

    by_key: Mapping[str, tuple[AnswerRate, ...]]

    def of(self, key: str, weekday: int, hour: int) -> AnswerRate:
        """Return the answer rate of an hour of the week.

        Args:
            key: the object.
            weekday: 0 is Monday.
            hour: 0 to 23.
        """
        return self.by_key[key][weekday * 24 + hour]
