"""A clone with a remote, a platform behind a wire, and the command line in this process, on a clock moved by hand."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import io
import itertools
import json
import os
import random
import shutil
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from reconciler import cli
from reconciler import world as worlds
from tests.quirks.campaigns import URL as CAMPAIGNS_URL
from tests.quirks.platform import CLIENT, SECRET, Platform, Wire
from tests.quirks.skills import URL as SKILLS_URL
from tests.support.bodies import TENANT
from tests.support.machine import GITCONFIG
from tests.support.virtual_time import VirtualLoop

SETUP = {"GIT_CONFIG_GLOBAL": str(GITCONFIG), "GIT_CONFIG_NOSYSTEM": "1"}
WHO = [
    "-c",
    "user.name=t",
    "-c",
    "user.email=t@example.com",
    "-c",
    "init.defaultBranch=main",
    "-c",
    "gc.auto=0",
]


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", *WHO, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env=os.environ | SETUP,
    )
    return ran.stdout.decode()


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _no_tls(*_: Any, **__: Any) -> ssl.SSLContext:
    """Return a context that nothing is sent through: to load the authorities costs more than a command."""
    return _tls()


@dataclass
class Ran:
    """A command that ran to its end."""

    arguments: tuple[str, ...]
    code: int
    out: str
    err: str
    begun: int
    ended: int

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def line(self) -> str:
        said = " | ".join((self.err + self.out).splitlines()[:40])
        return f"$ reconcile {' '.join(self.arguments)} → {self.code}: {said[:1200]}"


@dataclass
class Desk:
    """A team's clone of one tenant."""

    root: Path
    platform: Platform
    ran: list[Ran] = field(default_factory=list)
    ids: Iterator[str] = field(default_factory=lambda: (f"run-{n}" for n in itertools.count(1)))

    @property
    def clone(self) -> Path:
        return self.root / "clone"

    @property
    def folder(self) -> Path:
        return self.clone / "schedules" / "acme"

    def refs(self) -> Mapping[str, str]:
        """Return the audit refs where they are kept, read without git."""
        notes = self.kept / "refs" / "notes"
        return {
            str(p.relative_to(notes)): p.read_text().strip()
            for p in notes.rglob("*")
            if p.is_file()
        }

    @property
    def kept(self) -> Path:
        """Where the audit records are: the remote's git directory, or with no remote the clone's."""
        remote = self.root / "remote.git"
        return remote if remote.exists() else self.clone / ".git"

    def commit(self, message: str) -> None:
        git(self.clone, "add", "-A")
        git(self.clone, "commit", "-qm", message)

    def world(self, progress: Any, *, remote: str | None = None) -> worlds.World:
        clock = self.platform.clock
        url = CAMPAIGNS_URL if self.platform.api == "campaigns" else SKILLS_URL
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.root),
            "CXONE_TENANT_URL": url,
            "CXONE_CLIENT_ID": CLIENT,
            "CXONE_CLIENT_SECRET": SECRET,
            **SETUP,
        }
        return worlds.World(
            environ=environ,
            directory=self.clone,
            now=clock.now,
            monotonic=lambda: clock.s,
            sleep=asyncio.sleep,
            random=random.Random(1),
            new_id=lambda: next(self.ids),
            progress=progress,
            remote_budget=worlds.RemoteBudget(),
            remote=remote,
        )

    def run(self, *arguments: str) -> Ran:
        """Run a command of the command line in this process; the tenant's folder is its path."""
        out, err = io.StringIO(), io.StringIO()
        begun = len(self.platform.journal)
        with self._inside(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = cli.run(arguments)
            except Exception as error:  # noqa: BLE001 - a traceback is a failed check, with its quirk beside it
                code = -1
                err.write(f"traceback: {type(error).__name__}: {error}")
        self.platform.clock.s += 5
        done = Ran(
            arguments, code, out.getvalue(), err.getvalue(), begun, len(self.platform.journal)
        )
        self.ran.append(done)
        return done

    @contextlib.contextmanager
    def _inside(self) -> Iterator[None]:
        class Here(Wire):
            platform = self.platform

        loop = functools.partial(VirtualLoop, self.platform.clock)

        def run(main: Any, **_: Any) -> Any:
            with asyncio.Runner(loop_factory=loop) as runner:
                return runner.run(main)

        swapped = [
            (httpx, "AsyncHTTPTransport", Here),
            (httpx, "create_ssl_context", _no_tls),
            (asyncio, "run", run),
            (worlds, "here", self.world),
        ]
        kept = [(owner, name, getattr(owner, name)) for owner, name, _ in swapped]
        for owner, name, value in swapped:
            setattr(owner, name, value)
        try:
            yield
        finally:
            for owner, name, value in kept:
                setattr(owner, name, value)

    def records(self, at: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Return the records that the remote's audit refs held at a moment, in no order."""
        found = []
        for commit in set((self.refs() if at is None else at).values()):
            listed = git(self.kept, "ls-tree", "-r", commit).splitlines()
            for blob in {line.split()[2] for line in listed}:
                text = git(self.kept, "cat-file", "blob", blob)
                found += [json.loads(line) for line in text.splitlines() if line.startswith("{")]
        return found


def template(folder: Path, api: str, *, remote: bool) -> Path:
    """Make a clone with a tenant and no manifests, and a remote of it; `desk` copies both."""
    root = folder / f"{api}-{'remote' if remote else 'local'}"
    clone = root / "clone"
    root.mkdir()
    shutil.copy(GITCONFIG, root)
    git(root, "init", "-q", "--template=", "clone")
    tenant = clone / "schedules" / "acme" / "tenant.yaml"
    tenant.parent.mkdir(parents=True)
    campaigns = api == "campaigns"
    words = (api, CAMPAIGNS_URL) if campaigns else (f"{api}\n  version: 33", SKILLS_URL)
    tenant.write_text(TENANT.format(api=words[0], url=words[1]))
    (clone / ".gitignore").write_text("/.reconcile/\n")
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "begin")
    if remote:
        git(root, "init", "-q", "--bare", "--template=", "remote.git")
        git(clone, "remote", "add", "origin", "../remote.git")
        git(clone, "push", "-q", "-u", "origin", "main")
    return root


def desk(made: Path, folder: Path, platform: Platform) -> Desk:
    root = folder / "desk"
    shutil.copytree(made, root)
    found = Desk(root, platform)
    platform.refs = found.refs
    return found
