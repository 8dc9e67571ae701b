"""A ledger as it stands at one commit: its notes read, its records in order. Read again only where it changed."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from reconciler.audit import Defect, Event, Record, chain, decode, differing, encode
from reconciler.errors import LedgerError, safe
from reconciler.git import Git
from reconciler.ledger.notes import NOTE_LIMIT, Notes

_CHUNK: Final = NOTE_LIMIT
"""Bytes of notes that are held at once while reading."""


@dataclass(frozen=True, slots=True)
class Page:
    """One note.

    Attributes:
        blob: its id.
        size: bytes.
        records: in order.
        defects: its lines that are no records.
        written: its bytes, where we have just written them: the next append to it need not read them again.
    """

    blob: str
    size: int
    records: tuple[Record, ...]
    defects: tuple[Defect, ...] = ()
    written: bytes | None = field(default=None, repr=False, compare=False)

    @property
    def lines(self) -> tuple[int, ...]:
        """The line of each record, from 1: lines that are no records count, too."""
        bad = {each.line for each in self.defects}
        good = (line for line in itertools.count(1) if line not in bad)
        return tuple(itertools.islice(good, len(self.records)))


class Book:
    """What a ledger says at `head`.

    Attributes:
        head: ledger commit; `None`: there is no ledger yet.
        pages: by the commit that a note belongs to.
        records: all of them, in the ledger's order.
        by_id: the same by id.
        tips: the last record of each run.
    """

    def __init__(self, head: str | None, tree: str | None, pages: Mapping[str, Page]) -> None:
        self.head = head
        self.tree = tree
        self.pages = MappingProxyType(dict(pages))
        self.records: tuple[Record, ...] = tuple(
            sorted((each for page in pages.values() for each in page.records), key=_seq)
        )
        self.by_id = {record.id: record for record in self.records}
        self.tips = {record.event.run: record for record in self.records}

    def added(self, events: Iterable[Event]) -> tuple[Record, ...]:
        """Return records for the events that are not here yet, each in its place.

        Raises:
            LedgerError: a record here has the id of an event and says something else.
        """
        made: dict[str, Record] = {}
        tips = dict(self.tips)
        seq = self.records[-1].seq + 1 if self.records else 0
        for event in events:
            if (known := self.by_id.get(event.id) or made.get(event.id)) is not None:
                self._require_same(known, event)
                continue
            record = chain(event, tips.get(event.run), seq + len(made))
            made[record.id] = tips[event.run] = record
        return tuple(made.values())

    def _require_same(self, known: Record, event: Event) -> None:
        if names := differing(known.event, event):
            raise LedgerError(
                f"{self._place(known)} is the {event.kind} of {safe(str(event.data.get('name') or event.run))} in other words"
                f" ({', '.join(names)}): somebody else than this program wrote it, or edited it. See: reconcile audit verify"
            )

    def _place(self, known: Record) -> Defect:
        """Return where a record stands, to be named."""
        for commit, page in self.pages.items():
            if known in page.records:
                line = page.lines[page.records.index(known)]
                return Defect(commit, line, "the record", known.id)
        return Defect(known.event.commit, 0, "the record", known.id)


def _seq(record: Record) -> int:
    return record.seq


EMPTY: Final = Book(None, None, {})


def read(git: Git, notes: Notes, head: str | None, *, known: Book = EMPTY) -> Book:
    """Return the ledger at `head`.

    Args:
        git: the repository.
        notes: its trees.
        head: ledger commit.
        known: an earlier reading; notes that did not change since are taken from it.

    Raises:
        LedgerError: it cannot be read: hostile, too large. Lines that are no records are defects of their page.
    """
    if head == known.head:
        return known
    if head is None:
        return EMPTY
    tree = git.resolve(f"{head}^{{tree}}")
    if tree is None:
        raise LedgerError(f"the ledger's head {head} is not a commit that is here")
    found = notes.find(tree)
    pages = {
        commit: page
        for commit, page in known.pages.items()
        if commit in found and found[commit].blob == page.blob
    }
    wanted = {commit: note.blob for commit, note in found.items() if commit not in pages}
    for commit, data in contents(git, wanted):
        pages[commit] = Page(wanted[commit], len(data), *decode(commit, data))
    return Book(head, tree, pages)


def contents(git: Git, blobs: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """Yield each commit's note, a bounded number of bytes at a time.

    Raises:
        LedgerError: a note is no blob, or too large.
    """
    stats = git.stat(*dict.fromkeys(blobs.values()))
    chunk: list[str] = []
    held = 0
    for commit, blob in blobs.items():
        stat = stats.get(blob)
        if stat is None:
            raise LedgerError(f"the note of {commit} is not here: fetch the ledger again")
        if stat.type != "blob" or stat.size > NOTE_LIMIT:
            raise LedgerError(
                f"the note of {commit} is a {stat.type} of {stat.size} bytes; a blob of at most {NOTE_LIMIT} is allowed"
            )
        if chunk and held + stat.size > _CHUNK:
            yield from _contents(git, blobs, chunk)
            chunk, held = [], 0
        chunk.append(commit)
        held += stat.size
    yield from _contents(git, blobs, chunk)


def _contents(
    git: Git, blobs: Mapping[str, str], commits: Sequence[str]
) -> Iterator[tuple[str, bytes]]:
    data = git.read(*dict.fromkeys(blobs[commit] for commit in commits))
    return ((commit, data[blobs[commit]]) for commit in commits)


def extended(
    git: Git, notes: Notes, book: Book, records: Sequence[Record]
) -> tuple[str, dict[str, Page]]:
    """Store the ledger with `records` at the end of their notes; return its tree and pages. No ref moves.

    Raises:
        LedgerError: a note would be too large.
    """
    lines: dict[str, list[Record]] = {}
    for record in records:
        lines.setdefault(record.event.commit, []).append(record)
    pages = dict(book.pages)
    olds = {each: pages[each].written for each in lines if each in pages}
    unread = {each: pages[each].blob for each, data in olds.items() if data is None}
    olds |= dict(contents(git, unread))
    for commit, added in lines.items():
        data = (olds.get(commit) or b"") + b"".join(map(encode, added))
        if len(data) > NOTE_LIMIT:
            raise LedgerError(
                f"the note of {commit} would have {len(data)} bytes; {NOTE_LIMIT} are allowed"
            )
        before = pages[commit].records if commit in pages else ()
        pages[commit] = Page(git.write_blob(data), len(data), (*before, *added), written=data)
    return notes.put(book.tree, {commit: pages[commit].blob for commit in lines}), pages
