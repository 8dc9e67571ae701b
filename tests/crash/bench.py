"""A place to crash in: a platform over loopback, a bare remote, a clone, and a parent that forks whoever is to die."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from reconciler import sandbox
from reconciler.audit import Record, RecordKind
from reconciler.commands import apply as apply_command
from reconciler.commands import halt, plan, release
from reconciler.defaults import WAIT_S
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.models import platform_of
from reconciler.plan import Plan
from reconciler.report import Report
from reconciler.world import Network, here
from tests.crash.child import Order, request_of, world_of
from tests.crash.ground import Campaigns
from tests.crash.ground_skills import Skills
from tests.support import fasttime
from tests.support.gitfakes import ENVIRON, commit, git, run

ROOT = Path(__file__).parent.parent.parent
TENANT = "acme"
PATH = f"schedules/{TENANT}"
KILLED = -signal.SIGKILL
Ground = Campaigns | Skills
"""What is crashed over: one API each."""


class _Bare(Git):
    """The repository that keeps the records, which may have no work tree: only a test looks into such a one."""

    @property
    def git_dir(self) -> Path:
        mark = self.root / ".git"
        return mark if mark.exists() else self.root


class Shared:
    """What all cases share because it takes long to make: a server, templates of clones, and two parents, each started on its first use."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self._stack = stack
        self.app: Callable[..., Any]
        self.url = stack.enter_context(sandbox.loopback(self))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    @cached_property
    def first(self) -> subprocess.Popen[str]:
        return self._stack.enter_context(_parent())

    @cached_property
    def second(self) -> subprocess.Popen[str]:
        return self._stack.enter_context(_parent())


@dataclass
class Bench:
    """See the module. One case at a time: `prepare`, then `apply` as often as needed."""

    folder: Path
    shared: Shared
    ground: Ground = field(init=False)
    remote: Path = field(init=False)
    clone: Path = field(init=False)
    epoch: float = field(init=False)
    orphans: list[str] = field(init=False)
    pid: int = 0
    kill: tuple[str, int] = ("", 0)
    asked: Callable[[], None] = lambda: None
    ahead_s: float = 0.0
    number: int = 0
    _meant: tuple[dict[Path, bytes] | None, set[str]] = (None, set())
    stopping: bool = False
    """Whether a stop runs in this process. It sends before its records are acknowledged."""

    def prepare(self, ground: Ground, *faults: str) -> None:
        """Start a case: this platform, a fresh remote and clone whose only commit asks for what is wanted."""
        self.number += 1
        self.ground, self.orphans, self.epoch = ground, [], fasttime.monotonic()
        self.kill, self.ahead_s, self.asked = ("", 0), 0.0, lambda: None
        for fault in faults:
            ground.world.faults.add(fault)
        self.shared.app = self._watched
        here = self.folder / f"case{self.number}"
        self.remote, self.clone = here / "remote.git", here / "clone"
        shutil.copytree(self._template(ground), here)

    def _template(self, ground: Ground) -> Path:
        made = self.shared.folder / f"template-{ground.api}"
        if not made.exists():
            bare, clone = made / "remote.git", made / "clone"
            for where, kind in ((bare, ["--bare"]), (clone, [])):
                where.mkdir(parents=True)
                git(where, "init", "-q", "-b", "main", "--template=", *kind)
            folder = clone / PATH
            folder.mkdir(parents=True)
            for name, text in ground.files(self.shared.url, ground.NEW).items():
                (folder / name).write_text(text, encoding="utf-8")
            git(clone, "remote", "add", "origin", "../remote.git")
            commit(clone, "what is wanted")
            git(clone, "push", "-q", "origin", "main")
        return made

    async def _watched(self, scope: Any, receive: Any, send: Any) -> None:
        """Before a write is executed, look whether the shared ledger knows that it was meant."""
        key = self.ground.object_of(scope["method"], scope["path"])
        if key is not None and not self.stopping and key not in self.intended():
            self.orphans.append(f"{scope['method']} {scope['path']}")
        if key is not None:
            self.asked()
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
        there = _Bare(self.remote, environ=ENVIRON)
        return Ledger.open(
            there,
            platform_of(self.ground.api, self.shared.url, TENANT),
            here(print)._replace(now=fasttime.clock(self.epoch)),
        )

    def intended(self) -> set[str]:
        """Return what the shared ledger says is being written now. Reads the ledger only if a ref moved since the last call."""
        refs = self._refs()
        if refs != self._meant[0]:
            self._meant = refs, {each.data["target"] for each in self.ledger().open_intents()}
        return self._meant[1]

    def _refs(self) -> dict[Path, bytes]:
        """Return the files that hold the remote's refs, read without git."""
        top = _Bare(self.remote, environ=ENVIRON).git_dir
        files = [top / "packed-refs", *(top / "refs").rglob("*")]
        found = {}
        for each in files:
            with suppress(OSError):  # a folder, or a ref that moves
                found[each] = each.read_bytes()
        return found

    def order(self, **more: Any) -> Order:
        if "began:" in (self.clone / PATH / "tenant.yaml").read_text(encoding="utf-8"):
            git(self.clone, "checkout", "-q", ".")  # as a CI job does, whose checkout is its own
        environ = {**ENVIRON, "USER": "somebody", **self.ground.variables(self.shared.url)}
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
        return self._forked(self.shared.first, self.order(**more))

    def apply_beside(self, **more: Any) -> int:
        """Run an apply while the other parent's child is there."""
        pid, code = self.pid, self._forked(self.shared.second, self.order(**more))
        self.pid = pid
        return code

    def _forked(self, parent: subprocess.Popen[str], order: Order) -> int:
        assert parent.stdin is not None
        assert parent.stdout is not None
        self.ground.runs += 1
        parent.stdin.write(order.line() + "\n")
        parent.stdin.flush()
        self.pid = int(parent.stdout.readline().removeprefix("pid "))
        return int(parent.stdout.readline().removeprefix("ended "))

    @contextmanager
    def stopped(
        self, point: str, *, needed: bool = True, alone: bool = False
    ) -> Iterator[Future[int]]:
        """Run an apply that stops itself (SIGSTOP) at a point; it goes on when the context ends. Gives its exit code to be.

        With `needed` off it may never come there: then the code is done already. `alone`: see `Order`.
        """
        with ThreadPoolExecutor(1) as thread:
            self.pid = 0
            stop = partial(self.apply, point=point, stop=True, alone=alone, concurrency=1)
            code = thread.submit(stop)
            while not code.done() and not (self.pid and _is_stopped(self.pid)):
                time.sleep(0.01)
            assert not (needed and code.done()), f"it never came to {point}: {self.told()}"
            try:
                yield code
            finally:
                if not code.done():
                    os.kill(self.pid, signal.SIGCONT)

    def apply_here(
        self,
        checkpoint: Callable[[str], None] = lambda _: None,
        show: Callable[[Report], None] = lambda _: None,
        confirm: Callable[[], bool] | None = None,
        **asked: Any,
    ) -> Report:
        """Run an apply in this process."""
        order = self.order()
        request = replace(request_of(order), **asked)
        with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
            world = world_of(order, checkpoint)
            return runner.run(
                apply_command.apply(world, request, asyncio.Event(), show=show, confirm=confirm)
            )

    def outcomes(self) -> dict[str, list[dict[str, Any]]]:
        """Return what the remote's ledger says that became of each object, in order."""
        found: dict[str, list[dict[str, Any]]] = {}
        for each in self.records():
            if each.kind is RecordKind.OUTCOME:
                found.setdefault(each.data["target"], []).append(dict(each.data))
        return found

    def records(self) -> list[Record]:
        """Return all records of the remote's ledger, those of closed segments too."""
        return list(self.ledger().past())

    def release_lock(self) -> None:
        """Take a dead run's lock away, as an operator does who knows that it is dead."""
        self.ledger().lock.delete()

    def pass_by(self, seconds: float) -> None:
        """Let time pass for everybody."""
        self.ahead_s += seconds
        self.ground.ahead_s += seconds

    def note(self, text: str) -> None:
        """Let somebody else record something in the remote's ledger."""
        ledger = self.ledger()
        commit_id = Git(self.clone, environ=ENVIRON).head()
        ledger.append([run(commit_id, "somebody-else").note(text)])

    def plan_here(self) -> Plan:
        """Plan in this process."""
        order = self.order()
        with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
            world = world_of(order, lambda _: None)
            return runner.run(plan.read(world, plan.PlanRequest(request_of(order).path)))

    def halt_here(
        self,
        *keys: str,
        checkpoint: Callable[[str], None] = lambda _: None,
        wait_s: float = WAIT_S,
    ) -> Report:
        """Stop some objects in this process; everything when none is named."""
        order = self.order()
        path = request_of(order).path
        asked = halt.HaltRequest(
            path,
            keys,
            everything=not keys,
            reason="a test",
            network=Network(deadline_s=1e6),
            writing=halt.WriteOptions(wait_s=wait_s),
        )
        before, self.stopping = self.stopping, True  # stops may be nested
        try:
            with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
                world = world_of(order, checkpoint)
                return runner.run(halt.halt(world, asked, asyncio.Event()))
        finally:
            self.stopping = before

    def release_here(self, key: str) -> Report:
        """End the hold of one object."""
        order = self.order()
        asked = release.HoldRequest(request_of(order).path, (key,), reason="a test")
        return release.release(world_of(order, lambda _: None), asked)

    def rewrite(self, wanted: Mapping[str, float]) -> None:
        """Commit manifests that want these rates."""
        for name, text in self.ground.files(self.shared.url, wanted).items():
            (self.clone / PATH / name).write_text(text, encoding="utf-8")
        commit(self.clone, f"want {dict(wanted)}")

    def edit(self, file: str, old: str, new: str) -> None:
        """Change a manifest in git."""
        path = self.clone / PATH / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
        commit(self.clone, f"{old} is {new}")
        if self.remote != self.clone:
            git(self.clone, "push", "-q", "origin", "HEAD:main")

    def other_clone(self) -> Path:
        """Return a fresh clone: another machine, which knows nothing but what the remote holds."""
        clone = self.clone.with_name(f"{self.clone.name}-again")
        git(self.remote.parent, "clone", "-q", "--template=", str(self.remote), str(clone))
        return clone

    def told(self) -> str:
        """Return what the children said."""
        return (self.clone.parent / "log").read_text(encoding="utf-8")

    def passed(self) -> list[str]:
        """Return the points that the children passed."""
        return (self.clone.parent / "passed").read_text(encoding="utf-8").split()

    def alone(self) -> None:
        """Go on without a remote: this clone's ledger counts."""
        git(self.clone, "remote", "remove", "origin")
        self.remote = self.clone

    def tidy(self) -> None:
        self.ground.close()
        shutil.rmtree(self.clone.parent, ignore_errors=True)


def _is_stopped(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] == "T"


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
