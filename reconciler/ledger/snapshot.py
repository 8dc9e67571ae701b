"""A ledger at one commit: its decoded notes, and its records in order. Unchanged notes are never read twice."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from reconciler import audit
from reconciler.audit import LINE_LIMIT, Defect, Event, Record, RecordKind
from reconciler.errors import LedgerError, safe
from reconciler.git import Commit, Git, Stat
from reconciler.ledger.notes import NOTE_LIMIT, STATE, Notes

STATE_LIMIT: Final = 512 * 1024 * 1024
"""Largest state file, in bytes."""

SEGMENT_LEAST: Final = 500
"""Fewest records after which an apply begins the next segment."""

SEGMENT_NOTE: Final = 16 * 1024 * 1024
"""Size of a note, in bytes, from which on a run begins a segment before it appends more. Far below the limit of a note."""

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


@dataclass(frozen=True, slots=True)
class State:
    """The state file of a segment, decoded: the records of earlier segments that still matter.

    Attributes:
        blob: its object id.
        digest: its SHA-256, which the checkpoint record must repeat.
        records: in order; none if the file cannot be read.
        problem: why the file cannot be read; empty if it can.
    """

    blob: str
    digest: str
    records: tuple[Record, ...]
    problem: str = ""


class LedgerSnapshot:
    """The records of a ledger at one commit: the state of its newest checkpoint, and its notes.

    Attributes:
        head: the ledger commit; `None` means that there is no ledger yet.
        tree: its tree.
        notes: of the newest segment, by the commit that each note belongs to.
        state: what its checkpoint holds of earlier segments; `None` in the ledger's first segment.
        tail: the records of the notes, in the ledger's order. In a segment with a state, the first one is its checkpoint.
        records: those of the state and of the notes, in the ledger's order.
        by_id: the records by id. A write of the state has the ids of its intent and of its outcome.
        tips: the last record of each run.
        foreign: the commit was not made by reconcile: it is a merge commit, or its message does not name its last record.
        problem: why the state cannot be trusted; `None` if it can.
    """

    def __init__(
        self,
        head: str | None,
        tree: str | None,
        notes: Mapping[str, NoteRecords],
        made: Commit | None = None,
        *,
        state: State | None = None,
    ) -> None:
        """Use notes that are already decoded; `made` is the commit as it was read, unless this process has just made it."""
        self.head = head
        self.tree = tree
        self.notes = MappingProxyType(dict(notes))
        self.state = state
        records = (record for note in notes.values() for record in note.records)
        self.tail = tuple(sorted(records, key=lambda record: record.seq))
        self.records = self.tail if state is None else (*state.records, *self.tail)
        self.by_id = {record.id: record for record in self.records}
        self.tips = {}
        for record in self.records:
            if record.event.kind is RecordKind.WRITE:
                self.by_id[record.event.data["intent"]] = record
            else:
                self.tips[record.event.run] = record
        self.foreign = made is not None and not _is_ours(made, self.records)
        self.problem = _problem_of_state(self)
        self._defects: dict[str, tuple[Defect, ...]] = {}

    @property
    def segment(self) -> int:
        """The number of the segment. The ledger's first segment is 0."""
        first = self.tail[0] if self.tail else None
        is_checkpoint = first is not None and first.kind is RecordKind.CHECKPOINT
        return first.data["segment"] if first is not None and is_checkpoint else 0

    @property
    def is_long(self) -> bool:
        """Whether the next segment is due: the records to read would otherwise outgrow the state."""
        kept = len(self.state.records) if self.state else 0
        return len(self.tail) >= max(SEGMENT_LEAST, kept // 4)

    def has_room(self, records: Sequence[Record]) -> bool:
        """Return whether no note would exceed `SEGMENT_NOTE` with these records appended, or no new segment would help."""
        sizes = {commit: note.size for commit, note in self.notes.items()}
        largest = max(sizes.values(), default=0)
        if len(self.tail) <= 1 or largest + len(records) * LINE_LIMIT <= SEGMENT_NOTE:
            return True
        added: Counter[str] = Counter()
        for record in records:
            added[record.event.commit] += len(audit.encode(record))
        return all(sizes.get(each, 0) + size <= SEGMENT_NOTE for each, size in added.items())

    def of(self, events: Iterable[Event]) -> tuple[Record, ...]:
        """Return the records of events that are recorded here."""
        return tuple(self.by_id[each.id] for each in events if each.id in self.by_id)

    @property
    def unreadable(self) -> list[Defect]:
        """Lines that are not records, sorted."""
        return sorted(defect for note in self.notes.values() for defect in note.defects)

    def verify(self, tenant: str) -> tuple[Defect, ...]:
        """Return the defects of the records (`audit.verify`). They are looked for once."""
        if tenant not in self._defects:
            self._defects[tenant] = self._find_defects(tenant)
        return self._defects[tenant]

    def _find_defects(self, tenant: str) -> tuple[Defect, ...]:
        return audit.verify(
            {commit: note.records for commit, note in self.notes.items()},
            tenant=tenant,
            lines={commit: note.lines for commit, note in self.notes.items() if note.defects},
            state=self.state.records if self.state else (),
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
            if self._is_folded(event, made):
                continue
            record = audit.chain(event, tips.get(event.run), seq + len(made))
            made[record.id] = tips[event.run] = record
        return tuple(made.values())

    def _is_folded(self, event: Event, made: Mapping[str, Record]) -> bool:
        """Return whether an event is the outcome of a write that an earlier segment settled already."""
        if self.state is None or event.kind is not RecordKind.OUTCOME:
            return False
        intent = event.data["intent"]
        return intent not in self.by_id and intent not in made

    def _require_same(self, known: Record, event: Event) -> None:
        if (
            known.kind is RecordKind.WRITE
        ):  # it has not all fields, and the ids cover those that matter
            return
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


def _problem_of_state(snapshot: LedgerSnapshot) -> str | None:
    """Return why a state is not the one of the segment's checkpoint. If a note is unreadable, that is reported instead."""
    if snapshot.state is not None and snapshot.state.problem:
        return f"the ledger's state (blob {snapshot.state.blob}) cannot be read: {snapshot.state.problem}"
    first = snapshot.tail[0] if snapshot.tail else None
    checkpoint = first if first is not None and first.kind is RecordKind.CHECKPOINT else None
    held = snapshot.state.digest if snapshot.state else None
    if not snapshot.unreadable and held != (checkpoint.data["state"] if checkpoint else None):
        return f"the ledger's state at {snapshot.head} is not the one of its checkpoint: somebody changed or dropped one of them"
    return None


EMPTY: Final = LedgerSnapshot(None, None, {})


def read(
    git: Git,
    notes: Notes,
    head: str | None,
    *,
    known: LedgerSnapshot = EMPTY,
) -> LedgerSnapshot:
    """Read the ledger at `head`, also one whose state cannot be trusted (`LedgerSnapshot.problem`).

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
    state = _read_state(git, notes, made.tree, known.state)
    return LedgerSnapshot(head, made.tree, decoded, made, state=state)


def _read_state(git: Git, notes: Notes, tree: str, known: State | None) -> State | None:
    """Read the state file of a ledger's tree; `None` if there is none."""
    blob = notes.file(tree, STATE)
    if blob is None or (known is not None and known.blob == blob):
        return None if blob is None else known
    data = git.read_blob(blob, limit=STATE_LIMIT)
    digest = hashlib.sha256(data).hexdigest()
    try:
        return State(blob, digest, audit.decode_state(data))
    except ValueError as error:
        return State(blob, digest, (), str(error))


def read_notes(git: Git, blobs: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield each commit with the bytes of its note, reading a bounded number of bytes at a time.

    Args:
        git: the repository.
        blobs: the note's object id, by commit.

    Raises:
        LedgerError: a note is absent, no blob, or too large.
    """
    stats = git.stat(*dict.fromkeys(blobs.values()))
    check_notes(blobs, stats)
    chunk: list[str] = []
    size = 0
    for commit, blob in blobs.items():
        if chunk and size + stats[blob].size > _CHUNK:
            yield from _read_chunk(git, blobs, chunk)
            chunk, size = [], 0
        chunk.append(commit)
        size += stats[blob].size
    yield from _read_chunk(git, blobs, chunk)


def check_notes(blobs: Mapping[str, str], stats: Mapping[str, Stat]) -> None:
    """Check that notes can be read.

    Args:
        blobs: the note's object id, by commit.
        stats: type and size of the objects that are here.

    Raises:
        LedgerError: a note is absent, no blob, or too large.
    """
    for commit, blob in blobs.items():
        stat = stats.get(blob)
        if stat is None:
            raise LedgerError(f"the note of {commit} is not in this clone: fetch the ledger again")
        if stat.type != "blob" or stat.size > NOTE_LIMIT:
            raise LedgerError(
                f"the note of {commit} is a {stat.type} of {stat.size} bytes; a blob of at most {NOTE_LIMIT} is allowed"
            )


def _read_chunk(
    git: Git, blobs: Mapping[str, str], commits: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    data = git.read(*dict.fromkeys(blobs[commit] for commit in commits))
    return ((commit, data[blobs[commit]]) for commit in commits)
