"""Stop dialing, whatever else is down. Objects are stopped concurrently, so a locked dialer delays no other object.

A stop needs no plan and no lock. It removes the stored schedule, whoever stored it, and removes it again if a running apply stores
another one. An object counts as silent only after a read confirmed it.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from reconciler.dialects.base import Dialect
from reconciler.errors import AccessError, ApiError, NotFinished, ReconcileError, UnknownObject
from reconciler.execute.execution import WriteOptions
from reconciler.execute.instants import believed, since
from reconciler.execute.platform import Platform
from reconciler.execute.polling import Poller
from reconciler.execute.waits import RELOCK_PAUSE_S, Wait, pause
from reconciler.kinds.live import Live
from reconciler.plan import Operation, Outcome, Result
from reconciler.world import World

POLL_S: Final = 0.5
"""Seconds between two reads of an object whose dialer has accepted the stop."""

BELIEVE_S: Final = 10.0
"""Seconds after which an object that still dials is stopped again: somebody stored it again, or the request was lost."""

RETRY_S: Final = 2.0
"""Seconds before a failed request is retried. Doubled each time, up to the pause for a locked dialer."""

NOT_FOUND: Final = 404

STOP_WAITING: Final = " (Ctrl-C ends the wait and leaves it dialing; --wait SECONDS limits it)"
"""How to end a wait; shown once in a run."""

LOOK_S: Final = 60.0
"""Seconds between two reads while there is still something to stop, because the request rate limits a stop."""


class StopJournal(Protocol):
    """Records the outcomes of a stop."""

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation. Attempts count from 0."""

    def outcome(self, outcome: Outcome) -> None:
        """Record an outcome. Returns at once and never raises."""


@dataclass(slots=True)
class Silencer:
    """Stops objects on one platform.

    Attributes:
        world: clocks, sleep and progress.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        journal: records outcomes.
        options: only `concurrency` and `wait_s` are used.
        stop: when set, waits end.
    """

    world: World
    platform: Platform
    dialect: Dialect
    journal: StopJournal
    options: WriteOptions
    stop: asyncio.Event
    _poller: Poller = field(init=False)
    _hint: str = STOP_WAITING
    _unread: dict[str, str] = field(default_factory=dict)
    """Why the last read of an object failed, by key."""

    def __post_init__(self) -> None:
        look = self.dialect.look
        self._poller = Poller(self.world, self.platform, self.dialect, LOOK_S, look)

    async def run(self, operations: Iterable[Operation]) -> tuple[Outcome, ...]:
        """Stop every object and return an outcome for each. Objects do not wait for each other, and an error ends only its own object."""
        slots = asyncio.Semaphore(self.options.concurrency)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._stop_and_record(each, slots)) for each in operations]
            self._poller.busy(len(tasks))
        return tuple(task.result() for task in tasks)

    async def _stop_and_record(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        outcome = await self._stop(operation, slots)
        if outcome.done:  # reported at once, while others are still being stopped
            self.world.progress(f"{operation.name}: silent")
        self.journal.outcome(outcome)
        return outcome

    async def _stop(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        """Send the stop repeatedly, until the object is silent, the platform refuses, or the wait is over."""
        begun = self.platform.now
        wait = Wait(self.world, operation.name, self.stop, self.options.wait_s)
        unread = Wait(self.world, operation.name, self.stop)
        for tries in itertools.count(1):
            async with slots:
                ended = await self._send(operation, tries)
            if tries == 1:
                self._poller.rest()
            if ended.code:
                return ended
            pause_s = RELOCK_PAUSE_S
            if ended.result is Result.UNKNOWN:
                pause_s = min(RETRY_S * 2.0 ** (tries - 1), RELOCK_PAUSE_S)
            if ended.done:
                if (live := await self._wait_for_silence(operation, unread)) is not None:
                    span = since(begun, self.platform)
                    return replace(ended, activated_at=believed(span, live.activated_at))
                pause_s = 0.0
                said = f"the stop was accepted, but {self._unread.pop(operation.key, 'it still dials')}"
                ended = replace(ended, result=Result.STORED_NOT_ACTIVE, message=said)
            if wait.is_over:
                return replace(ended, code=NotFinished.exit_code)
            then = f"; retrying, for {wait.left_s:.0f} s at most{self._hint}"
            self._hint = ""
            wait.tell(f"still dials: {ended.message}", then)
            await wait.pause(pause_s)
        raise AssertionError("unreachable: the count has no end")

    async def _send(self, operation: Operation, tries: int) -> Outcome:
        """Send the stop once; return the outcome. Errors of the platform and the network become outcomes."""
        key = self.journal.key(operation, tries - 1)
        try:
            waiting = await self.platform.run(self.dialect.silence(operation.key, token=key))
        except AccessError as error:
            return Outcome(operation, Result.FAILED, str(error), tries=tries, code=error.exit_code)
        except ReconcileError as error:
            # A 404 may be about another path of the object. The next read shows whether the object itself is gone.
            gone = isinstance(error, ApiError) and error.status == NOT_FOUND
            # After NotFinished the command's own deadline is over, so another try could not be sent.
            code = error.exit_code if isinstance(error, NotFinished) else 0
            result, said = (Result.DELETED, "") if gone else (Result.UNKNOWN, str(error))
            return Outcome(operation, result, said, tries=tries, wrote=True, code=code)
        if waiting is None:
            return Outcome(operation, Result.DELETED, tries=tries, wrote=True)
        return Outcome(operation, Result.STORED_NOT_ACTIVE, waiting.reason, tries=tries, wrote=True)

    async def _wait_for_silence(self, operation: Operation, unread: Wait) -> Live | None:
        """Return the object once it is silent; `None` if it still dials after the usual delay of a dialer."""
        believe = Wait(self.world, operation.name, self.stop, BELIEVE_S)
        while True:
            try:
                live = await self._poller.see(operation.key)
                self._unread.pop(operation.key, None)
                if self.dialect.KINDS[operation.kind].is_silent(live):
                    return live
            except UnknownObject:
                return Live(operation.key, "")
            except ReconcileError as error:  # a failed read proves nothing about the object
                self._unread[operation.key] = f"every read fails ({error})"
                unread.tell(f"cannot be read: {error}")
            if believe.is_over:
                return None
            await pause(self.world, POLL_S, self.stop)
