"""Compute the contacts that a campaign reaches with a part of its concurrent calls or of its dial rate."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from reconciler.optimize import outlook
from reconciler.optimize.base import CALLS, RATE
from reconciler.optimize.outlook import Hour, Setting
from reconciler.optimize.sharing import Floats, Shares, Sharing, equal_shares

PARTS: Final = 20
"""Most segments of a curve between nothing and what a campaign can use. Its last calls reach far less than its first."""

SAMPLE: Final = 10
"""Most hours from which the contacts of all hours are estimated."""

SOONER: Final = 0.01
"""Weight of a contact that only ends a list sooner. A contact that would not be reached otherwise weighs 1."""

LEAST: Final = 0.5
"""Part of the contacts of an equal share that each campaign keeps: its agents stay busy, and its answer rates stay observed."""

HOUR_S: Final = 3600

RESOURCES: Final = (CALLS, RATE)
"""What a capacity limits."""


@dataclass(frozen=True)
class Demand:
    """A campaign that shares.

    Attributes:
        best: its best setting if nothing is scarce.
        hours: its open hours in all weeks; at least one.
        weeks: how many weeks these are.
        list_size: contacts that are left; infinite when unknown.
        value: of a contact.
    """

    best: Setting
    hours: tuple[Hour, ...]
    weeks: int = 1
    list_size: float = math.inf
    value: float = 1.0

    @cached_property
    def starts(self) -> frozenset[datetime]:
        """Its open hours, UTC."""
        return frozenset(each.open.start for each in self.hours)

    def by_hour(self, setting: Setting) -> Floats:
        """Return live persons who reach an agent, by open hour, each times its value."""
        kinds = [
            (each.agents, each.handle_time_s, each.wrap_up_s, each.rate) for each in self.hours
        ]
        found = {
            kind: _contacts(hour, setting, mean)
            for kind, hour, mean in zip(kinds, self.hours, self._means, strict=True)
        }
        shares = [each.open.share for each in self.hours]
        return np.array([found[kind] for kind in kinds]) * shares * self.value

    def contacts(self, setting: Setting) -> float:
        """Return live persons who reach an agent in a week, each times its value. The list ends them."""
        return min(self._endless(setting), self.list_size) * self.value / self.weeks

    def _endless(self, setting: Setting) -> float:
        """Return the contacts of all hours with an endless list, estimated from a few of them."""
        return sum(weight * _contacts(hour, setting, mean) for hour, mean, weight in self._sample)

    @cached_property
    def _means(self) -> list[float]:
        """The mean answer rate of each hour."""
        means = {
            each.rate: each.rate.mean for each in {hour.rate: hour for hour in self.hours}.values()
        }
        return [means[each.rate] for each in self.hours]

    @cached_property
    def _sample(self) -> list[tuple[Hour, float, float]]:
        """Some hours that stand for all, each with its mean answer rate and for how many hours it stands."""
        ordered = sorted(
            zip(self.hours, self._means, strict=True),
            key=lambda each: (each[1], each[0].open.start),
        )
        size = math.ceil(len(ordered) / SAMPLE)
        groups = [ordered[at : at + size] for at in range(0, len(ordered), size)]
        return [
            (*each[len(each) // 2], sum(hour.open.share for hour, _ in each)) for each in groups
        ]

    def points(self, scarce: Collection[str]) -> list[tuple[float, float, float]]:
        """Return operating points: concurrent calls, calls per second, contacts in a week.

        Contacts that only end the list sooner count by `SOONER`.

        Args:
            scarce: what is limited: `CALLS`, `RATE`, or both.
        """
        settings: list[Setting] = []
        rate, calls = self.best
        fewer = np.unique(np.linspace(1, calls, PARTS + 1).round()).tolist()
        slower = (rate * np.append(1e-3, np.linspace(0, 1, PARTS + 1)[1:])).tolist()
        if CALLS in scarce:
            settings += [Setting(rate, each) for each in fewer]
        if RATE in scarce:
            settings += [Setting(each, calls) for each in slower]
        if len(scarce) > 1:
            settings += [Setting(max(each / calls, 1e-3) * rate, each) for each in fewer]
            settings.append(Setting(slower[0], 1))
        return [(each.calls, each.dial_rate, self._worth(each)) for each in settings]

    def _worth(self, setting: Setting) -> float:
        """Return the weighted contacts of a week, by which settings are compared."""
        endless = self._endless(setting)
        kept = min(endless, self.list_size)
        return (kept + SOONER * (endless - kept)) * self.value / self.weeks


def _contacts(hour: Hour, setting: Setting, answer_rate: float) -> float:
    """Return the calls that the agents of an hour finish in it."""
    busy = outlook.flow(hour, setting, answer_rate).utilisation
    return busy * hour.agents * HOUR_S / hour.handle_time_s


class Limit(NamedTuple):
    """What is left in one hour of the tenant's capacity for the campaigns that share it.

    Attributes:
        start: the hour, UTC.
        resource: `CALLS` or `RATE`.
        amount: concurrent calls, or calls per second.
    """

    start: datetime
    resource: str
    amount: float


def program(demands: Sequence[Demand], limits: Sequence[Limit]) -> tuple[Sharing, Shares] | None:
    """Return the linear program of some campaigns, (n,), and limits, (m,), and its equal shares. `None`: a share is below one call.

    Each campaign keeps at least `LEAST` of the contacts of its equal share, so there is always an answer.
    """
    scarce = {limit.resource for limit in limits}
    points = [each.points(scarce) for each in demands]
    width = max(map(len, points))
    figures = np.array([each + each[-1:] * (width - len(each)) for each in points])
    starts = [each.starts for each in demands]
    sharing = Sharing(
        contacts=figures[:, :, 2],
        takes=figures[:, :, :2],
        least=np.zeros(len(demands)),
        is_open=np.array([[limit.start in each for each in starts] for limit in limits]),
        resource=np.array([RESOURCES.index(limit.resource) for limit in limits]),
        limits=np.array([limit.amount for limit in limits]),
    )
    equal = equal_shares(sharing)
    if not isinstance(equal, Shares):
        return None
    return replace(sharing, least=LEAST * equal.contacts), equal
