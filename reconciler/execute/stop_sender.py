"""Send the stop of one object, and find out what it removed.

A later plan needs to know what somebody narrowed by hand before the stop. So the first removal names the version that reconcile
stored last: if it succeeds, nobody changed the schedule since. Otherwise the stop reads the schedule first, for at most `SEEN_S`.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from reconciler.dialects.answers import NOT_FOUND
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
from reconciler.execute.execution import StopJournal
from reconciler.execute.platform import Platform
from reconciler.execute.waits import wait_for
from reconciler.kinds.live import Live
from reconciler.models import Body
from reconciler.plan import Operation, Outcome, Result
from reconciler.world import World

SEEN_S: Final = 1.0
"""Longest time in seconds that a stop waits for a read of what it is about to remove."""

FIRST_S: Final = 10.0
"""Time in seconds that the first removal of an object has after its read in any case, unless the stop is told to end."""

_DID_NOTHING: Final = {
    Removal.CHANGED: "another schedule was stored than reconcile stored last, so the conditional removal did nothing",
    Removal.UNCONDITIONAL: "the platform accepts no condition, so the conditional removal did nothing",
}
"""Answers to a conditional removal after which it is sent without the condition, and what the records say of them."""


class Written(NamedTuple):
    """What reconcile stored last for an object, according to the records.

    Attributes:
        body: the body.
        version: its ETag; `None` if the platform gave none.
    """

    body: Body
    version: str | None


@dataclass(slots=True)
class Job:
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

    @property
    def least_s(self) -> float:
        """Time in seconds that the next attempt has in any case."""
        return SEEN_S + FIRST_S if self.tries == 0 else 0.0


@dataclass(frozen=True, slots=True)
class StopSender:
    """Sends stops to one platform.

    Attributes:
        world: clocks and sleep.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        journal: records what is sent and found.
        stop: when set, waits end.
    """

    world: World
    platform: Platform
    dialect: Dialect
    journal: StopJournal
    stop: asyncio.Event

    async def send(self, job: Job) -> Outcome:
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

    async def _read_and_send(self, job: Job) -> Outcome:
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

    async def _look_before(self, job: Job) -> Live | None:
        """Return what the stop is about to remove. A failed read delays the stop by at most `SEEN_S`."""
        try:
            return await self.read_before(self.dialect.read_stored(job.operation.key))
        except UnknownObject:
            return None

    def _found(self, job: Job, stored: Body) -> None:
        kind = self.dialect.KINDS[job.operation.kind]
        body = kind.canonical(stored)
        job.operation = replace(job.operation, live=body, audit=kind.audit_fields(body))
        job.seen = True
        self.journal.found(job.operation, stored)

    async def _try(self, job: Job, version: str | None = None) -> tuple[Removal | None, Outcome]:
        """Send the stop once, under a key of its own; return what was removed, if the platform answered, and the outcome."""
        number = job.tries
        job.tries += 1
        if job.ended is not None:
            self.journal.attempt(job.operation, number, job.ended)
        removal, job.ended = await self._try_once(job, number, version)
        return removal, job.ended

    async def _try_once(
        self, job: Job, number: int, version: str | None
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

    async def _follow_up(self, job: Job, version: str | None) -> Silenced | None:
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

    async def if_silent(self, operation: Operation) -> Live | None:
        """Return the object if a short read shows that it is silent: an error may be the answer to a stop that was executed."""
        with contextlib.suppress(UnknownObject):
            live = await self.read_before(self.dialect.look(operation.key))
            if live is not None and self.dialect.KINDS[operation.kind].is_silent(live):
                return live
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
