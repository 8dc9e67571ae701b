"""An event loop in virtual time: instead of waiting for a timer, it advances its clock."""

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
    """An event loop in virtual time. Its clock advances only when no callback and no executor thread is pending."""

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
    """The loop's selector. With a positive timeout, it advances the clock instead of waiting.

    A timeout of 0 means that callbacks are ready; `None` means that no timer is set."""

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
