"""Stop dialing, whatever else is down. Objects are stopped concurrently, so a locked dialer delays no other object.

A stop needs no plan, no lock and no read. It removes the stored schedule, whoever stored it, and removes it again if a running
apply stores another one. An object counts as silent only after a read confirmed it.

A later plan needs to know what somebody narrowed by hand before the stop. So the first removal names the version that reconcile
stored last: if it succeeds, nobody changed the schedule since. Otherwise the stop reads the schedule first, for at most `SEEN_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from reconciler.dialects.base import Dialect, Removal, Silenced
from reconciler.dialects.calls import Exchange
from reconciler.errors import (
    AccessError,
    ApiError,
    NotFinished,
    ReconcileError,
    UncertainWrite,
    UnknownObject,
)
from reconciler.execute.execution import StopJournal, WriteOptions
from reconciler.execute.instants import believed, since
from reconciler.execute.listing import Listing
from reconciler.execute.platform import Platform
from reconciler.execute.polling import PATIENCE_S, Poller
from reconciler.execute.waits import GRACE_S, RELOCK_PAUSE_S, Wait, ends_in_time, pause, wait_for
from reconciler.kinds.live import Live
from reconciler.models import Body
from reconciler.plan import Operation, Outcome, Result
from reconciler.world import World

SEEN_S: Final = 1.0
"""Longest time in seconds that a stop waits for a read of what it is about to remove."""

FIRST_S: Final = 10.0
"""Time in seconds that the first removal of an object has after its read in any case, unless the stop is told to end."""

POLL_S: Final = 0.5
"""Seconds between two reads of an object whose dialer has accepted the stop."""

BELIEVE_S: Final = 10.0
"""Seconds after which an object that still dials is stopped again: somebody stored it again, or the request was lost."""

RETRY_S: Final = 2.0
"""Seconds before a failed request is retried. Doubled each time, up to the pause for a locked dialer."""

NOT_FOUND: Final = 404

STOP_WAITING: Final = " (Ctrl-C ends the wait and leaves it dialing; --wait SECONDS limits it)"
"""How to end a wait; shown once in a run."""

_DID_NOTHING: Final = {
    Removal.CHANGED: "another schedule was stored than reconcile stored last, so the conditional removal did nothing",
    Removal.UNCONDITIONAL: "the platform accepts no condition, so the conditional removal did nothing",
}
"""Answers to a conditional removal after which it is sent without the condition, and what the records say of them."""

LOOK_S: Final = 60.0
"""Seconds between two reads while there is still something to stop, because the request rate limits a stop."""


class Written(NamedTuple):
    """What reconcile stored last for an object, according to the records.

    Attributes:
        body: the body.
        version: its ETag; `None` if the platform gave none.
    """

    body: Body
    version: str | None


@dataclass(slots=True)
class _Job:
    """One object that is being stopped.

    Attributes:
        operation: the stop.
        written: see `Written`; `None` if the records do not tell.
        seen: it is known what is stored, or nobody needs to know.
        tries: stops that were sent.
        ended: how the last of them ended; `None` before the first.
    """

    operation: Operation
    written: Written | None
    seen: bool
    tries: int = 0
    ended: Outcome | None = None


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
        unverified: keys of the objects that could not be read since their stop was accepted.
    """

    world: World
    platform: Platform
    dialect: Dialect
    journal: StopJournal
    options: WriteOptions
    stop: asyncio.Event
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    unverified: set[str] = field(default_factory=set)
    _until: float = field(init=False)
    _poller: Poller = field(init=False)
    _slots: asyncio.Semaphore = field(init=False)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _hint: str = STOP_WAITING
    _unread: dict[str, str] = field(default_factory=dict)
    """Why the last read of an object failed, by key."""
    listing: Listing = field(init=False)

    def __post_init__(self) -> None:
        self._until = self.world.monotonic() + self.options.wait_s
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
        if operation.live is not None:
            self.listing.seen.add(operation.key)
        self._tasks[operation.key] = asyncio.create_task(self._run(_Job(operation, written, seen)))

    def is_quiet(self, key: str) -> bool:
        """Return whether an object needs no stop, or its last stop is done."""
        task = self._tasks.get(key)
        return task is None or (task.done() and self.outcomes[key].done)

    async def ended(self) -> Mapping[str, Outcome]:
        """Wait until every object is silent or its stop has ended; return the outcomes by key."""
        while running := [task for task in self._tasks.values() if not task.done()]:
            await asyncio.wait(running, return_when=asyncio.FIRST_EXCEPTION)
            for task in running:
                if task.done():
                    task.result()
        return self.outcomes

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

    async def read_before(self, reading: Exchange[Live | None]) -> Live | None:
        """Return what a read shows that a stop waits for; `None` if it fails or takes longer than `SEEN_S`.

        Raises:
            UnknownObject: there is no such object.
        """
        task = asyncio.ensure_future(self.platform.run(reading))
        try:
            return await task if await wait_for(self.world, task, SEEN_S, self.stop) else None
        except UnknownObject:
            raise
        except ReconcileError:
            return None
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _run(self, job: _Job) -> None:
        outcome = await self._stop(job)
        if outcome.done:  # reported at once, while others are still being stopped
            self.world.progress(f"{outcome.operation.called}: silent")
        self.outcomes[outcome.operation.key] = outcome
        self.journal.outcome(outcome)

    async def _stop(self, job: _Job) -> Outcome:
        """Send the stop repeatedly, until the object is silent, the platform refuses, or the wait is over."""
        begun, name = self.platform.now, job.operation.called
        wait = Wait(self.world, name, self.stop, self._until - self.world.monotonic())
        unread = Wait(self.world, name, self.stop)
        failures = 0
        while True:
            async with self._slots:
                least_s = SEEN_S + FIRST_S if job.tries == 0 else 0.0
                ended = await self._send_in_time(job, max(wait.left_s, least_s))
            if ended.code:
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
                live = await self._if_silent(job.operation)
            if live is not None:
                at = believed(since(begun, self.platform), live.activated_at)
                return replace(ended, result=Result.DELETED, message="", activated_at=at)

    async def _send_in_time(self, job: _Job, seconds: float) -> Outcome:
        """Send the stop. If it has no outcome in time, the outcome is unknown."""
        task = asyncio.ensure_future(self._send(job))
        if job.tries == 0:
            self._poller.rest_after(task, self.stop)
        if await ends_in_time(self.world, task, seconds, self.stop):
            return task.result()
        said = "not answered in time: whether it was executed is unknown"
        code = NotFinished.exit_code
        return Outcome(job.operation, Result.UNKNOWN, said, tries=job.tries, wrote=True, code=code)

    async def _send(self, job: _Job) -> Outcome:
        """Send the stop; return the outcome. Before that, learn what is stored, if a condition or a short read can tell."""
        written = job.written
        if not job.seen and job.tries == 0 and written and written.version is not None:
            removal, ended = await self._try(job, written.version)
            if removal is Removal.AS_GIVEN:
                self._found(job, written.body)
            if removal not in _DID_NOTHING:
                return ended
            job.seen = removal is Removal.UNCONDITIONAL  # no read may delay the stop any further
        if not job.seen:
            return await self._read_and_send(job)
        return (await self._try(job))[1]

    async def _read_and_send(self, job: _Job) -> Outcome:
        """Read what is stored, and remove that version; if another one is stored by then, read once more and remove whatever it is."""
        live = await self._look_before(job)
        if live is not None and live.version is not None:
            removal, ended = await self._try(job, live.version)
            if removal in {Removal.AS_GIVEN, Removal.UNCONDITIONAL} and live.stored is not None:
                self._found(job, live.stored)
            if removal not in _DID_NOTHING:
                return replace(ended, operation=job.operation)
            if removal is Removal.CHANGED:
                live = await self._look_before(job)
        if live is not None and live.stored is not None:
            self._found(job, live.stored)
        job.seen = True
        return (await self._try(job))[1]

    async def _look_before(self, job: _Job) -> Live | None:
        """Return what the stop is about to remove. A failed read delays the stop by at most `SEEN_S`."""
        try:
            return await self.read_before(self.dialect.read_stored(job.operation.key))
        except UnknownObject:
            return None

    def _found(self, job: _Job, stored: Body) -> None:
        kind = self.dialect.KINDS[job.operation.kind]
        body = kind.canonical(stored)
        job.operation = replace(job.operation, live=body, audit=kind.audit_fields(body))
        job.seen = True
        self.journal.found(job.operation, stored)

    async def _try(self, job: _Job, version: str | None = None) -> tuple[Removal | None, Outcome]:
        """Send the stop once, under a key of its own; return what was removed, if the platform answered, and the outcome."""
        number = job.tries
        job.tries += 1
        if job.ended is not None:
            self.journal.attempt(job.operation, number, job.ended)
        removal, job.ended = await self._try_once(job, number, version)
        return removal, job.ended

    async def _try_once(
        self, job: _Job, number: int, version: str | None
    ) -> tuple[Removal | None, Outcome]:
        """Send attempt `number` (from 0). Errors become outcomes."""
        operation = job.operation
        ended = Outcome(operation, Result.DELETED, tries=job.tries, wrote=True)
        exchange = self.dialect.silence(
            operation.key, token=self.journal.key(operation, number), version=version
        )
        try:
            answer = await self.platform.run(exchange)
        except AccessError as error:
            failed = replace(ended, result=Result.FAILED, message=str(error), wrote=False)
            return None, replace(failed, code=error.exit_code)
        except ReconcileError as error:
            # A 404 may be about another path of the object. The next read shows whether the object itself is gone.
            if isinstance(error, ApiError) and error.status == NOT_FOUND:
                return None, ended
            # After NotFinished the command's own deadline is over, so another try could not be sent.
            code = error.exit_code if isinstance(error, NotFinished) else 0
            unknown = replace(ended, result=Result.UNKNOWN, message=str(error), code=code)
            uncertain = isinstance(error, UncertainWrite)
            if not uncertain or (followed := await self._follow_up(job, version)) is None:
                return None, unknown
            answer = followed
        if answer.removal in _DID_NOTHING:
            said = _DID_NOTHING[answer.removal]
            return answer.removal, replace(ended, result=Result.FAILED, message=said, wrote=False)
        if answer.waiting is None:
            return answer.removal, ended
        reason = answer.waiting.reason
        return answer.removal, replace(ended, result=Result.STORED_NOT_ACTIVE, message=reason)

    async def _follow_up(self, job: _Job, version: str | None) -> Silenced | None:
        """Complete a stop whose removal may have been executed: if nothing is stored, ask the dialer to drop what is active.

        While anything is stored, this returns `None`: a refresh would activate a schedule that may be wider than the active one.
        """
        live = await self._look_before(job)
        if live is None or live.stored is not None:
            return None
        try:
            waiting = await self.platform.run(self.dialect.activate(job.operation.key))
        except ReconcileError:
            return None
        return Silenced(Removal.NOTHING_STORED if version is None else Removal.AS_GIVEN, waiting)

    async def _if_silent(self, operation: Operation) -> Live | None:
        """Return the object if a short read shows that it is silent: an error may be the answer to a stop that was executed."""
        with contextlib.suppress(UnknownObject):
            live = await self.read_before(self.dialect.look(operation.key))
            if live is not None and self.dialect.KINDS[operation.kind].is_silent(live):
                return live
        return None

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
                    return Live(operation.key, "")
                self._unread[operation.key] = f"{why}, and every read fails now ({error})"
                await pause(self.world, believe.left_s, self.stop)
            except ReconcileError as error:  # a failed read proves nothing about the object
                self._unread[operation.key] = f"every read fails ({error})"
                unread.tell(f"cannot be read: {error}")
            if believe.is_over:
                return None
            await pause(self.world, POLL_S, self.stop)
