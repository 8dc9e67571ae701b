"""Made-up campaigns whose true answer rates are known. The generator shares nothing with the model that is measured on it.

Patterns are smooth curves and uniform draws instead of normal effects, levels jump now and then, single hours differ by a beta
distribution, hours of the week by a Student distribution, attempts vary, and hours are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from reconciler.optimize.base import Subject
from reconciler.pacing import Bucket

NOW = datetime(2027, 5, 3, tzinfo=UTC)  # a Monday, so that week w begins w weeks before it
OPEN = [(day, hour) for day in range(6) for hour in range(9, 21)]


@dataclass(frozen=True)
class World:
    """Campaigns with what was observed of them, and the true rates of the week that comes, by campaign, weekday and hour."""

    subjects: tuple[Subject, ...]
    truth: dict[tuple[str, int, int], float]


@dataclass(frozen=True)
class Nature:
    """What a world is like. Sizes are in log-odds.

    Attributes:
        attempts: mean calls an hour.
        weeks: of observations.
        size: how far weekdays and hours differ, 1 as in the published table.
        jump: how far the level jumps, in one week of two.
        off: how far single hours are off.
        missing: share of the hours without observations.
        campaigns: how many.
    """

    attempts: float
    weeks: int
    size: float
    jump: float
    off: float
    missing: float = 0.1
    campaigns: int = 1


def natures(rng: np.random.Generator, campaigns: int = 1) -> Nature:
    """Draw what a world is like."""
    return Nature(
        attempts=float(rng.choice([5, 20, 60, 200])),
        weeks=int(rng.choice([2, 4, 8])),
        size=float(rng.choice([0.5, 1, 2])),
        jump=float(rng.choice([0, 0.07, 0.14])),
        off=float(rng.choice([0, 0.1, 0.2])),
        campaigns=campaigns,
    )


def world(rng: np.random.Generator, nature: Nature) -> World:
    """Draw a world."""
    subjects, truth = [], {}
    common = rng.uniform(0, 2 * np.pi)
    for number in range(nature.campaigns):
        key = f"{1001 + number}"
        rates = _rates(rng, nature, common)
        truth |= {(key, *at): float(rates[-1, place]) for place, at in enumerate(OPEN)}
        subjects.append(Subject(key, key, observed=tuple(_observed(rng, nature, rates))))
    return World(tuple(subjects), truth)


def _rates(rng: np.random.Generator, nature: Nature, common: float) -> np.ndarray:
    """Return the true rates by week, oldest first and the coming one last, and open hour."""
    days, hours = np.array(OPEN).T
    base = np.log(rng.uniform(0.12, 0.4))
    phase = common + rng.normal(0, 0.7)
    pattern = nature.size * (
        rng.uniform(-0.2, 0.2, 7)[days]
        + 0.28 * np.sin(2 * np.pi * (hours - 9) / 14 + phase)
        + 0.09 * rng.standard_t(5, len(OPEN))
    )
    jumps = rng.choice([-nature.jump, 0, 0, nature.jump], nature.weeks + 1)
    mean = 1 / (1 + np.exp(-(base + np.cumsum(jumps)[:, None] + pattern)))
    if not nature.off:
        return mean
    strength = 1 / (nature.off**2 * mean * (1 - mean)) - 1  # so that the log-odds differ by `off`
    return rng.beta(mean * strength, (1 - mean) * strength)


def _observed(rng: np.random.Generator, nature: Nature, rates: np.ndarray):
    for week in range(nature.weeks):
        for place, (day, hour) in enumerate(OPEN):
            if rng.random() < nature.missing:
                continue
            attempts = int(rng.lognormal(np.log(nature.attempts), 0.5))
            start = NOW - timedelta(weeks=nature.weeks - week) + timedelta(days=day, hours=hour)
            yield Bucket(start, attempts, int(rng.binomial(attempts, rates[week, place])))
