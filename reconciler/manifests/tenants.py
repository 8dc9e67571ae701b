"""Read a folder's `tenant.yaml`, and check that no other folder claims the same platform.

Ledger, lock and holds belong to the platform. Two folders for one platform would undo each other's schedules in turn.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from reconciler.errors import ManifestError, Place, Problem
from reconciler.manifests.folders import TENANT_FILE, TenantFolder, read_file, show
from reconciler.manifests.reader import Document, read
from reconciler.manifests.sources import Source, validate
from reconciler.models import EMBEDDED, Tenant, platform_of


def load_settings(where: TenantFolder) -> Tenant:
    """Return a folder's `tenant.yaml`, whether or not its manifests are valid.

    Raises:
        ManifestError: everything that is wrong with the file.
    """
    file = show(where.path / TENANT_FILE)
    return read_settings(read_file(file), file)


def read_settings(data: bytes, file: str) -> Tenant:
    """Return a `tenant.yaml` from its bytes.

    Args:
        data: the bytes of the current file or of an older one.
        file: its name in messages.

    Raises:
        ManifestError: everything that is wrong with them.
    """
    return validate(Tenant, settings_in(data, file))


def settings_in(data: bytes, file: str) -> Source:
    """Return the only document of a `tenant.yaml`, not yet validated."""
    return Source(file, _the_only(read(data, file, keep_places=True), file))


def _the_only(documents: tuple[Document, ...], file: str) -> Document:
    if len(documents) != 1:
        text = f"must hold one document, of kind Tenant, and holds {len(documents)}"
        raise ManifestError([Problem(Place(file), text)])
    return documents[0]


def claimed_twice(where: TenantFolder, tenant: Tenant, settings: Source) -> Iterator[Problem]:
    """Yield a problem for each sibling folder that claims the same platform as a tenant. Embedded platforms are never shared.

    Args:
        where: the tenant's folder.
        tenant: its `tenant.yaml`.
        settings: the document of its `tenant.yaml`, for places.
    """
    if tenant.spec.url == EMBEDDED:
        return
    platform = platform_of(tenant.spec.api, tenant.spec.url, where.name)
    for file in _beside(where):
        with suppress(
            ManifestError
        ):  # an invalid `tenant.yaml` claims nothing: no command acts on it
            data = read_file(show(file))
            if _may_name(data, platform):
                other = read_settings(data, show(file)).spec
                if platform_of(other.api, other.url, file.parent.name) == platform:
                    yield clash(settings, platform, file)


def clash(settings: Source, platform: str, other: Path) -> Problem:
    """Return the problem of a `tenant.yaml` whose platform another file claims, too."""
    text = (
        f"claims the platform {platform}, and so does {show(other)}: keep the manifests of one platform"
        " in one folder, and delete the other folder"
    )
    return Problem(settings.place(("spec", "url")), text)


def _beside(where: TenantFolder) -> Iterator[Path]:
    """Yield the `tenant.yaml` of each folder beside a tenant's; none if the folder is the top of its repository."""
    if os.path.lexists(where.path / ".git"):
        return
    own = where.path.name not in {"", ".."}
    parent = where.path.parent if own else Path(os.path.abspath(where.path)).parent  # noqa: PTH100 - as folders are named: links stay
    with suppress(OSError), os.scandir(parent) as entries:
        names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        for name in names:
            if name != where.name and os.path.lexists(parent / name / TENANT_FILE):
                yield parent / name / TENANT_FILE


def _may_name(data: bytes, platform: str) -> bool:
    """Return whether a `tenant.yaml` may name a platform, without parsing it: its text has the host, or an escape sequence that may hide it."""
    host = platform.partition("/")[2].partition("_")[0]
    return host == "localhost" or host.encode() in data or b"\\" in data
