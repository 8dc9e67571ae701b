"""Settings of `tenant.yaml` that a change under review must not loosen for itself: ledger, signing, signers, mirror branch, request rate.

They are needed before the audit records can be read. So the records cannot determine which commit decides, as they do for rules and limits: a
forged record could choose its own baseline. Instead the reviewed parent decides, HEAD^1. For a pull request's merge commit that is the
tip of main. What HEAD or the work tree makes stricter counts at once. What they loosen counts from the next change on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from reconciler import manifests
from reconciler.commands.remotes import ensure_commit, has_commit
from reconciler.environment import SIGNERS
from reconciler.errors import (
    SHORTENED_TO,
    AccessError,
    LedgerError,
    ManifestError,
    ReconcileError,
    safe,
)
from reconciler.git import Git, blob_id, worktree
from reconciler.manifests import TENANT_FILE, Folder
from reconciler.models import TenantSpec
from reconciler.world import World

_PARENTS: Final = 20
"""Most commits that are searched for a valid `tenant.yaml`."""

_FILE_LIMIT: Final = 1 << 20
"""Largest `tenant.yaml`, in bytes."""

_SIGNERS_LIMIT: Final = 1 << 20
"""Largest allowed signers file, in bytes."""


@dataclass(frozen=True, slots=True)
class Trust:
    """The settings that count for this run.

    Attributes:
        spec: `spec` of `tenant.yaml` with the strictest `audit` and request rate of the reviewed parent, HEAD and the working tree.
        required: the reviewed parent requires signatures, so a ledger without any is refused.
        demanded: a ledger must already exist: `tenant.yaml` declares it, or the reviewed parent requires signatures for the same platform.
        asked: the first record that the working tree declares. It counts from the next change on if the reviewed parent declares another.
    """

    spec: TenantSpec
    required: bool
    demanded: bool = False
    asked: str | None = None

    @classmethod
    def of(
        cls, world: World, git: Git, folder: Path, spec: TenantSpec, *, fetch: bool = True
    ) -> Trust:
        """Return the settings that count for a tenant.

        Args:
            world: see `World`.
            git: the repository that holds the folder.
            folder: the tenant's.
            spec: of its `tenant.yaml` in the work tree.
            fetch: fetch the parent of HEAD from the remote if this clone is shallow.

        Raises:
            Unavailable: the parent of HEAD is not in this shallow clone, and the remote does not answer.
        """
        file = folder / TENANT_FILE
        (head, ours), (parent, theirs) = worktree.versions(git, file, "HEAD", "HEAD^1")
        if head is None:
            return cls(spec, spec.audit.sign, spec.audit.began is not None, spec.audit.began)
        committed = spec if ours is not None and ours == _on_disk(file, len(ours)) else None
        if committed is None and ours is not None:
            committed = _parse(git.read_blob(ours, limit=_FILE_LIMIT))
        reviewed = None
        if parent is not None and theirs is not None and theirs == ours:
            reviewed = committed
        if reviewed is None:
            reviewed = _find_reviewed(world if fetch else None, git, head, file, spec)
        found = cls.strictest([each for each in (reviewed, committed, spec) if each is not None])
        before = reviewed is not None and reviewed.audit.sign and _same(reviewed, spec)
        return replace(found, demanded=before or found.spec.audit.began is not None)

    @classmethod
    def strictest(cls, specs: list[TenantSpec]) -> Trust:
        """Return the strictest combination of settings.

        A signer counts only if all settings that require signatures name it. The ledger of the first settings that declare one for today's
        platform counts.

        Args:
            specs: the reviewed parent's first. All settings but audit and request rate are taken from the last.
        """
        signing = [each.audit for each in specs if each.audit.sign]
        signers = signing[0].signers if signing else specs[-1].audit.signers
        declaring = (each.audit for each in specs if each.audit.began and _same(each, specs[-1]))
        declared = next(declaring, specs[-1].audit)
        audit = specs[-1].audit.model_copy(
            update={
                "ledger": declared.ledger,
                "began": declared.began,
                "sign": bool(signing),
                "mirror": any(each.audit.mirror for each in specs),
                "signers": tuple(
                    each for each in signers if all(each in other.signers for other in signing)
                ),
            }
        )
        rate = min(each.requests_per_second for each in specs)
        spec = specs[-1].model_copy(update={"audit": audit, "requests_per_second": rate})
        return cls(spec, specs[0].audit.sign, asked=specs[-1].audit.began)

    def signers(self, world: World) -> bytes | None:
        """Return the content of the allowed signers file; `None` where records need no signature.

        Raises:
            AccessError: records must be signed, and no signer is configured.
        """
        if not self.spec.audit.sign:
            return None
        named = world.environ.get(SIGNERS)
        if named:
            return read_signers(world.directory / named, SIGNERS)
        if not self.spec.audit.signers:
            raise AccessError(
                f"audit.sign is on in tenant.yaml and no signer is trusted yet: list the public keys in audit.signers, or set {SIGNERS} to the"
                " path of an allowed signers file (ssh-keygen). A change cannot add the first signer if its parent requires signatures already"
            )
        return "".join(f"{each}\n" for each in self.spec.audit.signers).encode()


def trust_for_halt(world: World, git: Git, folder: Folder) -> Trust:
    """Return the settings for a halt: the reviewed ones, or those of the work tree if they cannot be read. Contacts no remote."""
    spec = folder.tenant.spec
    try:
        return Trust.of(world, git, folder.path, spec, fetch=False)
    except ReconcileError:
        return Trust(spec, required=False)


def _on_disk(file: Path, length: int) -> str | None:
    """Return the blob id of a file of the work tree; `None` when it cannot be read."""
    try:
        return blob_id(memoryview(file.read_bytes()), length)
    except OSError:
        return None


def _parse(data: bytes) -> TenantSpec | None:
    try:
        return manifests.read_settings(data, TENANT_FILE).spec
    except ManifestError:
        return None


def _find_reviewed(
    world: World | None, git: Git, commit: str, file: Path, spec: TenantSpec
) -> TenantSpec | None:
    """Return the settings of the nearest first parent with a valid `tenant.yaml`; `None` for a new tenant, or the first commit.

    If the parent lacks the folder, a folder with the same platform counts instead: a renamed folder is not a new tenant.
    """
    for _ in range(_PARENTS):
        parent = git.parent(commit)
        if parent is None or not (
            ensure_commit(world, git, parent) if world else has_commit(git, parent)
        ):
            return None
        ((_, blob),) = worktree.versions(git, file, parent)
        if blob is None:
            return _find_by_platform(git, parent, spec)
        if (found := _parse(git.read_blob(blob, limit=_FILE_LIMIT))) is not None:
            return found
        commit = parent
    raise LedgerError(
        f"none of the {_PARENTS} commits before HEAD has a valid {file.name}, so it is unknown whether audit records must be signed, and by whom:"
        " correct the file, commit it, and run this again"
    )


def _find_by_platform(git: Git, commit: str, spec: TenantSpec) -> TenantSpec | None:
    """Return the strictest settings that any folder of a commit has for the same platform."""
    blobs = (
        worktree.versions(git, file, commit)[0][1]
        for file in worktree.find_named(git, commit, TENANT_FILE)
    )
    found = (_parse(git.read_blob(blob, limit=_FILE_LIMIT)) for blob in blobs if blob)
    same = [each for each in found if each and _same(each, spec)]
    return Trust.strictest(same).spec if same else None


def _same(one: TenantSpec, other: TenantSpec) -> bool:
    """Return whether two tenants have the same platform."""
    return (one.api, one.url) == (other.api, other.url)


def read_signers(file: Path, name: str) -> bytes:
    """Return an allowed signers file.

    Args:
        file: its path.
        name: the variable or option that names it.

    Raises:
        AccessError: the file cannot be read, or is too large.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(_SIGNERS_LIMIT + 1)
    except OSError:
        data = None
    if data is None or len(data) > _SIGNERS_LIMIT:
        raise AccessError(
            f"{name} does not name a readable file of at most {_SIGNERS_LIMIT} bytes ({safe(str(file), limit=SHORTENED_TO)}): set it to the path of"
            " an allowed signers file (ssh-keygen)"
        )
    return data
