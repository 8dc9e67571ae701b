"""Queries over a ledger's records. All of them take the records in the ledger's order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from reconciler.audit.order import EffectOrder, moment
from reconciler.audit.records import Record, stamp
from reconciler.audit.schema import (
    APPLY,
    EVERYTHING,
    HOLD,
    INTENT,
    NOTE,
    OPEN,
    OUTCOME,
    RELEASE,
    WRITE,
)
from reconciler.audit.writes import (
    Applied,
    LastWrites,
    found_target,
    is_imported,
    left_something,
)
from reconciler.plan import DONE, Action, Result

SLACK: Final = timedelta(seconds=3)
"""Largest difference between two clocks of whole seconds that still counts as none."""

_SHORTEST_ID: Final = 7
"""Fewest digits that name a commit."""


def _writes(records: Iterable[Record]) -> tuple[dict[str, Record], list[str]]:
    """Return the intents by id, in order, and the intent id of each outcome."""
    intents: dict[str, Record] = {}
    ended: list[str] = []
    for record in records:
        if record.kind is INTENT:
            intents[record.id] = record
        elif record.kind is OUTCOME:
            ended.append(record.data["intent"])
    return intents, ended


def open_generations(records: Iterable[Record]) -> dict[tuple[str, str], int]:
    """Return the generation of each open intent of an apply, by (commit, operation hash).

    A run that repeats such a write uses the same generation, and so the same idempotency key. Intents of a further attempt
    are left out: recovery records their outcome, and the write is planned anew.
    """
    return {
        (intent.event.commit, intent.data["op"]): intent.data["generation"]
        for intent in open_intents(records)
        if intent.data["attempt"] == 0 and intent.data["verb"] != Action.HALT
    }


def next_seq(records: Sequence[Record]) -> int:
    """Return the number of the next record of a ledger."""
    return records[-1].seq + 1 if records else 0


def open_intents(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the intents without an outcome, in order."""
    intents, ended = _writes(records)
    done = set(ended)
    return tuple(intent for id_, intent in intents.items() if id_ not in done)


def may_be_sent(records: Iterable[Record], create: Record) -> bool:
    """Return whether an open create may have been sent.

    That is so if it is a further attempt, or if a run began to send its creates after the intent was recorded.

    The intent may be older than the run that sent it: a run that sends an open create again records no second intent.
    """
    return create.data["attempt"] > 0 or any(
        record.kind is NOTE and record.data.get("creating") is True and record.seq > create.seq
        for record in records
    )


def applied_commits(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the commits that were applied, the last one last.

    An apply with something to do opened a run. An apply with nothing to do left a note if its commit changed rules or limits,
    or if it took over objects that it found. An emergency stop applies no commit.
    """
    return tuple(record.event.commit for record in records if is_about_apply(record))


def judging_commits(records: Iterable[Record]) -> tuple[str, ...]:
    """Return the applied commits whose rules and limits judge the next change (`Run.judges`), the last one last."""
    return tuple(record.event.commit for record in records if judges(record))


def is_about_apply(record: Record) -> bool:
    """Return whether a record says that its commit was applied."""
    return (
        (record.kind is OPEN and record.data.get("purpose", APPLY) == APPLY)
        or (record.kind is NOTE and record.data.get("judge") is True)
        or (found_target(record) is not None and not is_imported(record))
    )


def judges(record: Record) -> bool:
    """Return whether the rules and limits of a record's commit judge the next change (`Run.judges`)."""
    return is_about_apply(record) and record.data.get("judges") is not False


def holds(
    records: Iterable[Record], *, now: datetime, keys: Iterable[str] = ()
) -> dict[str, Record]:
    """Return the longest-lasting hold on each object, by key: a second stop does not end an earlier one. `keys`: see `standing`."""
    found = standing(records, now=now, keys=keys)
    return {target: max(reversed(each), key=_lasts) for target, each in found.items()}


def standing(
    records: Iterable[Record], *, now: datetime, keys: Iterable[str] = ()
) -> dict[str, tuple[Record, ...]]:
    """Return all holds in force on each object, by key, in order. Each has its own reason; one release ends them all.

    A hold of `EVERYTHING` stands under that key, and holds each object that was not released since. A stop of everything holds what
    it finds by itself, too; that counts as one hold.

    Args:
        records: in order.
        now: when.
        keys: the objects whose holds include those of `EVERYTHING`.
    """
    found: dict[str, list[Record]] = {}
    released: dict[str, int] = {}
    for record in records:
        if record.kind is HOLD:
            held = found.get(record.data["target"], [])
            others = [each for each in held if not _is_repeated(each, record)]
            found[record.data["target"]] = [*others, record]
        elif record.kind is RELEASE:
            found.pop(record.data["target"], None)
            released[record.data["target"]] = record.seq
    moment = stamp(now)
    stands = {
        target: tuple(each for each in held if (until := _end(each)) is None or until > moment)
        for target, held in found.items()
    }
    for key in keys if stands.get(EVERYTHING) else ():
        own, since = stands.get(key, ()), released.get(key, -1)
        runs = {each.event.run for each in own}
        wide = (each for each in stands[EVERYTHING] if each.event.run not in runs)
        every = (*own, *(each for each in wide if each.seq > since))
        stands[key] = tuple(sorted(every, key=lambda each: each.seq))
    return {target: held for target, held in stands.items() if held}


def _is_repeated(hold: Record, later: Record) -> bool:
    """Return whether a stop recorded a hold once more: it learned later what had been stored."""
    names = ("name", "reason", "until")
    same = all(hold.data[name] == later.data[name] for name in names)
    return same and hold.event.run == later.event.run and "body" not in hold.data


def _lasts(hold: Record) -> tuple[bool, str]:
    """Return a sort key for how long a hold lasts; a hold without an end lasts longest."""
    until = _end(hold)
    return until is None, str(until)


def _end(hold: Record) -> str | None:
    """Return when a hold ends by itself, in the format of `stamp`; `None` if it lasts until released."""
    until: str | None = hold.data["until"]
    return until


def about(records: Iterable[Record], what: str) -> tuple[Record, ...]:
    """Return the records of a commit (its id, or at least 7 digits of it) or of an object (its name or key).

    The record of a commit that was never applied by itself is in the run that superseded it.
    """
    return tuple(record for record in records if _is_about(record, what))


def is_of(record: Record, what: str) -> bool:
    """Return whether a record is about the object with a name or key."""
    return what in {record.data.get("target"), record.data.get("name")}


def _is_about(record: Record, what: str) -> bool:
    if is_of(record, what):
        return True
    others = (str(record.data.get(name, "")) for name in ("superseded", "accepts"))
    commits = (record.event.commit, *others)
    return len(what) >= _SHORTEST_ID and any(each.startswith(what) for each in commits)


@dataclass(frozen=True, slots=True)
class State:
    """What the platform held for an object at an instant, according to the ledger.

    Attributes:
        stored: the write (or `found` note) of the schedule that was stored then; `None` if not recorded.
        active: the same for the schedule that was active then.
    """

    stored: Applied | None
    active: Applied | None


def at(records: Iterable[Record], instant: datetime, target: str) -> State:
    """Return what was stored and active for an object at an instant, by the platform's clock if it is known.

    A write took effect at the `timestamp` of its outcome, and was stored `latency_s` before that, but not before its intent. Of
    several writes the one that took effect last counts (`EffectOrder`), wherever its record is.
    What an import found was stored; whether it was active is not recorded.
    """
    found: Applied | None = None
    stored, active = _LastEvent(instant), _LastEvent(instant)
    intents: dict[str, Record] = {}
    for record in records:
        if record.kind is INTENT:
            intents[record.id] = record
        elif left_something(record) and (intent := intents.get(record.data["intent"])):
            if intent.data["target"] != target:
                continue
            write = Applied(intent, record)
            stored.add(write, _stored_at(write))
            if record.data["result"] in DONE:
                active.add(write, moment(record))
        elif _stands_alone(record, target):
            write, when = Applied(record, record), moment(record)
            if is_imported(record):
                found = write if when <= instant else found
                continue
            stored.add(write, when)
            if record.data.get("result", Result.CONFIRMED) in DONE:
                active.add(write, when)
    return State(stored.write or found, active.write)


class _LastEvent:
    """The last event up to an instant, by `EffectOrder`.

    Attributes:
        write: the write of that event; `None` if there is none.
    """

    def __init__(self, instant: datetime) -> None:
        self.write: Applied | None = None
        self._instant = instant
        self._order = EffectOrder()
        self._place: datetime | None = None

    def add(self, write: Applied, when: datetime) -> None:
        """Take in the next event of the ledger, and when it took effect according to its record."""
        if when > self._instant:  # a forged instant of the future must place no other event
            return
        place = self._order.place(write.outcome, when)
        if self._place is None or place >= self._place:
            self.write, self._place = write, place


def _stands_alone(record: Record, target: str) -> bool:
    """Return whether one record says what was stored for an object: a note about what was found, or a write that a repair kept."""
    is_write = record.kind is WRITE and record.data["target"] == target
    return is_write or found_target(record) == target


def _stored_at(write: Applied) -> datetime:
    """Return when a write was stored. A latency that leads to before the intent, or to after the outcome, is ignored."""
    took_effect = moment(write.outcome)
    latency = timedelta(seconds=write.outcome.data.get("latency_s") or 0)
    lasted = _ours(write.outcome) - _ours(write.intent)
    return took_effect - latency if timedelta() <= latency <= lasted + SLACK else took_effect


class Offsets:
    """How far the platform's clock was ahead of ours in each run, from those of its records that have both times."""

    def __init__(self) -> None:
        """Begin without records."""
        self._ahead: dict[str, timedelta] = {}

    def noting(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the records, and take in their times."""
        for record in records:
            if "timestamp" in record.data:
                self._ahead[record.event.run] = moment(record) - _ours(record)
            yield record

    def of(self, record: Record) -> timedelta:
        """Return the offset in a record's run; zero if it is not known."""
        return self._ahead.get(record.event.run, timedelta())


def until(
    records: Iterable[Record], instant: datetime, ahead: Offsets | None = None
) -> tuple[Record, ...]:
    """Return the records that were made up to an instant of the platform's clock.

    A record without the platform's time gets an estimated one.

    Args:
        records: in order.
        instant: the instant.
        ahead: the offsets between the two clocks; by default from these records.
    """
    if ahead is None:
        ahead = Offsets()
        records = tuple(ahead.noting(records))
    return tuple(each for each in records if _ours(each) + ahead.of(each) <= instant)


def _ours(record: Record) -> datetime:
    return datetime.fromisoformat(record.event.ts)


def last_changes(records: Iterable[Record], field: str) -> dict[str, datetime | None]:
    """Return when the stored value of a field last changed, by the object's key; `None` where only one value is known."""
    writes = LastWrites()
    values: dict[str, object] = {}
    found: dict[str, datetime | None] = {}
    for record in records:
        writes.add(record)
        target = str(record.data.get("target"))
        last = writes.last.get(target)
        body = last.intent.data["body"] if last and last.outcome is record else None
        if body is None or field not in body:
            continue
        if target not in values:
            found[target] = None
        elif values[target] != body[field]:
            found[target] = moment(record)
        values[target] = body[field]
    return found


def latest(records: Iterable[Record]) -> datetime | None:
    """Return the latest instant of the platform's clock in the records; `None` if there is none."""
    said = (record.data.get("timestamp") or record.data.get("clock") for record in records)
    return max(map(datetime.fromisoformat, filter(None, said)), default=None)


COLUMNS: Final = (
    *("timestamp", "campaign_id", "name", "action", "result", "dial_rate", "max_concurrent"),
    *("dnc_verified", "dnc_lists", "schedule_id", "compliance_windows", "latency_s"),
    *("actor", "approver", "pull_request", "reviewed_head", "run_url", "digest"),
    *("commit", "run", "seq", "id", "message"),
)
"""Fields of an exported audit entry, in order."""


_ENTRIES: Final = frozenset({OUTCOME, WRITE})


def entries(
    records: Iterable[Record], *, since: datetime | None = None, until: datetime | None = None
) -> list[dict[str, Any]]:
    """Return the audit entries (outcomes) that took effect in [since, until), each with `COLUMNS`; `None` is "not known".

    They are in the order in which they took effect (`EffectOrder`).
    """
    order = EffectOrder()
    every = [(order.place(each, moment(each)), each) for each in records if each.kind in _ENTRIES]
    every.sort(key=lambda placed: placed[0])
    return [
        {name: record.fields().get(name) for name in COLUMNS}
        for _, record in every
        if (since is None or moment(record) >= since) and (until is None or moment(record) < until)
    ]
