"""The ledger commits of a ledger, segment by segment, read in batches. A segment begins with a checkpoint (`audit.checkpoints`)."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from reconciler import audit
from reconciler.audit import Defect, Record
from reconciler.git import Commit, Git
from reconciler.ledger.notes import STATE, Change, Notes
from reconciler.ledger.snapshot import read_notes

_BATCH: Final = 256
"""Ledger commits that are read at once."""

__all__ = ["STATE", "Line", "Segment", "Step", "commits", "merged", "read_segment", "walk"]


@dataclass(frozen=True, slots=True)
class Step:
    """A ledger commit: the blobs of the notes that it changed, before and after."""

    commit: Commit
    changes: Mapping[str, Change]


@dataclass(slots=True)
class Segment:
    """Ledger commits from a checkpoint to the next one, and the notes at the last of them.

    Attributes:
        steps: the commits, oldest first.
        state: blob of the state file; `None` in the first segment.
        notes: blob of each note, by the commit that it belongs to.
        left: notes of the segment before that the first commit did not remove.
    """

    steps: list[Step] = field(default_factory=list)
    state: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    left: tuple[str, ...] = ()

    def add(self, step: Step) -> None:
        """Append a ledger commit."""
        self.steps.append(step)
        for note, (_, blob) in step.changes.items():
            if note == STATE:
                self.state = blob
            elif blob is None:
                self.notes.pop(note, None)
            else:
                self.notes[note] = blob

    def next(self, first: Step) -> Segment:
        """Return the next segment, which begins with a ledger commit that replaced the state file."""
        kept = {note: blob for note, blob in self.notes.items() if note not in first.changes}
        found = Segment(notes=kept, left=tuple(sorted(kept)))
        found.add(first)
        return found

    def versions(self) -> dict[str, list[tuple[int, str]]]:
        """Return the versions of each note: the number of the commit in `steps`, and the blob."""
        found: dict[str, list[tuple[int, str]]] = {}
        for at, step in enumerate(self.steps):
            for note, (old, new) in step.changes.items():
                if new is not None and new != old and note != STATE:
                    found.setdefault(note, []).append((at, new))
        return found


def walk(git: Git, notes: Notes, ids: Sequence[str]) -> Iterator[Segment]:
    """Yield the segments of a ledger, oldest first.

    Args:
        git: the repository.
        notes: compares its trees.
        ids: the ledger commits, oldest first.
    """
    segment: Segment | None = None
    before: str | None = None
    for start in range(0, len(ids), _BATCH):
        batch = git.commits(ids[start : start + _BATCH])
        trees = [each.tree for each in batch]
        for commit, changes in zip(batch, notes.changes(trees, before), strict=True):
            step = Step(commit, changes)
            if segment is not None and STATE in changes and changes[STATE][1] is not None:
                yield segment
                segment = segment.next(step)
            else:
                segment = Segment() if segment is None else segment
                segment.add(step)
        before = trees[-1]
    if segment is not None:
        yield segment


def commits(git: Git, ids: Sequence[str]) -> Iterator[Commit]:
    """Yield commits by id, which are read in batches."""
    for start in range(0, len(ids), _BATCH):
        yield from git.commits(ids[start : start + _BATCH])


class Line(NamedTuple):
    """A line of a note that is a record.

    Attributes:
        seq: the record's number in the ledger; lines are sorted by it.
        note: the commit that the note belongs to.
        number: the line's number in the note.
        end: bytes of the note up to its end.
        raw: the line without its end.
    """

    seq: int
    note: str
    number: int
    end: int
    raw: bytes
    record: Record


def merged(notes: Iterable[tuple[str, bytes]], defects: list[Defect]) -> Iterator[Line]:
    """Yield the records of notes in the ledger's order, as far as each note is in that order.

    Args:
        notes: the bytes of each note, by the commit that it belongs to.
        defects: lines that are not records are appended here.
    """
    return heapq.merge(*(_lines(note, data, defects) for note, data in notes))


def _lines(note: str, data: bytes, defects: list[Defect]) -> Iterator[Line]:
    end = 0
    for number, raw, found in audit.lines_of(note, data):
        end += len(raw) + 1
        if isinstance(found, Defect):
            defects.append(found)
        else:
            yield Line(found.seq, note, number, end, raw, found)


def read_segment(git: Git, segment: Segment) -> list[tuple[str, bytes]]:
    """Return the notes of a segment at its last commit: the commit that each belongs to, and its bytes."""
    return list(read_notes(git, segment.notes))
