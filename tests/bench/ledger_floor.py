"""The floor of a verification: what no reader of a whole ledger can leave away, and nothing else.

List the ledger commits and what each changed, read the last version of every note of every segment, parse each line and hash
it twice, once as a line and once for git's id of the note. `python ledger_floor.py CLONE` prints the lines and ledger commits.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator

import orjson

STATE = "state"
"""Path of the state. A ledger commit that adds one begins a segment."""

LOG = ("log", "--reverse", "--raw", "--no-abbrev", "--no-renames", "-r", "--format=%H")


def closed(clone: str) -> Iterator[tuple[int, list[str]]]:
    """Yield of each segment its ledger commits and the blobs of its notes at its end."""
    notes: dict[str, str] = {}
    commits = 0
    changes: dict[str, str] = {}
    said = subprocess.check_output(
        ["git", "-C", clone, *LOG, "--glob=refs/bench/reconcile/", "--"], text=True
    )
    for line in (*said.splitlines(), "end"):
        if line.startswith(":"):
            _, _, _, blob, rest = line.split(" ", 4)
            changes[rest.partition("\t")[2]] = blob if rest[0] != "D" else ""
        elif line:
            if STATE in changes:
                yield commits, [each for name, each in notes.items() if each and name != STATE]
                notes, commits = {}, 0
            notes |= changes
            commits += bool(changes)
            changes = {}
    yield commits, [each for name, each in notes.items() if each and name != STATE]


def main() -> None:
    """Do the floor's work once."""
    (clone,) = sys.argv[1:]
    seen = commits = 0
    with subprocess.Popen(
        ["git", "-C", clone, "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as git:
        assert git.stdin is not None
        assert git.stdout is not None
        for number, blobs in closed(clone):
            commits += number
            for blob in blobs:
                git.stdin.write(f"{blob}\n".encode())
                git.stdin.flush()
                size = int(git.stdout.readline().split()[2])
                data = git.stdout.read(size + 1)[:-1]
                hashlib.sha1(b"blob %d\0" % size + data).hexdigest()  # noqa: S324 - as git does
                for line in data.splitlines():
                    orjson.loads(line)
                    hashlib.sha256(line).hexdigest()
                    seen += 1
    print(json.dumps({"lines": seen, "commits": commits}))


if __name__ == "__main__":
    main()
