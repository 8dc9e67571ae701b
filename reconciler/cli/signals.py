"""Run a command so that a signal ends it: gracefully if the command writes to a platform, else at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, TypeVar

from reconciler.cli import options
from reconciler.errors import ExitCode, ReconcileError

if TYPE_CHECKING:
    from reconciler.report import Report
    from reconciler.world import RemoteBudget, World

T = TypeVar("T")

INTERRUPTED: Final = {
    signal.SIGINT: ExitCode.INTERRUPTED,
    signal.SIGTERM: ExitCode.TERMINATED,
    signal.SIGHUP: ExitCode.TERMINATED,
}
"""Exit code of a run that a signal ended."""

_FIRST: Final = "interrupted: finishing and recording writes in flight, starting no others"
_ONCE_MORE: Final = ". Interrupt again to stop waiting for the git remote"
_AGAIN: Final = "interrupted again: waiting for the git remote no longer"


@contextlib.contextmanager
def _handled(
    handlers: Mapping[signal.Signals, Callable[[int, FrameType | None], Any] | signal.Handlers],
) -> Iterator[None]:
    kept = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Let a signal end the command at once while the block waits for an answer. Nothing was written by then, and no lock is held."""
    with _handled({signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}):
        yield


def run(world: World, work: Coroutine[Any, Any, T]) -> T:
    """Run a command that writes nothing to a platform, and return its result. Ctrl-C ends it, whatever waits for the git remote.

    The first Ctrl-C cancels the command. To raise an exception in the middle of any task would print tracebacks. The second one does so all
    the same: it ends a long computation.
    """
    interrupted = False

    def interrupt(_: int, __: FrameType | None) -> None:
        nonlocal interrupted
        # A thread that waits for git would keep the process from ending.
        world.remote_budget.shorten(0.0)
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        loop.call_soon_threadsafe(task.cancel)

    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN  # a shell's job in the background
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(work)
        with _handled({} if ignored else {signal.SIGINT: interrupt}):
            try:
                return loop.run_until_complete(task)
            except (asyncio.CancelledError, ReconcileError):
                if interrupted:  # the error may be that git was ended
                    raise KeyboardInterrupt from None
                raise


def run_until_signal(
    work: Callable[[asyncio.Event], Awaitable[Report]],
    style: str,
    budget: RemoteBudget | None = None,
    *,
    outlives_terminal: bool = False,
) -> int:
    """Run `work`, show its report and return its exit code, or the signal's.

    Args:
        work: given an event that a signal sets; it then finishes and records what is in flight, and starts nothing more.
        style: format of the report.
        budget: what the git remote may take. The first signal shortens it, and the second one ends it at once. A halt has none: a signal
            ends its waits within seconds.
        outlives_terminal: go on when the terminal closes, as under `nohup`.
    """
    with _handled({signal.SIGHUP: signal.SIG_IGN} if outlives_terminal else {}):
        return asyncio.run(_run(work, style, budget))


async def _run(
    work: Callable[[asyncio.Event], Awaitable[Report]], style: str, budget: RemoteBudget | None
) -> int:
    stop, caught = asyncio.Event(), list[int]()
    loop = asyncio.get_running_loop()

    def interrupt(number: int, _: FrameType | None) -> None:
        caught.append(number)
        loop.call_soon_threadsafe(stop.set)
        said = _FIRST
        if budget is not None and len(caught) == 1:
            budget.shorten()
            said += _ONCE_MORE
        elif budget is not None:
            budget.shorten(0.0)
            said = _AGAIN
        with contextlib.suppress(RuntimeError):  # the signal came in the middle of another line
            options.progress(said)

    # The loop's own handlers would not run before the loop does, and it may be waiting for git.
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # by `nohup`, or see above
    ends = INTERRUPTED.keys() - ({signal.SIGHUP} if ignored else set())
    with _handled(dict.fromkeys(ends, interrupt)):
        try:
            report = await work(stop)
        except ReconcileError as error:
            if not caught:
                raise
            for line in str(error).splitlines():
                options.progress(f"error: {line}")
            return INTERRUPTED[signal.Signals(caught[0])]
        code = options.show(report, style, unshown=_unshown(report))
    return INTERRUPTED[signal.Signals(caught[0])] if caught else code


def _unshown(report: Report) -> ExitCode:
    """Return the exit code of a command that succeeded, if its report cannot be printed. It depends on whether something was written."""
    written = report.data.get("outcomes") or report.data.get("objects")
    return ExitCode.PARTLY if written else ExitCode.ERROR
