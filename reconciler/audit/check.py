"""Verify records by themselves: hashes, chains, order, and references between them."""

from __future__ import annotations

import functools
import hashlib
import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from reconciler.audit import lines as canonical
from reconciler.audit.keys import is_key, scope_of
from reconciler.audit.records import (
    FIRST,
    Defect,
    Record,
    digest_of,
    hash_of_line,
    id_of_checked,
)
from reconciler.audit.runs import action_of
from reconciler.audit.schema import HOLD, INTENT, OUTCOME, RecordKind
from reconciler.plan import Action, Result

_REPEATED: Final = ("op", "generation", "attempt", "object", "target", "verb")
"""Fields of an intent that its outcome must repeat, whichever run records it."""


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
        repaired: when and by whom the ledger was repaired, if it was verified only from there on.
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
    repaired: str | None = None

    def __str__(self) -> str:
        if self.defects:
            return f"not consistent: {self.defects[0]}"
        by = ", ".join(self.witnesses)
        said = f"consistent, anchored by {by}" if by else "consistent, not anchored"
        return said if self.repaired is None else f"{said}; only since the repair {self.repaired}"


_NO_CHECKPOINT: Final = "its segment does not begin with a checkpoint"
_NO_BEGINNING: Final = "a checkpoint that does not begin a segment"


def verify(
    notes: Mapping[str, Sequence[Record]],
    *,
    tenant: str,
    lines: Mapping[str, Sequence[int]] | None = None,
    state: Sequence[Record] = (),
) -> tuple[Defect, ...]:
    """Return all defects of a ledger's records, in the ledger's order (`Checker`).

    Args:
        notes: records of each note, in order, by commit.
        tenant: the tenant of the ledger.
        lines: the line of each record, by commit, for notes with lines that are not records.
        state: the records of earlier segments that still matter, in order. They are not checked themselves. Then the first
            record of the notes is the checkpoint of their segment.
    """
    placed = [
        (record, commit, line)
        for commit, records in notes.items()
        for line, record in zip(
            (lines or {}).get(commit) or itertools.count(1), records, strict=False
        )
    ]
    late = {
        (commit, line)
        for (before, other, _), (record, commit, line) in itertools.pairwise(placed)
        if other == commit and before.seq > record.seq
    }
    counted = sorted(placed, key=lambda each: each[0].seq)
    checker = Checker(tenant)
    if state and counted:
        checker.resume(state, due=counted[0][0].seq)
    found = []
    for record, commit, line in counted:
        problems = [*checker.check(record, commit)]
        problems += ["it stands after a later record"] if (commit, line) in late else []
        found += [Defect(commit, line, problem, record.id) for problem in problems]
    return tuple(found)


@dataclass(slots=True)
class _Run:
    """A run that is not closed: the note of its records, the last of them, and the digest of the plan that it was opened for."""

    commit: str
    n: int
    h: str
    digest: str | None = None


class Checker:
    """Checks the records of a ledger one after another, in the ledger's order.

    Checked are: hashes and ids; the ledger's count, without a gap; each run's chain, within one note; that each note's
    records belong to its commit and to the tenant; that no event is recorded twice; that each intent follows the `open` of
    its run, for the same plan, with the hashes of its content; that each outcome repeats its intent; that only held objects
    are released; that nothing follows a `close`. A ledger whose end was cut off, or that was rewritten whole, shows in its
    history or to a witness, not here.

    Memory: open intents, objects that were held, runs that are not closed, and about 16 bytes for each record.

    Attributes:
        due: number of the next record.
        runs: number of runs.
        open_intents: writes whose outcome was not recorded, by id.
    """

    def __init__(self, tenant: str) -> None:
        self.due = self.runs = 0
        self.open_intents: dict[str, Record] = {}
        self._tenant = tenant
        self._going: dict[str, _Run] = {}
        self._closed = Ids()
        self._ids = Ids()
        self._held: set[str] = set()
        self._whole = True
        self._begins = False

    def resume(self, state: Iterable[Record], due: int) -> None:
        """Begin with the state of a checkpoint in place of the records before it.

        Whether a released object was ever held is not checked from then on, because a state names held objects only.

        Args:
            state: its records, in order.
            due: number of the record that follows.
        """
        for record in state:
            self._ids.add(int(record.id[:16], 16))
            self._follow(record, record.event.commit)
        self.due, self._whole, self._begins = due, False, True

    def begin(self) -> None:
        """Expect the checkpoint of the next segment as the next record."""
        self._begins = True

    def check(self, record: Record, commit: str, line: bytes | None = None) -> list[str]:
        """Return what is wrong with the next record, and remember it.

        Args:
            record: the record.
            commit: the commit whose note contains it.
            line: its line, without the line end; `None`: the record's own line.
        """
        problems = [
            *_check_hashes(record, line),
            *self._check_place(record, commit),
            *self._check_chain(record, commit),
            *self._check_references(record),
        ]
        self._follow(record, commit)
        return problems

    def _check_place(self, record: Record, commit: str) -> Iterator[str]:
        if record.event.commit != commit:
            yield f"it belongs to the note of {record.event.commit[:12]}"
        if record.event.tenant != self._tenant:
            yield f"it belongs to the tenant {record.event.tenant}"
        if record.seq > self.due:
            yield f"{record.seq - self.due} of the records before it are missing"
        elif record.seq < self.due:
            yield "another record has its place in the ledger"
        self.due = record.seq + 1
        if (record.kind is RecordKind.CHECKPOINT) != self._begins:
            yield _NO_CHECKPOINT if self._begins else _NO_BEGINNING
        self._begins = False

    def _check_chain(self, record: Record, commit: str) -> Iterator[str]:
        """Check that a record follows the last one of its run."""
        run = self._going.get(record.event.run)
        if run is None and self._closed.has(_run_hash(record.event.run)):
            yield "its run was closed before it"
            return
        n, prev = (0, FIRST) if run is None else (run.n + 1, run.h)
        if record.n != n:
            yield f"it is number {record.n} of its run where number {n} is due"
        elif record.prev != prev:
            yield "it does not follow the record before it in its run"
        if run is not None and run.commit != commit:
            yield "its run began in the note of another commit"

    def _check_references(self, record: Record) -> Iterator[str]:
        """Check the references of a record to earlier ones: repeated events, releases, openings and intents."""
        kind, data = record.kind, record.data
        is_new = self._ids.add(
            int(record.id[:16], 16)
        )  # `_check_hashes` compares it with the event
        if not is_new:
            yield "the same event is recorded twice"
        if kind is RecordKind.RELEASE and self._whole and data["target"] not in self._held:
            yield "a release of an object that was never held"
        elif kind is OUTCOME and is_new:
            yield from _check_outcome(self.open_intents.get(data["intent"]), record)
        elif kind in _OPENED:
            run = self._going.get(record.event.run)
            if run is None or run.digest is None:
                yield f"{kind} without the opening of its run"
            elif kind is INTENT and data["digest"] != run.digest:
                yield "an intent of another plan than its run was opened for"

    def _follow(self, record: Record, commit: str) -> None:
        """Remember what later records may refer to."""
        kind, name = record.kind, record.event.run
        if kind is RecordKind.CLOSE or kind is RecordKind.CHECKPOINT:
            self.runs += name not in self._going
            self._going.pop(name, None)
            self._closed.add(_run_hash(name))
            return
        run = self._going.get(name)
        if run is None:
            run = self._going[name] = _Run(commit, record.n, record.h)
            self.runs += 1
        else:
            run.commit, run.n, run.h = commit, record.n, record.h
        if kind is RecordKind.OPEN:
            run.digest = record.data["digest"]
        elif kind is INTENT:
            self.open_intents[record.id] = record
        elif kind is OUTCOME:
            self.open_intents.pop(record.data["intent"], None)
        elif kind is HOLD:
            self._held.add(record.data["target"])


_OPENED: Final = frozenset({RecordKind.INTENT, RecordKind.CLOSE})
"""Kinds of record that only a run with an opening has."""


def _check_hashes(record: Record, line: bytes | None) -> Iterator[str]:
    h = digest_of(record) if line is None else hash_of_line(line, record.h)
    if h != record.h:
        yield "its content does not match its hash: it was edited"
    elif id_of_checked(record.event) != record.id:
        yield "its id does not match its event"
    if record.kind is INTENT:
        yield from _check_intent(record)


def _check_intent(record: Record) -> Iterator[str]:
    """Check the hashes of an intent: the ids of a write are hashes of its content, and recovery compares with them."""
    event, data = record.event, record.data
    scope = scope_of(data["verb"], event.commit, event.run)
    write = (event.tenant, scope, data["op"], data["generation"], data["attempt"])
    if not is_key(data["key"], *write):
        yield "its idempotency key does not match its write"
    body = canonical.encode(data["body"]).decode()  # once, for both hashes
    if data["after"] != (None if data["body"] is None else _sha256(body)):
        yield "its `after` is not the hash of its body"
    target, kind = canonical.quoted(data["target"]), canonical.quoted(data["object"])
    parts = f'"action":"{data["verb"]}","desired":{body},"key":{target},"kind":{kind},"live":"{data["before"]}"'
    if data["op"] not in map(_sha256, (f"{{{parts}}}", f'{{{parts},"reverts":true}}')):
        yield "its operation hash does not match its object, body and `before`"


def _check_outcome(intent: Record | None, outcome: Record) -> Iterator[str]:
    """Check an outcome against its intent. Approval and name may differ: another run may have finished the write."""
    said = outcome.data
    if intent is None:
        yield "an outcome without an intent before it"
        return
    known = intent.data
    same = _repeated(said) == _repeated(known)
    other = [] if same else [name for name in _REPEATED if said[name] != known[name]]
    if "op" in other:
        yield "an outcome of another operation than its intent"
    elif other:
        yield f"an outcome whose {', '.join(other)} is not that of its intent"
    if said["action"] != _action_of(said["verb"], said["result"]):
        yield "its audit action does not match its result"


_repeated: Final = itemgetter(*_REPEATED)


@functools.cache
def _action_of(verb: str, result: str) -> str:
    return action_of(Action(verb), Result(result))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _run_hash(run: str) -> int:
    return int.from_bytes(hashlib.sha256(run.encode()).digest()[:8], "big")


class Ids:
    """A set of hashes, of which the first 8 bytes are kept: a fifth of the memory of a set of integers.

    Two of a million hashes begin alike once in 30 million ledgers; a record would then be called a repetition.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * 1024))
        self._number = 0

    def __len__(self) -> int:
        return self._number

    def has(self, value: int) -> bool:
        """Return whether a hash (its first 8 bytes) was added."""
        return self._slots[self._find(value or 1)] != 0

    def add(self, value: int) -> bool:
        """Add a hash (its first 8 bytes); return whether it is new."""
        value = value or 1  # 0 marks a free slot
        at = self._find(value)
        if self._slots[at]:
            return False
        self._slots[at] = value
        self._number += 1
        if self._number * 3 > len(self._slots) * 2:
            self._grow()
        return True

    def _find(self, value: int) -> int:
        """Return the slot of a hash, or the free slot where it belongs."""
        slots = self._slots
        mask = len(slots) - 1
        at = value & mask
        while slots[at] and slots[at] != value:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for value in filter(None, old):
            self._slots[self._find(value)] = value
