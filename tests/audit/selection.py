"""The selection that a state holds, rule by rule, as the page of the format words it: slow, and independent of `audit.compact`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

from reconciler.audit import Event, Record, RecordKind, applied, latest
from reconciler.audit.checkpoints import EXPIRED, RECENT
from reconciler.audit.queries import is_about_apply, judges
from reconciler.audit.schema import HALT
from reconciler.audit.writes import (
    Applied,
    found_target,
    is_stored_hold,
    may_have_left,
    missing_target,
)

_JUDGES = 2


def selected(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return the records that a state must hold, in order."""
    of = _by_kind(records)
    kept = {
        each.seq
        for each in (
            *records[:1],
            *_creating(of),
            *_commits(records),
            *_runs(records, of),
            *_holds(records, of),
        )
    }
    last = applied(records)
    for each in last.values():
        kept.update(record.seq for record in _beside(each))
    kept.update(_found_holds(of, last))
    writes = {each.seq: each for each in _writes(of, last, kept)}
    last |= {
        (target := each.data["target"]): last[target]._replace(intent=each, outcome=each)
        for each in writes.values()
    }
    kept.update(
        record.seq
        for each in last.values()
        for record in (each.intent, each.outcome)
        if record.seq not in writes
    )
    kept = _whole(of, kept)
    replaced = tuple(writes.get(each.seq, each) for each in records)
    return _as_applied(replaced, of, kept | writes.keys(), last)


_ByKind: TypeAlias = Mapping[RecordKind, Sequence[Record]]
"""The records of each kind, in order: most questions are about one or two kinds, and a segment has thousands of records."""


def _by_kind(records: Iterable[Record]) -> _ByKind:
    found: dict[RecordKind, list[Record]] = {kind: [] for kind in RecordKind}
    for record in records:
        found[record.event.kind].append(record)
    return found


def _creating(of: _ByKind) -> Iterator[Record]:
    for record in reversed(of[RecordKind.NOTE]):
        if record.data.get("creating") is True:
            yield record
            return


def _commits(records: Sequence[Record]) -> Iterator[Record]:
    """Yield the record of the last applied commit, and of the last distinct commits that judge."""
    commits: set[str] = set()
    is_first = True
    for record in reversed(records):
        if not is_about_apply(record):
            continue
        if is_first:
            yield record
            is_first = False
        if judges(record) and record.event.commit not in commits:
            commits.add(record.event.commit)
            yield record
        if len(commits) == _JUDGES:
            return


def _runs(records: Sequence[Record], of: _ByKind) -> Iterator[Record]:
    """Yield the opening and the last record of each run that may go on."""
    others = {RecordKind.CHECKPOINT, RecordKind.WRITE}
    tips = {each.event.run: each for each in records if each.event.kind not in others}
    opened = {each.event.run: each for each in of[RecordKind.OPEN]}
    for run, tip in tips.items():
        begun = opened.get(run)
        stops = begun is not None and begun.data.get("purpose") == HALT
        if tip.kind is RecordKind.CLOSE or not (stops or tip.seq > records[-1].seq - RECENT):
            continue
        yield tip
        if begun is not None:
            yield begun


def _holds(records: Sequence[Record], of: _ByKind) -> Iterator[Record]:
    """Yield the holds that are not released, unless they expired long ago (`EXPIRED`)."""
    held: dict[str, list[Record]] = {}
    for record in _holds_and_releases(of):
        if record.kind is RecordKind.HOLD:
            held.setdefault(record.data["target"], []).append(record)
        else:
            held.pop(record.data["target"], None)
    clock = latest(records) if held else None
    for each in held.values():
        yield from (hold for hold in each if not _expired_long_ago(hold, clock))


def _holds_and_releases(of: _ByKind) -> list[Record]:
    both = (*of[RecordKind.HOLD], *of[RecordKind.RELEASE])
    return sorted(both, key=lambda each: each.seq)


def _expired_long_ago(hold: Record, clock: datetime | None) -> bool:
    until = hold.data["until"]
    if until is None or clock is None:
        return False
    return clock - datetime.fromisoformat(until) > EXPIRED


def _writes(of: _ByKind, last: Mapping[str, Applied], kept: Collection[int]) -> Iterator[Record]:
    """Yield the last writes whose intent and outcome become one line."""
    unsettled = {each.data["target"] for each in _open(of)}
    opened = {each.seq for each in _open(of)}
    for target, each in last.items():
        intent, outcome = each.intent, each.outcome
        later = (hold for hold in of[RecordKind.HOLD] if is_stored_hold(hold))
        if (
            intent.kind is RecordKind.INTENT
            and intent.data["verb"] != "halt"
            and outcome.data["result"] != "unknown"
            and intent.event.run == outcome.event.run
            and intent.event.commit == outcome.event.commit
            and not {intent.seq, outcome.seq} & {*kept, *opened}
            and each.missing is None
            and target not in unsettled
            and not any(found.seq < outcome.seq for found in each.imports)
            and not any(hold.data["target"] == target and hold.seq > intent.seq for hold in later)
        ):
            yield write(intent, outcome)


def write(intent: Record, outcome: Record) -> Record:
    """Return the `write` of a state as the page words it."""
    wanted = ("after", "base", "body", "emptied")
    data = {**outcome.data, **{name: intent.data[name] for name in wanted if name in intent.data}}
    event = Event(
        RecordKind.WRITE,
        outcome.event.tenant,
        outcome.event.commit,
        outcome.event.run,
        outcome.event.ts,
        data,
    )
    return Record(event, outcome.seq, outcome.n, outcome.prev, outcome.h, outcome.id)


def _beside(last: Applied) -> Iterator[Record]:
    if last.stopped is not None:
        yield from last.stopped.records
    if last.missing is not None:
        yield last.missing
    yield from last.imports


def _found_holds(of: _ByKind, last: dict[str, Applied]) -> Iterator[int]:
    """Yield the newest hold with a stored body of each object, unless no later stop can refer to it.

    A stop refers to a hold that is later than the last write to the object. An open intent may still become the last write.
    """
    unsettled = {each.data["target"] for each in _open(of)}
    newest = {each.data["target"]: each for each in of[RecordKind.HOLD] if is_stored_hold(each)}
    for target, hold in newest.items():
        before = last.get(target)
        if target in unsettled or before is None or hold.seq > before.intent.seq:
            yield hold.seq


def _open(of: _ByKind) -> list[Record]:
    ended = {each.data["intent"] for each in of[RecordKind.OUTCOME]}
    return [each for each in of[RecordKind.INTENT] if each.id not in ended]


def _whole(of: _ByKind, kept: Collection[int]) -> set[int]:
    """Return `kept` with open intents, and with what ends kept records: the outcome of an intent, the release of a hold, the close of a run."""
    whole = {*kept, *(each.seq for each in _open(of))}
    intents = {each.id for each in of[RecordKind.INTENT] if each.seq in whole}
    whole.update(each.seq for each in of[RecordKind.OUTCOME] if each.data["intent"] in intents)
    held: set[str] = set()
    released: dict[str, int] = {}
    for record in _holds_and_releases(of):
        target = record.data["target"]
        if record.kind is RecordKind.RELEASE and held & {target, "*"}:
            released[target] = record.seq
        elif record.kind is RecordKind.HOLD and record.seq in whole:
            held.add(target)
    whole.update(released.values())
    runs = {
        each.event.run
        for kind, some in of.items()
        for each in some
        if each.seq in whole and kind is not RecordKind.WRITE
    }
    whole.update(each.seq for each in of[RecordKind.CLOSE] if each.event.run in runs)
    return whole


def _as_applied(
    records: Sequence[Record], of: _ByKind, kept: set[int], last: dict[str, Applied]
) -> tuple[Record, ...]:
    """Return the kept records; of an object for which they would not show the same last write, all that concern it.

    That happens when several stops and a run write to one object at once, and their outcomes are recorded out of order.
    """
    chosen = tuple(each for each in records if each.seq in kept)
    shown = applied(chosen)
    odd = {key for key in last.keys() | shown.keys() if shown.get(key) != last.get(key)}
    if not odd:
        return chosen
    intents = {each.id for each in of[RecordKind.INTENT] if each.data["target"] in odd}
    kept = kept | {
        each.seq
        for each in records
        if each.id in intents
        or (may_have_left(each) and each.data["intent"] in intents)
        or (is_stored_hold(each) and each.data["target"] in odd)
        or found_target(each) in odd
        or missing_target(each) in odd
        or (each.kind is RecordKind.WRITE and each.data["target"] in odd)
    }
    kept = _whole(of, kept)
    return tuple(each for each in records if each.seq in kept)
