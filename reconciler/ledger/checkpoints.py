"""Check each checkpoint of a ledger against the records that it stands for, and the refs of closed segments."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import zip_longest

from reconciler import audit
from reconciler.audit import Defect, Latest, Record, Selection
from reconciler.errors import GitError
from reconciler.git import Git, blob_id
from reconciler.ledger.refs import move_command
from reconciler.ledger.segments import Segment
from reconciler.ledger.snapshot import STATE_LIMIT


class Checkpoints:
    """What the next checkpoint must hold, while a ledger is read in order.

    Attributes:
        closed: last ledger commit of each closed segment; empty for those before a repair.
        unverified: number of segments that a repair stands for.
    """

    def __init__(self, git: Git) -> None:
        self.closed: list[str] = []
        self.unverified = 0
        self._git = git
        self._selection = Selection()
        self._state = b""
        self._records = 0
        self._lines: dict[int, tuple[Record, bytes]] = {}
        self._latest = Latest()
        self._last = ""

    def add(self, record: Record, *, keep: bool) -> None:
        """Remember a record; `keep`: a checkpoint will follow."""
        self._latest.add(record)
        self._last = record.h
        if keep:
            self._selection.add(record)

    def close(self, commit: str) -> None:
        """End a segment with a ledger commit: select the records that the state of the next checkpoint must hold."""
        self._begin(self._selection.fold())
        self.closed.append(commit)

    def _begin(self, kept: Sequence[Record]) -> None:
        """Begin with the records that a state holds. Most of them are those of the state before."""
        known = self._lines  # by identity: an intent and its outcome may have become one record
        self._lines = {
            id(record): known.get(id(record)) or (record, audit.encode(record)) for record in kept
        }
        self._state = b"".join([line for _, line in self._lines.values()])
        self._records = len(kept)

    def resume(self, state: Sequence[Record], checkpoint: Record) -> None:
        """Begin with the state of a repair's checkpoint in place of the records before it."""
        data = checkpoint.data
        self.closed = [*[""] * (data["segment"] - 1), data["closes"]]
        self.unverified = data["segment"]
        self._begin(state)
        for each in state:
            self._selection.add(each)
        self._latest = Latest(data["latest"], data["clock"])
        self._last = data["last"]

    def check(self, record: Record, segment: Segment) -> list[str]:
        """Return what is wrong with the checkpoint that begins a segment."""
        data = self._state
        due = {
            "clock": self._latest.clock,
            "closes": self.closed[-1] if self.closed else None,
            "last": self._last,
            "latest": self._latest.moment,
            "records": self._records,
            "segment": len(self.closed),
            "state": hashlib.sha256(data).hexdigest(),
        }
        problems = [
            f"its {name} is {record.data[name]}, and not {value}"
            for name, value in due.items()
            if record.data[name] != value and name != "state"
        ]
        if segment.state is None or segment.state != blob_id(memoryview(data), len(segment.state)):
            problems += self._differences(segment.state, data)
        elif record.data["state"] != due["state"]:
            problems.append("it names the hash of another state")
        if segment.left or len(segment.steps[0].changes.keys() - {"state"}) == 0:
            problems.append("its ledger commit holds more than the state and the checkpoint")
        return problems

    def _differences(self, blob: str | None, due: bytes) -> Iterator[str]:
        """Yield how the state that is stored differs from the one that is due."""
        try:
            found = b"" if blob is None else self._git.read_blob(blob, limit=STATE_LIMIT)
        except GitError as error:
            yield f"its state cannot be read: {error}"
            return
        lines = zip_longest(found.split(b"\n"), due.split(b"\n"))
        for number, (held, right) in enumerate(lines, start=1):
            if held != right:
                id_ = audit.decode("", (right or b"") + b"\n")[0]
                what = f" (record {id_[0].id[:12]} is due there)" if id_ else ""
                yield f"its state is not the selection of the records before it, from line {number} on{what}"
                return


def check_refs(
    closed: Sequence[str],
    refs: Mapping[str, str],
    *,
    unverified: int,
    rejected: Collection[str],
    below: str,
    remote: str | None,
) -> Iterator[Defect]:
    """Check the refs of closed segments. A ref of a segment that the ledger does not close is a trace of a rollback.

    Args:
        closed: last ledger commit of each closed segment.
        refs: the refs, by the end of their name: number of the segment that follows, and the first digits of the commit.
        unverified: number of segments that a repair stands for; their refs may name anything.
        rejected: ledger commits after which an unsigned segment began that does not count.
        below: full name of the refs, without its last part.
        remote: the git remote that has the refs; `None`: this clone.
    """
    numbered = enumerate(closed, start=1)
    due = {f"{number:06}-{commit[:12]}": commit for number, commit in numbered if commit}
    for name, commit in due.items():
        if (there := refs.get(name)) != commit:
            wrong = f"is {there}, and not {commit}" if there else f"is missing: it must be {commit}"
            back = move_command(f"{below}/{name}", there, commit, remote)
            yield Defect("", 0, f"the ref of closed segment {name} {wrong}. Put it back: {back}")
    for name, commit in refs.items():
        number = name.partition("-")[0]
        is_old = number.isdecimal() and 0 < int(number) <= unverified
        if name not in due and not is_old and commit not in rejected:
            delete = move_command(f"{below}/{name}", commit, None, remote)
            problem = (
                f"the ref of closed segment {name} names {commit}, after which this ledger begins no segment: the ledger was"
                " rolled back or rewritten, or somebody pushed that ref. The commit is the evidence: note it down. Once that is settled, delete the"
                f" ref: {delete}"
            )
            yield Defect("", 0, problem)
