"""Commands about objects of a repository: blobs, trees and commits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler.errors import GitError, Unavailable, safe
from reconciler.git.base import Base
from reconciler.git.command import settings
from reconciler.git.process import BATCH, Ran
from reconciler.git.values import (
    Entry,
    Identity,
    Stat,
    TreeChange,
    object_id,
    split_batch,
    split_changes,
    type_of,
)

_SMALL_CACHE: Final = settings(
    "core.deltaBaseCacheLimit=16m", "core.packedGitLimit=32m", "core.packedGitWindowSize=4m"
)
"""Limits of git's memory. By default git caches 96 MiB of delta bases, and maps whole packs, which saves no time here."""


class Objects(Base):
    """Reads and stores objects."""

    def stat(self, *ids: str, fetched: bool = True) -> dict[str, Stat]:
        """Return type and size of each object; objects that are not here are left out.

        Args:
            ids: of objects.
            fetched: let a partial clone (`--filter`) fetch objects that it lacks. It would fetch a commit with its whole history. Git
                before 2.44, without the fixes of 2.39.4, does so anyhow. If false, further objects may be left out.
        """
        if not ids:
            return {}
        extra = None if fetched else {"GIT_NO_LAZY_FETCH": "1"}
        try:
            ran = self._ask("info", map(object_id, ids), extra)
        except Unavailable:
            if fetched:
                raise
            return {}  # git gives up at the first object that the remote promised
        rows = (line.split(" ") for line in ran.out.decode("ascii").splitlines())
        return {row[0]: Stat(row[1], int(row[2])) for row in rows if len(row) == 3}  # noqa: PLR2004 - id, type, size; "ID missing" is two

    def look_up(self, name: str) -> tuple[str, Stat] | None:
        """Return the id, type and size of the object that a name such as `COMMIT:path` means; `None` if it does not exist.

        Args:
            name: of an object; not by a ref's ancestors (`HEAD^1`), which git remembers from the first request of a process.

        Raises:
            GitError: the name holds a line feed.
        """
        if "\n" in name:
            raise GitError(f"{safe(name)}: a line feed in a name")
        out = self._ask("info", [name]).out.decode("utf-8", "surrogateescape").rstrip("\n")
        row = out.rsplit(" ", 2)
        known = len(row) == 3 and row[2].isdigit()  # noqa: PLR2004 - id, type, size; else "NAME missing"
        return (row[0], Stat(row[1], int(row[2]))) if known else None

    def read(self, *ids: str) -> dict[str, bytes]:
        """Return the raw contents of objects by id. Reads all bytes of each: check `stat` first.

        Raises:
            GitError: an object is not here.
        """
        if not ids:
            return {}
        return dict(split_batch(self._ask("contents", map(object_id, ids)).out))

    def _ask(self, what: str, names: Iterable[str], extra: Mapping[str, str] | None = None) -> Ran:
        """Request `info` (type and size) or `contents` of objects. A name must mean the same object for as long as the process may live."""
        stdin = "".join(f"{what} {name}\n" for name in names).encode("utf-8", "surrogateescape")
        return self.run(*_SMALL_CACHE, *BATCH, stdin=stdin, extra=extra)

    def read_blob(self, blob: str, *, limit: int) -> bytes:
        """Return the bytes of a blob.

        Raises:
            GitError: the object is not here, is not a blob, or has more than `limit` bytes.
        """
        stat = self.stat(blob).get(blob)
        if stat is None or stat.type != "blob" or stat.size > limit:
            what = "not here" if stat is None else f"a {stat.type} of {stat.size} bytes"
            raise GitError(f"object {blob} is {what}; expected a blob of at most {limit} bytes")
        return self.read(blob)[blob]

    def tree_changes(self, pairs: Sequence[tuple[str, str]]) -> list[list[TreeChange]]:
        """Return, for each pair of trees, the top-level names that differ."""
        stdin = "".join(f"{object_id(old)} {object_id(new)}\n" for old, new in pairs).encode()
        options = ("--stdin", "--raw", "-z", "--no-abbrev", "--no-renames")
        return split_changes(self.run("diff-tree", *options, stdin=stdin).out, pairs)

    def write_blob(self, data: bytes) -> str:
        """Store bytes unchanged as a blob; return its id."""
        return self.text("hash-object", "-w", "--stdin", stdin=data)

    def make_tree(self, entries: Mapping[str, Entry]) -> str:
        """Store a tree; return its id."""
        rows = (
            f"{mode.zfill(6)} {type_of(mode)} {object_id(value)}\t{name}\0"
            for name, (mode, value) in entries.items()
        )
        data = "".join(rows).encode("utf-8", "surrogateescape")
        return self.text("mktree", "-z", "--missing", stdin=data)

    @cached_property
    def empty_tree(self) -> str:
        """The id of the empty tree, stored once: every heartbeat of a lock is a commit of it."""
        return self.make_tree({})

    def commit_tree(
        self,
        tree: str,
        *,
        parents: Sequence[str],
        message: str,
        identity: Identity,
        at: datetime,
        signing_key: Path | None = None,
    ) -> str:
        """Store a commit; return its id. Without a signature, the same arguments give the same id.

        Args:
            tree: its tree.
            parents: its parents; none makes a root commit.
            message: UTF-8 text.
            identity: author and committer.
            at: author and committer date, aware; cut to whole seconds.
            signing_key: SSH key to sign with.
        """
        who = {"NAME": identity.name, "EMAIL": identity.email}
        who["DATE"] = f"{int(at.astimezone(UTC).timestamp())} +0000"
        extra = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        command = ["commit-tree"]
        if signing_key is not None:
            signing = settings("gpg.format=ssh", f"user.signingKey={signing_key}")
            command = [*signing, "commit-tree", "-S"]
        command += [part for parent in parents for part in ("-p", object_id(parent))]
        ran = self.run(*command, object_id(tree), stdin=message.encode(), extra=extra)
        return ran.out.decode().strip()
