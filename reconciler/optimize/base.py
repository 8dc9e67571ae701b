"""The interface of a strategy: observations of each object in, one piece of advice for each object out.

A strategy is a module with `NAME` and `propose`. It knows no kind of manifest, no platform and no sibling; it never
applies anything: a proposal becomes an edit of a manifest, and that is planned like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from reconciler.pacing import Bucket


@dataclass(frozen=True, slots=True)
class Subject:
    """One object that a strategy gives advice for.

    Attributes:
        key: identity on the platform.
        name: the manifest's name.
        dial_rate: dial rate in the manifest, calls per second.
        observed: observed hours of the interval, in any order.
        ceiling: the tenant's highest dial rate, calls per second; `None` when it has none.
    """

    key: str
    name: str
    dial_rate: float
    observed: tuple[Bucket, ...] = ()
    ceiling: float | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence for a piece of advice: sums over the interval."""

    attempts: int
    answers: int

    @classmethod
    def of(cls, buckets: Iterable[Bucket]) -> Evidence:
        """Return the sums over some hours."""
        hours = tuple(buckets)
        return cls(sum(hour.attempts for hour in hours), sum(hour.answers for hour in hours))

    @property
    def answer_rate(self) -> float:
        """Answers per attempt, 0 to 1. There must be attempts."""
        return self.answers / self.attempts


@dataclass(frozen=True, slots=True)
class Proposal:
    """A better dial rate for one object.

    Attributes:
        key, name: the object.
        current, proposed: calls per second; never equal.
        reason: why, in one sentence with the numbers.
        evidence: what was observed.
        projected_answer_rate: answer rate that `pacing.project_answer_rate` predicts for the proposed rate.
    """

    key: str
    name: str
    current: float
    proposed: float
    reason: str
    evidence: Evidence
    projected_answer_rate: float


@dataclass(frozen=True, slots=True)
class Declined:
    """No proposal for one object, with the reason. Also used for an object whose rate is fine."""

    key: str
    name: str
    reason: str


Advice: TypeAlias = Proposal | Declined


class Strategy(Protocol):
    """One way to find better dial rates; implemented by a module."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """Name of the strategy, for `--strategy`."""

    def propose(
        self, subjects: Sequence[Subject], *, target_answer_rate: float
    ) -> tuple[Advice, ...]:
        """Return one piece of advice per subject, in the same order.

        Args:
            subjects: every object of the tenant that has a dial rate.
            target_answer_rate: answers per attempt to aim at, above 0 and at most 1.
        """
