"""The effect of a change as data: dialable minutes, calls per hour, and safeguards, before → after.

Outside a plan's digest. Everything is counted from the plan's clock until 400 days later (`calendar.HORIZON`). A side
without a schedule allows nothing: its figures are 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class ZoneEffect:
    """When the contacts of one zone may be called, before → after. All counts are whole minutes, rounded up.

    Attributes:
        zone: IANA name; `None` stands for the contacts of every zone without a window of its own.
        week_before, week_after: dialable minutes of the fullest week, from Monday 00:00 to Monday 00:00 on the contacts'
            clock (UTC for `None`). A schedule of one day has the minutes of that day.
        total_before, total_after: dialable minutes within the horizon.
        opened, closed: minutes within the horizon that are dialable after the change only, and before it only.
        first_opened: first instant that is dialable after the change only, in UTC; `None` when there is none.
        beyond: whether the change may open an instant after the horizon, too.
    """

    zone: str | None
    week_before: int = 0
    week_after: int = 0
    total_before: int = 0
    total_after: int = 0
    opened: int = 0
    closed: int = 0
    first_opened: datetime | None = None
    beyond: bool = False

    @property
    def factor(self) -> float:
        """Dialable minutes after ÷ before: the larger of the factors of the fullest week and of the horizon; infinite from zero."""
        return max(
            _factor(self.week_before, self.week_after),
            _factor(self.total_before, self.total_after),
        )

    def serialised(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "zone": self.zone,
            "week_minutes": [self.week_before, self.week_after],
            "horizon_minutes": [self.total_before, self.total_after],
            "opened_minutes": self.opened,
            "closed_minutes": self.closed,
            "first_opened": self.first_opened and f"{self.first_opened:%Y-%m-%dT%H:%M:%SZ}",
            "opens_beyond_horizon": self.beyond,
            "factor": _finite(self.factor),
        }


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that limits dialing, before → after.

    Attributes:
        name: the field; `calls_per_hour` for the hourly calls that the rate allows.
        unit: of the values; `None` when they have none.
        before, after: the values; `None` is unknown (unreadable or missing), 0 without a schedule.
        loosens: whether the change allows more. Unknown values loosen.
    """

    name: str
    unit: str | None
    before: float | None
    after: float | None
    loosens: bool = False

    @property
    def factor(self) -> float | None:
        """After ÷ before; infinite from zero, `None` when a value is unknown."""
        if self.before is None or self.after is None:
            return None
        return _factor(self.before, self.after)

    def serialised(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "unit": self.unit,
            "before": self.before,
            "after": self.after,
            "loosens": self.loosens,
            "factor": _finite(self.factor),
        }


@dataclass(frozen=True, slots=True)
class Effect:
    """What a change of one object does to dialing.

    Attributes:
        zones: every zone whose contacts may be called before or after, sorted, `None` last. `None` instead of a tuple:
            unknown, because the hours of one side cannot be read.
        calls_per_hour: most calls that the rate allows in an hour; `None` for a kind without a rate.
        limits: the other numbers that limit dialing and differ, such as `max_concurrent_calls` and `maximum_ratio`.
        gained, lost: safeguards that only the new body, or only the old one, has: a field (`dnc_verification`) or one
            item of it (`dnc_groups[70]`).
        unknown: fields that differ and whose effect on dialing is unknown. They count as loosening. None are named, and `zones` is
            `None`, if all of what dials now is unknown.
    """

    zones: tuple[ZoneEffect, ...] | None
    calls_per_hour: Limit | None = None
    limits: tuple[Limit, ...] = ()
    gained: tuple[str, ...] = ()
    lost: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()

    @property
    def factor(self) -> float:
        """Dialable minutes times rate, after ÷ before: the largest factor of all zones. Risk order sorts by it.

        Infinite from zero, and when hours or rate are unknown. The rate is calls per hour; for a kind without a rate it is the
        limit with the largest factor.
        """
        if self.zones is None:
            return math.inf
        rates = [self.calls_per_hour] if self.calls_per_hour else self.limits
        rate = max((math.inf if each.factor is None else each.factor for each in rates), default=1)
        hours = max((zone.factor for zone in self.zones), default=1)
        return 0.0 if 0 in (hours, rate) else hours * rate

    def serialised(self) -> dict[str, Any]:
        """Return it as JSON values. Instants are UTC; a pair is before and after; an infinite or unknown factor is `null`."""
        return {
            "zones": None if self.zones is None else [each.serialised() for each in self.zones],
            "calls_per_hour": self.calls_per_hour and self.calls_per_hour.serialised(),
            "limits": [each.serialised() for each in self.limits],
            "safeguards": {"gained": list(self.gained), "lost": list(self.lost)},
            "unknown": list(self.unknown),
            "factor": _finite(self.factor),
        }


def _factor(before: float, after: float) -> float:
    if before == after:
        return 1.0
    return after / before if before else math.inf


def _finite(value: float | None) -> float | None:
    return None if value is None or math.isinf(value) else round(value, 6)
