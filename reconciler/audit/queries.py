"""What a ledger says: questions over its records, which come in the ledger's order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from reconciler.audit.records import Record, RecordKind, stamp
from reconciler.plan import DONE, Result

_LEFT_SOMETHING: Final = frozenset({*DONE, Result.STORED_NOT_ACTIVE})


def _left_something(record: Record) -> bool:
    return record.kind is RecordKind.OUTCOME and record.data["result"] in _LEFT_SOMETHING


def generations(records: Iterable[Record]) -> Counter[tuple[str, str]]:
    """Return how many outcomes there are for each (commit, operation hash), the commit being the intent's."""
    intents: dict[str, tuple[str, str]] = {}
    ended: list[str] = []
    for record in records:
        if record.kind is RecordKind.INTENT:
            intents[record.id] = (record.event.commit, record.data["op"])
        elif record.kind is RecordKind.OUTCOME:
            ended.append(record.data["intent"])
    return Counter(intents[each] for each in ended if each in intents)


def open_intents(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the intents that have no outcome, in order: writes whose fate the ledger does not tell."""
    intents: dict[str, Record] = {}
    ended: set[str] = set()
    for record in records:
        if record.kind is RecordKind.INTENT:
            intents[record.id] = record
        elif record.kind is RecordKind.OUTCOME:
            ended.add(record.data["intent"])
    return tuple(record for id_, record in intents.items() if id_ not in ended)


@dataclass(frozen=True, slots=True)
class Applied:
    """What was last made of an object: the write and how it ended."""

    intent: Record
    outcome: Record


def applied(records: Iterable[Record]) -> dict[str, Applied]:
    """Return what was last applied to each object, by key: the base of drift."""
    intents: dict[str, Record] = {}
    last: dict[str, Applied] = {}
    for record in records:
        if record.kind is RecordKind.INTENT:
            intents[record.id] = record
        elif _left_something(record) and (intent := intents.get(record.data["intent"])):
            last[intent.data["target"]] = Applied(intent, record)
    return last


def holds(records: Iterable[Record], *, now: datetime) -> dict[str, Record]:
    """Return the hold that stands on each object, by key."""
    standing: dict[str, Record] = {}
    for record in records:
        if record.kind is RecordKind.HOLD:
            standing[record.data["target"]] = record
        elif record.kind is RecordKind.RELEASE:
            standing.pop(record.data["target"], None)
    moment = stamp(now)
    return {
        target: record
        for target, record in standing.items()
        if record.data.get("until") is None or record.data["until"] > moment
    }
