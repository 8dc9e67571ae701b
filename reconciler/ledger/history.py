"""Was the ledger only ever added to? Its commits tell, as far as they were not rewritten whole; that takes a witness."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler import audit
from reconciler.audit import Defect, Record, RecordKind, Source, Verdict
from reconciler.errors import LedgerError
from reconciler.git import Commit, Git, blob_id
from reconciler.ledger import signatures
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.snapshot import Book, contents, read


@dataclass(frozen=True, slots=True)
class Subject:
    """The ledger to verify, read."""

    git: Git
    notes: Notes
    book: Book
    tenant: str


@dataclass(frozen=True, slots=True)
class _Version:
    """A note as one ledger commit left it. `at` counts ledger commits, oldest first."""

    at: int
    commit: Commit
    blob: str
    size: int


def message(last: Record) -> str:
    """Return the message of the ledger commit that ends with `last`."""
    return f"{last.event.run} {last.h}\n"


def verify(
    subject: Subject, *, mirror: str | None, expect_head: str | None, signers: bytes | None
) -> Verdict:
    """Return what the ledger's records, its history and its witnesses tell.

    Raises:
        LedgerError: the history is shallow: what is not here cannot be verified.
    """
    book, git = subject.book, subject.git
    commits = _commits(git, book.head)
    pages = {commit: page.records for commit, page in book.pages.items()}
    signed = None if signers is None else _signed(subject, commits, signers)
    defects = [
        *sorted(defect for page in book.pages.values() for defect in page.defects),
        *audit.verify(
            pages,
            tenant=subject.tenant,
            lines={commit: page.lines for commit, page in book.pages.items() if page.defects},
        ),
        *_history(subject, commits, signed.rejected if signed else frozenset()),
    ]
    known = {each.id for each in commits}
    witnesses: list[str] = []
    if expect_head is not None and expect_head in known:
        witnesses.append("the expected head")
    elif expect_head is not None:
        defects.append(
            Defect("", 0, f"it does not hold {expect_head}: it was rolled back or rewritten")
        )
    if mirror is not None and mirror == book.head:
        witnesses.append("the mirror branch")
    if signed is not None and book.head is not None:
        defects += (
            Defect("", 0, f"ledger commit {each} has no good signature") for each in signed.missing
        )
        witnesses += [] if signed.missing else ["signatures"]
    return Verdict(
        head=book.head,
        commits=len(commits),
        records=len(book.records),
        runs=len(book.tips),
        defects=tuple(defects),
        open_intents=audit.open_intents(book.records),
        witnesses=tuple(witnesses),
        remarks=signed.remarks if signed else (),
        source=_source(subject, commits, defects),
    )


@dataclass(frozen=True, slots=True)
class _Signed:
    """What the signatures of a ledger tell.

    Attributes:
        missing: commits that need a good signature and have none, oldest first.
        rejected: commits whose records the next signed commit left out.
        remarks: see `Verdict`.
    """

    missing: tuple[str, ...]
    rejected: frozenset[str]
    remarks: tuple[str, ...]


def _signed(subject: Subject, commits: Sequence[Commit], signers: bytes) -> _Signed:
    """Check every signature. A signed commit vouches for what is below it, or says what of that it left out."""
    head = subject.book.head
    states = subject.git.signatures(head, signers) if head is not None else {}
    good = {id_ for id_, signature in states.items() if signature.good}
    notes = [each for each in subject.book.records if each.kind is RecordKind.NOTE]
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
    subject: Subject, commits: Sequence[str], good: set[str]
) -> tuple[set[str], list[str]]:
    """Return the commits without a good signature that a record rejects, and what those records say.

    The newest good signature vouches for the records below it. So a rejection that stands there counts also when the key that signed it
    is trusted no longer; one above it may be forged.
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
    subject: Subject, commits: Sequence[Commit], defects: Sequence[Defect]
) -> Source | None:
    """Return the ledger commit that made the first bad line what it is; `None` where no line is bad."""
    first = next((each for each in defects if each.commit and each.line), None)
    if first is None:
        return None
    found, said = None, b""
    history = subject.notes.changes([each.tree for each in commits])
    for at, changes in enumerate(history):
        _, blob = changes.get(first.commit, (None, None))
        if blob is None:
            continue
        line = _line(subject.git.read_blob(blob, limit=NOTE_LIMIT), first.line)
        if line != said:
            found, said = Source(commits[at].id, commits[at - 1].id if at else None), line
    return found


def _line(data: bytes, number: int) -> bytes:
    """Return a line (from 1) with its end; nothing where there is none."""
    at = 0
    for _ in range(number - 1):
        at = data.find(b"\n", at) + 1 or len(data)
    return data[at : data.find(b"\n", at) + 1 or len(data)]


def _commits(git: Git, head: str | None) -> list[Commit]:
    """Return the ledger's commits, oldest first.

    Raises:
        LedgerError: a parent is not here.
    """
    if head is None:
        return []
    found = git.walk(head)
    known = {each.id for each in found}
    for each in found:
        for parent in each.parents:
            if parent not in known:
                raise LedgerError(
                    f"the ledger's history is shallow: {parent} is not here. Fetch it whole: git fetch --unshallow"
                )
    return found[::-1]


def _history(
    subject: Subject, commits: Sequence[Commit], rejected: Collection[str]
) -> Iterator[Defect]:
    """Check that each commit has one parent, adds lines only, and names its last record; of those that were rejected, that they follow one another."""
    yield from _forks(commits)
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
    yield from _contents(subject, commits, changed, rejected)


def _forks(commits: Sequence[Commit]) -> Iterator[Defect]:
    before: str | None = None
    for commit in commits:
        expected = () if before is None else (before,)
        if commit.parents != expected:
            yield Defect("", 0, f"ledger commit {commit.id} does not follow {before}: not linear")
        before = commit.id


def _contents(
    subject: Subject,
    commits: Sequence[Commit],
    changed: Mapping[str, list[tuple[int, str]]],
    rejected: Collection[str],
) -> Iterator[Defect]:
    sizes = subject.git.stat(*dict.fromkeys(b for each in changed.values() for _, b in each))
    named: set[int] = set()
    places = {each.id: at for at, each in enumerate(commits)}
    wanted = {note: subject.book.pages[note].blob for note in changed if note in subject.book.pages}
    for note, data in contents(subject.git, wanted):
        page = subject.book.pages[note]
        versions = [
            _Version(at, commits[at], blob, sizes[blob].size if blob in sizes else -1)
            for at, blob in changed[note]
        ]
        yield from _grown(subject.git, note, data, versions)
        if page.defects:
            continue
        lengths = itertools.accumulate(len(audit.encode(record)) for record in page.records)
        ends = dict(zip(lengths, page.records, strict=True))
        named |= {
            each.at
            for each in versions
            if each.size in ends and message(ends[each.size]) == each.commit.message
        }
        yield from _anchored(note, ends, versions, places)
    for at, commit in enumerate(commits):
        if at not in named and commit.id not in rejected:
            yield Defect("", 0, f"ledger commit {commit.id} does not name its last record")


def _grown(git: Git, note: str, data: bytes, versions: Sequence[_Version]) -> Iterator[Defect]:
    """Check that each version of a note is the beginning of the next.

    What begins the note as it is now began everything between, too: only the others are read and compared.
    """
    whole = memoryview(data)
    for version, after in itertools.pairwise(versions):
        begins = blob_id(whole[: max(version.size, 0)], len(version.blob)) == version.blob
        if not begins or after.size < version.size:
            yield from _change(git, note, version, after)


def _change(git: Git, note: str, version: _Version, after: _Version) -> Iterator[Defect]:
    """Name the first line that a later ledger commit did not leave as it was."""
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


def _anchored(
    note: str,
    ends: Mapping[int, Record],
    versions: Sequence[_Version],
    places: Mapping[str, int],
) -> Iterator[Defect]:
    """Check that the ledger that each run saw is one that this one grew from."""
    for line, (end, record) in enumerate(ends.items(), start=1):
        seen = record.data.get("ledger") if record.kind is RecordKind.OPEN else None
        if seen is None:
            continue
        written = next((version.at for version in versions if version.size >= end), -1)
        if places.get(str(seen), len(places)) >= written:
            yield Defect(note, line, f"its run saw a ledger that is not here: {seen}", record.id)
