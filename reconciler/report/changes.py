"""The report of a plan: its changes, its findings and its verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from reconciler.errors import SHORTENED_TO, safe
from reconciler.plan import Action, Plan, is_unseen, serialised
from reconciler.policies.base import Level
from reconciler.report import (
    NAMES_SHOWN,
    SKEW_SHOWN_S,
    Report,
    Risk,
    Row,
    Table,
    Tone,
    count,
    duration,
)
from reconciler.report.change_rows import changes_tables
from reconciler.report.checks import weakened_table
from reconciler.report.risk import in_risk_order


def of_plan(
    plan: Plan,
    *,
    exit_code: int,
    notes: Sequence[str] = (),
    refusals: Sequence[str] = (),
    accepted: Sequence[str] = (),
) -> Report:
    """Return the report of a plan: why apply would refuse it, what is blocked, weakened rules, changes in risk order, notes.

    Args:
        plan: the plan.
        exit_code: exit code of the command.
        notes: sentences after the tables.
        refusals: a sentence for each reason for which apply would refuse the plan as a whole.
        accepted: sentences about a rewritten history that is accepted; the first says from what to what.
    """
    said = plan_verdict(plan)
    ordered = in_risk_order(plan.operations)
    blocked, changed, others = changes_tables(ordered, plan.findings, plan.noun)
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
                blocked,
                weakened_table(plan.strictness.weakenings),
                changed,
                others,
            )
            if table.rows
        ),
        notes=(*_plan_notes(plan), *notes),
        facts=plan_facts(plan),
        data=serialised(replace(plan, operations=tuple(each.operation for each in ordered))),
    )


def _refusals_table(refusals: Sequence[str]) -> Table:
    rows = (
        Row(
            (f"apply would refuse this: {each}",),
            Tone.BAD,
            seat=(Risk.REFUSED, 0),
            head="refused",
            brief=each,
        )
        for each in refusals
    )
    return Table("Refused", ("",), tuple(rows))


def _history_table(accepted: Sequence[str]) -> Table:
    rows = [
        Row(
            (said,),
            Tone.WARN,
            tuple(accepted[1:]),
            names=("HEAD",),
            seat=(Risk.REFUSED, 1),
            head="history",
            brief=said,
        )
        for said in accepted[:1]
    ]
    return Table("History", ("",), tuple(rows))


def plan_facts(plan: Plan) -> dict[str, str]:
    """Return the facts that identify a plan: its digest, its commit, the platform's clock."""
    facts = {"digest": plan.digest}
    if plan.origin.commit:
        facts["commit"] = plan.origin.commit
    return {**facts, "platform clock": f"{plan.at:%Y-%m-%d %H:%M:%S} UTC"}


def plan_verdict(plan: Plan, *, recorded: bool = False) -> str:
    """Return a plan in one sentence: actions, what may widen dialing, what is blocked or held, what matches.

    Args:
        plan: the plan.
        recorded: whether an apply has recorded what it records without writing to the platform.
    """
    matching = len(plan.unchanged)
    same = f"{count(matching, 'schedule')} {'matches its manifest' if matching == 1 else 'match their manifests'}"
    if not plan.operations:
        record, wrong = _to_record(plan), errors_to_correct(plan)
        said = "Recorded:" if recorded else "apply will record"
        told = (wrong, "No changes", f"{said} {record}" if record else "", same)
        return f"{'. '.join(filter(None, told))}."
    actions = Counter(operation.action for operation in plan.operations)
    held = actions.pop(Action.HELD, 0)
    widening = sum(operation.verdict.widens for operation in plan.executable)
    blocked = len(plan.operations) - len(plan.executable) - held
    parts = (
        ", ".join(f"{actions[action]} to {action.value}" for action in Action if actions[action]),
        f"{widening} may widen dialing" if widening else "",
        f"{blocked} blocked by findings" if blocked else "",
        f"{held} held" if held else "",
        errors_to_correct(plan),
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


def errors_to_correct(plan: Plan) -> str:
    """Return the number of errors that block no operation of their own object: they decide the exit code all the same."""
    blocked = {operation.key for operation in plan.operations if operation.refused}
    number = sum(
        finding.level is Level.ERROR and finding.key not in blocked for finding in plan.findings
    )
    return f"{count(number, 'error')} to correct" if number else ""


def dialing(plan: Plan) -> str:
    """Return the names of the objects that an emergency stop holds and that still dial."""
    return still_dialing([operation.name for operation in plan.operations if operation.dialing])


def still_dialing(names: Sequence[str]) -> str:
    """Return a phrase that names the objects that an emergency stop holds and that still dial; empty if there are none."""
    return f"{len(names)} STILL DIALING: {shown_names(names)}" if names else ""


def unknown_fields(plan: Plan) -> tuple[str, ...]:
    """Return a sentence about fields of the platform that reconcile does not know."""
    if not plan.unknown:
        return ()
    names = shown_names([f"`{safe(name, limit=SHORTENED_TO)}`" for name in plan.unknown])
    return (
        f"The platform sends fields that reconcile does not know: {names}. They are not compared.",
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
    return tuple(notes)


def clock_note(skew_s: float) -> str:
    """Return a sentence about a platform's clock that is `skew_s` seconds ahead of this machine's; empty for a small difference."""
    if abs(skew_s) <= SKEW_SHOWN_S:
        return ""
    side = "ahead of" if skew_s > 0 else "behind"
    return f"The platform's clock is {duration(skew_s)} {side} this machine's. The plan uses the platform's clock."


def unseen_note(names: Sequence[str]) -> str:
    """Return a sentence on objects that are held because the schedule stored before an emergency stop is unknown."""
    return (
        f"What was stored before the stop is unknown for {shown_names(names)}: a schedule that somebody had narrowed by hand would be"
        " widened. So it stays held after the release. To create what the manifest says: `apply --revert NAME`, or `release NAME` once more."
    )


def shown_names(names: Sequence[str]) -> str:
    """Return the first names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
