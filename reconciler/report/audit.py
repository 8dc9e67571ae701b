"""Reports of audit records: the log, records in full, all entries, and the state at an instant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from reconciler import audit
from reconciler.audit import Applied, Record, RecordKind, State
from reconciler.errors import ExitCode
from reconciler.plan import Action, Result
from reconciler.report import Report, Row, Table, Tone, count
from reconciler.report.records import (
    UNKNOWN,
    details_of,
    full_row,
    held_until,
    listed,
    log_row,
    summary,
    tone_of,
    unsigned,
    who,
)

EMPTY: Final = "no record: nothing was ever applied or halted from here"


def of_log(
    tenant: str, records: Sequence[Record], *, notes: Sequence[str], facts: Mapping[str, str]
) -> Report:
    """Return the report of all records, newest last."""
    columns = ("time", "record", "commit", "manifest", "what", "by")
    return Report(
        title=f"Audit log of tenant {tenant}",
        verdict=count(len(records), "record") if records else EMPTY,
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(Table("Records", columns, tuple(map(log_row, records))),),
        notes=notes,
        facts=facts,
        data=[record.fields() for record in records],
    )


def of_records(
    tenant: str, asked: str, records: Sequence[Record], facts: Mapping[str, str]
) -> Report:
    """Return the report of the records about a commit or an object."""
    columns = ("record", "time", "manifest", "id", "what")
    return Report(
        title=f"Audit records of tenant {tenant} about {asked}",
        verdict=f"{count(len(records), 'record')} about {asked}"
        if records
        else f"no record is about {asked}",
        tone=Tone.GOOD if records else Tone.WARN,
        exit_code=ExitCode.DONE,
        tables=(Table("Records", columns, tuple(map(full_row, records))),),
        facts=facts,
        data=[record.fields() for record in records],
    )


# --- all entries ----------------------------------------------------------------------------------------------------------


def of_entries(tenant: str, entries: Sequence[Mapping[str, Any]]) -> Report:
    """Return the report of audit entries: `data` for JSON, one cell for each column for CSV."""
    rows = tuple(Row(tuple(listed(entry[name]) for name in audit.COLUMNS)) for entry in entries)
    return Report(
        title=f"Audit entries of tenant {tenant}",
        verdict=count(len(entries), "entry", "entries"),
        tone=Tone.GOOD,
        exit_code=ExitCode.DONE,
        tables=(Table("Entries", audit.COLUMNS, rows),),
        data=[dict(entry) for entry in entries],
    )


# --- at an instant ----------------------------------------------------------------------------------------------------------


def keys_of(records: Iterable[Record], asked: str) -> tuple[str, ...]:
    """Return the keys of all objects that ever had this name or have this key, in the ledger's order. Everything is no object."""
    found: dict[str, None] = {}
    for record in records:
        target = record.data.get("target")
        if target not in {None, audit.EVERYTHING} and audit.is_of(record, asked):
            found[str(target)] = None
    return (asked,) if asked in found else tuple(found)


def of_instant(
    tenant: str,
    asked: str,
    keys: Sequence[str],
    instant: datetime,
    records: Sequence[Record],
    facts: Mapping[str, str],
    ahead: audit.Offsets | None = None,
) -> Report:
    """Return the report of what was stored and active for an object at an instant, as far as it is recorded.

    Args:
        tenant: the tenant's name.
        asked: name or key of the object.
        keys: the objects that have, or ever had, this name or key.
        instant: the instant.
        records: those about these objects and about everything, in order, or more.
        facts: shown in the report.
        ahead: the offsets between the two clocks, if the records lack some of a run.
    """
    moment = audit.stamp(instant)
    states = {key: audit.at(records, instant, key) for key in keys}
    told = audit.until(records, instant, ahead)
    holds = audit.holds(told, now=instant, keys=keys)
    held = [held_until(holds[key]) for key in keys if key in holds]
    why = _reasons(records)
    rows = [each for key in keys for each in _state_rows(key, states[key], holds.get(key), why)]
    return Report(
        title=f"{asked} of tenant {tenant} at {moment}",
        verdict="; ".join([_in_one_sentence(asked, states, why), *held]),
        tone=Tone.GOOD if any(each.stored for each in states.values()) else Tone.WARN,
        exit_code=ExitCode.DONE,
        tables=(Table("What was so", ("", "id", "what"), tuple(rows)),),
        notes=_doubts(records, states, told),
        facts=facts,
        data={
            "at": moment,
            "asked": asked,
            "objects": [
                {
                    "id": key,
                    "stored": _write_data(states[key].stored),
                    "active": _write_data(states[key].active),
                    "hold": holds[key].fields() if key in holds else None,
                }
                for key in keys
            ],
        },
    )


Reasons = Mapping[tuple[str, str], str]
"""Reason of a stop, by run and target."""


def _reasons(records: Iterable[Record]) -> Reasons:
    """Return the reason of each stop, which is recorded in the hold of the same run and not in the write."""
    return {
        (each.event.run, str(each.data["target"])): str(each.data.get("reason") or UNKNOWN)
        for each in records
        if each.kind is RecordKind.HOLD
    }


def _in_one_sentence(asked: str, states: Mapping[str, State], why: Reasons) -> str:
    if not any(each.stored for each in states.values()):
        return f"not known: no write to {asked} is recorded up to then"
    return "; ".join(
        f"{name}{f' for {key}' if len(states) > 1 else ''}: {_write(write, why)}"
        for key, state in states.items()
        for name, write in _parts(state)
    )


def _parts(state: State) -> Sequence[tuple[str, Applied | None]]:
    """Return the stored and the active write; one entry if they are the same, which is the usual case."""
    if state.stored == state.active:
        return ((_standing(state.stored), state.stored),)
    return (("stored", state.stored), ("active", state.active))


def _standing(write: Applied | None) -> str:
    """Return one word for the state after a write, if the stored schedule is the active one."""
    if write is None:
        return UNKNOWN
    if write.intent.data.get("verb") == Action.HALT:
        return "stopped"
    return "removed" if write.intent.data.get("body") is None else "stored and active"


def _write(write: Applied | None, why: Reasons) -> str:
    if write is None:
        return "not recorded up to then"
    data, commit = write.intent.data, write.intent.event.commit[:12]
    if write.intent.kind is RecordKind.NOTE:
        return f"the schedule of commit {commit}, which was found stored and was not written by reconcile"
    if data["verb"] == Action.HALT:  # no commit asked for that, and no plan
        reason = why.get((write.intent.event.run, data["target"]), UNKNOWN)
        return f"halted by {who(data.get('actor'))}{unsigned(write.intent)}: {reason}"
    did = "no schedule, removed by" if data.get("body") is None else "the schedule of"
    plan = str(data.get("digest") or UNKNOWN)[:12]
    return f"{did} commit {commit}, approver {who(data.get('approver'))}, plan {plan}"


def _state_rows(key: str, state: State, hold: Record | None, why: Reasons) -> Iterable[Row]:
    for name, write in _parts(state):
        if write is None:
            yield _state_row(name, key, _write(None, why), Tone.DIM)
        else:
            told = details_of(write.outcome, body=write.intent.data.get("body"))
            yield _state_row(name, key, _write(write, why), tone_of(write.outcome), told)
    if hold is not None:
        yield _state_row("held", key, summary(hold), Tone.WARN, details_of(hold))


def _state_row(status: str, key: str, said: str, tone: Tone, details: tuple[str, ...] = ()) -> Row:
    return Row((status, key, said), tone, details, status=status, key=key)


def _write_data(write: Applied | None) -> dict[str, Any] | None:
    if write is None:
        return None
    return {
        "body": write.intent.data.get("body"),
        "commit": write.intent.event.commit,
        "intent": write.intent.data.get("intent", write.intent.id),
        "outcome": write.outcome.fields(),
    }


def _doubts(
    records: Sequence[Record], states: Mapping[str, State], told: Iterable[Record]
) -> tuple[str, ...]:
    """Return a sentence for each write in `told` whose outcome is unknown, unless a later write followed."""
    ended = {key: each.stored.outcome if each.stored else None for key, each in states.items()}
    before = {record.id for record in told}
    unsure = [
        *audit.open_intents(records),
        *(
            r
            for r in records
            if r.kind is RecordKind.OUTCOME and r.data["result"] == Result.UNKNOWN
        ),
    ]
    return tuple(
        f"The outcome of run {each.event.run} ({each.event.ts}) on {each.data.get('name')} is not known, so the state may have been different."
        for each in unsure
        if each.id in before
        and (target := str(each.data.get("target"))) in ended
        and ((last := ended[target]) is None or audit.may_be_later(each, last))
    )
