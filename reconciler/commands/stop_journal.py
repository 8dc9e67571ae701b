"""The journal of an emergency stop: its holds, intents and outcomes, recorded in the background.

A stop waits for nothing. So no method waits for git, the disk or the network, and none raises an error. A background task
writes what was recorded, retries every failure, and ends when `finish` is called.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Final

from reconciler import audit
from reconciler._version import __version__
from reconciler.audit import Event, Run
from reconciler.commands import ledgers
from reconciler.commands.journal import provenance
from reconciler.commands.release import HoldRequest
from reconciler.commands.session import Session
from reconciler.commands.targets import Target
from reconciler.errors import ReconcileError
from reconciler.kinds.live import Live
from reconciler.ledger import Ledger
from reconciler.models import Body
from reconciler.plan import Operation, Origin, Outcome, Result, digest_of

RETRY_S: Final = 0.5
"""Seconds before a failed write is retried. Doubled each time, up to `RETRY_MOST_S`."""

RETRY_MOST_S: Final = 10.0


class Where(StrEnum):
    """Where the records of a stop are."""

    SHARED = "shared"
    """In the git remote, or in this clone if there is no remote: every apply knows of the holds."""
    HERE = "here"
    """Only in this clone: an apply elsewhere does not know of the holds."""
    NOWHERE = "nowhere"
    """Nothing is recorded, so the next apply starts dialing again."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the journal of a stop could record until its end.

    Attributes:
        where: where the holds are.
        reason: why they are not shared; empty if they are.
        command: what to run next; empty if there is nothing to do.
        away: the git remote does not answer, and nothing else is wrong.
    """

    where: Where
    reason: str = ""
    command: str = ""
    away: bool = False


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something to be recorded, and when it happened. The event is made later, because that needs git."""

    at: datetime
    make: Callable[[Run], Event]

    def clock(self) -> datetime:
        """Return when it happened."""
        return self.at


class StopJournal:
    """Records one emergency stop. Create it in a running event loop, and call `finish` at the end."""

    def __init__(self, session: Session, asked: HoldRequest, until: datetime | None) -> None:
        """Record in the ledger of `session`.

        Args:
            session: see `Session`.
            asked: what is stopped, and why.
            until: when the holds end by themselves; `None`: `release` ends them.
        """
        self._session, self._asked, self._until = session, asked, until
        self._id = session.world.new_id()
        self._entries: list[_Entry] = []
        self._events: list[Event] = []
        self._intents: dict[str, Event] = {}
        self._held: set[str] = set()
        self._generations: dict[str, int] = {}
        self._run: Run | None = None
        self._ledger: Ledger | None = None
        self._error: Exception | None = None
        self._written = 0
        self._wake = asyncio.Event()
        self._task = asyncio.create_task(self._work())

    @property
    def held(self) -> frozenset[str]:
        """The keys of all objects that `begin` was called with."""
        return frozenset(self._held)

    def key(self, operation: Operation, attempt: int) -> str:
        """Return the idempotency key of one attempt at an operation. Attempts count from 0."""
        generation = self._generations.get(operation.hash, 0)
        platform = self._session.folder.platform
        return audit.key(platform, self._id, operation.hash, generation, attempt)

    def begin(self, targets: Iterable[Target]) -> None:
        """Record a hold for each target that this stop does not hold yet. Call it before anything is sent."""
        new = [each for each in targets if each.key not in self._held]
        self._held.update(each.key for each in new)
        if new and not self._entries:
            self._add(partial(self._opened, objects=len(new)))
        for each in new:
            self._add(partial(self._hold, target=each))

    def intents(self, operations: Iterable[Operation]) -> None:
        """Record that operations will be sent, for the first time or once more. Call it before they are sent."""
        for each in operations:
            known = self._generations.get(each.hash)
            generation = self._generations[each.hash] = 0 if known is None else known + 1
            self._add(partial(self._intent, operation=each, generation=generation, attempt=0))

    def found(self, operation: Operation, stored: Body) -> None:
        """Record what was stored before the stop, by recording the hold once more. Call it when that is known after `begin`."""
        live = Live(operation.key, operation.name, stored=stored)
        target = Target(operation.kind, operation.key, operation.name, live)
        self._add(partial(self._hold, target=target))

    def attempt(self, operation: Operation, number: int) -> None:
        """Record that the attempt before ended as failed, and that attempt `number` (from 1) will be sent under its own key."""
        generation = self._generations.setdefault(operation.hash, 0)
        said = "the platform keeps an error under this attempt's key"
        failed = Outcome(operation, Result.FAILED, said)
        self._add(partial(self._outcome, outcome=failed))
        self._add(partial(self._intent, operation=operation, generation=generation, attempt=number))

    def outcome(self, outcome: Outcome) -> None:
        """Record an outcome. An unknown outcome is not recorded: the intent stays open for the next apply."""
        if outcome.result is not Result.UNKNOWN:
            now = self._session.client.now
            at = audit.stamp(now) if now else None
            self._add(partial(self._outcome, outcome=outcome, at=at))

    async def finish(self, wait_s: float) -> Kept:
        """Try to record and share everything until `wait_s` seconds are over; return what was recorded where."""
        if self._entries:
            self._add(lambda run: run.close({}))
        end = self._session.world.monotonic() + wait_s
        while self._written < len(self._entries) and self._session.world.monotonic() < end:
            if self._session.git is None and self._error is not None:
                break  # there is no repository, and none will appear
            await self._session.world.sleep(min(0.05, wait_s))
        self._task.cancel()
        return self._kept()

    def _kept(self) -> Kept:
        if not self._written and self._entries:
            return Kept(
                Where.NOWHERE,
                f"this halt could not be recorded ({self._error}), so the next apply would start dialing again: keep applies from running",
            )
        if self._written < len(self._entries):
            return Kept(Where.HERE, f"not every outcome is recorded ({self._error})")
        return Kept(Where.SHARED)

    # --- the background task --------------------------------------------------------------------------------------------

    def _add(self, make: Callable[[Run], Event]) -> None:
        self._entries.append(_Entry(self._session.world.now(), make))
        self._wake.set()

    async def _work(self) -> None:
        pause_s = RETRY_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            entries = tuple(self._entries)
            try:
                await asyncio.to_thread(self._write, entries)
            except (ReconcileError, OSError) as error:
                self._error = error
                await self._session.world.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MOST_S)
                self._wake.set()
            else:
                self._written, self._error, pause_s = len(entries), None, RETRY_S

    def _write(self, entries: Sequence[_Entry]) -> None:
        if self._ledger is None or self._run is None:
            session, world = self._session, self._session.world
            git = session.repository()
            ledger = ledgers.open_for_halt(world, git, session.folder, offline=True)
            # A stop is about what was applied, whatever commit is checked out here.
            commit = ledger.last_applied() or git.head()
            self._run = Run(ledger.tenant, commit, self._id, world.now, provenance(world))
            self._ledger = ledger
        for entry in entries[len(self._events) :]:
            self._events.append(entry.make(replace(self._run, clock=entry.clock)))
        self._ledger.append(self._events)

    # --- events -----------------------------------------------------------------------------------------------------------

    def _opened(self, run: Run, objects: int) -> Event:
        return run.open(
            digest=self._digest,
            operations=objects,
            tool=f"reconcile {__version__}",
            ledger=None,
            applied=None,
            purpose=audit.HALT,
        )

    @property
    def _digest(self) -> str:
        """A stop carries out no plan. Its records name the digest of an empty one."""
        folder = self._session.folder
        return digest_of(
            Origin(folder.name, self._session.settings.url, platform=folder.platform), ()
        )

    def _hold(self, run: Run, target: Target) -> Event:
        return run.hold(
            target.key,
            name=target.name,
            reason=self._asked.reason,
            until=self._until,
            body=target.live.stored if target.live else None,
        )

    def _intent(self, run: Run, operation: Operation, generation: int, attempt: int) -> Event:
        event = run.intent(
            operation,
            digest=self._digest,
            generation=generation,
            attempt=attempt,
            atomic=self._session.dialect.CAPABILITIES.atomic_writes,
        )
        self._intents[operation.hash] = event
        return event

    def _outcome(self, run: Run, outcome: Outcome, at: str | None = None) -> Event:
        operation = outcome.operation
        return run.outcome(
            self._intents[operation.hash],
            outcome.result,
            audit=operation.audit,
            at=at,
            dnc_verified=None if operation.desired is None else False,
            schedule_id=outcome.stored_id,
            latency_s=outcome.latency_s,
            message="; ".join(filter(None, (outcome.message, outcome.doubt))) or None,
        )
