"""Emergency stop: take over the tenant's lock from a running apply."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from reconciler.commands import ledgers
from reconciler.commands.journal import provenance
from reconciler.commands.lock_watch import BLIND_S, LOOK_S
from reconciler.commands.session import Session
from reconciler.errors import TenantLocked
from reconciler.execute.waits import GRACE_S, ends_in_time, pause, wait_for
from reconciler.git import Children, Git
from reconciler.ledger import TTL_S, Ledger, LedgerSnapshot
from reconciler.ledger.locks import Lock, in_seconds

REMOTE_S: Final = 10.0
"""Longest time in seconds for one command to the git remote."""

HEAD_START_S: Final = 1.0
"""Longest time in seconds that the first removal may leave before the lock is taken: reading the ledger takes processor time."""

GIVE_BACK_S: Final = 3.0
"""Longest time in seconds to wait at the end for a lock that is being taken."""

WATCH_S: Final = 10.0
"""Seconds between two looks for what dials again, while the lock cannot be taken."""

_WATCHING: Final = (
    "the tenant's lock {}. An apply that is running may not notice this halt, and may store schedules again: watching for {:.0f} s at most,"
    " and stopping what comes back. Ctrl-C ends the watch, not the stop, and is safe if no apply is running (--wait SECONDS limits the watch)"
)


_UNKNOWN: Final = (
    "it is unknown whether this halt holds the lock of tenant {name}, because the git remote did not answer in time: {command} shows it."
    f" If it does, applies wait until the lock expires, in {TTL_S / 60:.0f} minutes"
)


def _whose(replaced: Sequence[Lock | None]) -> str:
    """Return whose lock was taken, by `TenantLock.replaced`."""
    held = next(filter(None, reversed(replaced)), None)
    if held is None:
        return "was free"
    who = f"{held.holder}, which held it since {in_seconds(held.since)}"
    return f"taken from {who}" if replaced[-1] else f"taken when it was free, shortly after {who}"


class Takeover:
    """Takes over the tenant's lock from a running apply, while objects are being stopped.

    A thread talks to the remote, so that an unreachable remote delays nothing.

    Attributes:
        task: the current attempt.
        sent: set it when the first removals were begun.
        taken_at: when the lock was taken, in seconds on the monotonic clock; `None` if it is not taken.
        was_held: another run held the lock, at least until shortly before it was taken.
        said: how it went, for the report: "was free".
        ledger: the ledger whose lock was taken; `None` if it is not taken.
    """

    def __init__(self, session: Session, known: Callable[[], LedgerSnapshot]) -> None:
        """Start taking the lock in the background, once `sent` is set or `HEAD_START_S` are over. `known`: see `LedgerOptions`."""
        self.sent = asyncio.Event()
        self.said = "is being taken"
        self.taken_at: float | None = None
        self.was_held = False
        self._session, self._known = session, known
        self._children = Children()
        self.ledger: Ledger | None = None
        self._opened: Ledger | None = None
        """The ledger, once it was opened. All attempts use it, because an attempt that failed may have taken the lock all the same."""
        self.retry()

    def retry(self) -> None:
        """Start another attempt in the background."""
        self.task = asyncio.create_task(self._take_after_sending())

    async def _take_after_sending(self) -> None:
        await pause(self._session.world, HEAD_START_S, self.sent)
        await asyncio.to_thread(self._take)

    def _take(self) -> None:
        after = ""
        try:
            ledger = self._opened = self._opened or self._open_ledger()
            holder = f"halt by {provenance(self._session.world, ledger.git).actor}"
            ledger.lock.acquire(holder=holder, force=True)
            self.ledger = ledger
        except TenantLocked:
            # It was ours, and another stop took it since. Whoever held it before has lost it all the same.
            after = ", then taken by another run"
        except Exception as error:  # noqa: BLE001 - whatever the lock's ref holds, it must not end the stop
            self.said = f"could not be taken: {error}"
            return
        self.was_held = any(ledger.lock.replaced)
        self.said = _whose(ledger.lock.replaced) + after
        self.taken_at = self._session.world.monotonic()

    def _open_ledger(self) -> Ledger:
        session, world = self._session, self._session.world
        git = Git(
            session.repository(self._children).root,
            environ=world.environ,
            runner=self._children.run,
            network_timeout_s=REMOTE_S,
        )
        ledger = ledgers.open_for_halt(world, git, session.folder, self._known())
        ledger.lock.go_by(session.lock_clock)
        return ledger

    async def watch(
        self, until: float, stop: asyncio.Event, look: Callable[[], Awaitable[None]]
    ) -> None:
        """Look for what dials again, as long as another run may store schedules.

        A run whose lock was taken may have had a write in flight. Without the lock, a run may go on for longer.

        Args:
            until: end of the watch without the lock, in seconds on the monotonic clock.
            stop: ends the watch when it is set.
            look: stops what dials.
        """
        world, told = self._session.world, False
        while not (await self._wait_for_lock(until, stop) and self.taken_at is not None):
            left_s = until - world.monotonic()
            if left_s > 0 and not told and self.task.done():
                told = True
                world.progress(_WATCHING.format(self.said, left_s))
            await pause(world, max(0.0, min(WATCH_S, left_s)), stop)
            if stop.is_set():
                return
            await self._look(look, left_s, stop)
            if left_s <= 0:
                return
            if self.task.done() and self.taken_at is None:
                self.retry()
        if self.was_held:  # a run that cannot read the lock may start a write for BLIND_S
            await pause(world, self.taken_at + BLIND_S + LOOK_S - world.monotonic(), stop)
        # A free lock does not prove that nobody writes: a run may have released it with a write in flight.
        await self._look(look, until - world.monotonic(), stop)

    async def _wait_for_lock(self, until: float, stop: asyncio.Event) -> bool:
        left_s = until - self._session.world.monotonic()
        seconds = min(WATCH_S, max(left_s, GRACE_S))
        return await wait_for(self._session.world, self.task, seconds, stop)

    async def _look(
        self, look: Callable[[], Awaitable[None]], seconds: float, stop: asyncio.Event
    ) -> None:
        """Look, for about `seconds` at most. A read that is not answered proves nothing, and must not keep the stop from ending."""
        task = asyncio.ensure_future(look())
        if await ends_in_time(self._session.world, task, max(seconds, 0.0), stop):
            task.result()

    async def give_back(self) -> None:
        """Release the lock. A remote that does not answer in time keeps the lock until it expires; progress says so."""
        self.sent.set()
        if not await self._limit(self.task, GIVE_BACK_S):
            name = self._session.folder.name
            command = f"reconcile lock status --tenant {name}"
            self._session.world.progress(_UNKNOWN.format(name=name, command=command))
        if self._opened is not None:
            task = asyncio.ensure_future(asyncio.to_thread(self._opened.lock.release))
            await self._limit(task, REMOTE_S)  # it answered before, so it may only be slow
            await task

    async def _limit(self, task: asyncio.Future[None], seconds: float) -> bool:
        """Wait for a task of a thread, for so many seconds; then end the git commands that it waits for. Return whether it ended in time."""
        if await wait_for(self._session.world, task, seconds, asyncio.Event()):
            return True
        self._children.end()
        await asyncio.wait([task])
        return False
