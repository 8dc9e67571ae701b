"""The report of an apply: the outcome of each operation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from reconciler.errors import ExitCode
from reconciler.plan import FAILURES, Action, Outcome, Plan, Result, serialised
from reconciler.report import Report, Risk, Table, Tone, count, object_row
from reconciler.report.change_rows import head, summary
from reconciler.report.changes import (
    dialing,
    errors_to_correct,
    plan_facts,
    plan_verdict,
    shown_names,
)
from reconciler.report.checks import weakened_table
from reconciler.report.risk import Weighed, weighed


def of_declined(plan: Plan, *, exit_code: int) -> Report:
    """Return the report of a plan that was declined at the prompt."""
    return of_apply(plan, (), exit_code=exit_code)._replace(
        verdict=f"Declined. {count(len(plan.operations), 'operation')} planned, nothing was written."
    )


def of_carried(tenant: str, commit: str, by: str) -> Report:
    """Return the report of an apply that has nothing left to do, because a newer commit was applied while it waited.

    Args:
        tenant: the tenant's name.
        commit: the commit that was to be applied.
        by: the commit that was applied, which descends from it.
    """
    return Report(
        title=f"Apply to tenant {tenant}",
        verdict=f"applied by {by}: it descends from {commit[:12]}. Nothing was written.",
        tone=Tone.GOOD,
        exit_code=0,
        data={"commit": commit, "applied_by": by},
    )


def of_apply(
    plan: Plan, outcomes: Sequence[Outcome], *, exit_code: int, notes: Sequence[str] = ()
) -> Report:
    """Return the report of an apply: the outcome of each operation, and the counts."""
    done = sum(outcome.done for outcome in outcomes)
    return Report(
        title=f"Apply to tenant {plan.origin.tenant} ({plan.origin.url})",
        verdict=apply_verdict(
            plan, outcomes, recorded=exit_code in {ExitCode.DONE, ExitCode.REFUSED}
        ),
        tone=_apply_tone(plan, exit_code, failed=done < len(outcomes)),
        exit_code=exit_code,
        tables=tuple(
            table
            for table in (weakened_table(plan.strictness.weakenings), _outcomes_table(outcomes))
            if table.rows
        ),
        notes=(*notes, *_doubts(plan, outcomes)),
        facts=plan_facts(plan),
        data={
            "plan": serialised(plan),
            "outcomes": [_outcome(outcome) for outcome in outcomes],
            "exit_code": exit_code,
        },
    )


def _doubts(plan: Plan, outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """Return a sentence about outcomes whose instants, as the platform reports them, are impossible."""
    doubtful = [outcome.operation.name for outcome in outcomes if outcome.doubt]
    if not doubtful:
        return ()
    many = count(len(doubtful), plan.noun)
    return (
        f"The platform reported impossible times for {many} ({shown_names(doubtful)}). Their latency is unknown, and `audit at` uses the times of the audit records.",
    )


def _apply_tone(plan: Plan, exit_code: int, *, failed: bool) -> Tone:
    if exit_code and failed:
        return Tone.BAD
    held = any(operation.action is Action.HELD for operation in plan.operations)
    return Tone.WARN if exit_code or held else Tone.GOOD


def apply_verdict(plan: Plan, outcomes: Sequence[Outcome], *, recorded: bool) -> str:
    """Return an apply in one sentence: planned, applied, active, failed, blocked, held, not run.

    Blocked, held: see the plan. Not run: stale, not started, or left out by `--tighten-only` or the approval.
    Recorded: whether the apply recorded what needs no write (`plan_verdict`).
    """
    if not plan.operations:
        return plan_verdict(plan, recorded=recorded)
    applied = sum(
        outcome.done or outcome.result is Result.STORED_NOT_ACTIVE for outcome in outcomes
    )
    active = sum(outcome.done for outcome in outcomes)
    failed = sum(outcome.result in FAILURES for outcome in outcomes)
    blocked = sum(operation.refused for operation in plan.operations)
    held = sum(operation.action is Action.HELD for operation in plan.operations)
    not_run = len(plan.operations) - applied - failed - blocked - held
    parts = (
        f"{len(plan.operations)} planned, {applied} applied, {active} active, {failed} failed",
        f"{blocked} blocked" if blocked else "",
        f"{held} held",
        f"{not_run} not run" if not_run else "",
        errors_to_correct(plan),
        dialing(plan),
    )
    return ", ".join(filter(None, parts))


def _outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    rows = []
    for each in _in_order(outcomes):
        outcome, operation = each.outcome, each.weighed.operation
        status = outcome.result.value.replace("_", " ")
        took = (
            f"{outcome.latency_s:.2f} s" if outcome.latency_s is not None and outcome.done else ""
        )
        rows.append(
            object_row(
                status,
                operation.name,
                operation.key,
                took,
                tone=Tone.GOOD if outcome.done else Tone.BAD,
                details=(outcome.message,) if outcome.message else (),
                names=() if outcome.done and not operation.verdict.widens else (operation.name,),
            )._replace(
                seat=(each.weighed.risk if outcome.done else Risk.REFUSED, each.weighed.step),
                head=head([each.weighed], status, ""),
                brief="; ".join(filter(None, (outcome.message, summary(each.weighed)))),
            )
        )
    return Table("Outcomes", ("result", "manifest", "id", "activation"), tuple(rows))


class _Ordered(NamedTuple):
    outcome: Outcome
    weighed: Weighed


def _in_order(outcomes: Sequence[Outcome]) -> list[_Ordered]:
    """Return the outcomes in risk order, those that are not done first."""
    every = [_Ordered(outcome, weighed(outcome.operation)) for outcome in outcomes]
    return sorted(every, key=lambda each: (each.outcome.done, each.weighed.order))


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
