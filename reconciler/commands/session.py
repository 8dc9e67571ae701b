"""One tenant, opened: its endpoint, its credentials, its client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from reconciler import client as clients
from reconciler import defaults
from reconciler.commands.ledgers import Keeping, records
from reconciler.commands.trust import Trust
from reconciler.dialects import dialect_for
from reconciler.dialects.base import Credentials, Dialect, Snapshot
from reconciler.errors import GitError, UsageError
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.manifests import Folder
from reconciler.settings import (
    DEFAULT_BURST_S,
    DEFAULT_RATE,
    URGENT_BURST_S,
    ClientOptions,
    Settings,
)
from reconciler.world import World

STATE = ".reconcile"
"""Folder for what the embedded platform keeps, at the top of the repository or in the working directory."""


class Network(NamedTuple):
    """How the platform is reached; see the options of the command line. `urgent`: an emergency stop."""

    deadline: float = defaults.DEADLINE_S
    ca_bundle: Path | None = None
    proxy: str | None = None
    concurrency: int = defaults.CONCURRENCY
    urgent: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Online:
    """What every command that reaches a platform is asked; see the options of the command line.

    Attributes:
        deadline: seconds that the whole run may take.
        ca_bundle: PEM file to trust instead of the public authorities.
        proxy: URL of a proxy.
    """

    deadline: float = defaults.DEADLINE_S
    ca_bundle: Path | None = None
    proxy: str | None = None

    @property
    def network(self) -> Network:
        """How the platform is reached."""
        return Network(self.deadline, self.ca_bundle, self.proxy)


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
        keeping: where they are kept; `None` where none were read.
        refused: why git would not open the repository that is there, where that ends nothing.
        trust: the settings that count although HEAD may loosen them; `None` where no records were read.
    """

    world: World
    folder: Folder
    settings: Settings
    dialect: Dialect
    git: Git | None
    client: clients.Client
    ledger: Ledger | None
    keeping: Keeping | None = None
    refused: GitError | None = None
    trust: Trust | None = None

    def repository(self) -> Git:
        """Return the repository that holds the folder.

        Raises:
            GitError: git will not open it.
            UsageError: there is none.
        """
        if self.refused is not None:
            raise self.refused
        if self.git is None:
            raise UsageError("there is no git repository here")
        return self.git

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say of where the records are kept, and of those that do not count."""
        kept = self.keeping.notes if self.keeping else ()
        return (*kept, *(self.ledger.notes if self.ledger else ()))

    async def read(self) -> tuple[Snapshot, float]:
        """Return what the platform holds, and how far its clock is certainly ahead of ours, in seconds: negative when it is behind.

        What a manifest names and no list shows is read by itself: a list may lag behind, and absence from it is no fact.
        """
        named = tuple(each.key for each in self.folder.desired)
        snapshot = await self.client.run(self.dialect.read(named))
        return snapshot, self.client.skew(self.world.now()).certain_s


@asynccontextmanager
async def opened(
    world: World, folder: Folder, network: Network, *, recorded: bool = True
) -> AsyncIterator[Session]:
    """Open a tenant: its endpoint, its credentials, a client; closed again on leaving.

    Args:
        world: see `World`.
        folder: the tenant's.
        network: see `Network`.
        recorded: the ledger is read. A command that neither reads nor writes it, or cannot wait for it, needs nothing but the platform: a git that
            fails is then no git.
    """
    rate = folder.tenant.spec.requests_per_second
    options = ClientOptions(  # no merge may make a stop slow; a platform that allows less says so, and is obeyed
        requests_per_second=max(rate, DEFAULT_RATE) if network.urgent else rate,
        concurrency=network.concurrency,
        deadline_s=network.deadline,
        proxy=network.proxy,
        ca_bundle=str(network.ca_bundle) if network.ca_bundle else None,
        burst_s=URGENT_BURST_S if network.urgent else DEFAULT_BURST_S,
        api_version=folder.tenant.spec.version,
        api_versions={str(group): v for group, v in folder.tenant.spec.versions.items()},
    )
    settings = Settings.read(world.environ, folder.name, folder.tenant.spec.url, options=options)
    dialect = dialect_for(folder.tenant.spec.api)
    git = refused = None
    try:
        git = Git.find(folder.path, environ=world.environ)
    except GitError as error:
        if recorded:
            raise
        refused = error
    ledger = keeping = trust = None
    if git is not None and recorded:
        trust = Trust.of(world, git, folder.path, folder.tenant.spec)
        options = replace(options, requests_per_second=trust.spec.requests_per_second)
        settings = replace(settings, options=options)
        keeping = Keeping.of(world, git, trust.spec)
        ledger = records(world, git, folder.name, trust)
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
            progress=world.progress,
        )
        async with client:
            yield Session(
                *(world, folder, settings, dialect, git, client, ledger, keeping, refused, trust)
            )


@contextmanager
def _embedded(folder: Folder, top: Path) -> Iterator[tuple[Any, Credentials]]:
    """Open the embedded platform of a tenant: an ASGI app and its credentials. Its state lives beside git, not in it."""
    from reconciler import sandbox  # noqa: PLC0415 - only a tenant of `sandbox:` needs it, and its extra

    try:
        kind = sandbox.platform(folder.tenant.spec.api)
        platform = kind.opened(top / STATE / f"{folder.name}.db")
    except sandbox.SandboxError as error:
        raise UsageError(str(error)) from None
    try:
        if folder.tenant.spec.clock is not None:
            platform.pin(folder.tenant.spec.clock.isoformat())
        login = sandbox.credentials(platform)
        yield kind.app(platform), Credentials(login.client_id, login.client_secret)
    finally:
        platform.close()


def require_reason(reason: str) -> None:
    """Refuse an empty reason.

    Raises:
        UsageError: the reason holds no text.
    """
    if not reason.strip():
        raise UsageError(
            "--reason is empty: give a reason for those who read the records and plans"
        )
