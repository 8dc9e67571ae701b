"""Which repository is ours: decided here, from the file system, and never left to git.

A commit can hold any file but one below a name `.git`: git refuses to add such a file, to check it out, and to receive it. So
a pull request can commit `HEAD`, `config`, `objects/` and `refs/`, which git would take for a bare repository when it is run
beside them, and can never commit a `.git`. From that follow the three rules of this module:

- The top of our work tree is the nearest folder upwards that holds a `.git`. A bare repository is never one.
- The git directory, with all that it borrows (`commondir`, alternates), lies outside the work tree or below a `.git` of it.
- Git is told both (`--git-dir`, `--work-tree`), so git looks for nothing itself, whatever its version.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler.errors import SHORTENED_TO, GitError, safe

_GIT: Final = ".git"
_POINTER: Final = "gitdir: "
_POINTER_LIMIT: Final = 4096 + len(_POINTER)
"""Characters of a `.git` file or a `commondir` file that are read: a path of the longest length."""


def find_top(path: Path) -> Path | None:
    """Return the nearest folder from a path upwards that holds a `.git`, links resolved; `None` when there is none."""
    here = path.resolve()
    folders = (here, *here.parents) if here.is_dir() else here.parents
    return next((folder for folder in folders if os.path.lexists(folder / _GIT)), None)


def is_committable(path: Path, top: Path) -> bool:
    """Return whether a commit can hold a file of this path: inside the work tree, and not below a `.git`."""
    here, root = path.resolve(), top.resolve()
    if not here.is_relative_to(root):
        return False
    return all(part.lower() != _GIT for part in here.relative_to(root).parts)


def find_git_dir(top: Path) -> Path:
    """Return the git directory of the work tree at `top`: its `.git`, or where a `.git` file of a worktree or a submodule points.

    Raises:
        GitError: there is no `.git`, or it leads to files that a commit can hold.
    """
    mark = top / _GIT
    git_dir = mark
    if mark.is_file():
        text = _text(mark)
        if not text.startswith(_POINTER):
            raise GitError(f"{safe(str(mark))} names no git directory: clone the repository again")
        git_dir = top / text.removeprefix(_POINTER)
    elif not mark.is_dir():
        raise GitError(
            f"{safe(str(top))} is not the top of a git work tree: it holds no {_GIT}, and a bare repository is not used"
        )
    git_dir = git_dir.resolve()
    pointer = git_dir / "commondir"
    common = (git_dir / _text(pointer)).resolve() if pointer.is_file() else git_dir
    for place in (git_dir, common, *_alternates(common / "objects")):
        if is_committable(place, top):
            raise GitError(
                f"{safe(str(mark))} leads to {safe(str(place))}, which a commit can change: clone the repository again"
            )
    return git_dir


def _alternates(objects: Path) -> list[Path]:
    """Return the other object stores that this one borrows from."""
    listed = objects / "info" / "alternates"
    lines = listed.read_text("utf-8", "surrogateescape").splitlines() if listed.is_file() else []
    return [objects / line for line in lines if line and not line.startswith("#")]


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(_POINTER_LIMIT + 1)
    if len(text) > _POINTER_LIMIT:
        raise GitError(f"{safe(str(path), limit=SHORTENED_TO)} is too long to be a path")
    return text.rstrip("\n")
