"""How a stop goes past a running apply, whose lock it takes."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from reconciler.commands import ledgers
from reconciler.commands.journal import provenance
from reconciler.commands.session import Session
from reconciler.commands.trust import stopping
from reconciler.errors import ReconcileError, TenantLocked, Unavailable
from reconciler.git import Git
from reconciler.ledger import Ledger

REMOTE_S: Final = 10.0
"""Seconds that one command to the git remote may take: nobody waits for it."""


class Takeover:
    """Goes past a running apply: takes the tenant's lock from whoever holds it, beside the stopping.

    A remote that is away keeps nobody waiting: it is asked in a thread, and asked again when everything is silent.
    """

    def __init__(self, session: Session) -> None:
        """Begin."""
        self.said = "nobody held it"
        self.troubles: list[str] = []
        self.is_away = False
        """Whether the remote, and nothing else, kept the records from where everybody sees them."""
        self._session = session
        self._ledger: Ledger | None = None
        self._task = asyncio.create_task(asyncio.to_thread(self._take))
        self._sharing: asyncio.Task[None] | None = None

    def _take(self) -> bool:
        """Take the lock; return whether somebody held it."""
        try:
            ledger = self._opened()
            standing = ledger.lock()
            ledger.acquire(holder=f"halt by {provenance(self._session.world).actor}", force=True)
        except ReconcileError as error:
            self.said = f"could not be taken: {error}"
            return False
        self._ledger = ledger
        if standing is not None:
            self.said = f"taken from {standing.holder}, who held it since {standing.since}"
        return standing is not None

    def _opened(self) -> Ledger:
        session = self._session
        world, tenant = session.world, session.folder
        git = Git(session.repository().root, environ=world.environ, network_timeout_s=REMOTE_S)
        trust = stopping(world, git, tenant)
        return ledgers.open_ledger(world, git, tenant.name, trust, stop=True)

    async def went_past(self) -> bool:
        """Return whether the lock was taken from somebody."""
        return await self._task

    def share(self) -> None:
        """Bring the holds to where everybody sees them as soon as the lock is ours: a dialer may be waited for longer than that lock stands."""
        self._sharing = asyncio.create_task(self._shared())

    async def _shared(self) -> None:
        await self._task
        if self._ledger is not None:
            with contextlib.suppress(ReconcileError):  # `end` tries again, and tells
                await asyncio.to_thread(self._published)

    async def end(self) -> None:
        """Bring the records to where everybody sees them."""
        if self._session.git is None:
            return
        try:
            if self._sharing is not None:
                await self._sharing
            await asyncio.to_thread(self._published)
        except ReconcileError as error:
            self.is_away = isinstance(error, Unavailable)
            self.troubles.append(
                f"the records are in this clone alone ({error}): the next command here that reaches the remote brings them there. "
                "Until then an apply from elsewhere does not know of the hold: keep it from running"
            )

    def _published(self) -> None:
        ledger = self._ledger or self._opened()
        try:
            ledger.refresh()
            ledger.publish()
        except TenantLocked:
            # Another stop took the lock from this one, or it expired: records need none.
            self._ledger = None
            self._opened().publish()

    async def give_back(self) -> None:
        """Let go of the lock."""
        await asyncio.wait([self._task])
        if self._sharing is not None:
            await asyncio.wait([self._sharing])
        if self._ledger is not None:
            await asyncio.to_thread(self._ledger.release)
