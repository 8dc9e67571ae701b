"""The sample tenants, copied: whoever owns the checkout, and whatever may be done to its files."""

from __future__ import annotations

from pathlib import Path

HERE = Path(__file__).parent.parent
SAMPLES = HERE / "schedules" / "sandbox"


def copy_files(folder: Path, to: Path) -> None:
    """Copy the files of a folder without their modes: of a read-only checkout nothing could be edited."""
    to.mkdir(parents=True)
    for path in folder.iterdir():
        if path.is_file():
            (to / path.name).write_bytes(path.read_bytes())
