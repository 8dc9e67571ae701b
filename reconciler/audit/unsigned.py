"""Select the unsigned records that count although signing is required: holds and the records of emergency stops.

Both can only narrow dialing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from reconciler.audit.records import LINE_LIMIT, Event, Record, encode
from reconciler.audit.schema import HALT, RecordKind
from reconciler.plan import Action, sha256_of

_HEADROOM: Final = 512
"""Bytes of a line that an unsigned hold must leave free, so that it can be recorded again."""

_UNCHECKED: Final = frozenset({"body"})
"""Fields of an unsigned hold that are dropped: the stored body would become the base of later plans, which could widen."""


def of_stops(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the records that emergency stops wrote about their own runs, except holds."""
    runs = {
        each.event.run
        for each in records
        if each.kind is RecordKind.OPEN and each.data.get("purpose") == HALT
    }
    intents = {
        each.id
        for each in records
        if each.kind is RecordKind.INTENT and each.data["verb"] == Action.HALT
    }
    for each in records:
        if each.event.run in runs and (
            each.kind in {RecordKind.OPEN, RecordKind.CLOSE}
            or each.id in intents
            or (each.kind is RecordKind.OUTCOME and each.data["intent"] in intents)
        ):
            yield each


def holds_to_repeat(
    records: Iterable[Record], *, tenant: str, runs: Collection[str]
) -> Iterator[Event]:
    """Yield the holds among unsigned records as events that can be recorded again.

    Args:
        records: unsigned records.
        tenant: only its holds count.
        runs: runs that have records already. A hold of such a run gets a run of its own, because chains must not fork.
    """
    homes: dict[str, str] = {}
    for record in records:
        event = record.event
        if record.kind is not RecordKind.HOLD or event.tenant != tenant:
            continue
        data = {name: value for name, value in event.data.items() if name not in _UNCHECKED}
        event = replace(event, data={**data, "unsigned": True})
        if event.run in runs or homes.setdefault(event.run, event.commit) != event.commit:
            event = replace(event, run=f"unsigned-{sha256_of([event.run, event.commit])[:24]}")
        if len(encode(replace(record, event=event))) <= LINE_LIMIT - _HEADROOM:
            yield event


def unsigned_of_stop(events: Iterable[Event]) -> Iterator[Event]:
    """Yield the events of one stop that count without a signature, marked as unsigned: anybody may have made them up.

    Stored bodies and ids are dropped: later plans would compare with them, which could widen.
    """
    for event in events:
        dropped = _UNCHECKED if event.kind is RecordKind.HOLD else ()
        data = {name: value for name, value in event.data.items() if name not in dropped}
        if event.kind is not RecordKind.OUTCOME or data["schedule_id"] is None:
            yield replace(event, data={**data, "unsigned": True})
