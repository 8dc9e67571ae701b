"""The outside world as one value (environment, clocks, sleep, randomness, progress), and how to reach a platform."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from reconciler import defaults


def _ignore(_: str) -> None:
    """Do nothing."""


class World(NamedTuple):
    """External dependencies of commands, `execute` and the ledger.

    Attributes:
        environ: the environment. Secrets come from here alone.
        directory: the working directory.
        now: this machine's wall clock. Plans use the platform's clock instead.
        monotonic: seconds on a clock that never goes back.
        sleep: waits the given seconds in the event loop.
        random: source of jitter.
        new_id: returns a new identifier for a run.
        progress: takes one line of progress for people.
        checkpoint: called at each point in `apply.CHECKPOINTS`; crash tests end the process there.
        remote: the git remote that holds audit records and locks; `None` means `origin`.
        block: waits the given seconds in the calling thread, outside the event loop.
    """

    environ: Mapping[str, str]
    directory: Path
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random
    new_id: Callable[[], str]
    progress: Callable[[str], None]
    checkpoint: Callable[[str], None] = _ignore
    remote: str | None = None
    block: Callable[[float], None] = time.sleep

    def __repr__(self) -> str:
        return f"World({self.directory})"  # the environment holds the secrets


class Network(NamedTuple):
    """How to reach a platform.

    Attributes:
        deadline_s: seconds that the whole command may take.
        ca_bundle: PEM file of the certificate authorities to trust, instead of the public ones.
        proxy: URL of an HTTP proxy.
    """

    deadline_s: float = defaults.DEADLINE_S
    ca_bundle: Path | None = None
    proxy: str | None = None


async def _sleep(seconds: float) -> None:
    from asyncio import sleep  # noqa: PLC0415 - commands that never sleep should not pay for importing asyncio

    await sleep(seconds)


def here(progress: Callable[[str], None], *, remote: str | None = None) -> World:
    """Return the world of this process: its environment, clocks and randomness."""
    return World(
        environ=dict(os.environ),
        directory=Path.cwd(),
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        sleep=_sleep,
        random=random.SystemRandom(),
        new_id=lambda: secrets.token_hex(8),
        progress=progress,
        remote=remote,
    )
