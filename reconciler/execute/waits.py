"""Wait, or less when something happens, such as a stop of the run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

TELL_S: Final = 60.0
"""Seconds after which a wait that goes on is told again; doubled each time, for nothing is new by then."""


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


@dataclass(slots=True)
class Wait:
    """One object's wait, told once: again only when it changes, and after growing pauses.

    Attributes:
        name: the object's, in what is told.
        monotonic: seconds.
        progress: told a line.
    """

    name: str
    monotonic: Callable[[], float]
    progress: Callable[[str], None]
    _told: str = ""
    _again_at: float = 0.0
    _pause_s: float = TELL_S

    def tell(self, why: str, then: str = "") -> None:
        """Tell `why` when it is news, or was told long ago; `then` is said with it and is no news by itself."""
        now = self.monotonic()
        if why != self._told:
            self._told, self._pause_s = why, TELL_S
        elif now < self._again_at:
            return
        else:
            self._pause_s *= 2
        self._again_at = now + self._pause_s
        self.progress(f"{self.name}: {why}{then}")
