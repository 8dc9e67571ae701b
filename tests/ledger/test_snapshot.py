"""A ledger read and written a page at a time. No git: blobs and trees in memory."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from reconciler import audit
from reconciler.audit import Event
from reconciler.errors import LedgerError
from reconciler.git.values import Commit, Stat
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger import storage
from reconciler.ledger.notes import Notes
from reconciler.ledger.snapshot import EMPTY, LedgerSnapshot
from tests.ledger.test_notes import Trees, commit
from tests.support.gitfakes import PLATFORM, operation, run, story

ONE, TWO = commit(1), commit(2)


class Blobs(Trees):
    """Trees and blobs; `asked` tells which blobs were read together."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.asked: list[tuple[str, ...]] = []

    def write_blob(self, data: bytes) -> str:
        name = hashlib.sha1(b"blob" + data, usedforsecurity=False).hexdigest()
        self.blobs[name] = data
        return name

    def stat(self, *ids: str) -> dict[str, Stat]:
        there = {each: Stat("blob", len(self.blobs[each])) for each in ids if each in self.blobs}
        trees = [each for each in ids if each in self.objects]
        return there | super().stat(*trees) | {e: self.stats[e] for e in ids if e in self.stats}

    def read(self, *ids: str) -> dict[str, bytes]:
        if ids and all(each in self.blobs for each in ids):
            self.asked.append(ids)
            return {each: self.blobs[each] for each in ids}
        return super().read(*ids)

    def read_commit(self, id_: str) -> Commit | None:
        return Commit(id_, id_, (), "") if id_ in self.objects else None


def appended(git: Blobs, book: LedgerSnapshot, *events: Event) -> LedgerSnapshot:
    """Return the ledger after an append; its tree stands for its commit."""
    tree, pages = storage.store(git, Notes(git), book, book.new_records(events))
    return LedgerSnapshot(tree, tree, pages)


def told(commit_id: str, name: str) -> list[Event]:
    return story(run(commit_id, name), [operation()])


def test_what_was_appended_in_any_order_is_read_in_the_ledgers_order():
    git = Blobs()
    book = appended(git, EMPTY, *told(TWO, "a"))
    book = appended(git, book, *told(ONE, "b")[:2])
    book = appended(git, book, *told(ONE, "b"), run(TWO, "c").note("x"))
    again = snapshots.read(git, Notes(git), book.head)
    assert again.records == book.records
    assert [each.seq for each in again.records] == list(range(9))
    assert [each.event.run for each in again.records] == [*"aaaa", *"bbbb", "c"]
    pages = {name: page.records for name, page in again.notes.items()}
    assert audit.verify(pages, tenant=PLATFORM) == ()
    for name, page in again.notes.items():
        assert git.blobs[page.blob] == b"".join(map(audit.encode, page.records))
        assert page.size == len(git.blobs[page.blob]), name


def test_what_is_known_is_not_read_again():
    git = Blobs()
    first = appended(git, EMPTY, *told(ONE, "a"))
    second = appended(git, first, *told(TWO, "b"))
    known = snapshots.read(git, Notes(git), first.head)
    git.asked.clear()
    assert snapshots.read(git, Notes(git), first.head, known=known) is known
    assert git.asked == []
    assert snapshots.read(git, Notes(git), second.head, known=known).records == second.records
    assert git.asked == [(second.notes[TWO].blob,)]
    third = appended(git, second, run(ONE, "c").note("x"))
    git.asked.clear()
    assert snapshots.read(git, Notes(git), third.head, known=known).records == third.records
    assert len(git.asked) == 1
    assert set(git.asked[0]) == {third.notes[ONE].blob, third.notes[TWO].blob}
    assert snapshots.read(git, Notes(git), None, known=known) is EMPTY


def test_a_head_that_is_not_here_is_named():
    git = Blobs()
    with pytest.raises(LedgerError, match="head feed is not a commit of this clone"):
        snapshots.read(git, Notes(git), "feed")


def test_a_note_that_is_no_blob_absent_or_too_large_is_not_read():
    git = Blobs()
    book = appended(git, EMPTY, *told(ONE, "a"))
    blob = book.notes[ONE].blob
    for stat in (Stat("tree", 5), Stat("blob", snapshots.NOTE_LIMIT + 1)):
        git.stats[blob] = stat
        git.asked.clear()
        with pytest.raises(LedgerError, match=f"is a {stat.type} of {stat.size} bytes"):
            snapshots.read(git, Notes(git), book.head)
        assert git.asked == []
    del git.stats[blob], git.blobs[blob]
    with pytest.raises(LedgerError, match=f"the note of {ONE} is not in this clone"):
        snapshots.read(git, Notes(git), book.head)


def test_notes_are_read_a_bounded_number_of_bytes_at_a_time(monkeypatch):
    git = Blobs()
    book = appended(git, EMPTY, *told(ONE, "a"), *told(TWO, "b"))
    size = book.notes[ONE].size
    for chunk, times in ((2 * size + 99, 1), (size + 1, 2)):
        monkeypatch.setattr(snapshots, "_CHUNK", chunk)
        git.asked.clear()
        assert snapshots.read(git, Notes(git), book.head).records == book.records
        assert len(git.asked) == times


def test_a_note_that_would_outgrow_the_limit_is_refused(monkeypatch):
    git = Blobs()
    book = appended(git, EMPTY, *told(ONE, "a"))
    size = len(audit.encode(book.new_records([run(ONE, "b").note("x")])[0])) + book.notes[ONE].size
    monkeypatch.setattr(storage, "NOTE_LIMIT", size)
    assert appended(git, book, run(ONE, "b").note("x")).notes[ONE].size == size
    monkeypatch.setattr(storage, "NOTE_LIMIT", size - 1)
    with pytest.raises(LedgerError, match=f"would have {size} bytes; {size - 1} are allowed"):
        appended(git, book, run(ONE, "b").note("x"))


def test_a_line_that_is_no_record_stays_where_it_is_and_counts():
    git = Blobs()
    book = appended(git, EMPTY, *told(ONE, "a"))
    data = b"looks good to me\n" + git.blobs[book.notes[ONE].blob]
    tree = Notes(git).put(book.tree, {ONE: git.write_blob(data)})
    damaged = snapshots.read(git, Notes(git), tree)
    page = damaged.notes[ONE]
    assert page.lines == (2, 3, 4, 5)
    assert [each.line for each in page.defects] == [1]
    more = appended(git, damaged, run(ONE, "b").note("x"))
    assert git.blobs[more.notes[ONE].blob].startswith(data)


def test_a_run_goes_on_from_its_own_last_record():
    maker, other = run(ONE, "a"), run(ONE, "b")
    made = EMPTY.new_records([maker.note("1"), other.note("2"), maker.note("3")])
    assert [(each.seq, each.n) for each in made] == [(0, 0), (1, 0), (2, 1)]
    assert made[2].prev == made[0].h
    book = LedgerSnapshot("h", "t", {ONE: snapshots.NoteRecords("b", 1, made)})
    (more,) = book.new_records([other.note("2"), other.note("4")])
    assert (more.seq, more.n, more.prev) == (3, 1, made[1].h)


def test_an_event_that_is_asked_for_twice_at_once_is_made_once():
    note = run(ONE).note("x")
    assert len(EMPTY.new_records([note, note])) == 1
    with pytest.raises(LedgerError, match="but differs in"):
        EMPTY.new_records([note, dataclasses.replace(note, data={**note.data, "judge": True})])
