"""Tenant folders on disk: which there are, which files they hold, and their bytes.

Links are never followed below the path that the user named, and only regular files are read: a pull request can put a
link into a folder, and what it points at may be a secret of the machine that plans.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from reconciler.errors import ManifestError, Place, Problem, UsageError
from reconciler.manifests.reader import MAX_BYTES
from reconciler.models import TENANT_NAME

TENANT_FILE = "tenant.yaml"
USUAL = "schedules"
"""The folder of a repository that holds its tenants' folders; where nothing else is named, it is meant."""

MAX_FILES = 20_000
_SUFFIXES = (".yaml", ".yml")
_NAMING = "a tenant's folder is named by 1 to 40 lower-case letters, digits and hyphens: rename it"
_NO_TENANTS = (
    "no manifests: name a tenant's folder (it holds tenant.yaml), or a folder of such folders"
)


class TenantFolder(NamedTuple):
    """A folder that holds `tenant.yaml`.

    Attributes:
        name: the folder's name, which is the tenant's.
        path: the folder, as the user named it.
        only: the one file or folder within it that was named; `None` for all of it.
    """

    name: str
    path: Path
    only: Path | None = None

    def __str__(self) -> str:
        return self.name


def find_tenants(path: Path) -> tuple[TenantFolder, ...]:
    """Return the tenants at a path, sorted by name.

    Args:
        path: a tenant's folder, a folder of such folders, a repository that holds such a one as `schedules`, or a file or folder within a
            tenant's folder.

    Raises:
        UsageError: there is nothing at the path.
        ManifestError: no tenant is there, or a folder is not named as tenants are.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    above = _above(path)
    if above is not None:
        part = None if path in {above, above / TENANT_FILE} else path
        return (_tenant(above, part),)
    if not path.is_dir():
        raise _refusal(path, f"no {TENANT_FILE} stands beside it or above it")
    usual = path / USUAL
    is_usual = usual.is_dir() and not usual.is_symlink()
    # In a repository stands YAML of many kinds beside it.
    return _below(usual if is_usual and not os.path.lexists(usual / TENANT_FILE) else path)


def _above(path: Path) -> Path | None:
    """Return the nearest folder from a path upwards that holds `tenant.yaml`."""
    here = path if path.is_dir() else path.parent
    steps = (here, *here.parents) if here.is_absolute() or ".." not in here.parts else (here,)
    return next((folder for folder in steps if os.path.lexists(folder / TENANT_FILE)), None)


def _below(path: Path) -> tuple[TenantFolder, ...]:
    problems: list[Problem] = []
    found: list[TenantFolder] = []
    for entry in _entries(path):
        here = path / entry.name
        if entry.is_symlink():
            problems.append(_link(here))
        elif entry.is_dir():
            problems += _add(here, found)
        elif entry.name.lower().endswith(_SUFFIXES):
            problems.append(_problem(here, "stands in no tenant's folder: move it into one"))
    if problems:
        raise ManifestError(problems)
    if not found:
        raise _refusal(path, _NO_TENANTS)
    return tuple(found)


def _add(folder: Path, found: list[TenantFolder]) -> list[Problem]:
    """Add a folder when it is a tenant's; a folder that holds no YAML at all is none of ours."""
    try:
        if os.path.lexists(folder / TENANT_FILE):
            found.append(_tenant(folder, None))
        elif next(_files(folder, []), None):
            return [_problem(folder, _without_tenant(folder))]
    except ManifestError as error:
        return list(error.problems)
    return []


def _without_tenant(folder: Path) -> str:
    if any(os.path.lexists(Path(entry.path) / TENANT_FILE) for entry in _entries(folder)):
        return "holds the folders of tenants: name this folder itself"
    return f"holds manifests but no {TENANT_FILE}: add one"


def _tenant(folder: Path, only: Path | None) -> TenantFolder:
    name = Path(os.path.abspath(folder)).name  # noqa: PTH100 - `.` and `..` have a name too; links stay
    if TENANT_NAME.fullmatch(name) is None:
        raise _refusal(folder, _NAMING)
    for named in (folder, only):
        if named is not None and named.is_symlink():
            raise ManifestError([_link(named)])
    return TenantFolder(name, folder, only)


def list_files(tenant: TenantFolder) -> tuple[list[str], list[Problem]]:
    """Return the manifest files of a tenant, sorted, without `tenant.yaml`, and what may not be there."""
    problems: list[Problem] = []
    own = show(tenant.path / TENANT_FILE)
    found = (file for file in _files(tenant.only or tenant.path, problems) if file != own)
    files = sorted(islice(found, MAX_FILES + 1))
    if len(files) > MAX_FILES:
        text = f"holds more than {MAX_FILES} files: join some, a file may hold many documents"
        problems.append(_problem(tenant.path, text))
    return files[:MAX_FILES], problems


def _files(path: Path | str, problems: list[Problem]) -> Iterator[str]:
    """Yield every manifest file at or below a path."""
    if not os.path.isdir(path):  # noqa: PTH112 - texts, not paths: ten thousand of these objects cost more than the reads
        yield show(path)
        return
    for entry in _entries(path):
        if entry.is_symlink():
            problems.append(_link(entry.path))
        elif entry.is_dir():
            yield from _files(entry.path, problems)
        elif entry.name.lower().endswith(_SUFFIXES):
            yield show(entry.path)


def _entries(path: Path | str) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name; hidden names are an editor's own and are left out."""
    try:
        with os.scandir(path) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from None
    return sorted(shown, key=lambda entry: entry.name)


def read_file(path: str) -> bytes:
    """Return a manifest file's bytes.

    Raises:
        ManifestError: a link, no regular file, too large, or not readable.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(path):  # noqa: PTH114 - a text
            raise ManifestError([_link(path)]) from None
        raise _refusal(path, f"cannot be read: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refusal(path, "is no regular file: replace it by one")
        return _all(descriptor, min(status.st_size, MAX_BYTES) + 1)
    finally:
        os.close(descriptor)


def _all(descriptor: int, size: int) -> bytes:
    """Return up to `size` bytes: one more than the file should have, so that growth shows."""
    data = os.read(descriptor, size)
    while 0 < len(data) < size and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _link(path: Path | str) -> Problem:
    return _problem(path, "is a link, and links are not followed: put the file itself here")


def _problem(path: Path | str, text: str) -> Problem:
    return Problem(Place(show(path)), text)


def no_manifests_of(tenant: TenantFolder) -> Problem:
    """Return what is said of a tenant whose folder, or the part of it that was named, holds no manifest."""
    command = f"reconcile import {shlex.quote(show(tenant.path))}"
    text = f"no manifests: add one, or take over what the platform holds with `{command}`"
    return _problem(tenant.only or tenant.path, text)


def _refusal(path: Path | str, text: str) -> ManifestError:
    return ManifestError([_problem(path, text)])


def show(path: Path | str) -> str:
    """Return a path as messages name it: as the user gave it, without a leading ``./``."""
    return os.fspath(path).removeprefix("./")
