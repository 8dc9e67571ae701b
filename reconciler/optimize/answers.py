"""Answer rates by campaign and hour of the week, with intervals that are honest about little data.

The rates of all campaigns are estimated together (`hierarchy`): an hour with few attempts is drawn towards its weekday, its
hour of the day, its campaign, and the other campaigns. An hour without data gets what these say, and a wider interval. Weeks
count less the more the campaign's level moves from week to week, which the data decide; weeks older than `observed.WEEKS` do not count.

Hours of the week are those of the schedule's clock (`Subject.zone`), so a clock change moves none of them.

An interval is for the true answer rate in one hour of the coming week: 90 % of them shall hold it. It covers what is unknown
of the mean of that hour of the week, what the level may move in a week, and how much single hours differ.
`tests/optimize/test_answers.py` measures this on weeks that the model has not seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Final

from reconciler.models import zone
from reconciler.optimize.base import Interval, Subject
from reconciler.optimize.hours import cell
from reconciler.optimize.observations import recent
from reconciler.pacing import Bucket

_WEEK: Final = timedelta(weeks=1)
_NORMAL: Final = NormalDist()

_EQUALLY_LIKELY: Final = tuple(_NORMAL.inv_cdf((2 * part + 1) / 80) for part in range(40))
"""Forty equally likely values of a standard normal."""


@dataclass(frozen=True, slots=True)
class AnswerRate:
    """The answer rate of one hour of the coming week: log-odds with a normal distribution.

    Attributes:
        log_odds: mean of the log-odds.
        lasting: standard deviation of what will last: the mean of this hour of the week, and the level of the coming weeks.
        off: standard deviation of what single hours are off by. It evens out over the weeks.
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
        """Return the same for the mean rate of this hour over the coming weeks, in which what single hours are off by evens out.

        Args:
            probability: above 0 and below 1.
            off: a single hour instead, which is off by that many standard deviations.
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


def fit(subjects: Sequence[Subject], now: datetime) -> AnswerRates:
    """Estimate the answer rates of the week after `now`.

    Args:
        subjects: the objects, each key once. Hours with impossible counts must be left out (`observed.usable`).
        now: the platform's clock. Later hours do not count.

    Raises:
        ValueError: a zone is unknown.
    """
    import numpy as np  # noqa: PLC0415 - numpy and SciPy take half a second to import

    from reconciler.optimize import hierarchy  # noqa: PLC0415 - same

    if not subjects:
        return AnswerRates({})
    ages = [_by_age(each.observed, now) for each in subjects]
    weeks = 1 + max((week for hours in ages for week, _ in hours), default=0)
    counts = np.zeros((2, len(subjects), weeks, hierarchy.HOURS))
    for row, (subject, hours) in enumerate(zip(subjects, ages, strict=True)):
        where = zone(subject.zone)
        for week, bucket in hours:
            weekday, hour = cell(bucket.start, where)
            counts[:, row, week, weekday * 24 + hour] += bucket.attempts, bucket.answers
    coming = hierarchy.fit(counts[0], counts[1])
    seen = counts[0].sum(axis=1)
    return AnswerRates(
        {
            subject.key: tuple(
                AnswerRate(log_odds, lasting, coming.off, int(attempts))
                for log_odds, lasting, attempts in zip(
                    coming.log_odds[row].tolist(),
                    coming.deviation[row].tolist(),
                    seen[row].tolist(),
                    strict=True,
                )
            )
            for row, subject in enumerate(subjects)
        }
    )


def _by_age(buckets: Iterable[Bucket], now: datetime) -> list[tuple[int, Bucket]]:
    """Return the hours that count, each with its age in whole weeks."""
    return [((now - each.start) // _WEEK, each) for each in recent(buckets, now)]
