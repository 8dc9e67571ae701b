"""Record a run in the ledger: every intent before the first write, outcomes in batches."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from reconciler import audit
from reconciler._version import __version__
from reconciler.audit import Event, Run
from reconciler.commands.lock_watch import BLIND_S, LockWatch
from reconciler.commands.session import Session
from reconciler.errors import (
    SHORTENED_TO,
    GitError,
    ReconcileError,
    TenantLocked,
    Unavailable,
    safe,
)
from reconciler.execute.waits import wait_for
from reconciler.git import Git
from reconciler.kinds.live import ScrubList, Snapshot
from reconciler.ledger import Ledger
from reconciler.plan import Action, Operation, Outcome, Result
from reconciler.settings import CIContext, user
from reconciler.telemetry import Telemetry, events_of
from reconciler.world import World

BATCH_S: Final = 5.0
"""Longest time in seconds that an outcome waits to be recorded."""

BATCH_LEAST: Final = 20
"""Smallest batch of outcomes. In a large run a batch is a twentieth of the operations (DESIGN: max(20, operations/20))."""


SLOW_S: Final = 5.0
"""Seconds of one append after which the lock is read, to learn whether the remote answers at all."""

BEAT_S: Final = 60.0
"""Seconds between two heartbeats. Well below half of the lock's expiry, after which nothing may be written."""


def provenance(world: World, git: Git, approved: str | None = None) -> audit.Attribution:
    """Return who started and who approved a run, according to the environment.

    An approver approves a plan digest. A run without `--expect` or `--approved` has no approved digest, so it records no approver.

    Args:
        world: see `World`.
        git: the repository, whose configuration names the user where the environment names nobody.
        approved: digest of the plan that the run was told to carry out (`--expect`, `--approved`).
    """
    said = CIContext.read(world.environ)
    return audit.Attribution(
        actor=said.actor or user(world.environ) or _by_git(git) or "unknown",
        approver=None if approved is None else said.approver,
        pull_request=said.pull_request,
        reviewed_head=said.reviewed_head,
        run_url=said.run_url,
        approved=approved,
        run_attempt=said.attempt,
    )


def _by_git(git: Git) -> str | None:
    """Return the user name in git's configuration; `None` where there is none or git fails."""
    with contextlib.suppress(GitError):
        name = git.user_name()
        return safe(name, limit=SHORTENED_TO) if name else None
    return None


class Recorder:
    """Records one run in the ledger: intents before the first write, outcomes in batches.

    Attributes:
        run: makes the run's records.
        snapshot: the snapshot that the run was planned from; `None` for a halt.
        seen: the newer facts that an operation was rechecked with before it became active, by its hash.
    """

    def __init__(
        self,
        ledger: Ledger,
        session: Session,
        run: Run,
        telemetry: Telemetry,
        stop: asyncio.Event,
        *,
        snapshot: Snapshot | None = None,
        seen: Mapping[str, Snapshot] = MappingProxyType({}),
    ) -> None:
        """Record `run` in `ledger`, tell `telemetry` of each outcome, and set `stop` when the ledger or the lock fails."""
        self.run = run
        self.snapshot = snapshot
        self.seen = seen
        self._ledger = ledger
        self._session = session
        self._telemetry = telemetry
        self._stop = stop
        self._digest = ""
        records = ledger.records()
        self._open = audit.open_generations(records)
        self._next = audit.next_seq(records)
        self._generations: dict[str, int] = {}
        self._intents: dict[str, Event] = {}
        self._waiting: list[Event] = []
        self._batch = BATCH_LEAST
        self._writing = asyncio.Lock()
        self._timer: asyncio.TimerHandle | None = None
        self._flushes: set[asyncio.Task[ReconcileError | None]] = set()
        self._beating: asyncio.Task[None] | None = None
        self._watch = LockWatch(ledger.lock, session.world, stop)

    async def open(
        self,
        operations: Sequence[Operation],
        digest: str,
        before: Sequence[Event] = (),
        purpose: str = audit.APPLY,
    ) -> None:
        """Record the intents of operations. Returns when the ledger acknowledges them; no write may be sent before that.

        Args:
            operations: what will be carried out.
            digest: digest of the plan.
            before: events to record before the intents.
            purpose: what the run is for.
        """
        self._digest = digest
        self._batch = max(BATCH_LEAST, len(operations) // 20)
        begun = self.run.open(
            digest=digest,
            operations=len(operations),
            tool=f"reconcile {__version__}",
            ledger=self._ledger.head,
            applied=self._ledger.last_applied(),
            purpose=purpose,
        )
        await self._append(
            [*before, begun, *(self._intent(operation, 0) for operation in operations)]
        )
        if self._ledger.lock.may_write():  # a halt records without a lock, so it has none to extend
            self._beating = asyncio.create_task(self._beat())

    async def further(self, operations: Sequence[Operation], before: Sequence[Event] = ()) -> None:
        """Record further writes of an emergency stop, or repeated ones. Returns when the ledger acknowledges them."""
        for operation in operations:
            if operation.hash in self._intents:
                self._generations[operation.hash] += 1
        await self._append([*before, *(self._intent(operation, 0) for operation in operations)])

    async def _beat(self) -> None:
        """Extend the lock while the run lasts. If the lock is lost, stop the run."""
        while True:
            await self._session.world.sleep(BEAT_S)
            try:
                async with self._writing:
                    await asyncio.to_thread(self._ledger.lock.heartbeat)
            except TenantLocked:
                self._watch.lose()
                self._stop.set()
                return
            except ReconcileError as error:
                self._session.world.progress(f"the lock could not be extended: {error}")

    async def may_write(self) -> bool:
        """Return whether this run still holds the lock (`LockWatch.is_ours`)."""
        return await self._watch.is_ours()

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation."""
        return self.run.key(operation, self._generation(operation), attempt)

    async def retry(self, operation: Operation, attempt: int) -> None:
        """Record that an attempt failed, and the intent of the next one. Returns when both are acknowledged."""
        said = "the platform keeps an error under this attempt's key"
        ended = self.run.outcome(
            self._intents[operation.hash], Result.FAILED, audit=operation.audit, message=said
        )
        await self._append([ended, self._intent(operation, attempt)])

    async def creating(self, operations: Sequence[Operation]) -> None:
        """Record that creates may be sent from now on. Recovery uses the record to tell whether an open create may have been sent."""
        if any(operation.action is Action.CREATE for operation in operations):
            await self._append([self.run.creating()])

    async def outcome(self, outcome: Outcome) -> None:
        """Record an outcome with the next batch. An unknown outcome is not recorded: the intent stays open for the next run."""
        for event in events_of(self.run.tenant, outcome, self._at()):
            self._telemetry.emit(event)
        if outcome.result is Result.UNKNOWN:
            return
        self._waiting.append(self._outcome(outcome))
        if len(self._waiting) >= self._batch:
            await self._flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(BATCH_S, self._flush_soon)

    async def close(self, outcomes: Sequence[Outcome]) -> ReconcileError | None:
        """Record the pending outcomes and the end of the run; return the reason if that failed, else `None`."""
        if self._beating is not None:
            self._beating.cancel()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._flushes)
        counts = Counter(outcome.result.value for outcome in outcomes)
        self._waiting.append(self.run.close(dict(sorted(counts.items()))))
        error = await self._flush()
        if error is None:
            async with self._writing:
                await asyncio.to_thread(self._ledger.begin_segment)
        return error

    def _flush_soon(self) -> None:
        self._timer = None
        task = asyncio.ensure_future(self._flush())
        self._flushes.add(task)
        task.add_done_callback(self._flushes.discard)

    async def _flush(self) -> ReconcileError | None:
        """Record the pending outcomes; return the reason if that failed, else `None`. After a failure they stay pending and the run stops."""
        batch, self._waiting = self._waiting, []
        try:
            await self._append(batch)
        except ReconcileError as error:
            self._waiting = batch + self._waiting
            self._stop.set()
            return error
        return None

    async def _append(self, events: Sequence[Event]) -> None:
        """Append events. If that takes long, read the lock meanwhile: a remote that answers neither gets no more than its budget."""
        if not events:
            return
        async with self._writing:
            task = asyncio.ensure_future(asyncio.to_thread(self._ledger.append, events))
            if not await wait_for(self._session.world, task, SLOW_S, asyncio.Event()):
                with contextlib.suppress(GitError, Unavailable):
                    await asyncio.to_thread(self._ledger.lock.still_ours, BLIND_S)
            await task

    def _generation(self, operation: Operation) -> int:
        """Return the generation of a write (`Run.intent`). It stays the same for the whole run."""
        stops = operation.action is Action.HALT
        first = 0 if stops else self._open.get((self.run.commit, operation.hash), self._next)
        return self._generations.setdefault(operation.hash, first)

    def _intent(self, operation: Operation, attempt: int) -> Event:
        event = self.run.intent(
            operation,
            digest=self._digest,
            generation=self._generation(operation),
            attempt=attempt,
            atomic=self._session.dialect.CAPABILITIES.atomic_writes,
        )
        self._intents[operation.hash] = event
        return event

    def _outcome(self, outcome: Outcome) -> Event:
        operation = outcome.operation
        lists = self._lists(operation)
        kind = self._session.dialect.KINDS[operation.kind]
        active = any(entry.status == "ACTIVE" for entry in lists)
        scrubs = operation.desired is not None and kind.scrubs(operation.desired)
        return self.run.outcome(
            self._intents[operation.hash],
            outcome.result,
            audit=operation.audit,
            at=self._at(),
            dnc_verified=(scrubs and active) if operation.desired is not None else None,
            dnc_lists=lists,
            schedule_id=outcome.stored_id,
            etag=outcome.version,
            latency_s=outcome.latency_s,
            message="; ".join(filter(None, (outcome.message, outcome.doubt))) or None,
        )

    def _lists(self, operation: Operation) -> tuple[ScrubList, ...]:
        """Return the do-not-call lists that the object is checked against once it is as desired."""
        kind = self._session.dialect.KINDS[operation.kind]
        chosen = None if operation.desired is None else kind.lists(operation.desired)
        snapshot = self.seen.get(operation.hash, self.snapshot)
        return () if snapshot is None else snapshot.linked(operation.key, chosen)

    def _at(self) -> str:
        """Return the platform's time in the form of records."""
        return audit.stamp(self._session.client.now or self._session.world.now())
