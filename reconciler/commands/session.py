"""Open one tenant: its endpoint, credentials, client and ledger."""

from __future__ import annotations

import asyncio
import functools
from asyncio import Future
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler import defaults, manifests
from reconciler.commands.ledgers import TenantLedger
from reconciler.dialects import dialect_for
from reconciler.dialects.base import Credentials, Dialect
from reconciler.errors import ManifestError, UsageError
from reconciler.git import Children, Git, find_top, worktree
from reconciler.kinds.live import Snapshot
from reconciler.ledger import Ledger
from reconciler.manifests import Folder
from reconciler.manifests.folders import TenantFolder
from reconciler.models import EMBEDDED, TenantSpec
from reconciler.settings import ClientOptions, Settings
from reconciler.world import Clock, Network, World

if TYPE_CHECKING:
    from reconciler import client as clients

STATE: Final = ".reconcile"
"""Folder of the embedded platform's state, at the top of the repository or in the working directory."""

BARE_GIT_S: Final = 5.0
"""Longest time in seconds for each git command that opens the repository beside a command that works without git."""


@dataclass(frozen=True, slots=True)
class Session:
    """One open tenant.

    Attributes:
        world: see `World`.
        folder: its manifests.
        settings: its endpoint and credentials.
        dialect: its API.
        git: the repository that holds the folder; `None` outside one, and where the ledger is not read (see `repository`).
        client: carries a dialect's exchanges to the platform.
        kept: the tenant's ledger; `None` outside a repository, and where it was not read.
        differing: returns the paths in which the folder differs from HEAD; none without `git`.
    """

    world: World
    folder: Folder
    settings: Settings
    dialect: Dialect
    git: Git | None
    client: clients.Client
    kept: TenantLedger | None = None
    differing: Callable[[], tuple[str, ...]] = tuple

    @property
    def ledger(self) -> Ledger | None:
        """The records and the lock of `kept`."""
        return self.kept.ledger if self.kept else None

    def repository(self, children: Children) -> Git:
        """Return the repository that holds the folder; if the session works without git, open it with `children`.

        Raises:
            GitError: git cannot open it.
            UsageError: there is none.
        """
        path, environ = self.folder.path, self.world.environ
        found = self.git or Git.find(
            path, environ=environ, runner=children.run, timeout_s=BARE_GIT_S
        )
        if found is None:
            raise UsageError("there is no git repository here")
        return found

    @property
    def clock(self) -> Clock:
        """The clock by which holds end: the platform's, once it has answered."""
        return Clock(self.world.now, lambda: self.client.now, alone=self._is_embedded)

    @property
    def lock_clock(self) -> Clock:
        """The clock by which locks expire: that of the holds, or this machine's where the platform is for trials and may have any date."""
        return Clock(self.world.now) if self._is_embedded else self.clock

    @property
    def _is_embedded(self) -> bool:
        return self.folder.tenant.spec.url == EMBEDDED

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes of `kept` for a report."""
        return self.kept.notes if self.kept else ()

    async def publish(self, records: Sequence[Mapping[str, Any]]) -> int:
        """Send telemetry events to the platform."""
        return await self.client.run(self.dialect.publish(records))

    async def read(self) -> tuple[Snapshot, float]:
        """Read the platform; return a snapshot, and by how many seconds its clock is certainly ahead of ours (negative: behind).

        Objects of manifests that are missing in the list are read one by one, because a list may lag behind.
        """
        named = tuple(each.key for each in self.folder.desired)
        snapshot = await self.client.run(self.dialect.read(named))
        return snapshot, self.client.skew(self.world.now()).certain_s


@dataclass(frozen=True, slots=True)
class EarlyLedger:
    """A tenant's ledger that is opened in a thread while the manifests are read: to open it is mostly to wait for git.

    Attributes:
        spec: of the `tenant.yaml` by which it is opened.
        opened: the repository and the ledger, or the error; see `_open_ledger`.
    """

    spec: TenantSpec
    opened: Future[tuple[Git | None, TenantLedger | None]]


@asynccontextmanager
async def opened_early(world: World, where: TenantFolder) -> AsyncIterator[EarlyLedger | None]:
    """Open a tenant's ledger while the caller reads the manifests; yield `None` if `tenant.yaml` is invalid, which reading them reports.

    On leaving, what still runs is ended: a wrong manifest is reported without waiting for a remote.
    """
    try:
        spec = manifests.load_settings(where).spec
    except ManifestError:
        yield None
        return
    children = Children()
    opening = functools.partial(_open_ledger, world, where.name, where.path, spec, children)
    opened = asyncio.get_running_loop().run_in_executor(None, opening)
    try:
        yield EarlyLedger(spec, opened)
    finally:
        if not opened.done():
            children.end()
        await asyncio.gather(opened, return_exceptions=True)


def _open_ledger(
    world: World, name: str, path: Path, spec: TenantSpec, children: Children
) -> tuple[Git | None, TenantLedger | None]:
    """Open the repository that holds a tenant's folder, and its ledger; both are `None` outside a repository. `children` runs git."""
    environ, budget = world.environ, world.remote_budget
    git = Git.find(path, environ=environ, runner=children.run, budget=budget)
    return git, None if git is None else TenantLedger.open(world, git, name, path, spec)


@asynccontextmanager
async def open_session(
    world: World,
    folder: Folder,
    network: Network,
    *,
    concurrency: int = defaults.CONCURRENCY,
    urgent_s: float | None = None,
    recorded: bool = True,
    early: EarlyLedger | None = None,
) -> AsyncIterator[Session]:
    """Open a tenant, and close it on leaving.

    Args:
        world: see `World`.
        folder: the tenant's manifests.
        network: see `Network`.
        concurrency: operations that the command writes at the same time.
        urgent_s: this is an emergency stop, which waits for this long. It ignores the request rate of `tenant.yaml`.
        recorded: read the ledger. Without it the command waits for no git command, and also works if git fails.
        early: the ledger, if it was opened early. It is opened again if `tenant.yaml` was changed meanwhile.
    """
    from reconciler import client as clients  # noqa: PLC0415 - commands about the ledger alone need no HTTP

    settings = _read_settings(world, folder, network, concurrency, urgent_s)
    git, kept = None, None
    if early is not None and early.spec == folder.tenant.spec:
        git, kept = await early.opened
    elif recorded:
        spec = folder.tenant.spec
        git, kept = _open_ledger(world, folder.name, folder.path, spec, Children())
    if kept is not None:
        rate = kept.trust.spec.requests_per_second
        settings = replace(settings, options=replace(settings.options, requests_per_second=rate))
    dialect = dialect_for(folder.tenant.spec.api)
    with ExitStack() as stack:
        transport = None
        if settings.in_process:
            app, credentials = stack.enter_context(_open_embedded(world, folder))
            settings = replace(settings, credentials=credentials)
            transport = clients.embedded(app)
        async with clients.Client(dialect, settings, world, transport) as client:
            differing = worktree.Differences(git, folder.path) if git else tuple
            session = Session(world, folder, settings, dialect, git, client, kept, differing)
            if kept is not None:
                kept.ledger.lock.go_by(session.lock_clock)
            yield session


def _read_settings(
    world: World, folder: Folder, network: Network, concurrency: int, urgent_s: float | None
) -> Settings:
    spec = folder.tenant.spec
    options = ClientOptions(
        requests_per_second=spec.requests_per_second,
        concurrency=max(defaults.CONCURRENCY, concurrency),
        deadline_s=network.deadline_s,
        proxy=network.proxy,
        ca_bundle=str(network.ca_bundle) if network.ca_bundle else None,
        urgent=urgent_s is not None,
        wait_s=inf if urgent_s is None else urgent_s,
        api_version=spec.version,
        api_versions={str(group): version for group, version in spec.versions.items()},
    )
    return Settings.read(world.environ, folder.name, spec.url, options=options)


@contextmanager
def _open_embedded(world: World, folder: Folder) -> Iterator[tuple[Any, Credentials]]:
    """Open the embedded platform of a tenant; yield its ASGI app and credentials. Its state is not stored in git."""
    from reconciler import sandbox  # noqa: PLC0415 - only a tenant of `sandbox:` needs it, and its extra

    try:
        kind = sandbox.platform(folder.tenant.spec.api)
        top = find_top(folder.path) or world.directory
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
        raise UsageError("--reason is empty: write why, for the readers of the records and plans")
