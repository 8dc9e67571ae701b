"""SSH keys that sign ledger commits, and their lines in an allowed signers file."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Signer:
    """A key pair.

    Attributes:
        key: the file of the private key.
        line: its line of an allowed signers file.
    """

    key: Path
    line: str

    @property
    def file(self) -> bytes:
        """An allowed signers file that names this signer alone."""
        return f"{self.line}\n".encode()


def signer(folder: Path, name: str) -> Signer:
    """Make a key pair."""
    key = folder / name
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(key)]
    subprocess.run(command, check=True)
    public = key.with_suffix(".pub").read_text(encoding="ascii").strip()
    return Signer(key, f"{name}@example.com {public}")
