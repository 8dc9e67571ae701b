"""Compute when the next request may leave, and how long to wait after a failed one. Pure: reads no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

from reconciler.dialects.calls import Call, Reply

PACE: Final = 0.9995
"""Share of the limit at which requests leave. The platform counts by its own clock, and a clock under adjustment may run 500
millionths fast. For stalls see `BURST_S`."""

BURST_S: Final = 0.04
"""Length of the burst after a pause, in seconds of the request rate: at 50 requests per second, 2 requests.

After a stall the platform counts everything that was in flight, and then the burst, at once: eight lanes and two more requests
are what a bucket of ten admits. A longer burst would save less time than one 429 costs, which halves the pace for a while.
"""

EASE_S: Final = 10.0
"""Seconds without a 429 after which a halved pace is doubled again."""

SLOWEST: Final = 1 / 32
"""Smallest share of the limit that the pace is slowed to."""

STOP_START: Final = 10.0
"""Smallest rate, in requests per second, that an emergency stop begins with after its first 429."""

STOP_SLOWEST: Final = 1.0
"""Smallest rate of an emergency stop, in requests per second."""

STOP_BACK_OFF: Final = 0.8
"""What a 429 multiplies the rate of an emergency stop by."""

STOP_GROWTH: Final = (0.1, 0.06)
"""How the rate of an emergency stop grows without a 429: after t seconds by the share a·t + b·t², so by a sixth after one second and
threefold after five. Removals and refreshes each find their own rate, and one must soon use what the other leaves.
"""

URGENT_SIGN_IN_S: Final = 3.0
"""Seconds that the first attempt of an emergency stop to sign in may take. Doubled after each attempt without an answer."""

URGENT_OPTIONAL_S: Final = 2.0
"""Seconds that an optional call of an emergency stop may take."""

BACK_OFF_S: Final = 0.5
BACK_OFF_CAP_S: Final = 20.0

_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


class Pace(Protocol):
    """Decides when a request may leave. Times are seconds on a monotonic clock."""

    def reserve(self, now: float) -> float:
        """Reserve and return the instant, `now` or later, at which the next request may leave."""

    def slow(self, sent_at: float, now: float, wait_s: float) -> None:
        """Learn from a 429 for a request that left at `sent_at`, which is retried after `wait_s` seconds."""


class Pacer:
    """Assigns each request the instant at which it may leave (generic cell rate algorithm).

    Any window of t seconds contains at most `burst` + t·rate instants. A 429 halves the pace.
    """

    def __init__(self, requests_per_second: float) -> None:
        """Limit requests to `requests_per_second`. After a pause, a burst of `BURST_S` seconds of that rate may leave at once."""
        self.burst = max(1, int(requests_per_second * BURST_S))
        self._full = requests_per_second * PACE
        self._share = 1.0
        self._changed_at = float("-inf")
        self._next = float("-inf")

    @property
    def rate(self) -> float:
        """Requests per second now."""
        return self._full * self._share

    def reserve(self, now: float) -> float:
        """Reserve and return the instant, `now` or later, at which the next request may leave. Seconds, monotonic."""
        if self._share < 1 and now - self._changed_at >= EASE_S:
            self._share = min(self._share * 2, 1.0)
            self._changed_at = now
        gap = 1 / self.rate
        slot = max(self._next, now - (self.burst - 1) * gap)
        self._next = slot + gap
        return max(slot, now)

    def slow(self, sent_at: float, now: float, wait_s: float = 0.0) -> None:  # noqa: ARG002 - each call waits for itself
        """Halve the pace after a 429 for a request that left at `sent_at`. Requests that left at an older pace are ignored."""
        if sent_at < self._changed_at:
            return
        self._changed_at = now
        self._share = max(self._share / 2, SLOWEST)


class StopPacer:
    """The pace of an emergency stop: no limit until a 429. From then on it finds the platform's rate.

    No request leaves before the wait of a 429 is over. If all waiting requests left together then, a platform that admits few
    at once would refuse most of them again, and each refusal costs a wait. So they leave at a rate, which starts at what the
    platform took before its first 429, falls to `STOP_BACK_OFF` of itself with each 429 and otherwise grows steadily.

    An instant is reserved at the rate of the moment, so only one request may wait for its instant at a time.
    """

    def __init__(self) -> None:
        self._rate: float | None = None
        self._since = float("-inf")
        self._until = float("-inf")
        self._next = float("-inf")
        self._left = 0

    def reserve(self, now: float) -> float:
        """Reserve and return the instant, `now` or later, at which the next request may leave. Seconds, monotonic."""
        if not self._left:
            self._since = now
        self._left += 1
        if self._rate is None:
            return max(now, self._until)
        slot = max(self._next, self._until, now)
        self._next = slot + 1 / self._rate_at(slot)
        return slot

    def waits(self, now: float) -> bool:
        """Return whether the wait after a 429 is not over. A call that reserved an instant before the 429 must reserve again."""
        return now < self._until

    def slow(self, sent_at: float, now: float, wait_s: float) -> None:
        """Wait after a 429 for a request that left at `sent_at`. Requests that left before the last wait began are ignored."""
        if sent_at < self._until:
            return
        if self._rate is None:
            self._rate = max(self._left / max(now - self._since, 1.0), STOP_START)
        else:
            self._rate = max(self._rate_at(now) * STOP_BACK_OFF, STOP_SLOWEST)
        self._until = self._since = self._next = now + wait_s

    def _rate_at(self, now: float) -> float:
        """Return the requests per second at an instant."""
        passed_s = max(now - self._since, 0.0)
        steady, faster = STOP_GROWTH
        return (self._rate or STOP_START) * (1 + steady * passed_s + faster * passed_s**2)


def full_jitter(tries: int, draw: float) -> float:
    """Return seconds to back off after `tries` failures: from 0 to the doubling step. `draw` is in [0, 1)."""
    return draw * _step(tries)


def equal_jitter(tries: int, draw: float) -> float:
    """Return seconds to back off after `tries` 429s: from half the doubling step to all of it, so never near 0."""
    return (1 + draw) * _step(tries) / 2


def timeout_s(call: Call, tries: int, *, urgent: bool) -> float:
    """Return how long an attempt at a call may take after `tries` without an answer. In an emergency a sign-in that hangs is soon retried, with more time."""
    if not urgent or not call.anonymous:
        return call.timeout_s
    limit_s = URGENT_OPTIONAL_S if call.optional else URGENT_SIGN_IN_S * 2.0**tries
    return min(call.timeout_s, limit_s)


_YEARS: Final = range(2000, 2100)
"""Years that a platform's clock may show. An earlier one was reset, and a hold dated by it would end once the clock is right again.
A later one leaves no room for the life of a lock."""


def _step(tries: int) -> float:
    return min(BACK_OFF_CAP_S, BACK_OFF_S * 2.0 ** min(tries, 16))


def retry_after(reply: Reply) -> float | None:
    """Return the seconds of an answer's `Retry-After`; `None` if it is missing or unreadable.

    A date is relative to the answer's own `Date` (RFC 9110 §10.2.3), never to our clock.
    """
    text = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = http_date(text)
    if until is None or reply.at is None:
        return None
    return max(0.0, (until - reply.at).total_seconds())


def http_date(text: str | None) -> datetime | None:
    """Return the instant of an HTTP date in UTC; `None` if it is not one, or not in `_YEARS`."""
    try:
        instant = parsedate_to_datetime(text or "")
        instant = instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if instant.year in _YEARS else None
