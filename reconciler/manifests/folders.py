"""Find tenant folders on disk, list their files and read them.

A pull request can commit a symbolic link to a secret of the machine that plans, or to manifests that nobody reviewed. So
links are not followed, neither below the path that the user named nor above it within its repository. Only regular files
are read.

A tenant's folder may hold manifests (`*.yaml`, `*.yml`), folders, notes for people (`*.md`, `*.txt`) and hidden files of an
editor or of git (`.gitattributes`, `.gitignore`, `.gitkeep`). Anything else is refused: a manifest with a typing error in
its file name would be ignored, and git could take files named like a repository's for one (`git/discovery.py`). A hidden file
that holds a manifest is refused for the same reason. Hidden folders are not looked into.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from reconciler.errors import ManifestError, Place, Problem, UsageError
from reconciler.manifests.characters import MAX_BYTES
from reconciler.models import TENANT_NAME

TENANT_FILE = "tenant.yaml"
USUAL = "schedules"
"""The folder of a repository that holds its tenants' folders; the default path."""

MAX_FILES = 20_000
_SUFFIXES = (".yaml", ".yml")
_NOTES = (".md", ".txt")
_GIT = ".git"
_GIT_FILES = frozenset({".gitattributes", ".gitignore", ".gitkeep"})
"""Files of git that may be committed: none of them says where a repository is."""

_REPOSITORY = frozenset(
    {"commondir", "config", "gitdir", "head", "hooks", "objects", "packed-refs", "refs", "shallow"}
)
"""Names in a git directory, in lower case."""

_LIKE_A_REPOSITORY = (
    "is named like a part of a git repository, and git could take this folder for one: remove it"
)
_NO_MANIFEST = (
    "is not a manifest: a tenant's folder holds *.yaml and *.yml, and for people *.md and *.txt;"
    " rename it, or move it elsewhere"
)
_HIDDEN = (
    "is a manifest in a hidden file, and hidden files are not applied: rename it to a name without the leading dot, or move it"
    " elsewhere"
)
_OURS = re.compile(rb"^apiVersion:[ \t]*[\"']?cxone\.reconciler/", re.MULTILINE)
"""What each manifest holds, and no file of an editor or of another program."""

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
        only: the file or folder within it that the user named; `None` for the whole folder.
    """

    name: str
    path: Path
    only: Path | None = None

    def __str__(self) -> str:
        return self.name


def find_tenants(path: Path) -> tuple[TenantFolder, ...]:
    """Return the tenants at a path, sorted by name.

    Args:
        path: a tenant's folder, a folder of tenants' folders, a repository with such a folder named `schedules`, or a file or
            folder within a tenant's folder.

    Raises:
        UsageError: the path does not exist.
        ManifestError: no tenant is there, a folder's name is not a tenant's, or the path contains a link.
    """
    if not path.exists():
        usual = Path(USUAL) / path
        meant = f": did you mean {usual}?" if usual.is_dir() else ""
        raise UsageError(f"there is no file or folder {path}{meant}")
    links = _links_above(path)
    if links:
        raise ManifestError(map(_link, links))
    above = _above(path)
    if above is not None:
        part = None if path in {above, above / TENANT_FILE} else path
        return (_tenant(above, part),)
    if not path.is_dir():
        raise _refusal(path, f"there is no {TENANT_FILE} in its folder or above")
    usual = path / USUAL
    is_usual = usual.is_dir() and not usual.is_symlink()
    # The rest of a repository may hold YAML of any kind.
    return _below(usual if is_usual and not os.path.lexists(usual / TENANT_FILE) else path)


def _links_above(path: Path) -> list[Path]:
    """Return the symbolic links in a path, from the top of its repository (or its tenant's folder) downwards.

    Links above the repository are allowed: they belong to the user, and no commit can change them.
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
    """Return the nearest folder at or above a path that holds `tenant.yaml`."""
    here = path if path.is_dir() else path.parent
    steps = (here, *here.parents) if here.is_absolute() or ".." not in here.parts else (here,)
    return next((folder for folder in steps if os.path.lexists(folder / TENANT_FILE)), None)


def _below(path: Path) -> tuple[TenantFolder, ...]:
    problems: list[Problem] = []
    loose: list[Problem] = []
    found: list[TenantFolder] = []
    ours = path.absolute().name == USUAL  # any other folder may hold unrelated files
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
            loose.append(_problem(here, "stands in no tenant's folder: move it into one"))
    if loose and not (ours or found or problems):
        loose = [_problem(path, _without_tenant(path))]  # one cause, however many files
    problems += loose
    if problems:
        raise ManifestError(problems)
    if not found:
        raise _refusal(path, _NO_TENANTS)
    return tuple(found)


def _add(folder: Path, found: list[TenantFolder], *, ours: bool) -> list[Problem]:
    """Add a folder if it is a tenant's, and return its problems. A folder without YAML is ignored."""
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
    """Return the manifest files of a tenant, sorted, without `tenant.yaml`, and a problem for each file that may not be there."""
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
    if not os.path.isdir(path):  # noqa: PTH112 - text: ten thousand Path objects cost more than reading the files
        yield show(path)
        return
    # A tenant's folder may be the top of its repository. A `.git` below it belongs to another repository.
    is_top = all(os.path.lexists(os.path.join(path, name)) for name in (_GIT, TENANT_FILE))  # noqa: PTH118 - texts
    for entry in _scan(path):
        if _is_hidden(entry.name):
            problems += _hidden_manifest(entry)
        elif entry.is_symlink():
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
    """Return why an entry is not allowed in a folder of manifests; `None` when it is allowed."""
    name = entry.name.lower()
    if name in _REPOSITORY or name.startswith(_GIT):
        return _problem(entry.path, _LIKE_A_REPOSITORY)
    if entry.is_dir() or name.endswith((*_SUFFIXES, *_NOTES)):
        return None
    return _problem(entry.path, _NO_MANIFEST)


def _hidden_manifest(entry: os.DirEntry[str]) -> list[Problem]:
    """Return the problem of a hidden file that holds a manifest: it would never be applied, and nobody would be told."""
    if not entry.name.lower().endswith(_SUFFIXES) or not entry.is_file(follow_symlinks=False):
        return []
    try:
        return [_problem(entry.path, _HIDDEN)] if _OURS.search(read_file(entry.path)) else []
    except ManifestError:
        return []


def _entries(path: Path | str) -> list[os.DirEntry[str]]:
    """Return the entries of a folder, by name, without hidden ones, which belong to editors. Those of a repository are kept."""
    return [entry for entry in _scan(path) if not _is_hidden(entry.name)]


def _scan(path: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise _refusal(path, f"cannot be read: {error.strerror}") from None


def is_manifest(path: str) -> bool:
    """Return whether a path within a tenant's folder, with slashes, is that of a manifest: its ending says so, and no part of it is hidden."""
    hidden = any(part.startswith(".") for part in path.split("/"))
    return path.lower().endswith(_SUFFIXES) and not hidden


def _is_hidden(name: str) -> bool:
    return name.startswith(".") and (name in _GIT_FILES or not name.lower().startswith(_GIT))


def read_file(path: str) -> bytes:
    """Return a manifest file's bytes.

    Raises:
        ManifestError: a link, not a regular file, or not readable.
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
            raise _refusal(path, "is not a regular file: replace it with one")
        return _all(descriptor, min(status.st_size, MAX_BYTES) + 1)
    finally:
        os.close(descriptor)


def _all(descriptor: int, size: int) -> bytes:
    """Read up to `size` bytes. Callers pass the expected size plus one, so that they notice a file that grew.

    A read that returns one byte less than it was asked for has reached the end of the file, as expected.
    """
    data = os.read(descriptor, size)
    while 0 < len(data) < size - 1 and (more := os.read(descriptor, size - len(data))):
        data += more
    return data


def _link(path: Path | str) -> Problem:
    return _problem(path, "is a link, and links are not followed: put the file itself here")


def _problem(path: Path | str, text: str) -> Problem:
    return Problem(Place(show(path)), text)


def no_manifests_of(tenant: TenantFolder) -> Problem:
    """Return the problem of a tenant's folder, or the named part of it, without manifests."""
    command = f"reconcile import {shlex.quote(show(tenant.path))}"
    text = f"no manifests: add one, or take over what the platform holds with `{command}`"
    return _problem(tenant.only or tenant.path, text)


def _refusal(path: Path | str, text: str) -> ManifestError:
    return ManifestError([_problem(path, text)])


def show(path: Path | str) -> str:
    """Return a path as messages show it: as the user wrote it, without a leading ``./``."""
    return os.fspath(path).removeprefix("./")
