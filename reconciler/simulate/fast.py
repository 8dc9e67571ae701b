"""Fast simulations of shifts that are simple: endless lists, no limits shared by campaigns. Their results are those of `Dialer`."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush, heapreplace
from math import inf, nan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reconciler.simulate.calls import (
    LIVE_RING_S,
    MACHINE_RING_S,
    MACHINES,
    PATIENCE_S,
    REACTION_S,
    TIMEOUT_S,
    VERDICT_S,
    Draws,
    Fate,
    Outcome,
    Setting,
    among,
    dial_times,
)
from reconciler.simulate.scenarios import Campaign, Detection
from reconciler.simulate.truth import Floats, Shift, Truth


def together(
    truth: Truth, shifts: Sequence[Shift], settings: Sequence[Setting]
) -> list[Outcome] | None:
    """Simulate dialers at given rates. Return `None` if any attempt finds no line free, or comes too soon.

    Args:
        truth: the random numbers.
        shifts: one for each campaign of the tenant.
        settings: not progressive, and with endless lists.
    """
    scenario = truth.scenario
    found = [_at_rate(truth, *each) for each in zip(shifts, settings, strict=True)]
    dialed = np.sort(np.concatenate([outcome.dialed for outcome, _ in found]))
    ends = np.concatenate([ends for _, ends in found])
    own = [_most_lines(outcome.dialed, ends) for outcome, ends in found]
    is_hindered = (
        any(
            each.lines is not None and most > each.lines
            for each, most in zip(settings, own, strict=True)
        )
        or (scenario.lines is not None and _most_lines(dialed, ends) > scenario.lines)
        or (scenario.calls_per_s is not None and _is_too_fast(dialed, scenario.calls_per_s))
    )
    return None if is_hindered else [outcome for outcome, _ in found]


def within_lines(truth: Truth, shift: Shift, setting: Setting) -> Outcome:
    """Simulate one campaign at a given rate with its own limit of lines. An attempt that finds none free is dropped.

    The lines in use are those of `ringing`, `ending` and `seeking`: each call is in one of them until its line is free. Calls that nobody
    answers end in the order in which they began, so most lines need no heap.
    """
    campaign, detection = truth.scenario.campaigns[shift.campaign], truth.scenario.detection
    waits = _awaiting(truth, shift, setting)
    fate, ends, handle_s = waits.fate.tolist(), waits.ends.tolist(), waits.handle_s.tolist()
    talk_s = np.maximum(waits.handle_s - campaign.wrap_up_s, 0.0).tolist()
    begun = [nan] * len(fate)
    free = [0.0] * campaign.agents
    patience_s, lines = PATIENCE_S - detection.delay_s, setting.lines or 0
    nobody, blocked = int(Fate.NOBODY), int(Fate.BLOCKED)
    served, mistaken = int(Fate.SERVED), int(Fate.MISTAKEN)
    ringing: deque[float] = deque()
    ending: list[float] = []
    seeking: list[tuple[float, int]] = []
    for number, at in enumerate([*waits.dialed.tolist(), inf]):
        while seeking and seeking[0][0] <= at:
            since, call = heappop(seeking)
            start = max(free[0], since)
            if start - since < patience_s:
                begun[call] = start
                heapreplace(free, start + handle_s[call])
                heappush(ending, start + talk_s[call])
            else:
                fate[call] += 1  # `Fate` puts "no agent in time" behind "an agent in time"
                heappush(ending, since + patience_s)
        while ringing and ringing[0] <= at:
            ringing.popleft()
        while ending and ending[0] <= at:
            heappop(ending)
        if at == inf:
            break
        awaits = fate[number]
        if len(ringing) + len(ending) + len(seeking) >= lines:
            fate[number] = blocked
        elif awaits == nobody:
            ringing.append(ends[number])
        elif awaits in (served, mistaken):
            heappush(seeking, (ends[number], number))
        else:
            heappush(ending, ends[number])
    taken = np.array(begun)
    handled = np.where(np.isnan(taken), 0.0, waits.handle_s)
    return Outcome(shift, waits.dialed, np.array(fate, dtype=np.int8), taken, handled)


def _at_rate(truth: Truth, shift: Shift, setting: Setting) -> tuple[Outcome, Floats]:
    """Return what becomes of the attempts of one campaign, and when each leaves its line: only live answers are taken one by one."""
    campaign, detection = truth.scenario.campaigns[shift.campaign], truth.scenario.detection
    dialed, fate, ends, handle_s = _awaiting(truth, shift, setting)
    seeking = np.flatnonzero(among(fate, Fate.SERVED, Fate.MISTAKEN))
    seeking = seeking[np.argsort(ends[seeking], kind="stable")]
    patience_s = PATIENCE_S - detection.delay_s
    begun = np.full(len(dialed), np.nan)
    begun[seeking] = _serve(ends[seeking], handle_s[seeking], campaign.agents, patience_s)
    is_taken = ~np.isnan(begun)
    is_lost = among(fate, Fate.SERVED, Fate.MISTAKEN) & ~is_taken
    fate[is_lost] += 1  # `Fate` puts "no agent in time" behind "an agent in time"
    handle_s[~is_taken] = 0.0
    ends[is_lost] += patience_s
    ends[is_taken] = (begun + np.maximum(handle_s - campaign.wrap_up_s, 0.0))[is_taken]
    return Outcome(shift, dialed, fate, begun, handle_s), ends


class _Awaiting(NamedTuple):
    """What awaits the attempts of a shift if lines and agents are free.

    Attributes:
        dialed: when each is placed.
        fate: what becomes of it.
        ends: when an agent is sought, or else when the line is free.
        handle_s: seconds that an agent would spend.
    """

    dialed: Floats
    fate: NDArray[np.int8]
    ends: Floats
    handle_s: Floats


def _awaiting(truth: Truth, shift: Shift, setting: Setting) -> _Awaiting:
    detection = truth.scenario.detection
    dialed = dial_times(truth, shift, setting)
    draws = Draws.of(truth, shift, len(dialed))
    part = np.searchsorted(shift.edges, dialed, side="right") - 1
    fate = _fates(draws, shift.answer_rate[np.minimum(part, len(shift.hours) - 1)], detection)
    ends = dialed + _after_s(fate, draws, detection)
    handle_s = np.where(fate == Fate.MISTAKEN, detection.machine_s, draws.handle_s)
    return _Awaiting(dialed, fate, ends, handle_s)


def _fates(draws: Draws, answer_rate: Floats, detection: Detection) -> NDArray[np.int8]:
    """Return what awaits attempts if agents are free."""
    is_live = draws.outcome < answer_rate
    is_machine = draws.outcome < answer_rate + MACHINES * (1 - answer_rate)
    live = np.where(draws.verdict < detection.false_machine, Fate.SILENCED, Fate.SERVED)
    machine = np.where(draws.verdict < detection.false_live, Fate.MISTAKEN, Fate.MACHINE)
    fates = np.where(is_live, live, np.where(is_machine, machine, Fate.NOBODY))
    return fates.astype(np.int8)


def _after_s(fate: NDArray[np.int8], draws: Draws, detection: Detection) -> Floats:
    """Return the seconds from dialing until an agent is sought, or else until the line is free."""
    return np.select(
        [fate == Fate.NOBODY, fate == Fate.MACHINE, fate == Fate.MISTAKEN],
        [
            np.full(len(fate), TIMEOUT_S),
            draws.machine_s + VERDICT_S,
            draws.machine_s + detection.delay_s,
        ],
        draws.person_s,
    )


def _serve(sought: Floats, handle_s: Floats, agents: int, patience_s: float) -> Floats:
    """Return when an agent takes each call; NaN where none does in time.

    Args:
        sought: when an agent is sought, ascending.
        handle_s: seconds that an agent will need.
        agents: number of agents.
        patience_s: how long a call waits.
    """
    free = [0.0] * agents
    begun = []
    for at, seconds in zip(sought.tolist(), handle_s.tolist(), strict=True):
        first = free[0]
        if first <= at:
            heapreplace(free, at + seconds)
            begun.append(at)
        elif first - at < patience_s:
            heapreplace(free, first + seconds)
            begun.append(first)
        else:
            begun.append(nan)
    return np.array(begun)


def _most_lines(dialed: Floats, ends: Floats) -> int:
    """Return the most lines in use at the same time."""
    ended = np.searchsorted(np.sort(ends), dialed, side="right")
    return int(np.max(np.arange(1, len(dialed) + 1) - ended, initial=0))


def _is_too_fast(dialed: Floats, calls_per_s: float) -> bool:
    """Return whether attempts exceed a pace, of which one second's worth can be saved up, and at least one attempt."""
    level = np.arange(1, len(dialed) + 1) - calls_per_s * dialed
    return bool(np.any(level - np.minimum.accumulate(level) + 1 > max(calls_per_s, 1.0)))


def progressive(truth: Truth, shift: Shift) -> Outcome:
    """Simulate progressive dialing: each free agent has one call at a time, and who answers is served at once."""
    campaign, detection = truth.scenario.campaigns[shift.campaign], truth.scenario.detection
    draws = Draws.of(truth, shift, most_progressive(campaign, shift))
    handle_s = draws.handle_s + draws.person_s + REACTION_S
    each = zip(
        draws.outcome.tolist(),
        draws.verdict.tolist(),
        handle_s.tolist(),
        draws.person_s.tolist(),
        draws.machine_s.tolist(),
        strict=True,
    )
    turns = [shift.start] * campaign.agents
    dialed: list[float] = []
    fate = bytearray()
    for rate, end in zip(shift.answer_rate.tolist(), shift.edges[1:].tolist(), strict=True):
        answered = rate + MACHINES * (1 - rate)
        while (at := turns[0]) < end:
            outcome, verdict, busy_s, person_s, machine_s = next(each)
            if outcome >= answered:
                found, seconds = Fate.NOBODY, TIMEOUT_S
            elif outcome < rate:
                is_silenced = verdict < detection.false_machine
                found, seconds = (Fate.SILENCED, person_s) if is_silenced else (Fate.SERVED, busy_s)
            elif verdict < detection.false_live:
                found = Fate.MISTAKEN
                seconds = detection.machine_s + (machine_s + detection.delay_s) + REACTION_S
            else:
                found, seconds = Fate.MACHINE, machine_s + VERDICT_S
            dialed.append(at)
            fate.append(found)
            heapreplace(turns, at + seconds)
    fates, times = np.frombuffer(fate, dtype=np.int8), np.array(dialed)
    size = len(times)
    is_mistaken = fates == Fate.MISTAKEN
    handled = np.where(is_mistaken, detection.machine_s, draws.handle_s[:size])
    is_taken = is_mistaken | (fates == Fate.SERVED)
    after_s = np.where(
        is_mistaken, draws.machine_s[:size] + detection.delay_s, draws.person_s[:size]
    )
    begun = np.where(is_taken, times + after_s, np.nan)
    return Outcome(shift, times, fates, begun, np.where(is_taken, handled, 0.0))


def most_progressive(campaign: Campaign, shift: Shift) -> int:
    """Return more attempts than the agents of a progressive dialer can make in a shift: half as many again as are expected."""
    rate = float(np.max(shift.answer_rate))
    ring_s = min(LIVE_RING_S[0], MACHINE_RING_S[0])
    mean_s = ring_s + rate * campaign.handle_time_s
    return int(campaign.agents * (100 + 1.5 * (shift.end - shift.start) / mean_s))
