"""Run what talks to a platform until it is done, or until a signal asks it to end in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from reconciler.cli import options
from reconciler.errors import ExitCode

if TYPE_CHECKING:
    from reconciler.report import Report

INTERRUPTED: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
"""Exit code of a run that a signal ended after a checkpoint."""


def carry_out(work: Callable[[asyncio.Event], Awaitable[Report]], style: str) -> int:
    """Run `work`, show its report, and return its exit code, or that of the signal which ended it; `work` is given what a signal sets."""
    return asyncio.run(_carried_out(work, style))


async def _carried_out(work: Callable[[asyncio.Event], Awaitable[Report]], style: str) -> int:
    stop, caught = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def interrupted(number: signal.Signals) -> None:
        caught.append(number)
        stop.set()
        options.progress(
            "interrupted: finishing and recording what is under way, starting nothing more"
        )

    for number in INTERRUPTED:
        loop.add_signal_handler(number, interrupted, number)
    report = await work(stop)
    options.show(report, style)
    return INTERRUPTED[caught[0]] if caught else report.exit_code
