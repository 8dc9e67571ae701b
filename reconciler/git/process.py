"""Run a process, and end it together with its children. The only module that may start one."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reconciler.world import QUIET_S, RemoteBudget

_LOOK_S: Final = 0.2
"""Seconds between two looks at a budget, which may be shortened meanwhile."""

_GRACE_S: Final = 2.0
"""Seconds between SIGTERM and SIGKILL: time for a process to clean up its files."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A finished process: exit code, stdout and stderr."""

    code: int
    out: bytes
    err: bytes


class Runner(Protocol):
    """Runs a program. `run_process` starts a process; tests use runners that count or fail."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes,
        timeout_s: float,
        budget: RemoteBudget | None = None,
    ) -> Ran:
        """Run `argv`; without input, `budget` may end it earlier than `timeout_s` does.

        Raises:
            FileNotFoundError: there is no such program.
            TimeoutError: it ran longer than that and was ended.
        """


class Children:
    """The programs that run for one purpose, so that another thread can end them all."""

    def __init__(self) -> None:
        """Begin without programs."""
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._ended = False

    def run(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes,
        timeout_s: float,
        budget: RemoteBudget | None = None,
    ) -> Ran:
        """Run a program (`Runner`) until `end` is called. After that, each program is ended as soon as it starts."""
        return run_process(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            timeout_s=timeout_s,
            budget=budget,
            started=self._add,
        )

    def _add(self, process: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._running = [each for each in self._running if each.returncode is None]
            self._running.append(process)
            ended = self._ended
        if ended:
            _end(process)

    def end(self) -> None:
        """End every program, and its children."""
        with self._lock:
            self._ended = True
            running = [each for each in self._running if each.returncode is None]
        for each in running:
            _end(each)


def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    timeout_s: float,
    budget: RemoteBudget | None = None,
    started: Callable[[subprocess.Popen[bytes]], None] = lambda _: None,
) -> Ran:
    """Run a program in its own session; when its time is over, end it and its children (`Runner`)."""
    process = subprocess.Popen(  # noqa: S603 - an argument list, built here; no shell
        argv,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    with process:
        started(process)
        try:
            out, err = _communicate(process, stdin, timeout_s, budget)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError from error
            raise
    return Ran(process.returncode, out, err)


def _communicate(
    process: subprocess.Popen[bytes], stdin: bytes, timeout_s: float, budget: RemoteBudget | None
) -> tuple[bytes, bytes]:
    """Write a process's stdin and return its output.

    Raises:
        subprocess.TimeoutExpired: the time is over.
    """
    if budget is None or stdin:  # Python 3.11 loses input if `communicate` is called again
        return process.communicate(stdin, timeout_s)
    began, told = time.monotonic(), False
    while True:
        limit_s = budget.limit_s(began, timeout_s)
        waited_s = time.monotonic() - began
        if waited_s >= QUIET_S and not told:
            told = True
            budget.tell(limit_s - waited_s)
        left_s = max(0.0, limit_s - waited_s)
        try:
            return process.communicate(stdin, min(left_s, _LOOK_S))
        except subprocess.TimeoutExpired:
            if left_s <= _LOOK_S:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: SIGTERM first, so that git can remove its lock files, then SIGKILL."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
