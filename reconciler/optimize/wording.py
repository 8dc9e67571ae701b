"""Shares, hours and numbers as reasons and manifests write them."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, floor, log10
from typing import Final

from reconciler.optimize.base import OpenHour
from reconciler.optimize.intervals import Interval

DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def percent(share: float) -> str:
    """Return a share in percent.

    >>> percent(0.0305), percent(0.3), percent(0.00004)
    ('3.0 %', '30 %', '0.0 %')
    """
    digits = 0 if share >= 0.0995 else 1  # noqa: PLR2004 - two digits that count are enough
    return f"{100 * share:.{digits}f} %"


def setting(share: float) -> str:
    """Return a share that somebody wrote, in percent.

    >>> setting(0.02), setting(0.025)
    ('2 %', '2.5 %')
    """
    return f"{100 * share:.3g} %"


def between(interval: Interval) -> str:
    """Return a share with its 90 % interval.

    >>> between(Interval(0.011, 0.02, 0.0305))
    '2.0 % (90 % interval 1.1 % to 3.0 %)'
    """
    return f"{percent(interval.mean)} (90 % interval {percent(interval.low)} to {percent(interval.high)})"


def clock(hour: OpenHour) -> str:
    """Return an hour of the week.

    >>> from datetime import UTC, datetime
    >>> clock(OpenHour(datetime(2027, 3, 2, 0, tzinfo=UTC), 1.0, 0, 18))
    'Monday 18:00 to 19:00'
    """
    return f"{DAYS[hour.weekday]} {hour.hour}:00 to {(hour.hour + 1) % 24}:00"


def number(value: float) -> str:
    """Return a number with up to three digits that count, or as a whole number.

    >>> number(2.5), number(140.0), number(0.12345), number(1234.5)
    ('2.5', '140', '0.123', '1,234')
    """
    return f"{value:.3g}" if value < 999.5 else f"{value:,.0f}"  # noqa: PLR2004 - rounds to four digits


def rounded_down(rate: float) -> float:
    """Return a rate with three digits that count, not above it.

    >>> rounded_down(2.649), rounded_down(0.04999), rounded_down(0.0)
    (2.64, 0.0499, 0.0)
    """
    return _with_digits(rate, lambda units: floor(units + 1e-9))


def rounded_up(rate: float) -> float:
    """Return a rate with three digits that count, not below it.

    >>> rounded_up(2.641), rounded_up(2.64), rounded_up(0.0)
    (2.65, 2.64, 0.0)
    """
    return _with_digits(rate, lambda units: ceil(units - 1e-9))


def _with_digits(rate: float, rounded: Callable[[float], int]) -> float:
    if rate <= 0:
        return 0.0
    unit = 10.0 ** (floor(log10(rate)) - 2)
    return float(f"{rounded(rate / unit) * unit:.3g}")
