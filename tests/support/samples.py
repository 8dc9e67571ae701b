"""The sample tenants, copied: whoever owns the checkout, and whatever may be done to its files."""

from __future__ import annotations

from pathlib import Path

from reconciler import manifests

HERE = Path(__file__).parents[2]
SAMPLES = HERE / "schedules" / "sandbox"


def platform(folder: Path) -> str:
    """Return the identity of the platform that a tenant's folder names: its ledger is found by it."""
    return manifests.load_readable(folder).platform


def copy_files(folder: Path, to: Path) -> None:
    """Copy the files of a folder without their modes: of a read-only checkout nothing could be edited."""
    to.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
