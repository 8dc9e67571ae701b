"""Read a ledger's records in order, checked, one segment in memory at a time: those of closed segments, too."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from reconciler import audit
from reconciler.audit import Checker, Defect, Record, RecordKind
from reconciler.errors import GitError, LedgerError
from reconciler.git import Git
from reconciler.ledger.notes import STATE, Notes
from reconciler.ledger.segments import merged
from reconciler.ledger.snapshot import STATE_LIMIT, read_notes
from reconciler.ledger.view import with_advice


@dataclass(frozen=True, slots=True)
class Past:
    """The records of a ledger.

    Attributes:
        git: the repository, which has the ledger's history.
        notes: reads its trees.
        tree: the tree of the newest ledger commit that counts; `None`: there is none.
        tenant: the platform.
        folder: see `LedgerOptions`.
    """

    git: Git
    notes: Notes
    tree: str | None
    tenant: str
    folder: str

    def records(self, since: datetime | None = None) -> Iterator[Record]:
        """Yield the records in order, each once it has been checked (`audit.Checker`).

        After a repair, the records that it kept stand for everything before it.

        Args:
            since: leave out closed segments of which every record is older.

        Raises:
            LedgerError: a line is not a record, a record contradicts those before it, or this clone lacks a segment.
        """
        checker = Checker(self.tenant)
        trees = self._trees(since)
        for number, (tree, checkpoint) in enumerate(trees):
            if number == 0 and checkpoint is not None:
                state = self._state(tree, checkpoint)
                checker.resume(state, due=checkpoint.seq)
                if "cut" in checkpoint.data:
                    yield from state
            elif checkpoint is not None:
                checker.begin()
            yield from self._checked(tree, checker)

    def _trees(self, since: datetime | None) -> list[tuple[str, Record | None]]:
        """Return the tree of each segment that may have records from `since` on, oldest first, with the checkpoint that begins it."""
        found: list[tuple[str, Record | None]] = []
        tree = self.tree
        while tree is not None:
            checkpoint = self._checkpoint(tree)
            found.append((tree, checkpoint))
            if checkpoint is None or "cut" in checkpoint.data:
                break
            if since is not None and datetime.fromisoformat(checkpoint.data["latest"]) < since:
                break
            tree = self._closed(str(checkpoint.data["closes"]))
        return found[::-1]

    def _closed(self, commit: str) -> str:
        try:
            return self.git.commits([commit])[0].tree
        except GitError:
            raise LedgerError(
                f"this clone lacks ledger commit {commit}, with which a segment of the ledger ends: it is shallow, or was not"
                " fetched whole. Fetch the full history: git fetch --unshallow"
            ) from None

    def _checkpoint(self, tree: str) -> Record | None:
        """Return the checkpoint that begins a segment; `None` for the first segment."""
        if self.notes.file(tree, STATE) is None:
            return None
        for note, data in self._read(tree):
            records, _ = audit.decode(note, data[: data.find(b"\n") + 1])
            if records and records[0].kind is RecordKind.CHECKPOINT:
                return records[0]
        raise self._bad(Defect("", 0, f"tree {tree} has a state and no checkpoint"))

    def _read(self, tree: str) -> Iterator[tuple[str, bytes]]:
        wanted = {commit: note.blob for commit, note in self.notes.find(tree).items()}
        return read_notes(self.git, wanted)

    def _state(self, tree: str, checkpoint: Record) -> Sequence[Record]:
        data = self.git.read_blob(str(self.notes.file(tree, STATE)), limit=STATE_LIMIT)
        if hashlib.sha256(data).hexdigest() != checkpoint.data["state"]:
            raise self._bad(
                Defect(checkpoint.event.commit, 1, "its state is another one than the tree holds")
            )
        try:
            return audit.decode_state(data)
        except ValueError as error:
            raise self._bad(
                Defect(checkpoint.event.commit, 1, f"its state cannot be read: {error}")
            ) from None

    def _checked(self, tree: str, checker: Checker) -> Iterator[Record]:
        bad: list[Defect] = []
        for _, note, number, _, raw, record in list(merged(self._read(tree), bad)):
            problems = checker.check(record, note, raw)
            if bad or problems:
                bad += (Defect(note, number, each, record.id) for each in problems)
                break
            yield record
        if bad:
            raise self._bad(bad[0])

    def _bad(self, defect: Defect) -> LedgerError:
        return LedgerError(with_advice(f"the ledger does not verify: {defect}", self.folder))
