"""Verify records by themselves: hashes, chains, order, and references between them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.audit.records import FIRST, Defect, Record, digest_of, key, scope_of
from reconciler.audit.runs import action_of
from reconciler.audit.schema import RecordKind
from reconciler.plan import Action, Result, sha256_of
from reconciler.plan.values import hash_of

_REPEATED: Final = ("op", "generation", "attempt", "object", "target", "verb")
"""Fields of an intent that its outcome must repeat, whichever run records it."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """A record, the commit whose note contains it, and its line there."""

    commit: str
    line: int
    record: Record

    def but(self, problem: str) -> Defect:
        return Defect(self.commit, self.line, problem, self.record.id)


@dataclass(frozen=True, slots=True)
class LineOrigin:
    """Origin of a line: the ledger commit that wrote it, and the parent of that commit (`None` for a root commit)."""

    commit: str
    before: str | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Result of `audit verify`.

    Attributes:
        head: the verified ledger commit. Keep its id outside the ledger as a witness for the next verification.
        commits, records, runs: their numbers.
        defects: what is wrong, the first bad record first.
        open_intents: writes whose outcome is not recorded. They are no defect: the next apply settles them.
        witnesses: the witnesses that would have revealed a rollback or a rewrite of the whole ledger.
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
    source: LineOrigin | None = None

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
    """Return all defects of a ledger's records, in the ledger's order.

    Checked are: hashes and ids; the ledger's count, without a gap; each run's chain, within one note; that each note's
    records belong to its commit and to the tenant; that no event is recorded twice; that each intent follows the `open` of
    its run, for the same plan, with the hashes of its content; that each outcome repeats its intent; that only held objects
    are released; that nothing follows a `close`. A ledger whose end was cut off, or that was rewritten whole, shows in its
    history or to a witness, not here.

    Args:
        notes: records of each note, in order, by commit.
        tenant: the tenant of the ledger.
        lines: the line of each record, by commit, for notes with lines that are not records.
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
        *(each.but(problem) for each in placed for problem in _check_record(each, tenant)),
        *_check_count(counted),
        *_check_order(placed),
        *_check_chains(placed),
        *_check_references(counted),
    ]
    rank = {(each.commit, each.line): rank for rank, each in enumerate(counted)}
    return tuple(sorted(defects, key=lambda defect: rank[defect.commit, defect.line]))


def _check_record(placed: _Placed, tenant: str) -> Iterator[str]:
    record, event = placed.record, placed.record.event
    if digest_of(record) != record.h:
        yield "its content does not match its hash: it was edited"
    elif event.id != record.id:
        yield "its id does not match its event"
    if event.commit != placed.commit:
        yield f"it belongs to the note of {event.commit[:12]}"
    if event.tenant != tenant:
        yield f"it belongs to the tenant {event.tenant}"
    if record.kind is RecordKind.INTENT:
        yield from _check_intent(record)


def _check_intent(record: Record) -> Iterator[str]:
    """Check the hashes of an intent: the ids of a write are hashes of its content, and recovery compares with them."""
    event, data = record.event, record.data
    scope = scope_of(data["verb"], event.commit, event.run)
    if data["key"] != key(event.tenant, scope, data["op"], data["generation"], data["attempt"]):
        yield "its idempotency key does not match its write"
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
        yield "its operation hash does not match its object, body and `before`"


def _check_count(counted: Sequence[_Placed]) -> Iterator[Defect]:
    due = 0
    for each in counted:
        if each.record.seq > due:
            yield each.but(f"{each.record.seq - due} of the records before it are missing")
        elif each.record.seq < due:
            yield each.but("another record has its place in the ledger")
        due = each.record.seq + 1


def _check_order(placed: Sequence[_Placed]) -> Iterator[Defect]:
    for before, each in itertools.pairwise(placed):
        if before.commit == each.commit and before.record.seq > each.record.seq:
            yield each.but("it stands after a later record")


def _check_chains(placed: Sequence[_Placed]) -> Iterator[Defect]:
    """Follow each run from its first record; after a break, continue from there."""
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


def _check_references(counted: Sequence[_Placed]) -> Iterator[Defect]:
    """Check the references of records to earlier records: repeated events, releases, openings and intents."""
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
            yield each.but("a release of an object that was never held")
        yield from map(each.but, _check_opening(opened.get(record.event.run), record))
        if record.kind is RecordKind.OUTCOME:
            yield from map(each.but, _check_outcome(seen.get(data["intent"]), record))


def _check_opening(begun: Record | None, record: Record) -> Iterator[str]:
    """Check an intent or a close against the opening of its run."""
    if record.kind not in {RecordKind.INTENT, RecordKind.CLOSE}:
        return
    if begun is None:
        yield f"{record.kind} without the opening of its run"
    elif record.kind is RecordKind.INTENT and record.data["digest"] != begun.data["digest"]:
        yield "an intent of another plan than its run was opened for"


def _check_outcome(intent: Record | None, outcome: Record) -> Iterator[str]:
    """Check an outcome against its intent. Approval and name may differ: another run may have finished the write."""
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
        yield "its audit action does not match its result"
