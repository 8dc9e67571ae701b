"""The journal of an emergency stop: its holds, intents and outcomes, recorded in the background.

A stop waits for nothing. So no method waits for git, the disk or the network, and none raises an error. Two background tasks
write to a ref of the stop's own (`ledger.waiting`), first in this clone and then in the git remote. They retry every failure
until `finish` ends them. The ledger is not read, so a broken ledger costs no hold.
"""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Final

from reconciler import audit
from reconciler._version import __version__
from reconciler.audit import Event, Run
from reconciler.commands.release import HoldRequest
from reconciler.commands.session import Session
from reconciler.commands.stop_writer import TAKE_OVER_S, Entry, StopWriter
from reconciler.commands.targets import Target
from reconciler.errors import (
    GitMissing,
    LedgerError,
    PushedElsewhere,
    Unavailable,
    UsageError,
)
from reconciler.execute.waits import pause, wait_for
from reconciler.git import push_where_fetched
from reconciler.kinds.live import Live
from reconciler.ledger import Ledger
from reconciler.models import Body
from reconciler.plan import Operation, Origin, Outcome, Result, digest_of

LEAST_S: Final = 5.0
"""Shortest time in seconds to try to record everything, even if the stop may not wait."""

BATCH_S: Final = 0.5
"""Seconds between two writes while there is more to record."""

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
        notes: further sentences for the report.
    """

    where: Where
    reason: str = ""
    command: str = ""
    away: bool = False
    notes: tuple[str, ...] = ()

    def after_refusal(self, ends: str) -> str:
        """Return the end of the sentence about a stop whose sign-in was refused. `ends`: how to release what is held."""
        next_ = f"{self.reason}. Run: {self.command}" if self.command else ""
        if self.where is Where.NOWHERE:
            return f", and nothing is held: {next_}"
        return f", but the holds are recorded. {ends}{f'. But {next_}' if next_ else ''}"


_EVERYTHING: Final = Target("", audit.EVERYTHING, "everything")

_WAITING: Final = "the records of this stop are not shared yet ({error}); retrying, for {seconds:.0f} s at most (Ctrl-C ends the wait; --wait SECONDS limits it)"
_UNSETTLED: Final = (
    "not every outcome is recorded ({error}); the next apply reads back what is open"
)


def end_of_holds(session: Session, until: datetime | timedelta | None) -> datetime | None:
    """Return when the holds of a stop end by themselves; `None`: a release ends them.

    Args:
        session: see `Session`; the clock is the platform's once it has answered.
        until: that time, or how long after now.

    Raises:
        UsageError: it is in the past.
    """
    end = None if until is None else session.clock.end(until)
    if end is not None and end <= session.clock.now():  # another machine may go by this clock alone
        clocks = session.clock.contradiction()
        raise UsageError(
            f"--until {end.isoformat()} is in the past: name a later time{f' ({clocks})' if clocks else ''}"
        )
    return end


def _closed(run: Run) -> Event:
    return run.close({})


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
        self._entries: list[Entry] = []
        self._held: dict[str, bool] = {}
        self._generations: dict[str, int] = {}
        self._holds = 0
        """Number of entries up to the last hold."""
        self._writer = StopWriter(session, self._id)
        self._stored = self._shared = 0
        """Numbers of entries that are in this clone, and where every apply knows of them."""
        self._error: Exception | None = None
        self._changed = asyncio.Event()
        self._locked: Ledger | None = None
        self._tried_ledger = False
        """Whether moving the records into the ledger was tried. That is tried once."""
        self._work = (asyncio.Event(), asyncio.Event())
        self._last = (asyncio.Event(), asyncio.Event())
        """Set when nothing more will be recorded, and when all of it is in this clone: then a task waits for no further events."""
        self._tasks = [
            asyncio.create_task(self._repeat(number, step))
            for number, step in enumerate((self._store, self._share))
        ]

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
        """Record a hold for each target that this stop does not hold yet, and first of all one of everything, if everything is stopped.

        Call it before anything is sent.
        """
        everything = [_EVERYTHING] if self._asked.everything else []
        new = [each for each in (*everything, *targets) if each.key not in self._held]
        self._held |= {each.key: bool(each.live and each.live.stored) for each in new}
        if new and not self._entries:
            self._add(partial(self._opened, objects=len(new)))
        for each in new:
            self._add(partial(self._hold, target=each))
        self._holds = len(self._entries) if new else self._holds

    def intents(self, operations: Iterable[Operation]) -> None:
        """Record that operations will be sent, for the first time or once more. Call it before they are sent."""
        for each in operations:
            known = self._generations.get(each.hash)
            generation = self._generations[each.hash] = 0 if known is None else known + 1
            self._add(partial(self._intent, operation=each, generation=generation, attempt=0))

    def found(self, operation: Operation, stored: Body) -> None:
        """Record what was stored before the stop, by recording the hold once more. Call it when that is known after `begin`."""
        if self._held.get(operation.key, False):
            return
        self._held[operation.key] = True
        live = Live(operation.key, operation.name, stored=stored)
        target = Target(operation.kind, operation.key, operation.name, live)
        self._add(partial(self._hold, target=target))

    def attempt(self, operation: Operation, number: int, before: Outcome) -> None:
        """Record how the attempt before ended, and that attempt `number` (from 1) will be sent under its own key."""
        generation = self._generations.setdefault(operation.hash, 0)
        self._add(partial(self._outcome, outcome=before, at=self._at()))
        self._add(partial(self._intent, operation=operation, generation=generation, attempt=number))

    def outcome(self, outcome: Outcome) -> None:
        """Record an outcome. An unknown outcome is not recorded: the intent stays open for the next apply."""
        if outcome.result is not Result.UNKNOWN:
            self._add(partial(self._outcome, outcome=outcome, at=self._at()))

    async def finish(
        self, wait_s: float, stop: asyncio.Event, locked: Ledger | None = None
    ) -> Kept:
        """Try to record and share everything until `wait_s` seconds are over; return what was recorded where. Call it once.

        Args:
            wait_s: longest time in seconds. Recording is retried for `LEAST_S` in any case.
            stop: when set, each wait ends after `LEAST_S`.
            locked: the ledger whose lock this stop holds. The push that moves the records into the ledger releases it.
        """
        self._locked = locked
        if self._entries:
            self._add(_closed)
        self._last[0].set()
        if not await self._wait(LEAST_S) and wait_s > LEAST_S:
            self._session.world.progress(_WAITING.format(error=self._why, seconds=wait_s))
            await self._wait(wait_s - LEAST_S, stop)
        if self._tried_ledger:
            await self._wait(LEAST_S)
        for each in self._tasks:
            each.cancel()
        kept = self._kept()
        if self._entries and self._shared == len(self._entries) and not self._tried_ledger:
            task = asyncio.ensure_future(self._take_over())
            await wait_for(self._session.world, task, LEAST_S, asyncio.Event())
            more_s = min(TAKE_OVER_S, max(LEAST_S, wait_s)) - LEAST_S
            await wait_for(self._session.world, task, more_s, stop)
        self._writer.children.end()  # a thread that waits for git would keep the process from ending
        return kept

    async def _wait(self, seconds: float, stop: asyncio.Event | None = None) -> bool:
        """Wait until everything is shared, or cannot be; return whether that is so, `False` when the time is over."""
        ends = asyncio.ensure_future(self._session.world.sleep(seconds))
        stopped = asyncio.ensure_future((stop or asyncio.Event()).wait())
        while not (ends.done() or stopped.done()) and not self._is_over:
            self._changed.clear()
            changed = asyncio.ensure_future(self._changed.wait())
            await asyncio.wait({ends, stopped, changed}, return_when=asyncio.FIRST_COMPLETED)
            changed.cancel()
        ends.cancel()
        stopped.cancel()
        return self._is_over

    @property
    def _is_over(self) -> bool:
        return self._shared == len(self._entries) or self._is_hopeless

    @property
    def _is_hopeless(self) -> bool:
        """Whether a retry is useless: there is no repository, there is no git, or pushes lead to another repository."""
        if isinstance(self._error, PushedElsewhere):
            return self._stored == len(self._entries)
        return self._stored == 0 and isinstance(self._error, UsageError | GitMissing)

    @property
    def _why(self) -> Exception:
        """Why not everything is shared yet: the last error, or else what the stop still waits for."""
        slow = "the git remote has" if self._stored >= self._holds else "git has"
        return self._error or Unavailable(f"{slow} not answered yet")

    def _kept(self) -> Kept:
        notes, error = tuple(self._writer.notes), self._why
        if self._shared >= self._holds:
            rest = "" if self._shared == len(self._entries) else _UNSETTLED.format(error=error)
            return Kept(Where.SHARED, rest, notes=notes)
        if self._stored >= self._holds:
            away, remote = isinstance(error, Unavailable), self._writer.remote or "REMOTE"
            push = f"git push {shlex.quote(remote)} {self._writer.ref}"
            if isinstance(error, PushedElsewhere):
                push = f"{push_where_fetched(remote)} && {push}"
            return Kept(
                Where.HERE,
                f"the records are only in this clone ({error}), so an apply elsewhere does not know of the hold: keep applies from running",
                push,
                away,
                notes,
            )
        asked = self._asked
        names = ["--all"] if asked.everything else [shlex.quote(each) for each in asked.names]
        path, reason = shlex.quote(str(asked.path)), shlex.quote(asked.reason)
        return Kept(
            Where.NOWHERE,
            f"this halt could not be recorded ({error}), so the next apply would start dialing again: keep applies from running",
            f"reconcile halt {path} {' '.join(names)} --reason {reason}",
            notes=notes,
        )

    async def _take_over(self) -> bool:
        """Move the records into the ledger; return whether that was done. If not, the next command that appends to the ledger does it."""
        self._tried_ledger = True
        try:
            return await asyncio.to_thread(self._writer.take_over, self._locked)
        except Exception:  # noqa: BLE001 - whatever the ledger's refs hold, the records count where they are shared
            return False

    # --- the background tasks -------------------------------------------------------------------------------------------

    def _at(self) -> str | None:
        """Return the platform's time in the form of records."""
        now = self._session.client.now
        return audit.stamp(now) if now else None

    def _add(self, make: Callable[[Run], Event]) -> None:
        self._entries.append(Entry(self._session.world.now(), make))
        self._work[0].set()

    async def _repeat(self, number: int, step: Callable[[], Awaitable[None]]) -> None:
        """Take a step whenever there is work. Retry it for ever if it fails, whatever the error: recording never ends a stop."""
        work, last = self._work[number], self._last[number]
        pause_s = RETRY_S
        while True:
            await work.wait()
            work.clear()
            try:
                await step()
            except Exception as error:  # noqa: BLE001 - see above
                self._error = error
                work.set()
                self._changed.set()
                await self._session.world.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_MOST_S)
            else:
                pause_s = RETRY_S
                self._changed.set()
                await pause(self._session.world, BATCH_S, last)

    async def _store(self) -> None:
        entries = tuple(self._entries)
        await asyncio.to_thread(self._writer.store, entries)
        self._stored = len(entries)
        self._work[1].set()
        if self._last[0].is_set() and self._stored == len(self._entries):
            self._last[1].set()

    async def _share(self) -> None:
        """Push the records. The last ones go straight into the ledger, which saves a push, if every apply knows of the holds already."""
        number = self._stored
        is_last = self._last[1].is_set() and not self._tried_ledger and self._holds <= self._shared
        if not (is_last and await self._take_over()):
            await asyncio.to_thread(self._writer.share)
        self._shared, self._error = number, None

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
        hold = partial(
            run.hold, target.key, name=target.name, reason=self._asked.reason, until=self._until
        )
        try:
            return hold(body=target.live.stored if target.live else None)
        except LedgerError:  # the platform stores something that no record can hold
            return hold()

    def _intent(self, run: Run, operation: Operation, generation: int, attempt: int) -> Event:
        event = run.intent(
            operation,
            digest=self._digest,
            generation=generation,
            attempt=attempt,
            atomic=self._session.dialect.CAPABILITIES.atomic_writes,
        )
        self._writer.intents[operation.hash] = event
        return event

    def _outcome(self, run: Run, outcome: Outcome, at: str | None = None) -> Event:
        operation = outcome.operation
        return run.outcome(
            self._writer.intents[operation.hash],
            outcome.result,
            audit=operation.audit,
            at=at,
            dnc_verified=None if operation.desired is None else False,
            schedule_id=outcome.stored_id,
            latency_s=outcome.latency_s,
            message="; ".join(filter(None, (outcome.message, outcome.doubt))) or None,
        )
