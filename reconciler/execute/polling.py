"""Looks at what was written, for everybody who waits for it.

Requests are what an apply is short of: whoever waits together is answered by one look, and while there is more to write a look is taken rarely.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from reconciler.dialects.base import Dialect, Exchange, Live
from reconciler.errors import ApiError
from reconciler.execute.waits import pause

LIST_FROM: Final = 4
"""Objects from which on one look at the whole list is cheaper than a look at each."""

Read = Callable[[Exchange[Mapping[str, Live]]], Awaitable[Mapping[str, Live]]]


@dataclass(slots=True)
class Poller:
    """Answers "what does the platform hold now?" for many at once.

    Attributes:
        read: carries an exchange out.
        dialect: whose words.
        look_s: seconds between two looks while something is being written.
        monotonic: seconds.
        sleep: waits seconds.
    """

    read: Read
    dialect: Dialect
    look_s: float
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    _writing: int = 0
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: dict[str, asyncio.Future[Live]] = field(default_factory=dict)
    _task: asyncio.Task[None] | None = None
    _looked: float = float("-inf")

    def busy(self, operations: int) -> None:
        """Hear of operations that have something to write: until `rest` was said of each, looks are rare."""
        self._writing += operations
        self._quiet.clear()

    def rest(self) -> None:
        """Hear that one of them has nothing more to write. After the last one a look is taken at once."""
        self._writing -= 1
        if self._writing == 0:
            self._quiet.set()

    async def see(self, key: str) -> Live:
        """Return the object as the next look finds it. Raises what the look raised."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
        return await asyncio.shield(future)

    async def _look(self) -> None:
        """Look again and again, until nobody waits."""
        while self._waiting:
            wait_s = self._looked + self.look_s - self.monotonic()
            if self._writing > 0 and wait_s > 0:
                await pause(wait_s, self.sleep, self._quiet)
            waiting, self._waiting = self._waiting, {}
            try:
                found = await self.read(self._exchange(tuple(waiting)))
            except Exception as error:  # noqa: BLE001 - whoever waits is told; nobody else awaits this task
                _tell(waiting.values(), error)
            else:
                self._looked = self.monotonic()
                for key, future in waiting.items():
                    if not future.done():
                        future.set_result(found[key])

    def _exchange(self, keys: tuple[str, ...]) -> Exchange[Mapping[str, Live]]:
        return _many(self.dialect, keys) if len(keys) >= LIST_FROM else _each(self.dialect, keys)


def _tell(waiting: Iterable[asyncio.Future[Live]], error: Exception) -> None:
    for future in waiting:
        if not future.done():
            future.set_exception(error)


def _many(dialect: Dialect, keys: tuple[str, ...]) -> Exchange[Mapping[str, Live]]:
    """Read the list; one that changes while it is read says nothing, so then each object is asked for."""
    try:
        found = yield from dialect.read_some(keys)
    except ApiError:
        found = {}
    missing = [key for key in keys if key not in found]
    return {**found, **(yield from _each(dialect, missing))}


def _each(dialect: Dialect, keys: Iterable[str]) -> Exchange[Mapping[str, Live]]:
    found = {}
    for key in keys:
        found[key] = yield from dialect.read_one(key)
    return found
