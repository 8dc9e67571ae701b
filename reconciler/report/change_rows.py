"""The rows of a plan's changes, each with the findings about its object, in the order of `risk`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.errors import safe
from reconciler.plan import Action, MovedBy, Operation
from reconciler.policies.base import Finding, Level
from reconciler.report import NAMES_SHOWN, Risk, Row, Table, Tone
from reconciler.report.checks import LEVEL_TONES
from reconciler.report.effects import effect_lines, first_new, warnings
from reconciler.report.fields import Said, local, shortened
from reconciler.report.risk import Weighed, in_risk_order

BODIES_SHOWN = 20
"""Creations shown with a line for each field; beyond that all fields of a creation share a line."""

COLUMNS = ("action", "manifest", "id", "on the platform", "direction", "change")

_SUMMARY, _CREATED, _BLOCKED, _PHRASE, _FIRST = 160, 60, 90, 110, 125
"""Characters of the cell that sums a change up, the same of a creation, whose fields stand below, of a change beside the reason why it is blocked, of one field's change, and of the changes before the first new instant."""

_TONES = {
    Action.CREATE: Tone.ADD,
    Action.UPDATE: Tone.CHANGE,
    Action.HALT: Tone.REMOVE,
    Action.RETIRE: Tone.REMOVE,
    Action.REFRESH: Tone.CHANGE,
    Action.HELD: Tone.WARN,
}


def changes_table(operations: Iterable[Operation], noun: str = "campaign") -> Table:
    """Return the table of changes in risk order; identical updates share a row."""
    return Table("Changes", COLUMNS, _rows(in_risk_order(operations), (), noun))


def changes_tables(
    ordered: Sequence[Weighed], findings: Sequence[Finding], noun: str
) -> tuple[Table, Table, Table]:
    """Return what is blocked, the other changes, and the findings about no changed object.

    Findings stand below the row of their object. An error that does not block its object is part of what is blocked, because
    nothing may stand above it: it may block other objects, and it decides the exit code.

    Args:
        ordered: the operations, in risk order.
        findings: all of them.
        noun: what the objects are called.
    """
    blocked = [each for each in ordered if each.risk is Risk.BLOCKED]
    rest = [each for each in ordered if each.risk is not Risk.BLOCKED]
    about_blocked = {each.operation.key for each in blocked}
    others = [each for each in findings if each.key not in about_blocked]
    errors = [finding_row(each, (Risk.BLOCKED, 0)) for each in others if each.level is Level.ERROR]
    milder = [each for each in others if each.level is not Level.ERROR]
    changed = {each.operation.key for each in rest}
    return (
        Table("Blocked", COLUMNS, (*errors, *_rows(blocked, findings, noun))),
        Table("Changes", COLUMNS, _rows(rest, milder, noun)),
        Table(
            "Findings",
            ("level", "manifest", "id", "", "rule", "message"),
            _of_no_change([each for each in milder if each.key not in changed]),
        ),
    )


def _of_no_change(findings: Iterable[Finding]) -> tuple[Row, ...]:
    """Return the rows of findings about no changed object, a class for each rule, so that many of one rule hide no other."""
    ordered = sorted(findings, key=lambda each: (each.level is not Level.WARNING, each.rule))
    classes = dict.fromkeys((each.level, each.rule) for each in ordered)
    seats = {each: (Risk.REST, number) for number, each in enumerate(classes, 1)}
    rows = (finding_row(each, seats[each.level, each.rule]) for each in ordered)
    return tuple(
        row._replace(cells=(row.status, row.name, row.key, "", row.rule, row.message))
        for row in rows
    )


def finding_row(finding: Finding, seat: tuple[Risk, int] | None = None) -> Row:
    """Return the row of a finding in a table of changes; `seat`: its class, if it stands for itself.

    A finding has no direction. Its rule stands before its message, in the column of the change.
    """
    level = finding.level
    return Row(
        (level.value, finding.name, finding.key, "", "", f"{finding.rule}: {finding.message}"),
        LEVEL_TONES[level],
        place=finding.place,
        names=(finding.name or finding.rule,) if level is Level.ERROR else (),
        status=level.value,
        name=finding.name,
        key=finding.key,
        rule=finding.rule,
        message=finding.message,
        seat=seat,
        head=" ".join(filter(None, (level.value, shortened(finding.name, 40), finding.rule))),
        brief=finding.message,
    )


def _rows(ordered: Iterable[Weighed], findings: Iterable[Finding], noun: str) -> tuple[Row, ...]:
    groups: dict[tuple[Any, ...], list[Weighed]] = {}
    for each in ordered:
        groups.setdefault(_likeness(each), []).append(each)
    by_key: dict[str, list[Finding]] = {}
    for finding in findings:
        by_key.setdefault(finding.key, []).append(finding)
    in_full = sum(key[0] is Action.CREATE for key in groups) <= BODIES_SHOWN
    rows: list[Row] = []
    for group in groups.values():
        # The findings of an object stand below its first row.
        about = [found for each in group for found in by_key.pop(each.operation.key, ())]
        rows.append(_row(group, about, noun, in_full=in_full))
        rows += map(finding_row, about)
    return tuple(rows)


def _likeness(each: Weighed) -> tuple[Any, ...]:
    """Return the grouping key of an operation: updates of the same fields from and to the same values share a row.

    Their effects may differ in size, but not in what is unknown or lost.
    """
    operation = each.operation
    if operation.action is not Action.UPDATE:
        return (operation.action, operation.key)
    fields = tuple(_whole(operation, change) for change in each.said)
    unsafe = warnings(operation)
    alike = (operation.verdict, each.step, operation.blocked, operation.notes)
    return (operation.action, *alike, unsafe, fields)


def _row(group: Sequence[Weighed], about: Sequence[Finding], noun: str, *, in_full: bool) -> Row:
    first, one = group[0], group[0].operation
    names = tuple(each.operation.name for each in group)
    must_show = bool(one.blocked) or one.verdict.widens
    status = "dialing" if one.dialing else one.action.value
    name, key, there = _identity(group, noun)
    change = summary(first, _SUMMARY if one.action is not Action.CREATE else _CREATED)
    details = _details(first, change, in_full=in_full)
    if len(group) > 1:
        details += _lines(group if must_show else group[:NAMES_SHOWN], len(group))
    details += (*_effects(group), *one.notes)
    if one.blocked:
        details += (f"{_why(one)}: {', '.join(one.blocked)}",)
    return Row(
        (status, name, key, there, one.verdict.value, change),
        Tone.BAD if one.refused or one.dialing else _TONES[one.action],
        details,
        names=names if must_show else (),
        status=status,
        name=name,
        key=key,
        seat=(first.risk, first.step),
        head=head(group, status, noun),
        brief=_brief(first, about),
        direction=one.verdict.value,
        keys=tuple(each.operation.key for each in group),
    )


def _effects(group: Sequence[Weighed]) -> tuple[str, ...]:
    """Return the effect of a row. If it is not the same for each object, that of the worst, which is the first."""
    first = effect_lines(group[0].operation)
    if all(effect_lines(each.operation) == first for each in group[1:]):
        return first
    name = group[0].operation.name
    return tuple(f"largest effect, that of {name}: {line}" for line in first)


def _identity(group: Sequence[Weighed], noun: str) -> tuple[str, str, str]:
    one = group[0].operation
    if len(group) > 1:
        return f"{len(group)} {noun}s", "", ""
    return one.name, one.key, one.platform_name


def head(group: Sequence[Weighed], status: str, noun: str) -> str:
    """Return what a row is about, for the first screen: first the direction, because a row that has little room loses its end."""
    one = group[0].operation
    what = f"{status} ({one.verdict.value})"
    if len(group) > 1:
        names = ", ".join(shortened(each.operation.name, 20) for each in group[:2])
        return f"{what} {len(group)} {noun}s ({names}, …)"
    there = " ".join(filter(None, (one.key, one.platform_name)))
    return f"{what} {shortened(one.name, 40)} ({shortened(safe(there), 40)})"


def _brief(each: Weighed, about: Sequence[Finding]) -> str:
    """Return the change of a row for the first screen, with the reason why it is blocked or held."""
    operation = each.operation
    if not operation.blocked:
        warned = warnings(operation)
        phrases = _phrases(each, max(_SUMMARY - sum(map(len, warned)), _BLOCKED))
        # A row that has little room loses its end, and what follows here may not be lost.
        shown = 1 if warned else _with_room(phrases, _FIRST)
        unlost = filter(None, [*warned, first_new(operation)])
        return "; ".join([*phrases[:shown], *unlost, *phrases[shown:]])
    errors = [found for found in about if found.level is Level.ERROR]
    if operation.action is Action.HELD or not errors:
        return f"{summary(each, _BLOCKED)}; {_why(operation)}: {', '.join(operation.blocked)}"
    first = errors[0]
    why, change = f"{_why(operation)} {first.rule}", summary(each, _BLOCKED)
    # If it may be the wrong object, what happens to it matters less.
    parts = (first.message, change) if first.stops else (change, first.message)
    return f"{why}: {'; '.join(parts)}"


def _why(operation: Operation) -> str:
    return "held" if operation.action is Action.HELD else "blocked by"


def summary(each: Weighed, limit: int = _SUMMARY) -> str:
    """Return a change in one phrase, decisive fields first; fields for which there is no room are named."""
    return "; ".join(_phrases(each, limit))


def _phrases(each: Weighed, limit: int) -> list[str]:
    """Return the phrases of a summary, at least one."""
    operation = each.operation
    match operation.action:
        case Action.UPDATE | Action.HELD if each.said:
            phrases = [_whole(operation, field, min(limit, _PHRASE)) for field in each.said]
            return _listed(phrases, each, limit)
        case Action.CREATE:
            fields = _of_body(operation)
            shown = _with_room(fields, limit)
            rest = ["…"] if shown < len(fields) else []
            return [f"newly dials: {'; '.join([*fields[:shown], *rest])}"]
        case Action.REFRESH:
            return ["stored, but the dialer has not taken it"]
        case Action.RETIRE:
            there = operation.platform_name or operation.key
            return [f"remove the schedule of {there}" if operation.live else _NO_LONGER_STORED]
        case Action.HELD if operation.desired is not None and operation.live is None:
            return [f"create the schedule of {operation.platform_name or operation.key}"]
        case _:
            return [operation.platform_name]


_NO_LONGER_STORED = (
    "no schedule is stored, but the dialer still uses an older one: make it drop that"
)


def _listed(phrases: Sequence[str], each: Weighed, limit: int) -> list[str]:
    """Return as many phrases as there is room for, at least the first, and the names of the other fields."""
    shown = _with_room(phrases, limit)
    more = [field.path for field in each.said[shown:]]
    also = [f"also {shortened(', '.join(more), limit // 2)}"] if more else []
    return [*phrases[:shown], *also]


def _with_room(phrases: Sequence[str], limit: int) -> int:
    """Return how many phrases have room in one, at least 1."""
    room = limit
    for number, phrase in enumerate(phrases):
        room -= len(phrase) + len("; ")
        if number and room < 0:
            return number
    return len(phrases)


def _details(each: Weighed, change: str, *, in_full: bool) -> tuple[str, ...]:
    """Return a line for each field, unless the row says it all."""
    operation = each.operation
    if operation.action is Action.CREATE:
        fields = _of_body(operation)
        return fields if in_full else ("; ".join(fields),)
    if operation.action not in {Action.UPDATE, Action.HELD}:
        return ()
    lines = tuple(_whole(operation, field) for field in each.said)
    return () if "; ".join(lines) == change else lines


def _of_body(operation: Operation) -> tuple[str, ...]:
    """Return the fields of a new schedule: numbers and flags, then windows and other lists, then times and other texts. What is cut is at the end."""
    body = operation.desired or {}
    zone = str(body.get("timezone"))
    said = [
        (_form(name, item), f"{name} {local(item, zone)}")
        for name, item in body.items()
        if item != operation.key
    ]
    said.sort(key=lambda pair: pair[0])
    return tuple(text for _, text in said)


def _form(name: str, item: object) -> int:
    if isinstance(item, str):
        return 3 if name == "timezone" else 2
    return 1 if isinstance(item, list | tuple | Mapping) else 0


def _whole(operation: Operation, field: Said, limit: int | None = None) -> str:
    """Return a field's change, and whether it was made outside git."""
    text = field.text(limit)
    if operation.action is not Action.UPDATE:
        return text
    match operation.fields_moved_by.get(field.path.partition("[")[0]):
        case MovedBy.OUTSIDE:
            return f"{text} (changed outside git)"
        case MovedBy.BOTH:
            return f"{text} (changed in git and outside git)"
        case _:
            return text


def _lines(group: Sequence[Weighed], total: int) -> tuple[str, ...]:
    """Return the objects of a row, a few on each line, because renderers cut long lines."""
    named = [_named(each.operation) for each in group]
    few = NAMES_SHOWN // 2
    lines = [", ".join(named[first : first + few]) for first in range(0, len(named), few)]
    if total > len(named):
        lines[-1] += f" and {total - len(named)} more"
    return tuple(lines)


def _named(operation: Operation) -> str:
    there = " ".join(filter(None, (operation.key, operation.platform_name)))
    return f"{operation.name} ({there})"
