"""The command line in a clean clone, in which a tenant's folder was given the files of a repository."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.git.test_discovery import bare_inside
from tests.support.gitfakes import ENVIRON, clone, commit, git, shared

SAMPLES = Path(__file__).parents[2] / "schedules" / "sandbox"


@pytest.fixture
def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a clean clone with such a folder; the command line is in it."""
    bare, (one,) = shared(tmp_path)
    tenant = one.root / "schedules" / "sandbox"
    shutil.copytree(SAMPLES, tenant)
    bare_inside(tenant, tmp_path / "ran")
    commit(one.root, "bring a repository")
    git(one.root, "push", "-q", "origin", "HEAD:main")
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    here = clone(bare, tmp_path / "fresh").root
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize("command", [["plan"], ["apply", "--yes"], ["validate"]])
def test_no_command_goes_on_and_each_names_the_files(
    attacked: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert run([*command, "schedules/sandbox"]) == 65
    said = "".join(capsys.readouterr())
    for name in ("HEAD", "config", "objects", "refs"):
        assert f"schedules/sandbox/{name}: is named like a part of a git repository" in said
    assert not (tmp_path / "ran").exists()


def test_a_stop_stops_and_records_it_where_everybody_looks(attacked: Path, tmp_path: Path) -> None:
    assert run(["halt", "schedules/sandbox", "spring-renewals", "--reason", "x"]) == 0
    assert git(attacked, "for-each-ref", "refs/notes/reconcile/sandbox/sandbox") != ""
    assert not (attacked / "schedules/sandbox/refs/notes").exists()
    assert not (tmp_path / "ran").exists()


def test_a_link_that_no_plan_follows_keeps_nobody_from_stopping(
    attacked: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("schedules").rename("campaigns")
    Path("schedules").symlink_to("campaigns")
    commit(attacked, "link")
    assert run(["plan", "schedules/sandbox"]) == 65
    assert "schedules: is a link" in "".join(capsys.readouterr())
    assert run(["halt", "schedules/sandbox", "spring-renewals", "--reason", "x"]) == 0
    assert git(attacked, "for-each-ref", "refs/notes/reconcile/sandbox/sandbox") != ""
