"""`reconcile drift` and the ledger in a remote: a shallow clone sees the same, and missing records are never "no drift"."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler import sandbox
from tests.commands.test_begin import declared, moved, shared
from tests.commands.test_halt import by_hand
from tests.commands.test_renamed import KEY, NAME, PATH, real
from tests.support.desk import Desk, desk, git, server

__all__ = ["desk", "real", "server", "shared"]


def test_a_shallow_clone_sees_the_same_drift_and_pushes_nothing(
    desk: Desk,
    real: sandbox.CampaignState,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert desk.run("apply", "--yes", PATH) == 0, desk.err
    by_hand(real, KEY, dial_rate=9.0)
    assert desk.run("drift", PATH, "--format", "json") == 2
    whole = desk.out
    before = git(shared, "for-each-ref")
    shallow = tmp_path / "shallow"
    git(tmp_path, "clone", "-q", "--depth=1", shared.as_uri(), str(shallow))
    monkeypatch.chdir(shallow)
    assert desk.run("drift", PATH, "--format", "json") == 2, desk.err
    assert NAME in desk.out
    assert without_clock(desk.out) == without_clock(whole)
    assert git(shared, "for-each-ref") == before


def without_clock(text: str) -> list[str]:
    return [line for line in text.splitlines() if '"at": ' not in line]


def test_a_declared_ledger_that_is_absent_is_an_error(
    desk: Desk,
    real: sandbox.CampaignState,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    ref = declared(desk)
    assert desk.run("apply", "--yes", PATH) == 0, desk.err
    git(shared, "update-ref", "-d", ref)
    moved(desk, shared, monkeypatch, tmp_path / "fresh")
    assert desk.run("drift", PATH) == 1
    assert "drift" not in desk.out.lower()


def test_records_that_only_the_mirror_has_are_an_error(
    desk: Desk,
    real: sandbox.CampaignState,
    shared: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """The ledger was set back to before the last apply: what that apply wrote would look like drift."""
    ref = declared(desk)
    begun = git(shared, "rev-parse", ref).strip()
    assert desk.run("apply", "--yes", PATH) == 0, desk.err
    git(shared, "update-ref", ref, begun)
    moved(desk, shared, monkeypatch, tmp_path / "fresh")
    assert desk.run("drift", PATH) == 1
    assert "drift" not in desk.out.lower()
