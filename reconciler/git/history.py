"""Commands about the history of a repository: descent, lists of commits, signatures."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime

from reconciler.git.command import ONLY_SSH_SIGNATURES, settings
from reconciler.git.objects import Objects
from reconciler.git.values import Commit, Signature, object_id, parse_commit


class History(Objects):
    """Lists commits and checks their descent and signatures."""

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Return whether `newer` is `older` or descends from it, as far as this clone has the history.

        Raises:
            GitError: one of the commits is not in this clone.
        """
        if older == newer:
            return True
        commits = (object_id(older), object_id(newer))
        return self.run("merge-base", "--is-ancestor", *commits, allowed=(0, 1)).code == 0

    def holds(self, newer: str, older: str) -> bool:
        """Return whether `newer` is `older` or descends from it, as far as this clone has the history. Either may be absent."""
        commits = (object_id(older), object_id(newer))
        ran = self.run("merge-base", "--is-ancestor", *commits, allowed=(0, 1, 128))
        return older == newer or ran.code == 0

    def branches_with(self, commit: str) -> tuple[str, ...]:
        """Return the branches, of this clone and as last fetched from remotes, that hold a commit of this clone."""
        options = (f"--contains={object_id(commit)}", "--format=%(refname:short)")
        return tuple(self.text("for-each-ref", *options, "refs/remotes", "refs/heads").split())

    def commits_beyond(self, older: str | None, newer: str) -> tuple[str, ...]:
        """Return the ancestors of `newer`, itself included, that are no ancestors of `older`; oldest first.

        Raises:
            GitError: one of the commits is not in this clone.
        """
        hidden = [] if older is None else [f"^{object_id(older)}"]
        found = self.text("rev-list", "--topo-order", "--reverse", object_id(newer), *hidden, "--")
        return tuple(found.splitlines())

    def commits_about(self, tip: str, start: str, since: datetime) -> tuple[str, ...]:
        """Return the first-parent commits of `tip` whose subject begins with `start`, newest first, as far as this clone has them.

        The walk ends at the first commit that is older than `since`.
        """
        shown = ("log", "--first-parent", "--format=%H %s", "--fixed-strings", f"--grep={start}")
        bound = f"--since={since.isoformat(timespec='seconds')}"
        found = self.text(*shown, bound, object_id(tip), "--")
        rows = (line.partition(" ") for line in found.split("\n"))
        return tuple(commit for commit, _, subject in rows if subject.startswith(start))

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit, even if a shallow clone lacks that parent; `None` if it has none."""
        return next(iter(parse_commit(commit, self.read(object_id(commit))[commit]).parents), None)

    def walk(self, tip: str) -> list[Commit]:
        """Return `tip` and all its ancestors, newest first.

        A shallow clone lacks some parents. The walk ends there; the last commit still names them.
        """
        return self.commits(self.ancestry(tip)[::-1])

    def ancestry(self, tip: str) -> list[str]:
        """Return the ids of `tip` and all its ancestors, oldest first. A shallow clone lacks some parents; the list begins there."""
        order = ("--topo-order", "--reverse")
        return self.text("rev-list", *order, object_id(tip), "--").splitlines()

    def newest_named(self, tip: str, pattern: str) -> str | None:
        """Return the newest first-parent ancestor of `tip`, itself included, with a line of its message that matches; `None` if there is none.

        Args:
            tip: a commit.
            pattern: a basic regular expression (grep(1)).
        """
        options = ("--first-parent", "--max-count=1", f"--grep={pattern}")
        return self.text("rev-list", *options, object_id(tip), "--") or None

    def commits(self, ids: Sequence[str]) -> list[Commit]:
        """Return the commits with these ids. A shallow clone lacks some of the parents that they name.

        Raises:
            GitError: a commit is not here.
        """
        raw = self.read(*ids)
        return [parse_commit(each, raw[each]) for each in ids]

    def read_commit(self, id_: str) -> Commit | None:
        """Return a commit; `None` if this clone has no commit of that id. Reads all bytes of the commit.

        Args:
            id_: its full id.
        """
        ran = self.run("cat-file", "commit", object_id(id_), allowed=(0, 128))
        return parse_commit(id_, ran.out) if ran.code == 0 else None

    def signatures(
        self, tip: str, signers: bytes, *, without: str | None = None, at: range | None = None
    ) -> dict[str, Signature]:
        """Return the signatures of the first-parent commits of `tip`, newest first.

        Only SSH signatures count: a key in the user's OpenPGP keyring is no signer.

        Args:
            tip: the newest commit.
            signers: content of an SSH allowed signers file (ssh-keygen(1)).
            without: leave out this commit and its ancestors.
            at: positions to check, counted from the newest; `None` means all. Each signed commit costs a process.
        """
        limits = [] if at is None else [f"--skip={at.start}", f"--max-count={len(at)}"]
        hidden = [] if without is None else [f"^{object_id(without)}"]
        with tempfile.NamedTemporaryFile(prefix="reconcile-signers-") as file:
            file.write(signers)
            file.flush()
            chosen = settings(f"gpg.ssh.allowedSignersFile={file.name}", *ONLY_SSH_SIGNATURES)
            shown = ("log", "--first-parent", "--format=%H %G? %s", *limits)
            out = self.text(*chosen, *shown, object_id(tip), *hidden, "--")
        rows = (line.split(" ", 2) for line in out.split("\n") if line)
        return {row[0]: Signature(row[1] == "G", row[2], row[1] == "U") for row in rows}
