"""What every command works with: the world outside, and the manifests that were meant."""

from __future__ import annotations

import os
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from reconciler import manifests
from reconciler.errors import UsageError
from reconciler.manifests import Folder


def _pass(_: str) -> None:
    """Go on."""


class World(NamedTuple):
    """Everything that commands take from outside, as arguments.

    Attributes:
        environ: the environment; secrets come from here alone.
        directory: the working directory.
        now: our own wall clock; the plan goes by the platform's.
        monotonic, sleep: seconds.
        random: for jitter.
        new_id: a fresh identifier of a run.
        progress: told one line at each step worth a line.
        checkpoint: told of each point in `apply.CHECKPOINTS`; tests end the process there.
        remote: the git remote that keeps audit records and locks; `None`: `origin`.
    """

    environ: Mapping[str, str]
    directory: Path
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    sleep: Callable[[float], Awaitable[None]]
    random: random.Random
    new_id: Callable[[], str]
    progress: Callable[[str], None]
    checkpoint: Callable[[str], None] = _pass
    remote: str | None = None

    def __repr__(self) -> str:
        return f"World({self.directory})"  # the environment holds the secrets


class Network(NamedTuple):
    """How the platform is reached; see the options of the command line. `urgent`: an emergency stop."""

    deadline: float = 3600.0
    ca_bundle: Path | None = None
    proxy: str | None = None
    concurrency: int = 8
    urgent: bool = False


async def _sleep(seconds: float) -> None:
    from asyncio import sleep  # noqa: PLC0415 - whoever sleeps has an event loop; what runs without one need not pay for it

    await sleep(seconds)


def here(progress: Callable[[str], None], *, remote: str | None = None) -> World:
    """Return the real world: this process's environment, clocks and randomness; `remote` as in `World`."""
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


def load(path: Path, tenant: str | None, *, keep_places: bool = False) -> Folder:
    """Return the manifests of the one tenant that the path and the name mean.

    Raises:
        UsageError: there is no such path or tenant, or there are several and none was named.
        ManifestError: the files do not say a valid thing; all problems at once.
    """
    return manifests.load(path, tenant, keep_places=keep_places)


def chosen(folder: Folder, names: tuple[str, ...]) -> frozenset[str] | None:
    """Return the keys that the names mean; `None` means all.

    Raises:
        UsageError: a name that no manifest has.
    """
    if not names:
        return None
    keys = {desired.name: desired.key for desired in folder.desired}
    unknown = [name for name in names if name not in keys]
    if unknown:
        raise UsageError(
            f"tenant {folder.name} has no manifest named {', '.join(unknown)}, nor is that a file or folder; it has {', '.join(sorted(keys)) or 'none'}"
        )
    return frozenset(keys[name] for name in names)
