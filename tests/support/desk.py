"""A repository with the sample tenant, and its platform over loopback, for tests of whole commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler import sandbox
from tests.cli.test_cli import Desk, commit, git
from tests.support import fasttime
from tests.support.samples import SAMPLES, copy_files


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


@contextmanager
def samples_served(monkeypatch: pytest.MonkeyPatch) -> Iterator[sandbox.CampaignState]:
    """Serve the samples' platform over loopback, and name it in the environment."""
    world = sandbox.open_samples()
    with sandbox.loopback(sandbox.create_app(world)) as url:
        login = sandbox.credentials(world)
        monkeypatch.setenv("CXONE_TENANT_URL", url)
        monkeypatch.setenv("CXONE_CLIENT_ID", login.client_id)
        monkeypatch.setenv("CXONE_CLIENT_SECRET", login.client_secret)
        yield world
    world.close()
