"""What a ledger's history tells. No git: commits, trees and blobs in memory; `test_ledger_verify` tampers with real ones."""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import audit
from reconciler.audit import Defect, Event, LineOrigin, Record, RecordKind, Verdict
from reconciler.errors import LedgerError
from reconciler.git import Commit, Signature, blob_id
from reconciler.ledger import history, segments, signatures, storage
from reconciler.ledger import snapshot as snapshots
from reconciler.ledger.connection import backoff_s
from reconciler.ledger.history import LedgerHistory
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.signatures import Unsigned
from reconciler.ledger.snapshot import EMPTY, LedgerSnapshot
from tests.ledger.test_snapshot import ONE, TWO, Blobs
from tests.support.gitfakes import PLATFORM, operation, run, story


class Commits(Blobs):
    """Trees, blobs, and the commits of a ledger."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, tuple[str, tuple[str, ...], str]] = {}
        self.signed: set[str] = set()

    def write_blob(self, data: bytes) -> str:
        name = blob_id(memoryview(data), 40)
        self.blobs[name] = data
        return name

    def read_blob(self, blob: str, *, limit: int) -> bytes:
        assert limit == NOTE_LIMIT
        return self.blobs[blob]

    def commit(self, tree: str, *parents: str, message: str = "x y\n") -> str:
        raw = f"{tree}{parents}{message}".encode()
        name = hashlib.sha1(raw, usedforsecurity=False).hexdigest()
        self.made[name] = (tree, parents, message)
        return name

    def resolve(self, name: str) -> str | None:
        head = name.removesuffix("^{tree}")
        return self.made[head][0] if head in self.made else None

    def read_commit(self, id_: str) -> Commit | None:
        return Commit(id_, *self.made[id_]) if id_ in self.made else super().read_commit(id_)

    def ancestry(self, tip: str) -> list[str]:
        return [each.id for each in self.walk(tip)][::-1]

    def commits(self, ids: Sequence[str]) -> list[Commit]:
        return [Commit(each, *self.made[each]) for each in ids]

    def walk(self, tip: str) -> list[Commit]:
        found, level = [], [tip]
        while level:
            tree, parents, message = self.made[level[0]]
            found.append(Commit(level[0], tree, parents, message))
            level = [*level[1:], *(each for each in parents if each in self.made)]
        return found

    def newest_named(self, tip: str, pattern: str) -> str | None:
        named = (each.id for each in self.walk(tip) if re.search(pattern, each.message))
        return next(named, None)

    def parent(self, commit: str) -> str | None:
        return next(iter(self.made[commit][1]), None)

    def signatures(
        self, tip: str, signers: bytes, *, at: range | None = None
    ) -> dict[str, Signature]:
        assert signers == b"trusted"
        ids = [each.id for each in self.walk(tip)]
        asked = ids if at is None else ids[at.start : at.stop]
        return {each: Signature(each in self.signed, self.made[each][2].strip()) for each in asked}


@dataclasses.dataclass
class Told:
    """A ledger: its repository, its head, and its commits, oldest first."""

    git: Commits = dataclasses.field(default_factory=Commits)
    book: LedgerSnapshot = EMPTY
    commits: list[str] = dataclasses.field(default_factory=list)

    def append(self, *events: Event, message: str | None = None) -> str:
        records = self.book.new_records(events)
        tree, pages = storage.store(self.git, Notes(self.git), self.book, records)
        said = snapshots.message(records[-1]) if message is None else message
        return self.put(tree, LedgerSnapshot(None, tree, pages), said)

    def put(self, tree: str, book: LedgerSnapshot | None = None, message: str = "x y\n") -> str:
        head = self.git.commit(tree, *self.commits[-1:], message=message)
        self.commits.append(head)
        pages = (book or snapshots.read(self.git, Notes(self.git), head)).notes
        self.book = LedgerSnapshot(head, tree, pages)
        return head

    def verify(self, **more: Any) -> Verdict:
        subject = LedgerHistory(self.git, Notes(self.git), self.book.head, PLATFORM)
        witnesses = {"mirror": None, "expect_head": None, "signers": None} | more
        return history.verify(subject, **witnesses)


def told() -> Told:
    """Return a ledger of three commits: a run on ONE that left an intent open, one on TWO, and a note on ONE."""
    ledger = Told()
    ledger.append(*story(run(ONE, "a"), [operation()])[:2])
    ledger.append(*story(run(TWO, "b"), [operation()], ledger=ledger.book.head))
    ledger.append(run(ONE, "c").note("x"))
    return ledger


def test_an_honest_ledger_is_counted_and_its_witnesses_are_named():
    ledger = told()
    intent = ledger.book.notes[ONE].records[1]
    bare = ledger.verify()
    assert bare == Verdict(ledger.commits[-1], 3, 7, 3, (), (intent,), ())
    assert str(bare) == "consistent, not anchored"
    anchored = ledger.verify(mirror=ledger.commits[-1], expect_head=ledger.commits[0])
    assert anchored == dataclasses.replace(
        bare, witnesses=("the expected head", "the mirror branch")
    )
    assert str(anchored) == "consistent, anchored by the expected head, the mirror branch"
    assert ledger.verify(mirror=ledger.commits[0]) == bare, "it may be behind, and proves nothing"


def test_no_ledger_is_consistent_and_holds_no_head():
    assert Told().verify(signers=b"") == Verdict(None, 0, 0, 0, (), (), ())
    assert Told().verify(expect_head="f" * 40).defects == (
        Defect("", 0, f"it does not hold {'f' * 40}: it was rolled back or rewritten"),
    )


def test_a_head_that_is_not_here_any_more_is_a_defect():
    ledger = told()
    found = ledger.verify(expect_head="f" * 40)
    (defect,) = found.defects
    assert str(found) == f"not consistent: {defect}"
    assert "it does not hold" in defect.problem
    assert (found.witnesses, found.source) == ((), None)


def test_a_commit_that_adds_nothing_names_nothing_and_is_found():
    ledger = told()
    idle = ledger.put(str(ledger.book.tree), ledger.book)
    assert ledger.verify().defects == (
        Defect("", 0, f"ledger commit {idle} adds nothing"),
        Defect("", 0, f"ledger commit {idle} does not name its last record"),
    )


def test_a_commit_with_another_message_does_not_name_its_last_record():
    ledger = told()
    odd = ledger.append(run(ONE, "d").note("x"), message="a person\n")
    assert ledger.verify().defects == (
        Defect("", 0, f"ledger commit {odd} does not name its last record"),
    )


def test_a_second_parent_and_a_history_that_is_cut_are_found():
    ledger = told()
    tree, parents, message = ledger.git.made.pop(ledger.commits[-1])
    merged = ledger.git.commit(tree, *parents, ledger.commits[0], message=message)
    before = ledger.commits[-2]
    ledger.commits[-1] = merged
    ledger.book = LedgerSnapshot(merged, tree, ledger.book.notes)
    problem = f"ledger commit {merged} does not follow {before}: not linear"
    assert Defect("", 0, problem) in ledger.verify().defects
    cut = told()
    del cut.git.made[cut.commits[0]]
    with pytest.raises(LedgerError, match=f"history is shallow: this clone lacks {cut.commits[0]}"):
        cut.verify()


def test_a_note_that_was_removed_is_named_with_who_removed_it():
    ledger = told()
    blob = ledger.book.notes[ONE].blob
    gone = ledger.put(Notes(ledger.git).put(None, {ONE: blob}))
    defects = ledger.verify().defects
    assert Defect(TWO, 0, f"the whole note was removed by ledger commit {gone}") in defects


@pytest.mark.parametrize("line", [0, 1, 2])
@pytest.mark.parametrize("undo", [False, True])
def test_a_line_that_was_dropped_is_named_also_when_it_came_back(line: int, *, undo: bool) -> None:
    ledger = told()
    page = ledger.book.notes[ONE]
    data = ledger.git.blobs[page.blob]
    lines = data.splitlines(keepends=True)
    left = b"".join(lines[:line] + lines[line + 1 :])
    store = Notes(ledger.git)
    dropped = ledger.put(store.put(ledger.book.tree, {ONE: ledger.git.write_blob(left)}))
    if undo:
        ledger.put(store.put(ledger.book.tree, {ONE: page.blob}))
    found = ledger.verify()
    problem = f"it was changed, moved or dropped by ledger commit {dropped}"
    assert Defect(ONE, line + 1, problem, page.records[line].id) in found.defects


def test_a_bad_line_is_traced_to_the_commit_that_made_it_so():
    ledger = told()
    data = ledger.git.blobs[ledger.book.notes[ONE].blob]
    store = Notes(ledger.git)
    before = ledger.commits[-1]
    bad = ledger.git.write_blob(data + b"looks good\n")
    made = ledger.put(store.put(ledger.book.tree, {ONE: bad}))
    more = ledger.git.write_blob(data + b"looks good\nto me\n")
    ledger.put(store.put(ledger.book.tree, {ONE: more}))
    found = ledger.verify()
    assert (found.defects[0].commit, found.defects[0].line) == (ONE, 4)
    assert found.source == LineOrigin(made, before)
    fresh = Told()
    broken = fresh.git.write_blob(b"looks good\n")
    head = fresh.put(Notes(fresh.git).put(None, {ONE: broken}))
    assert fresh.verify().source == LineOrigin(head, None)


@pytest.mark.parametrize("here", [False, True])
def test_a_run_that_saw_a_ledger_which_its_own_does_not_grow_from_is_named(*, here: bool) -> None:
    ledger = told()
    head = ledger.commits[-1] if here else "f" * 40
    ledger.append(story(run(TWO, "d"), [], ledger=head)[0])
    page = ledger.book.notes[TWO]
    problem = f"its run saw ledger commit {head}, which this ledger does not have"
    bad = Defect(TWO, len(page.records), problem, page.records[-1].id)
    assert ledger.verify().defects == (() if here else (bad,))


# --- signatures ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signed", "missing", "remark"),
    [
        ((0, 1, 2), (), None),
        ((2,), (), 2),
        ((1, 2), (), 1),
        ((), (0, 1, 2), None),
        ((0,), (1, 2), None),
        ((0, 2), (1,), None),
        ((1,), (2,), 1),
    ],
)
def test_a_signed_commit_vouches_for_what_is_below_the_first_and_what_is_above_has_none(
    signed: tuple[int, ...], missing: tuple[int, ...], remark: int | None
) -> None:
    ledger = told()
    ledger.git.signed = {ledger.commits[at] for at in signed}
    found = ledger.verify(signers=b"trusted")
    assert found.defects == tuple(
        Defect("", 0, f"ledger commit {ledger.commits[at]} has no good signature") for at in missing
    )
    assert found.witnesses == (() if missing else ("signatures",))
    first = None if remark is None else ledger.commits[remark]
    assert found.remarks == (
        ()
        if first is None
        else (
            f"signed from ledger commit {first} on, whose signer vouches for the commits before it",
        )
    )


def test_what_a_signed_record_rejects_or_vouches_for_is_told_and_no_defect():
    rejecting = told()
    anchor, tip = rejecting.commits[0], rejecting.commits[-1]
    kept = snapshots.read(rejecting.git, Notes(rejecting.git), anchor)
    note = Unsigned(tip, anchor, 2).rejection(kept, "2027-01-11T14:00:00.000Z")
    rejecting.book = kept
    last = rejecting.append(note)
    rejecting.git.signed = {anchor, last}
    found = rejecting.verify(signers=b"trusted")
    assert (found.defects, found.witnesses) == ((), ("signatures",))
    assert found.remarks == (note.data["text"],)
    vouching = told()
    event = run(ONE, "v").vouched(vouching.commits[-1], "read it")
    vouching.git.signed = {vouching.commits[0], vouching.append(event)}
    found = vouching.verify(signers=b"trusted")
    assert (found.defects, found.witnesses) == ((), ("signatures",))
    assert found.remarks == (event.data["text"],)


def test_what_is_rejected_is_counted_by_kind():
    records: tuple[Record, ...] = EMPTY.new_records(
        [*story(run(ONE, "a"), [operation()]), run(ONE, "b").note("x")]
    )
    found = Unsigned("b" * 40, "a" * 40, 3, records, unreadable=2)
    said = (
        "7 records (1 close, 1 intent, 1 note, 1 open, 1 outcome, 2 unreadable)"
        " of ledger commits aaaaaaaaaaaa..bbbbbbbbbbbb without a trusted signature"
    )
    assert str(found) == said
    assert str(dataclasses.replace(found, records=records[:1], unreadable=0)).startswith(
        "1 record (1 open) of ledger commits"
    )
    assert str(Unsigned("b" * 40, "a" * 40, 1)).startswith("0 records (none) of")
    book = LedgerSnapshot("h", "t", {ONE: snapshots.NoteRecords("b", 1, records)})
    data = {"text": f"rejected: {said}", "rejects": "b" * 40, "restores": "a" * 40}
    name = f"reject-{'b' * 24}"
    assert found.rejection(book, "now") == Event(RecordKind.NOTE, PLATFORM, ONE, name, "now", data)


def trusted(ledger: Told, *, required: bool = True) -> tuple[LedgerSnapshot, Unsigned | None]:
    git = ledger.git
    folder = "schedules/acme" if required else None
    return signatures.read(
        git, Notes(git), ledger.book.head, b"trusted", known=EMPTY, demanded_in=folder
    )


def test_a_signed_head_makes_everything_count():
    ledger = told()
    ledger.git.signed = {ledger.commits[-1]}
    book, unsigned = trusted(ledger)
    assert (book.head, book.records, unsigned) == (ledger.book.head, ledger.book.records, None)
    assert trusted(Told()) == (EMPTY, None)


def test_a_ledger_without_a_signature_is_refused_where_one_is_required():
    ledger = told()
    with pytest.raises(
        LedgerError, match=r"signer \(3 commits up to .*audit vouch schedules/acme --head"
    ):
        trusted(ledger)
    book, unsigned = trusted(ledger, required=False)
    assert (book.records, unsigned) == (ledger.book.records, None)


def test_a_signed_commit_that_no_ledger_made_is_refused():
    ledger = told()
    ledger.git.signed = {ledger.append(run(ONE, "d").note("x"), message="a release\n")}
    with pytest.raises(LedgerError, match="signed by a trusted signer, but is not a ledger commit"):
        trusted(ledger)


@pytest.mark.parametrize("above", [1, 8, 9, 12])
def test_above_the_newest_signature_holds_count_and_nothing_else(above: int) -> None:
    ledger = told()
    anchor = ledger.commits[-1]
    ledger.git.signed = {ledger.commits[0], anchor}
    known = ledger.book.records
    hold = run(TWO, "h").hold("1002", name="n", reason="r", body={"dial_rate": 1.0})
    ledger.append(hold)
    for number in range(above - 1):
        ledger.append(run(ONE, f"n{number}").note("x"))
    book, unsigned = trusted(ledger)
    assert (book.head, book.records) == (ledger.commits[-1], known)
    assert unsigned is not None
    assert (unsigned.tip, unsigned.anchor) == (ledger.commits[-1], anchor)
    assert (unsigned.commits, unsigned.unreadable) == (above, 0)
    assert [each.event.run for each in unsigned.records] == [f"n{n}" for n in range(above - 1)]
    kept = {name: value for name, value in hold.data.items() if name != "body"}
    assert unsigned.holds == (dataclasses.replace(hold, data={**kept, "unsigned": True}),)


def test_an_unsigned_hold_of_another_tenant_counts_for_nothing():
    ledger = told()
    ledger.git.signed = {ledger.commits[-1]}
    ledger.append(run(TWO, "h", tenant="campaigns/b.example").hold("1", name="n", reason="r"))
    _, unsigned = trusted(ledger)
    assert unsigned is not None
    assert (unsigned.holds, unsigned.records, unsigned.commits) == ((), (), 1)


def test_what_cannot_be_read_above_a_signature_is_one_line_that_is_no_record():
    ledger = told()
    ledger.git.signed = {ledger.commits[0]}
    del ledger.git.blobs[ledger.book.notes[TWO].blob]
    _, unsigned = trusted(ledger)
    tip, anchor = ledger.commits[-1], ledger.commits[0]
    assert unsigned == Unsigned(tip, anchor, 2, (), (), 1)


# --- waiting ------------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 40), st.floats(0.0, 1.0))
def test_a_pause_grows_up_to_two_seconds_and_half_of_it_is_by_chance(
    attempt: int, chance: float
) -> None:
    longest = min(2.0, 0.05 * 2**attempt)
    assert backoff_s(attempt, chance) == pytest.approx(longest / 2 + chance * longest / 2)


# --- lines --------------------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=3).map(lambda each: each.replace(b"\n", b"."))), st.booleans())
def test_a_line_is_what_stands_between_two_ends(lines: list[bytes], ended: bool) -> None:  # noqa: FBT001 - Hypothesis
    data = b"\n".join(lines) + (b"\n" if ended else b"")
    ends = data.split(b"\n")
    expected = [each + b"\n" for each in ends[:-1]] + [ends[-1]]
    for number in range(1, len(expected) + 3):
        wanted = expected[number - 1] if number <= len(expected) else b""
        assert history._line(data, number) == wanted


@given(st.lists(st.lists(st.integers(0, 9), max_size=6), max_size=4))
def test_the_records_of_notes_are_merged_as_far_as_each_note_is_in_order(seqs: list[list[int]]):
    one = audit.chain(run("c" * 40).note("a"), None, 0)
    notes = {
        f"{at:040}": b"".join(audit.encode(dataclasses.replace(one, seq=seq)) for seq in each)
        for at, each in enumerate(seqs)
    }
    due = heapq.merge(
        *(
            [(seq, note, number) for number, seq in enumerate(each, start=1)]
            for note, each in zip(notes, seqs, strict=True)
        )
    )
    defects = list[Defect]()
    found = list(segments.merged(notes.items(), defects))
    assert [each[:3] for each in found] == list(due)
    for _, note, _, end, raw, _ in found:
        assert notes[note][:end].splitlines()[-1] == raw
    assert len(defects) == seqs.count([])  # an empty note has no line
