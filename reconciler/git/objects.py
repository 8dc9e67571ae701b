"""Git's objects, and how the git command is run: nothing here knows of a work tree's files, of a ref or of a remote."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler.errors import GitError, safe
from reconciler.git.discovery import find_git_dir
from reconciler.git.process import Ran, Runner, run_process
from reconciler.git.values import (
    Entry,
    Identity,
    Signature,
    Stat,
    TreeChange,
    first_line,
    lines,
    object_id,
    split_batch,
    split_changes,
    type_of,
)

TIMEOUT_S: Final = 60.0
"""Seconds that one git command on this machine may take."""

NETWORK_TIMEOUT_S: Final = 120.0
"""Seconds that one fetch or push may take."""

_OPTIONS: Final = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    *(
        part
        for setting in (
            "commit.gpgSign=false",
            "core.askPass=",
            "core.filesRefLockTimeout=500",
            "core.fsmonitor=false",
            f"core.hooksPath={os.devnull}",
            "core.packedRefsTimeout=2000",
            "core.untrackedCache=false",
            "fetch.prune=false",
            "gc.auto=0",
            "i18n.commitEncoding=UTF-8",
            "maintenance.auto=false",
            "push.followTags=false",
            "push.gpgSign=false",
            "push.recurseSubmodules=no",
            "safe.bareRepository=explicit",
        )
        for part in ("-c", setting)
    ),
)

_ENVIRONMENT: Final = {
    "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",  # no other remote helper is started, whatever a URL says
    "GIT_COMMITTER_EMAIL": "reconcile@localhost",
    "GIT_COMMITTER_NAME": "reconcile",
    "GIT_GRAFT_FILE": f"{os.devnull}/none",  # git would warn of a file that is there and empty
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C.UTF-8",
}

_NO_OTHER_SIGNATURES: Final = (
    "log.showSignature=false",
    *(f"gpg.{name}={os.devnull}/none" for name in ("program", "openpgp.program", "x509.program")),
)

_DROPPED: Final = frozenset({"LANGUAGE", "RECONCILE_PROXY_PASSWORD", "SSH_ASKPASS"})


class Objects:
    """How git is run, and the objects that it keeps.

    Args:
        root: top of the work tree, which holds `.git`.
        environ: the environment to start from (`PATH`, `HOME` and an ssh agent matter); `None`: this process's.
        runner: starts the process.
        timeout_s, network_timeout_s: seconds that one command may take.
    """

    def __init__(
        self,
        root: Path,
        *,
        environ: Mapping[str, str] | None = None,
        runner: Runner = run_process,
        timeout_s: float = TIMEOUT_S,
        network_timeout_s: float = NETWORK_TIMEOUT_S,
    ) -> None:
        self.root = root
        self._runner = runner
        self._timeout_s = timeout_s
        self._network_timeout_s = network_timeout_s
        kept = {
            name: value
            for name, value in (os.environ if environ is None else environ).items()
            if not name.startswith(("GIT_", "CXONE_")) and name not in _DROPPED
        }
        # Git runs in the work tree: a relative folder on PATH would be one that a commit can fill.
        search = filter(os.path.isabs, kept.pop("PATH", "").split(os.pathsep))
        path = os.pathsep.join(search) or os.defpath
        self._environment = kept | _ENVIRONMENT | {"PATH": path}

    @cached_property
    def git_dir(self) -> Path:
        """Where the repository is; see `discovery`."""
        return find_git_dir(self.root)

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        allowed: Sequence[int] = (0,),
        extra: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        where: Sequence[str] | None = None,
    ) -> Ran:
        """Run one git command.

        Args:
            arguments: subcommand first.
            stdin: what it reads.
            allowed: exit codes that are an answer.
            extra: environment on top of ours.
            timeout_s: instead of the usual.
            where: what tells git its repository, instead of the usual.

        Raises:
            GitError: no git, a timeout, or another exit code; carries git's first line, escaped.
        """
        limit = self._timeout_s if timeout_s is None else timeout_s
        what = "git " + next((a for a in arguments if not a.startswith("-") and "=" not in a), "")
        if not self.root.is_dir():
            raise GitError(f"{safe(str(self.root))}: no such folder")
        if where is None:
            where = (f"--git-dir={self.git_dir}", f"--work-tree={self.root.resolve()}")
        try:
            ran = self._runner(
                ["git", *_OPTIONS, *where, *arguments],
                cwd=self.root,
                env=self._environment | dict(extra or {}),
                stdin=stdin,
                timeout_s=limit,
            )
        except FileNotFoundError:
            raise GitError(
                "git is not installed, or not on PATH: install git 2.39 or later"
            ) from None
        except TimeoutError:
            raise GitError(f"{what} took longer than {limit:g} s and was stopped") from None
        if ran.code not in allowed:
            raise GitError(f"{what}: {first_line(ran)}")
        return ran

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one git command and return its output without the last line end."""
        return self.run(*arguments, stdin=stdin).out.decode("utf-8", "surrogateescape").rstrip("\n")

    def stat(self, *ids: str) -> dict[str, Stat]:
        """Return type and size of each object that is here; absent ones are left out."""
        if not ids:
            return {}
        out = self.text("cat-file", "--batch-check", stdin=lines(ids))
        rows = (line.split(" ") for line in out.splitlines())
        return {row[0]: Stat(row[1], int(row[2])) for row in rows if len(row) == 3}  # noqa: PLR2004 - id, type, size; "ID missing" is two

    def read(self, *ids: str) -> dict[str, bytes]:
        """Return the contents of objects, raw, by id. Look at `stat` first: this reads all of each.

        Raises:
            GitError: one of them is not here.
        """
        if not ids:
            return {}
        return dict(split_batch(self.run("cat-file", "--batch", stdin=lines(ids)).out))

    def read_blob(self, blob: str, *, limit: int) -> bytes:
        """Return a blob's bytes.

        Raises:
            GitError: not here, not a blob, or above `limit` bytes.
        """
        stat = self.stat(blob).get(blob)
        if stat is None or stat.type != "blob" or stat.size > limit:
            what = "not here" if stat is None else f"a {stat.type} of {stat.size} bytes"
            raise GitError(f"object {blob} is {what}; expected a blob of at most {limit} bytes")
        return self.read(blob)[blob]

    def walk(self, tip: str) -> Iterator[tuple[str, bytes]]:
        """Yield id and raw commit object of everything that `tip` descends from, newest first.

        A parent that is not here (a shallow history) ends nothing: whoever reads sees it named in the raw commit.
        """
        ids = self.text("rev-list", "--topo-order", object_id(tip), "--").splitlines()
        raw = self.read(*ids)
        return ((each, raw[each]) for each in ids)

    def tree_changes(self, pairs: Sequence[tuple[str, str]]) -> list[list[TreeChange]]:
        """Return, for each pair of trees, the names on their top level that differ."""
        asked = "".join(f"{object_id(old)} {object_id(new)}\n" for old, new in pairs).encode()
        options = ("--stdin", "--raw", "-z", "--no-abbrev", "--no-renames")
        return split_changes(self.run("diff-tree", *options, stdin=asked).out, pairs)

    def write_blob(self, data: bytes) -> str:
        """Store bytes verbatim and return their id."""
        return self.text("hash-object", "-w", "--stdin", stdin=data)

    def make_tree(self, entries: Mapping[str, Entry]) -> str:
        """Store a tree of name → (mode, id) and return its id."""
        lines = (
            f"{mode.zfill(6)} {type_of(mode)} {object_id(value)}\t{name}\0"
            for name, (mode, value) in entries.items()
        )
        data = "".join(lines).encode("utf-8", "surrogateescape")
        return self.text("mktree", "-z", "--missing", stdin=data)

    @cached_property
    def empty_tree(self) -> str:
        """The id of the tree that holds nothing, stored once: every beat of a lock is a commit of it."""
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
        """Store a commit and return its id; the same arguments give the same id (unless signed).

        Args:
            tree: its tree.
            parents: none makes a root.
            message: UTF-8 text.
            identity: author and committer.
            at: when, aware; whole seconds count.
            signing_key: sign with this SSH key (`git commit-tree -S`).
        """
        moment = f"{int(at.astimezone(UTC).timestamp())} +0000"
        who = {
            f"GIT_{role}_{part}": value
            for role in ("AUTHOR", "COMMITTER")
            for part, value in (
                ("NAME", identity.name),
                ("EMAIL", identity.email),
                ("DATE", moment),
            )
        }
        signing: tuple[str, ...] = ()
        if signing_key is not None:
            signing = ("-c", "gpg.format=ssh", "-c", f"user.signingKey={signing_key}")
        flags = ["-S"] if signing_key is not None else []
        flags += [part for parent in parents for part in ("-p", object_id(parent))]
        ran = self.run(
            *signing, "commit-tree", *flags, object_id(tree), stdin=message.encode(), extra=who
        )
        return ran.out.decode().strip()

    def signatures(
        self, tip: str, signers: bytes, *, without: str | None = None, at: range | None = None
    ) -> dict[str, Signature]:
        """Return the signature of commits on the first-parent line of `tip`, newest first.

        Only SSH signatures count: a key that the user's OpenPGP keyring trusts is no signer.

        Args:
            tip: where to begin.
            signers: the content of an SSH allowed signers file (ssh-keygen(1)).
            without: a commit; it and its ancestors are left out.
            at: which commits to check, counted from the newest; `None`: all of them. Each signed one costs a process.
        """
        limits = [] if at is None else [f"--skip={at.start}", f"--max-count={len(at)}"]
        hidden = [] if without is None else [f"^{object_id(without)}"]
        with tempfile.NamedTemporaryFile(prefix="reconcile-signers-") as file:
            file.write(signers)
            file.flush()
            settings = (f"gpg.ssh.allowedSignersFile={file.name}", *_NO_OTHER_SIGNATURES)
            chosen = [part for setting in settings for part in ("-c", setting)]
            shown = ("log", "--first-parent", "--format=%H %G? %s", *limits)
            out = self.text(*chosen, *shown, object_id(tip), *hidden, "--")
        rows = (line.split(" ", 2) for line in out.split("\n") if line)
        return {row[0]: Signature(row[1] == "G", row[2]) for row in rows}
