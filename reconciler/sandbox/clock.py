"""The platform's clock: milliseconds since 1970 UTC, from the system or from a pinned instant that moves only while used.

A pinned platform reads its pin plus the time that processes have spent with it. The highest instant that was ever returned
is stored in the state, so a second process never sees an earlier one, and a sample that is set in 2027 still works when
2030 is over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def utc_now() -> datetime:
    """Return the system's time."""
    return datetime.now(UTC)


def to_ms(instant: datetime) -> int:
    """Return milliseconds since 1970 UTC, rounded down."""
    return (instant - EPOCH) // timedelta(milliseconds=1)


def from_ms(ms: int) -> datetime:
    """Return the instant of `ms` milliseconds since 1970, in UTC."""
    return EPOCH + timedelta(milliseconds=ms)


def iso(ms: int) -> str:
    """Return `2027-03-01T12:00:00.250Z`: how this platform writes its own instants."""
    return from_ms(ms).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def http_date(ms: int) -> str:
    """Format an instant as in a `Date` header (RFC 9110 §5.6.7)."""
    return format_datetime(from_ms(ms), usegmt=True)


def parse_instant(text: str) -> datetime:
    """Return the instant that ISO 8601 `text` names, in UTC.

    Raises:
        ValueError: no offset, another form, or a date that does not exist.
    """
    if not _INSTANT.fullmatch(text):
        raise ValueError("must be ISO 8601 with an offset, like 2027-01-11T14:00:00Z")
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"is no date and time that exists: {error}") from None


class Ticker:
    """A monotonic clock that only moves when told to. Call it to read seconds; `await sleep(s)` advances it."""

    def __init__(self) -> None:
        self._ms = 0

    def __call__(self) -> float:
        """Return the seconds that passed so far."""
        return self._ms / 1000

    def advance(self, seconds: float) -> None:
        """Advance the clock by `seconds` (whole milliseconds, so that sums are exact)."""
        self._ms += round(seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Advance the clock by the given seconds instead of sleeping."""
        self.advance(seconds)


class Reading:
    """A platform's clock, as one process reads it.

    Args:
        monotonic: monotonic clock, in seconds.
        now: the system's time, used while the platform is not pinned.
    """

    def __init__(self, monotonic: Callable[[], float], now: Callable[[], datetime]) -> None:
        self._monotonic = monotonic
        self._now = now
        self._from = monotonic()
        self._origin: int | None = None

    def read(self, mark: int | None) -> int:
        """Return the platform's time in milliseconds.

        Args:
            mark: the high-water mark of the state; `None` when the platform lives in the system's time.
        """
        if mark is None:
            return to_ms(self._now())
        here = self._elapsed()
        if here is None or here < mark:
            self._origin, self._from = mark, self._monotonic()
            return mark
        return here

    def restart(self) -> None:
        """Discard earlier readings, because the platform was pinned again."""
        self._origin = None

    def _elapsed(self) -> int | None:
        if self._origin is None:
            return None
        return self._origin + round((self._monotonic() - self._from) * 1000)
