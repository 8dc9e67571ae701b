"""Any result → one `Report` value, which every renderer can show.

text, markdown, html and github render the tables; json dumps `data`. Six results times five formats would be thirty
functions; with this seam it is six and five.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.diff import FieldChange, is_name
from reconciler.errors import Place, Problem
from reconciler.plan import (
    FAILURES,
    Action,
    Judge,
    Operation,
    Outcome,
    Plan,
    Result,
    Weakening,
    serialised,
    serialised_finding,
    serialised_weakening,
)
from reconciler.policies.base import Finding, Level

NAMES_SHOWN = 8
"""Manifests named under a line that stands for many; the rest are counted (json has them all)."""

BODIES_SHOWN = 20
"""Creations shown with every field; beyond that a plan shows one line each."""

SKEW_SHOWN_S = 60.0
"""A difference between the platform's clock and ours that is worth a sentence, seconds."""


class Tone(StrEnum):
    """How a line should strike the eye; a renderer decides what that means."""

    PLAIN = "plain"
    GOOD = "good"
    ADD = "add"
    CHANGE = "change"
    REMOVE = "remove"
    WARN = "warn"
    BAD = "bad"
    DIM = "dim"

    @property
    def symbol(self) -> str:
        """The mark that stands for it where there is no colour; a space for what needs none."""
        return _SYMBOLS.get(self, " ")


_SYMBOLS = {
    Tone.GOOD: "=",
    Tone.ADD: "+",
    Tone.CHANGE: "~",
    Tone.REMOVE: "-",
    Tone.WARN: "!",
    Tone.BAD: "!",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: raw, unescaped cells, and lines of detail that belong under it.

    Attributes:
        cells: as many as the table has columns; missing ones are empty.
        place: where to look, when it is about a file: a renderer shows it beside or under the row, so no cell repeats it.
    """

    cells: tuple[str, ...]
    tone: Tone = Tone.PLAIN
    details: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table. Columns that explain themselves are named with empty text: when all are, no header is shown."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a command, ready for any renderer.

    Attributes:
        title: what was asked, e.g. "Plan for tenant acme".
        verdict: the answer in one sentence; always shown, whatever is cut.
        tone: of the verdict.
        exit_code: DESIGN §7.
        tables: in order of importance.
        notes: sentences after the tables.
        facts: short names and values that every format shows (digest, commit, clock).
        data: the result itself, JSON values only, for machines.
    """

    title: str
    verdict: str
    tone: Tone
    exit_code: int
    tables: Sequence[Table] = ()
    notes: Sequence[str] = ()
    facts: Mapping[str, str] | None = None
    data: Any = None


# --- words --------------------------------------------------------------------------------------------------------------


def count(number: int, singular: str, plural: str | None = None) -> str:
    """Return ``1 change`` or ``2 changes``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def value(thing: Any) -> str:  # noqa: ANN401 - a JSON value
    """Return a JSON value as a person writes it: ``25``, ``true``, ``America/New_York 9-20``, ``none``."""
    match thing:
        case None:
            return "none"
        case bool():
            return str(thing).lower()
        case float():
            return repr(thing).removesuffix(".0")
        case list() | tuple():
            return ", ".join(value(item) for item in thing) or "none"
        case Mapping():
            items = [thing[name] for name in sorted(thing, key=_is_end)]  # a record sorts its keys
            texts = [item for item in items if is_name(item)]
            rest = "-".join(value(item) for item in items if not is_name(item))
            return " ".join(filter(None, [*texts, rest])) or "none"
        case _:
            return str(thing)


def _is_end(name: str) -> bool:
    """Return whether a key names an end, which is written after its start."""
    return name.startswith("end")


def _change(change: FieldChange) -> str:
    return f"{change.path} {value(change.live)} → {value(change.desired)}"


# --- plan ---------------------------------------------------------------------------------------------------------------

_TONES = {
    Action.CREATE: Tone.ADD,
    Action.UPDATE: Tone.CHANGE,
    Action.HALT: Tone.REMOVE,
    Action.RETIRE: Tone.REMOVE,
    Action.REFRESH: Tone.CHANGE,
    Action.HELD: Tone.WARN,
}
_LEVEL_TONES = {Level.ERROR: Tone.BAD, Level.WARNING: Tone.WARN, Level.INFO: Tone.DIM}


def of_plan(plan: Plan, *, exit_code: int, notes: Sequence[str] = ()) -> Report:
    """Return the report of a plan: changes, findings, what was left alone."""
    return Report(
        title=f"Plan for tenant {plan.origin.tenant} ({plan.origin.url})",
        verdict=plan_verdict(plan),
        tone=Tone.BAD if plan.refused else Tone.CHANGE if plan.operations else Tone.GOOD,
        exit_code=exit_code,
        tables=tuple(
            table
            for table in (
                weakened_table(plan.judge.weakenings),
                changes_table(plan.operations, plan.noun),
                findings_table(plan.findings),
            )
            if table.rows
        ),
        notes=(*_plan_notes(plan), *notes),
        facts=plan_facts(plan),
        data=serialised(plan),
    )


def plan_facts(plan: Plan) -> dict[str, str]:
    """Return what names a plan: its digest, its commit, the platform's clock."""
    facts = {"digest": plan.digest}
    if plan.origin.commit:
        facts["commit"] = plan.origin.commit
    return {**facts, "platform clock": f"{plan.at:%Y-%m-%d %H:%M:%S} UTC"}


def plan_verdict(plan: Plan) -> str:
    """Return a plan in one sentence: what to do, what of it may widen dialing, what stands in the way, what is as it should be."""
    same = f"{count(len(plan.unchanged), 'schedule')} as {'its manifest says' if len(plan.unchanged) == 1 else 'their manifests say'}"
    if not plan.operations:
        return f"nothing to do{' but to record what is weakened' if plan.judge.pending else ''}: {same}"
    actions = Counter(operation.action for operation in plan.operations)
    held = actions.pop(Action.HELD, 0)
    widening = sum(operation.direction.widens for operation in plan.executable)
    blocked = len(plan.operations) - len(plan.executable) - held
    parts = (
        ", ".join(f"{actions[action]} to {action.value}" for action in Action if actions[action]),
        f"{widening} may widen dialing" if widening else "",
        f"{blocked} blocked by findings" if blocked else "",
        f"{held} held" if held else "",
        same if plan.unchanged else "",
    )
    return "; ".join(filter(None, parts))


def _plan_notes(plan: Plan) -> tuple[str, ...]:
    notes = [plan.judge.note] if plan.judge.note else []
    if plan.unmanaged:
        hold, are = ("holds", "is") if len(plan.unmanaged) == 1 else ("hold", "are")
        notes.append(
            f"{count(len(plan.unmanaged), plan.noun)} {hold} a schedule that no manifest names, and {are} left alone: {_names(plan.unmanaged)}"
        )
    if abs(plan.origin.skew_s) > SKEW_SHOWN_S:
        side = "ahead of" if plan.origin.skew_s > 0 else "behind"
        notes.append(
            f"the platform's clock is {abs(plan.origin.skew_s):.0f} s {side} this machine's; the plan goes by the platform's"
        )
    return tuple(notes)


def weakened_table(weakenings: Iterable[Weakening]) -> Table:
    """Return what a change weakens of its own judge; it stands first, and counts later."""
    rows = tuple(
        Row((each.setting, each.counts, each.asked), Tone.WARN, place=each.place)
        for each in weakenings
    )
    return Table("Weakened rules", ("setting", "counts now", "from the next change on"), rows)


def changes_table(operations: Sequence[Operation], noun: str = "campaign") -> Table:
    """Return the changes; identical ones are one line."""
    groups: dict[tuple[Any, ...], list[Operation]] = {}
    for operation in operations:
        groups.setdefault(_likeness(operation), []).append(operation)
    in_full = sum(operation.action is Action.CREATE for operation in operations) <= BODIES_SHOWN
    rows = tuple(_change_row(group, noun, in_full=in_full) for group in groups.values())
    return Table("Changes", ("action", "manifest", "id", "direction", "change"), rows)


def _likeness(operation: Operation) -> tuple[Any, ...]:
    """Return what two operations must share to be one line: updates that move the same fields between the same values."""
    if operation.action is not Action.UPDATE:
        return (operation.key,)
    fields = tuple(
        (change.path, value(change.live), value(change.desired)) for change in operation.fields
    )
    return (operation.action, operation.direction, operation.blocked, fields)


def _change_row(group: Sequence[Operation], noun: str, *, in_full: bool) -> Row:
    first = group[0]
    name, key = (first.name, first.key) if len(group) == 1 else (f"{len(group)} {noun}s", "")
    summary, details = _summary(first, in_full=in_full)
    if len(group) > 1:
        details += (_names([operation.name for operation in group]),)
    if first.blocked:
        details += (
            f"{'held' if first.action is Action.HELD else 'blocked by'}: {', '.join(first.blocked)}",
        )
    tone = Tone.BAD if first.blocked and first.action is not Action.HELD else _TONES[first.action]
    return Row((first.action.value, name, key, first.direction.value, summary), tone, details)


def _summary(operation: Operation, *, in_full: bool) -> tuple[str, tuple[str, ...]]:
    """Return the change in one cell, or a short cell and a line a field."""
    match operation.action:
        case Action.UPDATE | Action.HELD if len(operation.fields) == 1:
            return _change(operation.fields[0]), ()
        case Action.UPDATE | Action.HELD if operation.fields:
            return f"{len(operation.fields)} fields", tuple(
                _change(change) for change in operation.fields
            )
        case Action.CREATE if in_full:
            body = operation.desired or {}
            return operation.platform_name, tuple(
                f"{name} {value(item)}" for name, item in body.items() if item != operation.key
            )
        case Action.REFRESH:
            return "stored as desired, but the dialer has not taken it", ()
        case Action.RETIRE:
            return f"remove the schedule of {operation.platform_name or operation.key}", ()
        case _:
            return operation.platform_name, ()


def _names(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def findings_table(findings: Iterable[Finding]) -> Table:
    """Return the findings, as sorted."""
    rows = tuple(
        Row(
            (finding.level.value, finding.rule, finding.name, finding.message),
            _LEVEL_TONES[finding.level],
            place=finding.place,
        )
        for finding in findings
    )
    return Table("Findings", ("level", "rule", "manifest", "message"), rows)


# --- apply --------------------------------------------------------------------------------------------------------------


def of_apply(
    plan: Plan, outcomes: Sequence[Outcome], *, exit_code: int, notes: Sequence[str] = ()
) -> Report:
    """Return the report of an apply: what became of each operation, and the counts."""
    done = sum(outcome.done for outcome in outcomes)
    return Report(
        title=f"Apply to tenant {plan.origin.tenant} ({plan.origin.url})",
        verdict=apply_verdict(plan, outcomes),
        tone=_apply_tone(plan, exit_code, failed=done < len(outcomes)),
        exit_code=exit_code,
        tables=tuple(
            table
            for table in (weakened_table(plan.judge.weakenings), _outcomes_table(outcomes))
            if table.rows
        ),
        notes=notes,
        facts=plan_facts(plan),
        data={
            "plan": serialised(plan),
            "outcomes": [_outcome(outcome) for outcome in outcomes],
            "exit_code": exit_code,
        },
    )


def _apply_tone(plan: Plan, exit_code: int, *, failed: bool) -> Tone:
    if exit_code and failed:
        return Tone.BAD
    held = any(operation.action is Action.HELD for operation in plan.operations)
    return Tone.WARN if exit_code or held else Tone.GOOD


def apply_verdict(plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """Return an apply in one sentence: planned, applied, active, failed, held."""
    if not plan.operations:
        return plan_verdict(plan)
    applied = sum(
        outcome.done or outcome.result is Result.STORED_NOT_ACTIVE for outcome in outcomes
    )
    active = sum(outcome.done for outcome in outcomes)
    failed = sum(outcome.result in FAILURES for outcome in outcomes)
    held = len(plan.operations) - applied - failed
    return f"{len(plan.operations)} planned, {applied} applied, {active} active, {failed} failed, {held} held"


def _outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for outcome in outcomes:
        took = (
            f"{outcome.latency_s:.2f} s" if outcome.latency_s is not None and outcome.done else ""
        )
        cells = (
            outcome.result.value.replace("_", " "),
            outcome.operation.name,
            outcome.operation.key,
            took,
        )
        rows.append(
            Row(
                cells,
                Tone.GOOD if outcome.done else Tone.BAD,
                (outcome.message,) if outcome.message else (),
            )
        )
    return Table("Outcomes", ("result", "manifest", "id", "activation"), tuple(rows))


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.operation.name,
        "key": outcome.operation.key,
        "action": outcome.operation.action.value,
        "result": outcome.result.value,
        "message": outcome.message,
        "schedule_id": outcome.stored_id,
        "latency_s": outcome.latency_s,
    }


# --- validate -----------------------------------------------------------------------------------------------------------


def of_validation(
    files: int,
    manifests: int,
    findings: Sequence[Finding],
    *,
    exit_code: int,
    judges: Sequence[Judge] = (),
) -> Report:
    """Return the report of manifests that can be read: what the rules say of them, and what they weaken of the rules."""
    weakenings = [each for judge in judges for each in judge.weakenings]
    levels = Counter(finding.level for finding in findings)
    found = [
        count(levels[level], word)
        for level, word in (
            (Level.ERROR, "error"),
            (Level.WARNING, "warning"),
            (Level.INFO, "note"),
        )
        if levels[level]
    ]
    worst = min(findings, key=lambda finding: list(Level).index(finding.level), default=None)
    return Report(
        title="Validate",
        verdict=f"{count(manifests, 'manifest')} in {count(files, 'file')}: {', '.join(found) or 'no findings'}",
        tone=Tone.GOOD if worst is None else _LEVEL_TONES[worst.level],
        exit_code=exit_code,
        tables=tuple(
            table for table in (weakened_table(weakenings), findings_table(findings)) if table.rows
        ),
        notes=tuple(judge.note for judge in judges if judge.note),
        data={
            "manifests": manifests,
            "files": files,
            "findings": [serialised_finding(finding) for finding in findings],
            "weakenings": [serialised_weakening(each) for each in weakenings],
        },
    )


def of_problems(problems: Sequence[Problem], *, exit_code: int) -> Report:
    """Return the report of files that do not say a valid thing, for a page or a log that shows no stderr."""
    rows = tuple(
        Row(("error", problem.message), Tone.BAD, place=problem.place) for problem in problems
    )
    return Report(
        title="Validate",
        verdict=f"{count(len(problems), 'problem')}: nothing was planned or applied",
        tone=Tone.BAD,
        exit_code=exit_code,
        tables=(Table("Problems", ("level", "message"), rows),),
        data={
            "problems": [
                {"place": str(problem.place), "message": problem.message} for problem in problems
            ]
        },
    )
