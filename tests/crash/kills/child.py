"""A parent that forks a child for each command line; the child is the command, on a clock that hurries.

An order is a line of JSON; see `Order`. The parent prints `pid N` when the child has started and `ended N` when it has ended; N is then
its exit code, or minus the signal that killed it.
"""

from __future__ import annotations

import asyncio
import json
import os
import selectors
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler import cli
from reconciler import world as worlds
from tests.crash.child import serve


@dataclass(frozen=True)
class Order:
    """One command.

    Attributes:
        arguments: of the command line.
        folder: its working directory.
        environ: its whole environment.
        log: where its output goes.
        start: the platform's instant at `epoch`, in ISO 8601.
        epoch: of this machine's monotonic clock.
        speed: how many times as fast as real time the clocks run.
        ahead_s: how far the clocks were put ahead since.
    """

    arguments: Sequence[str]
    folder: str
    environ: Mapping[str, str]
    log: str
    start: str
    epoch: float
    speed: float
    ahead_s: float

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    def monotonic(self) -> float:
        return (time.monotonic() - self.epoch) * self.speed

    def now(self) -> datetime:
        return datetime.fromisoformat(self.start) + timedelta(
            seconds=self.monotonic() + self.ahead_s
        )

    def block(self, seconds: float) -> None:
        time.sleep(seconds / self.speed)


def _loop(order: Order) -> asyncio.AbstractEventLoop:
    """Return an event loop whose timers fire as early as the order's clock says."""

    class Hurried(selectors.DefaultSelector):
        def select(self, timeout: float | None = None) -> Any:
            return super().select(None if timeout is None else timeout / order.speed)

    class Loop(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return order.monotonic()

    return Loop(Hurried())


def _hurry(order: Order) -> None:
    """Put this process on the order's clock."""
    real = worlds.here

    def here(*arguments: Any, **more: Any) -> worlds.World:
        return real(*arguments, **more)._replace(
            now=order.now, monotonic=order.monotonic, block=order.block
        )

    def run(main: Any, **_: Any) -> Any:
        with asyncio.Runner(loop_factory=lambda: _loop(order)) as runner:
            return runner.run(main)

    worlds.here = here
    asyncio.run = run


def _in_child(order: Order) -> None:
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(log, number)
    os.setsid()
    os.chdir(order.folder)
    os.environ.clear()
    os.environ.update(order.environ)
    _hurry(order)
    code = 99
    try:
        code = cli.run(order.arguments)
    finally:
        if code == 99:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve(Order, _in_child)
