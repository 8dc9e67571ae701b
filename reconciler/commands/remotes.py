"""The git remote that holds audit records, and the commits that a shallow clone lacks."""

from __future__ import annotations

from typing import Final

from reconciler.errors import UsageError
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


def ensure_commit(world: World, git: Git, commit: str) -> bool:
    """Fetch a commit from the remote if this clone lacks it; return whether the clone has it.

    Raises:
        Unavailable: the remote does not answer.
    """
    remote = commit_remote(world, git)
    if remote is not None:
        git.fetch_commit(remote, commit)
    return has_commit(git, commit)


def has_commit(git: Git, commit: str) -> bool:
    """Return whether a commit is in this clone."""
    return git.resolve(f"{commit}^{{commit}}") is not None
