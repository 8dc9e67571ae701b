"""A whole plan in a clone of depth 1, as CI makes it, fetches none of the ledger's history."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.refs import RefNames
from tests.commands.test_halt import NAME, PATH, remote
from tests.support.desk import Desk, commit, desk, git, server
from tests.support.samples import platform

__all__ = ["desk", "remote", "server"]

RATES = ("2.4", "2.3", "2.2", "2.1", "2.0")


def apply(desk: Desk, message: str) -> None:
    commit(desk.folder, message)
    git(desk.folder, "push", "-q", "origin", "HEAD:main")
    assert desk.run("apply", "--yes", PATH) in {0, 5}, desk.out + desk.err


def objects(repo: Path, *asked: str) -> set[str]:
    return {line.split()[0] for line in git(repo, "rev-list", "--objects", *asked).splitlines()}


def here(repo: Path) -> set[str]:
    """Return the objects that a repository has, without fetching any."""
    asked = ("cat-file", "--batch-check=%(objectname)", "--batch-all-objects")
    return set(git(repo, *asked).split())


@pytest.mark.parametrize("way", [["--depth=1"], ["--depth=1", "--filter=blob:none"]], ids=" ".join)
def test_a_plan_at_depth_one_fetches_nothing_of_the_ledgers_history(
    desk: Desk,
    server: sandbox.CampaignState,
    remote: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    way: list[str],
) -> None:
    git(remote, "config", "uploadpack.allowFilter", "true")
    server.configure(activation_s=0, requests_per_second=0)
    monkeypatch.setattr(snapshots, "SEGMENT_LEAST", 10)
    assert desk.run("audit", "begin", PATH, "--reason", "first records") == 0, desk.err
    apply(desk, "declare the ledger")
    for old, new in pairwise(RATES):
        desk.edit(f"dial_rate: {old}", f"dial_rate: {new}", f"{NAME}.yaml")
        apply(desk, f"dial at {new}")
    tip = RefNames.of(platform(desk.tenant)).ledger
    newest = objects(remote, f"{tip}^{{tree}}") | {git(remote, "rev-parse", tip).strip()}
    past = objects(remote, tip) - newest
    closed = git(remote, "for-each-ref", "refs/notes/reconcile-closed").splitlines()
    assert len(past) > 10
    assert closed

    there = tmp_path_factory.mktemp("ci") / "clone"
    git(desk.folder, "clone", "-q", *way, "-b", "main", remote.as_uri(), str(there))
    monkeypatch.chdir(there)
    assert desk.run("plan", PATH) in {0, 5}, desk.out + desk.err
    assert "No changes" in desk.out or "held" in desk.out
    assert newest <= here(there), "the plan did read the ledger"
    assert not past & here(there)
    assert "reconcile-closed" not in git(there, "for-each-ref")
