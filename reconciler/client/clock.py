"""The platform's clock, estimated from the `Date` of its answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from reconciler.dialects.calls import Reply

DATE_RESOLUTION_S: Final = 1.0
"""Resolution of `Date`, in seconds."""


@dataclass(frozen=True, slots=True)
class Skew:
    """How far the platform's clock is ahead of ours.

    Attributes:
        seconds: negative if it is behind.
        uncertainty_s: half the round trip of the measured request plus the resolution of `Date`; infinite if no answer had
            a `Date`.
    """

    seconds: float
    uncertainty_s: float

    @property
    def certain_s(self) -> float:
        """The part of `seconds` that the uncertainty cannot explain; 0 if it explains all of it."""
        least = max(0.0, abs(self.seconds) - self.uncertainty_s)
        return least if self.seconds > 0 else 0.0 - least


@dataclass(frozen=True, slots=True)
class _Sample:
    """One answer's `Date`, the middle of its request on our monotonic clock, and half its round trip in seconds."""

    at: datetime
    middle: float
    half_s: float


class PlatformClock:
    """Estimates the platform's clock. `monotonic` is seconds on a local clock that never goes back."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._sample: _Sample | None = None

    def learn(self, reply: Reply, sent_at: float, monotonic: float) -> None:
        """Learn from an answer that came at `monotonic` to a request sent at `sent_at`."""
        if reply.at is None:
            return
        self._last = (reply.at, monotonic)
        half_s = (monotonic - sent_at) / 2
        # A cache repeats the `Date` at which the answer was made (RFC 9111 §5.1).
        cached = "age" in reply.headers
        if not cached and (self._sample is None or half_s < self._sample.half_s):
            self._sample = _Sample(reply.at, sent_at + half_s, half_s)

    def at(self, monotonic: float) -> datetime | None:
        """Return the time on the platform's clock: its last `Date` plus our seconds since; `None` before the first answer."""
        if self._last is None:
            return None
        date, heard_at = self._last
        return date + timedelta(seconds=monotonic - heard_at)

    def skew(self, our_now: datetime, monotonic: float) -> Skew:
        """Return how far the platform's clock is ahead of ours, measured by the fastest request so far."""
        sample = self._sample
        if sample is None:
            return Skew(0.0, self.uncertainty_s)
        ours = our_now - timedelta(seconds=monotonic - sample.middle)
        return Skew((sample.at - ours).total_seconds(), self.uncertainty_s)

    @property
    def uncertainty_s(self) -> float:
        """Half the round trip of the fastest request plus the resolution of `Date`; infinite if no answer had a `Date`."""
        return self._sample.half_s + DATE_RESOLUTION_S if self._sample else float("inf")
