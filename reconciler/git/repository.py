"""One repository, through the git command: revisions, refs, objects and remotes."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from reconciler.errors import GitError, Unavailable, safe
from reconciler.git.command import (
    NETWORK_TIMEOUT_S,
    ONLY_SSH_SIGNATURES,
    OPTIONS,
    TIMEOUT_S,
    clean_environment,
    name_of,
    settings,
)
from reconciler.git.configuration import check, parse
from reconciler.git.discovery import check_agreement, find_git_dir, find_top
from reconciler.git.process import Ran, Runner, run_process
from reconciler.git.values import (
    Commit,
    Entry,
    Identity,
    Move,
    Signature,
    Stat,
    TreeChange,
    chosen_refs,
    first_line,
    lines,
    object_id,
    parse_commit,
    ref_name,
    remote_name,
    split_batch,
    split_changes,
    type_of,
    update_line,
)

_FETCH: Final = ("fetch", "--quiet", "--no-tags")

_UNFETCHED: Final = re.compile(
    rb"^fatal: (?:could not fetch .* from promisor remote|unable to access 'http|Could not read from remote)",
    re.MULTILINE,
)
"""What git says if it cannot fetch an object that a partial clone (`--filter`) left out. Some commands exit 0 all the same."""


class Git:
    """One repository.

    One class, because each method is one git command, run in the same way against the same repository. What needs no
    repository is in `values` (checks and parsing), `command`, `discovery` and `configuration`; files are in `worktree`.

    Args:
        root: top of the work tree, which holds `.git`.
        environ: the environment to start from (`PATH`, `HOME` and an ssh agent matter); `None` means this process's.
        runner: starts the process.
        timeout_s, network_timeout_s: time limit of one command, in seconds.
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
        self._environment = clean_environment(os.environ if environ is None else environ)

    @classmethod
    def find(
        cls,
        path: Path,
        *,
        environ: Mapping[str, str] | None = None,
        runner: Runner = run_process,
        timeout_s: float | None = None,
    ) -> Git | None:
        """Return the repository whose work tree holds `path`; `None` if there is none.

        Args:
            path: a folder.
            environ: as of `Git`.
            runner: as of `Git`.
            timeout_s: time limit of each command that checks the repository, in seconds, if not the usual one. Later commands have that.

        Raises:
            GitError: git is not installed, or will not open the repository (its owner, its format, its configuration).
        """
        top = find_top(path)
        if top is None:
            return None
        cls(top, environ=environ, runner=runner, timeout_s=timeout_s or TIMEOUT_S).check()
        return cls(top, environ=environ, runner=runner)

    def check(self) -> None:
        """Check that git agrees on which repository this is, and that its configuration can be trusted.

        This one command runs without `--git-dir`, in the folder of the `.git`: only then does git check the repository's
        owner (`safe.directory`), its format and `core.worktree`.

        Raises:
            GitError: git will not open the repository, opens another one, or its configuration is refused.
        """
        ran = self.run(
            *("rev-parse", "--absolute-git-dir", "--show-toplevel"),
            allowed=(0, 128),
            extra={"GIT_CEILING_DIRECTORIES": str(self.root.parent)},
            where=(),
        )
        check_agreement(ran, self.root, self.git_dir)
        listed = self.text("config", "--list", "-z", "--show-scope", "--show-origin")
        check(parse(listed), self.root)

    @cached_property
    def git_dir(self) -> Path:
        """The git directory; see `discovery`."""
        return find_git_dir(self.root)

    # --- running git --------------------------------------------------------------------------------------------------

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        allowed: Sequence[int] = (0,),
        extra: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        where: Sequence[str] | None = None,
        local: bool = True,
    ) -> Ran:
        """Run one git command.

        Args:
            arguments: the subcommand and its arguments.
            stdin: its standard input.
            allowed: exit codes that are not an error.
            extra: environment variables to add.
            timeout_s: time limit, if not the usual one.
            where: options that tell git its repository, if not the usual ones.
            local: whether the command needs no remote, unless this is a partial clone.

        Raises:
            GitError: no git, a timeout, or another exit code. The message has the first line of git's stderr, escaped.
            Unavailable: a partial clone lacks an object, and its remote does not answer.
        """
        if not self.root.is_dir():
            raise GitError(f"{safe(str(self.root))}: no such folder")
        if where is None:
            where = (f"--git-dir={self.git_dir}", f"--work-tree={self.root.resolve()}")
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        try:
            ran = self._runner(
                [*OPTIONS, *where, *arguments],
                cwd=self.root,
                env=self._environment | dict(extra or {}),
                stdin=stdin,
                timeout_s=limit_s,
            )
        except FileNotFoundError:
            raise GitError(
                "git is not installed, or not on PATH: install git 2.39 or later"
            ) from None
        except TimeoutError:
            raise GitError(
                f"{name_of(arguments)} took longer than {limit_s:g} s and was stopped"
            ) from None
        if local and _UNFETCHED.search(ran.err):
            raise Unavailable(
                f"{name_of(arguments)} needs an object that this partial clone lacks, and the git remote does not answer: {first_line(ran)}"
            )
        if ran.code not in allowed:
            raise GitError(f"{name_of(arguments)}: {first_line(ran)}")
        return ran

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one git command and return its output without the last line end."""
        return self.run(*arguments, stdin=stdin).out.decode("utf-8", "surrogateescape").rstrip("\n")

    def _network(self, *arguments: str, timeout_s: float | None = None) -> Ran:
        """Run a command that reaches a remote. Every failure counts as the remote's."""
        limit_s = self._network_timeout_s if timeout_s is None else timeout_s
        try:
            return self.run(*arguments, timeout_s=limit_s, local=False)
        except GitError as error:
            raise Unavailable(f"the git remote does not answer, or refuses: {error}") from error

    # --- revisions and refs -------------------------------------------------------------------------------------------

    def head(self) -> str:
        """Return the id of the commit that is checked out.

        Raises:
            GitError: there is no commit yet.
        """
        found = self.resolve("HEAD^{commit}")
        if found is None:
            raise GitError("this repository has no commit yet: commit the manifests first")
        return found

    @cached_property
    def checked_out(self) -> str | None:
        """The commit that HEAD named when first asked for; `None` if there was none. A command acts on one commit, whatever moves HEAD."""
        return self.resolve("HEAD^{commit}")

    def resolve(self, name: str) -> str | None:
        """Return the object id of a revision; `None` if it does not exist here."""
        if name.startswith("-"):
            raise GitError(f"{safe(name)}: not a revision")
        ran = self.run("rev-parse", "--verify", "--quiet", name, allowed=(0, 1, 128))
        return ran.out.decode().strip() or None if ran.code == 0 else None

    def refs(self, *names: str, below: str | None = None) -> dict[str, str]:
        """Return the object ids of those refs among `names` that exist.

        Args:
            names: full names of refs.
            below: return the refs directly below this name as well.
        """
        wanted = names if below is None else (*names, below)
        out = self.text("for-each-ref", "--format=%(objectname) %(refname)", *map(ref_name, wanted))
        rows = (line.partition(" ") for line in out.splitlines())
        return chosen_refs(((ref, value) for value, _, ref in rows), names, below)

    def update_refs(self, *moves: Move) -> None:
        """Move refs by compare-and-swap, all or none.

        Raises:
            GitError: nothing moved, or the result is unknown. Read the refs to learn which; the message does not tell.
        """
        stdin = "".join(map(update_line, moves)).encode()
        self.run("update-ref", "--no-deref", "--stdin", stdin=stdin)

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

    def parent(self, commit: str) -> str | None:
        """Return the first parent of a commit, even if a shallow clone lacks that parent; `None` if it has none."""
        return next(iter(parse_commit(commit, self.read(object_id(commit))[commit]).parents), None)

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

    def user_name(self) -> str | None:
        """Return `user.name` of git's configuration; `None` if it is not set."""
        ran = self.run("config", "--get", "user.name", allowed=(0, 1))
        return ran.out.decode("utf-8", "replace").strip() or None

    # --- objects ------------------------------------------------------------------------------------------------------

    def stat(self, *ids: str) -> dict[str, Stat]:
        """Return type and size of each object; objects that are not here are left out."""
        if not ids:
            return {}
        out = self.text("cat-file", "--batch-check", stdin=lines(ids))
        rows = (line.split(" ") for line in out.splitlines())
        return {row[0]: Stat(row[1], int(row[2])) for row in rows if len(row) == 3}  # noqa: PLR2004 - id, type, size; "ID missing" is two

    def look_up(self, name: str) -> tuple[str, Stat] | None:
        """Return the id, type and size of the object that a name such as `COMMIT:path` means; `None` if it does not exist.

        Raises:
            GitError: the name holds a line feed.
        """
        if "\n" in name:
            raise GitError(f"{safe(name)}: a line feed in a name")
        out = self.text(
            "cat-file", "--batch-check", stdin=f"{name}\n".encode(errors="surrogateescape")
        )
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
        return dict(split_batch(self.run("cat-file", "--batch", stdin=lines(ids)).out))

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

    # --- remotes ------------------------------------------------------------------------------------------------------

    def remotes(self) -> tuple[str, ...]:
        """Return the names of the configured remotes."""
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
            except Unavailable:
                self._network("ls-remote", "--quiet", "--", remote, "HEAD")

    def is_shallow(self) -> bool:
        """Return whether this clone's history is cut off (`--depth`)."""
        return self.text("rev-parse", "--is-shallow-repository") == "true"

    def unshallow(self, remote: str) -> None:
        """Fetch the history of HEAD, without its files, if this clone is shallow.

        Raises:
            Unavailable: the remote does not answer.
        """
        if self.is_shallow():
            self._network(*_FETCH, "--unshallow", "--filter=blob:none", remote)

    def push(self, remote: str, *moves: Move) -> None:
        """Move refs of a remote, all or none.

        Raises:
            Unavailable: refused, or the result is unknown. Read the refs to learn which; the message does not tell.
        """
        leases = [f"--force-with-lease={ref_name(m.ref)}:{m.old or ''}" for m in moves if m.exact]
        specs = [f"{object_id(m.new) if m.new else ''}:{ref_name(m.ref)}" for m in moves]
        options = ("--quiet", "--atomic", "--no-verify", "--no-signed")
        self._network("push", *options, *leases, "--", remote_name(remote), *specs)
