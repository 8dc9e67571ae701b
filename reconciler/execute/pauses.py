"""Wait, or less when something happens, such as a stop of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def pause(
    seconds: float, sleep: Callable[[float], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Sleep `seconds`, or until `stop` is set."""
    sleeper = asyncio.ensure_future(sleep(seconds))
    stopper = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({sleeper, stopper}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        stopper.cancel()
