"""One tenant, opened: its endpoint, its credentials, its client."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reconciler import client as clients
from reconciler.dialects import dialect_for
from reconciler.dialects.base import Credentials, Dialect, Snapshot
from reconciler.errors import GitError, Unavailable, UsageError
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.ledger import Options as LedgerOptions
from reconciler.manifests import Folder
from reconciler.models import EMBEDDED
from reconciler.settings import DEFAULT_BURST_S, URGENT_BURST_S, Options, Settings
from reconciler.workflows.world import Network, World

STATE = ".reconcile"
"""Folder for what the embedded platform keeps, at the top of the repository or in the working directory."""


@dataclass(frozen=True, slots=True)
class Session:
    """One tenant, opened.

    Attributes:
        world: see `World`.
        folder: its manifests.
        settings: its endpoint and credentials.
        dialect: the words of its API.
        git: the repository that holds the folder; `None` outside one.
        client: carries conversations to the platform.
        ledger: the tenant's records, read; `None` outside a repository.
    """

    world: World
    folder: Folder
    settings: Settings
    dialect: Dialect
    git: Git | None
    client: clients.Client
    ledger: Ledger | None

    async def read(self) -> tuple[Snapshot, float]:
        """Return what the platform holds, and how far its clock is ahead of ours, in seconds."""
        snapshot = await self.client.run(self.dialect.read())
        return snapshot, (snapshot.at - self.world.now()).total_seconds()


@asynccontextmanager
async def opened(
    world: World, folder: Folder, network: Network, *, urgent: bool = False
) -> AsyncIterator[Session]:
    """Open a tenant: its endpoint, its credentials, a client; closed again on leaving.

    Args:
        world: see `World`.
        folder: the tenant's.
        network: see `Network`.
        urgent: needs nothing but the platform: no ledger is read, and a git that fails is no git.
    """
    options = Options(
        requests_per_second=folder.tenant.spec.requests_per_second,
        concurrency=network.concurrency,
        deadline_s=network.deadline,
        proxy=network.proxy,
        ca_bundle=str(network.ca_bundle) if network.ca_bundle else None,
        burst_s=URGENT_BURST_S if urgent else DEFAULT_BURST_S,
    )
    settings = Settings.read(world.environ, folder.name, folder.tenant.spec.url, options=options)
    dialect = dialect_for(folder.tenant.spec.api)
    try:
        git = Git.find(folder.path, environ=world.environ)
    except GitError:
        if not urgent:
            raise
        git = None
    ledger = None
    if git is not None and not urgent:
        ledger = records(world, git, folder.name, folder.tenant.spec.url)
    with ExitStack() as stack:
        transport = None
        if settings.in_process:
            app, credentials = stack.enter_context(
                _embedded(folder, git.root if git else world.directory)
            )
            settings = replace(settings, credentials=credentials)
            transport = clients.embedded(app)
        client = clients.Client(
            dialect,
            settings,
            transport_factory=transport,
            sleep=world.sleep,
            monotonic=world.monotonic,
            rng=world.random,
        )
        async with client:
            yield Session(world, folder, settings, dialect, git, client, ledger)


def records(world: World, git: Git, tenant: str, url: str, *, offline: bool = False) -> Ledger:
    """Return a tenant's ledger: kept by the remote that everybody shares; by this clone alone for an embedded platform, or where there is no remote.

    What an emergency stop recorded here while the remote was away is brought there first, by the first command that can.

    Raises:
        Unavailable: the remote does not answer, which is never an empty ledger.
        LedgerError: it cannot be read.
    """
    remote = None if url == EMBEDDED else remote_of(world, git)
    options = LedgerOptions(checkpoint=world.checkpoint, monotonic=world.monotonic)
    ledger = Ledger.open(
        git, tenant, clock=world.now, remote=remote, offline=offline, options=options
    )
    with contextlib.suppress(GitError, Unavailable):  # who may only read cannot; who can, will
        ledger.publish()
    return ledger


def remote_of(world: World, git: Git) -> str | None:
    """Return the remote that keeps the ledger: `origin`, or what `RECONCILE_REMOTE` names; `None` when there is none."""
    named = world.environ.get("RECONCILE_REMOTE", "origin")
    return named if named in git.remotes() else None


@contextmanager
def _embedded(folder: Folder, top: Path) -> Iterator[tuple[Any, Credentials]]:
    """Open the embedded platform of a tenant: an ASGI app and its credentials. Its state lives beside git, not in it."""
    from reconciler import sandbox  # noqa: PLC0415 - only a tenant of `sandbox:` needs it, and its extra

    home = top / STATE
    home.mkdir(exist_ok=True)
    try:
        platform = sandbox.open_samples(home / f"{folder.name}.db")
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from None
    try:
        if folder.tenant.spec.clock is not None:
            platform.pin(folder.tenant.spec.clock.isoformat())
        login = sandbox.credentials(platform)
        yield sandbox.create_app(platform), Credentials(login.client_id, login.client_secret)
    finally:
        platform.close()
