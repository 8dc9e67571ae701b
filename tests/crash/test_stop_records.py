"""The records of a stop, whatever fails: git children, the disk, the remote, the ledger. The hold is shared, or the end says that it is not."""

from __future__ import annotations

import asyncio
import copy
import os
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.audit import RecordKind
from reconciler.commands import halt, stop_writer, takeover
from reconciler.commands.stop_writer import StopWriter
from reconciler.commands.takeover import Takeover
from reconciler.report import Report
from reconciler.world import Network
from tests.crash.bench import Bench
from tests.crash.child import request_of, world_of
from tests.crash.ground import Campaigns
from tests.support import fasttime
from tests.support.gitfakes import git

GIT = str(shutil.which("git"))
WAITING = "refs/reconcile/waiting"


def broken_git(folder: Path, arguments: str) -> Path:
    """Make a git command that fails while a file exists, for arguments that match a pattern of the shell; return that file."""
    folder.mkdir()
    mark = folder / "broken"
    mark.touch()
    script = folder / "git"
    script.write_text(
        f'#!/bin/sh\nif [ -e "{mark}" ]; then case "$*" in {arguments}) exit 128;; esac; fi\nexec {GIT} "$@"\n'
    )
    script.chmod(0o755)
    return mark


def lossy_git(folder: Path, arguments: str) -> Path:
    """Make a git command that carries out the first command whose arguments match a pattern of the shell, and then fails; return its folder."""
    folder.mkdir()
    mark, script = folder / "lossy", folder / "git"
    mark.touch()
    script.write_text(
        f'#!/bin/sh\nif [ -e "{mark}" ]; then case "$*" in {arguments}) rm "{mark}"; {GIT} "$@"; exit 128;; esac; fi\nexec {GIT} "$@"\n'
    )
    script.chmod(0o755)
    return folder


def halt_with(
    bench: Bench,
    tools: Path,
    key: str = "1001",
    wait_s: float = 1e5,
    after: Callable[[], object] = lambda: None,
    told: list[str] | None = None,
) -> Report:
    """Stop one object with a git of our own first on PATH.

    Args:
        bench: the place.
        tools: folder of that git.
        key: the object.
        wait_s: `--wait`.
        after: called when the stop retries something.
        told: gets the lines that the stop says meanwhile.
    """
    order = bench.order()
    asked = halt.HaltRequest(
        request_of(order).path,
        (key,),
        reason="a test",
        network=Network(deadline_s=1e6),
        writing=halt.WriteOptions(wait_s=wait_s),
    )
    with asyncio.Runner(loop_factory=fasttime.FastLoop) as runner:
        world = world_of(order, lambda _: None)
        search = f"{tools}:{world.environ['PATH']}"

        def tell(line: str) -> None:
            if told is not None:
                told.append(line)
            if "not shared yet" in line:
                after()

        world = world._replace(environ={**world.environ, "PATH": search}, progress=tell)
        return runner.run(halt.halt(world, asked, asyncio.Event()))


def waits(repository: Path) -> int:
    return len(git(repository, "for-each-ref", WAITING).splitlines())


def held_elsewhere(bench: Bench) -> set[str]:
    """Return what a plan in a new clone holds."""
    bench.clone = bench.other_clone()
    return {each.key for each in bench.plan_here().operations if each.action == "held"}


FAILURES = {
    "every child": "*",
    "a full disk": '*" hash-object "*',
    "no ref can be moved": '*" update-ref "*',
    "the remote refuses": '*" push "*',
}


@pytest.mark.parametrize("what", FAILURES)
def test_what_fails_for_a_while_is_retried_and_the_hold_is_shared(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    mark = broken_git(tmp_path / "tools", FAILURES[what])
    monkeypatch.setattr("reconciler.commands.halt.TTL_S", 60.0)  # how long it looks for a run
    report = halt_with(bench, mark.parent, after=mark.unlink)
    assert not bench.ground.dials()["1001"]
    assert "silent and held" in report.verdict
    assert held_elsewhere(bench) == {"1001"}
    assert bench.ledger().verify().defects == ()


@pytest.mark.parametrize(
    ("what", "command"),
    [("every child", "reconcile halt "), ("the remote refuses", "git push origin refs/")],
)
def test_what_fails_to_the_end_is_told_with_the_command_to_run_next(
    bench: Bench, tmp_path: Path, what: str, command: str
) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    mark = broken_git(tmp_path / "tools", FAILURES[what])
    report = halt_with(bench, mark.parent, wait_s=60.0)
    assert not bench.ground.dials()["1001"]
    assert f"silent, not yet held: run {command}" in report.verdict
    assert report.exit_code in {3, 69}


def test_a_ledger_that_nobody_can_read_costs_no_hold(bench: Bench) -> None:
    """The hold waits until the ledger is put right."""
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    ref = git(bench.remote, "for-each-ref", "--format=%(refname)", "refs/notes").split()[0]
    good = git(bench.remote, "rev-parse", ref).strip()
    git(bench.remote, "update-ref", ref, git(bench.remote, "rev-parse", "main").strip())
    report = bench.halt_here("1001")
    assert "silent and held" in report.verdict
    assert waits(bench.remote) == 1
    git(bench.remote, "update-ref", ref, good)
    assert held_elsewhere(bench) == {"1001"}


def _told(told: list[str], name: str, step: Callable[..., None]) -> Callable[..., None]:
    """Return a step that tells when it has ended."""

    def telling(*arguments: object) -> None:
        try:
            step(*arguments)
        finally:
            told.append(name)

    return telling


def test_a_remote_that_hangs_delays_no_stop_and_is_told_at_the_end(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git opens the HEAD of a repository first: a pipe that nobody writes to makes each command to this remote wait for ever."""
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    head = bench.remote / "HEAD"
    kept = head.rename(bench.remote / "HEAD.kept")
    os.mkfifo(head)
    told: list[str] = []
    for owner, name in ((Takeover, "_take"), (StopWriter, "share")):
        monkeypatch.setattr(owner, name, _told(told, name, getattr(owner, name)))
    for limit in (f"{stop_writer.__name__}.GIT_S", f"{takeover.__name__}.REMOTE_S"):
        monkeypatch.setattr(limit, 2.0)  # of real time, which git goes by
    bench.asked = lambda: told.append("request")
    bench.intended = lambda: {"1001"}  # type: ignore[method-assign] # the ledger cannot be read now
    report = halt_with(bench, tmp_path, wait_s=120.0)
    head.unlink()
    kept.rename(head)
    assert told[:2] == ["request", "request"], (
        "the removal and the refresh wait for no answer of the remote"
    )
    assert {"_take", "share"} <= set(told), "each command to the remote was ended"
    assert not bench.ground.dials()["1001"]
    assert "silent, not yet held: run git push origin refs/" in report.verdict
    assert report.exit_code == 69
    push = report.verdict.split("run ")[1]
    git(bench.clone, *shlex.split(push)[1:])
    assert held_elsewhere(bench) == {"1001"}


def with_other_clone(bench: Bench) -> Bench:
    """Return the bench with another clone. Two threads must not share one that changes."""
    second = copy.copy(bench)
    second.clone = bench.other_clone()
    return second


def test_two_stops_at_once_in_two_clones_both_hold(bench: Bench) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    bench.stopping = True
    second = with_other_clone(bench)
    with ThreadPoolExecutor() as pool:
        one = pool.submit(bench.halt_here, "1001")
        other = second.halt_here("1002")
        assert "silent and held" in one.result().verdict
    assert "silent and held" in other.verdict
    shutil.rmtree(second.clone)
    plan = bench.plan_here()
    assert {each.key for each in plan.operations if each.action == "held"} == {"1001", "1002"}
    assert (waits(bench.remote), bench.ledger().verify().defects) == (0, ())


def noting_git(folder: Path) -> Path:
    """Make a git command that notes the arguments of each command; return the file with a line for each."""
    folder.mkdir()
    log, script = folder / "log", folder / "git"
    log.touch()
    script.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\nexec {GIT} "$@"\n')
    script.chmod(0o755)
    return log


def pushed(log: Path) -> list[dict[str, str]]:
    """Return what each push moved: the refs, without the name of the tenant's platform, and their new commits."""
    lines = (line.split() for line in log.read_text().splitlines())
    pushes = (line[line.index("origin") + 1 :] for line in lines if "push" in line)
    parts = [[spec.partition(":") for spec in each] for each in pushes]
    return [{ref.split("/campaigns/")[0]: new for new, _, ref in each} for each in parts]


def test_the_last_push_of_a_stop_moves_its_records_into_the_ledger_and_releases_the_lock(
    bench: Bench, tmp_path: Path
) -> None:
    """Each push costs the server a look at all refs. The first one shares the hold, and waits for nothing."""
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    log = noting_git(tmp_path / "tools")
    report = halt_with(bench, log.parent)
    assert "silent and held" in report.verdict
    *before, last = pushed(log)
    ledger, lock = "refs/notes/reconcile", "refs/reconcile/lock"
    assert [*last] == [ledger, WAITING, lock, "refs/heads/reconcile-audit"]
    assert not any(ledger in each for each in before)
    assert [[*each] for each in before].count([lock]) == 1, (
        "it is taken, and released by the last push"
    )
    early = [each[WAITING] for each in before if WAITING in each]
    assert early
    for commit in early:
        assert '"close"' not in git(bench.clone, "log", "-p", "--format=", commit)
    assert (waits(bench.remote), bench.ledger().lock.standing()) == (0, None)
    assert bench.ledger().records()[-1].kind is RecordKind.CLOSE
    assert held_elsewhere(bench) == {"1001"}


def test_a_stop_whose_last_push_was_not_answered_holds_no_lock_and_says_none(
    bench: Bench, tmp_path: Path
) -> None:
    """The push was carried out, so the lock is gone. `git push` refuses to release it once more."""
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    tools = lossy_git(tmp_path / "tools", '*" push "*":refs/notes/reconcile/"*')
    told: list[str] = []
    report = halt_with(bench, tools, told=told)
    assert not (tools / "lossy").exists()
    assert "silent and held" in report.verdict
    assert (waits(bench.remote), bench.ledger().lock.standing()) == (0, None)
    assert not [line for line in told if "may still be held" in line]


def test_a_server_without_atomic_pushes_keeps_the_hold_and_all_records_of_a_stop(
    bench: Bench,
) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    git(bench.remote, "config", "receive.advertiseAtomic", "false")
    report = bench.halt_here("1001")
    assert "silent and held" in report.verdict
    assert report.exit_code == 0
    assert (waits(bench.remote), bench.ledger().lock.standing()) == (1, None)
    assert bench.ledger().records()[-1].kind is RecordKind.CLOSE
    assert held_elsewhere(bench) == {"1001"}
