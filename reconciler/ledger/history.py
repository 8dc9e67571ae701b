"""Verify a ledger's history: its commits only ever add lines, no commit is missing, and each checkpoint is right.

The commits themselves show every edit, except a rollback or a rewrite of the whole ledger. Those need a witness: a mirror
branch, signatures, or a head that was noted down earlier.

One segment of the ledger is in memory at a time, and of the segments before it what later records may refer to.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from reconciler import audit
from reconciler.audit import Checker, Defect, Ids, LineOrigin, Record, Verdict
from reconciler.audit.schema import CHECKPOINT, OPEN
from reconciler.git import Git, Stat, blob_id
from reconciler.ledger import repairs, segments, signature_check
from reconciler.ledger.checkpoints import Checkpoints, check_refs
from reconciler.ledger.notes import NOTE_LIMIT, Notes
from reconciler.ledger.refs import RefNames
from reconciler.ledger.segments import Loaded, Segment
from reconciler.ledger.signature_check import Checked
from reconciler.ledger.snapshot import LedgerSnapshot, message

_COLLECT_AFTER: Final = 200_000
"""Objects that are made before the garbage collector runs."""

_BATCH: Final = 64
"""Records that go through one step of the check before they go through the next: a step's code then stays in the processor's cache."""

_DEFECTS_TOLD: Final = 1000
"""Most defects that are told: a ledger of which a part is gone may have one for each record."""


@dataclass(frozen=True, slots=True)
class LedgerHistory:
    """The ledger to verify.

    Attributes:
        git: the repository, which has its commits.
        notes: reads its trees.
        head: the ledger commit to verify; `None`: there is none.
        tenant: the platform.
        closed: the refs of closed segments, by the last part of their name.
        remote: the git remote that has these refs; `None`: this clone.
        folder: the tenant's folder, as a word of the shell commands that remarks print.
    """

    git: Git
    notes: Notes
    head: str | None
    tenant: str
    closed: Mapping[str, str] = field(default_factory=dict)
    remote: str | None = None
    folder: str = "PATH"


def verify(
    subject: LedgerHistory,
    *,
    mirror: str | None,
    expect_head: str | None,
    signers: bytes | None,
    expect_cut: str | None = None,
) -> Verdict:
    """Verify a ledger's records, history and witnesses.

    Args:
        subject: the ledger.
        mirror: head of its mirror branch.
        expect_head: a ledger commit that it must hold.
        signers: content of an allowed signers file; `None` checks no signatures.
        expect_cut: ledger commit of a repair to begin at (`repairs.is_trusted`).

    Raises:
        LedgerError: the history is shallow, so it cannot be verified.
    """
    ids = [] if subject.head is None else subject.git.ancestry(subject.head)
    newest, trusted = _find_cut(subject, signers, expect_cut)
    cut = newest if trusted else None
    remarks = () if newest is None else (repairs.remark(newest, subject.folder, trusted=trusted),)
    start = ids.index(str(cut.head)) if cut else 0
    signed = None
    if signers is not None and ids:
        signed = signature_check.check(subject.git, subject.notes, ids[start:], signers)
    check = _Verification(subject)
    if cut is not None:
        check.resume(cut, ids[:start])
    with _collecting_rarely():
        check.run(ids[start:], signed.rejected if signed else frozenset())
    found, witnesses = _find_witnesses(subject.head, ids, signed, mirror, expect_head)
    if expect_cut is not None and (cut is None or cut.head != expect_cut):
        found.append(Defect("", 0, f"its newest repair is not ledger commit {expect_cut}"))
    return Verdict(
        head=subject.head,
        commits=len(ids) - start,
        records=check.records,
        runs=check.checker.runs,
        defects=(*check.defects(), *found),
        open_intents=tuple(check.checker.open_intents.values()),
        witnesses=witnesses,
        remarks=(*remarks, *(signed.remarks if signed else ())),
        source=check.source,
        repaired=None if cut is None else repairs.when(cut),
        claimed=None if newest is None or trusted or signers is not None else newest.head,
    )


@contextlib.contextmanager
def _collecting_rarely() -> Iterator[None]:
    """Let the garbage collector run rarely: records are in no cycles, and each collection looks at all that are in memory."""
    before = gc.get_threshold()
    gc.set_threshold(_COLLECT_AFTER, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _find_cut(
    subject: LedgerHistory, signers: bytes | None, expected: str | None
) -> tuple[LedgerSnapshot | None, bool]:
    """Return the newest repair, if any, and whether verification begins there."""
    if subject.head is None:
        return None, False
    found = repairs.newest_cut(subject.git, subject.notes, subject.head)
    if found is None:
        return None, False
    return found, repairs.is_trusted(subject.git, found, signers, expected)


def _find_witnesses(
    head: str | None,
    ids: Collection[str],
    signed: Checked | None,
    mirror: str | None,
    expect_head: str | None,
) -> tuple[list[Defect], tuple[str, ...]]:
    """Return the defects that only a witness reveals, and the witnesses that were checked."""
    defects: list[Defect] = []
    witnesses: list[str] = []
    if expect_head is not None and expect_head in ids:
        witnesses.append("the expected head")
    elif expect_head is not None:
        problem = f"it does not hold {expect_head}: it was rolled back or rewritten"
        defects.append(Defect("", 0, problem))
    if mirror is not None and mirror == head:
        witnesses.append("the mirror branch")
    if signed is not None:
        defects += (
            Defect("", 0, f"ledger commit {each} has no good signature") for each in signed.missing
        )
        witnesses += [] if signed.missing else ["signatures"]
    return defects, tuple(witnesses)


@dataclass(frozen=True, slots=True)
class _Version:
    """A note at one ledger commit. `at` is the commit's number in its segment; a blob that is not here has the size -1."""

    at: int
    commit: str
    message: str
    blob: str
    size: int


class _Verification:
    """What is known of a ledger while it is read, one segment after another."""

    def __init__(self, subject: LedgerHistory) -> None:
        self.checker = Checker(subject.tenant)
        self.records = 0
        self.source: LineOrigin | None = None
        self._subject = subject
        self._git = subject.git
        self._lines: list[Defect] = []
        self._growth: list[Defect] = []
        self._parents: list[Defect] = []
        self._commits: list[Defect] = []
        self._before = Ids()
        self._rejected: Collection[str] = ()
        self._checkpoints = Checkpoints(subject.git)
        self._earlier: Sequence[str] = ()

    def resume(self, cut: LedgerSnapshot, before: Sequence[str]) -> None:
        """Begin at the checkpoint of a repair, which stands for the ledger commits `before`."""
        checkpoint, state = cut.tail[0], cut.state.records if cut.state else ()
        self.checker.resume(state, checkpoint.seq)
        self._checkpoints.resume(state, checkpoint)
        self._earlier = before
        for each in before:
            self._before.add(_short(each))

    def defects(self) -> tuple[Defect, ...]:
        """Return what was found: bad lines, then notes that did not only grow, then ledger commits."""
        found = (*self._lines, *self._growth, *self._parents, *self._commits)
        more = len(found) - _DEFECTS_TOLD
        return (
            (*found[:_DEFECTS_TOLD], Defect("", 0, f"{more} more defects")) if more > 0 else found
        )

    def run(self, ids: Sequence[str], rejected: Collection[str]) -> None:
        """Check the ledger commits, oldest first. Of rejected ones, only the parent."""
        self._rejected = rejected
        checked = segments.linked(self._git, ids, self._earlier, self._parents)
        kept = (each for each in checked if each.id not in rejected)
        last: Loaded | None = None
        for loaded in segments.load(self._git, segments.walk(self._subject.notes, kept)):
            if last is not None:
                self._check(*last, closed=True)
            last = loaded
        if last is not None:
            self._check(*last, closed=False)
        known = self._checkpoints
        self._commits += check_refs(
            known.closed,
            self._subject.closed,
            unverified=known.unverified,
            rejected={before for before, each in itertools.pairwise(ids) if each in rejected},
            below=RefNames.of(self._subject.tenant).closed,
            remote=self._subject.remote,
        )

    def _check(
        self,
        segment: Segment,
        notes: Sequence[tuple[str, bytes]],
        stats: Mapping[str, Stat],
        *,
        closed: bool,
    ) -> None:
        """Check a segment; `closed`: another one follows."""
        bad = len(self._lines), len(self._growth)
        self._commits += _check_steps(segment)
        versions = _versions(segment, stats)
        for note, data in notes:
            self._growth += _check_growth(self._git, note, data, versions.get(note, []))
        named = self._check_lines(segment, notes, versions, closed=closed)
        for at, step in enumerate(segment.steps):
            if at not in named:
                problem = f"ledger commit {step.commit.id} does not name its last record"
                self._commits.append(Defect("", 0, problem))
            self._before.add(_short(step.commit.id))
        found = (*self._lines[bad[0] :], *self._growth[bad[1] :])
        if self.source is None and (first := next((each for each in found if each.line), None)):
            self.source = self._origin(first, versions.get(first.commit, []), segment)
        if closed:
            self._checkpoints.close(segment.steps[-1].commit.id)

    def _check_lines(
        self,
        segment: Segment,
        notes: Sequence[tuple[str, bytes]],
        versions: Mapping[str, Sequence[_Version]],
        *,
        closed: bool,
    ) -> set[int]:
        """Check the records of a segment in the ledger's order; return which of its ledger commits name the last record that they added."""
        named: set[int] = set()
        unreadable, wrong = list[Defect](), list[Defect]()
        here = {each.commit.id: at for at, each in enumerate(segment.steps)}
        left = {note: list(reversed(each)) for note, each in versions.items()}
        if segment.state is not None:
            self.checker.begin()
        lines = segments.merged(notes, unreadable)
        while batch := list(itertools.islice(lines, _BATCH)):
            problems: list[list[str]] = []
            for _, note, _, end, raw, record in batch:
                due = left.get(note, [])
                while due and due[-1].size < end:
                    due.pop()
                if due and due[-1].size == end and message(record) == due[-1].message:
                    named.add(due[-1].at)
                found = self.checker.check(record, note, raw)
                if record.event.kind is OPEN:
                    found += self._check_seen(record, here, due[-1].at if due else -1)
                problems.append(found)
            for (_, note, number, _, _, record), found in zip(batch, problems, strict=True):
                if record.event.kind is CHECKPOINT:
                    found.extend(self._checkpoints.check(record, segment))
                for each in found:
                    wrong.append(Defect(note, number, each, record.id))
                self._checkpoints.add(record, keep=closed)
            self.records += len(batch)
        self._lines += (*unreadable, *wrong)
        return named

    def _check_seen(self, record: Record, here: Mapping[str, int], written: int) -> Iterator[str]:
        """Check that the ledger head that an `open` saw is an earlier commit of this ledger."""
        seen = record.data["ledger"]
        if seen is not None and not (
            self._before.has(_short(seen))
            or here.get(seen, written) < written
            or seen in self._rejected
        ):
            yield f"its run saw ledger commit {seen}, which this ledger does not have"

    def _origin(
        self, bad: Defect, versions: Sequence[_Version], segment: Segment
    ) -> LineOrigin | None:
        """Return the ledger commit that gave a bad line its current content; `None` if none did."""
        found, last = None, b""
        for version in versions:
            line = _line(self._git.read_blob(version.blob, limit=NOTE_LIMIT), bad.line)
            if line != last:
                parents = segment.steps[version.at].commit.parents
                found, last = LineOrigin(version.commit, next(iter(parents), None)), line
        return found


def _short(commit: str) -> int:
    return int(commit[:16], 16)


def _line(data: bytes, number: int) -> bytes:
    """Return a line, counted from 1, with its line end; empty if there is no such line."""
    at = 0
    for _ in range(number - 1):
        at = data.find(b"\n", at) + 1 or len(data)
    return data[at : data.find(b"\n", at) + 1 or len(data)]


def _check_steps(segment: Segment) -> Iterator[Defect]:
    """Check that each ledger commit adds to notes and removes none, except those of a closed segment."""
    for at, step in enumerate(segment.steps):
        moved = {note: new for note, (old, new) in step.changes.items() if old != new}
        if not moved:
            yield Defect("", 0, f"ledger commit {step.commit.id} adds nothing")
        for path in step.strays:
            problem = f"ledger commit {step.commit.id} adds {path!r}, which is no part of a ledger"
            yield Defect("", 0, problem)
        for note, blob in moved.items():
            if blob is None and (at > 0 or segment.state is None):
                what = "whole note" if note != segments.STATE else "state"
                problem = f"the {what} was removed by ledger commit {step.commit.id}"
                yield Defect(note if what == "whole note" else "", 0, problem)


def _versions(segment: Segment, stats: Mapping[str, Stat]) -> dict[str, list[_Version]]:
    """Return the versions of each note of a segment, oldest first."""
    found = segment.versions()
    commits = [each.commit for each in segment.steps]
    return {
        note: [
            _Version(
                at,
                commits[at].id,
                commits[at].message,
                blob,
                stats[blob].size if blob in stats else -1,
            )
            for at, blob in each
        ]
        for note, each in found.items()
    }


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
    by = f"by ledger commit {after.commit}"
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
