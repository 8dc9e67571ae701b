"""What a run says of its lock, whatever other runs do meanwhile and whichever answers of the remote are lost. No git runs here."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from reconciler.errors import TenantLocked, Unavailable
from reconciler.git import Move
from reconciler.git.values import Stat
from reconciler.ledger import LedgerOptions, locks
from reconciler.ledger.connection import Connection
from reconciler.ledger.locks import Lease
from reconciler.ledger.refs import RefNames, RefState, move_command
from reconciler.ledger.tenant_lock import TenantLock
from tests.support.gitfakes import PLATFORM, Clock


@dataclass
class Objects:
    """The commits of locks: as much of a repository as locks need."""

    commits: dict[str, bytes] = field(default_factory=dict)
    empty_tree: str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

    def commit_tree(self, tree: str, *, message: str, **_: Any) -> str:
        made = f"{len(self.commits):040x}"
        self.commits[made] = f"tree {tree}\n\n{message}".encode()
        return made

    def stat(self, *ids: str) -> dict[str, Stat]:
        return {each: Stat("commit", len(self.commits[each])) for each in ids}

    def read(self, *ids: str) -> dict[str, bytes]:
        return {each: self.commits[each] for each in ids}


DONE, LOST, REFUSED = "done", "answer lost", "refused"
UNREAD = ", then one read fails"
ANSWERS = (DONE, DONE + UNREAD, LOST, LOST + UNREAD, REFUSED, REFUSED + UNREAD)
EVENTS = ("nothing", "taken", "released")
PUSHES = tuple(itertools.product(EVENTS, ANSWERS))


@dataclass
class Remote:
    """A remote that holds the lock alone. For each push it knows what happens just before it, and what becomes of its answer.

    Attributes:
        git: holds the commits.
        others: makes the locks of other runs.
        lock_now: the commit of the lock.
        pushes: what happens at the next pushes; then each is carried out.
        accepted: what each push that was carried out replaced.
        missed: the commit of the last push that was not carried out.
        broken: the next read fails.
    """

    git: Objects
    others: Lease
    lock_now: str | None
    pushes: list[tuple[str, str]]
    accepted: list[str | None] = field(default_factory=list)
    name: str = "origin"
    stops: frozenset[str] = frozenset()
    missed: str | None = None
    broken: bool = False

    def read(self) -> RefState:
        return RefState(None, self.lock())

    def lock(self, _: float | None = None) -> str | None:
        if self.broken:
            self.broken = False
            raise Unavailable("the git remote does not answer")
        return self.lock_now

    def existing(self, *_: str) -> dict[str, str]:
        return {}

    def keep(self, state: RefState) -> RefState:
        return state

    def move(self, state: RefState, *moves: Move) -> RefState:
        (move,) = moves
        event, answer = self.pushes.pop(0) if self.pushes else ("nothing", DONE)
        if event != "nothing":
            self.lock_now = (
                self.others.make("another run", None).commit if event == "taken" else None
            )
        self.broken = answer.endswith(UNREAD)
        if answer.startswith(REFUSED) or move.old != self.lock_now:
            self.missed = move.new
            raise Unavailable("refused")
        self.accepted.append(move.old)
        self.lock_now = move.new
        if answer.startswith(LOST):
            raise Unavailable("the git remote does not answer")
        return RefState(state.ledger, move.new)


def lock_of(pushes: list[tuple[str, str]], *, held: bool, **more: Any) -> tuple[TenantLock, Remote]:
    """Return a tenant's lock for a run, and the remote that keeps it. Another run holds it, if `held`; `more` as for `Clock.world`."""
    git, world = Objects(), Clock().world(**more)
    others = Lease(git, world, "acme")  # type: ignore[arg-type]
    first = others.make("another run", None).commit if held else None
    remote = Remote(git, others, first, pushes)
    connection = Connection(git, PLATFORM, remote, world, LedgerOptions(stop=True))  # type: ignore[arg-type]
    connection.refresh()
    return TenantLock(connection), remote


def take(lock: TenantLock) -> None:
    """Take the lock as a halt does: until an attempt ends without an error, or another run took it afterwards."""
    while True:
        try:
            return lock.acquire(holder="halt", force=True)
        except TenantLocked:
            return None
        except Unavailable:
            continue


def is_part(part: list[str | None], whole: list[str | None]) -> bool:
    """Return whether a list is another one from which elements were left out."""
    rest = iter(whole)
    return all(any(each == found for found in rest) for each in part)


def nonces(git: Objects, commits: Iterable[str | None]) -> list[str | None]:
    return [None if each is None else locks.read(git, each).nonce for each in commits]  # type: ignore[arg-type]


@pytest.mark.parametrize("held", [False, True])
def test_every_lock_of_another_run_that_an_accepted_push_replaced_is_named(*, held: bool) -> None:
    """A halt waits for the writes of those runs. `None` stands for a free lock."""
    for pushes in itertools.product(PUSHES, PUSHES):
        lock, remote = lock_of([*pushes], held=held)
        take(lock)
        named = [each and each.nonce for each in lock.replaced]
        replaced = [each for each in remote.accepted if not lock.lease.owns(each)]
        assert is_part(nonces(remote.git, replaced), named), pushes
        assert nonces(remote.git, replaced[-1:]) == named[-1:], pushes


def test_a_lock_that_a_push_without_an_answer_took_locks_the_run_itself_out_of_nothing() -> None:
    """Another run holds the lock when the answer is missed. The push is carried out later, once that run has released the lock."""
    lock, remote = lock_of([("taken", REFUSED)], held=False)
    with pytest.raises(TenantLocked, match="Holder: another run"):
        lock.acquire(holder="apply")
    remote.lock_now = remote.missed
    lock.acquire(holder="apply")
    assert lock.still_ours()


@pytest.mark.parametrize("push", PUSHES, ids=", ".join)
def test_a_lock_that_a_run_could_not_release_is_told_only_if_it_may_still_stand(
    push: tuple[str, str],
) -> None:
    """A push whose answer was lost may have been carried out, and another run may hold the lock by now."""
    told: list[str] = []
    lock, remote = lock_of([("nothing", DONE), push], held=False, progress=told.append)
    lock.acquire(holder="apply")
    ours = str(remote.lock_now)
    lock.release()
    unread = push[1].endswith(UNREAD) and not remote.broken
    assert len(told) == (remote.lock_now == ours or unread)
    delete = move_command(RefNames.of(PLATFORM).lock, ours, None, "origin")
    assert all(each.endswith(delete) for each in told), "it deletes no lock of another run"
