"""Start a process, and end it with all that it started. The only module that may."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

_GRACE_S: Final = 2.0
"""Seconds that a process gets to put its files in order before it is ended for certain."""


@dataclass(frozen=True, slots=True)
class Ran:
    """What a process left: exit code, output, and what it said on stderr."""

    code: int
    out: bytes
    err: bytes


class Runner(Protocol):
    """Runs a program. The one in use starts a process; another may count, or fail on purpose."""

    def __call__(
        self,
        argv: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        stdin: bytes,
        timeout_s: float,
    ) -> Ran:
        """Run `argv`.

        Raises:
            FileNotFoundError: there is no such program.
            TimeoutError: it took longer than `timeout_s`, and was ended.
        """


def run_process(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    stdin: bytes,
    timeout_s: float,
) -> Ran:
    """Run a program in its own session, and end all of it when it takes too long (`Runner`)."""
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
        try:
            out, err = process.communicate(stdin, timeout_s)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise TimeoutError from error
            raise
    return Ran(process.returncode, out, err)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started: first so that git can remove its lock files, then for certain."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal_number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_GRACE_S)
