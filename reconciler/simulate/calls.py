"""Calls of a simulation: how long they ring, who answers, how long agents take, and what became of each attempt.

An attempt rings until a live person answers, a machine does, or the dialer gives up. A live person who finds no agent within two
seconds is abandoned. No queueing formula is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from itertools import pairwise
from math import inf
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from reconciler.simulate.scenarios import Campaign, Detection
from reconciler.simulate.truth import Floats, Purpose, Shift, Truth

PATIENCE_S: Final = 2.0
"""Seconds within which a live person must reach an agent, from the answer on."""

LIVE_RING_S: Final = (4.0, 16.0)
"""Shortest and longest ringing until a live person answers; uniform between them."""

MACHINE_RING_S: Final = (12.0, 16.0)
"""Shortest and longest ringing until a machine answers; uniform between them."""

VERDICT_S: Final = 2.0
"""Seconds until the dialer hangs up on a machine."""

TIMEOUT_S: Final = 18.0
"""Seconds of ringing until the dialer gives up."""

MACHINES: Final = 0.4
"""Share of the attempts without a live answer that a machine answers."""

REACTION_S: Final = 0.5
"""Seconds between the end of an agent's call and the next attempt in progressive dialing."""

TRIES: Final = (1.0, 0.85, 0.7)
"""Answer rate of the first, second and third attempt to a contact of a finite list, relative to that of the hour."""

Codes = NDArray[np.int8]


class Fate(IntEnum):
    """What became of an attempt."""

    NOBODY = 0
    """It rang, and the dialer gave up."""
    MACHINE = 1
    """A machine answered, and the dialer hung up."""
    SILENCED = 2
    """A live person answered, was taken for a machine, and heard silence."""
    SERVED = 3
    """A live person reached an agent in time."""
    ABANDONED = 4
    """A live person found no agent in time."""
    MISTAKEN = 5
    """A machine was taken for a live person and reached an agent."""
    MISSED = 6
    """A machine was taken for a live person and found no agent in time."""
    BLOCKED = 7
    """Not placed: no line was free, or the tenant placed too many attempts in this second."""


LIVE: Final = (Fate.SILENCED, Fate.SERVED, Fate.ABANDONED)
"""Fates of the attempts that a live person answered."""

LOST: Final = (Fate.SILENCED, Fate.ABANDONED)
"""Fates of the attempts that count as abandoned."""


def among(found: NDArray[np.int8], *fates: Fate) -> NDArray[np.bool_]:
    """Return which attempts have one of these fates."""
    is_one = np.zeros(len(Fate), dtype=np.bool_)
    is_one[list(fates)] = True
    return is_one[found]


@dataclass(frozen=True, slots=True)
class Setting:
    """What a policy sets for one shift of one campaign.

    Attributes:
        dial_rate: attempts per second; not read in progressive dialing.
        lines: `max_concurrent_calls`; `None`: no limit of the campaign's own.
        progressive: each free agent has one call at a time.
        hourly: attempts per second in each hour of the shift, instead of `dial_rate`.
    """

    dial_rate: float
    lines: int | None = None
    progressive: bool = False
    hourly: tuple[float, ...] | None = None


@dataclass(slots=True)
class ContactList:
    """A finite list, dialed in rounds: who was not reached is tried again in the next round.

    Attributes:
        left: contacts that this round has left; infinite for an endless list.
        attempt: number of the round, from 0.
        again: contacts of this round that were not reached.
    """

    left: float = inf
    attempt: int = 0
    again: int = 0

    @classmethod
    def of(cls, campaign: Campaign) -> ContactList:
        """Return the list of a campaign before its first attempt."""
        return cls(inf if campaign.list_size is None else campaign.list_size)

    def has_more(self) -> bool:
        """Return whether a contact is left. At the end of a round, begin the next one."""
        if not self.left and self.attempt + 1 < len(TRIES):
            self.left, self.attempt, self.again = self.again, self.attempt + 1, 0
        return self.left > 0


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What became of the attempts of one campaign in one shift: arrays with an element for each.

    Attributes:
        shift: the shift.
        dialed: when it was placed, in seconds since 1970, ascending.
        fate: its `Fate`.
        begun: when an agent took it; not a number where none did.
        handle_s: seconds that the agent spent on it.
        has_ended: whether the list ended in this shift, or earlier.
    """

    shift: Shift
    dialed: Floats
    fate: NDArray[np.int8]
    begun: Floats
    handle_s: Floats
    has_ended: bool = False

    @property
    def lasted_s(self) -> float:
        """Seconds of the shift, or until the last attempt if the list has ended."""
        end = float(self.dialed[-1]) if len(self.dialed) else self.shift.start
        return (end if self.has_ended else self.shift.end) - self.shift.start

    @property
    def placed(self) -> Floats:
        """When the attempts were placed that were not blocked."""
        placed: Floats = self.dialed[self.fate != Fate.BLOCKED]
        return placed

    def count(self, *fates: Fate) -> int:
        """Return the number of attempts with one of these fates."""
        return int(np.bincount(self.fate, minlength=len(Fate))[list(fates)].sum())

    def by_hour(self) -> NDArray[np.int64]:
        """Return the number of attempts of each fate in each hour of the shift: a row for each hour, a column for each fate."""
        cuts = np.searchsorted(self.dialed, self.shift.edges)
        parts = (self.fate[low:high] for low, high in pairwise(cuts))
        return np.array([np.bincount(part, minlength=len(Fate)) for part in parts])


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What awaits each attempt of a shift, in the order of dialing. Times are in seconds.

    Attributes:
        outcome: below the answer rate, a live person answers; a little above it, a machine.
        verdict: below the error of the machine detector, it is wrong.
        person_s: from dialing until an agent is sought for a live person.
        machine_s: from dialing until a machine answers.
        handle_s: what an agent will spend on a live person.
    """

    outcome: Floats
    verdict: Floats
    person_s: Floats
    machine_s: Floats
    handle_s: Floats

    @classmethod
    def of(cls, truth: Truth, shift: Shift, size: int) -> Draws:
        """Return the draws for the first attempts of a shift."""
        campaign = truth.scenario.campaigns[shift.campaign]
        detection = truth.scenario.detection
        ring = truth.uniform(shift, Purpose.RING, size)
        is_sure = detection == Detection()
        return cls(
            truth.uniform(shift, Purpose.OUTCOME, size),
            np.ones(size) if is_sure else truth.uniform(shift, Purpose.DETECTION, size),
            LIVE_RING_S[0] + (LIVE_RING_S[1] - LIVE_RING_S[0]) * ring + detection.delay_s,
            MACHINE_RING_S[0] + (MACHINE_RING_S[1] - MACHINE_RING_S[0]) * ring,
            handle_times(campaign, truth.uniform(shift, Purpose.HANDLE, size)),
        )


def handle_times(campaign: Campaign, uniform: Floats) -> Floats:
    """Return handle times in seconds from numbers in [0, 1)."""
    spread, mean = campaign.spread, campaign.handle_time_s
    if spread is None:
        return np.multiply(-mean, np.log1p(-uniform))
    normal = ndtri(np.maximum(uniform, np.finfo(float).tiny))
    return np.multiply(mean, np.exp(spread * normal - spread**2 / 2))


def dial_times(truth: Truth, shift: Shift, setting: Setting) -> Floats:
    """Return when a dialer at a given rate makes attempts: a Poisson stream, whose gaps are the same under every policy."""
    rates = np.array(setting.hourly or [setting.dial_rate] * len(shift.hours))
    mean = np.concatenate([[0.0], np.cumsum(rates * np.diff(shift.edges))])
    size = int(mean[-1] + 8 * np.sqrt(mean[-1]) + 20)
    passed = np.cumsum(-np.log1p(-truth.uniform(shift, Purpose.GAP, size)))
    times: Floats = np.interp(passed[passed < mean[-1]], mean, shift.edges)
    return times
