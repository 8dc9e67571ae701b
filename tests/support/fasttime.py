"""Time that passes twenty times as fast, for everybody on this machine who counts from the same epoch.

Real processes cannot share a clock that is moved by hand. They can share one that hurries: two seconds of settling take a hundred
milliseconds, and the platform, the run that dies and the run that comes after it agree on what is before and what is after.
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
    """Return hurried seconds."""
    return time.monotonic() * SPEED


async def sleep(seconds: float) -> None:
    """Sleep hurried seconds on an ordinary loop."""
    await asyncio.sleep(seconds / SPEED)


def clock(epoch: float, ahead_s: float = 0.0) -> Callable[[], datetime]:
    """Return a wall clock that read `START` when `monotonic` read `epoch`, `ahead_s` ahead of the others."""
    return lambda: START + timedelta(seconds=monotonic() - epoch + ahead_s)


class _Hurried(selectors.DefaultSelector):
    def select(self, timeout: float | None = None):
        return super().select(None if timeout is None else timeout / SPEED)


class FastLoop(asyncio.SelectorEventLoop):
    """A loop whose every timer is twenty times as soon: sleeps, time limits, heartbeats."""

    def __init__(self) -> None:
        super().__init__(_Hurried())

    def time(self) -> float:
        return monotonic()


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Let commands in this process, and the platforms that are opened from here on, live in hurried time.

    Records keep the real date: other processes write them, too.
    """
    real = worlds.here

    def here(*arguments: Any, **more: Any) -> worlds.World:
        return real(*arguments, **more)._replace(monotonic=monotonic, sleep=sleep)

    patch.setattr(worlds, "here", here)
    patch.setitem(CampaignState.open.__func__.__kwdefaults__, "monotonic", monotonic)
