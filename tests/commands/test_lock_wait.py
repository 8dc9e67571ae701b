"""`apply --wait-for-lock`: runs queue for the lock, and the newest commit carries the others."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.audit import Record
from reconciler.commands import apply as apply_command
from reconciler.commands import lock_wait
from reconciler.errors import TenantLocked
from reconciler.git import Git
from reconciler.ledger import Ledger
from reconciler.world import Network, here
from tests.commands.test_clocks import machine
from tests.commands.test_halt import PATH, ledger, remote
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.gitfakes import Clock, opened, repository

__all__ = ["desk", "remote", "server"]

NAME = "warranty-reminders"


class Queue:
    """A run that waits for a lock, in virtual time. `after`: what happens when so many seconds have passed."""

    def __init__(self, repo: Git, after: dict[float, Callable[[], object]]) -> None:
        self.clock = Clock()
        self.after = after
        self.told: list[str] = []
        self.slept: list[float] = []
        self.stop = asyncio.Event()
        world = self.clock.world(sleep=self.sleep, progress=self.told.append)
        self.world = world
        self.ledger = opened(repo, world=world)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.pass_by(seconds)
        for due in [each for each in self.after if each <= self.clock.monotonic()]:
            self.after.pop(due)()

    def wait(self, wait_s: float) -> None:
        async def take() -> None:
            async with lock_wait.locked(
                self.world, self.ledger, holder="waiting", wait_s=wait_s, stop=self.stop
            ):
                assert self.ledger.lock.still_ours()

        asyncio.run(take())


@pytest.fixture
def repo(tmp_path: Path) -> Git:
    return repository(tmp_path / "repo")


@pytest.fixture(params=[False, True], ids=["apply", "stop"])
def running(request: pytest.FixtureRequest, repo: Git) -> Ledger:
    """Another run that holds the lock."""
    found = opened(repo)
    found.lock.acquire(holder="another run", force=request.param)
    return found


def test_a_run_waits_until_the_lock_is_free_and_tells_the_holder_once(
    repo: Git, running: Ledger
) -> None:
    queue = Queue(repo, {40.0: running.lock.release})
    queue.wait(600)
    assert 40 <= queue.clock.monotonic() <= 40 + lock_wait.MOST_S
    (told,) = queue.told
    assert told.startswith("waiting up to 600 s: tenant ")
    assert "Holder: another run" in told
    assert queue.slept[0] <= lock_wait.FIRST_S
    assert max(queue.slept) <= lock_wait.MOST_S
    assert queue.slept[:4] == sorted(queue.slept[:4])
    assert queue.ledger.lock.standing() is None


@pytest.mark.parametrize("wait_s", [0.0, 0.3, 100.0])
def test_a_wait_that_is_over_leaves_the_lock_to_its_holder(
    repo: Git, running: Ledger, wait_s: float
) -> None:
    queue = Queue(repo, {})
    with pytest.raises(TenantLocked):
        queue.wait(wait_s)
    assert sum(queue.slept) == pytest.approx(wait_s)
    assert running.lock.still_ours()


def test_an_interrupted_run_waits_no_longer(repo: Git, running: Ledger) -> None:
    queue = Queue(repo, {})
    queue.after[10.0] = queue.stop.set
    with pytest.raises(TenantLocked):
        queue.wait(600)
    assert queue.clock.monotonic() <= 10 + lock_wait.MOST_S
    assert running.lock.still_ours()


# --- several commits ------------------------------------------------------------------------------------------------------


def superseded(folder: Path) -> list[Record]:
    found = ledger(folder, remote="origin").records()
    return [each for each in found if "superseded" in each.data]


def change(folder: Path, old: str, new: str) -> str:
    """Commit and push a change of a manifest; return the commit."""
    file = folder / PATH / f"{NAME}.yaml"
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")
    commit(folder)
    git(folder, "push", "-q", "origin", "HEAD:main")
    return git(folder, "rev-parse", "HEAD").strip()


def applied_elsewhere(folder: Path) -> None:
    """Apply in another clone, while a run of this process waits."""
    codes: list[int] = []

    def run() -> None:
        asked = apply_command.ApplyRequest(folder / PATH, network=Network())
        world = here(lambda _: None)._replace(directory=folder)
        report = asyncio.run(apply_command.apply(world, asked, asyncio.Event()))
        codes.append(report.exit_code)

    other = threading.Thread(target=run)
    other.start()
    other.join()
    assert codes[0] in {0, 5}


@pytest.mark.parametrize(("options", "code"), [(("--wait-for-lock", "60"), 0), ((), 5)])
def test_a_commit_that_a_newer_one_carried_ends_well_and_writes_nothing(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    code: int,
) -> None:
    server.configure(activation_s=0, requests_per_second=0)
    assert desk.run("apply", "--yes", PATH) in {0, 5}
    older = change(desk.folder, "dial_rate: 2.4", "dial_rate: 2.3")
    other = remote.with_name("other")
    shutil.rmtree(other, ignore_errors=True)
    git(remote.parent, "clone", "-q", "-b", "main", str(remote), str(other))
    newer = change(other, "dial_rate: 2.3", "dial_rate: 2.2")
    after: list[tuple[str | None, int]] = []

    def checkpoint(name: str) -> None:
        if name == "apply:opened" and not after:
            after.append((None, 0))
            applied_elsewhere(other)
            after[0] = (ledger(other, remote="origin").head, server.executed())

    machine(monkeypatch, lambda: server.now, checkpoint)
    assert desk.run("apply", "--yes", *options, PATH) == code
    assert (ledger(other, remote="origin").head, server.executed()) == after[0]
    assert newer[:12] in desk.out + desk.err
    assert (f"applied by {newer}" in desk.out) == (code == 0)
    assert [each.data["superseded"] for each in superseded(other)] == [older]
