"""Records of an emergency stop that are not in the ledger yet: events as JSON lines, without a chain.

A stop waits for no ledger. So it writes its events to a ref of its own, which anybody with push rights can write. What is
read from there is checked: only the events of a stop about its own run are accepted, and they must form a consistent run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from reconciler.audit.check import verify
from reconciler.audit.records import (
    DEFECTS_LIMIT,
    FIRST,
    LINE_LIMIT,
    VERSION,
    Event,
    Record,
    chain,
)
from reconciler.audit.schema import HEADER, RecordKind, flaw_of, problem_of
from reconciler.audit.unsigned import of_stops
from reconciler.errors import LedgerError
from reconciler.plan import canonical_json

EVENTS_LIMIT: Final = 200_000
"""Most events of one stop."""

_HEADROOM: Final = 512
"""Bytes of a line that an event must leave free for its place in the ledger: numbers and hashes."""

_PLACE: Final[Mapping[str, Any]] = {
    "id": FIRST,
    "seq": 0,
    "n": 0,
    "prev": FIRST,
    "h": FIRST,
}
"""Header fields that an event gets only in the ledger."""


@dataclass(frozen=True, slots=True)
class StopEvents:
    """The events of one stop, as read.

    Attributes:
        events: those that are accepted, in order.
        ignored: number of lines that are not.
        problem: why the first of them is not; empty if there is none.
    """

    events: tuple[Event, ...]
    ignored: int = 0
    problem: str = ""


def encode_events(events: Iterable[Event]) -> bytes:
    """Return events as lines of canonical JSON."""
    lines = (canonical_json({**each.data, **each.header(), "v": VERSION}) for each in events)
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def decode_events(data: bytes, *, tenant: str, run: str) -> StopEvents:
    """Decode the events of one stop, and accept those that a stop may record.

    Accepted are holds, and the opening, intents, outcomes and close of the stop itself. If these contradict each other, only
    the holds are accepted: a hold can only keep something from dialing.

    Args:
        data: lines, of which anybody may have written any.
        tenant: the platform of the ledger.
        run: the run that the events must belong to.
    """
    found: list[Event] = []
    problems: list[str] = []
    for line in _lines(data):
        if len(problems) == DEFECTS_LIMIT or len(found) == EVENTS_LIMIT:
            problems.append("it has too many lines")
            break
        try:
            found.append(_event(line, tenant, run))
        except (ValueError, RecursionError, LedgerError) as error:
            problems.append(str(error))
    accepted = _accepted(found, tenant)
    if len(accepted) < len(found):
        problems.append("it holds records other than those of the stop itself")
    number = len(problems) + max(0, len(found) - len(accepted) - 1)
    return StopEvents(tuple(accepted), number, next(iter(problems), ""))


def _lines(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        yield data[at:] if end < 0 else data[at:end]
        at = len(data) if end < 0 else end + 1


def _event(line: bytes, tenant: str, run: str) -> Event:
    """Decode one line.

    Raises:
        ValueError, RecursionError, LedgerError: it is not an event of this stop.
    """
    if len(line) > LINE_LIMIT - _HEADROOM:
        raise ValueError(f"a line has {len(line)} bytes; {LINE_LIMIT - _HEADROOM} are allowed")
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("a line is not JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("a line is not a record")  # noqa: TRY004 - a defect of the file, not of the program
    if fields.get("v") != VERSION:
        raise ValueError("a record has another version")
    if (flaw := flaw_of(fields)) is not None:
        raise ValueError(flaw)
    if (problem := problem_of({**fields, **_PLACE})) is not None:
        raise ValueError(problem)
    if fields["tenant"] != tenant or fields["run"] != run:
        raise ValueError("a record belongs to another platform or run")
    event = Event(
        RecordKind(fields["kind"]),
        tenant,
        fields["commit"],
        run,
        fields["ts"],
        MappingProxyType({name: value for name, value in fields.items() if name not in HEADER}),
    )
    chain(event, None, 0)  # it can be written to the ledger
    return event


def _accepted(events: Sequence[Event], tenant: str) -> list[Event]:
    records = _chained(events)
    own = {each.id for each in of_stops(records)}
    found = [each for each in records if each.id in own or each.kind is RecordKind.HOLD]
    accepted = _unique([each.event for each in found])
    if accepted and verify({accepted[0].commit: _chained(accepted)}, tenant=tenant):
        return [
            each
            for each in accepted
            if each.kind is RecordKind.HOLD and each.commit == accepted[0].commit
        ]
    return accepted


def _unique(events: Iterable[Event]) -> list[Event]:
    return list({each.id: each for each in reversed(list(events))}.values())[::-1]


def _chained(events: Iterable[Event]) -> list[Record]:
    """Return the events as the records of a ledger that holds nothing else."""
    records: list[Record] = []
    for seq, event in enumerate(events):
        records.append(chain(event, records[-1] if records else None, seq))
    return records
