"""The reasons for which `apply` refuses a commit as a whole. `plan` shows all of them, and exits like the apply; `apply` raises the first.

They concern git and the ledger, not the platform: is the folder committed, are the files the commit's, does HEAD descend from the commit
applied last, does the mirror branch permit an apply. Rules and limits judge single operations, and are part of the plan.

A held lock and a missing signing key are notes of a plan, not refusals, because the apply may run later or on another machine. A job that
plans a pull request has no key, and no reason to wait for a lock.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

from reconciler.commands import ledgers
from reconciler.commands.ledgers import TenantLedger
from reconciler.commands.remotes import descends, ensure_commit, has_commit
from reconciler.commands.session import Session
from reconciler.errors import (
    AccessError,
    GitError,
    ReconcileError,
    Refused,
    Unavailable,
    UsageError,
    safe,
)
from reconciler.git import Git, worktree
from reconciler.manifests import Folder

_SHOWN = 5
"""Most files that one message names."""


@dataclass(frozen=True, slots=True)
class Standing:
    """HEAD and the tenant's folder, compared with the ledger.

    Attributes:
        commit: HEAD; `None` if there is no repository, or no commit.
        last: the commit applied last; `None` if nothing was ever applied.
        errors: every reason for which `apply` refuses, in the order in which it would find them.
        differing: paths in which the folder differs from HEAD.
        newer: `last`, if it descends from HEAD. Then one of the errors says so.
        passed_over: the commits after `last` and before HEAD, oldest first. They were never applied themselves.
        accepted: `last`, if HEAD does not descend from it and the caller accepts that.
        history: sentences about the accepted history; the first says from what to what. Empty unless `accepted`.
        notes: other sentences for the report.
    """

    commit: str | None = None
    last: str | None = None
    errors: tuple[ReconcileError, ...] = ()
    differing: tuple[str, ...] = ()
    newer: str | None = None
    passed_over: tuple[str, ...] = ()
    accepted: str | None = None
    history: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def require(self) -> None:
        """Raise the first reason, if there is one.

        Raises:
            Refused, LedgerError, GitError: see `look`.
        """
        if self.errors:
            raise self.errors[0]


def look(session: Session, accept: str | None = None) -> Standing:
    """Compare HEAD with the ledger, and collect every reason for which `apply` refuses it.

    Args:
        session: see `Session`.
        accept: why HEAD need not descend from the commit applied last (`--accept-history`); `None`: it must.

    Raises:
        UsageError: the reason is empty.
        Unavailable: this clone's history is cut off, and the remote does not answer.
    """
    if accept is not None and not accept.strip():
        raise UsageError("--accept-history is empty: say why history was rewritten")
    kept = session.kept
    if kept is None:
        absent = f"{session.folder.path} is not in a git repository, and apply records its work in git: commit the manifests to a repository"
        return Standing(errors=(GitError(absent),))
    differing = session.differing()
    commit, last = kept.git.checked_out, kept.ledger.last_applied()
    found: list[ReconcileError | None] = [_uncommitted(differing), kept.ledger.objection]
    if commit is not None and not differing:
        found.append(_converted(kept.git, commit, session.folder))
    errors = tuple(error for error in found if error is not None)
    return _judge_history(session, kept, Standing(commit, last, errors, differing), accept)


def again(session: Session, before: Standing, accept: str | None = None) -> Standing:
    """Compare HEAD with the ledger again, under the lock: another run may have applied a commit since `before`.

    Raises:
        Unavailable: see `look`.
    """
    kept = session.kept
    last = kept.ledger.last_applied() if kept else None
    if kept is None or last == before.last:
        return before
    return _judge_history(session, kept, Standing(before.commit, last), accept)


def local_notes(session: Session) -> tuple[str, ...]:
    """Return notes on what would keep an apply on this machine, or now, from starting: no signing key, a held lock."""
    kept, world = session.kept, session.world
    if kept is None:
        return ()
    notes = []
    try:
        ledgers.require_key(world, kept.trust.spec)
    except AccessError as error:
        notes.append(f"an apply on this machine would stop (exit {error.exit_code}): {error}")
    lock = kept.ledger.lock.seen()
    if lock is not None:
        notes.append(f"an apply would have to wait: {safe(lock.holder)} holds the tenant's lock")
    return tuple(notes)


def _uncommitted(differing: tuple[str, ...]) -> Refused | None:
    if not differing:
        return None
    more = f" and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
    return Refused(
        f"the tenant's folder differs from HEAD ({', '.join(differing[:_SHOWN])}{more}): commit or undo that first, so that what is applied is what was reviewed"
    )


def _converted(git: Git, commit: str, folder: Folder) -> Refused | None:
    """Compare the files that were read with those of a commit, byte for byte.

    `git status` is not enough: it compares the files as they are on disk now, after git converted line ends and applied filters. The
    manifests were read earlier. Files that were not read do not matter, because the absence of a manifest deletes nothing.
    """
    held = worktree.blobs(git, commit, folder.path)
    other = sorted(path for path, ids in folder.blobs.items() if held.get(path) not in ids)
    if not other:
        return None
    return Refused(
        f"the files read from {folder.path} differ from the commit ({', '.join(map(safe, other[:_SHOWN]))}): either they changed meanwhile, or git converts"
        " these files (line ends, filters); switch that off with `* -text -filter -ident` in their folder's .gitattributes, check out again, and apply again"
    )


def _judge_history(
    session: Session, kept: TenantLedger, standing: Standing, accept: str | None
) -> Standing:
    """Add whether HEAD descends from the commit applied last, and the commits between the two."""
    git, head, last = kept.git, standing.commit, standing.last
    if head is None:
        return standing
    if last is None or last == head or descends(session.world, git, last, head):
        notes = () if accept is None else (_NEEDLESS,)
        between = last is not None and last != head
        passed = (
            worktree.commits_between(git, str(last), head, session.folder.path) if between else ()
        )
        return replace(standing, passed_over=passed, notes=notes)
    known = _fetch(session, git, last)
    if known and _descends(session, git, head, last):
        return replace(standing, newer=last, errors=(*standing.errors, _older(head, last)))
    if accept is None:
        error = _diverged(head, last, git.branches_with(last) if known else None)
        return replace(standing, errors=(*standing.errors, error))
    note = f"history accepted: HEAD ({head[:12]}) does not descend from the commit applied last ({last[:12]}): {safe(accept)}"
    lost = f"{last[:12]} is neither here nor on the remote, so nobody can see what HEAD takes back of it"
    return replace(standing, accepted=last, history=(note,) if known else (note, lost))


def _descends(session: Session, git: Git, older: str, newer: str) -> bool:
    """Return whether `newer` is known to descend from `older`."""
    with contextlib.suppress(Unavailable):
        return descends(session.world, git, older, newer)
    return False


def _fetch(session: Session, git: Git, commit: str) -> bool:
    """Return whether this clone has a commit, which may have been pushed after this clone was made."""
    with contextlib.suppress(Unavailable):
        return ensure_commit(session.world, git, commit)
    return has_commit(git, commit)


_NEEDLESS = "--accept-history has no effect: HEAD descends from the commit applied last"


def _older(head: str, last: str) -> Refused:
    return Refused(
        f"HEAD ({head[:12]}) is older than the commit applied last ({last[:12]}), so applying it would go back: check out the newest commit; to go"
        " back, revert in git, and apply the new commit"
    )


def _diverged(head: str, last: str, branches: tuple[str, ...] | None) -> Refused:
    """Return the refusal of a commit that does not descend from the commit applied last.

    Args:
        head: the commit.
        last: the commit applied last.
        branches: the branches known here that hold `last`; `None` if neither this clone nor the remote has that commit.
    """
    begin = f"HEAD ({head[:12]}) does not descend from the commit applied last ({last[:12]}), so applying it would go back"
    accept = "after a review of what HEAD changes, apply with --accept-history REASON"
    if branches is None:
        return Refused(
            f"{begin}. Neither this clone nor the remote has that commit: history was rewritten (amend, rebase, squash, force push). If that"
            f" was meant, {accept}; else look for a clone that has it"
        )
    if not branches:
        return Refused(
            f"{begin}. No branch known here holds that commit: history was rewritten (amend, rebase, squash, force push), or this clone does"
            f" not know the branch. If HEAD only lacks it, update the branch: git merge {last[:12]}. If history was rewritten on purpose,"
            f" {accept}"
        )
    named = ", ".join(map(safe, branches[:_SHOWN]))
    return Refused(
        f"{begin}. That commit is on {named}: update the branch (git merge {last[:12]}), and plan again. If HEAD holds its changes under other"
        f" commits (a squash merge, a rebase), {accept}"
    )
