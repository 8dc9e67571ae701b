"""Read objects back for all operations that wait for activation.

The request rate limits an apply. So waiting operations share each read, and reads are rare while there is more to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reconciler.dialects.calls import Exchange
from reconciler.errors import AccessError, ApiError, Unavailable
from reconciler.execute.platform import Platform
from reconciler.execute.waits import ends_in_time, pause, wait_for
from reconciler.kinds.live import Live
from reconciler.world import World

LIST_FROM: Final = 4
"""Number of objects from which on reading the whole list takes fewer requests than reading each."""

PATIENCE_S: Final = 5.0
"""`Poller.patience_s` of an emergency stop."""

ANSWER_S: Final = 3.0
"""Seconds after which a write without an answer no longer delays the reads of other objects (`Poller.rest_after`)."""


@dataclass(slots=True)
class Poller:
    """Reads the current state of objects for many operations at once.

    Attributes:
        world: see `World`.
        platform: runs the exchanges that the dialect makes.
        look_s: seconds between two reads while something is being written.
        read_one: reads one object.
        read_some: reads some objects from a list; objects that it does not return are read individually.
        patience_s: longest time in seconds that an unanswered read delays the reads of other objects; `None`: until it ends. If a list
            takes longer, no list is read any more.
    """

    world: World
    platform: Platform
    look_s: float
    read_one: Callable[[str], Exchange[Live]]
    read_some: Callable[[Sequence[str]], Exchange[Mapping[str, Live]]]
    patience_s: float | None = None
    _writing: int = 0
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, asyncio.Future[Live]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _looked: float = float("-inf")
    _is_listless: bool = False
    _background: set[asyncio.Future[Any]] = field(default_factory=set)

    def busy(self, operations: int) -> None:
        """Add to the number of operations that still write. Reads are rare until `rest` was called for each of them."""
        self._writing += operations
        self._quiet.clear()

    def rest(self) -> None:
        """Note that one operation has nothing more to write. After the last one the next read is immediate."""
        self._writing -= 1
        if self._writing == 0:
            self._quiet.set()

    async def rested(self) -> None:
        """Wait until every operation has called `rest`."""
        while self._writing > 0:
            await self._quiet.wait()

    def rest_after(self, write: asyncio.Future[Any], stop: asyncio.Event) -> None:
        """Call `rest` in the background, once a write ends, takes longer than `ANSWER_S`, or `stop` is set."""
        self._keep(asyncio.create_task(self._rest_after(write, stop)))

    async def _rest_after(self, write: asyncio.Future[Any], stop: asyncio.Event) -> None:
        await wait_for(self.world, write, ANSWER_S, stop)
        self.rest()

    def close(self) -> None:
        """End the reads that run."""
        for task in filter(None, (self._task, *self._background)):
            task.cancel()

    async def see(self, key: str) -> Live:
        """Wait for the next read and return the object from it. An error of its read is raised here."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        return await asyncio.shield(future)

    async def see_in_time(self, key: str, seconds: float, stop: asyncio.Event) -> Live:
        """Wait as `see`, for about `seconds` at most and until shortly after `stop` is set.

        Raises:
            Unavailable: the object was not read in time.
        """
        task = asyncio.ensure_future(self.see(key))
        if await ends_in_time(self.world, task, max(seconds, 0.0), stop):
            return task.result()
        raise Unavailable("not answered in time")

    async def _look(self) -> None:
        """Read until no operation waits."""
        while self._waiting:
            wait_s = self._looked + self.look_s - self.world.monotonic()
            if self._writing > 0 and wait_s > 0:
                await pause(self.world, wait_s, self._quiet)
            waiting, self._waiting = self._waiting, {}
            try:
                found = await self._listed(tuple(waiting))
            except Exception as error:  # noqa: BLE001 - passed on to every waiting operation; nothing else awaits this task
                for future in waiting.values():
                    _end(future, error)
                continue
            for key, live in found.items():
                _end(waiting.pop(key, None), live)
            await self._read_each(waiting)
            self._looked = self.world.monotonic()

    async def _listed(self, keys: tuple[str, ...]) -> Mapping[str, Live]:
        """Return the objects that a list shows; none if reading each one takes fewer requests, or the list cannot be read in time."""
        if len(keys) < LIST_FROM or self._is_listless:
            return {}
        reading = asyncio.ensure_future(self.platform.run(self.read_some(keys)))
        try:
            if self.patience_s is None:
                return await reading
            if await ends_in_time(self.world, reading, self.patience_s, asyncio.Event()):
                return reading.result()
        except (ApiError, AccessError):
            return {}
        self._is_listless = True
        return {}

    async def _read_each(self, waiting: Mapping[str, asyncio.Future[Live]]) -> None:
        reading = asyncio.gather(*(self._read(key, each) for key, each in waiting.items()))
        if self.patience_s is None:
            await reading
        else:
            self._keep(reading)
            await wait_for(self.world, reading, self.patience_s, asyncio.Event())

    def _keep(self, task: asyncio.Future[Any]) -> None:
        self._background.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Future[Any]) -> None:
        self._background.discard(task)
        _ = (
            task.cancelled() or task.exception()
        )  # else asyncio would report the error of a cancelled read

    async def _read(self, key: str, future: asyncio.Future[Live]) -> None:
        """Read one object. Its error concerns no other one."""
        try:
            _end(future, await self.platform.run(self.read_one(key)))
        except Exception as error:  # noqa: BLE001 - passed on to the waiting operation
            _end(future, error)


def _end(future: asyncio.Future[Live] | None, found: Live | Exception) -> None:
    if future is None or future.done():
        return
    if isinstance(found, Exception):
        future.set_exception(found)
        future.exception()  # the operation may have ceased to wait; asyncio would report the error then
    else:
        future.set_result(found)
