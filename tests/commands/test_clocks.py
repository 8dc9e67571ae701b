"""One clock decides when holds and locks end: the platform's. A runner whose own clock is hours off ends nothing early."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler import sandbox
from reconciler import world as worlds
from reconciler.audit import RecordKind
from reconciler.ledger import TTL_S, locks
from reconciler.world import World
from tests.commands.test_halt import NAME, PATH, halt, ledger, remote
from tests.support.desk import Desk, desk, server

__all__ = ["desk", "remote", "server"]

SLACK = timedelta(minutes=2)
"""More than a test takes."""

HOURS = [-7, 0, 7]


def machine(
    patch: pytest.MonkeyPatch,
    now: Callable[[], datetime],
    checkpoint: Callable[[str], None] = lambda _: None,
) -> None:
    """Set the clock of the machine that runs the commands."""
    real = worlds.here

    def here(*arguments: Any, **more: Any) -> World:
        return real(*arguments, **more)._replace(now=now, checkpoint=checkpoint)

    patch.setattr(worlds, "here", here)


def off(world: sandbox.CampaignState, hours: float) -> Callable[[], datetime]:
    """Return the clock of a machine that is so many hours ahead of a platform."""
    return lambda: world.now + timedelta(hours=hours)


def hold_of(desk: Desk, where: str | None = None) -> dict[str, Any]:
    """Return the newest hold. A stop records its hold before it reads the object, and again with what was stored."""
    holds = [e for e in ledger(desk.folder, remote=where).records() if e.kind is RecordKind.HOLD]
    assert len({each.data["until"] for each in holds}) == 1
    return dict(holds[-1].data)


def end_of(desk: Desk, where: str | None = None) -> datetime:
    return datetime.fromisoformat(hold_of(desk, where)["until"])


@pytest.mark.parametrize("hours", HOURS)
def test_a_hold_of_six_hours_lasts_six_hours_of_the_platform(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    monkeypatch: pytest.MonkeyPatch,
    hours: float,
) -> None:
    machine(monkeypatch, off(server, hours))
    assert halt(desk, NAME, "--until", "+6h") == 0
    end = end_of(desk, "origin")
    assert abs(end - server.now - timedelta(hours=6)) < SLACK
    for runner in HOURS:
        machine(monkeypatch, off(server, runner))
        assert desk.run("plan", PATH) in {0, 5}
        assert "halted by" in desk.out
        # A plan says once, on one line, how far the clocks are apart and what follows.
        said = [line for line in desk.out.splitlines() if "this machine's. " in line]
        assert len(said) == (runner != 0)
        assert all("when both clocks have passed its end" in line for line in said)
        assert desk.out.count("when both clocks have passed its end") == (runner != 0)
        assert "this machine's clock shows" not in desk.out
    server.pin(end + timedelta(minutes=1))
    machine(monkeypatch, off(server, 0))
    assert desk.run("plan", PATH) in {0, 5}
    assert "halted by" not in desk.out


def test_whether_an_end_is_past_is_what_the_platforms_clock_says(
    desk: Desk, server: sandbox.CampaignState, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, off(server, 7))
    end = (server.now + timedelta(hours=6)).isoformat()
    assert halt(desk, NAME, "--until", end) == 0
    past = (server.now - timedelta(minutes=1)).isoformat()
    for hours in (7, -7):
        machine(monkeypatch, off(server, hours))
        assert halt(desk, NAME, "--until", past) == 64
        assert "is in the past" in desk.err
        assert "this machine's clock shows" in desk.err


@pytest.mark.parametrize("hours", HOURS)
def test_an_apply_stamps_its_lock_by_the_platforms_clock(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    monkeypatch: pytest.MonkeyPatch,
    hours: float,
) -> None:
    server.configure(activation_s=0, requests_per_second=0)
    stamped: list[locks.Lock | None] = []

    def checkpoint(name: str) -> None:
        if name == "apply:locked":
            stamped.append(ledger(desk.folder, remote="origin").lock.standing())

    machine(monkeypatch, off(server, hours), checkpoint)
    assert desk.run("apply", "--yes", PATH) in {0, 3, 5}
    (lock,) = stamped
    assert lock is not None
    expires = datetime.fromisoformat(lock.expires)
    assert abs(expires - server.now - timedelta(seconds=TTL_S)) < SLACK


def test_a_runner_that_is_ahead_takes_no_lock_of_a_run_that_lives(
    desk: Desk, server: sandbox.CampaignState, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = ledger(desk.folder, remote="origin")
    running.lock.go_by(worlds.Clock(lambda: server.now))
    running.lock.acquire(holder="a run elsewhere")
    machine(monkeypatch, off(server, 7))
    said = desk.says(6, "apply", "--yes", PATH)
    assert "this machine's clock shows" in said
    assert "the platform's shows" in said
    assert desk.run("lock", "status", PATH) == 0
    assert "held by a run elsewhere" in desk.out
    assert running.lock.still_ours()
    assert desk.run("lock", "release", PATH) == 0
    assert not running.lock.still_ours()


def test_a_platform_for_trials_has_its_own_date_for_holds_and_the_machines_for_locks(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tenant.yaml pins its clock to 2027-03-01; the lock is one of this machine's processes."""
    pinned = datetime(2027, 3, 1, 12, tzinfo=UTC)
    ours = datetime(2031, 1, 1, tzinfo=UTC)
    stamped: list[locks.Lock | None] = []

    def checkpoint(name: str) -> None:
        if name == "apply:locked":
            stamped.append(ledger(desk.folder).lock.standing())

    machine(monkeypatch, lambda: ours, checkpoint)
    assert halt(desk, NAME, "--until", "+6h") == 0
    assert abs(end_of(desk) - pinned - timedelta(hours=6)) < SLACK
    assert desk.run("plan", PATH) in {0, 5}
    assert "halted by" in desk.out
    assert "this machine's" not in desk.out
    assert desk.run("apply", "--yes", PATH) in {0, 5}
    (lock,) = stamped
    assert lock is not None
    assert datetime.fromisoformat(lock.expires) == ours + timedelta(seconds=TTL_S)
    assert desk.run("release", PATH, NAME, "--reason", "over") == 0


def test_a_served_platform_for_trials_may_have_any_date(
    desk: Desk, server: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(monkeypatch, off(server, 7))
    assert desk.run("plan", PATH, "--format", "json") == 0
    assert '"skew_s": 0.0' in desk.out
    assert desk.run("plan", PATH) == 0
    assert "platform's clock" not in desk.out


def test_a_machine_that_is_behind_its_records_ends_nothing_without_the_platform(
    desk: Desk, server: sandbox.CampaignState, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`release` contacts no platform. The records know a later time than this machine, so its clock is wrong."""
    server.configure(activation_s=0, requests_per_second=0)
    machine(monkeypatch, off(server, 0))
    assert halt(desk, NAME, "--until", "+1h") == 0
    server.pin(server.now + timedelta(hours=2))
    assert desk.run("apply", "--yes", PATH) in {0, 3, 5}
    assert desk.run("release", PATH, NAME, "--reason", "over") == 0
    assert f"{NAME} is not held" in desk.out
    machine(monkeypatch, off(server, -0.5))
    assert desk.run("release", PATH, NAME, "--reason", "over") == 0
    assert "the platform's showed in the newest audit record" in desk.out
