"""Ctrl-C during a command that writes nothing to a platform."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from reconciler.cli import signals
from reconciler.errors import ExitCode
from reconciler.world import World, here


@pytest.fixture
def world() -> Iterator[World]:
    """The world of a command, in which Ctrl-C is not ignored, as it is in a shell's background job."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield here(lambda _: None)
    signal.signal(signal.SIGINT, before)


async def interrupted_in_a_task(steps: int) -> None:
    """Get Ctrl-C in the middle of a task that runs beside others, as a connection's do."""

    async def wait() -> None:
        await asyncio.Event().wait()

    async def get_it() -> None:
        for _ in range(steps):
            await asyncio.sleep(0)
        signal.raise_signal(signal.SIGINT)
        await wait()

    async with asyncio.TaskGroup() as group:
        for task in (wait, get_it, wait):
            group.create_task(task())


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_ctrl_c_in_any_task_ends_the_command_without_a_traceback(
    world: World, capfd: pytest.CaptureFixture[str], steps: int
) -> None:
    with pytest.raises(KeyboardInterrupt):
        signals.run(world, interrupted_in_a_task(steps))
    assert capfd.readouterr() == ("", "")


def test_a_second_ctrl_c_ends_a_long_computation(world: World) -> None:
    async def compute() -> int:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        return 1

    with pytest.raises(KeyboardInterrupt):
        signals.run(world, compute())


def test_the_signal_is_handled_as_before_after_the_command(world: World) -> None:
    async def work() -> int:
        return 7

    assert signals.run(world, work()) == 7
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


STARTING = """\
import sys, types
class Interrupted(types.ModuleType):
    def __getattr__(self, name):
        raise KeyboardInterrupt
sys.modules["reconciler.cli"] = Interrupted("reconciler.cli")
from reconciler.__main__ import main
main()
"""


def test_ctrl_c_while_the_program_starts_ends_it_without_a_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", STARTING], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (ExitCode.INTERRUPTED, b"")
    assert done.stderr.split() == [b"error:", b"interrupted"]
