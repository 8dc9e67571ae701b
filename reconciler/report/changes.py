"""The report of a plan: its changes, its findings and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from reconciler.diff import FieldChange
from reconciler.errors import SHORTENED_TO, safe
from reconciler.plan import (
    Action,
    MovedBy,
    Operation,
    Plan,
    is_unseen,
    serialised,
)
from reconciler.report import (
    NAMES_SHOWN,
    SKEW_SHOWN_S,
    Report,
    Row,
    Table,
    Tone,
    count,
    duration,
    object_row,
    value,
)
from reconciler.report.checks import findings_table, weakened_table

BODIES_SHOWN = 20
"""Creations shown with a line for each field; beyond that all fields of a creation share a line."""

_TONES = {
    Action.CREATE: Tone.ADD,
    Action.UPDATE: Tone.CHANGE,
    Action.HALT: Tone.REMOVE,
    Action.RETIRE: Tone.REMOVE,
    Action.REFRESH: Tone.CHANGE,
    Action.HELD: Tone.WARN,
}


def of_plan(
    plan: Plan,
    *,
    exit_code: int,
    notes: Sequence[str] = (),
    refusals: Sequence[str] = (),
    accepted: Sequence[str] = (),
) -> Report:
    """Return the report of a plan: why apply would refuse it, weakened rules, changes, findings, notes.

    Args:
        plan: the plan.
        exit_code: exit code of the command.
        notes: sentences after the tables.
        refusals: a sentence for each reason for which apply would refuse the plan as a whole.
        accepted: sentences about a rewritten history that is accepted; the first says from what to what.
    """
    said = plan_verdict(plan)
    return Report(
        title=f"Plan for tenant {plan.origin.tenant} ({plan.origin.url})",
        verdict=f"Apply would refuse this. {said}" if refusals else said,
        tone=Tone.BAD
        if plan.refused or refusals
        else Tone.CHANGE
        if plan.operations
        else Tone.GOOD,
        exit_code=exit_code,
        tables=tuple(
            table
            for table in (
                _refusals_table(refusals),
                _history_table(accepted),
                weakened_table(plan.strictness.weakenings),
                changes_table(plan.operations, plan.noun),
                findings_table(plan.findings),
            )
            if table.rows
        ),
        notes=(*_plan_notes(plan), *notes),
        facts=plan_facts(plan),
        data=serialised(plan),
    )


def _refusals_table(refusals: Sequence[str]) -> Table:
    rows = (Row((f"apply would refuse this: {each}",), Tone.BAD) for each in refusals)
    return Table("Refused", ("",), tuple(rows))


def _history_table(accepted: Sequence[str]) -> Table:
    rows = [Row((said,), Tone.WARN, tuple(accepted[1:]), names=("HEAD",)) for said in accepted[:1]]
    return Table("History", ("",), tuple(rows))


def plan_facts(plan: Plan) -> dict[str, str]:
    """Return the facts that identify a plan: its digest, its commit, the platform's clock."""
    facts = {"digest": plan.digest}
    if plan.origin.commit:
        facts["commit"] = plan.origin.commit
    return {**facts, "platform clock": f"{plan.at:%Y-%m-%d %H:%M:%S} UTC"}


def plan_verdict(plan: Plan) -> str:
    """Return a plan in one sentence: actions, what may widen dialing, what is blocked or held, what matches."""
    matching = len(plan.unchanged)
    same = f"{count(matching, 'schedule')} {'matches its manifest' if matching == 1 else 'match their manifests'}"
    if not plan.operations:
        record = _to_record(plan)
        return f"No changes{f'. apply will record {record}' if record else ''}. {same}."
    actions = Counter(operation.action for operation in plan.operations)
    held = actions.pop(Action.HELD, 0)
    widening = sum(operation.direction.widens for operation in plan.executable)
    blocked = len(plan.operations) - len(plan.executable) - held
    parts = (
        ", ".join(f"{actions[action]} to {action.value}" for action in Action if actions[action]),
        f"{widening} may widen dialing" if widening else "",
        f"{blocked} blocked by findings" if blocked else "",
        f"{held} held" if held else "",
        dialing(plan),
        same if plan.unchanged else "",
    )
    return "; ".join(filter(None, parts))


def _to_record(plan: Plan) -> str:
    """Return a phrase for what an apply would record without writing anything; empty when there is nothing to record."""
    number = len(plan.unrecorded)
    parts = (
        "the weakened settings" if plan.strictness.pending and plan.strictness.weakenings else "",
        f"{count(number, 'schedule')} that reconcile did not write" if number else "",
    )
    commit = "this commit as the base of the next change" if plan.strictness.pending else ""
    return " and ".join(filter(None, parts)) or commit


def dialing(plan: Plan) -> str:
    """Return the names of the objects that an emergency stop holds and that still dial."""
    names = [operation.name for operation in plan.operations if operation.dialing]
    return f"{len(names)} STILL DIALING: {shown_names(names)}" if names else ""


def unknown_fields(plan: Plan) -> tuple[str, ...]:
    """Return a sentence about fields of the platform that reconcile does not know."""
    if not plan.unknown:
        return ()
    names = shown_names([f"`{safe(name, limit=SHORTENED_TO)}`" for name in plan.unknown])
    return (
        f"The platform sends fields that reconcile does not know: {names}. They are neither compared nor changed.",
    )


def _plan_notes(plan: Plan) -> tuple[str, ...]:
    notes = [*plan.strictness.notes, *unknown_fields(plan)]
    if plan.unmanaged:
        are = "is" if len(plan.unmanaged) == 1 else "are"
        notes.append(
            f"{count(len(plan.unmanaged), plan.noun)} {are} not managed by any manifest and will not be changed: {shown_names(plan.unmanaged)}"
        )
    if unseen := [operation.name for operation in plan.operations if is_unseen(operation)]:
        notes.append(unseen_note(unseen))
    if abs(plan.origin.skew_s) > SKEW_SHOWN_S:
        side = "ahead of" if plan.origin.skew_s > 0 else "behind"
        notes.append(
            f"The platform's clock is {duration(plan.origin.skew_s)} {side} this machine's. The plan uses the platform's clock."
        )
    return tuple(notes)


def unseen_note(names: Sequence[str]) -> str:
    """Return a sentence on objects that are held because nobody knows what was stored before an emergency stop."""
    return (
        f"What was stored before the stop is unknown for {shown_names(names)}: a schedule that somebody had narrowed by hand would be"
        " widened. So it stays held after the release. To create what the manifest says: `apply --revert NAME`, or `release NAME` once more."
    )


def changes_table(operations: Sequence[Operation], noun: str = "campaign") -> Table:
    """Return the table of changes. Blocked operations and those that may widen dialing come first; identical updates share a row."""
    groups: dict[tuple[Any, ...], list[Operation]] = {}
    for operation in sorted(operations, key=_urgency):
        groups.setdefault(_likeness(operation), []).append(operation)
    in_full = sum(operation.action is Action.CREATE for operation in operations) <= BODIES_SHOWN
    rows = tuple(_change_row(group, noun, in_full=in_full) for group in groups.values())
    return Table("Changes", ("action", "manifest", "id", "direction", "change"), rows)


def _urgency(operation: Operation) -> int:
    """Return the sort key of an operation: those that no reader may miss come first."""
    if operation.dialing:
        return 0
    held = operation.action is Action.HELD
    if held or not (operation.blocked or operation.direction.widens):
        return 2 if held else 3
    return 0 if operation.blocked else 1


def _likeness(operation: Operation) -> tuple[Any, ...]:
    """Return the grouping key of an operation: updates of the same fields from and to the same values share a row."""
    if operation.action is not Action.UPDATE:
        return (operation.action, operation.key)
    fields = tuple(_change(operation, change) for change in operation.fields)
    return (operation.action, operation.direction, operation.blocked, operation.notes, fields)


def _change_row(group: Sequence[Operation], noun: str, *, in_full: bool) -> Row:
    first = group[0]
    name, key = (first.name, first.key) if len(group) == 1 else (f"{len(group)} {noun}s", "")
    summary, details = _summary(first, in_full=in_full)
    names = tuple(operation.name for operation in group)
    must_show = bool(first.blocked) or first.direction.widens
    if len(group) > 1:
        details += _lines(names) if must_show else (shown_names(names),)
    details += first.notes
    if first.blocked:
        details += (
            f"{'held' if first.action is Action.HELD else 'blocked by'}: {', '.join(first.blocked)}",
        )
    stands = first.blocked and first.action is not Action.HELD
    tone = Tone.BAD if stands or first.dialing else _TONES[first.action]
    return object_row(
        "dialing" if first.dialing else first.action.value,
        name,
        key,
        first.direction.value,
        summary,
        tone=tone,
        details=details,
        names=names if must_show else (),
    )


def _summary(operation: Operation, *, in_full: bool) -> tuple[str, tuple[str, ...]]:
    """Return the change as one cell, or as a short cell and a line for each field."""
    match operation.action:
        case Action.UPDATE | Action.HELD if len(operation.fields) == 1:
            return _change(operation, operation.fields[0]), ()
        case Action.UPDATE | Action.HELD if operation.fields:
            return f"{len(operation.fields)} fields", tuple(
                _change(operation, change) for change in operation.fields
            )
        case Action.CREATE:
            body = operation.desired or {}
            fields = tuple(
                f"{name} {value(item)}" for name, item in body.items() if item != operation.key
            )
            # Shortest first: a row that is shortened keeps its start, and so the numbers before the lists.
            line = "; ".join(sorted(fields, key=len))
            return operation.platform_name, fields if in_full else (line,)
        case Action.REFRESH:
            return "stored, but the dialer has not taken it", ()
        case Action.RETIRE:
            return f"remove the schedule of {operation.platform_name or operation.key}", ()
        case _:
            return operation.platform_name, ()


def _lines(names: Sequence[str]) -> tuple[str, ...]:
    """Return all names, a few on each line, because renderers cut long lines."""
    return tuple(
        ", ".join(names[first : first + NAMES_SHOWN]) for first in range(0, len(names), NAMES_SHOWN)
    )


def shown_names(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _change(operation: Operation, change: FieldChange) -> str:
    """Return a field with its live and desired value, and whether it was changed outside git."""
    said = f"{change.path} {value(change.live)} → {value(change.desired)}"
    if operation.action is not Action.UPDATE:
        return said
    match operation.fields_moved_by.get(change.path.partition("[")[0]):
        case MovedBy.OUTSIDE:
            return f"{said} (changed outside git, not in git)"
        case MovedBy.BOTH:
            return f"{said} (changed in git and outside git)"
        case _:
            return said
