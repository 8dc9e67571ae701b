"""Read the tenant's lock before each write of an apply: an emergency stop may have taken it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Final, NamedTuple

from reconciler.errors import GitError, LockUnknown, Unavailable
from reconciler.ledger import TenantLock
from reconciler.world import World

LOOK_S: Final = 1.0
"""Seconds for which a read of the lock counts. So an apply stops about this long after a halt took its lock."""

BLIND_S: Final = 5.0
"""Seconds after the last successful read of the lock after which no write is started."""

_AGAIN_S: Final = 0.5
"""Seconds before a failed read is retried, while nothing may be started. Also the least time limit of the last read."""


class _Instant(NamedTuple):
    """An instant by both clocks: the monotonic one may stop while a machine sleeps."""

    monotonic: float
    wall: datetime


_LONG_AGO: Final = _Instant(float("-inf"), datetime.min.replace(tzinfo=UTC))


class LockWatch:
    """Decides before each write whether this run may still write.

    A halt takes the lock. So a run that cannot read the lock for `BLIND_S` starts nothing new, and ends. A run that was frozen reads the
    lock again, even if it was frozen while it read the lock: the answer is then as old as the read's start.
    """

    def __init__(self, lock: TenantLock, world: World, stop: asyncio.Event) -> None:
        """Watch a lock; set `stop` when it cannot be read."""
        self._lock = lock
        self._world = world
        self._stop = stop
        self._ours = True
        self._began = self._ended = _LONG_AGO
        """Start and end of the last successful read."""
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
        return self._ours and self._lock.may_write()  # the lease may have ended during the read

    def _is_fresh(self) -> bool:
        return self._age_s(self._ended) < LOOK_S and self._age_s(self._began) < BLIND_S

    def _now(self) -> _Instant:
        return _Instant(self._world.monotonic(), self._world.now())

    def _age_s(self, instant: _Instant) -> float:
        """Return the seconds since an instant: the larger of what the two clocks measured."""
        now = self._now()
        by_wall = (now.wall - instant.wall).total_seconds()
        return max(now.monotonic - instant.monotonic, by_wall)

    async def _read(self) -> None:
        """Read the lock. While that fails, retry until the last successful read is recent enough or the time is up."""
        if self._unknown is not None:
            raise self._unknown
        until = self._world.monotonic() + BLIND_S
        while True:
            began = self._now()
            try:
                self._ours = await asyncio.to_thread(self._lock.still_ours, until - began.monotonic)
            except (Unavailable, GitError) as error:
                if self._age_s(self._began) < BLIND_S:
                    return
                if self._world.monotonic() + 2 * _AGAIN_S >= until:
                    raise self._end(error) from error
                await self._world.sleep(_AGAIN_S)
            else:
                self._began, self._ended = began, self._now()
                if not self._ours or self._age_s(began) < BLIND_S:
                    return
                until = self._world.monotonic() + BLIND_S  # frozen meanwhile

    def _end(self, error: Exception) -> LockUnknown:
        self._unknown = LockUnknown(
            f"the tenant's lock could not be read for {BLIND_S:g} s ({error}): a halt may have taken it, so nothing new is started."
            " Run apply again when the git remote answers"
        )
        self._stop.set()
        return self._unknown
