"""What the git remote may keep a run waiting: after the first command without an answer, a few seconds in total."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import RemoteTimeout, Unavailable
from reconciler.git import Git
from reconciler.git.process import Ran, run_process
from reconciler.world import QUIET_S, REST_S, RemoteBudget
from tests.support.gitfakes import ENVIRON, clone, repository

LIMIT_S = 120.0
ROUNDING_S = 1e-6

waits = st.lists(st.tuples(st.sampled_from([0.0, 0.5, 4.0, 9.0, 90.0, 1e9]), st.booleans()))


class Waits:
    """Commands one after another, in virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.budget = RemoteBudget(monotonic=lambda: self.now)
        self.unanswered = 0.0

    def command(self, takes_s: float) -> bool:
        """Return whether it was answered in its time."""
        began = self.now
        limit_s = self.budget.limit_s(began, LIMIT_S)
        self.now += min(takes_s, limit_s)
        if takes_s <= limit_s:
            return True
        self.unanswered += limit_s
        self.budget.spend(began)
        return False


@given(waits)
def test_all_unanswered_commands_after_the_first_take_ten_seconds_together(
    said: list[tuple[float, bool]],
) -> None:
    waits = Waits()
    for takes_s, interrupts in said:
        if interrupts:
            waits.budget.shorten()
        waits.command(takes_s)
    assert waits.unanswered <= LIMIT_S + REST_S + ROUNDING_S
    waits.budget.shorten(0.0)
    assert waits.budget.limit_s(waits.now, LIMIT_S) == 0.0


@given(st.lists(st.floats(0.0, REST_S - 1), max_size=50))
def test_commands_that_are_answered_cost_nothing(takes: list[float]) -> None:
    waits = Waits()
    assert waits.command(LIMIT_S)
    assert not waits.command(LIMIT_S + 1)
    assert all(map(waits.command, takes))


def test_an_interrupt_shortens_what_runs_from_then_on() -> None:
    waits = Waits()
    waits.now = 100.0
    waits.budget.shorten()
    assert waits.budget.limit_s(0.0, LIMIT_S) == 100.0 + REST_S
    waits.budget.shorten(0.0)
    assert waits.budget.limit_s(0.0, LIMIT_S) == 100.0


# --- real commands --------------------------------------------------------------------------------------------------------


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A clone whose remote answers nothing, and what is set as soon as git waits for it."""
    bare = tmp_path / "remote.git"
    repository(bare, bare=True)
    there = clone(bare, tmp_path / "clone")
    (bare / "HEAD").unlink()
    os.mkfifo(bare / "HEAD")
    waits, writers = threading.Event(), list[int]()

    def watch() -> None:
        writers.append(os.open(bare / "HEAD", os.O_WRONLY))  # returns when git opens it for reading
        waits.set()

    threading.Thread(target=watch, daemon=True).start()
    yield there.root, waits
    for each in writers:
        os.close(each)


def test_a_command_that_runs_is_ended_as_soon_as_the_budget_is_used_up(
    hanging: tuple[Path, threading.Event],
) -> None:
    root, waits = hanging
    budget, caught = RemoteBudget(), list[RemoteTimeout]()
    git = Git(root, environ=ENVIRON, budget=budget)

    def ask() -> None:
        try:
            git.remote_refs("origin", "refs/heads/main")
        except RemoteTimeout as error:
            caught.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    assert waits.wait(60)
    budget.shorten(0.0)
    asking.join(60)
    assert not asking.is_alive()
    assert "git ls-remote took longer than" in str(caught[0])
    with pytest.raises(RemoteTimeout, match="git ls-remote was not started"):
        git.remote_refs("origin", "refs/heads/main")
    assert git.resolve("HEAD") is None, "commands in the clone need no budget"


def test_a_long_wait_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.git.process.QUIET_S", 0.0)
    told: list[str] = []
    sleeps = (sys.executable, "-c", "import time; time.sleep(600)")
    budget = RemoteBudget(told.append)
    with pytest.raises(TimeoutError):
        run_process(
            sleeps, cwd=tmp_path, env=dict(os.environ), stdin=b"", timeout_s=0.01, budget=budget
        )
    assert told == ["waiting for the git remote, for 0 s at most (Ctrl-C ends the wait)"]
    assert QUIET_S > 0


class Remote:
    """A runner whose fetches fail as told; other commands run."""

    def __init__(self, fails: Ran | Exception) -> None:
        self.fails = fails
        self.fetches = 0

    def __call__(self, argv, **rest) -> Ran:
        if "fetch" not in argv:
            return run_process(argv, **rest)
        self.fetches += 1
        if isinstance(self.fails, Exception):
            raise self.fails
        return self.fails


@pytest.mark.parametrize(
    ("fails", "fetches"),
    [(TimeoutError(), 1), (Ran(128, b"", b"fatal: Server does not allow request"), 2)],
)
def test_history_is_fetched_by_branches_only_if_the_remote_refused_ids(
    tmp_path: Path, fails: Ran | Exception, fetches: int
) -> None:
    repository(tmp_path / "seed")
    there = clone(tmp_path / "seed" / ".git", tmp_path / "clone", "--depth=1")
    shallow = tmp_path / "clone" / ".git" / "shallow"
    shallow.write_text(f"{there.head()}\n")
    remote = Remote(fails)
    with pytest.raises(Unavailable) as caught:
        Git(there.root, environ=ENVIRON, runner=remote).unshallow("origin")
    assert remote.fetches == fetches
    assert isinstance(caught.value, RemoteTimeout) is (fetches == 1)
