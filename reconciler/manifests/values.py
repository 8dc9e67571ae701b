"""A tenant's folder as a value."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeAlias

from reconciler.errors import UsageError
from reconciler.manifests.sources import Source
from reconciler.models import Desired, Tenant, platform_of

BlobIds: TypeAlias = tuple[str, str]
"""The ids that git gives to the bytes of a file: in a repository of SHA-1, and in one of SHA-256."""

_NAMES_SHOWN: Final = 8
"""Most names of manifests that an error lists."""


def blob_ids(data: bytes) -> BlobIds:
    """Return git's ids of a file's bytes, so that they can be compared with a commit without reading its files."""
    whole = b"blob %d\0%b" % (len(data), data)
    sha1 = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    return sha1, hashlib.sha256(whole).hexdigest()


@dataclass(frozen=True, slots=True)
class Folder:
    """A tenant's folder, loaded.

    Attributes:
        name: name of the tenant.
        path: the folder.
        tenant: its `tenant.yaml`.
        settings: the document of `tenant.yaml`, for places.
        desired: compiled manifests, sorted by key.
        sources: git's ids of each file that was read, including `tenant.yaml`, by its path as messages show it (`blob_ids`).
        partial: only a part of the folder was loaded, so a manifest that is missing here may still exist.
        invalid: the content of each file with an invalid manifest, by its path as messages show it (`load_readable`).
    """

    name: str
    path: Path
    tenant: Tenant
    settings: Source
    desired: tuple[Desired, ...]
    sources: Mapping[str, BlobIds]
    partial: bool = False
    invalid: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def platform(self) -> str:
        """Identity of the tenant's platform (`platform_of`), to which records, lock and idempotency keys belong."""
        return platform_of(self.tenant.spec.api, self.tenant.spec.url, self.name)

    @property
    def files(self) -> int:
        """Number of files that were read, including `tenant.yaml`."""
        return len(self.sources)

    @property
    def blobs(self) -> dict[str, BlobIds]:
        """Git's ids of each file that was read, by its path within the folder, with slashes."""
        return {
            os.path.relpath(file, self.path).replace(os.sep, "/"): ids
            for file, ids in self.sources.items()
        }

    def keys_of(self, names: tuple[str, ...]) -> frozenset[str] | None:
        """Return the keys of the manifests with these names; `None` (all of them) when there are no names.

        Raises:
            UsageError: no manifest has one of the names.
        """
        if not names:
            return None
        keys = {desired.name: desired.key for desired in self.desired}
        unknown = [name for name in names if name not in keys]
        if unknown:
            raise UsageError(
                f"tenant {self.name} has no manifest named {', '.join(unknown)}, nor is that a file or folder; {self._meant(unknown)}"
            )
        return frozenset(keys[name] for name in names)

    def _meant(self, unknown: Sequence[str]) -> str:
        """Return what to write instead of unknown names: the names of manifests with these ids, else similar names, else all names."""
        from difflib import get_close_matches  # noqa: PLC0415 - needed for mistakes only

        by_key = {each.key: each.name for each in self.desired}
        if ids := [name for name in unknown if name in by_key]:
            said = ", ".join(f"{key} is the id of {by_key[key]}" for key in ids)
            return f"{said}: write the manifest's name"
        names = sorted(by_key.values())
        near = [each for name in unknown for each in get_close_matches(name, names, n=1)]
        near += [str(self.path)] if self.name in unknown else []
        if near:
            return f"did you mean {', '.join(dict.fromkeys(near))}?"
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        return f"it has {', '.join(names[:_NAMES_SHOWN]) or 'none'}{more}"
