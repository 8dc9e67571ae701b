"""Stop what dials, whatever else is down: each object for itself, so that one locked dialer keeps no other one waiting.

No plan guards these writes and no lock: what is stored is removed whoever stored it, and what is stored again meanwhile, by a
run that this one went past, is removed again. Silence is believed only when it is read.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.dialects.base import Dialect, Live
from reconciler.errors import AccessError, ApiError, NotFinished, ReconcileError, UnknownObject
from reconciler.execute import Options, Platform
from reconciler.execute.instants import believed, since
from reconciler.execute.polling import Poller
from reconciler.execute.step import RELOCK_PAUSE_S
from reconciler.execute.waits import Wait, pause
from reconciler.plan import Operation, Outcome, Result

POLL_S: Final = 0.5
"""Seconds between two looks at an object whose dialer has accepted to let go."""

BELIEVE_S: Final = 10.0
"""Seconds after which an object that still dials is stopped once more: somebody stored it again, or the word got lost."""

RETRY_S: Final = 2.0
"""Seconds before an error is tried again; doubled each time, up to the pause for a locked dialer."""

NOT_FOUND: Final = 404

STOP_WAITING: Final = " (Ctrl-C ends the wait and leaves it dialing; --wait SECONDS limits it)"
"""What whoever watches a wait must know to get out of it: said once a run."""

LOOK_S: Final = 60.0
"""Seconds between two looks while there is still something to stop: requests are what a stop is short of."""


@dataclass(slots=True)
class Silencer:
    """Stops objects over one platform.

    Attributes:
        platform, dialect: who is spoken to, in which words.
        key: the idempotency key of an attempt (from 0) at an operation.
        outcome: told of each as it ends.
        options: `concurrency` stopped at once; `wait_s` seconds for a locked dialer.
        sleep, monotonic: time, in seconds.
        progress: told one line at each step worth a line.
        stop: set to end the waits.
    """

    platform: Platform
    dialect: Dialect
    key: Callable[[Operation, int], str]
    outcome: Callable[[Outcome], Awaitable[None]]
    options: Options
    sleep: Callable[[float], Awaitable[None]]
    monotonic: Callable[[], float]
    progress: Callable[[str], None]
    stop: asyncio.Event
    _lookout: Poller = field(init=False)
    _how: str = STOP_WAITING
    _seen: dict[str, str] = field(default_factory=dict)
    """Why the last look at an object failed, by key."""

    def __post_init__(self) -> None:
        self._lookout = Poller(self.platform.run, self.dialect, LOOK_S, self.monotonic, self.sleep)

    async def run(self, operations: Iterable[Operation]) -> tuple[Outcome, ...]:
        """Stop every object; return an outcome for each. None waits for another, and no error stops the others."""
        slots = asyncio.Semaphore(self.options.concurrency)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._ended(each, slots)) for each in operations]
            self._lookout.busy(len(tasks))
        return tuple(task.result() for task in tasks)

    async def _ended(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        outcome = await self._stopped(operation, slots)
        if (
            outcome.done
        ):  # at once: whoever waits for the last one must see that the others are silent
            self.progress(f"{operation.name}: silent")
        await self.outcome(outcome)
        return outcome

    async def _stopped(self, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
        until, begun = self.monotonic() + self.options.wait_s, self.platform.now
        wait = Wait(operation.name, self.monotonic, self.progress)
        blind = Wait(operation.name, self.monotonic, self.progress)
        for tries in itertools.count(1):
            async with slots:
                ended = await self._asked(operation, tries)
            if tries == 1:
                self._lookout.rest()
            if ended.code:
                return ended
            wait_s = RELOCK_PAUSE_S
            if ended.result is Result.UNKNOWN:
                wait_s = min(RETRY_S * 2.0 ** (tries - 1), RELOCK_PAUSE_S)
            if ended.done:
                if (live := await self._silent(operation, blind)) is not None:
                    span = since(begun, self.platform)
                    return replace(ended, activated_at=believed(span, live.activated_at))
                wait_s = 0.0
                said = f"it was told to stop, and {self._seen.pop(operation.key, 'dials')}"
                ended = replace(ended, result=Result.STORED_NOT_ACTIVE, message=said)
            left_s = until - self.monotonic()
            if self.stop.is_set() or left_s <= 0:
                return replace(ended, code=NotFinished.exit_code)
            then = f"; trying again, for {left_s:.0f} s at most{self._how}"
            self._how = ""
            wait.tell(f"still dials, {ended.message}", then)
            await self._pause(min(wait_s, left_s))
        raise AssertionError("unreachable: the count has no end")

    async def _asked(self, operation: Operation, tries: int) -> Outcome:
        """Tell the platform once; done when it takes it. Never raises for what the platform or the network does."""
        try:
            exchange = self.dialect.silence(operation.key, token=self.key(operation, tries - 1))
            waiting = await self.platform.run(exchange)
        except AccessError as error:
            return Outcome(operation, Result.FAILED, str(error), tries=tries, code=error.exit_code)
        except ApiError as error:
            # Whether the object itself is gone is for the look that follows: another path of it may be missing.
            gone = error.status == NOT_FOUND
            result, said = (Result.DELETED, "") if gone else (Result.UNKNOWN, str(error))
            return Outcome(operation, result, said, tries=tries, wrote=True)
        except NotFinished as error:  # the command's own time is over: no next try could be sent
            code = error.exit_code
            return Outcome(
                operation, Result.UNKNOWN, str(error), tries=tries, wrote=True, code=code
            )
        except ReconcileError as error:
            return Outcome(operation, Result.UNKNOWN, str(error), tries=tries, wrote=True)
        if waiting is None:
            return Outcome(operation, Result.DELETED, tries=tries, wrote=True)
        return Outcome(operation, Result.STORED_NOT_ACTIVE, waiting.reason, tries=tries, wrote=True)

    async def _silent(self, operation: Operation, blind: Wait) -> Live | None:
        """Return the object once it is silent; `None` when it is not for longer than a dialer takes."""
        until = self.monotonic() + BELIEVE_S
        while True:
            try:
                live = await self._lookout.see(operation.key)
                self._seen.pop(operation.key, None)
                if self.dialect.KINDS[operation.kind].is_silent(live):
                    return live
            except UnknownObject:
                return Live(operation.key, "")
            except ReconcileError as error:  # a look that fails is no news about the object
                self._seen[operation.key] = f"no look at it succeeds ({error})"
                blind.tell(f"cannot be looked at: {error}")
            if self.stop.is_set() or self.monotonic() > until:
                return None
            await self._pause(POLL_S)

    async def _pause(self, seconds: float) -> None:
        await pause(seconds, self.sleep, self.stop)
