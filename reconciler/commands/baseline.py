"""Resolve the policy baseline: the commit applied last, its `tenant.yaml` and what its manifests claimed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from reconciler import audit, manifests
from reconciler.commands.remotes import ensure_commit
from reconciler.commands.session import Session
from reconciler.errors import ManifestError
from reconciler.git import Git, worktree
from reconciler.manifests import Folder
from reconciler.models import EMBEDDED, Claim, Tenant, platform_of
from reconciler.plan import (
    Strictness,
    changes_strictness,
    other_changes,
    protections,
    stricter,
    without_exceptions,
)

COMMITS_LOOKED_AT: Final = 20
"""Most commits of a `tenant.yaml` that are searched for another platform, where no apply is recorded for today's."""


def strictness_of(session: Session, at: datetime) -> Strictness:
    """Return the levels, waivers and limits that apply to the change from the policy baseline to HEAD.

    The baseline is the commit applied last before HEAD, or HEAD itself if nothing was ever applied. An earlier apply of HEAD does not make
    HEAD its own baseline: otherwise a second run of the same apply would pass what the first one refused. Uncommitted changes on top of an
    applied HEAD are the next change, so their baseline is HEAD.

    Args:
        session: see `Session`.
        at: the platform's clock.

    Raises:
        Unavailable: this clone lacks the baseline commit, and the remote does not answer.
    """
    git, ledger = session.git, session.ledger
    head = git.checked_out if git else None
    applied = tuple(_applied_claims(session))
    if git is None or ledger is None or head is None:
        return replace(_compare(session, None, at, applied), recorded=True)
    commits = audit.judging_commits(ledger.records())
    earlier = [commit for commit in commits if commit != head]
    strictness = _compare(session, earlier[-1] if earlier else None, at, applied)
    if head in commits[-1:] and session.differing():
        following = _compare(session, head, at, applied)
        if replace(following, moved=strictness.moved) != strictness:
            return following
    return replace(strictness, recorded=head in commits)


@dataclass(frozen=True, slots=True)
class _Base:
    """The tenant's folder at the baseline commit.

    Attributes:
        tenant: its `tenant.yaml`; `None` where nothing was ever applied.
        claims: claims of the manifests that were changed or deleted since then.
        changed: files of manifests that changed since; all files where that is unknown.
        moved: whether the manifests of HEAD claim other objects.
        notes: what could not be read, for the report.
    """

    tenant: Tenant | None = None
    claims: tuple[Claim, ...] = ()
    changed: frozenset[str] = frozenset()
    moved: bool = False
    notes: tuple[str, ...] = ()


def _compare(
    session: Session, commit: str | None, at: datetime, applied: Sequence[Claim]
) -> Strictness:
    """Compare HEAD with a commit; `None`: nothing was ever applied. `applied`: see `_applied_claims`."""
    folder = session.folder
    head, base = folder.tenant, _Base() if commit is None else _base(session, commit)
    tenant = base.tenant or head
    moved = _other_platform(session) if commit is None else ()
    counting = session.kept.trust.spec if session.kept else None
    strictness = stricter(tenant.spec, head.spec, at.astimezone(UTC).date(), counting)
    placed = (
        replace(each, place=folder.settings.place(each.loc)) for each in strictness.weakenings
    )
    found = protections((*base.claims, *applied), folder.desired)
    return replace(
        strictness,
        weakenings=(*found.weakenings, *placed),
        names=found.names,
        repointed=found.repointed,
        changed=base.changed,
        claimed=frozenset(each.key for each in base.claims),
        shared=tenant.spec.profiles != head.spec.profiles,
        moved=base.tenant is None or base.moved or changes_strictness(tenant, head),
        notes=(*base.notes, *other_changes(tenant, head), *moved),
    )


def _other_platform(session: Session) -> tuple[str, ...]:
    """Return a note if no apply to this platform is recorded and `tenant.yaml` named another platform before.

    In that case no baseline and no hold was carried over.
    """
    git, folder = session.git, session.folder
    file = folder.path / manifests.TENANT_FILE
    if git is None or session.ledger is None or audit.judging_commits(session.ledger.records()):
        return ()
    if git.checked_out is None:
        return ()
    for commit in worktree.commits_of(git, file, limit=COMMITS_LOOKED_AT):
        with contextlib.suppress(ManifestError):
            spec = manifests.read_settings(
                worktree.read_at(git, commit, file) or b"", str(file)
            ).spec
            was = platform_of(spec.api, spec.url, folder.name)
            if was != folder.platform and spec.url != EMBEDDED:
                said = (
                    f"{file} names another platform than at commit {commit[:12]}: {folder.platform}, not {was}; no apply is recorded in its"
                    f" ledger, refs/notes/reconcile/{folder.platform}, and no hold of {was} counts there"
                )
                return (said,)
    return ()


def _applied_claims(session: Session) -> Iterator[Claim]:
    """Yield the claim of each object whose manifest now names another object that it was never applied to.

    A change that was partly refused may still become the baseline, because other parts of it were written. Its refused manifests must not
    be able to move to other objects that way.
    """
    found = session.ledger.applied() if session.ledger else {}
    last = {key: each for key, each in found.items() if not each.is_imported}
    keys = {each.key for each in session.folder.desired}
    gone = [key for key in last if key not in keys and last[key].intent.data["body"] is not None]
    if not gone:
        return
    now = {each.name: each for each in session.folder.desired}
    names = {key: str(each.intent.data.get("name")) for key, each in last.items()}
    for key in gone:
        desired = now.get(names[key])
        if desired is not None and names.get(desired.key) != names[key]:
            yield Claim(key, names[key], desired.place)


def _base(session: Session, commit: str) -> _Base:
    """Return the tenant's folder at a commit. If its `tenant.yaml` cannot be read, use the current one without its levels, waivers and limits."""
    git, folder = session.git, session.folder
    why = "this clone lacks the commit"
    if git is not None and ensure_commit(session.world, git, commit):
        path, data = _find_folder(git, folder, commit)
        why = f"the folder had no {manifests.TENANT_FILE}"
        if data is not None:
            try:
                tenant = manifests.read_settings(data, manifests.TENANT_FILE)
            except ManifestError as error:
                why = str(error.problems[0])
            else:
                until = None if session.differing() else git.checked_out
                return replace(_read_claims(git, folder, commit, path, until), tenant=tenant)
    note = f"{manifests.TENANT_FILE} of the commit applied before ({commit[:12]}) cannot be read ({why}): the rules' default levels, no waiver and the default limits are used instead"
    plain = folder.tenant.model_copy(update={"spec": without_exceptions(folder.tenant.spec)})
    every = frozenset(each.place.file for each in folder.desired)
    return _Base(plain, changed=every, moved=True, notes=(note,))


def _find_folder(git: Git, folder: Folder, commit: str) -> tuple[Path, bytes | None]:
    """Find the folder with the tenant's platform at a commit, and its `tenant.yaml`. The folder may have had another name.

    If there was no such folder, return the current path and `None`.
    """
    own = worktree.read_at(git, commit, folder.path / manifests.TENANT_FILE)
    if own is not None and _names(own, folder.name, folder.platform):
        return folder.path, own
    for name, data in worktree.contents(git, commit, git.root, named=manifests.TENANT_FILE):
        path = (git.root / name).parent
        if _names(data, path.name, folder.platform):
            return path, data
    return folder.path, own


def _names(data: bytes, folder: str, platform: str) -> bool:
    """Return whether a `tenant.yaml` names a platform."""
    try:
        spec = manifests.read_settings(data, manifests.TENANT_FILE).spec
    except ManifestError:
        return False
    return platform_of(spec.api, spec.url, folder) == platform


def _read_claims(git: Git, folder: Folder, commit: str, path: Path, until: str | None) -> _Base:
    """Return the claims, at a commit, of the manifests that changed since. Unchanged ones are not read, because there may be thousands.

    Args:
        git: the repository.
        folder: the tenant's manifests now.
        commit: the commit.
        path: the folder at that commit. If it was renamed since, every manifest counts as changed.
        until: the commit that the folder is as; `None`: its files differ from HEAD. To compare two commits, git need not look at each file.
    """
    changed = worktree.changed_since(git, commit, folder.path, until)
    if path != folder.path:
        changed = (*changed, *(name for name, _ in worktree.contents(git, commit, path)))
    files = {
        name: manifests.shown(folder.path / name)
        for name in changed
        if name.lower().endswith((".yaml", ".yml"))
    }
    if folder.partial:
        files = {name: file for name, file in files.items() if file in folder.sources}
    files.pop(manifests.TENANT_FILE, None)
    found: list[Claim] = []
    notes: list[str] = []
    for name, data in worktree.contents(git, commit, path, files) if files else ():
        try:
            found += manifests.claims(data, files[name])
        except ManifestError as error:
            notes.append(
                f"what {files[name]} of the commit applied last cannot be read ({error.problems[0]}), so the rules that it set are unknown"
            )
    shown = {*files.values()}
    now = {_identity(each) for each in folder.desired if each.place.file in shown}
    moved = now != {_identity(each) for each in found}
    return _Base(claims=tuple(found), changed=frozenset(shown), moved=moved, notes=tuple(notes))


def _identity(claim: Claim) -> tuple[str, str, str | None]:
    return claim.key, claim.name, claim.platform_name
