"""Copies of the sample tenants, independent of the checkout's owner and file modes."""

from __future__ import annotations

from pathlib import Path

from reconciler import manifests

HERE = Path(__file__).parents[2]
SAMPLES = HERE / "schedules" / "sandbox"


def platform(folder: Path) -> str:
    """Return the identity of the platform in a tenant's `tenant.yaml`. The name of its ledger contains this identity."""
    return manifests.load_readable(folder).platform


def copy_files(folder: Path, to: Path) -> None:
    """Copy the files of a folder without their modes, so that copies from a read-only checkout can be edited."""
    to.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
