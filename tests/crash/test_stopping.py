"""An emergency stop among other runs: its records are where everybody looks, whoever takes the lock, and nothing comes after it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.audit import RecordKind
from reconciler.commands.lock_watch import BLIND_S, LOOK_S
from reconciler.ledger import Ledger
from tests.crash.bench import Bench
from tests.crash.ground import Campaigns
from tests.crash.test_stop_records import halt_with, lossy_git
from tests.support import fasttime
from tests.support.gitfakes import git


def held(bench: Bench) -> list[str]:
    """Return what the shared ledger says is held."""
    return sorted(
        {each.data["target"] for each in bench.ledger().records() if each.kind is RecordKind.HOLD}
    )


def wait_for(happened: Callable[[], object]) -> bool:
    """Return whether something that another thread does happens within some seconds."""
    until = time.monotonic() + 20
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def test_a_stop_whose_lock_another_stop_takes_records_all_the_same(bench: Bench) -> None:
    """Two stops at once: the clone of a stop in CI is thrown away, and with it what it could not bring to the remote."""
    bench.prepare(Campaigns())
    bench.ledger().lock.acquire(holder="an apply")
    stops = [1]

    def another() -> None:
        if stops and wait_for(lambda: "halt by" in bench.ledger().lock.standing().holder):
            stops.pop()
            bench.ledger().lock.acquire(holder="another stop", force=True)

    bench.asked = another
    report = bench.halt_here("1001")
    assert (stops, held(bench)) == ([], ["1001"])
    assert report.exit_code == 0, report.notes
    assert bench.ledger().lock.standing().holder == "another stop"
    assert bench.ledger().open_intents() == ()


def test_a_stop_whose_lock_another_stop_takes_at_once_does_not_take_it_back(bench: Bench) -> None:
    """The apply was gone past by then. Two stops that take the lock from each other would both have to wait."""
    bench.prepare(Campaigns())
    bench.ledger().lock.acquire(holder="an apply")
    stops = [1]

    def another(point: str) -> None:
        if point == "lock:moved" and stops:
            stops.pop()
            bench.ledger().lock.acquire(holder="another stop", force=True)

    report = bench.halt_here("1001", checkpoint=another)
    assert (stops, held(bench)) == ([], ["1001"])
    assert report.exit_code == 0, report.notes
    assert report.facts["lock"].startswith("taken from an apply, which held it since ")
    assert report.facts["lock"].endswith(", then taken by another run")
    assert bench.ledger().lock.standing().holder == "another stop"


def taken_elsewhere(bench: Bench, holder: str) -> Ledger:
    ledger = bench.ledger()
    ledger.lock.acquire(holder=holder)
    return ledger


ELSEWHERE = "an apply elsewhere, which held it since "
MEETS = {
    "before it is read": (f"taken from {ELSEWHERE}", "an apply elsewhere"),
    "before the push": (f"taken from {ELSEWHERE}", "an apply elsewhere"),
    "until the push": (f"taken when it was free, shortly after {ELSEWHERE}", "an apply elsewhere"),
    "by the same user": ("taken from halt by somebody, which held it since ", "halt by somebody"),
}


@pytest.mark.parametrize("held", MEETS)
def test_a_halt_waits_for_the_writes_of_the_run_whose_lock_its_push_replaced(
    bench: Bench, held: str
) -> None:
    """That run may start a write for some seconds without a look at the lock, so the last look comes after these."""
    bench.prepare(Campaigns())
    said, holder = MEETS[held]
    running = [] if held == "before the push" else [taken_elsewhere(bench, holder)]
    asked, taken = [], []
    watched = bench.shared.app

    async def noting(*connection: Any) -> None:
        asked.append(fasttime.monotonic())
        await watched(*connection)

    def meanwhile(point: str) -> None:
        if point == "lock:made" and not running:
            running.append(taken_elsewhere(bench, holder))
        if point == "lock:made" and held == "until the push":
            running[0].lock.release()
        if point == "lock:moved":
            taken.append(fasttime.monotonic())

    bench.shared.app = noting
    report = bench.halt_here("1001", checkpoint=meanwhile)
    assert report.facts["lock"].startswith(said)
    assert asked[-1] - taken[0] > BLIND_S + LOOK_S


@pytest.mark.parametrize("held", [False, True])
def test_a_lock_whose_push_was_not_answered_was_that_of_the_run_before(
    bench: Bench, tmp_path: Path, *, held: bool
) -> None:
    """The second try finds the lock of the halt itself."""
    bench.prepare(Campaigns())
    if held:
        taken_elsewhere(bench, "an apply elsewhere")
    tools = lossy_git(tmp_path / "tools", '*" push "*":refs/reconcile/lock/"*')
    report = halt_with(bench, tools)
    assert report.facts["lock"].startswith(f"taken from {ELSEWHERE}" if held else "was free")
    assert bench.ledger().lock.standing() is None


def test_the_holds_are_shared_before_the_last_dialer_is_silent(bench: Bench) -> None:
    """A locked dialer is waited for as long as the lock stands, and a stop may be killed: an apply elsewhere must know of the hold by then."""
    bench.prepare(Campaigns())
    shared: list[bool] = []
    bench.asked = lambda: shared or shared.append(wait_for(lambda: held(bench)))
    bench.halt_here("1001")
    assert shared == [True]


def test_a_stop_of_all_stops_what_a_run_that_it_went_past_began_meanwhile(bench: Bench) -> None:
    """That run carries out manifests that this clone has not got: what it created is no target of the first look."""
    bench.prepare(Campaigns())
    (bench.clone / "schedules/acme/1003.yaml").unlink()
    created: list[bool] = []

    def create() -> None:
        if not created:
            created.append(True)
            bench.ground.by_hand("1003", 3.0)

    bench.asked = create
    report = bench.halt_here()
    assert created
    assert not any(bench.ground.dials().values())
    assert "1003" in held(bench)
    assert {each["key"] for each in report.data["objects"]} == {"1001", "1002", "1003", "1004"}
    assert bench.ledger().verify().defects == ()


def away(bench: Bench, *keys: str) -> None:
    """Stop objects one by one while the remote is out of reach."""
    shown, hidden = bench.remote, bench.remote.with_name("away.git")
    bench.remote = shown.rename(hidden)
    for key in keys:
        assert bench.halt_here(key, wait_s=20.0).exit_code == 69
    bench.remote = hidden.rename(shown)


def test_a_stop_whose_remote_is_away_counts_here_and_is_taken_over_by_the_next_apply(
    bench: Bench,
) -> None:
    """The records wait in refs of their own: a plan counts them and pushes nothing, and an apply moves them into the ledger."""
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    bench.clone = bench.other_clone()
    away(bench, "1001", "1002")
    report = bench.plan_here()
    assert {each.key for each in report.operations if each.action == "held"} == {"1001", "1002"}
    assert (held(bench), waiting_in(bench.clone)) == ([], 2)
    bench.apply_here()
    assert (sorted(held(bench)), waiting_in(bench.clone)) == (["1001", "1002"], 0)
    assert bench.ledger().verify().defects == ()


def waiting_in(repository: Path) -> int:
    """Return the number of stops whose records are not in the ledger yet."""
    refs = git(repository, "for-each-ref", "--format=%(refname)", "refs/reconcile/waiting/")
    return len(refs.split())
