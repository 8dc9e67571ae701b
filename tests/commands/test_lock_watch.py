"""An apply that cannot read the lock starts nothing new after five seconds: a halt may have taken it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import sandbox
from reconciler.commands.lock_watch import BLIND_S, LOOK_S, LockWatch
from reconciler.errors import GitError, LockUnknown, Unavailable
from reconciler.git import Git
from tests.commands.test_clocks import machine
from tests.commands.test_halt import PATH, ledger, remote
from tests.support.desk import Desk, desk, server
from tests.support.gitfakes import Clock

__all__ = ["desk", "remote", "server"]

HANGS = float("inf")
ROUNDING_S = 1e-3


@dataclass
class FakeLock:
    """A lock whose reads take a time and succeed or fail as told. A time limit ends a read."""

    clock: Clock
    looks: Iterator[tuple[float, bool]]
    last: float = float("-inf")
    """When the last successful read began."""
    read: int = 0
    held: bool = True
    fresh: bool = True

    def may_write(self) -> bool:
        return self.fresh

    def still_ours(self, limit_s: float) -> bool:
        self.read += 1
        began = self.clock.monotonic()
        takes, works = next(self.looks)
        self.clock.pass_by(min(takes, limit_s))
        if takes > limit_s:
            raise Unavailable("took longer")
        if not works:
            raise GitError("refused")
        self.last = began
        return self.held


@dataclass
class Watched:
    """A watch in virtual time."""

    looks: Sequence[tuple[float, bool]]
    clock: Clock = field(default_factory=Clock)
    make_lock: Callable[[Clock, Iterator[tuple[float, bool]]], FakeLock] = FakeLock
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        rest = self.looks[-1] if self.looks else (0.0, True)

        def forever() -> Iterator[tuple[float, bool]]:
            yield from self.looks
            while True:
                yield rest

        async def sleep(seconds: float) -> None:
            self.clock.pass_by(seconds)

        self.lock = self.make_lock(self.clock, forever())
        world = self.clock.world(sleep=sleep)
        self.watch = LockWatch(cast("Any", self.lock), world, self.stop)

    def ask(self) -> bool | None:
        return asyncio.run(self.answer())

    async def answer(self) -> bool | None:
        """Return whether a write may start; `None` means that the lock is unknown."""
        try:
            return await self.watch.is_ours()
        except LockUnknown:
            return None


def test_the_longest_time_without_the_lock_is_five_seconds() -> None:
    """A stop waits for so long before it looks for what a run started past it."""
    assert (BLIND_S, LOOK_S) == (5.0, 1.0)


looks = st.lists(st.tuples(st.sampled_from([0.0, 0.3, 2.0, 4.0, HANGS]), st.booleans()), max_size=8)


@given(looks, st.lists(st.sampled_from([0.0, 0.4, 1.0, 3.0, 30.0]), min_size=1, max_size=8))
def test_no_write_starts_five_seconds_after_the_last_read_of_the_lock(
    said: list[tuple[float, bool]], pauses: list[float]
) -> None:
    watched = Watched(said)

    async def write() -> None:
        ended = False
        for pause in pauses:
            watched.clock.pass_by(pause)
            asked = watched.clock.monotonic()
            answer = await watched.answer()
            now = watched.clock.monotonic()
            assert now - asked <= BLIND_S + ROUNDING_S
            if answer:
                assert not ended
                assert now - watched.lock.last <= BLIND_S + ROUNDING_S
            ended = ended or answer is None
            assert ended == watched.stop.is_set()

    asyncio.run(write())


@pytest.mark.parametrize("look", [(HANGS, True), (0.01, False)])
def test_a_run_that_cannot_read_the_lock_writes_for_five_seconds_and_then_ends(
    look: tuple[float, bool],
) -> None:
    watched = Watched([(0.01, True), look])
    assert watched.ask() is True
    began = watched.clock.monotonic()
    while watched.ask():
        watched.clock.pass_by(0.1)
        assert watched.clock.monotonic() - began < 2 * BLIND_S
    assert watched.stop.is_set()
    assert watched.ask() is None
    with pytest.raises(LockUnknown, match="Run apply again when the git remote answers"):
        asyncio.run(watched.watch.is_ours())


def test_one_failed_read_after_a_long_wait_ends_no_run() -> None:
    watched = Watched([(0.01, True), (0.01, False), (0.01, True)])
    assert watched.ask()
    watched.clock.pass_by(600)
    assert watched.ask()
    assert watched.lock.read == 3
    assert not watched.stop.is_set()


def test_a_slow_remote_is_read_once_for_a_second_of_writes() -> None:
    watched = Watched([(4.0, True)])
    for _ in range(5):
        assert watched.ask()
        watched.clock.pass_by(LOOK_S / 10)
    assert watched.lock.read == 1


def test_a_lost_lock_is_no_unknown_one() -> None:
    watched = Watched([(0.01, True)])
    watched.lock.held = False
    assert watched.ask() is False
    assert not watched.stop.is_set()
    again = Watched([(0.01, True)])
    again.watch.lose()
    assert again.ask() is False
    stale = Watched([(0.01, True)])
    stale.lock.fresh = False
    assert stale.ask() is False
    assert stale.lock.read == 0


@dataclass
class Suspended(Clock):
    """The clocks of a machine that can be suspended: its monotonic clock stands meanwhile."""

    suspended_s: float = 0.0

    def monotonic(self) -> float:
        return super().monotonic() - self.suspended_s

    def suspend(self, seconds: float) -> None:
        self.pass_by(seconds)
        self.suspended_s += seconds


@dataclass
class TakenMeanwhile(FakeLock):
    """Another run takes the lock while this process is frozen, right after git has read the lock."""

    freeze: Callable[[], None] = lambda: None
    lease_ends: bool = False

    def still_ours(self, limit_s: float) -> bool:
        held = super().still_ours(limit_s)
        if self.held:
            self.freeze()
            self.held, self.fresh = False, not self.lease_ends
        return held


@pytest.mark.parametrize("is_suspended", [False, True])
@pytest.mark.parametrize("frozen_s", [BLIND_S, 600.0])
def test_an_answer_from_before_a_freeze_counts_for_nothing(
    frozen_s: float, *, is_suspended: bool
) -> None:
    """The process reads the lock, is frozen before it uses the answer, and goes on when the lock is another run's."""
    clock = Suspended()
    wait = clock.suspend if is_suspended else clock.pass_by
    taken = partial(TakenMeanwhile, freeze=lambda: wait(frozen_s))
    watched = Watched([(0.01, True)], clock, taken)
    assert watched.ask() is False
    assert watched.lock.read == 2
    assert not watched.stop.is_set()


def test_a_lease_that_ends_while_the_lock_is_read_permits_no_write() -> None:
    watched = Watched([(0.01, True)], make_lock=partial(TakenMeanwhile, lease_ends=True))
    assert watched.ask() is False


def test_a_machine_that_was_suspended_reads_the_lock_again() -> None:
    clock = Suspended()
    watched = Watched([(0.01, True)], clock)
    assert watched.ask()
    clock.suspend(LOOK_S)
    watched.lock.held = False
    assert watched.ask() is False
    assert watched.lock.read == 2


# --- with a remote that stops answering -----------------------------------------------------------------------------------


def hang(bare: Path) -> Callable[[], None]:
    """Make every git command that opens a repository wait for ever, as on a disk that is gone; return what ends that."""
    head = bare / "HEAD"
    kept = bare / "HEAD.kept"
    head.rename(kept)
    os.mkfifo(head)

    def heal() -> None:
        head.unlink()
        kept.rename(head)

    return heal


def refuse(bare: Path) -> Callable[[], None]:
    away = bare.with_name("away")
    bare.rename(away)
    return lambda: away.rename(bare) and None


@pytest.mark.parametrize("fail", [hang, refuse])
def test_an_apply_ends_when_the_remote_stops_answering(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    monkeypatch: pytest.MonkeyPatch,
    fail: Callable[[Path], Callable[[], None]],
) -> None:
    monkeypatch.setitem(Git.__init__.__kwdefaults__, "network_timeout_s", 1.0)
    server.configure(activation_s=0, requests_per_second=0)
    executed = server.executed
    heal: list[Callable[[], None]] = []

    def checkpoint(name: str) -> None:
        if name == "intents:recorded":
            heal.append(fail(remote))

    machine(monkeypatch, lambda: server.now, checkpoint)
    assert desk.run("apply", "--yes", PATH) == 69
    assert executed() == 0
    assert executed(action="REMOVED") == 0
    assert "the tenant's lock could not be read for 5 s" in desk.out
    assert "Run apply again when the git remote answers" in desk.out
    assert "not started" in desk.out
    heal[0]()
    machine(monkeypatch, lambda: server.now)
    assert desk.run("lock", "release", PATH) == 0
    assert desk.run("apply", "--yes", PATH) in {0, 5}
    assert executed() > 0
    assert not ledger(desk.folder, remote="origin").open_intents()
