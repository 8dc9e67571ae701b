"""What happens in a scenario under one seed, whatever the policy: open hours, answer rates, and the fate of each attempt.

Every draw has a key of its own (seed, scenario, campaign, shift, purpose), and the n-th attempt of a shift has the same draws
under every policy. So policies are compared with common random numbers, and no process or order of runs changes a result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtri

from reconciler.calendar import DailyHours, Hours, open_intervals
from reconciler.models import zone as iana
from reconciler.simulate.scenarios import HISTORY_DAYS, RISE_DAYS, Campaign, Scenario

Floats = NDArray[np.float64]

HOUR_S: Final = 3600


class Purpose(IntEnum):
    """What a stream of random numbers is for."""

    NOISE = 0
    GAP = 1
    OUTCOME = 2
    RING = 3
    HANDLE = 4
    DETECTION = 5
    MISSING = 6


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """One stretch in which a campaign may dial without a pause.

    Attributes:
        campaign: position of the campaign in the scenario.
        number: position of the shift, from the first of the past weeks.
        start, end: seconds since 1970.
        hours: start of each hour of UTC that it touches, seconds since 1970.
        edges: ends of the parts of these hours that are open; one more than `hours`.
        expected: answer rate that is to be expected in each hour.
        answer_rate: answer rate in each hour, with what nobody could foresee.
    """

    campaign: int
    number: int
    start: float
    end: float
    hours: tuple[int, ...]
    edges: Floats
    expected: Floats
    answer_rate: Floats


class Truth:
    """One scenario under one seed.

    Attributes:
        scenario: the scenario.
        seed: of all random numbers.
        past: shifts of the past weeks, for each campaign.
        future: shifts that count, for each campaign; all campaigns have as many.
    """

    def __init__(self, scenario: Scenario, seed: int) -> None:
        self.scenario = scenario
        self.seed = seed
        shifts = [self._shifts(number) for number in range(len(scenario.campaigns))]
        first = [_midnight(scenario, each).timestamp() for each in scenario.campaigns]
        self.past = [
            [shift for shift in own if shift.start < begin]
            for own, begin in zip(shifts, first, strict=True)
        ]
        self.future = [
            [shift for shift in own if shift.start >= begin]
            for own, begin in zip(shifts, first, strict=True)
        ]

    def uniform(self, shift: Shift, purpose: Purpose, size: int) -> Floats:
        """Return numbers in [0, 1). A longer array begins with the numbers of a shorter one."""
        return self._generator(shift.campaign, shift.number, purpose).random(size)

    def _generator(self, campaign: int, number: int, purpose: Purpose) -> np.random.Generator:
        name = crc32(self.scenario.name.encode())
        seeds = np.random.SeedSequence((self.seed, name), spawn_key=(campaign, number, purpose))
        return np.random.Generator(np.random.PCG64(seeds))

    def _shifts(self, number: int) -> list[Shift]:
        scenario, campaign = self.scenario, self.scenario.campaigns[number]
        begin = _midnight(scenario, campaign)
        start, end = begin - timedelta(days=HISTORY_DAYS), begin + timedelta(days=scenario.days)
        spans = open_intervals(hours_of(campaign), campaign.zone, start, end)
        return [self._shift(number, at, *span) for at, span in enumerate(spans)]

    def _shift(self, number: int, at: int, start: float, end: float) -> Shift:
        scenario, campaign = self.scenario, self.scenario.campaigns[number]
        hours = tuple(range(int(start // HOUR_S) * HOUR_S, int(np.ceil(end)), HOUR_S))
        expected = np.array([_expected(scenario, campaign, hour) for hour in hours])
        normal = ndtri(self._generator(number, at, Purpose.NOISE).random(2 * len(hours)))
        noise = scenario.noise * normal[::2] + scenario.drift * np.cumsum(normal[1::2])
        edges = np.array([start, *hours[1:], end])
        return Shift(number, at, start, end, hours, edges, expected, expit(logit(expected) + noise))


def hours_of(campaign: Campaign) -> Hours:
    """Return when a campaign may dial: its window, every day."""
    window = DailyHours(campaign.zone, campaign.start_hour * 60, campaign.end_hour * 60)
    return Hours(None, None, (window,))


@lru_cache(maxsize=65_536)
def is_lawful(zone: str, start_hour: int, end_hour: int, minute: int) -> bool:
    """Return whether the clock of a zone shows an hour of the window, in a minute since 1970.

    This is asked of the zone alone, minute by minute. The calendar that opens the shifts has no part in it.
    """
    local = datetime.fromtimestamp(minute * 60, UTC).astimezone(iana(zone))
    return start_hour <= local.hour < end_hour


def minutes_outside(campaign: Campaign, dialed: Sequence[Floats]) -> int:
    """Return the number of minutes outside the calling window in which a campaign placed an attempt.

    Args:
        campaign: the campaign.
        dialed: instants of its attempts, in seconds since 1970.
    """
    minutes = np.unique(np.concatenate([np.floor(each / 60) for each in dialed]))
    window = (campaign.zone, campaign.start_hour, campaign.end_hour)
    return sum(not is_lawful(*window, int(minute)) for minute in minutes)


def _midnight(scenario: Scenario, campaign: Campaign) -> datetime:
    """Return the start of the first day that counts, on the clock of the campaign's contacts."""
    return datetime.combine(scenario.first, time(), iana(campaign.zone)).astimezone(UTC)


def _expected(scenario: Scenario, campaign: Campaign, hour: int) -> float:
    """Return the answer rate that is to be expected in an hour, before any noise."""
    local = datetime.fromtimestamp(hour, UTC).astimezone(iana(campaign.zone))
    days = (local.date() - scenario.first).days + 1
    level = 1 + (scenario.level - 1) * min(max(days / RISE_DAYS, 0.0), 1.0)
    return campaign.answer_rate * level * scenario.shape(local.weekday(), local.hour)
