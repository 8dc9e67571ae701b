"""Store the trees of ledger commits: notes with records appended, and the first tree of a segment. No ref moves here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler import audit
from reconciler.audit import Event, Record
from reconciler.errors import LedgerError
from reconciler.git import Git
from reconciler.ledger.notes import NOTE_LIMIT, STATE, Notes
from reconciler.ledger.snapshot import LedgerSnapshot, NoteRecords, State, read_notes

PART_RECORDS: Final = 1024
"""Most records of one ledger commit: with the longest lines they have 8 MiB."""


def store(
    git: Git, notes: Notes, snapshot: LedgerSnapshot, records: Sequence[Record]
) -> tuple[str, dict[str, NoteRecords]]:
    """Store the blobs and the tree of the ledger with `records` appended; return the tree and its notes.

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


def store_checkpoint(
    git: Git,
    notes: Notes,
    snapshot: LedgerSnapshot,
    now: datetime,
    cut: tuple[Sequence[Record], Mapping[str, Any]] | None = None,
) -> tuple[Record, str, dict[str, NoteRecords], State]:
    """Store the tree of the ledger's next segment; return its checkpoint, the tree, its notes and its state.

    Args:
        git: the repository.
        notes: writes the tree.
        snapshot: the ledger that the segment continues. Its records have been checked, unless there is a cut.
        now: this machine's clock.
        cut: of a repair: the records to keep, and what `audit.checkpoint` records of it.
    """
    records, said = cut or (snapshot.records, None)
    kept = audit.compact(records)
    data = b"".join(map(audit.encode, kept))
    closes, segment = str(snapshot.head), snapshot.segment + 1
    event = audit.checkpoint(records, data, segment=segment, closes=closes, now=now, cut=said)
    record = audit.chain(event, None, audit.next_seq(records))
    line = audit.encode(record)
    note = NoteRecords(git.write_blob(line), len(line), (record,), written=line)
    state = State(git.write_blob(data), str(event.data["state"]), kept)
    tree = notes.put(None, {event.commit: note.blob}, {STATE: state.blob})
    return record, tree, {event.commit: note}, state


def parts(events: Sequence[Event]) -> Iterator[Sequence[Event]]:
    """Yield events in parts that one ledger commit takes each: at most `PART_RECORDS`, and so at most 8 MiB."""
    for start in range(0, len(events), PART_RECORDS):
        yield events[start : start + PART_RECORDS]
