"""Stop dialing, whatever else is down. Objects are stopped concurrently, so a locked dialer delays no other object.

A stop needs no plan, no lock and no read. It removes the stored schedule, whoever stored it, and removes it again if a running
apply stores another one. An object counts as silent only after a read confirmed it. `stop_sender` sends the stop of one object.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from reconciler.defaults import CONCURRENCY
from reconciler.dialects.base import Dialect
from reconciler.errors import NotFinished, ReconcileError, UnknownObject
from reconciler.execute.execution import StopJournal, WriteOptions
from reconciler.execute.instants import believed, since
from reconciler.execute.listing import Listing
from reconciler.execute.platform import FAULT, FaultTolerant, Platform
from reconciler.execute.polling import PATIENCE_S, Poller
from reconciler.execute.stop_sender import FIRST_S, Job, StopSender, Written
from reconciler.execute.waits import GRACE_S, RELOCK_PAUSE_S, Wait, ends_in_time, pause
from reconciler.kinds.live import Live
from reconciler.plan import Operation, Outcome, Result
from reconciler.world import World

POLL_S: Final = 0.5
"""Seconds between two reads of an object whose dialer has accepted the stop."""

BELIEVE_S: Final = 10.0
"""Seconds after which an object that still dials is stopped again: somebody stored it again, or the request was lost."""

RETRY_S: Final = 2.0
"""Seconds before a failed request is retried. Doubled each time, up to the pause for a locked dialer."""

STOP_WAITING: Final = " (Ctrl-C ends the wait and leaves it dialing; --wait SECONDS limits it)"
"""How to end a wait; shown once in a run."""

LOOK_S: Final = 60.0
"""Seconds between two reads while there is still something to stop, because the request rate limits a stop."""


@dataclass(slots=True)
class Silencer:
    """Stops objects on one platform.

    Attributes:
        world: clocks, sleep and progress.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        journal: records outcomes.
        options: only `concurrency` and `wait_s` are used. All waits together take about `wait_s` seconds.
        stop: when set, waits end.
        outcomes: of the objects that were stopped, by key.
        unverified: keys of the objects that could not be read since their stop was accepted or refused.
        needless: keys of the objects that do not dial, and whose stop was refused.
        absent: keys that the platform has no object with.
        sender: sends the stops.
        listing: the platform's list.
    """

    world: World
    platform: Platform
    dialect: Dialect
    journal: StopJournal
    options: WriteOptions
    stop: asyncio.Event
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unverified: set[str] = field(default_factory=set)
    needless: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    sender: StopSender = field(init=False)
    listing: Listing = field(init=False)
    _until: float = field(init=False)
    _poller: Poller = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _hint: str = STOP_WAITING
    _unread: dict[str, str] = field(default_factory=dict)
    """Why the last read of an object failed, by key."""
    _sending: set[asyncio.Future[Outcome]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._until = self.world.monotonic() + self.options.wait_s
        self.platform = FaultTolerant(self.platform)
        self.sender = StopSender(self.world, self.platform, self.dialect, self.journal, self.stop)
        self.listing = Listing(self.world, self.platform, self.dialect)
        self._poller = Poller(
            self.world,
            self.platform,
            LOOK_S,
            self.dialect.look,
            self.listing.read_some,
            PATIENCE_S,
        )
        self._slots = asyncio.Semaphore(self.options.concurrency)

    def start(
        self, operation: Operation, written: Written | None = None, *, seen: bool = True
    ) -> None:
        """Begin to stop an object in the background. Objects do not wait for each other, and an error ends only its own object.

        Args:
            operation: the stop.
            written: what reconcile stored last.
            seen: it is known what is stored, or it is not worth a read.
        """
        self._poller.busy(1)
        self.needless.discard(operation.key)
        self.absent.discard(operation.key)
        if operation.live is not None:
            self.listing.seen.add(operation.key)
        self._tasks[operation.key] = asyncio.create_task(self._run(Job(operation, written, seen)))

    def was_sent(self, key: str) -> bool:
        """Return whether an object's stop was begun."""
        return key in self._tasks

    def is_quiet(self, key: str) -> bool:
        """Return whether an object needs no stop, or its last stop is done."""
        task = self._tasks.get(key)
        done = key in self.needless or (key in self.outcomes and self.outcomes[key].done)
        return task is None or (task.done() and done)

    async def ended(self) -> Mapping[str, Outcome]:
        """Wait until every object is silent or its stop has ended; return the outcomes by key."""
        while True:
            tasks = set(self._tasks.values())
            running = {task for task in tasks if not task.done()}
            for task in tasks - running:
                task.result()
            if not running:
                return self.outcomes
            await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)

    async def cancel(self) -> None:
        """End everything that still runs."""
        self._poller.close()
        self.listing.close()
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def look(self, keys: Collection[str]) -> dict[str, Live]:
        """Return the objects that can be read now."""
        found = await asyncio.gather(*(self._see(key) for key in keys))
        return {live.key: live for live in found if live is not None}

    async def _see(self, key: str) -> Live | None:
        try:
            if key not in self._tasks:  # only a list showed it, which may lag
                return await self.platform.run(self.dialect.look(key))
            return await self._poller.see(key)
        except UnknownObject:
            return Live(key, "")
        except ReconcileError:
            return None

    async def read_each(self, keys: Sequence[str], on_read: Callable[[Live], None]) -> None:
        """Read objects one by one, few at a time. An object that cannot be read is left out.

        No read delays a stop: the first one waits until every object's first stop was answered, or had `FIRST_S` for that.

        Args:
            keys: the objects.
            on_read: takes each object as it is read.
        """
        await self._poller.rested()
        if self._sending:
            await asyncio.wait(self._sending, timeout=FIRST_S)
        todo = iter(keys)

        async def read() -> None:
            for key in todo:
                with contextlib.suppress(ReconcileError):
                    on_read(await self.platform.run(self.dialect.look(key)))

        async with asyncio.TaskGroup() as workers:
            for _ in range(min(CONCURRENCY, len(keys))):
                workers.create_task(read())

    async def _run(self, job: Job) -> None:
        """Stop one object. A fault of this program in one stop must neither end the others nor make its object count as silent."""
        try:
            outcome = await self._stop(job)
        except Exception as error:  # noqa: BLE001 - see above
            said, code = FAULT.format(error), NotFinished.exit_code
            self.unverified.add(job.operation.key)
            outcome = Outcome(
                job.operation, Result.UNKNOWN, said, tries=job.tries, wrote=True, code=code
            )
        if outcome.done:  # reported at once, while others are still being stopped
            self.world.progress(f"{outcome.operation.called}: silent")
        self.outcomes[outcome.operation.key] = outcome
        self.journal.outcome(outcome)

    async def _stop(self, job: Job) -> Outcome:
        """Send the stop repeatedly, until the object is silent, the platform refuses, or the wait is over."""
        begun, name = self.platform.now, job.operation.called
        wait = Wait(self.world, name, self.stop, self._until - self.world.monotonic())
        unread = Wait(self.world, name, self.stop)
        failures = 0
        while True:
            async with self._slots:
                ended = await self._send_in_time(job, max(wait.left_s, job.least_s))
            if ended.code:
                await self._check_refused(job.operation, ended, wait)
                return ended
            live, pause_s = None, RELOCK_PAUSE_S
            if ended.result is Result.UNKNOWN:
                pause_s = min(RETRY_S * 2.0**failures, RELOCK_PAUSE_S)
                failures += 1
            if ended.done:
                live = await self._wait_for_silence(job.operation, unread, wait)
            if ended.done and live is None:
                pause_s = 0.0
                why = self._unread.pop(job.operation.key, None)
                (self.unverified.add if why else self.unverified.discard)(job.operation.key)
                said = why or "the stop was accepted, but it still dials"
                ended = job.ended = replace(ended, result=Result.STORED_NOT_ACTIVE, message=said)
            if live is None:
                if wait.is_over:
                    return replace(ended, code=NotFinished.exit_code)
                then = f"; retrying, for {wait.left_s:.0f} s at most{self._hint}"
                self._hint = ""
                wait.tell(f"still dials: {ended.message}", then)
                await wait.pause(pause_s)
                live = await self.sender.if_silent(job.operation)
            if live is not None:
                at = believed(since(begun, self.platform), live.activated_at)
                return replace(ended, result=Result.DELETED, message="", activated_at=at)

    async def _check_refused(self, operation: Operation, ended: Outcome, wait: Wait) -> None:
        """After a refused stop, read whether the object needed one."""
        key = operation.key
        if ended.result is not Result.FAILED:
            return
        try:
            live = await self._poller.see_in_time(key, wait.left_s, self.stop)
        except ReconcileError:
            self.unverified.add(key)
            return
        self.unverified.discard(key)
        if self.dialect.KINDS[operation.kind].is_silent(live):
            self.needless.add(key)

    async def _send_in_time(self, job: Job, seconds: float) -> Outcome:
        """Send the stop. If it has no outcome in time, the outcome is unknown."""
        task = asyncio.ensure_future(self.sender.send(job))
        if job.tries == 0:
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
            self._poller.rest_after(task, self.stop)
        if await ends_in_time(self.world, task, seconds, self.stop):
            return task.result()
        said = "not answered in time: whether it was executed is unknown"
        code = NotFinished.exit_code
        return Outcome(job.operation, Result.UNKNOWN, said, tries=job.tries, wrote=True, code=code)

    async def _wait_for_silence(
        self, operation: Operation, unread: Wait, wait: Wait
    ) -> Live | None:
        """Return the object once it is silent; `None` if it still dials after the usual delay of a dialer."""
        believe_s = min(BELIEVE_S, max(wait.left_s, GRACE_S))
        believe = Wait(self.world, operation.called, self.stop, believe_s)
        while True:
            try:
                live = await self._poller.see_in_time(operation.key, wait.left_s, self.stop)
                self._unread.pop(operation.key, None)
                if self.dialect.KINDS[operation.kind].is_silent(live):
                    return live
            except UnknownObject as error:
                kind = self.dialect.KINDS[operation.kind]
                why = await self.listing.doubt(operation.key, kind, self.stop)
                if why is None:
                    self.absent.add(operation.key)
                    return Live(operation.key, "")
                self._unread[operation.key] = f"{why}, and every read fails now ({error})"
                await pause(self.world, believe.left_s, self.stop)
            except ReconcileError as error:  # a failed read proves nothing about the object
                self._unread[operation.key] = f"every read fails ({error})"
                unread.tell(f"cannot be read: {error}")
            if believe.is_over:
                return None
            await pause(self.world, POLL_S, self.stop)
