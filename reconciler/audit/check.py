"""Is a ledger what it was when it was written? Everything that its records alone can tell."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.audit.records import FIRST, Defect, Record, digest_of, key
from reconciler.audit.runs import action_of
from reconciler.audit.schema import RecordKind
from reconciler.plan import Action, Result, sha256_of
from reconciler.plan.values import hash_of

_REPEATED: Final = ("op", "generation", "attempt", "object", "target", "verb")
"""What an outcome repeats of its intent, whichever run ends it."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A record, the commit whose note it stands in, and its line there."""

    commit: str
    line: int
    record: Record

    def but(self, problem: str) -> Defect:
        return Defect(self.commit, self.line, problem, self.record.id)


@dataclass(frozen=True, slots=True)
class Source:
    """The ledger commit that wrote a line, and its parent (`None`: it has none)."""

    commit: str
    before: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of `audit verify`.

    Attributes:
        head: the verified ledger commit. Noted down, it is a witness for the next verification.
        commits, records, runs: their numbers.
        defects: what is wrong, the first bad record first.
        open_intents: writes whose outcome is not recorded. They are no defect: the next apply settles them.
        witnesses: what would have shown a rollback or a rewrite of the whole ledger.
        remarks: sentences about unsigned ledger commits that are no defect.
        source: the ledger commit that wrote the first bad line.
    """

    head: str | None
    commits: int
    records: int
    runs: int
    defects: tuple[Defect, ...]
    open_intents: tuple[Record, ...]
    witnesses: tuple[str, ...]
    remarks: tuple[str, ...] = ()
    source: Source | None = None

    def __str__(self) -> str:
        if self.defects:
            return f"not consistent: {self.defects[0]}"
        by = ", ".join(self.witnesses)
        return f"consistent, anchored by {by}" if by else "consistent, not anchored"


def verify(
    notes: Mapping[str, Sequence[Record]],
    *,
    tenant: str,
    lines: Mapping[str, Sequence[int]] | None = None,
) -> tuple[Defect, ...]:
    """Return everything that is wrong with a ledger's records, in its own order: the first bad record first.

    Checked: hashes and ids; the ledger's count, without a gap; each run's chain, in one note; each note's records
    belong to its commit and to the tenant; no event twice; each intent has its `open`, of the same plan, and its hashes are
    those of what it says; each outcome has its intent, and repeats it; what is released was held; nothing after a `close`. What was cut off the ledger's end, or rewritten whole, shows in its history or to a
    witness, not here.

    Args:
        notes: records of each note, in order, by commit.
        tenant: whose ledger it is.
        lines: the line of each record, by commit, where a note has lines that are no records.
    """
    placed = [
        _Placed(commit, line, record)
        for commit, records in notes.items()
        for line, record in zip(
            (lines or {}).get(commit) or itertools.count(1), records, strict=False
        )
    ]
    counted = sorted(placed, key=lambda each: each.record.seq)
    defects = [
        *(each.but(problem) for each in placed for problem in _itself(each, tenant)),
        *_counted(counted),
        *_ordered(placed),
        *_chained(placed),
        *_referring(counted),
    ]
    rank = {(each.commit, each.line): rank for rank, each in enumerate(counted)}
    return tuple(sorted(defects, key=lambda defect: rank[defect.commit, defect.line]))


def _itself(placed: _Placed, tenant: str) -> Iterator[str]:
    record, event = placed.record, placed.record.event
    if digest_of(record) != record.h:
        yield "its content does not match its hash: it was edited"
    elif event.id != record.id:
        yield "its id is not that of the event it tells"
    if event.commit != placed.commit:
        yield f"it belongs to the note of {event.commit[:12]}"
    if event.tenant != tenant:
        yield f"it belongs to the tenant {event.tenant}"
    if record.kind is RecordKind.INTENT:
        yield from _intended(record)


def _intended(record: Record) -> Iterator[str]:
    """Hold an intent's hashes to what it says: the ids of a write are hashes of it, and so is what settling compares with."""
    event, data = record.event, record.data
    if data["key"] != key(
        event.tenant, event.commit, data["op"], data["generation"], data["attempt"]
    ):
        yield "its key is not that of its write"
    if data["after"] != (None if data["body"] is None else sha256_of(data["body"])):
        yield "its `after` is not the hash of its body"
    parts = {
        "action": data["verb"],
        "desired": data["body"],
        "key": data["target"],
        "kind": data["object"],
        "live": data["before"],
    }
    if data["op"] not in {hash_of(parts, reverts=each) for each in (False, True)}:
        yield "its operation is not that of its object, body and `before`"


def _counted(counted: Sequence[_Placed]) -> Iterator[Defect]:
    due = 0
    for each in counted:
        if each.record.seq > due:
            yield each.but(f"{each.record.seq - due} of the records before it are missing")
        elif each.record.seq < due:
            yield each.but("another record has its place in the ledger")
        due = each.record.seq + 1


def _ordered(placed: Sequence[_Placed]) -> Iterator[Defect]:
    for before, each in itertools.pairwise(placed):
        if before.commit == each.commit and before.record.seq > each.record.seq:
            yield each.but("it stands after a later record")


def _chained(placed: Sequence[_Placed]) -> Iterator[Defect]:
    """Follow each run from its first record on; after a break, go on from there."""
    runs: dict[str, _Placed] = {}
    for each in placed:
        record, last = each.record, runs.get(each.record.event.run)
        n, prev = (0, FIRST) if last is None else (last.record.n + 1, last.record.h)
        if record.n != n:
            yield each.but(f"it is number {record.n} of its run where number {n} is due")
        elif record.prev != prev:
            yield each.but("it does not follow the record before it in its run")
        if last is not None and last.commit != each.commit:
            yield each.but("its run began in the note of another commit")
        if last is not None and last.record.kind is RecordKind.CLOSE:
            yield each.but("its run was closed before it")
        runs[record.event.run] = each


def _referring(counted: Sequence[_Placed]) -> Iterator[Defect]:
    """Check what a record says of earlier ones."""
    seen: dict[str, Record] = {}
    opened: dict[str, Record] = {}
    held: set[str] = set()
    for each in counted:
        record, data = each.record, each.record.data
        if record.id in seen:
            yield each.but("the same event is recorded twice")
        seen.setdefault(record.id, record)
        if record.kind is RecordKind.OPEN:
            opened[record.event.run] = record
        elif record.kind is RecordKind.HOLD:
            held.add(data["target"])
        elif record.kind is RecordKind.RELEASE and data["target"] not in held:
            yield each.but("a release of what was never held")
        yield from map(each.but, _begun(opened.get(record.event.run), record))
        if record.kind is RecordKind.OUTCOME:
            yield from map(each.but, _ended(seen.get(data["intent"]), record))


def _begun(begun: Record | None, record: Record) -> Iterator[str]:
    """Hold an intent, and an end, to the opening of their run."""
    if record.kind not in {RecordKind.INTENT, RecordKind.CLOSE}:
        return
    if begun is None:
        yield f"{record.kind} without the opening of its run"
    elif record.kind is RecordKind.INTENT and record.data["digest"] != begun.data["digest"]:
        yield "an intent of another plan than its run was opened for"


def _ended(intent: Record | None, outcome: Record) -> Iterator[str]:
    """Hold an outcome to its intent. Who approved it, and its name, may be another run's, which finished it."""
    said = outcome.data
    if intent is None or intent.kind is not RecordKind.INTENT:
        yield "an outcome without an intent before it"
        return
    other = [name for name in _REPEATED if said[name] != intent.data[name]]
    if "op" in other:
        yield "an outcome of another operation than its intent"
    elif other:
        yield f"an outcome whose {', '.join(other)} is not that of its intent"
    if said["action"] != action_of(Action(said["verb"]), Result(said["result"])):
        yield "its action is not what its result means"
