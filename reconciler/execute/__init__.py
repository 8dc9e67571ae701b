"""Carry a plan out: intent, write, refresh, activation, read back, outcome.

Order is safety: what narrows dialing goes first, and what widens it starts only when every narrowing is active. A write whose
fate is unknown is read back before it is sent again under the same key, so that a platform that ignores keys deploys nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from reconciler.dialects.base import Dialect, Exchange, Live
from reconciler.effect import Direction
from reconciler.errors import ReconcileError
from reconciler.execute import step as steps
from reconciler.execute.instants import PlatformClock
from reconciler.execute.polling import Poller
from reconciler.execute.step import Step
from reconciler.execute.waits import pause
from reconciler.plan import Operation, Outcome, Result

T = TypeVar("T")


CHECKPOINTS: Final = (*steps.CHECKPOINTS, "outcome:before", "outcome:told")
"""Points that `Executor.checkpoint` is told of."""


class Journal(Protocol):
    """Where intents and outcomes are written down. Every method returns when the record is acknowledged, or promises to be."""

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation; attempts count from 0."""

    async def retry(self, operation: Operation, attempt: int) -> None:
        """Record the intent of a further attempt; acknowledged when this returns."""

    async def outcome(self, outcome: Outcome) -> None:
        """Record an outcome; outcomes may be written in batches."""

    async def may_write(self) -> bool:
        """Return whether the tenant is still ours to write to."""

    async def creating(self, operations: Sequence[Operation]) -> None:
        """Record that the creates among these operations may be sent from now on; acknowledged when this returns."""


class Platform(PlatformClock, Protocol):
    """Whoever carries a dialect's conversation to the platform, and hears its clock."""

    async def run(self, exchange: Exchange[T]) -> T:
        """Send the calls of an exchange and return its value."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to carry a plan out.

    Attributes:
        concurrency: operations being written at once; waiting for the dialer does not count.
        wait_s: seconds to wait for a locked dialer, and for activation.
        settle_s: seconds before an uncertain write is read back: longer than the platform takes to commit late.
        look_s: seconds between two looks at what was written while more is being written.
    """

    concurrency: int = 8
    wait_s: float = 900.0
    settle_s: float = 2.0
    look_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a widening that was approved may not become active now.

    Attributes:
        reason: which judgement changed, in one sentence without a full stop.
        passes: the cause ends by itself, so it is waited for like a locked dialer.
    """

    reason: str
    passes: bool = False


async def _none(_: Operation) -> Objection | None:
    """Object to nothing."""
    return None


def _pass(_: str) -> None:
    """Go on."""


@dataclass(slots=True)
class Executor:
    """Carries operations out over one platform.

    Attributes:
        platform, dialect, journal: who is spoken to, in which words, and who writes it down.
        live: what was read when the operations were planned, by key.
        options: see `Options`.
        sleep, monotonic: time, in seconds.
        progress: told one line at each step worth a line.
        stop: set to start nothing more and to end waits; what is being written is finished and recorded.
        checkpoint: told of each point in `CHECKPOINTS`.
        objection: asked just before a widening is written or activated; raises what keeps it from being judged.
    """

    platform: Platform
    dialect: Dialect
    journal: Journal
    live: Mapping[str, Live]
    options: Options
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    progress: Callable[[str], None]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    checkpoint: Callable[[str], None] = _pass
    objection: Callable[[Operation], Awaitable[Objection | None]] = _none
    lookout: Poller = field(init=False)

    def __post_init__(self) -> None:
        self.lookout = Poller(
            self.platform.run, self.dialect, self.options.look_s, self.monotonic, self.sleep
        )

    async def run(self, operations: Iterable[Operation]) -> tuple[Outcome, ...]:
        """Carry out the operations, tightenings first, and return an outcome for each, in that order."""
        every = list(operations)
        first = [operation for operation in every if operation.direction is Direction.TIGHTEN]
        rest = [operation for operation in every if operation.direction is not Direction.TIGHTEN]
        outcomes = await self._group(first)
        behind = [outcome.operation.name for outcome in outcomes if not outcome.done]
        if behind:
            reason = f"not started, because a tightening is not active: {', '.join(behind)}"
            return outcomes + tuple(
                [await self._not_started(operation, reason) for operation in rest]
            )
        try:
            await self.journal.creating(rest)
        except ReconcileError as error:
            reason = f"not started, because it could not be recorded: {error}"
            return outcomes + tuple(
                [await self._not_started(operation, reason, error.exit_code) for operation in rest]
            )
        return outcomes + await self._group(rest)

    async def _group(self, operations: list[Operation]) -> tuple[Outcome, ...]:
        slots = asyncio.Semaphore(self.options.concurrency)
        self.lookout.busy(len(operations))
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._recorded(operation, slots)) for operation in operations
            ]
        return tuple(task.result() for task in tasks)

    async def _recorded(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        step = Step(self, operation)
        try:
            outcome = await step.run(slots)
        finally:
            step.at_rest()
        self.checkpoint("outcome:before")
        await self.journal.outcome(outcome)
        self.checkpoint("outcome:told")
        self.progress(_line(outcome))
        return outcome

    async def _not_started(self, operation: Operation, reason: str, code: int = 0) -> Outcome:
        outcome = Outcome(operation, Result.NOT_STARTED, reason, code=code)
        await self.journal.outcome(outcome)
        return outcome

    async def pause(self, seconds: float) -> None:
        """Sleep, or less when the run is stopped."""
        await pause(seconds, self.sleep, self.stop)


def _line(outcome: Outcome) -> str:
    what = f"{outcome.operation.name}: {outcome.result.value.replace('_', ' ')}"
    took = (
        f", active after {outcome.latency_s:.1f} s"
        if outcome.latency_s is not None and outcome.done
        else ""
    )
    return f"{what}{took}" + (f" ({outcome.message})" if outcome.message else "")
