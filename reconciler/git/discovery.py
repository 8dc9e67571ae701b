"""Find the repository from the file system, so that git never searches for one itself.

A pull request can commit `HEAD`, `config`, `objects/` and `refs/`. Git takes such files for a bare repository when it is
run beside them. A pull request can never commit a file below a name `.git`: git refuses to add, check out or receive one.
Three rules follow:

- The top of the work tree is the nearest folder upwards that holds a `.git`. A bare repository is never used.
- The git directory, and everything that it borrows from (`commondir`, alternates), lies outside the work tree or below a
  `.git` in it.
- Git is given both (`--git-dir`, `--work-tree`), so no version of git searches.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from reconciler.errors import SHORTENED_TO, GitError, safe
from reconciler.git.process import Ran
from reconciler.git.values import first_line

_GIT: Final = ".git"
_POINTER: Final = "gitdir: "
_POINTER_LIMIT: Final = 4096 + len(_POINTER)
"""Most characters that are read from a `.git` or `commondir` file: enough for the longest path."""


def find_top(path: Path) -> Path | None:
    """Return the nearest folder, from a path upwards, that holds a `.git`; `None` if there is none. Links are resolved."""
    here = path.resolve()
    folders = (here, *here.parents) if here.is_dir() else here.parents
    return next((folder for folder in folders if os.path.lexists(folder / _GIT)), None)


def is_committable(path: Path, top: Path) -> bool:
    """Return whether a commit can hold a file at this path: inside the work tree and not below a `.git`."""
    here, root = path.resolve(), top.resolve()
    if not here.is_relative_to(root):
        return False
    return all(part.lower() != _GIT for part in here.relative_to(root).parts)


def find_git_dir(top: Path) -> Path:
    """Return the git directory of the work tree at `top`: its `.git`, or the target of a `.git` file (worktree, submodule).

    Raises:
        GitError: there is no `.git`, or it leads to files that a commit can change.
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


def check_agreement(ran: Ran, top: Path, git_dir: Path) -> None:
    """Check that git, run in `top` without being told a repository, found this one.

    Args:
        ran: the result of `git rev-parse --absolute-git-dir --show-toplevel`.
        top: top of the work tree.
        git_dir: its git directory (`find_git_dir`).

    Raises:
        GitError: git will not open the repository, or opens another one.
    """
    if ran.code != 0:
        stderr = (line.strip() for line in ran.err.decode("utf-8", "replace").splitlines())
        advice = next((line for line in stderr if line.startswith("git config ")), None)
        remedy = f"; when you trust it: {safe(advice)}" if advice else ""
        raise GitError(f"git will not open the repository here: {first_line(ran)}{remedy}")
    said = os.fsdecode(ran.out)
    if said != f"{git_dir}\n{top.resolve()}\n":
        meant = safe(said.strip().replace("\n", ", "))
        raise GitError(
            f"git uses another repository than {safe(str(top))}: {meant}. Check core.worktree"
        )


def _alternates(objects: Path) -> list[Path]:
    """Return the object stores that this one borrows from."""
    listed = objects / "info" / "alternates"
    lines = listed.read_text("utf-8", "surrogateescape").splitlines() if listed.is_file() else []
    return [objects / line for line in lines if line and not line.startswith("#")]


def _text(path: Path) -> str:
    with path.open(encoding="utf-8", errors="surrogateescape") as file:
        text = file.read(_POINTER_LIMIT + 1)
    if len(text) > _POINTER_LIMIT:
        raise GitError(f"{safe(str(path), limit=SHORTENED_TO)} is too long to be a path")
    return text.rstrip("\n")
