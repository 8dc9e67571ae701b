"""Take the tenant's lock for an apply, and wait while somebody else holds it (`--wait-for-lock`)."""

from __future__ import annotations

import itertools
from asyncio import Event
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from reconciler.errors import TenantLocked
from reconciler.execute.waits import pause
from reconciler.ledger import Ledger
from reconciler.world import World

FIRST_S: Final = 1.0
"""Seconds before a held lock is tried again. Doubled each time, up to `MOST_S`."""

MOST_S: Final = 15.0


@asynccontextmanager
async def locked(
    world: World, ledger: Ledger, *, holder: str, wait_s: float, stop: Event
) -> AsyncIterator[None]:
    """Hold the tenant's lock, with the ledger read again and checked.

    Args:
        world: see `World`.
        ledger: the tenant's.
        holder: shown to whoever has to wait.
        wait_s: seconds to wait while somebody else holds the lock.
        stop: ends the wait when it is set.

    Raises:
        TenantLocked: somebody else still holds the lock.
        LedgerError: the ledger does not verify.
    """
    try:
        await _acquire(world, ledger, holder=holder, wait_s=wait_s, stop=stop)
        ledger.check()
        yield
    finally:
        ledger.lock.release()


async def _acquire(
    world: World, ledger: Ledger, *, holder: str, wait_s: float, stop: Event
) -> None:
    until = world.monotonic() + wait_s
    for attempt in itertools.count():
        try:
            ledger.lock.acquire(holder=holder)
        except TenantLocked as error:
            left_s = until - world.monotonic()
            if left_s <= 0 or stop.is_set():
                raise
            if attempt == 0:
                world.progress(f"waiting up to {wait_s:g} s: {error}")
            longest_s = min(MOST_S, FIRST_S * 2 ** min(attempt, 10))
            await pause(world, min(left_s, longest_s * (1 + world.random.random()) / 2), stop)
        else:
            return
