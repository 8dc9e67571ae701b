"""What one more call in progress, or one more call per second, is worth: the duals of a shared capacity."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import numpy as np

from reconciler.optimize.demand import RESOURCES, Demand, Limit
from reconciler.optimize.outlook import Setting
from reconciler.optimize.sharing import Floats, Shares, Sharing, solve

_STEP: Final = 0.01
"""Relative change of a dial rate for its derivative."""


@dataclass(frozen=True, slots=True)
class Price:
    """The value of one more unit of a resource, in contacts times their value.

    Attributes:
        resource: `CALLS` or `RATE`.
        a_week: contacts that one more at all hours brings in a week.
        by_hour: the part of a single hour, UTC; hours in which the resource is short, that is with a dual above 0.
    """

    resource: str
    a_week: float
    by_hour: dict[datetime, float]


def prices(
    demands: Sequence[Demand], limits: Sequence[Limit], sharing: Sharing, found: Shares
) -> list[Price]:
    """Return the price of each resource that is short in some hour.

    The duals say where it is short. What one more is worth is found by solving again, because a dual is exact for a small amount only.
    """
    every = []
    for number, resource in enumerate(RESOURCES):
        is_short = (sharing.resource == number) & (found.prices > 0)
        if not is_short.any():
            continue
        more = replace(sharing, limits=sharing.limits + (sharing.resource == number))
        after = solve(more)
        if isinstance(after, Shares):
            gained = max(0.0, float(after.contacts.sum() - found.contacts.sum()))
            short = {limit.start for limit, each in zip(limits, is_short, strict=True) if each}
            hours = _by_hour(demands, found.amounts, after.amounts, gained)
            kept = {start: each for start, each in hours.items() if start in short}
            every.append(Price(resource, gained, kept))
    return every


def _by_hour(
    demands: Sequence[Demand], before: Floats, after: Floats, a_week: float
) -> dict[datetime, float]:
    """Return the part of each hour in contacts that are gained, in proportion to what the changed amounts bring there."""
    hours: dict[datetime, float] = {}
    for demand, old, new in zip(demands, before, after, strict=True):
        for hour, gain in zip(demand.hours, _gains(demand, old, new).tolist(), strict=True):
            start = hour.open.start
            hours[start] = hours.get(start, 0.0) + gain
    total = sum(hours.values()) / demands[0].weeks
    return {start: each * a_week / total for start, each in hours.items()} if total > 0 else {}


def _gains(demand: Demand, before: Floats, after: Floats) -> Floats:
    """Return the contacts that a change of the amounts brings by open hour, by the slope there."""
    change = after - before
    if not change.any():
        return np.zeros(len(demand.hours))
    calls, rate = math.ceil(before[0]), float(before[1])
    here = demand.by_hour(Setting(rate, calls))
    more = demand.by_hour(Setting(rate, calls + 1)) - here
    faster = (demand.by_hour(Setting(rate * (1 + _STEP), calls)) - here) / (rate * _STEP)
    gains: Floats = change[0] * more + change[1] * faster
    return np.maximum(gains, 0.0)
