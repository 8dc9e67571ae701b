"""Carry out one operation: store, refresh the dialer, wait for activation, read back.

A write whose outcome is unknown is read back before it is sent again.

The rules check a widening again just before it is written and just before the dialer is refreshed. If a rule now forbids a widening
that is already stored, it stays stored. To undo it would be another write that nobody approved, and that could fail half way as well.
What is stored was approved. It does not dial, and no apply activates it while the rule forbids it. The outcome says so, because a
refresh by somebody else would activate it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from reconciler.dialects.base import Waiting
from reconciler.errors import (
    AccessError,
    ApiError,
    LockUnknown,
    NotFinished,
    PartlyWritten,
    ReconcileError,
    Refused,
    TenantLocked,
    Unavailable,
    UncertainWrite,
)
from reconciler.execute import instants, readback
from reconciler.execute.execution import Execution
from reconciler.execute.waits import RELOCK_PAUSE_S, Wait, pause
from reconciler.kinds import Kind
from reconciler.kinds.live import Live, Stored
from reconciler.models import Body
from reconciler.plan import Action, Operation, Outcome, Result, live_hash

FIRST_POLL_S, LAST_POLL_S = 0.25, 5.0
ACTIVATION_S = 60.0
"""Seconds that a dialer gets to activate what it accepted, even when `--wait` is shorter."""

SAME_KEY_TRIES = 4
"""Writes under one idempotency key. After that the platform is assumed to have stored an error under it, and the next attempt gets a new key."""

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
"""Points of an operation at which `World.checkpoint` is called. A crash at any of them loses nothing: crash tests end the process there."""


_REFUSED_SO: Final = (
    "a refresh by anybody else would activate it, so revert it in git or stop it with `reconcile halt`;"
    " while that stands, no apply activates it"
)


class _Moved(Exception):
    """The object changed since it was planned."""


class Step:
    """One operation being carried out. Remembers what was sent or is refreshed, so that every outcome can report it."""

    def __init__(self, execution: Execution, operation: Operation) -> None:
        self.execution = execution
        self.world = execution.world
        self.operation = operation
        self.kind: Kind = execution.dialect.KINDS[operation.kind]
        self.begun = execution.platform.now
        self.tries = 0
        self.wrote = False
        self.confirmed = False
        self.stored: Stored | None = None
        self.refreshed = Stored(None)
        self.dials: Body | None = None
        self.uncertain = False
        self._resting = False

    def at_rest(self) -> None:
        """Report to the poller, once, that this operation has nothing more to write."""
        if not self._resting:
            self._resting = True
            self.execution.poller.rest()

    async def run(self, slots: asyncio.Semaphore) -> Outcome:
        """Carry the operation out and return its outcome. Errors of the platform and the network become outcomes."""
        try:
            async with slots:
                if self.execution.stop.is_set():
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
            self.execution.stop.set()  # every other operation would fail as well; writes under way are finished and recorded
        return replace(self._end(result, message), code=error.exit_code)

    def _result_of(self, error: ReconcileError) -> Result:
        """Return the result after an error. If something was stored, the result is that, whatever failed afterwards."""
        if self.uncertain or isinstance(error, UncertainWrite):
            return Result.UNKNOWN
        refreshes = self.operation.action is Action.REFRESH and isinstance(error, Refused)
        if self.stored is not None or refreshes:
            return Result.STORED_NOT_ACTIVE
        if isinstance(error, NotFinished | TenantLocked | LockUnknown):
            return Result.NOT_STARTED
        refused = isinstance(error, ApiError | Refused) and not self.wrote
        return Result.REFUSED if refused else Result.FAILED

    # --- store ---------------------------------------------------------------------------------------------------------

    async def _store(self) -> None:
        """Write the desired body, once: an uncertain write is resolved before it is sent again."""
        live = await self._before()
        self.dials = self._held_by(live) if live.settled else None
        if self.operation.action is Action.REFRESH or (
            self.operation.desired is None and live.stored is None
        ):
            self.refreshed = Stored(live.stored_id, live.version)
            return
        for attempt in range(ATTEMPTS):
            if attempt:
                self.world.checkpoint("retry:before")
                await self.execution.journal.retry(self.operation, attempt)
                self.world.checkpoint("retry:recorded")
            for last in (*[False] * (SAME_KEY_TRIES - 1), attempt == ATTEMPTS - 1):
                if await self._write(live, attempt, give_up=last):
                    return

    async def _before(self) -> Live:
        """Return the object that the write replaces.

        The object is read again if no version guards the write, or if an earlier operation of this run wrote it. Whether it runs is
        always as it was when the rules judged the plan.
        """
        planned = self.execution.live.get(self.operation.key)
        rereads = self.execution.dialect.CAPABILITIES.rereads
        guarded = planned is not None and (rereads or planned.version is not None)
        if planned is not None and guarded and not self.operation.after:
            return planned
        live = await self._read()
        if live_hash(live, self.kind) != self.operation.live_hash:
            raise _Moved("it changed since it was planned; plan again")
        return live._replace(running=planned is not None and planned.running)

    async def _write(self, live: Live, attempt: int, *, give_up: bool) -> bool:
        """Send the write once; return whether the platform stored it. With `give_up`, an uncertain write raises its error."""
        await self._still_ours()
        if (waiting := await self._still_allowed()) is not None:
            raise Refused(waiting.reason)
        key = self.execution.journal.key(self.operation, attempt)
        self.tries += 1
        self.world.checkpoint("write:before")
        try:
            exchange = self.execution.dialect.write(
                self.operation.key, self.operation.desired, token=key, live=live
            )
            self.stored = await self.execution.platform.run(exchange)
        except ApiError as error:
            if isinstance(error, PartlyWritten):
                self.wrote = True
                raise
            if error.status == PRECONDITION_FAILED:
                return await self._precondition(error)
            if not isinstance(error, UncertainWrite) and error.status != CONFLICT:
                raise
            return await self._settle(error, give_up=give_up)
        self.world.checkpoint("write:answered")
        self.wrote, self.uncertain = True, False
        return True

    async def _still_ours(self) -> None:
        if not await self.execution.journal.may_write():
            raise TenantLocked(
                "the tenant's lock was lost or taken over: this run writes nothing more"
            )

    async def _still_allowed(self) -> Waiting | None:
        """Check a widening against the rules again; return a reason to wait if the objection ends by itself.

        Raises:
            Refused: a rule now forbids it.
        """
        widens = self.operation.direction.widens
        objection = await self.execution.objection(self.operation) if widens else None
        if objection is None:
            return None
        if objection.passes:
            return Waiting(objection.reason)
        raise Refused(objection.reason)

    async def _settle(self, error: ApiError, *, give_up: bool) -> bool:
        """Resolve an uncertain write: wait longer than a late commit takes, then read back; return whether it was stored."""
        self.wrote = self.uncertain = True
        self.world.checkpoint("write:uncertain")
        await self.world.sleep(self.execution.options.settle_s)
        live = await self._read()
        self.world.checkpoint("write:settled")
        if self._holds(live):
            self._confirm(live)
            return True
        if live_hash(live, self.kind) != self.operation.live_hash:
            raise _Moved(f"{error}; it changed while that was unknown; the next apply settles it")
        if give_up:
            raise error
        return False

    async def _precondition(self, error: ApiError) -> bool:
        """Resolve a failed precondition (412): after a lost answer, our own write may have caused it; otherwise the operation is stale.

        A dialect that reads the object itself knows what changed. A platform that compares versions knows only that something did.
        """
        if self.tries > 1 and self._holds(live := await self._read()):
            self._confirm(live)
            return True
        known = self.execution.dialect.CAPABILITIES.rereads and "; ".join(error.reasons)
        raise _Moved(known or "somebody else changed it since it was planned; plan again")

    def _confirm(self, live: Live) -> None:
        self.wrote = self.confirmed = True
        self.uncertain = False
        self.stored = Stored(live.stored_id, live.version, live.stored_at, live.stored)

    def _holds(self, live: Live) -> bool:
        return self._held_by(live) == self.operation.desired

    def _held_by(self, live: Live) -> Body | None:
        return None if live.stored is None else self.kind.canonical(live.stored)

    def _is_ours(self, live: Live) -> bool:
        """Return whether the stored schedule has the id from the answer to our write. If so, nobody stored another one since."""
        ours = self.stored.id if self.stored else None
        return ours is not None and ours == live.stored_id

    # --- activate ------------------------------------------------------------------------------------------------------

    async def _activate(self) -> Outcome:
        """Refresh the dialer, wait until the schedule is active, read it back and compare it with the desired body."""
        wait = Wait(
            self.world, self.operation.name, self.execution.stop, self.execution.options.wait_s
        )
        if self.execution.dialect.CAPABILITIES.activation:
            if (said := await self._beyond()) is not None:
                return self._end(Result.STORED_NOT_ACTIVE, said, code=ReconcileError.exit_code)
            reason = await self._refresh(wait)
            if reason is not None:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    f"stored, not active: {reason}; the next apply finishes it",
                )
        return await self._verify(max(wait.until, self.world.monotonic() + ACTIVATION_S))

    async def _beyond(self) -> str | None:
        """Return an error message if the platform stored something wider than was sent, which must not become active; else `None`."""
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

    async def _refresh(self, wait: Wait) -> str | None:
        """Refresh the dialer, and retry while it is locked. Return `None` on success, else why it was not refreshed in time.

        An error may be the answer to a refresh that was executed. So the object is read before the refresh is sent again.
        """
        pause_s = self.execution.options.settle_s
        while True:
            try:
                waiting = await self._try_refresh()
            except UncertainWrite as error:
                waiting = Waiting(str(error))
            else:
                pause_s = RELOCK_PAUSE_S
            if waiting is None:
                break
            if wait.is_over:
                return waiting.reason
            then = f"; retrying, for {wait.left_s:.0f} s at most"
            wait.tell(f"waiting, {waiting.reason}", then)
            self.at_rest()
            await wait.pause(pause_s)
            if (await self._read()).settled:
                break
            pause_s = min(pause_s * 2, RELOCK_PAUSE_S)
        self.wrote = True
        self.at_rest()
        return None

    async def _try_refresh(self) -> Waiting | None:
        """Refresh once. A refresh makes the stored schedule dial, so the same checks precede it as a write."""
        await self._still_ours()
        if (waiting := await self._still_allowed()) is not None:
            return waiting
        self.world.checkpoint("refresh:before")
        waiting = await self.execution.platform.run(
            self.execution.dialect.activate(self.operation.key)
        )
        self.world.checkpoint("refresh:answered")
        return waiting

    async def _verify(self, until: float) -> Outcome:
        self.at_rest()
        self.world.checkpoint("verify:before")
        pause_s = FIRST_POLL_S
        while True:
            live = await self.execution.poller.see(self.operation.key)
            self.world.checkpoint("verify:seen")
            if self._compared(live).failure is not None:
                live = await self._read()  # a list may lag behind
            failure, said = self._compared(live)
            if failure is not None:
                return self._end(failure, said)
            if live.settled:
                return self._done(live, said)
            if self.execution.stop.is_set() or self.world.monotonic() + pause_s > until:
                return self._end(
                    Result.STORED_NOT_ACTIVE,
                    "stored, not active: the dialer has not taken it yet; the next apply finishes it",
                )
            await pause(self.world, pause_s, self.execution.stop)
            pause_s = min(pause_s * 2, LAST_POLL_S)

    def _compared(self, live: Live) -> readback.Comparison:
        now, ours = self._held_by(live), self._is_ours(live)
        return readback.compare(self.operation, now, self.kind, ours=ours)

    def _done(self, live: Live, said: str) -> Outcome:
        result = Result.CONFIRMED if self.confirmed else _STORED_AS[self.operation.action]
        ended = replace(self._end(result, said), stored_id=live.stored_id, version=live.version)
        span = instants.since(self.begun, self.execution.platform)
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
        return await self.execution.platform.run(
            self.execution.dialect.read_one(self.operation.key)
        )

    def _end(self, result: Result, message: str, *, code: int = 0) -> Outcome:
        stored = self.stored or self.refreshed
        span = instants.since(self.begun, self.execution.platform)
        return Outcome(
            self.operation,
            result,
            message,
            stored_id=stored.id,
            version=stored.version,
            stored_at=instants.believed(span, stored.at),
            tries=self.tries,
            wrote=self.wrote,
            code=code,
        )
