"""Execute a plan: record the intent, write, refresh the dialer, wait for activation, read back, record the outcome.

Operations that narrow dialing go first. Operations that widen it start only when every narrowing is active. A write whose outcome is
unknown is read back before it is sent again under the same idempotency key, so even a platform that ignores keys deploys nothing twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from reconciler.effect import Direction
from reconciler.errors import ReconcileError
from reconciler.execute import step as steps
from reconciler.execute.execution import Execution, Journal, Objection, WriteOptions
from reconciler.execute.platform import Platform
from reconciler.execute.step import Step
from reconciler.plan import Operation, Outcome, Result

__all__ = [
    "CHECKPOINTS",
    "Execution",
    "Journal",
    "Objection",
    "Platform",
    "WriteOptions",
    "carry_out",
]

CHECKPOINTS: Final = (*steps.CHECKPOINTS, "outcome:before", "outcome:told")
"""Points of an execution at which `World.checkpoint` is called."""


async def carry_out(run: Execution, operations: Iterable[Operation]) -> tuple[Outcome, ...]:
    """Execute operations, tightenings first; return the outcomes in the order of execution.

    Among the tightenings, those that drop a field of unknown meaning are started last.
    """
    every = sorted(operations, key=lambda operation: bool(operation.dropped))
    first = [operation for operation in every if operation.direction is Direction.TIGHTEN]
    rest = [operation for operation in every if operation.direction is not Direction.TIGHTEN]
    outcomes = await _carry_out_group(run, first)
    behind = [outcome.operation.name for outcome in outcomes if not outcome.done]
    if behind:
        reason = f"not started, because a tightening is not active: {', '.join(behind)}"
        return outcomes + await _skip(run, rest, reason)
    try:
        await run.journal.creating(rest)
    except ReconcileError as error:
        reason = f"not started, because it could not be recorded: {error}"
        return outcomes + await _skip(run, rest, reason, error.exit_code)
    return outcomes + await _carry_out_group(run, rest)


async def _carry_out_group(run: Execution, operations: list[Operation]) -> tuple[Outcome, ...]:
    slots = asyncio.Semaphore(run.options.concurrency)
    run.poller.busy(len(operations))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_carry_out_one(run, each, slots)) for each in operations]
    return tuple(task.result() for task in tasks)


async def _carry_out_one(run: Execution, operation: Operation, slots: asyncio.Semaphore) -> Outcome:
    step = Step(run, operation)
    try:
        outcome = await step.run(slots)
    finally:
        step.at_rest()
    run.world.checkpoint("outcome:before")
    await run.journal.outcome(outcome)
    run.world.checkpoint("outcome:told")
    run.world.progress(_line(outcome))
    return outcome


async def _skip(
    run: Execution, operations: Iterable[Operation], reason: str, code: int = 0
) -> tuple[Outcome, ...]:
    outcomes = tuple(Outcome(each, Result.NOT_STARTED, reason, code=code) for each in operations)
    for outcome in outcomes:
        await run.journal.outcome(outcome)
    return outcomes


def _line(outcome: Outcome) -> str:
    what = f"{outcome.operation.name}: {outcome.result.value.replace('_', ' ')}"
    took = (
        f", active after {outcome.latency_s:.1f} s"
        if outcome.latency_s is not None and outcome.done
        else ""
    )
    return f"{what}{took}" + (f" ({outcome.message})" if outcome.message else "")
