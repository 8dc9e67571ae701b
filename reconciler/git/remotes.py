"""Commands that reach a remote of a repository."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler.errors import GitError, PushedElsewhere, RemoteTimeout, Unavailable, safe
from reconciler.git.command import settings
from reconciler.git.revisions import Revisions
from reconciler.git.values import Move, chosen_refs, object_id, ref_name, remote_name, shown_url

_FETCH: Final = ("fetch", "--quiet", "--no-tags")

_QUIETLY: Final = ("--no-write-fetch-head", "--refmap=", "--no-recurse-submodules")
"""Options of a fetch that changes nothing but objects and the shallow boundary."""

_WHOLE: Final = 2_000_000_000
"""Depth of a fetch that is to bring a whole history. Git takes 2³¹ - 1 for `--unshallow`."""


_SYMBOLIC: Final = "ref: "
"""What `git ls-remote --symref` writes before the target of a symbolic ref."""


def push_where_fetched(remote: str) -> str:
    """Return the shell command after which a remote is pushed to where it is fetched from, whatever is set so far."""
    name = shlex.quote(remote)
    return f'git config --replace-all remote.{name}.pushurl "$(git remote get-url {name})"'


class Remotes(Revisions):
    """Reads, fetches and pushes refs of remotes."""

    _was_shallow = False

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the remotes that were configured when first asked for."""
        return self._names

    @cached_property
    def _known_urls(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        return {}

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
            GitError: one of them is symbolic: a push to it would move or delete another ref.
            Unavailable: the remote does not answer, which does not mean that it has none.
        """
        found = self._listed(remote, *refs, below=below, timeout_s=timeout_s)
        if symbolic := [
            (ref, value) for ref, value in found.items() if value.startswith(_SYMBOLIC)
        ]:
            ref, value = symbolic[0]
            target = safe(value.removeprefix(_SYMBOLIC))
            raise GitError(
                f"{ref} of {safe(remote)} is a symbolic ref to {target}, so a push to it would move or delete {target}: reconcile did not make it."
                f" Delete it in the repository on the server: `git symbolic-ref --delete {ref}`"
            )
        return found

    def _listed(
        self, remote: str, *refs: str, below: str | None, timeout_s: float | None = None
    ) -> dict[str, str]:
        """Return refs as `remote_refs`; of a symbolic ref, its target after `_SYMBOLIC`. Only protocol version 2 of git shows which are."""
        wanted = [*map(ref_name, refs), *([] if below is None else [f"{ref_name(below)}/*"])]
        command = ("ls-remote", "--quiet", "--symref", "--", remote_name(remote), *wanted)
        ran = self._network(*command, timeout_s=timeout_s)
        rows = (line.partition("\t") for line in ran.out.decode("utf-8", "replace").splitlines())
        # A symbolic ref has two rows, the one with its target first.
        return chosen_refs(((ref, value) for value, _, ref in reversed([*rows])), refs, below)

    def fetch(self, remote: str, *refs: str, depth: int | None = None) -> None:
        """Fetch the given remote refs without updating local refs.

        Args:
            remote: name or URL of the remote.
            refs: full names of refs there.
            depth: number of commits of each ref; `None` fetches what this clone lacks, down to its shallow boundary.

        Raises:
            Unavailable: the remote does not answer, or has no such ref.
        """
        limit = () if depth is None else (f"--depth={depth}",)
        self._network(*_FETCH, *_QUIETLY, *limit, "--", remote_name(remote), *map(ref_name, refs))

    def fetch_commit(self, remote: str, commit: str) -> None:
        """Fetch a commit from a remote, if this clone lacks the commit and the remote has it; into a shallow clone, without its history.

        Hosts word the refusal of an absent commit differently. So a fetch that failed between two answers of the remote
        means that the remote lacks the commit, or gives none by its id: then it may be in the history of HEAD.

        Raises:
            Unavailable: the remote does not answer.
        """
        with self._fetching:
            for _ in range(2):
                if self.resolve(f"{object_id(commit)}^{{commit}}") is not None:
                    return
                limit = ("--depth=1",) if self.is_shallow() else ()
                try:
                    self._network(*_FETCH, *_QUIETLY, *limit, "--", remote_name(remote), commit)
                except RemoteTimeout:
                    raise
                except Unavailable:
                    self._network("ls-remote", "--quiet", "--", remote, "HEAD")
                    self._unshallow(remote, self.head())

    def is_shallow(self) -> bool:
        """Return whether this clone's history is cut off (`--depth`)."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    @property
    def began_shallow(self) -> bool:
        """Whether this clone's history is cut off, or was before `unshallow`."""
        return self._was_shallow or self.is_shallow()

    def cut_off(self, commit: str, beyond: str | None = None) -> tuple[str, ...]:
        """Return the commits of this clone at which the history of a commit is cut off (`--depth`); none if it is whole.

        Args:
            commit: of this clone.
            beyond: of this clone; where its own history is cut off does not count.
        """
        file = Path(self.text("rev-parse", "--git-path", "shallow"))
        try:
            cut = {*(self.root / file).read_text("ascii").split()}
        except OSError:
            return ()
        hidden = [] if beyond is None else [f"^{object_id(beyond)}"]
        roots = self.text("rev-list", "--max-parents=0", object_id(commit), *hidden).split()
        return tuple(each for each in roots if each in cut)

    def deepen(self, remote: str, commit: str, older: str) -> None:
        """Fetch those commits in the history of a commit that are not dated before another one. Nothing is fetched unless all of it is cut off.

        Args:
            remote: name or URL of the remote.
            commit: of this clone.
            older: of this clone, too.

        Raises:
            Unavailable: the remote does not answer, or `commit` is dated before `older`.
        """
        with self._fetching:
            if self.cut_off(commit) == (commit,):
                self._was_shallow = True
                dated = self.text("rev-list", "--max-count=1", "--timestamp", object_id(older))
                limit = f"--shallow-since=@{dated.split()[0]}"
                self._network(*_FETCH, *_QUIETLY, limit, "--", remote_name(remote), commit)

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
        with self._fetching:
            self._unshallow(remote, commit or self.head())

    def _unshallow(self, remote: str, commit: str) -> None:
        if cut := self.cut_off(commit):
            self._was_shallow = True
            fetch = (*_FETCH, f"--depth={_WHOLE}")
            try:
                self._network(*fetch, *_QUIETLY, "--", remote_name(remote), *cut)
            except RemoteTimeout:
                raise
            except Unavailable:  # it may be a host that refuses ids
                self._network(*fetch, remote_name(remote))

    def push(self, remote: str, *moves: Move) -> None:
        """Move refs of a remote, all or none.

        Raises:
            Unavailable: refused, or the result is unknown. Read the refs to learn which; the message does not tell.
            PushedElsewhere: the remote is pushed to in another repository than it is fetched from.
        """
        leases = [f"--force-with-lease={ref_name(m.ref)}:{m.old or ''}" for m in moves if m.exact]
        specs = [f"{object_id(m.new) if m.new else ''}:{ref_name(m.ref)}" for m in moves]
        # A server that offers no atomic pushes refuses `--atomic`. One ref needs none: such a server keeps the hold of a stop.
        atomic = ("--atomic",) if len(moves) > 1 else ()
        options = ("--quiet", *atomic, "--no-verify", "--no-signed")
        # With remote.NAME.mirror (`git remote add --mirror=push`), git refuses to push single refs. A URL has no such setting.
        whole = settings(f"remote.{remote_name(remote)}.mirror=false") if "=" not in remote else ()
        refs = [move.ref for move in moves]
        self._require_one_repository(remote, refs)
        self._network(*whole, "push", *options, *leases, "--", remote, *specs)
        self._require_one_repository(remote, refs)
        if any(move.new for move in moves):  # what was pushed was read by both URLs
            self._known_urls[remote] = (remote, (remote,))

    def _require_one_repository(self, remote: str, refs: Sequence[str]) -> None:
        """Check that the fetch URL and the push URL of a remote lead to one repository: both show the same branches, and the same `refs`.

        Two repositories may have the same branches. So this is checked before a push and after it.

        Raises:
            PushedElsewhere: they do not.
            Unavailable: one of them does not answer.
        """
        fetched, pushed = self._urls(remote)
        if fetched in pushed:
            return

        def shown(at: str) -> dict[str, str]:
            return self._listed(at, *refs, below="refs/heads")

        there = shown(remote)
        while not any(shown(url) == there for url in pushed):
            before, there = there, shown(remote)
            if there == before:  # else somebody pushed between the reads
                raise self._pushed_elsewhere(remote, fetched, pushed)

    def _pushed_elsewhere(
        self, remote: str, fetched: str, pushed: tuple[str, ...]
    ) -> PushedElsewhere:
        key = f"remote.{remote_name(remote)}.pushurl"
        # With a push URL of its own, git ignores `pushInsteadOf` for the remote.
        found = self.run("config", "--get-all", key, allowed=(0, 1)).code == 0
        cause = (
            key
            if found
            else "url.<base>.pushInsteadOf (`git config --show-origin --get-regexp pushinsteadof`)"
        )
        return PushedElsewhere(
            f"remote {remote} is fetched from {shown_url(fetched)}, but pushed to {shown_url(', '.join(pushed))}, which is another repository, because"
            f" of the setting {cause}. Audit records must be read where they are written. Set its push URL to"
            f" its fetch URL (`{push_where_fetched(remote)}`), or name another remote with --remote"
        )

    def _urls(self, remote: str) -> tuple[str, tuple[str, ...]]:
        """Return the URL that a remote is fetched from, and those that it is pushed to. They are read once."""
        found = self._known_urls.get(remote)
        if found is None:
            found = (remote, (remote,))
            if remote in self.remotes():
                get = ("remote", "get-url")
                pushed = self.text(*get, "--push", "--all", remote_name(remote))
                found = self.text(*get, remote), tuple(pushed.splitlines())
            self._known_urls[remote] = found
        return found
