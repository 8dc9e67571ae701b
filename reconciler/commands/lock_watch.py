"""Read the tenant's lock before each write of an apply: an emergency stop may have taken it."""

from __future__ import annotations

import asyncio
from typing import Final

from reconciler.errors import GitError, LockUnknown, Unavailable
from reconciler.ledger import TenantLock
from reconciler.world import World

LOOK_S: Final = 1.0
"""Seconds for which a read of the lock counts. So an apply stops about this long after a halt took its lock."""

BLIND_S: Final = 5.0
"""Seconds after the last successful read of the lock after which no write is started."""

_AGAIN_S: Final = 0.5
"""Seconds before a failed read is retried, while nothing may be started. Also the least time limit of the last read."""


class LockWatch:
    """Decides before each write whether this run may still write.

    A halt takes the lock. So a run that cannot read the lock for `BLIND_S` starts nothing new, and ends.
    """

    def __init__(self, lock: TenantLock, world: World, stop: asyncio.Event) -> None:
        """Watch a lock; set `stop` when it cannot be read."""
        self._lock = lock
        self._world = world
        self._stop = stop
        self._ours = True
        self._began = self._ended = float("-inf")
        """Start and end of the last successful read, on the monotonic clock."""
        self._unknown: LockUnknown | None = None
        self._reading = asyncio.Lock()

    def lose(self) -> None:
        """Note that another run took the lock."""
        self._ours = False

    async def is_ours(self) -> bool:
        """Return whether a write may be started.

        Raises:
            LockUnknown: the lock could not be read for `BLIND_S`. Then nothing is started until the end of the run.
        """
        if not self._lock.may_write():
            return False
        async with self._reading:  # one read serves all concurrent callers
            if self._ours and not self._is_fresh():
                await self._read()
        return self._ours

    def _is_fresh(self) -> bool:
        now = self._world.monotonic()
        return now - self._ended < LOOK_S and now - self._began < BLIND_S

    async def _read(self) -> None:
        """Read the lock. While that fails, retry until the last successful read is recent enough or the time is up."""
        if self._unknown is not None:
            raise self._unknown
        until = self._world.monotonic() + BLIND_S
        while True:
            began = self._world.monotonic()
            try:
                self._ours = await asyncio.to_thread(self._lock.still_ours, until - began)
            except (Unavailable, GitError) as error:
                now = self._world.monotonic()
                if now - self._began < BLIND_S:
                    return
                if now + 2 * _AGAIN_S >= until:
                    raise self._end(error) from error
                await self._world.sleep(_AGAIN_S)
            else:
                self._began, self._ended = began, self._world.monotonic()
                return

    def _end(self, error: Exception) -> LockUnknown:
        self._unknown = LockUnknown(
            f"the tenant's lock could not be read for {BLIND_S:g} s ({error}): a halt may have taken it, so nothing new is started."
            " Run apply again when the git remote answers"
        )
        self._stop.set()
        return self._unknown
