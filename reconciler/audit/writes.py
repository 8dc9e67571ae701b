"""The last write to each object, according to records in the ledger's order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from reconciler.audit.records import Record, dict_of, event_of, record_of
from reconciler.audit.schema import HOLD, INTENT, NOTE, OUTCOME, WRITE
from reconciler.plan import DONE, STORED, Action, Result

_HALT, _UNKNOWN = Action.HALT.value, Result.UNKNOWN.value

_LEFT_SOMETHING: Final = DONE | STORED

_MAY_HAVE_LEFT: Final = frozenset({*_LEFT_SOMETHING, Result.UNKNOWN})
"""The results above, plus `unknown`: a narrowing by hand after a write of unknown outcome must not be undone."""


def left_something(record: Record) -> bool:
    """Return whether a record is the outcome of a write that was applied, or at least stored."""
    return record.kind is OUTCOME and record.data["result"] in _LEFT_SOMETHING


def may_have_left(record: Record) -> bool:
    """Return whether a record is the outcome of a write that was, or may have been, applied."""
    return record.kind is OUTCOME and record.data["result"] in _MAY_HAVE_LEFT


def found_target(record: Record) -> str | None:
    """Return the key of the object that a note is about if the note says what was stored (`Run.found`, `Run.imported`), else `None`."""
    if record.kind is NOTE and isinstance(record.data.get("body"), dict):
        return str(record.data.get("target"))
    return None


def is_imported(record: Record) -> bool:
    """Return whether a record says what an import found, or an apply that took the object over (`Run.imported`)."""
    return record.data.get("imported") is True and found_target(record) is not None


def missing_target(record: Record) -> str | None:
    """Return the key of the object that a `missing` note is about (`Run.missing`); `None` for other records."""
    if record.kind is NOTE and record.data.get("missing") is not None:
        return str(record.data.get("target"))
    return None


def is_stored_hold(record: Record) -> bool:
    """Return whether a record is a hold that found something stored."""
    return record.kind is HOLD and isinstance(record.data.get("body"), dict)


_OF_INTENT: Final = ("after", "base", "body", "emptied")


def write_of(intent: Record, outcome: Record) -> Record:
    """Return an intent and its outcome as one record, for a state: the outcome, and what was to be stored."""
    event, wanted = outcome.event, intent.event.data
    data = dict_of(event.data)
    for name in _OF_INTENT:
        if name in wanted:
            data[name] = wanted[name]
    of = event_of(WRITE, event.tenant, event.commit, event.run, event.ts, MappingProxyType(data))
    position = outcome.seq, outcome.n, outcome.prev, outcome.h, outcome.id
    return record_of(of, *position, is_plain=intent.is_plain and outcome.is_plain)


@dataclass(frozen=True, slots=True)
class BeforeStop:
    """What an emergency stop ended.

    Attributes:
        applied: the body that was applied last before the stop; `None` if there was none.
        found: the stored body, as received, from the last stop that found one; `None` if no stop could read it.
        records: the records that say so: the write before the stop, and the hold.
    """

    applied: Mapping[str, Any] | None
    found: Mapping[str, Any] | None
    records: tuple[Record, ...] = field(default=(), repr=False, compare=False)


class Applied(NamedTuple):
    """The last write to an object and its outcome.

    One record may stand for both: a note that says what was found, or a write of a state (`write_of`).

    Attributes:
        stopped: what an emergency stop ended; `None` for other writes.
        missing: the note that lets an apply create the schedule again (`Run.missing`); `None` if there is none.
        imports: the notes of later imports (`Run.imported`), in order; also of earlier ones, if this write is a stop, is unknown, or is an
            import itself. Any of them may have written the manifest that is applied one day.
    """

    intent: Record
    outcome: Record
    stopped: BeforeStop | None = None
    missing: Record | None = None
    imports: tuple[Record, ...] = ()

    @property
    def was_stored(self) -> bool:
        """Whether a schedule was stored: by this write, by the one before an emergency stop, or when an import found it."""
        stopped = self.stopped is not None and self.stopped.applied is not None
        return self.base is not None or stopped or bool(self.imports)

    @property
    def is_imported(self) -> bool:
        """Whether nothing was applied since an import found the schedule."""
        return is_imported(self.intent)

    @property
    def every_import(self) -> tuple[Record, ...]:
        """The `imports`, and this write if it is one."""
        return (*self.imports, self.intent) if self.is_imported else self.imports

    @property
    def found_since(self) -> tuple[Record, ...]:
        """The notes that say what was stored after this write, in order; all imports if nothing was applied since."""
        if self.is_imported:
            return self.every_import
        return tuple(each for each in self.imports if each.seq > self.outcome.seq)

    @property
    def is_found_since(self) -> bool:
        """Whether a later import found a schedule: nothing that this write removed is missing since."""
        return bool(self.imports) and self.imports[-1].seq > self.outcome.seq

    @property
    def is_unseen(self) -> bool:
        """Whether an emergency stop ended an applied schedule without knowing what was stored."""
        return self.stopped is not None and self.was_stored and self.stopped.found is None

    @property
    def base(self) -> Mapping[str, Any] | None:
        """The desired body at that time; `None` for a removal. It differs from the stored body if a narrowing by hand was kept."""
        body, kept = self.intent.data["body"], self.intent.data.get("base")
        return body if kept is None else {**(body or {}), **kept}


class LastWrites:
    """The last write to each object, while records are read in order.

    A write of unknown outcome never replaces a known one that began later. This happens when an emergency stop overtakes a
    run: the run's write is settled after the stop. What an import found replaces what an earlier import found and no write, because
    another run may have written meanwhile. It is kept beside the write until a later write is known.

    Attributes:
        last: the last write that was, or may have been, applied to each object, by key.
        intents: every intent, by id.
        found: the newest hold on each object that found something stored, by key.
        doubtful: keys of objects whose last write is a stop, or is unknown: it depends on the writes before it.
        settled: the last writes that one record stands for (`write_of`), and about whose objects nothing was recorded since: number
            and record, by key. A long ledger has many, so a checkpoint does not look at them again.
    """

    __slots__ = ("doubtful", "found", "intents", "last", "settled")

    def __init__(self) -> None:
        """Begin without records."""
        self.last: dict[str, Applied] = {}
        self.intents: dict[str, Record] = {}
        self.found: dict[str, Record] = {}
        self.doubtful: set[str] = set()
        self.settled: dict[str, tuple[int, Record]] = {}

    def add(self, record: Record) -> None:
        """Take in the next record."""
        kind, data = record.event.kind, record.event.data
        if kind is INTENT:
            self.intents[record.id] = record
        elif kind is OUTCOME:
            if data["result"] in _MAY_HAVE_LEFT and (intent := self.intents.get(data["intent"])):
                self._apply(intent, record)
        elif kind is HOLD:
            if is_stored_hold(record):
                self.found[data["target"]] = record
        elif kind is WRITE or found_target(record) is not None:
            self._add_alone(record)
        elif (target := missing_target(record)) is not None:
            before = self.last.get(target)
            if before and before.outcome.id == data["missing"]:
                self.settled.pop(target, None)
                self.last[target] = before._replace(missing=record)

    def _add_alone(self, record: Record) -> None:
        """Take in a record that alone says what was stored."""
        target = record.event.data["target"]
        self.settled.pop(target, None)
        before = self.last.get(target)
        if before is None or not is_imported(record):
            self.last[target] = Applied(record, record)
            self.doubtful.discard(target)
        elif before.is_imported:
            self.last[target] = Applied(record, record, imports=before.every_import)
        else:
            imports = (*before.imports, record)
            self.last[target] = before._replace(missing=None, imports=imports)

    def settle(self, target: str, write: Record, imports: tuple[Record, ...]) -> None:
        """Let one record stand for the last write to an object (`write_of`).

        Args:
            target: key of the object.
            write: the record.
            imports: the notes of later imports.
        """
        self.last[target] = Applied(write, write, imports=imports)
        if not imports:
            self.settled[target] = write.seq, write

    def restrict(self, records: Sequence[Record]) -> None:
        """Leave what some of the records, and the settled writes, alone would have left. They show the same last writes as all records.

        Args:
            records: in order.
        """
        self.intents = {each.id: each for each in records if each.event.kind is INTENT}
        stored = filter(is_stored_hold, (each for each in records if each.event.kind is HOLD))
        self.found = {each.event.data["target"]: each for each in stored}
        if self.doubtful:
            about = [each for each in records if each.event.data.get("target") in self.doubtful]
            self.last |= applied(about)

    def _apply(self, intent: Record, outcome: Record) -> None:
        """Take in the outcome of a write, unless it is unknown and a later write is known."""
        said = intent.event.data
        target = said["target"]
        self.settled.pop(target, None)
        before = self.last.get(target)
        imports = before.every_import if before else ()
        if said["verb"] != _HALT and outcome.event.data["result"] != _UNKNOWN:
            later = tuple(each for each in imports if each.seq > intent.seq)
            self.last[target] = Applied(intent, outcome, imports=later)
            self.doubtful.discard(target)
            return
        is_unknown = outcome.data["result"] == Result.UNKNOWN
        if is_unknown and before and before.intent.seq > intent.seq:
            return
        is_stop = said["verb"] == Action.HALT
        stopped = _stopped(before, self.found.get(target)) if is_stop else None
        self.last[target] = Applied(intent, outcome, stopped, imports=imports)
        self.doubtful.add(target)


def applied(records: Iterable[Record]) -> dict[str, Applied]:
    """Return the last write that was, or may have been, applied to each object, by key: the base of drift."""
    writes = LastWrites()
    for record in records:
        writes.add(record)
    return writes.last


def _stopped(before: Applied | None, hold: Record | None) -> BeforeStop:
    """Return what one or several emergency stops ended. A stop that finishes an earlier one finds nothing stored.

    Args:
        before: the last write to the object before the stop.
        hold: the last hold on it that found something stored.
    """
    was = before.stopped if before else None
    applied = was.applied if was else before.base if before else None
    records = was.records if was else (before.intent, before.outcome) if before else ()
    if hold is not None and (before is None or hold.seq > before.intent.seq):
        writes = tuple(each for each in records if each.kind is not HOLD)
        return BeforeStop(applied, hold.data["body"], (*writes, hold))
    return BeforeStop(applied, was.found if was else None, records)
