"""The interface of a strategy: observations of each object in, one piece of advice for each object out.

A strategy is a module with `NAME`, `NEEDS`, `PROMISES`, `LOOK_BACK` and `propose`. It contacts no platform and never applies anything: a
proposal becomes an edit of a manifest, which is planned like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeAlias

from reconciler import pacing
from reconciler.calendar import Hours
from reconciler.models import Body, Capacity, Pacing
from reconciler.optimize.answer_rates import AnswerRates
from reconciler.optimize.intervals import Interval
from reconciler.pacing import Bucket

RATE: Final = "dial_rate"
"""Field of a campaign's schedule: calls per second."""

CALLS: Final = "max_concurrent_calls"
"""Field of a campaign's schedule: calls in progress at the same time."""

RATIO: Final = "maximum_ratio"
"""Field of a skill's schedule: calls in progress for each available agent."""

THRESHOLD: Final = "abandon_rate_threshold"
"""Field of a skill's schedule: percent of answered calls abandoned, above which the dialer slows down."""


@dataclass(frozen=True, slots=True)
class OpenHour:
    """An hour in which a schedule may dial.

    Attributes:
        start: a whole hour, UTC.
        share: part of the hour that is open, above 0 and at most 1.
        weekday: 0 is Monday, on the schedule's clock (`Subject.zone`).
        hour: 0 to 23, on the same clock.
    """

    start: datetime
    share: float
    weekday: int
    hour: int


@dataclass(frozen=True, slots=True)
class Subject:
    """One object that a strategy gives advice for.

    Attributes:
        key: identity on the platform.
        name: the manifest's name.
        kind: kind of the manifest.
        spec: the desired body (`Desired.body`).
        observed: observed hours, in any order.
        pacing: section `pacing` of the manifest.
        open_hours: the hours of one week in which the schedule may dial, sorted; empty: it never does.
        hours: when the schedule may dial at all; `None`: unknown.
        ceilings: the tenant's limits by field; a missing field has none.
        zone: IANA name of the clock by which hours of the week are counted.
        changed: when the value of a field in `spec` was last changed on the platform; `None`: the platform does not hold it yet. A
            missing field: unknown.
    """

    key: str
    name: str
    _: KW_ONLY
    kind: str = "CampaignSchedule"
    spec: Body = field(default_factory=dict)
    observed: tuple[Bucket, ...] = ()
    pacing: Pacing = field(default_factory=Pacing)
    open_hours: tuple[OpenHour, ...] = ()
    hours: Hours | None = None
    ceilings: Mapping[str, float] = field(default_factory=dict)
    zone: str = "UTC"
    changed: Mapping[str, datetime | None] = field(default_factory=dict)

    @property
    def dial_rate(self) -> float | None:
        """Dial rate in the manifest, calls per second; `None` if the kind has none."""
        rate = self.spec.get(RATE)
        return None if rate is None else float(rate)


@dataclass(frozen=True, slots=True)
class Context:
    """Input of a strategy besides the objects.

    Attributes:
        now: the platform's clock.
        target_answer_rate: answers per attempt to aim at, above 0 and at most 1. Only `step` reads it.
        capacity: what the tenant's trunks and agents can carry.
        others: objects of the tenant that no advice is asked for, and that dial as well.
        partial: whether the tenant may have more objects that were not read.
        answer_rates: of the subjects, where they are estimated already; `None`: a strategy that needs them estimates them.
    """

    now: datetime
    target_answer_rate: float | None = None
    capacity: Capacity = field(default_factory=Capacity)
    others: tuple[Subject, ...] = ()
    partial: bool = False
    answer_rates: AnswerRates | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for a piece of advice: sums over the observed hours.

    Attributes:
        attempts, answers: counts.
        abandons: abandoned answers, of the hours in which their number is known.
        hours: observed hours.
        uncounted: answers of the hours in which the number of abandoned ones is unknown.
    """

    attempts: int
    answers: int
    abandons: int = 0
    hours: int = 0
    uncounted: int = 0

    @classmethod
    def of(cls, buckets: Iterable[Bucket]) -> Evidence:
        """Return the sums over some hours."""
        hours = tuple(buckets)
        return cls(
            sum(hour.attempts for hour in hours),
            sum(hour.answers for hour in hours),
            sum(hour.abandons or 0 for hour in hours),
            len(hours),
            sum(hour.answers for hour in hours if hour.abandons is None),
        )

    @property
    def counted(self) -> int:
        """Answers of the hours in which the number of abandoned ones is known. A share is computed from these only."""
        return self.answers - self.uncounted

    @property
    def answer_rate(self) -> float:
        """Answers per attempt, 0 to 1. There must be attempts."""
        return self.answers / self.attempts


@dataclass(frozen=True, slots=True)
class Prediction:
    """What is expected over the coming weeks, with 90 % intervals.

    Attributes:
        binding: the open hour in which most calls are abandoned; `None` when the hours are unknown.
        abandonment: share of the live answers that no agent takes in time, in the binding hour, 0 to 1.
        utilisation: share of the agents' time spent on calls and wrap-up, in the binding hour, 0 to 1.
        contacts_per_hour: live answers per hour that agents take, over all open hours.
    """

    binding: OpenHour | None
    abandonment: Interval
    utilisation: Interval
    contacts_per_hour: Interval


Value: TypeAlias = float | int | str


@dataclass(frozen=True, slots=True)
class Change:
    """A new value of one field of `spec`; never equal to the current one."""

    field: str
    current: Value
    proposed: Value


@dataclass(frozen=True, slots=True)
class Proposal:
    """Better values for one object.

    Attributes:
        key, name: the object.
        changes: at least one; each field once.
        reason: why, in one sentence with the numbers.
        evidence: what was observed.
        before, after: prediction with the current and with the proposed values; `None` when the agents are unknown.
        notes: sentences that a reader must know before merging.
    """

    key: str
    name: str
    changes: tuple[Change, ...]
    reason: str
    evidence: Evidence
    before: Prediction | None = None
    after: Prediction | None = None
    notes: tuple[str, ...] = ()

    def proposed(self, name: str) -> Value | None:
        """Return the proposed value of a field; `None` if the field does not change."""
        return next((each.proposed for each in self.changes if each.field == name), None)

    @property
    def projected_answer_rate(self) -> float | None:
        """Answer rate by `pacing.project_answer_rate` for the proposed dial rate; `None` without one."""
        rate = self.proposed(RATE)
        if rate is None or not self.evidence.attempts:
            return None
        return pacing.project_answer_rate(float(rate), self.evidence.answer_rate)


@dataclass(frozen=True, slots=True)
class Declined:
    """No proposal for one object, with the reason. Also used for an object whose values are fine.

    Attributes:
        key, name: the object.
        reason: why, in one sentence.
        proposal: the strategy's proposal that must not be made, to show what it would do; `None`: there was none.
    """

    key: str
    name: str
    reason: str
    proposal: Proposal | None = None


Advice: TypeAlias = Proposal | Declined


class Strategy(Protocol):
    """One way to find better values; implemented by a module."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """Name of the strategy, for `--strategy`."""

    @property
    def NEEDS(self) -> str:  # noqa: N802 - same
        """What the strategy must know; completes the sentence "needs …"."""

    @property
    def PROMISES(self) -> str:  # noqa: N802 - same
        """What its proposals hold to; completes the sentence "proposes …"."""

    @property
    def LOOK_BACK(self) -> timedelta:  # noqa: N802 - same
        """Length of the observed interval when no start is given."""

    def propose(self, subjects: Sequence[Subject], context: Context) -> tuple[Advice, ...]:
        """Return one piece of advice per subject, in the same order.

        Args:
            subjects: the objects of the tenant.
            context: see `Context`.
        """
