"""The git remote that holds audit records, and the commits that a shallow clone lacks."""

from __future__ import annotations

import contextlib
from typing import Final

from reconciler.errors import Unavailable, UsageError
from reconciler.git import Git
from reconciler.world import World

ORIGIN: Final = "origin"
"""The remote that is used when none is named."""


def ledger_remote(world: World, git: Git) -> str | None:
    """Return the remote that holds the records: `--remote`, else `origin`; `None` where the repository has no remote.

    Raises:
        UsageError: the named remote does not exist, or there are remotes and none is `origin`.
    """
    remotes = git.remotes()
    if (world.remote or ORIGIN) in remotes:
        return world.remote or ORIGIN
    has = f"this repository has {', '.join(remotes) or 'none'}"
    if world.remote is not None:
        raise UsageError(f"there is no git remote {world.remote!r}; {has}")
    if remotes:
        raise UsageError(
            f"there is no git remote {ORIGIN!r}, and {has}: name the one that keeps the audit records with --remote"
        )
    return None


def commit_remote(world: World, git: Git) -> str | None:
    """Return the remote to fetch missing commits from: `--remote`, else `origin`; `None` where there is no remote of that name.

    A tenant with an embedded platform may need it as well: its ledger stays in this clone, but its manifests have a history.
    """
    name = world.remote or ORIGIN
    return name if name in git.remotes() else None


def descends(world: World, git: Git, older: str, newer: str) -> bool:
    """Return whether `newer` is `older` or descends from it. If a shallow clone cannot tell, its history is fetched first.

    The shallow boundary decides whether to fetch, not an absent commit: a partial clone (`--filter`) fetches the commit itself as soon
    as git is asked for it, and the history between the two is still cut off.

    Args:
        world: see `World`.
        git: the repository.
        older: may be absent in this clone.
        newer: a commit of this clone.

    Raises:
        Unavailable: the history is cut off, and no remote continues it.
    """
    if git.holds(newer, older):
        return True
    if not git.cut_off(newer):
        return False
    remote = commit_remote(world, git)
    if remote is not None:
        if _deepened(world, git, remote, older, newer):
            return True
        git.unshallow(remote, newer)
    if git.cut_off(newer):
        source = f"the git remote {remote}" if remote else "a git remote named origin"
        raise Unavailable(
            f"this clone is shallow, and {source} does not hold the rest of its history, so it is unknown whether {newer[:12]} descends from"
            f" {older[:12]}: run git fetch --unshallow from a complete repository"
        )
    return git.holds(newer, older)


def _deepened(world: World, git: Git, remote: str, older: str, newer: str) -> bool:
    """Return whether `newer` descends from `older` by the history since `older` alone, which is fetched first.

    Only the whole history tells that `newer` does not descend from `older`, because a commit may be dated earlier than its parent.
    It is also needed where a branch that was merged since then began before `older`.
    """
    with contextlib.suppress(Unavailable):
        if ensure_commit(world, git, older):
            git.deepen(remote, newer, older)
    return git.holds(newer, older) and not git.cut_off(newer, older)


def ensure_commit(world: World, git: Git, commit: str) -> bool:
    """Fetch a commit from the remote if this clone lacks it; return whether the clone has it. The remote may lack it too.

    Into a shallow clone, the commit is fetched without its history.

    Raises:
        Unavailable: the remote does not answer.
    """
    if has_commit(git, commit):
        return True
    remote = commit_remote(world, git)
    if remote is None:
        return False
    git.fetch_commit(remote, commit)
    return has_commit(git, commit)


def has_commit(git: Git, commit: str) -> bool:
    """Return whether a commit is in this clone."""
    return git.resolve(f"{commit}^{{commit}}") is not None
