"""Waits that end early when the run is stopped, and that report progress sparingly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from reconciler.world import World

RELOCK_PAUSE_S: Final = 30.0
"""Seconds between two tries at a locked dialer (contract: "try again every thirty seconds")."""

TELL_S: Final = 60.0
"""Seconds after which an unchanged reason is reported again. Doubled after each report."""


GRACE_S: Final = 3.0
"""Longest time in seconds that a task may take after its time is over or the run was told to end."""


async def pause(world: World, seconds: float, stop: asyncio.Event) -> None:
    """Sleep `seconds`, or until `stop` is set."""
    sleeper = asyncio.ensure_future(world.sleep(seconds))
    stopper = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({sleeper, stopper}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        sleeper.cancel()
        stopper.cancel()


async def wait_for(
    world: World, task: asyncio.Future[Any], seconds: float, stop: asyncio.Event
) -> bool:
    """Wait until a task ends, `seconds` are over or `stop` is set; return whether the task ended."""
    if not task.done():
        over = asyncio.Event()
        stopper = asyncio.ensure_future(stop.wait())
        for each in (task, stopper):
            each.add_done_callback(lambda _: over.set())
        try:
            await pause(world, seconds, over)
        finally:
            stopper.cancel()
    return task.done()


async def ends_in_time(
    world: World, task: asyncio.Future[Any], seconds: float, stop: asyncio.Event
) -> bool:
    """Wait as `wait_for`, and then for `GRACE_S`; return whether the task ended. If it did not, it is cancelled."""
    try:
        await wait_for(world, task, seconds, stop)
        if await wait_for(world, task, GRACE_S, asyncio.Event()):
            return True
    finally:
        task.cancel()
    await asyncio.wait([task])
    return False


@dataclass(slots=True)
class Wait:
    """The wait for one object, such as one with a locked dialer.

    Attributes:
        world: see `World`.
        name: the object's name in progress lines.
        stop: ends the wait when it is set.
        wait_s: longest wait in seconds.
        until: end of the wait on the monotonic clock.
    """

    world: World
    name: str
    stop: asyncio.Event
    wait_s: float = inf
    until: float = field(init=False)
    _told: str = field(default="", init=False)
    _again_at: float = field(default=0.0, init=False)
    _pause_s: float = field(default=TELL_S, init=False)

    def __post_init__(self) -> None:
        self.until = self.world.monotonic() + self.wait_s

    @property
    def left_s(self) -> float:
        """Seconds until the wait times out; zero or negative afterwards."""
        return self.until - self.world.monotonic()

    @property
    def is_over(self) -> bool:
        """Whether the time is up or the run was stopped."""
        return self.stop.is_set() or self.left_s <= 0

    async def pause(self, seconds: float) -> None:
        """Sleep `seconds`, or less when the wait ends before."""
        await pause(self.world, min(seconds, self.left_s), self.stop)

    def tell(self, why: str, then: str = "") -> None:
        """Report progress if `why` is new, or was last reported long ago. A new `then` alone is not reported."""
        now = self.world.monotonic()
        if why != self._told:
            self._told, self._pause_s = why, TELL_S
        elif now < self._again_at:
            return
        else:
            self._pause_s *= 2
        self._again_at = now + self._pause_s
        self.world.progress(f"{self.name}: {why}{then}")
