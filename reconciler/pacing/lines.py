"""Pacing by lines: a dialer that refills a fixed number of lines. Numbers in, numbers out.

`max_concurrent_calls` paces a campaign by itself when attempts come fast enough to use each line that is free. While more agents
talk, fewer lines ring, so fewer persons answer: pacing that reacts to its agents, which a rate in calls per second does not do.

The busy agents are a birth-death chain (Engset's finite source, generalised to attempts that come at a finite rate). With b of N
agents busy, L lines, T seconds of handle time of which W are wrap-up, in which the line is free, p live answers per attempt, R
seconds of ringing, and r attempts per second:

    lines left     c_b = L - b (1 - W/T)
    ringing        i_b = r R (1 - B(c_b, r R)) by Erlang B, because ringing is short beside talking; at most c_b
    live answers   p i_b / R per second, each abandoned while b = N
    calls that end b / T per second

Lines are left by agents who talk, not by those who wrap up. b (1 - W/T) is the mean of those who talk, which is enough for many
agents. In a small team all may wrap up at once, while each line rings. So there the chain counts those who talk and those who wrap
up separately: with t and w of them, L - t lines are left, t / (T - W) talks end per second, and w / W wrap-ups.

That some of the abandoned would have been served within their patience is counted by the same ratio as at a constant rate:
M/M/N+D to Erlang B. Without a limit of lines the chain is that queue. Sources: Engset 1918; Erlang B and M/M/N+D as in `queueing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from operator import mul
from typing import Final

from reconciler.pacing import queueing
from reconciler.pacing.queueing import RING_LIVE_S, RING_NONE_S

_HUGE: Final = 1e200
"""Weights are scaled down here, long before a float overflows."""

_SMALL: Final = 30
"""Most agents of a small team."""

_SHIFT: Final = 1e-9
"""How much each state loses within a handle time, so that the balance has one solution."""

_SHORT: Final = 0.01
"""Part of the handle time below which talk or wrap-up counts as none."""


@dataclass(frozen=True, slots=True)
class Paced:
    """A campaign in steady state.

    Attributes:
        abandonment: share of the live answers that no agent takes in time, 0 to 1.
        utilisation: share of the agents' time spent on calls and wrap-up, 0 to 1.
        attempts_per_s: attempts that find a line.
    """

    abandonment: float
    utilisation: float
    attempts_per_s: float


def paced(
    agents: int,
    answer_rate: float,
    handle_time_s: float,
    *,
    lines: int,
    dial_rate: float = inf,
    wrap_up_s: float = 0.0,
) -> Paced:
    """Return what a number of lines leads to.

    Args:
        agents: N, 1 to `queueing.MOST_SERVERS`.
        answer_rate: p, live answers per attempt, above 0 and below 1.
        handle_time_s: T, with wrap-up.
        lines: L, 1 or more.
        dial_rate: r, attempts per second; infinite: each free line is used at once.
        wrap_up_s: W, 0 to T.

    >>> round(paced(20, 0.25, 180, lines=22).abandonment, 3), paced(20, 0.25, 180, lines=20).abandonment
    (0.012, 0.0)
    """
    ring_s = answer_rate * RING_LIVE_S + (1 - answer_rate) * RING_NONE_S
    held = 1 - wrap_up_s / handle_time_s
    if agents <= _SMALL and _SHORT < held < 1 - _SHORT:
        return _small(agents, answer_rate, handle_time_s, lines, dial_rate, wrap_up_s)
    most = min(agents, int(lines / held) + 1) if held else agents  # more are never busy
    left = [max(lines - held * busy, 0.0) for busy in range(most + 1)]
    rings = _ringing(left, lines, dial_rate * ring_s)
    weights = _weights(rings, answer_rate / ring_s * handle_time_s)
    total = sum(weights)
    ringing = sum(map(mul, rings, weights)) / total
    if not ringing:
        return Paced(0.0, 0.0, 0.0)
    lost = rings[-1] * weights[-1] / total / ringing
    live_per_s = ringing * answer_rate / ring_s
    return Paced(
        lost * _patient(agents, live_per_s, handle_time_s),
        sum(map(mul, range(most + 1), weights)) / total / agents,
        ringing / ring_s,
    )


@lru_cache(maxsize=4096)
def _small(
    agents: int,
    answer_rate: float,
    handle_time_s: float,
    lines: int,
    dial_rate: float,
    wrap_up_s: float,
) -> Paced:
    """Return what `paced` does, with those who talk and those who wrap up counted separately."""
    import numpy as np  # noqa: PLC0415 - takes time to import
    from scipy.linalg import solve_banded  # noqa: PLC0415 - same

    ring_s = answer_rate * RING_LIVE_S + (1 - answer_rate) * RING_NONE_S
    talk_s = handle_time_s - wrap_up_s
    most = min(agents, lines)
    rings = _ringing([float(lines - talk) for talk in range(most + 1)], lines, dial_rate * ring_s)
    states = [(talk, wrap) for talk in range(most + 1) for wrap in range(agents - talk + 1)]
    place = {state: number for number, state in enumerate(states)}
    band = agents + 1  # how far apart states are between which a call begins, ends or is wrapped up
    flows = np.zeros((2 * band + 1, len(states)))  # row `band + to - from`, column `from`
    for (talk, wrap), here in place.items():
        for there, per_s in (
            ((talk + 1, wrap), rings[talk] * answer_rate / ring_s),
            ((talk - 1, wrap + 1), talk / talk_s),
            ((talk, wrap - 1), wrap / wrap_up_s),
        ):
            if per_s and there in place:
                flows[band + place[there] - here, here] += per_s
                flows[band, here] -= per_s
    flows[band] -= (
        _SHIFT / handle_time_s
    )  # one step of inverse iteration finds the shares that balance
    shares = solve_banded((band, band), flows, np.full(len(states), -1.0))
    shares /= shares.sum()
    talks, busy = (np.array(each) for each in zip(*((t, t + w) for t, w in states), strict=True))
    rung = shares * np.array(rings)[talks]
    ringing = float(rung.sum())
    lost = float(rung[busy == agents].sum()) / ringing
    live_per_s = ringing * answer_rate / ring_s
    return Paced(
        max(lost, 0.0) * _patient(agents, live_per_s, handle_time_s),
        float(shares @ busy) / agents,
        ringing / ring_s,
    )


def _ringing(left: Sequence[float], lines: int, load: float) -> list[float]:
    """Return how many lines ring on average, for each number of lines that is left; between whole numbers in proportion.

    Args:
        left: lines, from 0 to `lines`.
        lines: the most.
        load: attempts under way if none were blocked.
    """
    if load == inf:
        return [*left]
    blocked, at = 1.0, [0.0]
    for free in range(1, lines + 1):
        blocked = load * blocked / (free + load * blocked)
        at.append(load * (1 - blocked))
    at.append(at[-1])
    return [at[int(free)] + free % 1 * (at[int(free) + 1] - at[int(free)]) for free in left]


def _weights(rings: Sequence[float], per_line: float) -> list[float]:
    """Return the weight of each number of busy agents, the largest about 1.

    Args:
        rings: lines that ring while so many agents are busy.
        per_line: live answers for each ringing line within one handle time.
    """
    weight, weights = 1.0, [1.0]
    for busy, ringing in enumerate(rings[:-1], start=1):
        weight *= per_line * ringing / busy
        weights.append(weight)
        if weight > _HUGE:
            weights = [each / weight for each in weights]
            weight = 1.0
    return weights


def _patient(agents: int, live_per_s: float, handle_time_s: float) -> float:
    """Return the part of the calls that meet no free agent and are abandoned, relative to calls without any patience."""
    blocked = queueing.erlang_b(agents, live_per_s * handle_time_s)
    if not blocked:
        return 1.0
    patient = queueing.abandonment_queue(agents, live_per_s, handle_time_s).abandonment
    return min(patient / blocked, 1.0)
