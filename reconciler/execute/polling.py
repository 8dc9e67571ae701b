"""Read objects back for all operations that wait for activation.

The request rate limits an apply. So waiting operations share each read, and reads are rare while there is more to write.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.dialects.base import Dialect, Exchange
from reconciler.errors import AccessError, ApiError
from reconciler.execute.platform import Platform
from reconciler.execute.waits import pause
from reconciler.kinds.live import Live
from reconciler.world import World

LIST_FROM: Final = 4
"""Number of objects from which on reading the whole list takes fewer requests than reading each."""


@dataclass(slots=True)
class Poller:
    """Reads the current state of objects for many operations at once.

    Attributes:
        world: see `World`.
        platform: runs the exchanges that the dialect makes.
        dialect: the tenant's API.
        look_s: seconds between two reads while something is being written.
        read_one: reads one object; `None`: as the dialect reads it for an apply.
    """

    world: World
    platform: Platform
    dialect: Dialect
    look_s: float
    read_one: Callable[[str], Exchange[Live]] | None = None
    _writing: int = 0
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, asyncio.Future[Live]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _looked: float = float("-inf")

    def busy(self, operations: int) -> None:
        """Add to the number of operations that still write. Reads are rare until `rest` was called for each of them."""
        self._writing += operations
        self._quiet.clear()

    def rest(self) -> None:
        """Note that one operation has nothing more to write. After the last one the next read is immediate."""
        self._writing -= 1
        if self._writing == 0:
            self._quiet.set()

    async def see(self, key: str) -> Live:
        """Wait for the next read and return the object from it. An error of the read is raised here."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        return await asyncio.shield(future)

    async def _look(self) -> None:
        """Read until no operation waits."""
        while self._waiting:
            wait_s = self._looked + self.look_s - self.world.monotonic()
            if self._writing > 0 and wait_s > 0:
                await pause(self.world, wait_s, self._quiet)
            waiting, self._waiting = self._waiting, {}
            try:
                found = await self.platform.run(self._exchange(tuple(waiting)))
            except Exception as error:  # noqa: BLE001 - passed on to every waiting operation; nothing else awaits this task
                _tell(waiting.values(), error)
            else:
                self._looked = self.world.monotonic()
                for key, future in waiting.items():
                    if not future.done():
                        future.set_result(found[key])

    def _exchange(self, keys: tuple[str, ...]) -> Exchange[Mapping[str, Live]]:
        read_one = self.read_one or self.dialect.read_one
        if len(keys) >= LIST_FROM:
            return _many(self.dialect, keys, read_one)
        return _each(keys, read_one)


def _tell(waiting: Iterable[asyncio.Future[Live]], error: Exception) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(error)


def _many(
    dialect: Dialect, keys: tuple[str, ...], read_one: Callable[[str], Exchange[Live]]
) -> Exchange[Mapping[str, Live]]:
    """Read the list, then read each missing object individually. If the list cannot be read, or changes meanwhile, read every object individually."""
    try:
        found = yield from dialect.read_some(keys)
    except (ApiError, AccessError):
        found = {}
    missing = [key for key in keys if key not in found]
    return {**found, **(yield from _each(missing, read_one))}


def _each(
    keys: Iterable[str], read_one: Callable[[str], Exchange[Live]]
) -> Exchange[Mapping[str, Live]]:
    found = {}
    for key in keys:
        found[key] = yield from read_one(key)
    return found
