"""A place to crash in: a platform over loopback, a bare remote, a clone, and a parent that forks whoever is to die."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler import sandbox
from reconciler.audit import RecordKind
from reconciler.git import Git
from reconciler.ledger import Ledger
from tests import fasttime
from tests.crash.child import Order
from tests.crash.ground import Campaigns
from tests.gitfakes import ENVIRON, commit, git

ROOT = Path(__file__).parent.parent.parent
TENANT = "acme"
PATH = f"schedules/{TENANT}"
KILLED = -signal.SIGKILL


@dataclass
class Bench:
    """See the module. One case at a time: `prepare`, then `apply` as often as needed."""

    folder: Path
    url: str
    serve: Callable[[Callable[..., Any]], None]
    parent: subprocess.Popen[str]
    ground: Campaigns = field(init=False)
    remote: Path = field(init=False)
    clone: Path = field(init=False)
    epoch: float = field(init=False)
    orphans: list[str] = field(init=False)
    pid: int = 0
    kill: tuple[str, int] = ("", 0)
    ahead_s: float = 0.0
    number: int = 0

    def prepare(self, ground: Campaigns, faults: tuple[str, ...] = ()) -> None:
        """Start a case: this platform, a fresh remote and clone whose only commit asks for what is wanted."""
        self.number += 1
        self.ground, self.orphans, self.epoch = ground, [], fasttime.monotonic()
        self.kill, self.ahead_s = ("", 0), 0.0
        for fault in faults:
            ground.world.faults.add(fault)
        self.serve(self._watched)
        here = self.folder / f"case{self.number}"
        self.remote, self.clone = here / "remote.git", here / "clone"
        shutil.copytree(self._template(ground), here)

    def _template(self, ground: Campaigns) -> Path:
        made = self.folder / "template"
        if not made.exists():
            bare, clone = made / "remote.git", made / "clone"
            for where, kind in ((bare, ["--bare"]), (clone, [])):
                where.mkdir(parents=True)
                git(where, "init", "-q", "-b", "main", "--template=", *kind)
            folder = clone / PATH
            folder.mkdir(parents=True)
            for name, text in ground.files(self.url, ground.NEW).items():
                (folder / name).write_text(text, encoding="utf-8")
            git(clone, "remote", "add", "origin", "../remote.git")
            commit(clone, "what is wanted")
            git(clone, "push", "-q", "origin", "main")
        return made

    async def _watched(self, scope: Any, receive: Any, send: Any) -> None:
        """Before a write is executed, look whether the shared ledger knows that it was meant."""
        key = self.ground.object_of(scope["method"], scope["path"])
        if key is not None and key not in self.intended():
            self.orphans.append(f"{scope['method']} {scope['path']}")
        if key is not None:
            self._at("platform:asked")
        await self.ground.app(scope, receive, send)
        if key is not None:
            self._at("platform:did")

    def _at(self, point: str) -> None:
        """End the child while the platform has its request: what a point inside the child cannot do."""
        wanted, left = self.kill
        if wanted == point:
            self.kill = (wanted, left - 1)
            if left == 1:
                os.kill(self.pid, signal.SIGKILL)

    def ledger(self) -> Ledger:
        """Return the remote's own ledger, as it is now."""
        there = Git(self.remote, environ=ENVIRON)
        return Ledger.open(there, TENANT, clock=fasttime.clock(self.epoch))

    def intended(self) -> set[str]:
        records = self.ledger().records()
        return {each.data["target"] for each in records if each.kind is RecordKind.INTENT}

    def order(self, **more: Any) -> Order:
        environ = {**ENVIRON, "USER": "somebody", **self.ground.variables(self.url)}
        log = self.clone.parent / "log"
        return Order(
            **{
                "folder": str(self.clone),
                "path": PATH,
                "environ": environ,
                "epoch": self.epoch,
                "log": str(log),
                "passed": str(self.clone.parent / "passed"),
                "ahead_s": self.ahead_s,
                **more,
            }
        )

    def apply(self, **more: Any) -> int:
        """Run an apply in a process of its own; return its exit code, or minus the signal that ended it."""
        assert self.parent.stdin is not None
        assert self.parent.stdout is not None
        self.parent.stdin.write(self.order(**more).line() + "\n")
        self.parent.stdin.flush()
        self.pid = int(self.parent.stdout.readline().removeprefix("pid "))
        return int(self.parent.stdout.readline().removeprefix("ended "))

    def release_lock(self) -> None:
        """Take a dead run's lock away, as an operator does who knows that it is dead."""
        self.ledger().release_lock()

    def pass_by(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.ahead_s += seconds
        self.ground.ahead_s += seconds

    def fresh_clone(self) -> None:
        """Go on from another machine: nothing but what the remote holds."""
        self.clone = self.clone.with_name("again")
        git(self.remote.parent, "clone", "-q", "--template=", str(self.remote), str(self.clone))

    def told(self) -> str:
        """Return what the children said."""
        return (self.clone.parent / "log").read_text(encoding="utf-8")

    def passed(self) -> list[str]:
        """Return the points that the children passed."""
        return (self.clone.parent / "passed").read_text(encoding="utf-8").split()

    def tidy(self) -> None:
        self.ground.close()
        shutil.rmtree(self.clone.parent, ignore_errors=True)


@contextmanager
def opened(folder: Path) -> Iterator[Bench]:
    """Open a bench: one server and one parent for all its cases."""
    current: list[Callable[..., Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await current[-1](scope, receive, send)

    with sandbox.loopback(app) as url, _parent() as parent:
        yield Bench(folder, url, current.append, parent)


@contextmanager
def _parent() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.crash.child"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == "ready\n"
        yield parent
        parent.stdin.close()
