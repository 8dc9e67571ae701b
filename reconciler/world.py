"""The outside world as one value (environment, clocks, sleep, randomness, progress), and how to reach a platform."""

from __future__ import annotations

import math
import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from reconciler import defaults

APART: Final = timedelta(minutes=5)
"""Largest difference between two clocks at which the platform's clock alone decides what has ended."""

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def _ignore(_: str) -> None:
    """Do nothing."""


REST_S: Final = 10.0
"""Seconds that a git remote which does not answer has left, in total, once it left a command unanswered or the user interrupted."""

QUIET_S: Final = 5.0
"""Seconds of one wait for the git remote after which it is reported."""


class RemoteBudget:
    """How long the git remote may keep one run of reconcile waiting. Threads may share it.

    At first, each git command has its own time limit alone. Once the remote left a command unanswered, or the user interrupted,
    all waits that follow have `REST_S` in total: else a remote that hangs would cost a time limit for each of them. Commands that
    the remote answers cost nothing.
    """

    def __init__(
        self,
        progress: Callable[[str], None] = _ignore,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Tell `progress` of long waits; `monotonic` returns seconds on a clock that never goes back."""
        self._progress = progress
        self._monotonic = monotonic
        self._left_s = math.inf
        self._since = -math.inf
        """When `_left_s` began to count."""

    def shorten(self, seconds: float = REST_S) -> None:
        """Leave at most so many seconds for all waits, also for those that have begun."""
        if self._left_s == math.inf:
            self._since = self._monotonic()
        self._left_s = min(self._left_s, seconds)

    def limit_s(self, began: float, limit_s: float) -> float:
        """Return how many seconds a command that began at `began` may take, if its own limit is `limit_s`."""
        left_s = max(began, self._since) + self._left_s - began
        return max(0.0, min(limit_s, left_s))

    def spend(self, began: float) -> None:
        """Note that a command which began at `began` got no answer."""
        if self._left_s == math.inf:
            self.shorten()
        else:
            waited_s = self._monotonic() - max(began, self._since)
            self._left_s = max(0.0, self._left_s - waited_s)

    def tell(self, limit_s: float) -> None:
        """Report a wait for the git remote that may take `limit_s` seconds."""
        self._progress(
            f"waiting for the git remote, for {limit_s:.0f} s at most (Ctrl-C ends the wait)"
        )


class World(NamedTuple):
    """External dependencies of commands, `execute` and the ledger.

    Attributes:
        environ: the environment. Secrets come from here alone.
        directory: the working directory.
        now: this machine's wall clock. Plans use the platform's clock instead.
        monotonic: seconds on a clock that never goes back.
        sleep: waits the given seconds in the event loop.
        random: source of jitter.
        new_id: returns a new identifier for a run.
        progress: takes one line of progress for people.
        remote_budget: how long the git remote may keep the run waiting.
        checkpoint: called at each point in `apply.CHECKPOINTS`; crash tests end the process there.
        remote: the git remote that holds audit records and locks; `None` means `origin`.
        block: waits the given seconds in the calling thread, outside the event loop.
    """

    environ: Mapping[str, str]
    directory: Path
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random
    new_id: Callable[[], str]
    progress: Callable[[str], None]
    remote_budget: RemoteBudget
    checkpoint: Callable[[str], None] = _ignore
    remote: str | None = None
    block: Callable[[float], None] = time.sleep

    def __repr__(self) -> str:
        return f"World({self.directory})"  # the environment holds the secrets


def _unknown() -> None:
    """Return `None`."""


BOTH_CLOCKS: Final = "A hold, a waiver or a lock ends when both clocks have passed its end. Correct the clock that is wrong"
"""What follows if the platform's clock and this machine's contradict each other."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock that decides when holds and locks end: the platform's where it is known, else this machine's.

    Two clocks that contradict each other end nothing early: an instant has then passed only if both have passed it.

    Attributes:
        machine: this machine's clock.
        platform: the platform's clock; it returns `None` while the platform has not answered.
        alone: the platform's clock decides without this machine's. A platform for trials may have any date.
        seen: the latest instant of the platform's clock in the ledger, if known.
    """

    machine: Callable[[], datetime]
    platform: Callable[[], datetime | None] = _unknown
    alone: bool = False
    seen: datetime | None = None

    def now(self) -> datetime:
        """Return the time to write down: the platform's if it is known, else this machine's."""
        return self.platform() or self.machine()

    def passed(self) -> datetime:
        """Return the latest instant that has certainly passed. What ends later has not ended."""
        ours, theirs = self.machine(), self.platform()
        if theirs is None:
            return ours if self._other(ours) is None else _NEVER
        return theirs if self._other(ours) is None else min(theirs, ours)

    def end(self, until: datetime | timedelta) -> datetime:
        """Return the instant that `--until` means: a span counts from now."""
        return self.now() + until if isinstance(until, timedelta) else until

    def contradiction(self) -> str:
        """Return a sentence that names both clocks if they contradict each other; empty if they do not."""
        ours = self.machine()
        if (other := self._other(ours)) is None:
            return ""
        known = "shows" if self.platform() else "showed in the newest audit record"
        return f"this machine's clock shows {_text(ours)}, the platform's {known} {_text(other)}. {BOTH_CLOCKS}"

    def _other(self, ours: datetime) -> datetime | None:
        """Return an instant of the platform's clock that contradicts this machine's, which shows `ours`; `None` if none does."""
        theirs = self.platform()
        if theirs is None:
            behind = self.seen is not None and self.seen - ours > APART
            return self.seen if behind else None
        return None if self.alone or abs(theirs - ours) <= APART else theirs


def _text(instant: datetime) -> str:
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


class Network(NamedTuple):
    """How to reach a platform.

    Attributes:
        deadline_s: seconds that the whole command may take.
        ca_bundle: PEM file of the certificate authorities to trust, instead of the public ones.
        proxy: URL of an HTTP proxy.
    """

    deadline_s: float = defaults.DEADLINE_S
    ca_bundle: Path | None = None
    proxy: str | None = None


async def _sleep(seconds: float) -> None:
    from asyncio import sleep  # noqa: PLC0415 - commands that never sleep should not pay for importing asyncio

    await sleep(seconds)


def here(progress: Callable[[str], None], *, remote: str | None = None) -> World:
    """Return the world of this process: its environment, clocks and randomness."""
    return World(
        environ=dict(os.environ),
        directory=Path.cwd(),
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        sleep=_sleep,
        random=random.SystemRandom(),
        new_id=lambda: secrets.token_hex(8),
        progress=progress,
        remote_budget=RemoteBudget(progress),
        remote=remote,
    )
