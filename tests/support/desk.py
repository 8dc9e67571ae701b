"""A repository with the sample tenant, the command line in it, and its platform over loopback, for tests of whole commands.

The fixtures `desk` and `server` are for tests that need nothing special: import them by name.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler import sandbox
from reconciler.cli import run
from tests.support import fasttime
from tests.support.samples import HERE, SAMPLES, copy_files


def git(folder: Path, *arguments: str) -> str:
    """Run git as somebody."""
    identity = [
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.com",
        "-c",
        "init.defaultBranch=main",
    ]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout


def commit(folder: Path, message: str = "change") -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", message)


class Desk:
    """A repository with the samples, and the command line in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self.tenant = folder / "schedules" / "sandbox"
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, *arguments: str) -> int:
        code = run(arguments)
        self.out, self.err = self._capsys.readouterr()
        return code

    def shell(self, shell: str, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell here; `{reconcile}` in it is the command, as a process."""
        return subprocess.run(
            [shell, "-c", line.format(reconcile=f'"{sys.executable}" -m reconciler')],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    def says(self, code: int, *arguments: str) -> str:
        """Run, expect the code, and return what was said as an error: one line, no traceback, nothing on stdout."""
        assert self.run(*arguments) == code, self.out + self.err
        errors = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(errors) == 1, self.err
        return errors[0]

    def edit(self, old: str, new: str, file: str = "spring-renewals.yaml") -> None:
        path = self.tenant / file
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    def records(self) -> str:
        """Return the ledger's ref, empty when nothing was ever recorded."""
        return git(self.folder, "for-each-ref", "refs/notes")

    def written(self) -> int:
        """Return how many writes the embedded platform has executed."""
        state = self.folder / ".reconcile" / "sandbox.db"
        if not state.exists():
            return 0
        world = sandbox.open_samples(state)
        try:
            return world.executed() + world.executed(action="REMOVED")
        finally:
            world.close()


def samples_in(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    ignored: str = "",
) -> Desk:
    """Commit the samples in a new repository, work there, and let commands use the fast clock.

    Args:
        folder: of the repository.
        monkeypatch, capsys: the test's.
        ignored: contents of `.gitignore`; empty for none.
    """
    git(folder, "init", "-q")
    copy_files(SAMPLES, folder / "schedules" / "sandbox")
    if ignored:
        (folder / ".gitignore").write_text(ignored, encoding="utf-8")
    commit(folder, "samples")
    monkeypatch.chdir(folder)
    fasttime.hurry(monkeypatch)
    return Desk(folder, capsys)


def login_to(world: sandbox.CampaignState | sandbox.SkillState, url: str) -> dict[str, str]:
    """Return what a command's environment needs to reach a platform that is served at `url`."""
    login = sandbox.credentials(world)
    return {
        "CXONE_TENANT_URL": url,
        "CXONE_CLIENT_ID": login.client_id,
        "CXONE_CLIENT_SECRET": login.client_secret,
    }


@contextmanager
def served(world: sandbox.CampaignState, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Serve a platform over loopback, name it in the environment, and close it at the end."""
    with sandbox.loopback(sandbox.create_app(world)) as url:
        for name, value in login_to(world, url).items():
            monkeypatch.setenv(name, value)
        yield
    world.close()


@contextmanager
def samples_served(monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """Serve the samples' platform over loopback, and name it in the environment."""
    world = sandbox.open_samples()
    with served(world, monkeypatch):
        yield world


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """A clean clone of nothing but the samples."""
    return samples_in(tmp_path, monkeypatch, capsys, ignored=".reconcile/\n")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """The samples' platform over loopback, named by the environment."""
    with samples_served(monkeypatch) as world:
        yield world
