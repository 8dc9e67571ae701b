"""One repository, through the git command."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from reconciler.errors import GitError, Unavailable, safe
from reconciler.git.configuration import check, parse
from reconciler.git.discovery import find_top
from reconciler.git.objects import Objects
from reconciler.git.process import Ran, Runner, run_process
from reconciler.git.values import (
    Move,
    command,
    first_line,
    object_id,
    ref_name,
    remote_name,
    state,
)

FILE_LIMIT: Final = 1 << 20
"""Bytes of a file that is read as it was at a commit, at most: four times what a manifest may have."""

_AT_ONCE: Final = 500
"""Files whose bytes are held at the same time."""

_ID: Final = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")

_MANIFEST_SUFFIXES: Final = (".yaml", ".yml")


def toplevel(
    path: Path, *, environ: Mapping[str, str] | None = None, runner: Runner = run_process
) -> Path | None:
    """Return the top of the work tree that holds `path`; `None` when no repository does.

    Raises:
        GitError: git is not installed, or will not open the repository that is there (its owner, its format).
    """
    found = Git.find(path, environ=environ, runner=runner)
    return None if found is None else found.root


def _remedy(ran: Ran) -> str:
    """Return the command that git itself advises, where it does."""
    said = (line.strip() for line in ran.err.decode("utf-8", "replace").splitlines())
    advised = next((line for line in said if line.startswith("git config ")), None)
    return f"; when you trust it: {safe(advised)}" if advised else ""


class Git(Objects):
    """One repository: what is where, and another one."""

    @classmethod
    def find(
        cls,
        path: Path,
        *,
        environ: Mapping[str, str] | None = None,
        runner: Runner = run_process,
    ) -> Git | None:
        """Return the repository whose work tree holds `path`; `None` outside one (`toplevel`)."""
        top = find_top(path)
        if top is None:
            return None
        git = cls(top, environ=environ, runner=runner)
        git.verify()
        return git

    def verify(self) -> None:
        """Check that git agrees on which repository this is, and that git reads no configuration that is not to be trusted.

        Git is asked without being told, in the folder of the `.git`: only so does it look at the repository's owner
        (`safe.directory`), its format and `core.worktree`.

        Raises:
            GitError: git will not open the repository, means another one, or its configuration is refused.
        """
        ran = self.run(
            *("rev-parse", "--absolute-git-dir", "--show-toplevel"),
            allowed=(0, 128),
            extra={"GIT_CEILING_DIRECTORIES": str(self.root.parent)},
            where=(),
        )
        if ran.code != 0:
            raise GitError(
                f"git will not open the repository here: {first_line(ran)}{_remedy(ran)}"
            )
        said = os.fsdecode(ran.out)
        if said != f"{self.git_dir}\n{self.root.resolve()}\n":
            meant = safe(said.strip().replace("\n", ", "))
            raise GitError(
                f"git means another repository than {safe(str(self.root))}: {meant}. Look at core.worktree"
            )
        listed = self.text("config", "--list", "-z", "--show-scope", "--show-origin")
        check(parse(listed), self.root)

    # --- what is where ------------------------------------------------------------------------------------------------

    def head(self) -> str:
        """Return the id of the checked out commit.

        Raises:
            GitError: there is no commit yet.
        """
        found = self.resolve("HEAD^{commit}")
        if found is None:
            raise GitError("this repository has no commit yet: commit the manifests first")
        return found

    def resolve(self, name: str) -> str | None:
        """Return the id that a revision stands for; `None` when there is no such thing."""
        if name.startswith("-"):
            raise GitError(f"{safe(name)}: not a revision")
        ran = self.run("rev-parse", "--verify", "--quiet", name, allowed=(0, 1, 128))
        return ran.out.decode().strip() or None if ran.code == 0 else None

    def refs(self, *names: str) -> dict[str, str]:
        """Return the ids of the refs among `names` that exist."""
        out = self.text("for-each-ref", "--format=%(objectname) %(refname)", *map(ref_name, names))
        found = {ref: value for value, _, ref in (line.partition(" ") for line in out.splitlines())}
        return {name: found[name] for name in names if name in found}

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `newer` descends from `older` (itself counts), as far as the history is here.

        Raises:
            GitError: one of them is not here.
        """
        if older == newer:
            return True
        ran = self.run(
            "merge-base", "--is-ancestor", object_id(older), object_id(newer), allowed=(0, 1)
        )
        return ran.code == 0

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit, also where a shallow clone does not hold it; `None`: it has none."""
        head, _, _ = self.read(object_id(commit))[commit].partition(b"\n\n")
        names = (line.split(b" ") for line in head.split(b"\n"))
        return next((name[1].decode() for name in names if name[0] == b"parent"), None)

    def beyond(self, newer: str, older: str | None) -> tuple[str, ...]:
        """Return the commits that `newer` descends from and `older` does not, oldest first.

        Raises:
            GitError: one of them is not here.
        """
        hidden = [] if older is None else [f"^{object_id(older)}"]
        found = self.text("rev-list", "--topo-order", "--reverse", object_id(newer), *hidden, "--")
        return tuple(found.splitlines())

    def commits_between(self, older: str, newer: str, folder: Path) -> tuple[str, ...]:
        """Return the commits of the main line after `older`, before `newer`, that touched a folder; oldest first.

        Raises:
            GitError: one of them is not here.
        """
        line = f"{object_id(older)}..{object_id(newer)}"
        found = self.text(
            "rev-list", "--first-parent", "--reverse", line, "--", self._inside(folder)
        )
        return tuple(commit for commit in found.splitlines() if commit != newer)

    def commits_of(self, path: Path, *, limit: int) -> tuple[str, ...]:
        """Return the newest commits that touched a file, HEAD's line, newest first."""
        found = self.text("rev-list", f"--max-count={limit}", "HEAD", "--", self._inside(path))
        return tuple(found.splitlines())

    def complete(self, remote: str) -> None:
        """Bring the whole history of HEAD into a shallow clone, without its files; nothing in a clone that has it.

        Raises:
            Unavailable: the remote does not answer.
        """
        if self.text("rev-parse", "--is-shallow-repository") == "true":
            self._network(
                "fetch", "--quiet", "--no-tags", "--unshallow", "--filter=blob:none", remote
            )

    def bring(self, remote: str, commit: str) -> None:
        """Bring a commit and its history here from a remote; nothing when it is here.

        Raises:
            Unavailable: the remote does not answer, or does not give it.
        """
        if self.resolve(f"{object_id(commit)}^{{commit}}") is None:
            self.complete(remote)
        if self.resolve(f"{commit}^{{commit}}") is None:
            options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--refmap=")
            self._network("fetch", *options, "--", remote_name(remote), commit)

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the configured remotes."""
        return tuple(self.text("remote").split())

    def user_name(self) -> str | None:
        """Return who git says is at work here (`user.name`); `None` when nobody said."""
        return (
            self.run("config", "--get", "user.name", allowed=(0, 1))
            .out.decode("utf-8", "replace")
            .strip()
            or None
        )

    # --- the work tree ------------------------------------------------------------------------------------------------

    def is_clean(self, folder: Path) -> bool:
        """Return whether a folder of the work tree equals HEAD (see `differing`)."""
        return not self.differing(folder)

    def differing(self, folder: Path) -> tuple[str, ...]:
        """Return what makes a folder of the work tree differ from HEAD: path and how, sorted; empty when nothing does.

        Changed, staged, missing and untracked files count; ignored ones when their name is that of a manifest; files
        that git was told not to look at (`assume-unchanged`, `skip-worktree`, sparse checkouts) always.

        Raises:
            GitError: the folder is not in this work tree.
        """
        inside = self._inside(folder)
        status = self.text(
            *("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all"),
            *("--ignored=traditional", "--ignore-submodules=none", "--", inside),
        )
        found = {
            f"{safe(line[3:])} ({state(line[:2])})"
            for line in filter(None, status.split("\0"))
            if line[:2] != "!!" or line.endswith(_MANIFEST_SUFFIXES)
        }
        tags = self.text("ls-files", "-v", "-z", "--", inside)
        found |= {
            f"{safe(line[2:])} (git was told not to look at it)"
            for line in filter(None, tags.split("\0"))
            if line[0].islower() or line[0] == "S"
        }
        return tuple(sorted(found))

    def changed_since(self, commit: str, folder: Path) -> tuple[str, ...]:
        """Return the files of a folder of the work tree that are not as at a commit, by their paths within the folder; untracked ones are left out.

        Raises:
            GitError: the commit is not here, or the folder is not in this work tree.
        """
        inside = self._inside(folder)
        options = ("--name-only", "-z", "--no-renames", "--no-ext-diff", "--ignore-submodules=all")
        out = self.text("diff", *options, object_id(commit), "--", inside)
        prefix = "" if inside == "." else f"{inside}/"
        return tuple(name.removeprefix(prefix) for name in filter(None, out.split("\0")))

    def _inside(self, folder: Path) -> str:
        try:
            return folder.resolve().relative_to(self.root.resolve()).as_posix()
        except ValueError:
            raise GitError(
                f"{safe(str(folder))} is not inside the repository {safe(str(self.root))}"
            ) from None

    # --- what a commit held ---------------------------------------------------------------------------------------------

    def file(self, commit: str, path: Path) -> bytes | None:
        """Return what a file of the work tree held at a commit; `None` when there was none.

        Raises:
            GitError: it cannot be read, or is too large to be a manifest.
        """
        blob = self.resolve(f"{object_id(commit)}:{self._inside(path)}")
        return None if blob is None else self.read_blob(blob, limit=FILE_LIMIT)

    def paths(self, commit: str, name: str) -> tuple[Path, ...]:
        """Return where files of some name stood at a commit, as files of this work tree."""
        rows = self.text("ls-tree", "-r", "-z", "--name-only", object_id(commit)).split("\0")
        return tuple(self.root / row for row in rows if row.rpartition("/")[2] == name)

    def versions(self, path: Path, *revisions: str) -> list[tuple[str | None, str | None]]:
        """Return, for each revision, its commit and the id of what a file of the work tree was there; `None` for what is not here.

        All of it in one git command.
        """
        inside = self._inside(path)
        if "\n" in inside:
            raise GitError(f"{safe(inside)}: a line feed in a path")
        asked = [name for each in revisions for name in (f"{each}^{{commit}}", f"{each}:{inside}")]
        stdin = "".join(f"{name}\n" for name in asked).encode("utf-8", "surrogateescape")
        rows = self.text("cat-file", "--batch-check=%(objectname)", stdin=stdin).splitlines()
        ids = [row if _ID.fullmatch(row) else None for row in rows]
        return list(zip(ids[::2], ids[1::2], strict=True))

    def contents(
        self,
        commit: str,
        folder: Path,
        only: Collection[str] | None = None,
        *,
        named: str | None = None,
    ) -> Iterator[tuple[str, bytes]]:
        """Yield path (within the folder) and bytes of every file that a folder held at a commit, as git stores them.

        Args:
            commit: its id.
            folder: of the work tree.
            only: paths within the folder; others are left out.
            named: a file's own name; others are left out.

        Raises:
            GitError: there was no such folder.
        """
        inside = self._inside(folder)
        tree = f"{object_id(commit)}:{'' if inside == '.' else inside}"
        rows = filter(None, self.text("ls-tree", "-r", "-z", tree).split("\0"))
        found = [
            (path, head.split(" ")[2])
            for head, _, path in (row.partition("\t") for row in rows)
            if (only is None or path in only) and named in {None, path.rpartition("/")[2]}
        ]
        for start in range(0, len(found), _AT_ONCE):
            part = found[start : start + _AT_ONCE]
            held = self.read(*dict.fromkeys(blob for _, blob in part))
            yield from ((path, held[blob]) for path, blob in part)

    # --- refs ---------------------------------------------------------------------------------------------------------

    def update_refs(self, *moves: Move) -> None:
        """Move refs, all or none, if each is where its `old` says.

        Raises:
            GitError: it was not done, or its fate is unknown. Read the refs to learn which: the text does not say.
        """
        self.run("update-ref", "--no-deref", "--stdin", stdin="".join(map(command, moves)).encode())

    # --- another repository -------------------------------------------------------------------------------------------

    def _network(self, *arguments: str) -> Ran:
        """Run a command that talks to another repository; every failure is the remote's until it is looked at."""
        try:
            return self.run(*arguments, timeout_s=self._network_timeout_s)
        except GitError as error:
            raise Unavailable(f"the git remote does not answer, or refuses: {error}") from error

    def remote_refs(self, remote: str, *refs: str) -> dict[str, str]:
        """Return the ids of the refs among `refs` that a remote has.

        Raises:
            Unavailable: it does not answer, which is not the same as "it has none".
        """
        ran = self._network("ls-remote", "--quiet", "--", remote_name(remote), *map(ref_name, refs))
        rows = (line.partition("\t") for line in ran.out.decode("utf-8", "replace").splitlines())
        found = {ref: value for value, _, ref in rows}
        return {ref: found[ref] for ref in refs if ref in found}

    def fetch(self, remote: str, *refs: str) -> None:
        """Bring the whole history of a remote's refs here, and move no ref of ours.

        Raises:
            Unavailable: the remote does not answer, or has no such ref.
        """
        options = (
            "--quiet",
            "--no-tags",
            "--no-write-fetch-head",
            "--refmap=",
            "--no-recurse-submodules",
        )
        self._network("fetch", *options, "--", remote_name(remote), *map(ref_name, refs))

    def push(self, remote: str, *moves: Move) -> None:
        """Move refs of a remote, all or none.

        Raises:
            Unavailable: it was refused, or its fate is unknown. Read the refs to learn which: the text does not say.
        """
        leases = [f"--force-with-lease={ref_name(m.ref)}:{m.old or ''}" for m in moves if m.exact]
        specs = [f"{object_id(m.new) if m.new else ''}:{ref_name(m.ref)}" for m in moves]
        options = ("--quiet", "--atomic", "--no-verify", "--no-signed")
        self._network("push", *options, *leases, "--", remote_name(remote), *specs)
