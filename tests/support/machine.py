"""What tests have in place of a machine: the configuration of git, and a folder for what they copy."""

from __future__ import annotations

from pathlib import Path
from typing import Final

GITCONFIG: Final = Path(__file__).parent / "home" / ".gitconfig"
"""What git reads as the user's configuration. Its folder is a `HOME`, to which no test may write."""

_templates: list[Path] = []


def keep_templates_in(folder: Path) -> None:
    """Say where this process keeps what many tests copy; `conftest.py` does."""
    _templates[:] = [folder]


def templates() -> Path:
    """Return the folder in which this process keeps what many tests copy."""
    (folder,) = _templates
    return folder
