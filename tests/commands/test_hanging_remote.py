"""A git remote that accepts connections and answers nothing holds nobody up: every wait for it can be ended, and is told."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.git import Git
from tests.commands.test_clocks import machine
from tests.commands.test_halt import NAME, PATH, ledger, remote
from tests.commands.test_lock_watch import hang
from tests.support.desk import Desk, desk, git, server

__all__ = ["desk", "remote", "server"]


class Hanging:
    """A TCP server that accepts connections and answers nothing.

    Attributes:
        asked: called at each connection, with its number (from 1).
        connections: the connections.
    """

    def __init__(self) -> None:
        self.asked: Callable[[int], None] = lambda _: None
        self.connections: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/shared.git"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            self.asked(len(self.connections))

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in self.connections:
            each.close()
        self._thread.join(60)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    server = Hanging()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def _interruptible() -> Iterator[None]:
    """A shell starts jobs in the background with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt(_: int) -> None:
    os.kill(os.getpid(), signal.SIGINT)


def turn_to(desk: Desk, url: str) -> None:
    git(desk.folder, "remote", "set-url", "origin", url)


READING = [
    ("plan", PATH),
    ("drift", PATH),
    ("validate", "--online", PATH),
    ("import", PATH),
    ("audit", "log", PATH),
    ("audit", "verify", PATH),
    ("lock", "status", PATH),
    ("release", PATH, NAME, "--reason", "corrected"),
]


@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_one_interrupt_ends_a_command_that_waits_for_the_remote(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    hanging: Hanging,
    command: tuple[str, ...],
) -> None:
    turn_to(desk, hanging.url)
    hanging.asked = interrupt
    assert desk.run(*command) == 130, desk.out + desk.err
    assert len(hanging.connections) == 1


@pytest.mark.parametrize("command", [*READING, ("apply", "--yes", PATH)], ids=" ".join)
def test_a_command_asks_a_remote_that_hangs_once_and_says_so(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    hanging: Hanging,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
) -> None:
    monkeypatch.setitem(Git.__init__.__kwdefaults__, "network_timeout_s", 1.0)
    turn_to(desk, hanging.url)
    assert "git ls-remote took longer than 1 s" in desk.says(69, *command)
    assert len(hanging.connections) == 1


@pytest.mark.parametrize(
    "case",
    [(interrupt, 1e6, 130), (lambda _: None, 1.0, 69)],
    ids=["two interrupts", "no interrupt"],
)
def test_an_apply_whose_remote_hangs_from_the_middle_on_ends_soon(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    hanging: Hanging,
    monkeypatch: pytest.MonkeyPatch,
    case: tuple[Callable[[int], None], float, int],
) -> None:
    """The run reads the lock first, and then records that nothing was started. An interrupt comes at each."""
    asked, rest_s, code = case
    server.configure(activation_s=0, requests_per_second=0)
    monkeypatch.setattr("reconciler.commands.lock_watch.BLIND_S", 1.0)
    monkeypatch.setattr("reconciler.commands.journal.SLOW_S", 1e6)
    monkeypatch.setattr("reconciler.world.RemoteBudget.shorten.__defaults__", (rest_s,))
    hanging.asked = asked

    def checkpoint(name: str) -> None:
        if name == "intents:recorded":
            turn_to(desk, hanging.url)

    machine(monkeypatch, lambda: server.now, checkpoint)
    assert desk.run("apply", "--yes", PATH) == code, desk.out + desk.err
    assert len(hanging.connections) == 2, "after these nothing more is asked"
    assert ("Interrupt again to stop waiting for the git remote" in desk.err) is (code == 130)
    assert ("interrupted again" in desk.err) is (code == 130)
    assert "was not started, because the time for the git remote is over" in desk.err
    assert "git push --force-with-lease=refs/reconcile/lock/" in desk.err
    assert "Run apply again" in desk.out
    turn_to(desk, str(remote))
    machine(monkeypatch, lambda: server.now)
    assert desk.run("lock", "release", PATH) == 0
    assert desk.run("apply", "--yes", PATH) in {0, 5}, desk.out + desk.err
    assert not ledger(desk.folder, remote="origin").open_intents()


def test_a_push_that_hangs_is_ended_when_the_lock_cannot_be_read_either(
    desk: Desk, server: sandbox.CampaignState, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By itself it would take its whole time, and the read after it would be the first to have a budget."""
    server.configure(activation_s=0, requests_per_second=0)
    monkeypatch.setitem(Git.__init__.__kwdefaults__, "network_timeout_s", 20.0)
    monkeypatch.setattr("reconciler.commands.journal.BLIND_S", 1.0)
    monkeypatch.setattr("reconciler.world.RemoteBudget.shorten.__defaults__", (1.0,))

    def checkpoint(name: str) -> None:
        if name == "apply:executed":
            hang(remote)

    machine(monkeypatch, lambda: server.now, checkpoint)
    assert desk.run("apply", "--yes", PATH) == 3, desk.out + desk.err
    assert "git ls-remote was not started, because the time for the git remote is over" in desk.out
    assert "Run apply again: it reads back what is open, and records it" in desk.out
