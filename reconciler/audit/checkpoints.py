"""Select the records of a ledger that still matter: the state that a checkpoint holds.

The selection is made of records in order. They are unchanged, except that an intent and its outcome become one record where
nothing else needs the two (`write_of`). So every query reads a state like any other records: for all records `a` and `b`, a query
of `(*compact(a), *b)` has the same result as one of `(*a, *b)`. A query for the holds in force has it for every instant that is
at most `EXPIRED` before the platform's clock.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any, Final

from reconciler.audit.queries import is_about_apply, judges, latest
from reconciler.audit.records import Event, Record, as_stamp, encode, stamp
from reconciler.audit.schema import (
    CHECKPOINT,
    EVERYTHING,
    HALT,
    HOLD,
    INTENT,
    NOTE,
    OUTCOME,
    WRITE,
    RecordKind,
)
from reconciler.audit.writes import (
    Applied,
    LastWrites,
    applied,
    found_target,
    is_stored_hold,
    left_something,
    may_have_left,
    missing_target,
    write_of,
)
from reconciler.plan import Action

RECENT: Final = 10_000
"""A run that is not closed may go on only if one of this many newest records is its own, unless it is an emergency stop."""

_JUDGES: Final = 2
"""Distinct commits that the policy baseline is chosen from: the commit applied last, and the one before it."""

EXPIRED: Final = timedelta(days=30)
"""A hold is left out of a state when it ended this long before the latest instant of the platform's clock. No two clocks differ by so much."""

_EPOCH: Final = "1970-01-01T00:00:00.000Z"

CUT: Final = "cut"
"""The run of a repair's checkpoint is named this and the number of its segment, so that a ledger commit's message shows it."""


def compact(records: Iterable[Record]) -> tuple[Record, ...]:
    """Return the records that later queries need, in order.

    These are: the ledger's first record; for each object the last write, what an emergency stop ended, and what imports found
    since; open intents; holds in force; the last record that creates may be sent; the records that name the last applied commit
    and the last commits that judge; and of each run that may go on its opening and its last record.

    Holds are kept for 30 days after they expired (`EXPIRED`), because clocks differ.

    Args:
        records: all records, or the state of a checkpoint and the records after it.
    """
    selection = Selection()
    for record in records:
        selection.add(record)
    return selection.fold()


class Selection:
    """The records that still matter, while records are read in order: `fold` is `compact` of the last fold and what was added since."""

    def __init__(self) -> None:
        """Begin without records."""
        self._records: list[Record] = []
        self._writes = LastWrites()
        self._open: dict[str, Record] = {}
        self._outcomes: dict[str, Record] = {}
        self._tips: dict[str, Record] = {}
        self._opened: dict[str, Record] = {}
        self._closes: dict[str, Record] = {}
        self._holds: list[Record] = []
        self._creating: Record | None = None
        self._applied: Record | None = None
        self._judges: dict[str, Record] = {}

    def add(self, record: Record) -> None:
        """Take in the next record."""
        kind, run = record.event.kind, record.event.run
        self._records.append(record)
        if kind is OUTCOME:
            intent = record.event.data["intent"]
            self._tips[run] = self._outcomes[intent] = record
            self._open.pop(intent, None)
            self._writes.add(record)
        elif kind is INTENT:
            self._tips[run] = record
            if record.id not in self._outcomes:
                self._open[record.id] = record
            self._writes.add(record)
        else:
            self._add_other(record, kind, run)

    def _add_other(self, record: Record, kind: RecordKind, run: str) -> None:
        if kind is WRITE:
            self._writes.add(record)
            return
        if kind is not CHECKPOINT:
            self._tips[run] = record
        if kind is RecordKind.OPEN:
            self._opened[run] = record
        elif kind is RecordKind.CLOSE:
            self._closes[run] = record
        elif kind is NOTE:
            self._writes.add(record)
            if record.data.get("creating") is True:
                self._creating = record
        elif kind is HOLD or kind is RecordKind.RELEASE:
            self._holds.append(record)
            self._writes.add(record)
        if is_about_apply(record):
            self._applied = record
            if judges(record):
                self._judges.pop(record.event.commit, None)
                self._judges[record.event.commit] = record

    def fold(self) -> tuple[Record, ...]:
        """Return the records that still matter, in order, and continue from these alone, as a state does."""
        last, settled = self._writes.last, self._writes.settled
        unfolded = {target: each for target, each in last.items() if target not in settled}
        extra: list[Record] = [*self._records[:1], *self._open.values(), *self._singles()]
        extra += self._unreleased()
        extra += self._going()
        for each in unfolded.values():
            if each.stopped is not None:
                extra += each.stopped.records
            extra += each.imports
            if each.missing is not None:
                extra.append(each.missing)
        extra += self._found_holds()
        chosen = {each.seq: each for each in extra}
        self._settle(unfolded, chosen)
        for each in map(last.__getitem__, unfolded):
            intent, outcome = each.intent, each.outcome
            if intent is not outcome:
                chosen[intent.seq] = intent
            chosen[outcome.seq] = outcome
        self._complete(chosen, extra)
        self._keep_odd(chosen)
        self._forget(chosen)
        chosen.update(settled.values())
        self._records = [*_in_order(chosen)]
        return tuple(self._records)

    def _settle(self, unfolded: Mapping[str, Applied], chosen: Collection[int]) -> None:
        """Make one record of each last write that nothing else refers to.

        An intent and its outcome stay two records if the write is a stop or unknown, if another rule keeps one of them, if two
        runs recorded them, or if a later record depends on the place of the intent: an open intent on the object, a hold that
        found something stored, or an import before the outcome.

        Args:
            unfolded: the last writes that are not settled (`LastWrites`), by key of the object.
            chosen: numbers of the records that other rules keep.
        """
        unsettled = {each.event.data["target"] for each in self._open.values()}
        for target, each in unfolded.items():
            intent, outcome = each.intent, each.outcome
            if intent is outcome or target in unsettled or not left_something(outcome):
                continue
            if each.stopped is not None or each.missing is not None:
                continue
            if intent.event.run != outcome.event.run or intent.event.commit != outcome.event.commit:
                continue
            if intent.event.data["verb"] == _HALT:
                continue
            if each.imports and each.imports[0].seq < outcome.seq:
                continue
            if intent.seq in chosen or outcome.seq in chosen:
                continue
            hold = self._writes.found.get(target)
            if hold is None or hold.seq < intent.seq:
                self._writes.settle(target, write_of(intent, outcome), each.imports)

    def _forget(self, chosen: Mapping[int, Record]) -> None:
        """Leave what the chosen records and the settled writes alone would have left."""
        kept = _in_order(chosen)
        self._writes.restrict(kept)
        others = [each for each in kept if each.event.kind is not WRITE]
        self._outcomes = {
            each.event.data["intent"]: each for each in others if each.event.kind is OUTCOME
        }
        self._tips = {each.event.run: each for each in others if each.event.kind is not CHECKPOINT}
        self._opened = {run: each for run, each in self._opened.items() if each.seq in chosen}
        self._closes = {run: each for run, each in self._closes.items() if each.seq in chosen}
        self._holds = [each for each in self._holds if each.seq in chosen]
        self._judges = dict(list(self._judges.items())[-_JUDGES:])

    def _singles(self) -> Iterator[Record]:
        """Yield the record of the last applied commit, of the last distinct commits that judge, and that creates may be sent."""
        yield from (each for each in (self._creating, self._applied) if each is not None)
        yield from list(self._judges.values())[-_JUDGES:]

    def _going(self) -> Iterator[Record]:
        """Yield the opening and the last record of each run that may go on."""
        for run, tip in self._tips.items():
            if tip.event.kind is RecordKind.CLOSE:
                continue
            begun = self._opened.get(run)
            stops = begun is not None and begun.data.get("purpose") == HALT
            if stops or tip.seq > self._records[-1].seq - RECENT:
                yield tip
                if begun is not None:
                    yield begun

    def _unreleased(self) -> Iterator[Record]:
        """Yield the holds that are not released, unless they expired long ago (`EXPIRED`)."""
        held: dict[str, list[Record]] = {}
        for record in self._holds:
            if record.kind is HOLD:
                held.setdefault(record.data["target"], []).append(record)
            else:
                held.pop(record.data["target"], None)
        holds = [hold for each in held.values() for hold in each]
        ends = any(hold.data["until"] is not None for hold in holds)
        clock = latest(self._records) if ends else None
        yield from (hold for hold in holds if not _expired_long_ago(hold, clock))

    def _found_holds(self) -> Iterator[Record]:
        """Yield the newest hold with a stored body of each object, unless no later stop can refer to it.

        A stop refers to a hold that is later than the last write to the object. An open intent may still become the last write.
        """
        unsettled = {each.data["target"] for each in self._open.values()}
        for target, hold in self._writes.found.items():
            before = self._writes.last.get(target)
            if target in unsettled or before is None or hold.seq > before.intent.seq:
                yield hold

    def _complete(self, chosen: dict[int, Record], added: Iterable[Record]) -> None:
        """Add what ends chosen records: the outcome of an intent, the release of a hold, the close of a run.

        Args:
            chosen: the records that are kept, by number.
            added: those of them that are not the last write to an object, which is ended.
        """
        for record in added:
            if record.event.kind is INTENT and (outcome := self._outcomes.get(record.id)):
                chosen[outcome.seq] = outcome
        held: set[str] = set()
        released: dict[str, Record] = {}
        for record in self._holds:
            target = record.data["target"]
            if record.kind is RecordKind.RELEASE and not held.isdisjoint((target, EVERYTHING)):
                released[target] = record
            elif record.kind is HOLD and record.seq in chosen:
                held.add(target)
        chosen.update((each.seq, each) for each in released.values())
        runs = {each.event.run for each in chosen.values() if each.event.kind is not WRITE}
        for run in runs & self._closes.keys():
            chosen[self._closes[run].seq] = self._closes[run]

    def _keep_odd(self, chosen: dict[int, Record]) -> None:
        """Add all records that concern an object for which the chosen ones would show another last write.

        That happens when several stops and a run write to one object at once, and their outcomes are recorded out of order. So
        only objects whose last write is a stop, or is unknown, need a look.
        """
        last, doubtful = self._writes.last, self._writes.doubtful
        if not doubtful:
            return
        about = [each for each in chosen.values() if each.event.data.get("target") in doubtful]
        shown = applied(sorted(about, key=_number))
        odd = {target for target in doubtful if shown.get(target) != last[target]}
        if not odd:
            return
        intents = {each.id for each in self._writes.intents.values() if each.data["target"] in odd}
        added = [each for each in self._records if _concerns(each, odd, intents)]
        chosen.update((each.seq, each) for each in added)
        self._complete(chosen, added)


_number: Final = attrgetter("seq")


def _in_order(records: Mapping[int, Record]) -> tuple[Record, ...]:
    return tuple(map(records.__getitem__, sorted(records)))


_HALT: Final = Action.HALT.value


def _concerns(record: Record, targets: Collection[str], intents: Collection[str]) -> bool:
    """Return whether a record decides what the last write to one of some objects is. `intents`: the writes to these objects."""
    return (
        record.id in intents
        or (record.kind is WRITE and record.data["target"] in targets)
        or (may_have_left(record) and record.data["intent"] in intents)
        or (is_stored_hold(record) and record.data["target"] in targets)
        or found_target(record) in targets
        or missing_target(record) in targets
    )


def state_of(records: Sequence[Record]) -> bytes:
    """Return the state file of the next checkpoint: the lines of the records that still matter."""
    return b"".join(map(encode, compact(records)))


def checkpoint(
    records: Sequence[Record],
    state: bytes,
    *,
    segment: int,
    closes: str,
    now: datetime,
    cut: Mapping[str, Any] | None = None,
) -> Event:
    """Return the event that begins a segment of the ledger. Its run consists of this event alone.

    Args:
        records: all records before it, or the state before it and the records after that.
        state: `state_of` them.
        segment: number of the segment that begins, from 1.
        closes: ledger commit that ends the segment before.
        now: this machine's clock.
        cut: of a repair: who made it, and in `cut` what is cut off (`schema`). The ledger is verified from here on.
    """
    last, until = records[-1], Latest()
    for record in records:
        until.add(record)
    data: dict[str, Any] = {
        **(cut or {}),
        "clock": until.clock,
        "closes": closes,
        "last": last.h,
        "latest": until.moment,
        "records": state.count(b"\n"),
        "segment": segment,
        "state": hashlib.sha256(state).hexdigest(),
    }
    run = f"{'checkpoint' if cut is None else CUT}-{segment}"
    return Event(CHECKPOINT, last.event.tenant, last.event.commit, run, stamp(now), data)


class Latest:
    """The latest instants of records, in the format of `stamp`, while they are read in order.

    Attributes:
        moment: when the last event took effect; an instant in 1970 if there is none.
        clock: the latest instant of the platform's clock; `None` if no record has one.
    """

    __slots__ = ("clock", "moment")

    def __init__(self, moment: str = _EPOCH, clock: str | None = None) -> None:
        """Begin with the instants of a checkpoint."""
        self.moment = as_stamp(moment)
        self.clock = None if clock is None else as_stamp(clock)

    def add(self, record: Record) -> None:
        """Take in the next record."""
        data = record.event.data
        if said := data.get("timestamp"):
            said = as_stamp(said)
            if self.clock is None or said > self.clock:
                self.clock = said
        else:
            said = as_stamp(record.event.ts)
        self.moment = max(self.moment, said)
        if record.event.kind is CHECKPOINT:
            self.moment = max(self.moment, as_stamp(data["latest"]))
            if data["clock"] is not None:
                self.clock = max(as_stamp(data["clock"]), self.clock or "")


def _expired_long_ago(hold: Record, clock: datetime | None) -> bool:
    until = hold.data["until"]
    if until is None or clock is None:
        return False
    return clock - datetime.fromisoformat(until) > EXPIRED
