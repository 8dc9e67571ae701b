"""Where a world is written: never through a link, for a commit can hold `.reconcile` as one."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.cli import run
from tests.support.gitfakes import clone, commit, git, shared

SAMPLES = Path(__file__).parents[2] / "schedules" / "sandbox"


def _folder(home: Path, outside: Path) -> None:
    home.symlink_to(outside)


def _dangling(home: Path, outside: Path) -> None:
    home.symlink_to(outside / "absent")


def _file(home: Path, outside: Path) -> None:
    home.mkdir()
    (home / "sandbox.db").symlink_to(outside / "sandbox.db")


@pytest.mark.parametrize("api", ["campaigns", "personal-connection"])
@pytest.mark.parametrize("link", [_folder, _dangling, _file])
def test_state_is_not_written_through_a_link(
    tmp_path: Path, api: str, link: Callable[[Path, Path], None]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link(tmp_path / ".reconcile", outside)
    kind = sandbox.platform(api)
    for opening in (kind.bare, kind.opened):
        with pytest.raises(sandbox.SandboxError, match="is a link"):
            opening(tmp_path / ".reconcile" / "sandbox.db")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("companion", ["-wal", "-shm", "-journal"])
def test_neither_is_it_through_the_files_beside_it(tmp_path: Path, companion: str) -> None:
    """SQLite itself opens those without following links; this holds it to that."""
    outside = tmp_path / "outside"
    state = tmp_path / ".reconcile" / "sandbox.db"
    state.parent.mkdir()
    Path(f"{state}{companion}").symlink_to(outside)
    with contextlib.suppress(sandbox.SandboxError):
        sandbox.open_samples(state).close()
    assert not outside.exists()


def test_a_link_of_another_name_is_the_users_own(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sandbox.CampaignState.open(tmp_path / "link" / "mine.db").close()
    assert (tmp_path / "real" / "mine.db").exists()


def test_a_file_in_the_place_of_the_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / ".reconcile").touch()
    with pytest.raises(sandbox.SandboxError, match="cannot be made"):
        sandbox.CampaignState.open(tmp_path / ".reconcile" / "x.db")


@pytest.mark.parametrize(
    "command", [("reset",), ("seed",), ("serve", "--state", ".reconcile/sandbox.db")]
)
def test_the_commands_say_so(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    _dangling(tmp_path / ".reconcile", tmp_path)
    assert run(["sandbox", *command]) == 64
    assert "error: .reconcile: is a link" in capsys.readouterr().err


@pytest.mark.parametrize("link", [_folder, _dangling, _file])
def test_a_plan_of_a_clone_that_brings_such_a_link_writes_nothing_outside(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    link: Callable[[Path, Path], None],
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    bare, (one,) = shared(tmp_path)
    shutil.copytree(SAMPLES, one.root / "schedules" / "sandbox")
    link(one.root / ".reconcile", outside)
    commit(one.root, "bring a link")
    git(one.root, "push", "-q", "origin", "HEAD:main")
    monkeypatch.chdir(clone(bare, tmp_path / "fresh").root)
    assert run(["plan", "schedules/sandbox"]) == 64
    assert "is a link" in capsys.readouterr().err
    assert list(outside.iterdir()) == []
