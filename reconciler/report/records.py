"""An audit record in words: one line of the log, or every field of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from reconciler import audit
from reconciler.audit import Record, RecordKind
from reconciler.kinds import audit_labels
from reconciler.plan import DONE, STORED, Action, Result
from reconciler.report import Row, Tone, count, value

UNKNOWN: Final = "not known"
"""Shown where a record has no value. It never means "no"."""

_UNSURE: Final = STORED | {Result.UNKNOWN}


_ENDED: Final = frozenset({RecordKind.OUTCOME, RecordKind.WRITE})
"""Kinds of record that say how a write ended."""


def log_row(record: Record) -> Row:
    """Return a record as one line of the log."""
    data = record.data
    cells = (
        record.event.ts,
        record.kind.value,
        record.event.commit[:12],
        str(data.get("name") or data.get("target") or ""),
        summary(record),
        str(data.get("actor") or ""),
    )
    return Row(cells, tone_of(record), status=record.kind.value, name=cells[3])


def full_row(record: Record) -> Row:
    """Return a record in full: a summary, and a line for each field below."""
    data = record.data
    name, target = str(data.get("name") or ""), str(data.get("target") or "")
    number = f"{record.seq} {record.kind.value}"
    cells = (number, record.event.ts, name, target, summary(record))
    return Row(cells, tone_of(record), details_of(record), status=number, name=name, key=target)


def details_of(record: Record, **more: object) -> tuple[str, ...]:
    """Return every field of a record as an aligned line. `more`: fields from another record."""
    data = {**record.data, **more}
    verb = record.data.get("verb")
    removed = record.kind in _ENDED and verb in {Action.HALT, Action.RETIRE}
    lines = [
        ("values", "of the schedule that was removed" if removed else ""),
        *((label, shown(data[field])) for field, label, shown in _fields() if field in data),
        ("commit", record.event.commit),
        ("run", f"{record.event.run}, its record {record.n}"),
        ("record", record.id),
        ("hash", record.h),
    ]
    told = [(label, text) for label, text in lines if text]
    widest = max(len(label) for label, _ in told)
    return tuple(f"{label:<{widest}}  {text}" for label, text in told)


def tone_of(record: Record) -> Tone:
    """Return the tone of a record."""
    if record.kind is RecordKind.HOLD:
        return Tone.WARN
    if record.kind not in _ENDED:
        return Tone.PLAIN
    result = record.data["result"]
    return Tone.GOOD if result in DONE else Tone.WARN if result in _UNSURE else Tone.BAD


def summary(record: Record) -> str:
    """Return a record in a few words."""
    data = record.data
    match record.kind:
        case RecordKind.OPEN:
            told = count(data.get("operations", 0), "operation")
            said = f"apply: {told}, plan {str(data.get('digest') or UNKNOWN)[:12]}"
            if data.get("purpose") == audit.HALT:  # it carries out no plan
                said = "halt"
        case RecordKind.INTENT:
            said = f"{data['verb']} {data['target']} ({data.get('direction') or UNKNOWN})"
        case RecordKind.OUTCOME | RecordKind.WRITE:
            said = f"{data.get('action')} {data.get('target')}: {_words(data['result'])}"
        case RecordKind.CLOSE:
            counts = data.get("counts") or {}
            ended = (f"{number} {_words(name)}" for name, number in counts.items())
            said = ", ".join(ended) or "ended"
        case RecordKind.HOLD | RecordKind.RELEASE:
            # A stop holds its object first, and once more when it knows what it removes.
            removed = "; records what was stored before" if data.get("body") else ""
            said = f"{held_until(record)}: {data.get('reason')}{removed}"
        case RecordKind.CHECKPOINT:
            kept = count(data["records"], "earlier record")
            said = f"segment {data['segment']} begins, with {kept} that still matter"
        case RecordKind.NOTE:
            said = str(data["text"])
    return f"{said}{unsigned(record)}"


def unsigned(record: Record) -> str:
    """Return a mark for a record of a stop that was taken over without a signature: anybody may have made it up."""
    return " (unsigned)" if record.data.get("unsigned") is True else ""


def held_until(record: Record) -> str:
    """Return how long a record holds its object, or that it released it."""
    if record.kind is RecordKind.RELEASE:
        return "released"
    return f"held until {_until(record.data.get('until'))}"


def _words(thing: object) -> str:
    return str(thing).replace("_", " ")


def who(thing: object) -> str:
    """Return a person or a plan, as far as it is recorded."""
    return UNKNOWN if thing is None else str(thing)


def _if_any(thing: object) -> str:
    return "" if thing is None else value(thing)


def _verified(thing: object) -> str:
    return "not checked" if thing is None else "yes" if thing is True else "NO"


def listed(thing: object) -> str:
    """Return a list on one line: `America/Chicago 9-20; America/New_York 9-20`."""
    return "; ".join(map(value, thing)) if isinstance(thing, list) else _if_any(thing)


def _lists(thing: object) -> str:
    told = [
        f"{each.get('id')} {each.get('status')}, updated {each.get('updated_at') or UNKNOWN}"
        for each in (thing if isinstance(thing, list) else ())
        if isinstance(each, Mapping)
    ]
    return "; ".join(told) or "none recorded"


def _seconds(thing: object) -> str:
    return f"{thing:.3f} s" if isinstance(thing, int | float) else _if_any(thing)


def _until(thing: object) -> str:
    return "released" if thing is None else str(thing)


def _body(thing: object) -> str:
    if not isinstance(thing, Mapping):
        return "no schedule" if thing is None else value(thing)
    return ", ".join(f"{name} {value(each)}" for name, each in thing.items())


Shown = Callable[[object], str]

_BEFORE_BODY: Final[tuple[tuple[str, str, Shown], ...]] = (
    ("actor", "by", who),
    ("approver", "approved by", who),
    ("digest", "as plan", who),
    ("pull_request", "pull request", who),
    ("reviewed_head", "reviewed head", who),
    ("run_url", "log of the run", who),
    ("reason", "reason", _if_any),
    ("until", "until", _until),
    ("action", "action", _if_any),
    ("verb", "what", _words),
    ("direction", "direction", _if_any),
    ("result", "result", _words),
    ("message", "message", _if_any),
    ("timestamp", "took effect", _if_any),
    ("latency_s", "stored to active", _seconds),
    ("schedule_id", "schedule", _if_any),
)

_AFTER_BODY: Final[tuple[tuple[str, str, Shown], ...]] = (
    ("dnc_verified", "DNC verified", _verified),
    ("dnc_lists", "DNC lists", _lists),
    ("body", "body", _body),
    ("superseded", "superseded", _if_any),
    ("accepts", "in place of", _if_any),
    ("applied", "applied before", _if_any),
    ("ledger", "ledger seen", _if_any),
    ("tool", "tool", _if_any),
    ("key", "idempotency key", _if_any),
    ("intent", "of intent", _if_any),
)
"""Fields of a record that follow those of the body, each with its formatter."""


def _fields() -> Iterator[tuple[str, str, Shown]]:
    """Yield the fields of a record in an auditor's order, each with its text; "not known" where a person is not recorded."""
    yield from _BEFORE_BODY
    for name, label in audit_labels().items():
        yield name, label, listed
    yield from _AFTER_BODY
