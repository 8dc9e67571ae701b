"""Verify records by themselves: hashes, chains, order, and references between them."""

from __future__ import annotations

import functools
import hashlib
import itertools
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final

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
from reconciler.audit.schema import (
    CHECKPOINT,
    CLOSE,
    EVERYTHING,
    HOLD,
    INTENT,
    OPEN,
    OUTCOME,
    RELEASE,
    WRITE,
)
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
        claimed: ledger commit of a repair that other commands begin at, if the whole ledger was verified all the same.
        refused: plan, apply and release detect a defect, and fail. They do not read the records before the newest checkpoint.
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
    claimed: str | None = None
    refused: bool = False

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
        self._earlier: set[str] = set()
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
        state = tuple(state)
        writes = [each for each in state if each.event.kind is WRITE]
        self._earlier = {each.id for each in state}
        self._earlier.update(each.event.data["intent"] for each in writes)
        for record in state:
            if record.event.kind is not WRITE:
                self._follow(record, record.event.commit, self._going.get(record.event.run))
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
        event = record.event
        run = self._going.get(event.run)
        problems: list[str] = []
        _check_hashes(record, line, problems)
        if record.seq != self.due or event.commit != commit or event.tenant != self._tenant:
            self._check_place(record, commit, problems)
        self.due = record.seq + 1
        if (event.kind is CHECKPOINT) != self._begins:
            problems.append(_NO_CHECKPOINT if self._begins else _NO_BEGINNING)
        self._begins = False
        if run is None and self._closed.has(_run_hash(event.run)):
            problems.append("its run was closed before it")
        elif run is None or run.h != record.prev or run.n + 1 != record.n or run.commit != commit:
            _check_chain(record, commit, run, problems)
        self._check_references(record, run, problems)
        self._follow(record, commit, run)
        return problems

    def _check_place(self, record: Record, commit: str, problems: list[str]) -> None:
        event = record.event
        if event.commit != commit:
            problems.append(f"it belongs to the note of {event.commit[:12]}")
        if event.tenant != self._tenant:
            problems.append(f"it belongs to the tenant {event.tenant}")
        if record.seq > self.due:
            problems.append(f"{record.seq - self.due} of the records before it are missing")
        elif record.seq < self.due:
            problems.append("another record has its place in the ledger")

    def _check_references(self, record: Record, run: _Run | None, problems: list[str]) -> None:
        """Check the references of a record to earlier ones: repeated events, releases, openings and intents."""
        kind, data = record.event.kind, record.event.data
        # the id is correct, or `_check_hashes` has said so
        is_new = record.id not in self._earlier and self._ids.add(int(record.id[:16], 16))
        if not is_new:
            problems.append("the same event is recorded twice")
        if kind is INTENT or kind is CLOSE:
            if run is None or run.digest is None:
                problems.append(f"{kind} without the opening of its run")
            elif kind is INTENT and data["digest"] != run.digest:
                problems.append("an intent of another plan than its run was opened for")
        elif kind is OUTCOME:
            if is_new:
                _check_outcome(self.open_intents.get(data["intent"]), data, problems)
        elif (
            kind is RELEASE and self._whole and self._held.isdisjoint((data["target"], EVERYTHING))
        ):
            problems.append("a release of an object that was never held")

    def _follow(self, record: Record, commit: str, run: _Run | None) -> None:
        """Remember what later records may refer to; `run` is the record's run, if it began before."""
        kind, name = record.event.kind, record.event.run
        if kind is CLOSE or kind is CHECKPOINT:
            self.runs += run is None
            self._going.pop(name, None)
            self._closed.add(_run_hash(name))
            return
        if run is None:
            run = self._going[name] = _Run(commit, record.n, record.h)
            self.runs += 1
        else:
            run.commit, run.n, run.h = commit, record.n, record.h
        if kind is INTENT:
            self.open_intents[record.id] = record
        elif kind is OUTCOME:
            self.open_intents.pop(record.event.data["intent"], None)
        elif kind is OPEN:
            run.digest = record.event.data["digest"]
        elif kind is HOLD:
            self._held.add(record.event.data["target"])


def _check_chain(record: Record, commit: str, run: _Run | None, problems: list[str]) -> None:
    """Check that a record follows the last one of its run, if the run began before."""
    n, prev = (0, FIRST) if run is None else (run.n + 1, run.h)
    if record.n != n:
        problems.append(f"it is number {record.n} of its run where number {n} is due")
    elif record.prev != prev:
        problems.append("it does not follow the record before it in its run")
    if run is not None and run.commit != commit:
        problems.append("its run began in the note of another commit")


def _check_hashes(record: Record, line: bytes | None, problems: list[str]) -> None:
    h = digest_of(record) if line is None else hash_of_line(line, record.h)
    if h != record.h:
        problems.append("its content does not match its hash: it was edited")
    elif id_of_checked(record.event) != record.id:
        problems.append("its id does not match its event")
    if record.event.kind is INTENT:
        _check_intent(record, problems)


def _check_intent(record: Record, problems: list[str]) -> None:
    """Check the hashes of an intent: the ids of a write are hashes of its content, and recovery compares with them."""
    event = record.event
    key, op, generation, attempt, verb, target, kind, before, after, body = _hashed(event.data)
    scope = scope_of(verb, event.commit, event.run)
    if not is_key(key, event.tenant, scope, op, generation, attempt):
        problems.append("its idempotency key does not match its write")
    desired = canonical.encode(body, known_as_plain=record.is_plain).decode()
    if after != (None if body is None else _sha256(desired)):
        problems.append("its `after` is not the hash of its body")
    parts = (
        f'"action":"{verb}","desired":{desired},"key":{canonical.quoted(target)},'
        f'"kind":{canonical.quoted(kind)},"live":"{before}"'
    )
    if op != _sha256(f"{{{parts}}}") and op != _sha256(f'{{{parts},"reverts":true}}'):
        problems.append("its operation hash does not match its object, body and `before`")


_hashed: Final = itemgetter(
    *("key", "op", "generation", "attempt", "verb", "target", "object", "before", "after", "body")
)


def _check_outcome(intent: Record | None, said: Mapping[str, Any], problems: list[str]) -> None:
    """Check the fields of an outcome against its intent. Approval and name may differ: another run may have finished the write."""
    if intent is None:
        problems.append("an outcome without an intent before it")
        return
    known = intent.event.data
    same = _repeated(said) == _repeated(known)
    other = [] if same else [name for name in _REPEATED if said[name] != known[name]]
    if "op" in other:
        problems.append("an outcome of another operation than its intent")
    elif other:
        problems.append(f"an outcome whose {', '.join(other)} is not that of its intent")
    if said["action"] != _action_of(said["verb"], said["result"]):
        problems.append("its audit action does not match its result")


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
        slots = self._slots
        at = value & (len(slots) - 1)
        if slots[at]:
            at = self._find(value)
            if slots[at]:
                return False
        slots[at] = value
        self._number += 1
        if self._number * 3 > len(slots) * 2:
            self._grow()
        return True

    def _find(self, value: int) -> int:
        """Return the slot of a hash, or the free slot where it belongs."""
        slots = self._slots
        mask = len(slots) - 1
        at = value & mask
        while (held := slots[at]) and held != value:
            at = (at + 1) & mask
        return at

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(16 * len(old)))
        for value in filter(None, old):
            self._slots[self._find(value)] = value
