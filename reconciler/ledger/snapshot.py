"""A ledger at one commit: its decoded notes, and its records in order. Unchanged notes are never read twice."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from reconciler import audit
from reconciler.audit import Defect, Event, Record
from reconciler.errors import LedgerError, safe
from reconciler.git import Commit, Git
from reconciler.ledger.notes import NOTE_LIMIT, Notes

_CHUNK: Final = NOTE_LIMIT
"""Bytes of notes that are held at once while reading."""


@dataclass(frozen=True, slots=True)
class NoteRecords:
    """One note, decoded.

    Attributes:
        blob: the note's object id.
        size: in bytes.
        records: in order.
        defects: lines that are not records.
        written: the bytes, if this process has just written them: the next append then need not read them.
    """

    blob: str
    size: int
    records: tuple[Record, ...]
    defects: tuple[Defect, ...] = ()
    written: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def lines(self) -> tuple[int, ...]:
        """The line number of each record, from 1. Lines that are not records are counted too."""
        bad = {each.line for each in self.defects}
        good = (line for line in itertools.count(1) if line not in bad)
        return tuple(itertools.islice(good, len(self.records)))


class LedgerSnapshot:
    """The records of a ledger at one commit.

    Attributes:
        head: the ledger commit; `None` means that there is no ledger yet.
        tree: its tree.
        notes: by the commit that each note belongs to.
        records: all of them, in the ledger's order.
        by_id: the records by id.
        tips: the last record of each run.
        foreign: the commit was not made by reconcile: it is a merge commit, or its message does not name its last record.
    """

    def __init__(
        self,
        head: str | None,
        tree: str | None,
        notes: Mapping[str, NoteRecords],
        made: Commit | None = None,
    ) -> None:
        """Use notes that are already decoded; `made` is the commit as it was read, unless this process has just made it."""
        self.head = head
        self.tree = tree
        self.notes = MappingProxyType(dict(notes))
        records = (record for note in notes.values() for record in note.records)
        self.records = tuple(sorted(records, key=lambda record: record.seq))
        self.by_id = {record.id: record for record in self.records}
        self.tips = {record.event.run: record for record in self.records}
        self.foreign = made is not None and not _is_ours(made, self.records)

    @property
    def unreadable(self) -> list[Defect]:
        """Lines that are not records, sorted."""
        return sorted(defect for note in self.notes.values() for defect in note.defects)

    def verify(self, tenant: str) -> tuple[Defect, ...]:
        """Return the defects of the records (`audit.verify`)."""
        return audit.verify(
            {commit: note.records for commit, note in self.notes.items()},
            tenant=tenant,
            lines={commit: note.lines for commit, note in self.notes.items() if note.defects},
        )

    def new_records(self, events: Iterable[Event]) -> tuple[Record, ...]:
        """Return records for those events that are not recorded yet, chained to the records here.

        Raises:
            LedgerError: a record here has the id of an event and different content.
        """
        made: dict[str, Record] = {}
        tips = dict(self.tips)
        seq = self.records[-1].seq + 1 if self.records else 0
        for event in events:
            if (known := self.by_id.get(event.id) or made.get(event.id)) is not None:
                self._require_same(known, event)
                continue
            record = audit.chain(event, tips.get(event.run), seq + len(made))
            made[record.id] = tips[event.run] = record
        return tuple(made.values())

    def _require_same(self, known: Record, event: Event) -> None:
        if names := audit.differing(known.event, event):
            name = safe(str(event.data.get("name") or event.run))
            raise LedgerError(
                f"{self._place(known)} has the id of the {event.kind} of {name}, but differs in {', '.join(names)}: another program wrote it,"
                " or somebody edited it. See: reconcile audit verify"
            )

    def _place(self, known: Record) -> Defect:
        """Return the place of a record (note and line), for an error message."""
        for commit, note in self.notes.items():
            if known in note.records:
                line = note.lines[note.records.index(known)]
                return Defect(commit, line, "the record", known.id)
        return Defect(known.event.commit, 0, "the record", known.id)


def message(last: Record) -> str:
    """Return the message of the ledger commit whose last record is `last`."""
    return f"{last.event.run} {last.h}\n"


def _is_ours(made: Commit, records: Sequence[Record]) -> bool:
    return len(made.parents) <= 1 and bool(records) and made.message == message(records[-1])


EMPTY: Final = LedgerSnapshot(None, None, {})


def read(
    git: Git, notes: Notes, head: str | None, *, known: LedgerSnapshot = EMPTY
) -> LedgerSnapshot:
    """Read the ledger at `head`.

    Args:
        git: the repository.
        notes: reads its trees.
        head: ledger commit.
        known: an earlier snapshot; notes that did not change since are taken from it.

    Raises:
        LedgerError: the ledger cannot be read, or is too large. A line that is not a record is a defect of its note instead.
    """
    if head == known.head:
        return known
    if head is None:
        return EMPTY
    made = git.read_commit(head)
    if made is None:
        raise LedgerError(f"the ledger's head {head} is not a commit of this clone: fetch it again")
    found = notes.find(made.tree)
    decoded = {
        commit: note
        for commit, note in known.notes.items()
        if commit in found and found[commit].blob == note.blob
    }
    wanted = {commit: note.blob for commit, note in found.items() if commit not in decoded}
    for commit, data in read_notes(git, wanted):
        decoded[commit] = NoteRecords(wanted[commit], len(data), *audit.decode(commit, data))
    return LedgerSnapshot(head, made.tree, decoded, made)


def read_notes(git: Git, blobs: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield each commit with the bytes of its note, reading a bounded number of bytes at a time.

    Args:
        git: the repository.
        blobs: the note's object id, by commit.

    Raises:
        LedgerError: a note is absent, no blob, or too large.
    """
    stats = git.stat(*dict.fromkeys(blobs.values()))
    chunk: list[str] = []
    size = 0
    for commit, blob in blobs.items():
        stat = stats.get(blob)
        if stat is None:
            raise LedgerError(f"the note of {commit} is not in this clone: fetch the ledger again")
        if stat.type != "blob" or stat.size > NOTE_LIMIT:
            raise LedgerError(
                f"the note of {commit} is a {stat.type} of {stat.size} bytes; a blob of at most {NOTE_LIMIT} is allowed"
            )
        if chunk and size + stat.size > _CHUNK:
            yield from _read_chunk(git, blobs, chunk)
            chunk, size = [], 0
        chunk.append(commit)
        size += stat.size
    yield from _read_chunk(git, blobs, chunk)


def _read_chunk(
    git: Git, blobs: Mapping[str, str], commits: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    data = git.read(*dict.fromkeys(blobs[commit] for commit in commits))
    return ((commit, data[blobs[commit]]) for commit in commits)


def store(
    git: Git, notes: Notes, snapshot: LedgerSnapshot, records: Sequence[Record]
) -> tuple[str, dict[str, NoteRecords]]:
    """Store the blobs and the tree of the ledger with `records` appended; return the tree and its notes. No ref moves.

    Raises:
        LedgerError: a note would be too large.
    """
    new: dict[str, list[Record]] = {}
    for record in records:
        new.setdefault(record.event.commit, []).append(record)
    stored = dict(snapshot.notes)
    bytes_of = {each: stored[each].written for each in new if each in stored}
    unread = {each: stored[each].blob for each, data in bytes_of.items() if data is None}
    bytes_of |= dict(read_notes(git, unread))
    for commit, added in new.items():
        data = (bytes_of.get(commit) or b"") + b"".join(map(audit.encode, added))
        if len(data) > NOTE_LIMIT:
            raise LedgerError(
                f"the note of {commit} would have {len(data)} bytes; {NOTE_LIMIT} are allowed"
            )
        before = stored[commit].records if commit in stored else ()
        blob = git.write_blob(data)
        stored[commit] = NoteRecords(blob, len(data), (*before, *added), written=data)
    return notes.put(snapshot.tree, {commit: stored[commit].blob for commit in new}), stored
