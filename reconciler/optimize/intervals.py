"""Intervals of estimates."""

from __future__ import annotations

from typing import NamedTuple


class Interval(NamedTuple):
    """A 90 % interval and the mean: low is the 5 % quantile, high the 95 % quantile."""

    low: float
    mean: float
    high: float
