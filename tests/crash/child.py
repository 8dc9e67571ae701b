"""A parent that forks a child for each `apply`; the child kills itself at a point.

An order is a line of JSON; see `Order`. `python -m tests.crash.child` reads orders and forks a child for each. It prints `pid N` when
the child has started and `ended N` when it has ended; N is then its exit code, or minus the signal that killed it.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import os
import pkgutil
import random
import signal
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, TypeVar

import anyio
import httpx

import reconciler
from reconciler.commands import apply
from reconciler.errors import ReconcileError
from reconciler.execute import WriteOptions
from reconciler.ledger import snapshot
from reconciler.models import MANIFESTS, Tenant
from reconciler.world import Network, RemoteBudget, World
from tests.support import fasttime

T = TypeVar("T")

SEGMENT: Final = 4
"""Records after which an apply begins a segment, so that each of them does."""

SENDS: Final = frozenset({"write:before", "refresh:before"})
"""Points after which a write is sent without a further checkpoint."""

ANSWERED: Final = frozenset({"write:answered", "write:uncertain", "refresh:answered"})
"""Points at which that write has ended."""


@dataclass(frozen=True)
class Order:
    """One apply.

    Attributes:
        folder: the clone; `path` the tenant's folder in it.
        environ: its whole environment.
        log: where it says what it does; `passed` where it writes down each point that it passes.
        point, nth: kills itself when it passes `point` for the `nth` time; stops itself instead when `stop` is set.
        alone: a stop waits for the first point at which no other operation has a write under way.
        epoch, ahead_s: see `fasttime.clock`.
        revert: manifests whose removal or narrowing outside git it undoes.
    """

    folder: str
    path: str
    environ: dict[str, str]
    epoch: float
    log: str = os.devnull
    passed: str = os.devnull
    point: str = ""
    nth: int = 1
    stop: bool = False
    alone: bool = False
    ahead_s: float = 0.0
    concurrency: int = 8
    revert: Sequence[str] = ()

    def line(self) -> str:
        return json.dumps(asdict(self))


def world_of(order: Order, checkpoint: Callable[[str], None]) -> World:
    """Return the world that an order names."""
    return World(
        environ=order.environ,
        directory=Path(order.folder),
        now=fasttime.clock(order.epoch, order.ahead_s),
        monotonic=fasttime.monotonic,
        sleep=asyncio.sleep,
        random=random.Random(1),
        new_id=lambda: uuid.uuid4().hex,
        progress=lambda line: print(line, flush=True),
        remote_budget=RemoteBudget(),
        checkpoint=checkpoint,
    )


def request_of(order: Order) -> apply.ApplyRequest:
    """Return what an order asks."""
    return apply.ApplyRequest(
        Path(order.folder) / order.path,
        writing=WriteOptions(concurrency=order.concurrency),
        network=Network(deadline_s=1e6),
        revert=tuple(order.revert),
    )


def carry_out(order: Order) -> int:
    """Apply; return the exit code."""
    passed = Path(order.passed).open("a", buffering=1)  # noqa: SIM115 - closed by the end of the process
    left, under_way, is_due = order.nth, 0, False

    def checkpoint(name: str) -> None:
        nonlocal left, under_way, is_due
        passed.write(f"{name}\n")
        under_way += (name in SENDS) - (name in ANSWERED)
        if name == order.point:
            left -= 1
            is_due = is_due or left == 0
        if is_due and not (order.alone and under_way > (name in SENDS)):
            is_due = False
            os.kill(os.getpid(), signal.SIGSTOP if order.stop else signal.SIGKILL)
            time.sleep(0 if order.stop else 60)

    world, asked = world_of(order, checkpoint), request_of(order)
    try:
        with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
            report = runner.run(apply.apply(world, asked, asyncio.Event()))
    except ReconcileError as error:
        print(f"error: {error}")
        return error.exit_code
    print(f"exit code {report.exit_code}: {report.verdict}")
    return report.exit_code


def _in_child(order: Order) -> None:
    log = os.open(order.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for number in (1, 2):
        os.dup2(log, number)
    os.chdir(order.folder)
    code = 99
    try:
        code = carry_out(order)
    finally:
        sys.stdout.flush()
        os._exit(code)


def warm_up() -> None:
    """Load what a command loads on its first use, so that no child has to: the modules, HTTP, its loop, and the schemas of manifests."""
    for module in pkgutil.walk_packages(reconciler.__path__, "reconciler."):
        if "__main__" not in module.name and "sandbox" not in module.name:
            importlib.import_module(module.name)
    httpx.AsyncHTTPTransport()
    anyio.run(anyio.sleep, 0)
    for model in (*MANIFESTS.values(), Tenant):
        model.model_rebuild()


def serve(order: Callable[..., T], run: Callable[[T], None]) -> None:
    """Fork a child for each order on stdin, one after the other.

    Args:
        order: makes an order from the values of a line.
        run: carries it out in the child, and ends the child.
    """
    warm_up()
    gc.freeze()
    print("ready", flush=True)
    for line in sys.stdin:
        asked = order(**json.loads(line))
        pid = os.fork()
        if pid == 0:
            run(asked)
        print(f"pid {pid}", flush=True)
        _, status = os.waitpid(pid, 0)
        print(f"ended {os.waitstatus_to_exitcode(status)}", flush=True)


if __name__ == "__main__":
    snapshot.SEGMENT_LEAST = SEGMENT  # type: ignore[misc]
    serve(Order, _in_child)
