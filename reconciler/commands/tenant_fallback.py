"""Choose the `tenant.yaml` for an emergency stop: the current one, or an earlier version in git if the current one is unusable."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from reconciler import manifests
from reconciler.errors import AccessError, GitError, ReconcileError
from reconciler.git import Git, worktree
from reconciler.manifests import Folder
from reconciler.models import Tenant
from reconciler.settings import check_url
from reconciler.world import World

COMMITS_LOOKED_AT: Final = 1000
"""Most commits that are searched for a valid `tenant.yaml`. They are read one by one, newest first."""


def folders(
    world: World,
    path: Path,
    tenant: str | None,
    refused: Sequence[AccessError],
    mentioning: Collection[str] = (),
) -> Iterator[tuple[Folder, list[str]]]:
    """Yield the tenant's folder with the newest `tenant.yaml` that has the environment's URL, then with the newest one of each other API.

    The environment does not name the API, so a wrong API is only detected when the platform refuses the calls.

    Args:
        world: see `World`.
        path: as `root` of `manifests.load_readable`.
        tenant: as there.
        refused: why the platform refused the folders yielded so far. The caller adds to it.
        mentioning: as of `manifests.load_readable`.

    Yields:
        A folder, and notes for the report.

    Raises:
        UsageError: no such tenant.
        ManifestError: `tenant.yaml` is not valid, and neither is any of its last versions in git.
    """
    tried: set[str] = set()
    while True:
        contradictions: list[str] = []
        fits = partial(_fits, world.environ, tried, contradictions)
        folder = manifests.load_readable(
            path,
            tenant,
            older=lambda file: _older_versions(file, world.environ),
            fits=fits,
            mentioning=mentioning,
        )
        if folder.tenant.spec.api in tried:  # no version fits, and this is the newest again
            return
        notes = []
        if folder.settings.file not in folder.sources:
            why = [*map(str, refused), *contradictions][:1]
            said = f" ({why[0]})" if why else ""
            notes.append(
                f"{folder.path / manifests.TENANT_FILE} is invalid{said}, so the platform was taken from {folder.settings.file}: correct the file"
            )
            world.progress(notes[0])
        yield folder, notes
        tried.add(folder.tenant.spec.api)


def again(
    world: World, path: Path, tenant: str | None, mentioning: Collection[str]
) -> Folder | None:
    """Return the first folder of `folders` with other manifests, without progress; `None` if it cannot be read any more."""
    with contextlib.suppress(ReconcileError):
        found = folders(world._replace(progress=lambda _: None), path, tenant, (), mentioning)
        return next(found)[0]
    return None


def _fits(
    environ: Mapping[str, str], tried: set[str], contradictions: list[str], name: str, found: Tenant
) -> bool:
    """Return whether a `tenant.yaml` has the environment's URL and an untried API. If not, add the reason to `contradictions`."""
    try:
        check_url(environ, name, found.spec.url)
    except AccessError as error:
        contradictions.append(str(error))
        return False
    return found.spec.api not in tried


def _older_versions(path: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield a name and the content of each earlier version of a file, newest first; nothing where git fails."""
    with contextlib.suppress(GitError):
        git = Git.find(path.parent, environ=environ)
        for commit in worktree.commits_of(git, path, limit=COMMITS_LOOKED_AT) if git else ():
            data = worktree.read_at(git, commit, path) if git else None
            if data is not None:
                yield f"{path} at commit {commit[:12]}", data
