"""Run a command that writes to a platform. A signal ends it gracefully: writes in flight are finished and recorded."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from reconciler.cli import options
from reconciler.errors import ExitCode, ReconcileError

if TYPE_CHECKING:
    from reconciler.report import Report

INTERRUPTED: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
}
"""Exit code of a run that a signal ended."""


def run_until_signal(work: Callable[[asyncio.Event], Awaitable[Report]], style: str) -> int:
    """Run `work`, show its report and return its exit code, or the signal's.

    Args:
        work: given an event that a signal sets; it then finishes and records what is in flight, and starts nothing more.
        style: format of the report.
    """
    return asyncio.run(_run(work, style))


async def _run(work: Callable[[asyncio.Event], Awaitable[Report]], style: str) -> int:
    stop, caught = asyncio.Event(), []
    loop = asyncio.get_running_loop()

    def interrupt(number: signal.Signals) -> None:
        caught.append(number)
        stop.set()
        options.progress(
            "interrupted: finishing and recording writes in flight, starting no others"
        )

    for number in INTERRUPTED:
        loop.add_signal_handler(number, interrupt, number)
    try:
        report = await work(stop)
    except ReconcileError as error:
        if not caught:
            raise
        for line in str(error).splitlines():
            options.progress(f"error: {line}")
        return INTERRUPTED[caught[0]]
    code = options.show(report, style, unshown=_unshown(report))
    return INTERRUPTED[caught[0]] if caught else code


def _unshown(report: Report) -> ExitCode:
    """Return the exit code of a command that succeeded, if its report cannot be printed. It depends on whether something was written."""
    written = report.data.get("outcomes") or report.data.get("objects")
    return ExitCode.PARTLY if written else ExitCode.ERROR
