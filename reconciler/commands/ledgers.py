"""Open a tenant's ledger with its configured remote, mirror branch and signatures."""

from __future__ import annotations

import contextlib
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler import audit
from reconciler.commands.remotes import ledger_remote
from reconciler.commands.trust import Trust, trust_for_halt
from reconciler.errors import AccessError
from reconciler.git import Git
from reconciler.ledger import Ledger, LedgerOptions, LedgerSnapshot
from reconciler.manifests import Folder
from reconciler.models import EMBEDDED, TenantSpec, platform_of
from reconciler.settings import signing_key
from reconciler.world import Clock, World

ALONE: Final = "there is no git remote: this clone alone keeps the audit records and the lock, and no other clone knows of either"
UNMIRRORED: Final = (
    "audit.mirror is off in tenant.yaml: without a mirror branch, a rollback of the audit records is only detected with a head"
    " that was noted down (`audit verify --expect-head`)"
)
UNSIGNED: Final = "audit.sign is off in tenant.yaml: anybody with push rights to refs/notes/reconcile/* can write audit records that count, such as a release"


@dataclass(frozen=True, slots=True)
class LedgerLocation:
    """Where a tenant's ledger is, and how it is protected.

    Attributes:
        remote: git remote that holds it; `None`: this clone.
        embedded: the platform is in this clone, and so is its ledger.
        mirror: every push updates a mirror branch as well.
        sign: ledger commits must be signed.
    """

    remote: str | None
    embedded: bool
    mirror: bool
    sign: bool

    @classmethod
    def of(cls, world: World, git: Git, spec: TenantSpec) -> LedgerLocation:
        """Return the location by `--remote`, the repository and `tenant.yaml`.

        Raises:
            UsageError: see `ledger_remote`.
        """
        embedded = spec.url == EMBEDDED
        remote = ledger_remote(world, git) if world.remote or not embedded else None
        return cls(None if embedded else remote, embedded, spec.audit.mirror, spec.audit.sign)

    def __str__(self) -> str:
        if self.remote is not None:
            return f"the git remote {self.remote}"
        return "this clone" if self.embedded else "this clone alone: there is no git remote"

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on unusual settings, for reports."""
        if self.embedded:
            return ()
        if self.remote is None:
            return (ALONE,)
        return (*([] if self.sign else [UNSIGNED]), *([] if self.mirror else [UNMIRRORED]))


@dataclass(frozen=True, slots=True)
class TenantLedger:
    """A tenant's ledger, read.

    Attributes:
        name, folder: the tenant's name and folder.
        git: the repository that holds the folder.
        trust: the settings that HEAD cannot loosen for itself.
        location: where the ledger is.
        ledger: the records and the lock.
    """

    name: str
    folder: Path
    git: Git
    trust: Trust
    location: LedgerLocation
    ledger: Ledger

    @classmethod
    def open(
        cls,
        world: World,
        git: Git,
        name: str,
        folder: Path,
        spec: TenantSpec,
        *,
        anyhow: bool = False,
    ) -> TenantLedger:
        """Open and read the ledger of the tenant whose `tenant.yaml` holds `spec`; errors are those of `Trust.of` and `open_ledger`.

        Args:
            world: see `World`.
            git: the repository that holds the folder.
            name: the tenant's name.
            folder: the tenant's folder.
            spec: of its `tenant.yaml`.
            anyhow: also read a ledger that lacks a good signature, or that is not the declared one, and push nothing.
        """
        trust = Trust.of(world, git, folder, spec)
        location = LedgerLocation.of(world, git, trust.spec)
        if anyhow:
            trust = replace(trust, required=False)
        ledger = open_ledger(world, git, name, folder, trust, LedgerOptions(unchecked=anyhow))
        return cls(name, folder, git, trust, location, ledger)

    def clock(self, world: World) -> Clock:
        """Return the clock by which holds end for a command that does not contact the platform: this machine's, or the pinned one."""
        pinned = self.trust.spec.clock
        if pinned is not None:
            return Clock(world.now, lambda: pinned, alone=True)
        return Clock(world.now, seen=audit.latest(self.ledger.records()))

    @property
    def facts(self) -> dict[str, str]:
        """Facts for every report of records: where the ledger is, and the ledger commit that was read."""
        return {"kept by": str(self.location), "ledger": self.ledger.head or "empty"}

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for a report: unusual ledger settings, and records that do not count."""
        return (*self.location.notes, *self.ledger.notes)


def open_ledger(
    world: World,
    git: Git,
    tenant: str,
    folder: Path,
    trust: Trust,
    asked: LedgerOptions | None = None,
) -> Ledger:
    """Open and read a tenant's ledger. Nothing is pushed.

    Args:
        world: see `World`.
        git: the repository that holds the tenant's folder.
        tenant: the tenant's name.
        folder: the tenant's folder.
        trust: see `Trust`.
        asked: its `stop`, `unchecked`, `known` and `budget_s` count. Everything else follows from `trust`.

    Raises:
        UsageError: see `ledger_remote`.
        Unavailable: the remote does not answer. This is never treated as an empty ledger.
        LedgerError: the ledger cannot be read, or lacks required signatures.
        AccessError: signatures are required, and no signer is configured.
    """
    spec, asked = trust.spec, asked or LedgerOptions()
    remote = LedgerLocation.of(world, git, spec).remote
    key = None
    if spec.audit.sign:
        with contextlib.suppress(AccessError):
            key = signing_key(world.environ, world.directory)
    options = replace(
        asked,
        mirror=spec.audit.mirror,
        signing_key=key,
        signers=_signers(world, trust, stop=asked.stop),
        required=trust.required,
        demanded=trust.demanded and spec.url != EMBEDDED,
        began=spec.audit.began,
        asked=trust.asked,
        called=tenant,
        folder=shlex.quote(str(folder)),
    )
    platform = platform_of(spec.api, spec.url, tenant)
    return Ledger.open(git, platform, world, remote=remote, options=options)


def open_for_halt(world: World, git: Git, folder: Folder, known: LedgerSnapshot) -> Ledger:
    """Open and read the ledger for a halt; arguments and errors are those of `open_ledger`."""
    trust = trust_for_halt(world, git, folder)
    asked = LedgerOptions(stop=True, known=known)
    return open_ledger(world, git, folder.name, folder.path, trust, asked)


def open_copy(world: World, git: Git, folder: Folder) -> Ledger:
    """Open and read this clone's copy of the ledger, without a look at the remote.

    Raises:
        GitError, LedgerError: the copy cannot be read.
    """
    options = LedgerOptions(stop=True, called=folder.name, folder=shlex.quote(str(folder.path)))
    return Ledger.open(git, folder.platform, world, options=options)


def _signers(world: World, trust: Trust, *, stop: bool) -> bytes | None:
    try:
        return trust.signers(world)
    except AccessError:
        if stop:
            return None
        raise


def require_key(world: World, spec: TenantSpec) -> None:
    """Check that there is a signing key if records must be signed.

    Raises:
        AccessError: `audit.sign` is on, and `RECONCILE_SIGNING_KEY` names no file.
    """
    if spec.audit.sign:
        signing_key(world.environ, world.directory)
