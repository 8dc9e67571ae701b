"""Tenant folders on disk: which there are, which files they hold, and their bytes.

A pull request can commit a link, and what it points at may be a secret of the machine that plans, or manifests that nobody
reviewed. So links are followed neither below the path that the user named nor above it within its repository, and only
regular files are read.

A tenant's folder holds manifests (`*.yaml`, `*.yml`), folders, notes for people (`*.md`, `*.txt`) and hidden files that are
an editor's or git's (`.gitattributes`, `.gitignore`, `.gitkeep`). Anything else is refused: a manifest with a slip in its
name would dial nothing, and files named like those of a repository could be taken for one (`git/discovery.py`).
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reconciler.errors import ManifestError, Place, Problem, UsageError
from reconciler.manifests.reader import MAX_BYTES
from reconciler.models import TENANT_NAME

TENANT_FILE = "tenant.yaml"
USUAL = "schedules"
"""The folder of a repository that holds its tenants' folders; where nothing else is named, it is meant."""

MAX_FILES = 20_000
_SUFFIXES = (".yaml", ".yml")
_NOTES = (".md", ".txt")
_GIT = ".git"
_GIT_FILES = frozenset({".gitattributes", ".gitignore", ".gitkeep"})
"""Committed files of git's that say nothing of where a repository is."""

_REPOSITORY = frozenset(
    {"commondir", "config", "gitdir", "head", "hooks", "objects", "packed-refs", "refs", "shallow"}
)
"""What stands in a git directory, in lower case."""

_LIKE_A_REPOSITORY = (
    "is named like a part of a git repository, and git could take this folder for one: remove it"
)
_NO_MANIFEST = (
    "is no manifest: a tenant's folder holds *.yaml and *.yml, and for people *.md and *.txt;"
    " rename it, or move it elsewhere"
)
_NAMING = "a tenant's folder is named by 1 to 40 lower-case letters, digits and hyphens: rename it"
_NO_TENANTS = (
    "no manifests: name a tenant's folder (it holds tenant.yaml), or a folder of such folders"
)


@dataclass(frozen=True, slots=True)
class TenantFolder:
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
        ManifestError: no tenant is there, a folder is not named as tenants are, or the path leads over a link.
    """
    if not path.exists():
        raise UsageError(f"there is no file or folder {path}")
    links = _links_above(path)
    if links:
        raise ManifestError(map(_link, links))
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


def _links_above(path: Path) -> list[Path]:
    """Return the links on the way to a path, from the top of its repository (or its tenant's folder) downwards.

    A link above the repository is the user's own, and no commit holds it.
    """
    here = Path.cwd()
    beyond = () if path.is_absolute() else (here, *here.parents)
    seen: list[Path] = []
    refused: list[Path] = []
    for folder in (path, *path.parents, *beyond):
        if any(os.path.lexists(folder / name) for name in (_GIT, TENANT_FILE)):
            refused = list(seen)
        if folder.is_symlink():
            seen.append(folder)
    return refused


def _above(path: Path) -> Path | None:
    """Return the nearest folder from a path upwards that holds `tenant.yaml`."""
    here = path if path.is_dir() else path.parent
    steps = (here, *here.parents) if here.is_absolute() or ".." not in here.parts else (here,)
    return next((folder for folder in steps if os.path.lexists(folder / TENANT_FILE)), None)


def _below(path: Path) -> tuple[TenantFolder, ...]:
    problems: list[Problem] = []
    found: list[TenantFolder] = []
    ours = path.absolute().name == USUAL  # any other may hold what a repository holds
    for entry in _entries(path):
        here = path / entry.name
        foreign = _foreign(entry)
        if entry.is_symlink():
            problems.append(_link(here))
        elif foreign is not None:
            problems += [foreign] if ours else []
        elif entry.is_dir():
            problems += _add(here, found, ours=ours)
        elif entry.name.lower().endswith(_SUFFIXES):
            problems.append(_problem(here, "stands in no tenant's folder: move it into one"))
    if problems:
        raise ManifestError(problems)
    if not found:
        raise _refusal(path, _NO_TENANTS)
    return tuple(found)


def _add(folder: Path, found: list[TenantFolder], *, ours: bool) -> list[Problem]:
    """Add a folder when it is a tenant's; a folder that holds no YAML at all is none of ours."""
    problems: list[Problem] = []
    try:
        if os.path.lexists(folder / TENANT_FILE):
            found.append(_tenant(folder, None))
        elif next(_files(folder, problems), None):
            return [_problem(folder, _without_tenant(folder))]
    except ManifestError as error:
        return list(error.problems)
    return problems if ours else []


def _without_tenant(folder: Path) -> str:
    if any(os.path.lexists(Path(entry.path) / TENANT_FILE) for entry in _entries(folder)):
        return "holds the folders of tenants: name this folder itself"
    return f"holds manifests but no {TENANT_FILE}: add one"


def _tenant(folder: Path, only: Path | None) -> TenantFolder:
    name = Path(os.path.abspath(folder)).name  # noqa: PTH100 - `.` and `..` have a name too; links stay
    if TENANT_NAME.fullmatch(name) is None:
        raise _refusal(folder, _NAMING)
    if folder.is_symlink():
        raise ManifestError([_link(folder)])
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
    # A tenant's folder may be the top of its repository; below it a `.git` is another one's.
    is_top = all(os.path.lexists(os.path.join(path, name)) for name in (_GIT, TENANT_FILE))  # noqa: PTH118 - texts
    for entry in _entries(path):
        if entry.is_symlink():
            problems.append(_link(entry.path))
        elif is_top and entry.name.startswith(_GIT):
            continue
        elif entry.name.lower().endswith(_SUFFIXES) and not entry.is_dir():
            yield show(entry.path)
        elif (foreign := _foreign(entry)) is not None:
            problems.append(foreign)
        elif entry.is_dir():
            yield from _files(entry.path, problems)


def _foreign(entry: os.DirEntry[str]) -> Problem | None:
    """Return why an entry may not stand among manifests; `None` when it may."""
    name = entry.name.lower()
    if name in _REPOSITORY or name.startswith(_GIT):
        return _problem(entry.path, _LIKE_A_REPOSITORY)
    if entry.is_dir() or name.endswith((*_SUFFIXES, *_NOTES)):
        return None
    return _problem(entry.path, _NO_MANIFEST)


def _entries(path: Path | str) -> list[os.DirEntry[str]]:
    """Return what a folder holds, by name; hidden names are an editor's own and are left out, but for a repository's."""
    try:
        with os.scandir(path) as entries:
            shown = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from None
    return sorted(shown, key=lambda entry: entry.name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and (name in _GIT_FILES or not name.lower().startswith(_GIT))


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
