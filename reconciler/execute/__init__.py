"""Carry a plan out: intent, write, refresh, activation, read back, outcome.

Order is safety: what narrows dialing goes first, and what widens it starts only when every narrowing is active. A write whose
fate is unknown is read back before it is sent again under the same key, so that a platform that ignores keys deploys nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from reconciler.dialects.base import Dialect, Exchange, Kind, Live, Stored, Waiting
from reconciler.effect import Direction
from reconciler.errors import (
    AccessError,
    ApiError,
    NotFinished,
    PartlyWritten,
    ReconcileError,
    TenantLocked,
    Unavailable,
    UncertainWrite,
)
from reconciler.execute.lookout import Lookout
from reconciler.pacing import activation_latency
from reconciler.plan import Action, Operation, Outcome, Result, live_hash

T = TypeVar("T")

RELOCK_PAUSE_S = 30.0
"""Seconds between two refreshes of a locked dialer (contract: "try again every thirty seconds")."""

FIRST_POLL_S, LAST_POLL_S = 0.25, 5.0
ACTIVATION_S = 60.0
"""Seconds that a dialer gets to take what it accepted, however short the wait for a locked one is."""

SAME_KEY_TRIES = 4
"""Writes under one key before a stored error is taken to pin it, and the next attempt gets a key of its own."""

ATTEMPTS = 2
CONFLICT = 409
PRECONDITION_FAILED = 412
_STORED_AS = {
    Action.CREATE: Result.CREATED,
    Action.UPDATE: Result.UPDATED,
    Action.RETIRE: Result.DELETED,
    Action.REFRESH: Result.REFRESHED,
}


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


class Platform(Protocol):
    """Whoever carries a dialect's conversation to the platform."""

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
    lookout: Lookout = field(init=False)

    def __post_init__(self) -> None:
        self.lookout = Lookout(
            self.platform.run, self.dialect, self.options.look_s, self.monotonic, self.pause
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
        return outcomes + await self._group(rest)

    async def _group(self, operations: list[Operation]) -> tuple[Outcome, ...]:
        slots = asyncio.Semaphore(self.options.concurrency)
        self.lookout.writing += len(operations)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._recorded(operation, slots)) for operation in operations
            ]
        return tuple(task.result() for task in tasks)

    async def _recorded(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        step = _Step(self, operation)
        try:
            outcome = await step.run(slots)
        finally:
            step.at_rest()
        await self.journal.outcome(outcome)
        self.progress(_line(outcome))
        return outcome

    async def _not_started(self, operation: Operation, reason: str) -> Outcome:
        outcome = Outcome(operation, Result.NOT_STARTED, reason)
        await self.journal.outcome(outcome)
        return outcome

    async def pause(self, seconds: float) -> None:
        """Sleep, or less when the run is stopped."""
        sleeper = asyncio.ensure_future(self.sleep(seconds))
        stopper = asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({sleeper, stopper}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            stopper.cancel()


class _Moved(Exception):  # noqa: N818 - control flow inside this module, never seen outside
    """The object is not what it was planned against."""


class _Step:
    """One operation on its way. Remembers what was sent, so that every exit can say so."""

    def __init__(self, executor: Executor, operation: Operation) -> None:
        self.to = executor
        self.operation = operation
        self.kind: Kind = executor.dialect.KINDS[operation.kind]
        self.tries = 0
        self.wrote = False
        self.confirmed = False
        self.stored: Stored | None = None
        self.uncertain = False
        self._resting = False

    def at_rest(self) -> None:
        """Say, once, that there is nothing more to write here before somebody else's look."""
        if not self._resting:
            self._resting = True
            self.to.lookout.writing -= 1

    async def run(self, slots: asyncio.Semaphore) -> Outcome:
        """Return the outcome; never raises for anything that the platform or the network does."""
        try:
            async with slots:
                if self.to.stop.is_set():
                    return self._end(Result.NOT_STARTED, "not started: the run was stopped")
                await self._store()
            return await self._activate()
        except _Moved as moved:
            return self._end(Result.UNKNOWN if self.uncertain else Result.STALE, str(moved))
        except ReconcileError as error:
            return self._failed(error)

    def _failed(self, error: ReconcileError) -> Outcome:
        result, message = self._result_of(error), str(error)
        if result is Result.UNKNOWN:
            message = f"{error}; the next apply settles it"
        if result is Result.STORED_NOT_ACTIVE:
            message = f"stored, not active: {error}; the next apply finishes it"
        if isinstance(error, AccessError | Unavailable | TenantLocked):
            self.to.stop.set()  # nothing else will fare better; what is under way is finished and recorded
        return replace(self._end(result, message), code=error.exit_code)

    def _result_of(self, error: ReconcileError) -> Result:
        """Return how an error leaves the operation: what is stored counts before what went wrong after it."""
        if self.uncertain or isinstance(error, UncertainWrite):
            return Result.UNKNOWN
        if self.stored is not None:
            return Result.STORED_NOT_ACTIVE
        if isinstance(error, NotFinished | TenantLocked):
            return Result.NOT_STARTED
        return Result.REFUSED if isinstance(error, ApiError) and not self.wrote else Result.FAILED

    # --- store ---------------------------------------------------------------------------------------------------------

    async def _store(self) -> None:
        """Make the platform hold what is desired, exactly once as far as anyone can tell."""
        live = await self._before()
        if self.operation.action is Action.REFRESH or (
            self.operation.desired is None and live.stored is None
        ):
            return
        for attempt in range(ATTEMPTS):
            if attempt:
                await self.to.journal.retry(self.operation, attempt)
            for last in (*[False] * (SAME_KEY_TRIES - 1), attempt == ATTEMPTS - 1):
                if await self._write(live, attempt, give_up=last):
                    return

    async def _before(self) -> Live:
        """Return what the write replaces: as planned where a version or the write itself guards it, read again where nothing does."""
        live = self.to.live.get(self.operation.key)
        guarded = self.to.dialect.CAPABILITIES.rereads or (live and live.version is not None)
        if live is not None and guarded:
            return live
        live = await self._read()
        if live_hash(live, self.kind) != self.operation.live_hash:
            raise _Moved("it moved since it was planned; plan again")
        return live

    async def _write(self, live: Live, attempt: int, *, give_up: bool) -> bool:
        """Send the write once; return whether the platform now holds it. Raises the uncertainty itself when told to give up."""
        await self._still_ours()
        key = self.to.journal.key(self.operation, attempt)
        self.tries += 1
        try:
            exchange = self.to.dialect.write(
                self.operation.key, self.operation.desired, token=key, live=live
            )
            self.stored = await self.to.platform.run(exchange)
        except ApiError as error:
            if isinstance(error, PartlyWritten):
                self.wrote = True
                raise
            if error.status == PRECONDITION_FAILED:
                return await self._precondition()
            if not isinstance(error, UncertainWrite) and error.status != CONFLICT:
                raise
            return await self._settle(error, give_up=give_up)
        self.wrote, self.uncertain = True, False
        return True

    async def _still_ours(self) -> None:
        if not await self.to.journal.may_write():
            raise TenantLocked(
                "the tenant's lock was lost, or taken: nothing more is written by this run"
            )

    async def _settle(self, error: ApiError, *, give_up: bool) -> bool:
        """After an uncertain write: wait longer than a late commit takes, read, and believe only what is read."""
        self.wrote = self.uncertain = True
        await self.to.sleep(self.to.options.settle_s)
        if self._holds(live := await self._read()):
            self._confirm(live)
            return True
        if live_hash(live, self.kind) != self.operation.live_hash:
            raise _Moved("it moved while a write of ours was uncertain; the next apply settles it")
        if give_up:
            raise error
        return False

    async def _precondition(self) -> bool:
        """412 after a lost answer may be our own write: then it is confirmed; otherwise somebody else's, and ours is stale."""
        if self.tries > 1 and self._holds(live := await self._read()):
            self._confirm(live)
            return True
        raise _Moved("somebody else changed it since it was planned; plan again")

    def _confirm(self, live: Live) -> None:
        self.wrote = self.confirmed = True
        self.uncertain = False
        self.stored = Stored(live.stored_id, live.version, live.stored_at)

    def _holds(self, live: Live) -> bool:
        stored = None if live.stored is None else self.kind.canonical(live.stored)
        return stored == self.operation.desired

    # --- activate ------------------------------------------------------------------------------------------------------

    async def _activate(self) -> Outcome:
        """Have the dialer take it, wait until it has, and compare what is read back with what was desired."""
        until = self.to.monotonic() + self.to.options.wait_s
        if self.to.dialect.CAPABILITIES.activation:
            reason = await self._refresh(until)
            if reason is not None:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    f"stored, not active: {reason}; the next apply finishes it",
                )
        return await self._verify(max(until, self.to.monotonic() + ACTIVATION_S))

    async def _refresh(self, until: float) -> str | None:
        """Return why the dialer would not take it within the wait, or `None` when it will."""
        while (waiting := await self._ask_to_refresh()) is not None:
            if self.to.stop.is_set() or self.to.monotonic() + RELOCK_PAUSE_S > until:
                return waiting.reason
            self.to.progress(f"{self.operation.name}: waiting, {waiting.reason}")
            self.at_rest()
            await self.to.pause(RELOCK_PAUSE_S)
        self.wrote = True
        self.at_rest()
        return None

    async def _ask_to_refresh(self) -> Waiting | None:
        """A refresh is a write, too: it makes what is stored dial."""
        await self._still_ours()
        return await self.to.platform.run(self.to.dialect.activate(self.operation.key))

    async def _verify(self, until: float) -> Outcome:
        self.at_rest()
        pause = FIRST_POLL_S
        while True:
            live = await self.to.lookout.see(self.operation.key)
            if not self._holds(live):
                return self._end(
                    Result.OVERTAKEN, "stored, and changed by somebody else before it was verified"
                )
            if live.settled:
                return self._done(live)
            if self.to.stop.is_set() or self.to.monotonic() + pause > until:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    "stored, not active: the dialer has not taken it yet; the next apply finishes it",
                )
            await self.to.pause(pause)
            pause = min(pause * 2, LAST_POLL_S)

    def _done(self, live: Live) -> Outcome:
        result = Result.CONFIRMED if self.confirmed else _STORED_AS[self.operation.action]
        return replace(
            self._end(result, ""),
            stored_id=live.stored_id,
            latency_s=_latency_s(live),
            stored_at=live.stored_at,
            activated_at=live.activated_at,
        )

    async def _read(self) -> Live:
        return await self.to.platform.run(self.to.dialect.read_one(self.operation.key))

    def _end(self, result: Result, message: str) -> Outcome:
        stored = self.stored or Stored(None)
        return Outcome(
            self.operation,
            result,
            message,
            stored_id=stored.id,
            stored_at=stored.at,
            tries=self.tries,
            wrote=self.wrote,
        )


def _latency_s(live: Live) -> float | None:
    """Return seconds from stored to active; `None` when the platform did not say, or nothing is stored."""
    if live.stored_at is None or live.activated_at is None:
        return None
    try:
        return activation_latency(live.stored_at, live.activated_at)
    except ValueError:
        return None


def _line(outcome: Outcome) -> str:
    what = f"{outcome.operation.name}: {outcome.result.value.replace('_', ' ')}"
    took = (
        f", active after {outcome.latency_s:.1f} s"
        if outcome.latency_s is not None and outcome.done
        else ""
    )
    return f"{what}{took}" + (f" ({outcome.message})" if outcome.message else "")
