"""The queue of calls of one client: how many are in flight, and when the next one may leave."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from reconciler.client.pace import Pace, Pacer, StopPacer
from reconciler.dialects.calls import Call
from reconciler.settings import ClientOptions


@dataclass(slots=True)
class _Gate:
    """The pace of one method of a stop. Only one call at a time waits for its turn: the holder of `door`."""

    pace: StopPacer = field(default_factory=StopPacer)
    door: asyncio.Lock = field(default_factory=asyncio.Lock)


class CallQueue:
    """Calls that wait for their turn."""

    def __init__(
        self,
        options: ClientOptions,
        monotonic: Callable[[], float],
        pause: Callable[[float, str], Awaitable[None]],
    ) -> None:
        """Create an empty queue.

        Args:
            options: concurrency, request rate, and whether this is an emergency stop.
            monotonic: the monotonic clock, in seconds.
            pause: waits some seconds for a named reason, or raises an error if that is too long.
        """
        self._urgent = options.urgent
        self._monotonic = monotonic
        self._pause = pause
        self._free = asyncio.Semaphore(options.concurrency)
        # Only one call at a time waits for its turn. Otherwise all waiting calls would leave together after a stall, beyond any burst.
        self._door = asyncio.Lock()
        self._pacer = Pacer(options.requests_per_second)
        # A stop is slowed by each method's own 429s: a platform that limits its lists must not delay a removal.
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def turn(self, call: Call) -> AsyncIterator[None]:
        """Wait until a call may leave, and count it as in flight while the block runs. A call of a stop holds no place while it waits."""
        if not self._urgent:
            async with self._free:
                async with self._door:
                    await self._wait_for(self._pacer)
                yield
            return
        gate = self._gate(call)
        while True:
            async with gate.door:
                await self._wait_for(gate.pace)
            async with self._free:
                if not gate.pace.waits(self._monotonic()):
                    yield
                    return

    def slow(self, call: Call, sent_at: float, wait_s: float) -> None:
        """Slow down after a 429 for a call that left at `sent_at` and is retried after `wait_s` seconds."""
        pace: Pace = self._gate(call).pace if self._urgent else self._pacer
        pace.slow(sent_at, self._monotonic(), wait_s)

    def _gate(self, call: Call) -> _Gate:
        return self._gates.setdefault(call.method, _Gate())

    async def _wait_for(self, pace: Pace) -> None:
        now = self._monotonic()
        await self._pause(pace.reserve(now) - now, "the next request")
