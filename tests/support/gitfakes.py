"""Real repositories in temporary folders, and a world whose clock only tests advance."""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from reconciler.audit import Attribution, Event, Run
from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.plan import Action, Operation, Result
from reconciler.world import RemoteBudget, World
from tests.support import machine
from tests.support.machine import GITCONFIG

START = datetime(2027, 1, 11, 14, 0, tzinfo=UTC)

ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": str(GITCONFIG.parent),
    "GIT_CONFIG_NOSYSTEM": "1",
}
"""A machine without a user's git configuration: no user.name, no helpers."""

PLATFORM = "campaigns/acme.cxonecloud.com"
"""The platform of the tenant acme: what its ledger is called after."""

WHO = Attribution("ci-bot", "lead", "42", "b" * 40, "https://ci.example/runs/7")


@dataclass
class Clock:
    """A clock that tests advance; a sleep advances it by the given seconds."""

    now: datetime = START
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.pass_by(seconds)

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return (self.now - START).total_seconds()

    def world(self, **more: Any) -> World:
        """Return a world with this clock and a random source that always returns 0.5."""
        usual = {
            "environ": {},
            "directory": Path(),
            "now": self,
            "monotonic": self.monotonic,
            "sleep": asyncio.sleep,
            "random": Half(),
            "new_id": lambda: secrets.token_hex(8),
            "progress": lambda _: None,
            "remote_budget": RemoteBudget(),
            "block": self.sleep,
        }
        return World(**usual | more)


class Half(random.Random):
    """A random source that always returns 0.5."""

    def random(self) -> float:
        return 0.5


def git(root: Path, *arguments: str, stdin: bytes = b"") -> str:
    """Run git like a user at a terminal, without any configuration."""
    who = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "a person"), ("EMAIL", "person@example.com"))
    }
    ran = subprocess.run(
        ["git", "-c", "protocol.file.allow=always", *arguments],
        cwd=root,
        env=ENVIRON | who,
        input=stdin,
        capture_output=True,
        check=True,
    )
    return ran.stdout.decode().strip()


def repository(root: Path, *, object_format: str = "sha1", bare: bool = False) -> Git:
    """Return a repository with one commit (none when bare)."""
    root.mkdir(parents=True, exist_ok=True)
    kind = ["--bare"] if bare else []
    git(root, "init", "-q", "-b", "main", f"--object-format={object_format}", *kind)
    if not bare:
        (root / "schedules" / "acme").mkdir(parents=True)
        (root / "schedules" / "acme" / "a.yaml").write_text("kind: CampaignSchedule\n")
        commit(root, "begin")
    return Git(root, environ=ENVIRON)


def commit(root: Path, message: str) -> str:
    """Commit all changes and return the commit's id."""
    git(root, "add", "-A")
    git(root, "commit", "-q", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")


def shared(folder: Path, *, clones: int = 1) -> tuple[Path, list[Git]]:
    """Return a bare remote with one commit, and clones of it."""
    bare = folder / "remote.git"
    names = [f"clone{number}" for number in range(clones)]
    made = _shared_template(machine.templates(), clones)
    shutil.copytree(made, folder, dirs_exist_ok=True)
    for name in names:  # each knows its remote by an absolute URL
        file = folder / name / ".git" / "config"
        file.write_text(file.read_text().replace(made.as_uri(), folder.as_uri()))
    return bare, [Git(folder / name, environ=ENVIRON) for name in names]


@cache
def _shared_template(templates: Path, clones: int) -> Path:
    """Return the folder that `shared` copies: to make it takes twelve git processes."""
    folder = templates / f"shared-{clones}"
    bare = folder / "remote.git"
    repository(bare, bare=True)
    seed = repository(folder / "seed")
    git(seed.root, "push", "-q", str(bare), "main")
    for number in range(clones):
        clone(bare, folder / f"clone{number}")
    return folder


def clone(bare: Path, to: Path, *options: str) -> Git:
    """Return a clone; `options` as for `git clone`."""
    git(bare.parent, "clone", "-q", *options, bare.as_uri(), str(to))
    return Git(to, environ=ENVIRON)


def operation(
    key: str = "1001", *, action: Action = Action.UPDATE, rate: float = 25.0
) -> Operation:
    """Return an operation on a campaign."""
    body = {"campaign_id": key, "dial_rate": rate, "max_concurrent_calls": 500}
    windows = [{"end_hour": 20, "start_hour": 9, "timezone": "America/New_York"}]
    return Operation(
        kind="CampaignSchedule",
        key=key,
        name=f"campaign-{key}",
        platform_name=f"Campaign {key}",
        action=action,
        desired=None if action is Action.RETIRE else {**body, "compliance_windows": windows},
        live={**body, "dial_rate": 30.0},
        live_hash="a" * 64,
        fields=(FieldChange("dial_rate", 30.0, rate),),
        direction=Direction.TIGHTEN,
        place=Place("schedules/acme/a.yaml", 1, 1),
        audit={
            "campaign_id": key,
            "compliance_windows": windows,
            "dial_rate": rate,
            "max_concurrent": 500,
        },
    )


def run(
    commit_id: str, name: str = "run-1", *, clock: Clock | None = None, tenant: str = PLATFORM
) -> Run:
    """Return a run on a platform; the default is the platform of the tenant acme."""
    return Run(tenant, commit_id, name, clock or Clock(), WHO)


def story(run_: Run, operations: Iterable[Operation], *, ledger: str | None = None) -> list[Event]:
    """Return the events of a successful run."""
    wanted = list(operations)
    begun = run_.open(
        digest="d" * 64, operations=len(wanted), tool="reconcile 1", ledger=ledger, applied=None
    )
    intents = [run_.intent(each, digest="d" * 64, generation=0) for each in wanted]
    outcomes = [
        run_.outcome(intent, Result.UPDATED, audit=each.audit, schedule_id=f"s-{each.key}")
        for intent, each in zip(intents, wanted, strict=True)
    ]
    return [begun, *intents, *outcomes, run_.close({"planned": len(wanted), "active": len(wanted)})]


def opened(
    git_: Git,
    clock: Clock | None = None,
    *,
    tenant: str = PLATFORM,
    world: World | None = None,
    **more: Any,
) -> Ledger:
    """Return the ledger of a platform, that of the tenant acme; `more` as for `Ledger.open`."""
    return Ledger.open(git_, tenant, world or (clock or Clock()).world(), **more)
