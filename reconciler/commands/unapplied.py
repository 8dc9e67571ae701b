"""Notes on operations that an apply does not carry out: not approved, blocked, held, or left out by `--tighten-only`."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.effect import Direction
from reconciler.models import Desired
from reconciler.plan import Action, Cut, Plan


def notes_on(cut: Cut, plan: Plan, *, tighten_only: bool) -> tuple[str, ...]:
    """Return a note for each operation that does not run, and one for all that `--tighten-only` leaves out."""
    return (
        *not_as_approved(cut, plan),
        *_blocked_or_held(cut, plan),
        *_not_tightening(cut, plan, tighten_only=tighten_only),
    )


def not_reverted(plan: Plan, desired: Iterable[Desired], names: Iterable[str]) -> tuple[str, ...]:
    """Return a note for each `--revert` name without an effect, with the remedy."""
    keys = {each.name: each.key for each in desired}
    reverted = {each.key for each in plan.operations if each.reverts}
    halted = {
        each.key for each in plan.operations if each.action is Action.HELD and each.would is None
    }
    return tuple(
        f"--revert {name} has no effect: "
        + (
            "an emergency stop holds it, end that with `reconcile release`"
            if keys[name] in halted
            else "no change outside git is held for it, leave --revert out"
        )
        for name in dict.fromkeys(names)
        if keys[name] not in reverted
    )


def not_as_approved(cut: Cut, plan: Plan) -> list[str]:
    """Return a note for each operation that differs from what was approved."""
    names = {operation.key: operation.name for operation in plan.operations}
    notes = [
        f"stale: {names.get(key, key)} changed since it was approved; nothing was written to it, plan and approve again"
        for key in cut.stale
    ]
    notes += [
        f"not approved: {name} needs a change that the approved plan did not contain; it was not changed"
        for name in cut.strange
    ]
    notes += [
        f"not approved: {name} was blocked or held when the plan was approved, and an approval covers only operations that could run then; it was not changed, plan and approve again"
        for name in cut.freed
    ]
    notes += [
        f"held back: {name} widens dialing, and a narrowing that was approved with it is stale; plan and approve again"
        for name in cut.behind
    ]
    if cut.other is not None:
        notes.append(
            f"stale: the plan has the digest {plan.digest}, and {cut.other} was approved; nothing was written: plan and approve again, or pass the approved plan (--approved FILE) to run its operations that are still current"
        )
    return notes


def _blocked_or_held(cut: Cut, plan: Plan) -> list[str]:
    """Return notes on operations that are blocked or held."""
    running = {operation.hash for operation in cut.run}
    return [
        f"{'blocked' if operation.refused else 'held'}: {operation.name}: {', '.join(operation.blocked)}"
        for operation in plan.operations
        if not operation.executable and operation.hash not in running
    ]


def _not_tightening(cut: Cut, plan: Plan, *, tighten_only: bool) -> tuple[str, ...]:
    """Return a note on what `--tighten-only` leaves out, without operations that were not approved, which have a note already."""
    said = {*cut.strange, *cut.freed}
    left = dict.fromkeys(
        each.name
        for each in plan.executable
        if each.verdict is not Direction.TIGHTEN
        and each.key not in cut.stale
        and each.name not in said
    )
    return (f"left out by --tighten-only: {', '.join(left)}",) if tighten_only and left else ()
