"""The records of a stop, whatever fails: git children, the disk, the remote, the ledger. The hold is shared, or the end says that it is not."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.commands import halt
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


def halt_with(
    bench: Bench,
    tools: Path,
    key: str = "1001",
    wait_s: float = 1e5,
    after: Callable[[], object] = lambda: None,
) -> Report:
    """Stop one object with a git of our own first on PATH.

    Args:
        bench: the place.
        tools: folder of that git.
        key: the object.
        wait_s: `--wait`.
        after: called when the stop retries something.
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

        def told(line: str) -> None:
            if "not shared yet" in line:
                after()

        world = world._replace(environ={**world.environ, "PATH": search}, progress=told)
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
    bench: Bench, tmp_path: Path, what: str
) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    mark = broken_git(tmp_path / "tools", FAILURES[what])
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


def test_two_stops_at_once_in_two_clones_both_hold(bench: Bench) -> None:
    bench.prepare(Campaigns())
    assert bench.apply_here().exit_code == 0
    first, second = bench.clone, bench.other_clone()
    with ThreadPoolExecutor() as pool:
        one = pool.submit(bench.halt_here, "1001")
        bench.clone = second
        other = bench.halt_here("1002")
        assert "silent and held" in one.result().verdict
    assert "silent and held" in other.verdict
    shutil.rmtree(second)
    bench.clone = first
    plan = bench.plan_here()
    assert {each.key for each in plan.operations if each.action == "held"} == {"1001", "1002"}
    assert (waits(bench.remote), bench.ledger().verify().defects) == (0, ())
