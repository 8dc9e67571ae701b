"""The formula for abandonment against an independent simulation of the queue."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from statistics import fmean, stdev

import numpy as np
import pytest

from reconciler.pacing.queueing import abandonment_queue, highest_live_rate

BATCHES = 20
STANDARD_ERRORS = 3.3
"""Width of the interval for the mean of 20 batches: 99.6 % of Student's t with 19 degrees of freedom."""


def test_exponential_handle_times_abandon_as_computed() -> None:
    _agree(20, 180, calls=60_000, cv=None, seed=1)


def test_lognormal_handle_times_abandon_as_computed() -> None:
    """The formula assumes exponential handle times. At two seconds of patience the law of the handle time hardly matters."""
    _agree(20, 180, calls=60_000, cv=0.8, seed=2)


@pytest.mark.long
@pytest.mark.parametrize("cv", [None, 0.8])
@pytest.mark.parametrize("agents", [5, 10, 50, 100, 200])
def test_teams_of_any_size_abandon_as_computed(agents, cv) -> None:
    _agree(agents, 180, calls=600_000, cv=cv, seed=agents)


def _agree(agents: int, handle_time_s: float, *, calls: int, cv: float | None, seed: int) -> None:
    live = highest_live_rate(agents, handle_time_s, 0.03)
    expected = abandonment_queue(agents, live, handle_time_s)
    batches = list(_batches(agents, live, handle_time_s, calls=calls, cv=cv, seed=seed))
    for name in ("abandonment", "wait_s", "utilisation"):
        values = [batch[name] for batch in batches]
        error = stdev(values) / math.sqrt(len(values))
        assert abs(fmean(values) - getattr(expected, name)) < STANDARD_ERRORS * error, name
        assert error < 0.1 * getattr(expected, name), "too short a simulation to tell anything"


def _batches(
    agents: int, live: float, handle_time_s: float, *, calls: int, cv: float | None, seed: int
) -> Iterator[dict[str, float]]:
    """Yield the means of batches of calls after a first batch, which fills the agents.

    Calls are served in the order of arrival, so a call waits until the first agent is free, or leaves after two seconds.
    """
    random = np.random.default_rng(seed)
    size = calls // BATCHES
    free = [0.0] * agents
    now = 0.0
    for batch in range(BATCHES + 1):
        started, lost, waited, worked = now, 0, 0.0, 0.0
        gaps = random.exponential(1 / live, size)
        for gap, handled in zip(gaps, _handle_times(random, handle_time_s, cv, size), strict=True):
            now += gap
            wait = max(0.0, free[0] - now)
            if wait < 2.0:
                heapq.heapreplace(free, now + wait + handled)
                worked += handled
            else:
                lost += 1
            waited += min(wait, 2.0)
        if batch:
            yield {
                "abandonment": lost / size,
                "wait_s": waited / size,
                "utilisation": worked / agents / (now - started),
            }


def _handle_times(
    random: np.random.Generator, mean: float, cv: float | None, size: int
) -> list[float]:
    if cv is None:
        return list(random.exponential(mean, size))
    variance = math.log1p(cv**2)
    return list(random.lognormal(math.log(mean) - variance / 2, math.sqrt(variance), size))
