"""An event loop whose time passes in no time: where it would wait for a timer, its clock is moved on instead."""

from __future__ import annotations

import asyncio
import selectors
from dataclasses import dataclass
from typing import Any, Protocol


class Clock(Protocol):
    """Seconds that are moved by hand."""

    s: float


@dataclass
class Seconds:
    """A clock for a loop of its own."""

    s: float = 0.0


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on a clock that stands still while anything is left to do, also in a thread of the loop's executor."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Seconds()
        self.threads = 0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.clock.s

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        self.threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._end_thread)
        return future

    def _end_thread(self, _: Any) -> None:
        self.threads -= 1


class _Selector(selectors.DefaultSelector):
    """Where the loop waits: 0 means that something is left to do, `None` that there is no timer."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        if not timeout:
            return super().select(timeout)
        if self._loop.threads:
            return super().select(None)
        self._loop.clock.s += timeout
        return super().select(0)
