"""Real processes: many at once in one clone, one that was frozen past its lock, one that is interrupted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from reconciler.audit import RecordKind
from reconciler.ledger import TTL_S
from tests.crash.bench import PATH, ROOT, Bench
from tests.crash.ground import Campaigns


def command(
    bench: Bench, *more: str, does: tuple[str, ...] = ("apply", "--yes", PATH)
) -> subprocess.Popen[str]:
    """Start the real command in the clone."""
    return subprocess.Popen(
        [sys.executable, "-m", "reconciler", *does, *more],
        cwd=bench.clone,
        env={**bench.order().environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def written(bench: Bench) -> list[tuple[str, str]]:
    """Return what was stored and removed, sorted."""
    return sorted(
        (each.key, each.what)
        for each in bench.ground.happened()
        if each.what in {"stored", "removed"}
    )


ONCE = [("1001", "stored"), ("1002", "stored"), ("1003", "stored"), ("1004", "removed")]


def test_eight_applies_at_once_in_one_clone_are_done_or_refused(bench: Bench) -> None:
    bench.prepare(Campaigns())
    applies = [command(bench) for _ in range(8)]
    said = [each.communicate(timeout=120)[0] for each in applies]
    codes = [each.returncode for each in applies]
    assert set(codes) <= {0, 5, 6}, "\n".join(said)
    # The first one declares the ledger in tenant.yaml. One that starts after that finds the file changed.
    late = [text for text, code in zip(said, codes, strict=True) if code == 5]
    assert all("tenant.yaml" in text and "differs from HEAD" in text for text in late), late
    assert 0 in codes
    assert written(bench) == ONCE
    verdict = bench.ledger().verify()
    assert (verdict.defects, verdict.open_intents) == ((), ())
    assert bench.orphans == []
    print(
        f"8 processes in one clone: {codes.count(0)} done, {8 - codes.count(0)} refused, 0 duplicates"
    )


FROZEN = [
    "apply:locked",
    "apply:planned",
    "intents:before",
    "intents:recorded",
    "write:before",
    "write:answered",
    "outcome:told",
    "apply:executed",
]


@pytest.mark.parametrize("point", FROZEN)
def test_a_zombie_writes_nothing_to_ledger_or_platform(bench: Bench, point: str) -> None:
    """Frozen past its lock's expiry while another applied, it goes on, and its clock does not tell it.

    At `write:before` it has looked already and sends what it had in hand: key and ETag make nothing of that. Other writes that are under
    way at a point have looked as well, and a refresh has no key and no ETag. So the process is frozen when they are answered.
    """
    bench.prepare(Campaigns())
    with bench.stopped(point, alone=True) as code:
        bench.pass_by(TTL_S + 60)
        other = str(bench.other_clone())
        assert bench.apply_beside(folder=other, passed=os.devnull) == 0, bench.told()
        happened, head = bench.ground.happened(), bench.ledger().head
    assert code.result() in {0, 3, 6}, bench.told()  # 0: it found that there was nothing left to do
    assert bench.ground.happened() == happened
    assert bench.ledger().head == head
    assert written(bench) == ONCE
    assert bench.ground.dials() == bench.ground.NEW
    assert bench.ledger().verify().defects == ()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_an_interrupted_wait_for_the_lock_ends_with_the_code_of_the_signal(
    bench: Bench, number: signal.Signals, code: int
) -> None:
    bench.prepare(Campaigns())
    bench.ledger().lock.acquire(holder="another run")
    with command(bench, "--wait-for-lock", "600") as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("waiting up to 600 s"):
                process.send_signal(number)
    assert process.returncode == code
    assert written(bench) == []
    assert bench.ledger().lock.standing().holder == "another run"


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_an_interrupted_apply_finishes_and_records_what_is_under_way_and_starts_nothing_more(
    bench: Bench, number: signal.Signals, code: int
) -> None:
    bench.prepare(Campaigns())
    started: list[subprocess.Popen[str]] = []

    def interrupt() -> None:
        if started:
            started.pop().send_signal(number)

    bench.asked = interrupt
    started.append(process := command(bench, "--concurrency", "1"))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == code, said
    assert "interrupted: finishing and recording" in said
    assert written(bench) == ONCE[:1]
    results = {key: [each["result"] for each in told] for key, told in bench.outcomes().items()}
    assert results.pop("1001") in (["stored_not_active"], ["updated"])
    assert results == {key: ["not_started"] for key in ("1002", "1003", "1004")}
    ledger = bench.ledger()
    assert ledger.records()[-1].kind is RecordKind.CLOSE
    assert ledger.lock.standing() is None
    assert bench.apply() == 0
    assert written(bench) == ONCE


def test_a_stop_goes_on_when_its_terminal_closes(bench: Bench) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    started: list[subprocess.Popen[str]] = []

    def hang_up() -> None:
        for process in started:
            process.send_signal(signal.SIGHUP)

    bench.asked = hang_up
    halting = ("halt", PATH, "--all", "--reason", "calls at night")
    started.append(process := command(bench, does=halting))
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    assert not any(bench.ground.dials().values())
