"""Commands that reach a remote of a repository."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler.errors import RemoteTimeout, Unavailable
from reconciler.git.revisions import Revisions
from reconciler.git.values import Move, chosen_refs, object_id, ref_name, remote_name

_FETCH: Final = ("fetch", "--quiet", "--no-tags")

_WHOLE: Final = 2_000_000_000
"""Depth of a fetch that is to bring a whole history. Git takes 2³¹ - 1 for `--unshallow`."""


class Remotes(Revisions):
    """Reads, fetches and pushes refs of remotes."""

    _was_shallow = False

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the remotes that were configured when first asked for."""
        return self._names

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(self.text("remote").split())

    def remote_refs(
        self,
        remote: str,
        *refs: str,
        below: str | None = None,
        timeout_s: float | None = None,
    ) -> dict[str, str]:
        """Return the object ids of those refs among `refs` that a remote has.

        Args:
            remote: name or URL of the remote.
            refs: full names of refs.
            below: return the refs directly below this name as well.
            timeout_s: time limit, if not the usual one.

        Raises:
            Unavailable: the remote does not answer, which does not mean that it has none.
        """
        wanted = [*map(ref_name, refs), *([] if below is None else [f"{ref_name(below)}/*"])]
        command = ("ls-remote", "--quiet", "--", remote_name(remote), *wanted)
        ran = self._network(*command, timeout_s=timeout_s)
        rows = (line.partition("\t") for line in ran.out.decode("utf-8", "replace").splitlines())
        return chosen_refs(((ref, value) for value, _, ref in rows), refs, below)

    def fetch(self, remote: str, *refs: str, depth: int | None = None) -> None:
        """Fetch the given remote refs without updating local refs.

        Args:
            remote: name or URL of the remote.
            refs: full names of refs there.
            depth: number of commits of each ref; `None` fetches what this clone lacks, down to its shallow boundary.

        Raises:
            Unavailable: the remote does not answer, or has no such ref.
        """
        options = ("--no-write-fetch-head", "--refmap=", "--no-recurse-submodules")
        limit = () if depth is None else (f"--depth={depth}",)
        self._network(*_FETCH, *options, *limit, "--", remote_name(remote), *map(ref_name, refs))

    def fetch_commit(self, remote: str, commit: str) -> None:
        """Fetch a commit and its history from a remote, if this clone lacks the commit and the remote has it.

        Hosts word the refusal of an absent commit differently. So a fetch that failed between two answers of the remote
        means that the remote lacks the commit.

        Raises:
            Unavailable: the remote does not answer.
        """
        if self.resolve(f"{object_id(commit)}^{{commit}}") is None:
            self.unshallow(remote)
        for _ in range(2):
            if self.resolve(f"{commit}^{{commit}}") is not None:
                return
            options = ("--no-write-fetch-head", "--refmap=")
            try:
                self._network(*_FETCH, *options, "--", remote_name(remote), commit)
            except RemoteTimeout:
                raise
            except Unavailable:
                self._network("ls-remote", "--quiet", "--", remote, "HEAD")

    def is_shallow(self) -> bool:
        """Return whether this clone's history is cut off (`--depth`)."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    @property
    def began_shallow(self) -> bool:
        """Whether this clone's history is cut off, or was before `unshallow`."""
        return self._was_shallow or self.is_shallow()

    def cut_off(self, commit: str) -> tuple[str, ...]:
        """Return the commits of this clone at which the history of a commit is cut off (`--depth`); none if it is whole."""
        file = Path(self.text("rev-parse", "--git-path", "shallow"))
        try:
            cut = {*(self.root / file).read_text("ascii").split()}
        except OSError:
            return ()
        roots = self.text("rev-list", "--max-parents=0", object_id(commit)).split()
        return tuple(each for each in roots if each in cut)

    def unshallow(self, remote: str, commit: str | None = None) -> None:
        """Fetch the history of a commit of this clone, if it is cut off.

        Other histories stay as they are: that of the ledger may be a hundred times as long. `git fetch --unshallow` would fetch
        all of them. With `--filter`, git would fetch them later: it makes a partial clone of this one.

        Args:
            remote: name or URL of the remote.
            commit: by default that of HEAD.

        Raises:
            Unavailable: the remote does not answer.
        """
        if cut := self.cut_off(commit or self.head()):
            self._was_shallow = True
            fetch = (*_FETCH, f"--depth={_WHOLE}")
            options = ("--no-write-fetch-head", "--refmap=", "--no-recurse-submodules")
            try:
                self._network(*fetch, *options, "--", remote_name(remote), *cut)
            except RemoteTimeout:
                raise
            except Unavailable:  # it may be a host that refuses ids
                self._network(*fetch, remote_name(remote))

    def push(self, remote: str, *moves: Move) -> None:
        """Move refs of a remote, all or none.

        Raises:
            Unavailable: refused, or the result is unknown. Read the refs to learn which; the message does not tell.
        """
        leases = [f"--force-with-lease={ref_name(m.ref)}:{m.old or ''}" for m in moves if m.exact]
        specs = [f"{object_id(m.new) if m.new else ''}:{ref_name(m.ref)}" for m in moves]
        options = ("--quiet", "--atomic", "--no-verify", "--no-signed")
        self._network("push", *options, *leases, "--", remote_name(remote), *specs)
