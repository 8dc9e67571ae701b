"""A record: an event, its id, its place in the chain, and its line."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from reconciler.audit import lines
from reconciler.audit.rules import STAMP_LENGTH
from reconciler.audit.schema import (
    HOLD,
    INTENT,
    OUTCOME,
    RecordKind,
    is_deep,
    problem_of,
)
from reconciler.errors import SHORTENED_TO, LedgerError, safe
from reconciler.plan import Action

VERSION: Final = 1
"""`v` of every record."""

LINE_LIMIT: Final = 8 * 1024
"""Most bytes of one record with its line end."""

DEFECTS_LIMIT: Final = 100
"""Most lines of one note that are reported as no records: a note of line ends alone has millions."""

FIRST: Final = "0" * 64
"""`prev` of a run's first record."""


_IDENTITY: Final[Mapping[RecordKind, tuple[str, ...]]] = {
    RecordKind.OPEN: ("run",),
    RecordKind.CLOSE: ("run",),
    RecordKind.INTENT: ("commit", "op", "generation", "attempt"),
    RecordKind.OUTCOME: ("intent",),
    RecordKind.HOLD: ("run", "target"),
    RecordKind.RELEASE: ("run", "target"),
    RecordKind.NOTE: ("run", "text"),
    RecordKind.CHECKPOINT: ("segment", "closes"),
}
"""Fields that identify an event of each kind, beside kind and tenant."""

_FROM_HEADER: Final = frozenset({"commit", "run"})
"""Those of them that are in the header."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened in a run, not yet in the ledger.

    Attributes:
        ts: this machine's clock when the event was made, UTC, milliseconds.
        data: fields of this kind of record beyond the header; JSON values only.
        known_id: `id`, once it was asked for; empty until then.
    """

    kind: RecordKind
    tenant: str
    commit: str
    run: str
    ts: str
    data: Mapping[str, Any] = field(default_factory=dict)
    known_id: str = field(default="", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        """SHA-256 of what identifies the event: the same event has the same id, whoever writes it and when."""
        if not self.known_id:  # each step of an append asks for it
            object.__setattr__(self, "known_id", id_of(self))
        return self.known_id

    def header(self) -> dict[str, str]:
        """Return the header fields of the event."""
        return {
            "commit": self.commit,
            "kind": self.kind.value,
            "run": self.run,
            "tenant": self.tenant,
            "ts": self.ts,
        }


def id_of(event: Event) -> str:
    """Return the correct id of an event (`Event.id`)."""
    kind, data = event.kind, event.data
    what: dict[str, Any] = {"kind": kind.value, "tenant": event.tenant}
    for name in _IDENTITY[kind]:
        what[name] = getattr(event, name) if name in _FROM_HEADER else data.get(name)
    if kind is INTENT and data.get("verb") == Action.HALT:
        # Two clones may stop the same object without knowing of each other: both stops are recorded.
        what["run"] = event.run
    if kind is HOLD and data.get("body") is not None:
        # A stop that learns later what was stored records its hold once more.
        what["body"] = data["body"]
    return lines.sha256_of(what)


def id_of_checked(event: Event) -> str:
    """Return `id_of` an event whose fields were checked (`problem_of`). Then most ids need no encoder."""
    kind, data = event.kind, event.data
    tenant = lines.quoted(event.tenant)
    if kind is OUTCOME:
        text = f'{{"intent":"{data["intent"]}","kind":"outcome","tenant":{tenant}}}'
    elif kind is INTENT and data["verb"] != _HALT:
        text = (
            f'{{"attempt":{data["attempt"]},"commit":"{event.commit}","generation":{data["generation"]},"kind":"intent",'
            f'"op":"{data["op"]}","tenant":{tenant}}}'
        )
    else:
        return id_of(event)
    return hashlib.sha256(text.encode()).hexdigest()


_HALT: Final = Action.HALT.value

_AGREED: Final[Mapping[RecordKind, tuple[str, ...]]] = {
    RecordKind.INTENT: (
        *("op", "generation", "attempt", "object", "target", "verb", "key"),
        *("before", "after", "body", "base", "emptied", "first", "parts"),
    ),
    RecordKind.OUTCOME: ("intent", "op", "generation", "attempt", "object", "target", "verb"),
}
"""Fields in which two runs that record the same event must agree.

A run that finishes what another one began has an intent of its own under the same id, but approved by somebody else as part
of another plan, and perhaps under a new name. Two runs may both record how one write ended (a stop without a remote, and the
apply that settled it meanwhile); each records what it observed.
"""


def differing(known: Event, event: Event) -> tuple[str, ...]:
    """Return the fields in which two events with the same id differ although they must not.

    Within one run only the time may differ, because a run may retry a record. For two runs, see `_AGREED`.
    """
    old, new = ({**each.data, **each.header()} for each in (known, event))
    names = _AGREED.get(event.kind) if known.run != event.run and known.kind is event.kind else None
    return tuple(
        name
        for name in (sorted((old.keys() | new.keys()) - {"ts"}) if names is None else names)
        if old.get(name) != new.get(name)
    )


@dataclass(frozen=True, slots=True)
class Record:
    """An event with its position: number `seq` in the ledger, number `n` in its run.

    `prev` is the hash of the run's previous record. `is_plain`: it was decoded, and its values need no further check before
    they are encoded (`lines.encode`). A copy with other values (`replace`) loses the mark.
    """

    event: Event
    seq: int
    n: int
    prev: str
    h: str
    id: str
    v: int = VERSION
    is_plain: bool = field(default=False, init=False, repr=False, compare=False)

    @property
    def kind(self) -> RecordKind:
        """The kind of the event."""
        return self.event.kind

    @property
    def data(self) -> Mapping[str, Any]:
        """Fields beyond the header."""
        return self.event.data

    def fields(self) -> dict[str, Any]:
        """Return all fields, flat, as they are encoded."""
        event = self.event
        fields = dict_of(event.data)
        fields["commit"], fields["kind"], fields["run"] = event.commit, event.kind.value, event.run
        fields["tenant"], fields["ts"] = event.tenant, event.ts
        fields["h"], fields["id"], fields["n"] = self.h, self.id, self.n
        fields["prev"], fields["seq"], fields["v"] = self.prev, self.seq, self.v
        return fields


def dict_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return `dict(data)`. Of a read-only view, which the data of a decoded record is, `dict` would look up each name."""
    return data.copy() if isinstance(data, MappingProxyType) else dict(data)


class _Event:
    """An `Event` while it is made: a frozen dataclass sets each field by a call of its own, which takes five times as long.

    It has the same slots, so that it can become one.
    """

    __slots__ = Event.__slots__


class _Record:
    """A `Record` while it is made, likewise."""

    __slots__ = Record.__slots__


def event_of(
    kind: RecordKind, tenant: str, commit: str, run: str, ts: str, data: Mapping[str, Any]
) -> Event:
    """Return `Event(…)`, faster."""
    made: Any = _Event()
    made.kind, made.tenant, made.commit = kind, tenant, commit
    made.run, made.ts, made.data, made.known_id = run, ts, data, ""
    made.__class__ = Event
    event: Event = made
    return event


def record_of(
    event: Event, seq: int, n: int, prev: str, h: str, id_: str, *, is_plain: bool
) -> Record:
    """Return `Record(…)`, faster, and with the mark `is_plain`."""
    made: Any = _Record()
    made.event, made.seq, made.n, made.prev = event, seq, n, prev
    made.h, made.id, made.v, made.is_plain = h, id_, VERSION, is_plain
    made.__class__ = Record
    record: Record = made
    return record


@dataclass(frozen=True, slots=True, order=True)
class Defect:
    """One thing that is wrong with the ledger.

    Attributes:
        commit, line: the note, and the line in it from 1; line 0 means the whole note or ledger.
        problem: what is wrong, for people.
        id: of the record, if it could be read.
    """

    commit: str
    line: int
    problem: str
    id: str = ""

    def __str__(self) -> str:
        where = f"note of {self.commit[:12]}" if self.commit else "ledger"
        place = f"{where}, line {self.line}" if self.line else where
        return f"{place}: {safe(self.problem)}" + (f" (record {self.id[:12]})" if self.id else "")


def stamp(instant: datetime) -> str:
    """Return an aware instant in UTC with milliseconds: `2027-01-11T14:00:00.000Z`."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_stamp(text: str) -> str:
    """Return an instant of a record in the format of `stamp`, in which instants compare as text."""
    is_stamp = len(text) == STAMP_LENGTH and text[-1] == "Z"
    return text if is_stamp else stamp(datetime.fromisoformat(text))


def chain(event: Event, last: Record | None, seq: int) -> Record:
    """Return an event as a record.

    Args:
        event: the event.
        last: the last record of its run; `None` if there is none.
        seq: position in the ledger, from 0.

    Raises:
        LedgerError: the line would be too long, or could not be read again.
    """
    n, prev = (0, FIRST) if last is None else (last.n + 1, last.h)
    bare = Record(event, seq=seq, n=n, prev=prev, h="", id=event.id)
    text = _hashed(bare)
    h = hashlib.sha256(text).hexdigest()
    what = safe(str(event.data.get("name") or event.kind), limit=SHORTENED_TO)
    fields = {**bare.fields(), "h": h}
    if (problem := problem_of(fields)) is not None or is_deep(fields):
        raise LedgerError(
            f"the audit record of {what} cannot be written, because no command could read it: {problem or 'it is too deep'}"
        )
    if (size := len(text) + len(f'"h":"{h}",\n')) > LINE_LIMIT:
        raise LedgerError(f"the audit record of {what} has {size} bytes; {LINE_LIMIT} are allowed")
    return replace(bare, h=h)


def digest_of(record: Record) -> str:
    """Return the correct value of a record's `h`: the SHA-256 of all its other fields."""
    return hashlib.sha256(_hashed(record)).hexdigest()


def _hashed(record: Record) -> bytes:
    """Return the bytes that `h` is the hash of."""
    fields = {name: value for name, value in record.fields().items() if name != "h"}
    return lines.encode(fields)


def encode(record: Record) -> bytes:
    """Return a record's line: canonical ASCII JSON and a line end."""
    return lines.encode(record.fields(), known_as_plain=record.is_plain) + b"\n"


def hash_of_line(line: bytes, h: str) -> str:
    """Return the correct value of `h` for a record's line: the SHA-256 of the line without its field `h`, whose value is given."""
    return hashlib.sha256(line.replace(f'"h":"{h}",'.encode(), b"", 1)).hexdigest()
