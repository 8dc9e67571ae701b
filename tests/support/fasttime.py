"""A clock that runs twenty times as fast, for all processes of this machine that share an epoch.

Separate processes cannot share a clock that a test advances, but they can share a fast one. Two seconds of settling take
100 ms. The platform, the run that is killed and the run after it agree on the order of events.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler import world as worlds
from reconciler.sandbox import CampaignState

SPEED = 20.0
START = datetime(2027, 1, 10, 12, 0, tzinfo=UTC)


def monotonic() -> float:
    """Return the seconds of the fast clock."""
    return time.monotonic() * SPEED


async def sleep(seconds: float) -> None:
    """Sleep for seconds of the fast clock on an ordinary event loop."""
    await asyncio.sleep(seconds / SPEED)


def clock(epoch: float, ahead_s: float = 0.0) -> Callable[[], datetime]:
    """Return a wall clock that read `START` when `monotonic` read `epoch`, `ahead_s` ahead of the others."""
    return lambda: START + timedelta(seconds=monotonic() - epoch + ahead_s)


class _Hurried(selectors.DefaultSelector):
    def select(self, timeout: float | None = None):
        return super().select(None if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers (sleeps, time limits, heartbeats) fire twenty times as early."""

    def __init__(self) -> None:
        super().__init__(_Hurried())

    def time(self) -> float:
        return monotonic()


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Make commands in this process, and platforms opened from now on, use the fast clock.

    Records keep the real date: other processes write them, too.
    """
    real = worlds.here

    def here(*arguments: Any, **more: Any) -> worlds.World:
        return real(*arguments, **more)._replace(monotonic=monotonic, sleep=sleep)

    patch.setattr(worlds, "here", here)
    patch.setitem(CampaignState.open.__func__.__kwdefaults__, "monotonic", monotonic)
