"""A tenant's place: a platform behind a socket, a bare remote, a clone that may be thrown away, and the command line as processes."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import IO, Any

from tests.crash.kills import strike
from tests.crash.kills.child import Order
from tests.crash.kills.front import Front
from tests.quirks.platform import SECRET
from tests.support.bodies import TENANT
from tests.support.gitfakes import ENVIRON, commit, git

ROOT = Path(__file__).parent.parent.parent.parent
HUNG_S = 90.0
"""Real seconds after which a command counts as hung."""


class Parent:
    """Forks commands, one at a time. It starts at its first command."""

    def __init__(self) -> None:
        self.pid = 0

    @cached_property
    def _process(self) -> subprocess.Popen[bytes]:
        started = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.kills.child"],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        return started

    @property
    def _out(self) -> IO[bytes]:
        assert self._process.stdout is not None
        return self._process.stdout

    def close(self) -> None:
        """End it, if it ever started."""
        if "_process" in vars(self):
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait()
            self._out.close()

    def start(self, order: Order) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(order.line().encode())
        self._process.stdin.flush()
        self.pid = int(self._said("pid "))

    def wait(self) -> int:
        """Return the exit code, or minus the signal that ended it.

        Raises:
            TimeoutError: it hangs; it is ended.
        """
        if self.ready(HUNG_S):
            return int(self._said("ended "))
        for each in [*strike.children(self.pid), self.pid]:
            os.kill(each, signal.SIGKILL)
        self._said("ended ")
        raise TimeoutError(f"it hung for {HUNG_S:.0f} s")

    def ready(self, within_s: float) -> bool:
        """Return whether the command has ended, or ends within some seconds of real time."""
        return bool(select.select([self._out], [], [], within_s)[0])

    def _said(self, word: str) -> str:
        return self._out.readline().decode().removeprefix(word)


@contextmanager
def parents() -> Iterator[tuple[Parent, Parent]]:
    """Give two parents; they end with the context."""
    one, two = Parent(), Parent()
    try:
        yield one, two
    finally:
        one.close()
        two.close()


@dataclass
class Ran:
    """A command that ended.

    Attributes:
        name: `c1`, `c2`, …: who it is in the platform's journal.
        code: its exit code, or minus the signal that ended it.
        kill: the kill that was ordered.
        struck: whether the kill came to pass.
        out: what it said.
        requests, children, took_s: how long it was: requests at the platform, git children, seconds of real time.
    """

    name: str
    arguments: tuple[str, ...]
    code: int
    kill: strike.Kill | None
    struck: bool
    out: str
    requests: int
    children: int
    took_s: float

    @property
    def command(self) -> str:
        return self.arguments[0]

    def line(self) -> str:
        kill = f" [{self.kill}{'' if self.struck else ': never came'}]" if self.kill else ""
        said = " | ".join(self.out.splitlines()[-14:])
        return f"{self.name} $ reconcile {' '.join(self.arguments)}{kill} → {self.code}: {said[:1500]} ({self.requests} requests, {self.children} git, {self.took_s:.2f} s)"


@dataclass(frozen=True)
class Running:
    """A command that was started."""

    parent: Parent
    name: str
    arguments: tuple[str, ...]
    log: Path
    begun: float


@dataclass
class Site:
    """See the module.

    Attributes:
        root: everything of it lies below.
        path: the tenant's folder in the clone.
        told: the story so far, for people.
        counts: count the git children of every command, not only of one that is to be killed by their number.
    """

    root: Path
    parents: tuple[Parent, Parent]
    front: Front
    url: str
    start: datetime
    epoch: float
    speed: float
    path: str
    told: list[str] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    clones: int = 1
    number: int = 0
    counts: bool = False

    def __post_init__(self) -> None:
        self.remote, self.clone = self.root / "remote.git", self.root / "clone1"
        self.shim = strike.Shim(self.root / "bin")
        self._snapshots: dict[str, list[dict[str, Any]]] = {}
        for where, kind in ((self.remote, ["--bare"]), (self.clone, [])):
            where.mkdir()
            git(where, "init", "-q", "-b", "main", "--template=", *kind)
        git(self.clone, "remote", "add", "origin", "../remote.git")
        self.folder.mkdir(parents=True)
        api = self.front.platform.api
        more = "" if api == "campaigns" else "  version: 33\n"
        text = TENANT.format(api=api, url=self.url) + more
        (self.folder / "tenant.yaml").write_text(text, encoding="utf-8")
        self.commit("a tenant")
        self.front.platform.refs = self.refs

    @property
    def folder(self) -> Path:
        return self.clone / self.path

    # --- what people do ------------------------------------------------------------------------------------------------

    def commit(self, message: str) -> None:
        """Commit everything, and share it."""
        commit(self.clone, message)
        git(self.clone, "push", "-q", "origin", "HEAD:main")
        self.told.append(f"commit: {message}")

    def clone_again(self) -> None:
        """Throw the clone away and clone anew, as a CI runner does."""
        old = self.clone
        self.clones += 1
        self.clone = self.root / f"clone{self.clones}"
        git(self.root, "clone", "-q", "--template=", "remote.git", self.clone.name)
        git(self.clone, "remote", "set-url", "origin", "../remote.git")
        shutil.rmtree(old)
        self.told.append("a new clone")

    def pass_by(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.front.platform.clock.ahead_s += seconds  # type: ignore[attr-defined]
        self.told.append(f"{seconds:.0f} s pass")

    # --- commands ------------------------------------------------------------------------------------------------------

    def run(
        self, *arguments: str, kill: strike.Kill | None = None, beside: Running | None = None
    ) -> Ran:
        """Run a command line as a process to its end, whatever ends it; wait for what outlived it, too.

        Args:
            kill: ends it.
            beside: a command that runs meanwhile; this one gets the other parent.
        """
        struck: list[bool] = []
        self.shim.set(kill)
        counts = self.counts or (kill is not None and kill.at == "git")
        parent = self.parents[beside is not None]
        self.front.watch = self._watch(parent, f"c{self.number + 1}", kill, struck)
        running = self._start(parent, arguments, counts=counts)
        code, said = self._end(running, None if beside is None else beside.parent.pid)
        self.front.watch = lambda _name, _stage, _method: False
        came = bool(struck) or self.shim.struck is not None
        ended = self._ended(running, code, said, kill, came=came)
        if self.shim.struck is not None:
            self.told.append(f"  (git: {self.shim.struck})")
        return ended

    def frozen(self, arguments: tuple[str, ...], nth: int, then: Callable[[Running], None]) -> Ran:
        """Run a command; while the answer to its request number `nth` is kept back, do something else.

        It is done at once when the command ends before.
        """
        here, go = threading.Event(), threading.Event()
        name = f"c{self.number + 1}"

        def gate(who: str) -> None:
            if who == name and self.front.asked[name] >= nth and not here.is_set():
                here.set()
                go.wait(HUNG_S)

        self.front.gate = gate
        running = self._start(self.parents[0], arguments, counts=False)
        self.told.append(f"{name} begins: reconcile {' '.join(arguments)}; frozen at request {nth}")
        while not here.wait(0.01) and not running.parent.ready(0.0):
            pass
        then(running)
        go.set()
        code, said = self._end(running, None)
        self.front.gate = lambda _name: None
        return self._ended(running, code, said, None, came=False)

    def _start(self, parent: Parent, arguments: tuple[str, ...], *, counts: bool) -> Running:
        self.number += 1
        name = f"c{self.number}"
        log = self.root / f"{name}.log"
        log.touch()
        parent.start(self._order(name, arguments, log, counts=counts))
        return Running(parent, name, arguments, log, time.monotonic())

    def _end(self, running: Running, other: int | None) -> tuple[int, str]:
        """Wait for the end of a command; return its code, and what to say of a hang."""
        code, said = -99, ""
        try:
            code = running.parent.wait()
        except TimeoutError as hung:
            said = str(hung)
        strike.settled(self.root, other)
        return code, said

    def _ended(
        self, running: Running, code: int, said: str, kill: strike.Kill | None, *, came: bool
    ) -> Ran:
        out = running.log.read_text(encoding="utf-8", errors="replace") + said
        name, took_s = running.name, time.monotonic() - running.begun
        ended = Ran(
            *(name, running.arguments, code, kill, came, out),
            *(self.front.asked[name], self.shim.count, took_s),
        )
        self.ran.append(ended)
        self.told.append(ended.line())
        return ended

    def _order(self, name: str, arguments: tuple[str, ...], log: Path, *, counts: bool) -> Order:
        search = f"{self.shim.folder}{os.pathsep}{ENVIRON['PATH']}" if counts else ENVIRON["PATH"]
        environ = {
            **ENVIRON,
            "PATH": search,
            "USER": "somebody",
            "CXONE_TENANT_URL": self.url,
            "CXONE_CLIENT_ID": f"quirk-client.{name}",
            "CXONE_CLIENT_SECRET": SECRET,
        }
        return Order(
            arguments,
            *(str(self.clone), environ, str(log), self.start.isoformat()),
            *(self.epoch, self.speed, self.front.platform.clock.ahead_s),  # type: ignore[attr-defined]
        )

    def _watch(
        self, parent: Parent, name: str, kill: strike.Kill | None, struck: list[bool]
    ) -> Any:
        asked = 0

        def watch(who: str, stage: str, method: str) -> bool:
            nonlocal asked
            if kill is None or struck or who != name or kill.at not in {"request", method}:
                return False
            asked += stage == "asked"
            awaited = "did" if kill.stage == "did" else "asked"
            if asked < kill.nth or stage != awaited or not strike.strike(parent.pid, kill):
                return False
            struck.append(True)
            return kill.stage == "lost"

        return watch

    # --- what git holds ------------------------------------------------------------------------------------------------

    def refs(self) -> Mapping[str, str]:
        """Return the remote's refs of records, read without git."""
        found = {}
        for place in ("refs/notes", "refs/reconcile/waiting"):
            for each in (self.remote / place).rglob("*"):
                if each.is_file() and each.suffix != ".lock":
                    found[str(each.relative_to(self.remote))] = each.read_text().strip()
        return found

    def records(self, refs: Mapping[str, str]) -> list[dict[str, Any]]:
        """Return the records that refs hold, in no order, each once."""
        found = {}
        for commit_id in sorted(set(refs.values())):
            if commit_id not in self._snapshots:
                self._snapshots[commit_id] = self._decoded([commit_id])
            found |= {json.dumps(each): each for each in self._snapshots[commit_id]}
        return list(found.values())

    def history(self) -> list[dict[str, Any]]:
        """Return every record that the remote's refs hold or held before, in no order, each once."""
        heads = sorted(set(self.refs().values()))
        return self._decoded(git(self.remote, "rev-list", *heads).split()) if heads else []

    def _decoded(self, commits: list[str]) -> list[dict[str, Any]]:
        blobs: dict[str, None] = {}
        for each in commits:
            listed = git(self.remote, "ls-tree", "-r", each).splitlines()
            blobs |= {line.split()[2]: None for line in listed}
        asked = "".join(f"{blob}\n" for blob in blobs).encode()
        text = git(self.remote, "cat-file", "--batch", stdin=asked) if blobs else ""
        lines = dict.fromkeys(line for line in text.splitlines() if line.startswith("{"))
        return [json.loads(line) for line in lines]
