"""The ledger commits of a ledger, segment by segment, read in batches. A segment begins with a checkpoint (`audit.checkpoints`)."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import itemgetter
from typing import Final, TypeAlias

from reconciler import audit
from reconciler.audit import Defect, Record
from reconciler.audit.rules import COUNT_LIMIT
from reconciler.errors import LedgerError
from reconciler.git import Commit, Git, Stat
from reconciler.ledger.notes import STATE, Change, Notes
from reconciler.ledger.snapshot import check_notes, read_notes

_BATCH: Final = 1024
"""Ledger commits that are read at once: to start git costs as much as it takes to check a hundred records."""

_CHUNK: Final = 4 * 1024 * 1024
"""Bytes of notes that are read at once, unless a segment has more. They are in memory three times while they are read."""

__all__ = ["STATE", "Line", "Segment", "Step", "linked", "load", "merged", "walk"]


@dataclass(frozen=True, slots=True)
class Step:
    """A ledger commit: the blobs of the notes that it changed, before and after, and the paths of what it added beside notes."""

    commit: Commit
    changes: Mapping[str, Change]
    strays: tuple[str, ...] = ()


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

    def blobs(self) -> Iterator[str]:
        """Yield the blobs of all versions of all notes."""
        yield from self.notes.values()
        for each in self.versions().values():
            yield from (blob for _, blob in each)

    def versions(self) -> dict[str, list[tuple[int, str]]]:
        """Return the versions of each note: the number of the commit in `steps`, and the blob."""
        found: dict[str, list[tuple[int, str]]] = {}
        for at, step in enumerate(self.steps):
            for note, (old, new) in step.changes.items():
                if new is not None and new != old and note != STATE:
                    found.setdefault(note, []).append((at, new))
        return found


def walk(notes: Notes, found: Iterable[Commit]) -> Iterator[Segment]:
    """Yield the segments of a ledger, oldest first.

    Args:
        notes: compares its trees.
        found: the ledger commits, oldest first.
    """
    segment: Segment | None = None
    before: str | None = None
    left = iter(found)
    while batch := list(itertools.islice(left, _BATCH)):
        trees = [each.tree for each in batch]
        strays: list[tuple[int, str]] = []
        changed = notes.changes(trees, before, strays)
        added = {
            at: tuple(path for _, path in paths)
            for at, paths in groupby(sorted(strays), itemgetter(0))
        }
        for at, (commit, changes) in enumerate(zip(batch, changed, strict=True)):
            step = Step(commit, changes, added.get(at, ()))
            if segment is not None and STATE in changes and changes[STATE][1] is not None:
                yield segment
                segment = segment.next(step)
            else:
                segment = Segment() if segment is None else segment
                segment.add(step)
        before = trees[-1]
    if segment is not None:
        yield segment


def linked(
    git: Git, ids: Sequence[str], earlier: Sequence[str], defects: list[Defect]
) -> Iterator[Commit]:
    """Yield ledger commits, which are read in batches. Each must have one parent: the commit before it.

    Args:
        git: the repository.
        ids: the commits, oldest first.
        earlier: the commits before the first one.
        defects: commits that do not follow the one before them are appended here.

    Raises:
        LedgerError: this clone lacks a parent.
    """
    known: set[str] | None = None
    before = earlier[-1] if earlier else None
    for start in range(0, len(ids), _BATCH):
        for commit in git.commits(ids[start : start + _BATCH]):
            if commit.parents != (() if before is None else (before,)):
                known = {*earlier, *ids} if known is None else known
                for parent in commit.parents:
                    if parent not in known:
                        raise LedgerError(
                            f"the ledger's history is shallow: this clone lacks {parent}. Fetch the full history: git fetch --unshallow"
                        )
                problem = f"ledger commit {commit.id} does not follow {before}: not linear"
                defects.append(Defect("", 0, problem))
            before = commit.id
            yield commit


Line: TypeAlias = tuple[int, str, int, int, bytes, Record]
"""A line of a note that is a record. Lines are sorted by the first three values.

The values are: the record's number in the ledger; the commit that the note belongs to; the line's number in the note; the bytes of
the note up to the line's end; the line without its end; the record. A tuple with names would take eight times as long to make.
"""


def merged(notes: Iterable[tuple[str, bytes]], defects: list[Defect]) -> Iterator[Line]:
    """Yield the records of notes in the ledger's order, as far as each note is in that order.

    The lines of a note are decoded some at a time, when the first of them is due.

    Args:
        notes: the bytes of each note, by the commit that it belongs to.
        defects: lines that are not records are appended here, as they are read.
    """
    heads: list[tuple[Line, Iterator[Line]]] = []
    for note, data in notes:
        rest = _lines(note, data, defects)
        heads += ((line, rest) for line in itertools.islice(rest, 1))
    heapq.heapify(heads)
    while heads:
        line, rest = heapq.heappop(heads)
        yield line
        until = heads[0][0][0] if heads else COUNT_LIMIT
        for line in rest:  # most records of a run follow each other in one note
            if line[0] >= until:
                heapq.heappush(heads, (line, rest))
                break
            yield line


def _lines(note: str, data: bytes, defects: list[Defect]) -> Iterator[Line]:
    end = 0
    for number, raw, found in audit.lines_of(note, data):
        end += len(raw) + 1
        if isinstance(found, Defect):
            defects.append(found)
        else:
            yield found.seq, note, number, end, raw, found


Loaded: TypeAlias = tuple[Segment, list[tuple[str, bytes]], Mapping[str, Stat]]
"""A segment, its notes at its last commit (the commit that each belongs to, and its bytes), and the size of each version."""


def load(git: Git, found: Iterable[Segment]) -> Iterator[Loaded]:
    """Read the notes of segments, of several segments at once.

    Raises:
        LedgerError: a note is absent, no blob, or too large.
    """
    group: list[Segment] = []
    for segment in found:
        group.append(segment)
        if sum(len(each.steps) for each in group) >= _BATCH:
            yield from _load(git, group)
            group = []
    yield from _load(git, group)


def _load(git: Git, group: Sequence[Segment]) -> Iterator[Loaded]:
    stats = git.stat(*dict.fromkeys(blob for segment in group for blob in segment.blobs()))
    chunk: list[Segment] = []
    size = 0
    for segment in group:
        check_notes(segment.notes, stats)
        own = sum(stats[blob].size for blob in segment.notes.values())
        if chunk and size + own > _CHUNK:
            yield from _read(git, chunk, stats)
            chunk, size = [], 0
        if own > _CHUNK:
            yield segment, list(read_notes(git, segment.notes)), stats
            continue
        chunk.append(segment)
        size += own
    yield from _read(git, chunk, stats)


def _read(git: Git, chunk: Sequence[Segment], stats: Mapping[str, Stat]) -> Iterator[Loaded]:
    blobs = dict.fromkeys(blob for segment in chunk for blob in segment.notes.values())
    data = git.read(*blobs)
    for segment in chunk:
        yield segment, [(note, data[blob]) for note, blob in segment.notes.items()], stats
