"""One operation on its way: store, refresh, wait, read back. A write whose fate is unknown is read back before it is sent again.

A widening is judged again just before it is written and just before the dialer is asked to take it. One that is stored by then and
may not become active stays stored. To put back what was there before would be one more write that nobody approved, to an object
whose terms just changed, and it could be lost half way, too. What is stored was approved. It does not dial, and no apply activates
it while the judgement stands. The outcome says so, because somebody else's refresh would activate it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from reconciler.dialects.base import Live, Stored, Waiting
from reconciler.dialects.kinds import Kind
from reconciler.errors import (
    AccessError,
    ApiError,
    NotFinished,
    PartlyWritten,
    ReconcileError,
    Refused,
    TenantLocked,
    Unavailable,
    UncertainWrite,
)
from reconciler.execute import instants, readback
from reconciler.execute.waits import Wait
from reconciler.models import Body
from reconciler.plan import Action, Operation, Outcome, Result, live_hash

if TYPE_CHECKING:
    from reconciler.execute import Executor

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


CHECKPOINTS: Final = (
    "write:before",
    "write:answered",
    "write:uncertain",
    "write:settled",
    "retry:before",
    "retry:recorded",
    "refresh:before",
    "refresh:answered",
    "verify:before",
    "verify:seen",
)
"""Points that `Executor.checkpoint` is told of on an operation's way: a crash at each of them loses nothing (tests kill there)."""


_REFUSED_SO: Final = (
    "a refresh by anybody else would activate it, so revert it in git or stop it with `reconcile halt`;"
    " while that stands, no apply activates it"
)


class _Moved(Exception):
    """The object is not what it was planned against."""


class Step:
    """One operation on its way. Remembers what was sent, so that every exit can say so."""

    def __init__(self, executor: Executor, operation: Operation) -> None:
        self.to = executor
        self.operation = operation
        self.kind: Kind = executor.dialect.KINDS[operation.kind]
        self.begun = executor.platform.now
        self.tries = 0
        self.wrote = False
        self.confirmed = False
        self.stored: Stored | None = None
        self.dials: Body | None = None
        self.uncertain = False
        self._resting = False

    def at_rest(self) -> None:
        """Say, once, that there is nothing more to write here before somebody else's look."""
        if not self._resting:
            self._resting = True
            self.to.lookout.rest()

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
            then = _REFUSED_SO if isinstance(error, Refused) else "the next apply finishes it"
            message = f"stored, not active: {error}; {then}"
        if isinstance(error, AccessError | Unavailable | TenantLocked):
            self.to.stop.set()  # nothing else will fare better; what is under way is finished and recorded
        return replace(self._end(result, message), code=error.exit_code)

    def _result_of(self, error: ReconcileError) -> Result:
        """Return how an error leaves the operation: what is stored counts before what went wrong after it."""
        if self.uncertain or isinstance(error, UncertainWrite):
            return Result.UNKNOWN
        refreshes = self.operation.action is Action.REFRESH and isinstance(error, Refused)
        if self.stored is not None or refreshes:
            return Result.STORED_NOT_ACTIVE
        if isinstance(error, NotFinished | TenantLocked):
            return Result.NOT_STARTED
        refused = isinstance(error, ApiError | Refused) and not self.wrote
        return Result.REFUSED if refused else Result.FAILED

    # --- store ---------------------------------------------------------------------------------------------------------

    async def _store(self) -> None:
        """Make the platform hold what is desired, exactly once as far as anyone can tell."""
        live = await self._before()
        self.dials = self._held_by(live) if live.settled else None
        if self.operation.action is Action.REFRESH or (
            self.operation.desired is None and live.stored is None
        ):
            return
        for attempt in range(ATTEMPTS):
            if attempt:
                self.to.checkpoint("retry:before")
                await self.to.journal.retry(self.operation, attempt)
                self.to.checkpoint("retry:recorded")
            for last in (*[False] * (SAME_KEY_TRIES - 1), attempt == ATTEMPTS - 1):
                if await self._write(live, attempt, give_up=last):
                    return

    async def _before(self) -> Live:
        """Return what the write replaces.

        As planned where a version or the write itself guards it; read again where nothing does, or where an operation before
        this one wrote the same object.
        """
        live = None if self.operation.after else self.to.live.get(self.operation.key)
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
        if (waiting := await self._still_allowed()) is not None:
            raise Refused(waiting.reason)
        key = self.to.journal.key(self.operation, attempt)
        self.tries += 1
        self.to.checkpoint("write:before")
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
        self.to.checkpoint("write:answered")
        self.wrote, self.uncertain = True, False
        return True

    async def _still_ours(self) -> None:
        if not await self.to.journal.may_write():
            raise TenantLocked(
                "the tenant's lock was lost, or taken: nothing more is written by this run"
            )

    async def _still_allowed(self) -> Waiting | None:
        """Judge a widening again; return why the dialer is not to be asked yet, where that ends by itself.

        Raises:
            Refused: it is judged otherwise than when it was planned.
        """
        widens = self.operation.direction.widens
        objection = await self.to.objection(self.operation) if widens else None
        if objection is None:
            return None
        if objection.passes:
            return Waiting(objection.reason)
        raise Refused(objection.reason)

    async def _settle(self, error: ApiError, *, give_up: bool) -> bool:
        """After an uncertain write: wait longer than a late commit takes, read, and believe only what is read."""
        self.wrote = self.uncertain = True
        self.to.checkpoint("write:uncertain")
        await self.to.sleep(self.to.options.settle_s)
        live = await self._read()
        self.to.checkpoint("write:settled")
        if self._holds(live):
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
        self.stored = Stored(live.stored_id, live.version, live.stored_at, live.stored)

    def _holds(self, live: Live) -> bool:
        return self._held_by(live) == self.operation.desired

    def _held_by(self, live: Live) -> Body | None:
        return None if live.stored is None else self.kind.canonical(live.stored)

    def _is_ours(self, live: Live) -> bool:
        """Return whether what is stored has the id that our write was answered with: nobody stored anything since."""
        ours = self.stored.id if self.stored else None
        return ours is not None and ours == live.stored_id

    # --- activate ------------------------------------------------------------------------------------------------------

    async def _activate(self) -> Outcome:
        """Have the dialer take it, wait until it has, and compare what is read back with what was desired."""
        until = self.to.monotonic() + self.to.options.wait_s
        if self.to.dialect.CAPABILITIES.activation:
            if (said := await self._beyond()) is not None:
                return self._end(Result.STORED_NOT_ACTIVE, said, code=ReconcileError.exit_code)
            reason = await self._refresh(until)
            if reason is not None:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    f"stored, not active: {reason}; the next apply finishes it",
                )
        return await self._verify(max(until, self.to.monotonic() + ACTIVATION_S))

    async def _beyond(self) -> str | None:
        """Return why what was stored must not dial: the platform made something wider of it. `None`: it did not."""
        sent = self.operation.desired
        if sent is None or self.stored is None:
            return None
        stored = self.stored.body
        if stored is None and self.operation.direction.widens:
            live = await self._read()
            stored = live.stored if self._is_ours(live) else None
        if stored is None:
            return None
        now = self.kind.canonical(stored)
        if not readback.is_beyond(now, sent, self.dials, self.kind):
            return None
        return f"stored, not active: {readback.both_values(sent, now)}, which may dial more than was sent and is not activated; write a value that the platform keeps"

    async def _refresh(self, until: float) -> str | None:
        """Return why the dialer would not take it within the wait, or `None` when it will."""
        told = Wait(self.operation.name, self.to.monotonic, self.to.progress)
        while (waiting := await self._ask_to_refresh()) is not None:
            left_s = until - self.to.monotonic()
            if self.to.stop.is_set() or left_s <= 0:
                return waiting.reason
            told.tell(f"waiting, {waiting.reason}", f"; asking again, for {left_s:.0f} s at most")
            self.at_rest()
            await self.to.pause(min(RELOCK_PAUSE_S, left_s))
        self.wrote = True
        self.at_rest()
        return None

    async def _ask_to_refresh(self) -> Waiting | None:
        """A refresh is a write, too: it makes what is stored dial."""
        await self._still_ours()
        if (waiting := await self._still_allowed()) is not None:
            return waiting
        self.to.checkpoint("refresh:before")
        waiting = await self.to.platform.run(self.to.dialect.activate(self.operation.key))
        self.to.checkpoint("refresh:answered")
        return waiting

    async def _verify(self, until: float) -> Outcome:
        self.at_rest()
        self.to.checkpoint("verify:before")
        pause = FIRST_POLL_S
        while True:
            live = await self.to.lookout.see(self.operation.key)
            self.to.checkpoint("verify:seen")
            if self._compared(live).failure is not None:
                live = await self._read()  # a list may lag behind
            failure, said = self._compared(live)
            if failure is not None:
                return self._end(failure, said)
            if live.settled:
                return self._done(live, said)
            if self.to.stop.is_set() or self.to.monotonic() + pause > until:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    "stored, not active: the dialer has not taken it yet; the next apply finishes it",
                )
            await self.to.pause(pause)
            pause = min(pause * 2, LAST_POLL_S)

    def _compared(self, live: Live) -> readback.Verdict:
        now, ours = self._held_by(live), self._is_ours(live)
        return readback.compare(self.operation, now, self.kind, ours=ours)

    def _done(self, live: Live, said: str) -> Outcome:
        result = Result.CONFIRMED if self.confirmed else _STORED_AS[self.operation.action]
        ended = replace(self._end(result, said), stored_id=live.stored_id)
        span = instants.since(self.begun, self.to.platform)
        if span is None:
            return ended
        told = live.stored_at, live.activated_at
        ours = self.stored is not None and self.operation.desired is not None
        return replace(
            ended,
            latency_s=span.latency_s(*told),
            stored_at=instants.believed(span, told[0]),
            activated_at=instants.believed(span, told[1]),
            doubt=span.doubt(*told) if ours else "",
        )

    async def _read(self) -> Live:
        return await self.to.platform.run(self.to.dialect.read_one(self.operation.key))

    def _end(self, result: Result, message: str, *, code: int = 0) -> Outcome:
        stored = self.stored or Stored(None)
        span = instants.since(self.begun, self.to.platform)
        return Outcome(
            self.operation,
            result,
            message,
            stored_id=stored.id,
            stored_at=instants.believed(span, stored.at),
            tries=self.tries,
            wrote=self.wrote,
            code=code,
        )
