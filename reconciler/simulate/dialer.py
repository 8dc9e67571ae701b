"""The dialer of a simulation: it places attempts, connects live persons to agents, and keeps within its lines.

One agent serves one person at a time, in the order of their answers. Each call holds a line until it ends. An attempt that finds no
line free, or comes too soon after the others, is not placed: at a given rate it is dropped, in progressive dialing the agent waits.
Nothing here knows a queueing formula.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from heapq import heapify, heappop, heappush, heapreplace
from math import inf, nan

import numpy as np

from reconciler.simulate import fast
from reconciler.simulate.calls import (
    MACHINES,
    PATIENCE_S,
    REACTION_S,
    TIMEOUT_S,
    TRIES,
    VERDICT_S,
    ContactList,
    Draws,
    Fate,
    Outcome,
    Setting,
    dial_times,
)
from reconciler.simulate.truth import Shift, Truth

_NOBODY, _MACHINE, _SILENCED = int(Fate.NOBODY), int(Fate.MACHINE), int(Fate.SILENCED)
_SERVED, _MISTAKEN = int(Fate.SERVED), int(Fate.MISTAKEN)
"""Plain numbers: a member of an enumeration takes longer to look up than the rest of a comparison."""


def dial(
    truth: Truth, shifts: Sequence[Shift], settings: Sequence[Setting], lists: Sequence[ContactList]
) -> list[Outcome]:
    """Simulate one shift of every campaign of a tenant. It begins without calls in progress.

    Args:
        truth: the random numbers.
        shifts: one for each campaign; all begin and end together.
        settings: one for each campaign.
        lists: one for each campaign; they are used up.
    """
    found = _simple(truth, shifts, settings) if all(each.left == inf for each in lists) else None
    return found or Dialer(truth, shifts, settings, lists).run()


def _simple(
    truth: Truth, shifts: Sequence[Shift], settings: Sequence[Setting]
) -> list[Outcome] | None:
    """Return what a fast simulation gives, or `None` if there is none for this case."""
    scenario, setting = truth.scenario, settings[0]
    if len(shifts) > 1 or scenario.lines is not None or scenario.calls_per_s is not None:
        is_at_rate = not any(each.progressive for each in settings)
        return fast.together(truth, shifts, settings) if is_at_rate else None
    if setting.progressive:
        return [fast.progressive(truth, shifts[0])] if setting.lines is None else None
    if setting.lines is not None:
        return [fast.within_lines(truth, shifts[0], setting)]
    return fast.together(truth, shifts, settings)


class _Desk:
    """One campaign in the middle of a shift: what awaits its attempts, its agents, and what became of its attempts."""

    def __init__(self, truth: Truth, shift: Shift, setting: Setting, contacts: ContactList) -> None:
        self.campaign = truth.scenario.campaigns[shift.campaign]
        self.detection = truth.scenario.detection
        self.shift = shift
        self.contacts = contacts
        self.is_progressive = setting.progressive
        self.lines = inf if setting.lines is None else setting.lines
        self.times = [] if setting.progressive else dial_times(truth, shift, setting).tolist()
        most = fast.most_progressive(self.campaign, shift)
        draws = Draws.of(truth, shift, most if setting.progressive else len(self.times))
        self.outcome: list[float] = draws.outcome.tolist()
        self.verdict: list[float] = draws.verdict.tolist()
        self.person_s: list[float] = draws.person_s.tolist()
        self.machine_s: list[float] = draws.machine_s.tolist()
        self.talk_s: list[float] = draws.handle_s.tolist()
        self.edges, self.answer_rate = shift.edges.tolist(), shift.answer_rate.tolist()
        self.free: list[float] = [0.0] * self.campaign.agents
        self.busy = 0
        self.dialed: list[float] = []
        self.fate = bytearray()
        self.begun: list[float] = []
        self.handle_s: list[float] = []

    def record(self, at: float, fate: int) -> int:
        """Record an attempt; return its number."""
        self.dialed.append(at)
        self.fate.append(fate)
        self.begun.append(nan)
        self.handle_s.append(0.0)
        return len(self.dialed) - 1

    def awaits(self, at: float) -> int:
        """Take the next contact; return the fate of the attempt to it if an agent is free."""
        number, contacts, detection = len(self.dialed), self.contacts, self.detection
        hour = bisect_right(self.edges, at, hi=len(self.answer_rate)) - 1
        rate = self.answer_rate[hour] * (TRIES[contacts.attempt] if contacts.left < inf else 1.0)
        contacts.left -= 1
        outcome, verdict = self.outcome[number], self.verdict[number]
        if outcome < rate:
            if verdict >= detection.false_machine:
                return _SERVED
            contacts.again += 1
            return _SILENCED
        contacts.again += 1
        if outcome >= rate + MACHINES * (1 - rate):
            return _NOBODY
        return _MISTAKEN if verdict < detection.false_live else _MACHINE

    def after_s(self, fate: int) -> float:
        """Return the seconds from dialing the next attempt until an agent is sought, or else until the line is free."""
        number = len(self.dialed)
        if fate == _NOBODY:
            return TIMEOUT_S
        if fate == _MACHINE:
            return self.machine_s[number] + VERDICT_S
        if fate == _MISTAKEN:
            return self.machine_s[number] + self.detection.delay_s
        return self.person_s[number]

    def takes_s(self, number: int, fate: int) -> float:
        """Return the seconds that an agent will spend on an attempt."""
        return self.detection.machine_s if fate == _MISTAKEN else self.talk_s[number]

    def talks_s(self, handle_s: float) -> float:
        """Return the part of a handle time in which the line is in use."""
        return max(handle_s - self.campaign.wrap_up_s, 0.0)

    def result(self) -> Outcome:
        """Return what became of all attempts."""
        fates = np.frombuffer(self.fate, dtype=np.int8)
        return Outcome(
            self.shift,
            np.array(self.dialed),
            fates,
            np.array(self.begun),
            np.array(self.handle_s),
            has_ended=not self.contacts.has_more(),
        )


class Dialer:
    """One shift of every campaign of a tenant, event by event."""

    def __init__(
        self,
        truth: Truth,
        shifts: Sequence[Shift],
        settings: Sequence[Setting],
        lists: Sequence[ContactList],
    ) -> None:
        scenario = truth.scenario
        self._desks = [_Desk(truth, *each) for each in zip(shifts, settings, lists, strict=True)]
        self._lines = inf if scenario.lines is None else scenario.lines
        self._busy = 0
        self._pace = scenario.calls_per_s
        self._most = max(self._pace or inf, 1.0)
        self._budget, self._refilled = self._most, shifts[0].start
        self._patience_s = PATIENCE_S - scenario.detection.delay_s
        self._turns = [turn for number in range(len(shifts)) for turn in self._first(number)]
        heapify(self._turns)
        self._seeking: list[tuple[float, int, int]] = []  # when, desk, attempt
        self._ending: list[tuple[float, int]] = []  # when a line is free, desk
        self._waiting: deque[int] = deque()  # desks of the agents who wait for a line
        self._now = shifts[0].start

    def run(self) -> list[Outcome]:
        """Simulate the shift; return what became of the attempts of each campaign."""
        while self._turns or self._waiting:
            if self._waiting and self._wake():
                continue
            at, number = heappop(self._turns)
            self._advance(at)
            desk = self._desks[number]
            if not desk.contacts.has_more():
                continue
            if desk.is_progressive:
                self._next_of_agent(at, number, desk)
            else:
                self._next_at_rate(at, number, desk)
        self._advance(inf)
        return [desk.result() for desk in self._desks]

    def _first(self, number: int) -> list[tuple[float, int]]:
        """Return the first turns of a campaign: of each agent, or of its first attempt."""
        desk = self._desks[number]
        if desk.is_progressive:
            return [(desk.shift.start, number)] * int(min(desk.campaign.agents, desk.lines))
        return [(at, number) for at in desk.times[:1]]

    def _wake(self) -> bool:
        """Give the next free line to the agent who waits longest; return false if another turn comes first."""
        if self._turns and self._turns[0][0] <= self._now:
            return False
        at = self._now if self._busy < self._lines else self._next_end()
        if self._turns and self._turns[0][0] < at:
            return False
        self._advance(at)
        number = self._waiting.popleft()
        if at < self._desks[number].shift.end:
            heappush(self._turns, (at, number))
        return True

    def _next_end(self) -> float:
        """Return when the next line is free."""
        while not self._ending or (self._seeking and self._seeking[0] < self._ending[0]):
            self._connect(*heappop(self._seeking))
        return self._ending[0][0]

    def _advance(self, now: float) -> None:
        """Connect who sought an agent until now, then free the lines whose calls ended until now."""
        self._now = now
        seeking, ending = self._seeking, self._ending
        while seeking and seeking[0][0] <= now:
            self._connect(*heappop(seeking))
        while ending and ending[0][0] <= now:
            self._desks[heappop(ending)[1]].busy -= 1
            self._busy -= 1

    def _connect(self, at: float, number: int, attempt: int) -> None:
        desk = self._desks[number]
        start = max(desk.free[0], at)
        if start - at < self._patience_s:
            handle_s = desk.takes_s(attempt, desk.fate[attempt])
            desk.begun[attempt], desk.handle_s[attempt] = start, handle_s
            heapreplace(desk.free, start + handle_s)
            heappush(self._ending, (start + desk.talks_s(handle_s), number))
        else:
            desk.fate[attempt] += 1  # `Fate` puts "no agent in time" behind "an agent in time"
            heappush(self._ending, (at + self._patience_s, number))

    def _next_at_rate(self, at: float, number: int, desk: _Desk) -> None:
        """Place an attempt, or drop it; then the next one's turn comes at its own time."""
        if self._busy >= self._lines or desk.busy >= desk.lines or self._too_soon_until(at):
            desk.record(at, Fate.BLOCKED)
        else:
            fate = desk.awaits(at)
            ready = at + desk.after_s(fate)
            attempt = desk.record(at, fate)
            desk.busy += 1
            self._busy += 1
            if fate in (_SERVED, _MISTAKEN):
                heappush(self._seeking, (ready, number, attempt))
            else:
                heappush(self._ending, (ready, number))
        if len(desk.dialed) < len(desk.times):
            heappush(self._turns, (desk.times[len(desk.dialed)], number))

    def _next_of_agent(self, at: float, number: int, desk: _Desk) -> None:
        """Place an attempt for a free agent, whose next turn comes when it has ended."""
        if self._busy >= self._lines:
            self._waiting.append(number)
            return
        until = self._too_soon_until(at)
        if not until:
            fate = desk.awaits(at)
            after_s = desk.after_s(fate)
            until = ready = at + after_s
            attempt = desk.record(at, fate)
            if fate in (_SERVED, _MISTAKEN):
                handle_s = desk.takes_s(attempt, fate)
                desk.begun[attempt], desk.handle_s[attempt] = ready, handle_s
                until = at + (handle_s + after_s + REACTION_S)
                ready += desk.talks_s(handle_s)
            desk.busy += 1
            self._busy += 1
            heappush(self._ending, (ready, number))
        if until < desk.shift.end:
            heappush(self._turns, (until, number))

    def _too_soon_until(self, at: float) -> float:
        """Return when the tenant's pace allows an attempt; 0 if it does now, which takes the attempt off the pace."""
        if self._pace is None:
            return 0.0
        self._budget = min(self._most, self._budget + (at - self._refilled) * self._pace)
        self._refilled = at
        if self._budget < 1:
            return at + (1 - self._budget) / self._pace
        self._budget -= 1
        return 0.0
