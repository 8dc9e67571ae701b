"""Run a process, and end it together with its children. The only module that may start one."""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from reconciler.world import QUIET_S, RemoteBudget

_LOOK_S: Final = 0.2
"""Seconds between two looks at a budget, which may be shortened meanwhile."""

_PIPE: Final = 1 << 16
"""Bytes that a pipe holds."""

_GRACE_S: Final = 2.0
"""Seconds between SIGTERM and SIGKILL: time for a process to clean up its files."""


BATCH: Final = ("cat-file", "--buffer", "--batch-command")
"""The git command that answers requests about objects until its stdin is closed."""

_Idle = dict[tuple[object, ...], list["subprocess.Popen[bytes]"]]
"""Processes of `BATCH` that wait for a request, by arguments, folder and environment."""


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
    """The programs that run for one purpose, so that another thread can end them all.

    A process of `BATCH` is kept for the next request, because starting one costs more than most answers. It ends with this object. If
    this program is killed, the process ends as well: its stdin is closed.
    """

    def __init__(self) -> None:
        """Begin without programs."""
        self._lock = threading.Lock()
        self._running: list[subprocess.Popen[bytes]] = []
        self._ended = False
        self._idle: _Idle = {}
        weakref.finalize(self, _close, self._idle)

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
        if tuple(argv[-len(BATCH) :]) == BATCH:
            ran = self._ask(argv, cwd, env, stdin, timeout_s)
            if ran is not None:
                return ran
        return run_process(
            argv,
            cwd=cwd,
            env=env,
            stdin=stdin,
            timeout_s=timeout_s,
            budget=budget,
            started=self._add,
        )

    def _ask(
        self,
        argv: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes,
        timeout_s: float,
    ) -> Ran | None:
        """Send requests to a process of `BATCH`. Return `None` if it was killed or took no request: run one for these requests alone.

        Threads do not wait for each other: each takes an idle process, or starts one.
        """
        idle = self._idle.setdefault((*argv, cwd, *env.items()), [])
        try:
            process = idle.pop()
        except IndexError:
            process = _start(argv, cwd, env)
            self._add(process)
        answered = False
        try:
            ran = _exchange(process, stdin, timeout_s)
            answered = ran is not None and ran.code == 0
        finally:
            if not answered:
                with process:
                    _end(process)
        if answered:
            idle.append(process)
        return ran

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
    process = _start(argv, cwd, env)
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


def _start(argv: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(  # noqa: S603 - an argument list, built here; no shell
        argv,
        bufsize=0,
        cwd=cwd,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def _exchange(process: subprocess.Popen[bytes], stdin: bytes, timeout_s: float) -> Ran | None:
    """Send requests to a process of `BATCH` and return the answers, or its exit code and messages if the requests made it fail.

    One more request, for a name that no object can have, is sent last: its answer marks the end of the others. Return `None` if the
    process ended for another reason: it was killed, or ended before all requests were sent.

    Raises:
        TimeoutError: the time is over.
    """
    absent = b"?" + secrets.token_hex(8).encode()
    left, last = memoryview(stdin + b"info " + absent + b"\nflush\n"), absent + b" missing\n"
    pipes = (process.stdin, process.stdout, process.stderr)
    to, answers, messages = (pipe.fileno() for pipe in pipes if pipe)
    for each in (to, messages):
        os.set_blocking(each, False)
    read = {answers: bytearray(), messages: bytearray()}
    until = time.monotonic() + timeout_s
    with selectors.PollSelector() as selector:
        selector.register(to, selectors.EVENT_WRITE)
        for each in read:
            selector.register(each, selectors.EVENT_READ)
        while not read[answers].endswith(last):
            ready = selector.select(max(0.0, until - time.monotonic()))
            if not ready:
                raise TimeoutError
            for key, _ in ready:
                if key.fd == to:
                    try:
                        left = left[os.write(to, left) :]
                    except BrokenPipeError:
                        return None
                    if not left:
                        selector.unregister(to)
                elif data := os.read(key.fd, _PIPE):
                    read[key.fd] += data
                else:
                    out, err = map(bytes, read.values())
                    return None if left else _failure(process, out, err, until)
    with contextlib.suppress(BlockingIOError):  # git wrote its messages before the answers
        read[messages] += os.read(messages, _PIPE)
    del read[answers][-len(last) :]
    return Ran(0, bytes(read[answers]), bytes(read[messages]))


def _failure(process: subprocess.Popen[bytes], out: bytes, err: bytes, until: float) -> Ran | None:
    """Wait for a process that closed a pipe; return its exit code and whole output, or `None` if it was killed.

    Raises:
        TimeoutError: the time is over.
    """
    try:
        more = process.communicate(timeout=max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise TimeoutError from error
    return Ran(process.returncode, out + more[0], err + more[1]) if process.returncode > 0 else None


def _close(idle: _Idle) -> None:
    """End processes that no request will reach."""
    for process in (each for kept in idle.values() for each in kept):
        with process:
            process.kill()


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
    """End a process and its children: SIGTERM first, so that git can remove its lock files, then SIGKILL.

    The number of a process that was waited for may be another process's by now: that one gets no signal.
    """
    if process.returncode is not None:
        return
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
