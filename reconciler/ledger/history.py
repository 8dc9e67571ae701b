"""Verify a ledger's history: its commits only ever add lines, and no commit is missing.

The commits themselves show every edit, except a rollback or a rewrite of the whole ledger. Those need a witness: a mirror
branch, signatures, or a head that was noted down earlier.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler import audit
from reconciler.audit import Defect, LineOrigin, Record, RecordKind, Verdict
from reconciler.errors import LedgerError
from reconciler.git import Commit, Git, blob_id
from reconciler.ledger import signatures
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.snapshot import LedgerSnapshot, message, read, read_notes


@dataclass(frozen=True, slots=True)
class LedgerHistory:
    """The ledger to verify."""

    git: Git
    notes: Notes
    snapshot: LedgerSnapshot
    tenant: str


@dataclass(frozen=True, slots=True)
class _Version:
    """A note at one ledger commit. `at` is the position of that commit, oldest first."""

    at: int
    commit: Commit
    blob: str
    size: int


def verify(
    subject: LedgerHistory, *, mirror: str | None, expect_head: str | None, signers: bytes | None
) -> Verdict:
    """Verify a ledger's records, history and witnesses.

    Args:
        subject: the ledger.
        mirror: head of its mirror branch.
        expect_head: a ledger commit that it must hold.
        signers: content of an allowed signers file; `None` checks no signatures.

    Raises:
        LedgerError: the history is shallow, so it cannot be verified.
    """
    snapshot = subject.snapshot
    commits = _commits(subject.git, snapshot.head)
    signed = None if signers is None else _check_signatures(subject, commits, signers)
    found, witnesses = _find_witnesses(snapshot.head, commits, signed, mirror, expect_head)
    defects = (
        *snapshot.unreadable,
        *snapshot.verify(subject.tenant),
        *_check_history(subject, commits, signed.rejected if signed else frozenset()),
        *found,
    )
    return Verdict(
        head=snapshot.head,
        commits=len(commits),
        records=len(snapshot.records),
        runs=len(snapshot.tips),
        defects=defects,
        open_intents=audit.open_intents(snapshot.records),
        witnesses=witnesses,
        remarks=signed.remarks if signed else (),
        source=_source(subject, commits, defects),
    )


def _find_witnesses(
    head: str | None,
    commits: Sequence[Commit],
    signed: _Signed | None,
    mirror: str | None,
    expect_head: str | None,
) -> tuple[list[Defect], tuple[str, ...]]:
    """Return the defects that only a witness reveals, and the witnesses that were checked."""
    defects: list[Defect] = []
    witnesses: list[str] = []
    if expect_head is not None and expect_head in {each.id for each in commits}:
        witnesses.append("the expected head")
    elif expect_head is not None:
        problem = f"it does not hold {expect_head}: it was rolled back or rewritten"
        defects.append(Defect("", 0, problem))
    if mirror is not None and mirror == head:
        witnesses.append("the mirror branch")
    if signed is not None and head is not None:
        defects += (
            Defect("", 0, f"ledger commit {each} has no good signature") for each in signed.missing
        )
        witnesses += [] if signed.missing else ["signatures"]
    return defects, tuple(witnesses)


@dataclass(frozen=True, slots=True)
class _Signed:
    """The result of checking all signatures.

    Attributes:
        missing: commits that need a good signature and have none, oldest first.
        rejected: commits whose records the next signed commit leaves out.
        remarks: see `Verdict`.
    """

    missing: tuple[str, ...]
    rejected: frozenset[str]
    remarks: tuple[str, ...]


def _check_signatures(subject: LedgerHistory, commits: Sequence[Commit], signers: bytes) -> _Signed:
    """Check every signature. A signed commit vouches for the commits below it, or names those that it leaves out."""
    head = subject.snapshot.head
    states = subject.git.signatures(head, signers) if head is not None else {}
    good = {id_ for id_, signature in states.items() if signature.good}
    notes = [each for each in subject.snapshot.records if each.kind is RecordKind.NOTE]
    vouched = {signatures.vouched(each): each for each in notes}
    rejected, said = _rejections(subject, [each.id for each in commits], good)
    missing: list[str] = []
    remarks: list[str] = []
    anchor: str | None = None
    for is_good, group in itertools.groupby((each.id for each in commits), good.__contains__):
        ids = tuple(each for each in group if each not in rejected)
        if is_good and ids:
            if anchor is None and ids[0] != commits[0].id and not remarks:
                remarks.append(
                    f"signed from ledger commit {ids[0]} on, whose signer vouches for those before it"
                )
            anchor = ids[-1]
        elif not ids:
            continue
        elif note := vouched.get(ids[-1]):
            remarks.append(str(note.data["text"]))
        elif anchor is not None or not good:
            missing += ids
    return _Signed(tuple(missing), frozenset(rejected), (*remarks, *said))


def _rejections(
    subject: LedgerHistory, commits: Sequence[str], good: set[str]
) -> tuple[set[str], list[str]]:
    """Return the unsigned commits that a record rejects, and the text of those records.

    The newest good signature vouches for the records below it. So a rejection there counts even if the key that signed it
    is no longer trusted. A rejection above it may be forged.
    """
    newest = next((each for each in reversed(commits) if each in good), None)
    rejected: set[str] = set()
    remarks: list[str] = []
    places = {each: at for at, each in enumerate(commits)}
    for record in read(subject.git, subject.notes, newest).records if newest else ():
        tip, anchor = signatures.rejected(record) or ("", "")
        ids = commits[places.get(anchor, -1) + 1 : places.get(tip, -1) + 1]
        if anchor in places and ids and good.isdisjoint(ids):
            rejected.update(ids)
            remarks.append(str(record.data["text"]))
    return rejected, remarks


def _source(
    subject: LedgerHistory, commits: Sequence[Commit], defects: Sequence[Defect]
) -> LineOrigin | None:
    """Return the ledger commit that gave the first bad line its current content; `None` if no line is bad."""
    first = next((each for each in defects if each.commit and each.line), None)
    if first is None:
        return None
    found, last = None, b""
    history = subject.notes.changes([each.tree for each in commits])
    for at, changes in enumerate(history):
        _, blob = changes.get(first.commit, (None, None))
        if blob is None:
            continue
        line = _line(subject.git.read_blob(blob, limit=NOTE_LIMIT), first.line)
        if line != last:
            found, last = LineOrigin(commits[at].id, commits[at - 1].id if at else None), line
    return found


def _line(data: bytes, number: int) -> bytes:
    """Return a line, counted from 1, with its line end; empty if there is no such line."""
    at = 0
    for _ in range(number - 1):
        at = data.find(b"\n", at) + 1 or len(data)
    return data[at : data.find(b"\n", at) + 1 or len(data)]


def _commits(git: Git, head: str | None) -> list[Commit]:
    """Return the ledger's commits, oldest first.

    Raises:
        LedgerError: this clone lacks a parent.
    """
    if head is None:
        return []
    found = git.walk(head)
    known = {each.id for each in found}
    for each in found:
        for parent in each.parents:
            if parent not in known:
                raise LedgerError(
                    f"the ledger's history is shallow: this clone lacks {parent}. Fetch the full history: git fetch --unshallow"
                )
    return found[::-1]


def _check_history(
    subject: LedgerHistory, commits: Sequence[Commit], rejected: Collection[str]
) -> Iterator[Defect]:
    """Check that each commit has one parent, only adds lines, and names its last record. Of rejected commits, check only the parent."""
    yield from _check_parents(commits)
    changed: dict[str, list[tuple[int, str]]] = {}
    kept = [(at, each) for at, each in enumerate(commits) if each.id not in rejected]
    history = subject.notes.changes([each.tree for _, each in kept])
    for (at, commit), changes in zip(kept, history, strict=True):
        moved = {note: new for note, (old, new) in changes.items() if old != new}
        if not moved:
            yield Defect("", 0, f"ledger commit {commit.id} adds nothing")
        for note, blob in moved.items():
            if blob is None:
                yield Defect(note, 0, f"the whole note was removed by ledger commit {commit.id}")
            else:
                changed.setdefault(note, []).append((at, blob))
    yield from _check_notes(subject, commits, changed, rejected)


def _check_parents(commits: Sequence[Commit]) -> Iterator[Defect]:
    before: str | None = None
    for commit in commits:
        expected = () if before is None else (before,)
        if commit.parents != expected:
            yield Defect("", 0, f"ledger commit {commit.id} does not follow {before}: not linear")
        before = commit.id


def _check_notes(
    subject: LedgerHistory,
    commits: Sequence[Commit],
    changed: Mapping[str, list[tuple[int, str]]],
    rejected: Collection[str],
) -> Iterator[Defect]:
    sizes = subject.git.stat(*dict.fromkeys(b for each in changed.values() for _, b in each))
    named: set[int] = set()
    places = {each.id: at for at, each in enumerate(commits)}
    wanted = {
        note: subject.snapshot.notes[note].blob
        for note in changed
        if note in subject.snapshot.notes
    }
    for note, data in read_notes(subject.git, wanted):
        now = subject.snapshot.notes[note]
        versions = [
            _Version(at, commits[at], blob, sizes[blob].size if blob in sizes else -1)
            for at, blob in changed[note]
        ]
        yield from _check_growth(subject.git, note, data, versions)
        if now.defects:
            continue
        lengths = itertools.accumulate(len(audit.encode(record)) for record in now.records)
        ends = dict(zip(lengths, now.records, strict=True))
        named |= {
            each.at
            for each in versions
            if each.size in ends and message(ends[each.size]) == each.commit.message
        }
        yield from _check_seen_heads(note, ends, versions, places)
    for at, commit in enumerate(commits):
        if at not in named and commit.id not in rejected:
            yield Defect("", 0, f"ledger commit {commit.id} does not name its last record")


def _check_growth(
    git: Git, note: str, data: bytes, versions: Sequence[_Version]
) -> Iterator[Defect]:
    """Check that each version of a note is a prefix of the next version.

    A version that is a prefix of the newest one is also one of every version between. Only the others are read and compared.
    """
    whole = memoryview(data)
    for version, after in itertools.pairwise(versions):
        begins = blob_id(whole[: max(version.size, 0)], len(version.blob)) == version.blob
        if not begins or after.size < version.size:
            yield from _first_change(git, note, version, after)


def _first_change(git: Git, note: str, version: _Version, after: _Version) -> Iterator[Defect]:
    """Yield the first line that a later ledger commit changed."""
    by = f"by ledger commit {after.commit.id}"
    if not 0 <= version.size <= NOTE_LIMIT or not 0 <= after.size <= NOTE_LIMIT:
        yield Defect(note, 0, f"it was rewritten {by}")
        return
    data = git.read(version.blob, after.blob)
    old, new = (data[each.blob].split(b"\n") for each in (version, after))
    for line, (left, right) in enumerate(itertools.zip_longest(old[:-1], new[:-1]), start=1):
        if left is not None and left != right:
            records, _ = audit.decode(note, left + b"\n")
            id_ = records[0].id if records else ""
            yield Defect(note, line, f"it was changed, moved or dropped {by}", id_)
            return


def _check_seen_heads(
    note: str,
    ends: Mapping[int, Record],
    versions: Sequence[_Version],
    places: Mapping[str, int],
) -> Iterator[Defect]:
    """Check that the ledger head that each run saw at its start is an earlier commit of this ledger."""
    for line, (end, record) in enumerate(ends.items(), start=1):
        seen = record.data.get("ledger") if record.kind is RecordKind.OPEN else None
        if seen is None:
            continue
        written = next((version.at for version in versions if version.size >= end), -1)
        if places.get(str(seen), len(places)) >= written:
            yield Defect(note, line, f"its run saw a ledger that is not here: {seen}", record.id)
