"""Estimate answer rates by campaign and hour of the week. The fewer data there are, the wider are the intervals.

The rates of all campaigns are estimated together (`hierarchy`): an hour with few attempts is drawn towards its weekday, its
hour of the day, its campaign, and the other campaigns. An hour without data gets what these say, and a wider interval. Weeks
count less the more the campaign's level moves from week to week, which is estimated as well. Weeks older than `observations.WEEKS` do not count.

Hours of the week are those of the schedule's clock (`Subject.zone`), so a clock change moves none of them.

An interval is for the true answer rate in one hour of the coming week: 90 % of them shall hold it. It covers what is unknown
of the mean of that hour of the week, what the level may move in a week, and how much single hours differ.
`tests/optimize/test_answers.py` measures this on weeks that the model has not seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from reconciler.models import zone
from reconciler.optimize.answer_rates import AnswerRate, AnswerRates
from reconciler.optimize.base import Subject
from reconciler.optimize.hours import cell
from reconciler.optimize.observations import recent
from reconciler.pacing import Bucket

_WEEK: Final = timedelta(weeks=1)


def fit(subjects: Sequence[Subject], now: datetime) -> AnswerRates:
    """Estimate the answer rates of the week after `now`.

    Args:
        subjects: the objects, each key once. Hours with impossible counts must be left out (`observations.usable`).
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
