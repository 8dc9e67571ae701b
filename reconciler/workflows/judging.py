"""Who judges a change: finds the base commit in the ledger, and its `tenant.yaml` in git."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from reconciler import audit, manifests
from reconciler.errors import ManifestError
from reconciler.git import Git
from reconciler.models import TenantSpec
from reconciler.plan import Judge, stricter, without_exceptions
from reconciler.workflows.keeping import origin_of
from reconciler.workflows.session import Session


def judge_of(session: Session, at: datetime) -> Judge:
    """Return what judges the change from the commit applied before HEAD to HEAD; HEAD itself where nothing was ever applied.

    HEAD's own apply does not make it the base of HEAD: else running the same apply twice would pass what it refused once. What lies
    uncommitted on a HEAD that was applied is the next change, and has HEAD for its base.

    Args:
        session: see `Session`.
        at: the platform's clock.

    Raises:
        Unavailable: the base commit is not here, and the remote does not give it.
    """
    git, ledger = session.git, session.ledger
    commits = audit.judged(ledger.records()) if ledger else ()
    if git is None or not commits:
        return _against(session, None, at)
    head = git.resolve("HEAD^{commit}")
    earlier = [commit for commit in commits if commit != head]
    judge = _against(session, earlier[-1] if earlier else None, at)
    if commits[-1] == head:
        following = _against(session, head, at)
        if following != judge and git.differing(session.folder.path):
            return following
    return replace(judge, recorded=head in commits)


def _against(session: Session, commit: str | None, at: datetime) -> Judge:
    folder, day = session.folder, at.astimezone(UTC).date()
    base, note = (folder.tenant.spec, "") if commit is None else _base(session, commit)
    judge = stricter(base, folder.tenant.spec, day)
    placed = (replace(each, place=folder.settings.place(each.loc)) for each in judge.weakenings)
    return replace(judge, weakenings=tuple(placed), note=note)


def _base(session: Session, commit: str) -> tuple[TenantSpec, str]:
    """Return what `tenant.yaml` said at a commit, and why that could not be had where it could not."""
    git = session.git
    if git is not None and _is_here(session, git, commit):
        data = git.file(commit, session.folder.path / manifests.TENANT_FILE)
        why = f"this folder has no {manifests.TENANT_FILE} there"
        if data is not None:
            try:
                return manifests.read_settings(data, manifests.TENANT_FILE).spec, ""
            except ManifestError as error:
                why = str(error.problems[0])
    else:
        why = "the commit is not here"
    note = f"what {manifests.TENANT_FILE} said at the commit applied before ({commit[:12]}) cannot be read ({why}): the rules' own levels, no waiver and the default limits count as its word"
    return without_exceptions(session.folder.tenant.spec), note


def _is_here(session: Session, git: Git, commit: str) -> bool:
    """Return whether a commit is in this clone, after asking the remote for it; without a remote nobody can be asked."""
    remote = origin_of(session.world, git)
    if remote is not None:
        git.bring(remote, commit)
    return git.resolve(f"{commit}^{{commit}}") is not None
