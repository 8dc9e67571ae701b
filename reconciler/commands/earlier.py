"""Which `tenant.yaml` a stop goes by: today's, or an earlier one in git where today's leads nowhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from reconciler import manifests
from reconciler.errors import AccessError, GitError
from reconciler.git import Git, worktree
from reconciler.manifests import Folder
from reconciler.models import Tenant
from reconciler.settings import check_url
from reconciler.world import World

COMMITS_LOOKED_AT: Final = 1000
"""Commits in which a right `tenant.yaml` is looked for when today's is wrong: read one by one, and no longer than until one is right."""


def folders(
    world: World, path: Path, tenant: str | None, refused: Sequence[AccessError]
) -> Iterator[tuple[Folder, list[str]]]:
    """Yield the tenant's folder by the newest `tenant.yaml` that fits the environment's URL, then by the newest with each other API.

    No setting of the environment says which API a platform speaks, so only the platform can refuse a wrong one.

    Args:
        world: see `World`.
        path: as `root` for `manifests.load_readable`.
        tenant: as there.
        refused: why the platform refused what was yielded so far; the caller adds to it.

    Yields:
        A folder, and what must be said of it.

    Raises:
        UsageError: no such tenant.
        ManifestError: `tenant.yaml` is wrong and was right in none of its last commits.
    """
    tried: set[str] = set()
    while True:
        contradictions: list[str] = []

        def fits(name: str, found: Tenant, said: list[str] = contradictions) -> bool:
            try:
                check_url(world.environ, name, found.spec.url)
            except AccessError as error:
                said.append(str(error))
                return False
            return found.spec.api not in tried

        folder = manifests.load_readable(
            path, tenant, older=lambda file: _before(file, world.environ), fits=fits
        )
        if folder.tenant.spec.api in tried:  # nothing fits: what came back is the newest again
            return
        remarks = []
        if folder.settings.file not in folder.sources:
            why = [*map(str, refused), *contradictions][:1]
            said = f" ({why[0]})" if why else ""
            remarks.append(
                f"{folder.path / manifests.TENANT_FILE} is wrong{said}, so {folder.settings.file} said where the platform is: correct the file"
            )
            world.progress(remarks[0])
        yield folder, remarks
        tried.add(folder.tenant.spec.api)


def _before(path: Path, environ: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield what a file said in its last commits: a slip in `tenant.yaml` must keep nobody from stopping."""
    with contextlib.suppress(GitError):
        git = Git.find(path.parent, environ=environ)
        for commit in worktree.commits_of(git, path, limit=COMMITS_LOOKED_AT) if git else ():
            data = worktree.read_at(git, commit, path) if git else None
            if data is not None:
                yield f"{path} at commit {commit[:12]}", data
