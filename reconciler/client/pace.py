"""When the next request may leave, and how long to wait after one that failed. Values in, values out: no clock is read here."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from reconciler.dialects.base import Reply
from reconciler.settings import DEFAULT_BURST_S

PACE: Final = 0.9995
"""Requests leave a trifle slower than the limit: as much as a clock that is being set right may run fast (500 in a million),
for a platform that counts by another clock must never see one too many. Stalls are no matter of pace; see `DEFAULT_BURST_S`."""

EASE_S: Final = 10.0
"""Seconds without a refusal after which a halved pace is doubled again."""

SLACK: Final = 4
"""Requests that are left out after a burst was refused: a bucket that was emptied must not be met empty by each that follows."""

SLOWEST: Final = 1 / 32
"""The pace is never slowed below this share."""

BACK_OFF_S: Final = 0.5
BACK_OFF_CAP_S: Final = 20.0

_SECONDS: Final = re.compile(r"\d{1,9}(\.\d{1,9})?", re.ASCII)


class Pacer:
    """Gives each request its instant, so that all of them together keep to a rate (generic cell rate algorithm).

    In any window of t seconds lie at most `burst` + t·rate instants. A refusal halves the pace.
    """

    def __init__(self, requests_per_second: float, burst_s: float = DEFAULT_BURST_S) -> None:
        """Keep to `requests_per_second`; after a pause, what fits into `burst_s` seconds may leave at once."""
        self.burst = max(1, int(requests_per_second * burst_s))
        self._usual_burst = max(1, int(requests_per_second * DEFAULT_BURST_S))
        self._full = requests_per_second * PACE
        self._share = 1.0
        self._changed_at = float("-inf")
        self._next = float("-inf")

    @property
    def rate(self) -> float:
        """Requests per second now."""
        return self._full * self._share

    def reserve(self, now: float) -> float:
        """Return the instant, `now` or later, at which the next request may leave, and take it. Seconds, monotonic."""
        if self._share < 1 and now - self._changed_at >= EASE_S:
            self._share = min(self._share * 2, 1.0)
            self._changed_at = now
        gap = 1 / self.rate
        slot = max(self._next, now - (self.burst - 1) * gap)
        self._next = slot + gap
        return max(slot, now)

    def slow(self, sent_at: float, now: float) -> None:
        """Halve the pace: a request that left at `sent_at` was refused. One that left at an older pace says nothing new.

        After a burst that was larger than the usual one a refusal says that much and no more: the pace stays, behind a gap of `SLACK`.
        """
        if sent_at < self._changed_at:
            return
        self._changed_at = now
        if self.burst > self._usual_burst:
            self.burst = self._usual_burst
            self._next = max(self._next, now) + SLACK / self.rate
        else:
            self._share = max(self._share / 2, SLOWEST)


def full_jitter(tries: int, draw: float) -> float:
    """Return seconds to wait after `tries` failures: up to the doubling step. `draw` is in [0, 1)."""
    return draw * _step(tries)


def equal_jitter(tries: int, draw: float) -> float:
    """Return seconds to wait after `tries` refusals: half the doubling step to all of it, so never near zero."""
    return (1 + draw) * _step(tries) / 2


def _step(tries: int) -> float:
    return min(BACK_OFF_CAP_S, BACK_OFF_S * 2.0 ** min(tries, 16))


def retry_after(reply: Reply) -> float | None:
    """Return the seconds that an answer asks to wait; `None` when it does not ask, or not so that one could follow.

    A date counts from the answer's own `Date` (RFC 9110 §10.2.3): our clock has no say in it.
    """
    text = reply.headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    until = http_date(text)
    if until is None or reply.at is None:
        return None
    return max(0.0, (until - reply.at).total_seconds())


def http_date(text: str | None) -> datetime | None:
    """Return the instant of an HTTP date in UTC; `None` when it is none."""
    try:
        instant = parsedate_to_datetime(text or "")
        return instant.replace(tzinfo=instant.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
