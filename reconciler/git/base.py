"""Opens a repository and runs git commands in it: the base of `Git`."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Final, Self

from reconciler.errors import GitError, GitMissing, RemoteTimeout, Unavailable, safe
from reconciler.git.command import (
    NETWORK_TIMEOUT_S,
    OPTIONS,
    TIMEOUT_S,
    clean_environment,
    name_of,
)
from reconciler.git.configuration import check, parse
from reconciler.git.discovery import check_agreement, find_git_dir, find_top
from reconciler.git.process import Children, Ran, Runner
from reconciler.git.values import first_line
from reconciler.world import RemoteBudget

_UNFETCHED: Final = re.compile(
    rb"^fatal: (?:could not fetch .* from promisor remote|unable to access 'http|Could not read from remote)",
    re.MULTILINE,
)
"""What git says if it cannot fetch an object that a partial clone (`--filter`) left out. Some commands exit 0 all the same."""

_NEEDED: Final = "git 2.39 or later"

_USAGE: Final = 129
"""Exit code of a git that does not know a subcommand's option."""

_CHECK: Final = "check its URL (`git remote -v`), the network and your access to it"


_LOCK: Final = re.compile(r"Unable to create '([^']+\.lock)': File exists")


class _TimedOut(GitError):
    """A git command took longer than its time limit and was ended."""


class Base:
    """One repository: checks that it can be trusted, and runs commands.

    Args:
        root: top of the work tree, which holds `.git`.
        environ: the environment to start from (`PATH`, `HOME` and an ssh agent matter); `None` means this process's.
        runner: starts processes; `None`: one that ends them with this object.
        timeout_s, network_timeout_s: time limit of one command, in seconds.
        budget: what all commands of one run may wait for remotes; `None`: the time limit of each alone counts.
    """

    def __init__(
        self,
        root: Path,
        *,
        environ: Mapping[str, str] | None = None,
        runner: Runner | None = None,
        timeout_s: float = TIMEOUT_S,
        network_timeout_s: float = NETWORK_TIMEOUT_S,
        budget: RemoteBudget | None = None,
    ) -> None:
        self.root = root
        self._runner = Children().run if runner is None else runner
        self._timeout_s = timeout_s
        self._network_timeout_s = network_timeout_s
        self._budget = budget
        self._fetching = Lock()
        """Held while commits are fetched: git refuses to cut off histories in two processes at once."""
        self._environment = clean_environment(os.environ if environ is None else environ)

    @classmethod
    def find(
        cls,
        path: Path,
        *,
        environ: Mapping[str, str] | None = None,
        runner: Runner | None = None,
        timeout_s: float | None = None,
        budget: RemoteBudget | None = None,
    ) -> Self | None:
        """Return the repository whose work tree holds `path`; `None` if there is none.

        Args:
            path: a folder.
            environ: as of the class.
            runner: as of the class.
            timeout_s: time limit of each command that checks the repository, in seconds, if not the usual one. Later commands have that.
            budget: as of the class.

        Raises:
            GitError: git is not installed, or will not open the repository (its owner, its format, its configuration).
        """
        top = find_top(path)
        if top is None:
            return None
        cls(top, environ=environ, runner=runner, timeout_s=timeout_s or TIMEOUT_S).check()
        return cls(top, environ=environ, runner=runner, budget=budget)

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
        environment = self._environment | dict(extra or {})
        limit_s = self._timeout_s if timeout_s is None else timeout_s
        argv, budget = [*OPTIONS, *where, *arguments], None if local else self._budget
        ran = self._start(argv, name_of(arguments), environment, stdin, limit_s, budget)
        if local and _UNFETCHED.search(ran.err):
            raise Unavailable(
                f"{name_of(arguments)} needs an object that this partial clone lacks, and the git remote does not answer: {first_line(ran)}"
            )
        if ran.code == _USAGE and _USAGE not in allowed:
            raise GitError(
                f"{name_of(arguments)}: {first_line(ran)}: this git is too old: install {_NEEDED}"
            )
        if ran.code not in allowed:
            raise GitError(f"{name_of(arguments)}: {first_line(ran)}")
        return ran

    def _start(
        self,
        argv: Sequence[str],
        name: str,
        environment: Mapping[str, str],
        stdin: bytes,
        limit_s: float,
        budget: RemoteBudget | None,
    ) -> Ran:
        """Start git and wait for its end, whatever its exit code."""
        more = {} if budget is None else {"budget": budget}
        began = time.monotonic()
        try:
            return self._runner(
                argv, cwd=self.root, env=environment, stdin=stdin, timeout_s=limit_s, **more
            )
        except FileNotFoundError:
            raise GitMissing(f"git is not installed, or not on PATH: install {_NEEDED}") from None
        except TimeoutError:
            if budget is not None:
                limit_s = budget.limit_s(began, limit_s)
                budget.spend(began)
            raise _TimedOut(f"{name} took longer than {limit_s:.3g} s and was stopped") from None

    def text(self, *arguments: str, stdin: bytes = b"") -> str:
        """Run one git command and return its output without the last line end."""
        return self.run(*arguments, stdin=stdin).out.decode("utf-8", "surrogateescape").rstrip("\n")

    def _network(self, *arguments: str, timeout_s: float | None = None) -> Ran:
        """Run a command that reaches a remote. Every failure counts as the remote's.

        Raises:
            RemoteTimeout: the remote does not answer.
            Unavailable: it refuses, or cannot be reached.
        """
        limit_s = self._network_timeout_s if timeout_s is None else timeout_s
        if self._budget is not None and not self._budget.limit_s(time.monotonic(), limit_s):
            raise RemoteTimeout(
                f"the git remote does not answer: {name_of(arguments)} was not started, because the time for the git remote is over"
            )
        try:
            return self.run(*arguments, timeout_s=limit_s, local=False)
        except _TimedOut as error:
            raise RemoteTimeout(f"the git remote does not answer: {error}; {_CHECK}") from error
        except GitError as error:
            said = f"the git remote does not answer, or refuses: {error}; {_advice(str(error))}"
            raise Unavailable(said) from error


def _advice(said: str) -> str:
    """Return what to do about the message of a git command that reaches a remote."""
    if "does not support --atomic" in said:
        return "records need a git server that moves several refs by one push (git's `receive.advertiseAtomic`)"
    lock = _LOCK.search(said)
    if lock and "remote:" not in said and os.path.lexists(lock[1]):  # a remote may say anything
        return f"if no other git command runs here, one was killed: then delete {safe(lock[1])}"
    return _CHECK
