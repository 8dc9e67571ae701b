"""Files of the work tree: differences from a commit, and contents at a commit."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from pathlib import Path
from threading import Lock
from typing import Final

from reconciler.errors import GitError, safe
from reconciler.git.repository import Git
from reconciler.git.values import object_id, status_name

FILE_LIMIT: Final = 1 << 20
"""Largest file that is read from a commit, in bytes: four times the limit of a manifest."""

_BATCH: Final = 500
"""Files whose bytes are held at the same time."""

_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_MANIFEST_SUFFIXES: Final = (".yaml", ".yml")


def differences(git: Git, folder: Path) -> tuple[str, ...]:
    """Return each path in which a folder of the work tree differs from HEAD, with the reason, sorted.

    Changed, staged, missing and untracked files count. An ignored file counts if its name is that of a manifest. A file
    that git was told not to look at (`assume-unchanged`, `skip-worktree`, sparse checkouts) always counts.

    Raises:
        GitError: the folder is not in this work tree.
    """
    inside = _inside(git, folder)
    status = git.text(
        *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"),
        *("--ignored=traditional", "--ignore-submodules=none", "--", inside),
    )
    found = {
        f"{safe(line[3:])} ({status_name(line[:2])})"
        for line in filter(None, status.split("\0"))
        if line[:2] != "!!" or line.endswith(_MANIFEST_SUFFIXES)
    }
    tags = git.text("ls-files", "-v", "-z", "--", inside)
    found |= {
        f"{safe(line[2:])} (git was told not to look at it)"
        for line in filter(None, tags.split("\0"))
        if line[0].islower() or line[0] == "S"
    }
    return tuple(sorted(found))


class Differences:
    """The `differences` of a folder, found when first asked for: all checks of a command, in any thread, go by the same ones."""

    def __init__(self, git: Git, folder: Path) -> None:
        """Look at nothing yet."""
        self._git, self._folder = git, folder
        self._lock = Lock()
        self._found: tuple[str, ...] | None = None

    def __call__(self) -> tuple[str, ...]:
        """Return them."""
        with self._lock:
            if self._found is None:
                self._found = differences(self._git, self._folder)
            return self._found


def changed_since(git: Git, commit: str, folder: Path, until: str | None = None) -> tuple[str, ...]:
    """Return the tracked files of a folder that differ between a commit and another one, or the work tree, as paths within the folder.

    Raises:
        GitError: the commit is not in this clone, or the folder is not in this work tree.
    """
    inside = _inside(git, folder)
    options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=all")
    between = [object_id(each) for each in (commit, until) if each is not None]
    out = git.text("diff", *options, *between, "--", inside)
    prefix = "" if inside == "." else f"{inside}/"
    return tuple(name.removeprefix(prefix) for name in filter(None, out.split("\0")))


def commits_between(git: Git, older: str, newer: str, folder: Path) -> tuple[str, ...]:
    """Return the first-parent commits after `older` and before `newer` that touched a folder, oldest first.

    Raises:
        GitError: one of the commits is not in this clone.
    """
    span = f"{object_id(older)}..{object_id(newer)}"
    options = ("--first-parent", "--reverse")
    found = git.text("rev-list", *options, span, "--", _inside(git, folder))
    return tuple(commit for commit in found.splitlines() if commit != newer)


def commits_of(git: Git, path: Path, *, limit: int) -> tuple[str, ...]:
    """Return the newest commits in the history of HEAD that touched a file, newest first."""
    found = git.text("rev-list", f"--max-count={limit}", "HEAD", "--", _inside(git, path))
    return tuple(found.splitlines())


def read_at(git: Git, commit: str, path: Path) -> bytes | None:
    """Return the bytes of a file at a commit; `None` if it did not exist.

    Raises:
        GitError: the file cannot be read, or is larger than `FILE_LIMIT`.
    """
    found = git.look_up(f"{object_id(commit)}:{_inside(git, path)}")
    if found is None:
        return None
    blob, stat = found
    if stat.type != "blob" or stat.size > FILE_LIMIT:
        raise GitError(
            f"{safe(str(path))} is a {stat.type} of {stat.size} bytes at commit {commit}; expected a file of at most {FILE_LIMIT} bytes"
        )
    return git.read(blob)[blob]


def find_named(git: Git, commit: str, name: str) -> tuple[Path, ...]:
    """Return the paths of all files called `name` at a commit, as paths of this work tree."""
    rows = git.text("ls-tree", "-r", "-z", "--name-only", object_id(commit)).split("\0")
    return tuple(git.root / row for row in rows if row.rpartition("/")[2] == name)


def versions(git: Git, path: Path, *revisions: str) -> list[tuple[str | None, str | None]]:
    """Return, for each revision, its commit id and the blob id of a file there; `None` for what does not exist.

    Runs one git command, whatever the number of revisions.
    """
    inside = _inside(git, path)
    if "\n" in inside:
        raise GitError(f"{safe(inside)}: a line feed in a path")
    wanted = [name for each in revisions for name in (f"{each}^{{commit}}", f"{each}:{inside}")]
    stdin = "".join(f"{name}\n" for name in wanted).encode("utf-8", "surrogateescape")
    rows = git.text("cat-file", "--batch-check=%(objectname)", stdin=stdin).splitlines()
    ids = [row if _ID.fullmatch(row) else None for row in rows]
    return list(zip(ids[::2], ids[1::2], strict=True))


def blobs(git: Git, commit: str, folder: Path) -> dict[str, str]:
    """Return the blob id of each file in a folder at a commit, by its path within the folder.

    Raises:
        GitError: the folder did not exist.
    """
    inside = _inside(git, folder)
    tree = f"{object_id(commit)}:{'' if inside == '.' else inside}"
    rows = filter(None, git.text("ls-tree", "-r", "-z", tree).split("\0"))
    return {path: head.split(" ")[2] for head, _, path in (row.partition("\t") for row in rows)}


def contents(
    git: Git,
    commit: str,
    folder: Path,
    only: Collection[str] | None = None,
    *,
    named: str | None = None,
) -> Iterator[tuple[str, bytes]]:
    """Yield the path (within the folder) and the stored bytes of each file in a folder at a commit.

    Args:
        git: the repository.
        commit: its id.
        folder: of the work tree.
        only: paths within the folder; other files are skipped.
        named: a file name; files of other names are skipped.

    Raises:
        GitError: the folder did not exist.
    """
    found = [
        (path, blob)
        for path, blob in blobs(git, commit, folder).items()
        if (only is None or path in only) and named in {None, path.rpartition("/")[2]}
    ]
    for start in range(0, len(found), _BATCH):
        batch = found[start : start + _BATCH]
        data = git.read(*dict.fromkeys(blob for _, blob in batch))
        yield from ((path, data[blob]) for path, blob in batch)


def _inside(git: Git, path: Path) -> str:
    """Return a path relative to the top of the work tree."""
    try:
        return path.resolve().relative_to(git.root.resolve()).as_posix()
    except ValueError:
        raise GitError(
            f"{safe(str(path))} is not inside the repository {safe(str(git.root))}"
        ) from None
