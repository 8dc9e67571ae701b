"""Desired and live → plan. The only planner: what `plan` shows is what `apply` executes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from reconciler import diff, effect
from reconciler.dialects.base import Kind, Live, Snapshot
from reconciler.effect import Direction
from reconciler.models import Body, Desired
from reconciler.plan.values import Action, Operation, Origin, Plan, sha256_of
from reconciler.policies.base import Finding, Level


def build(
    origin: Origin,
    desired: Iterable[Desired],
    snapshot: Snapshot,
    kinds: Mapping[str, Kind],
    *,
    findings: Sequence[Finding] = (),
    held: Mapping[str, str] | None = None,
) -> Plan:
    """Return the plan that makes `snapshot` say what `desired` says.

    Args:
        origin: see `Origin`.
        desired: compiled manifests; no two of one key.
        snapshot: what the platform holds.
        kinds: the dialect's kinds, by name.
        findings: every finding of every rule; errors block their object, unless the operation only tightens.
        held: why an object is to be left as it is, by key.
    """
    wanted_all = sorted(desired, key=lambda item: item.key)
    blocking = _blocking(findings)
    operations, unchanged = [], []
    for wanted in wanted_all:
        live = snapshot.objects.get(wanted.key) or Live(wanted.key, "")
        operation = _operation(wanted, live, kinds[wanted.kind])
        if operation is None:
            unchanged.append(wanted.key)
        else:
            operations.append(
                _judged(operation, blocking.get(wanted.key, ()), (held or {}).get(wanted.key))
            )
    named = {wanted.key for wanted in wanted_all}
    unmanaged = sorted(
        key
        for key, live in snapshot.objects.items()
        if key not in named and (live.stored is not None or live.active_id is not None)
    )
    return Plan(
        origin, tuple(operations), tuple(unchanged), tuple(unmanaged), tuple(findings), snapshot.at
    )


def _operation(desired: Desired, live: Live, kind: Kind) -> Operation | None:
    """Return what one object needs; `None` when it is as desired and dials as desired."""
    if diff.same(live.stored, desired.body, kind.canonical):
        if live.settled:
            return None
        action = Action.RETIRE if desired.retired else Action.REFRESH
    elif desired.retired:
        action = Action.RETIRE
    else:
        action = Action.CREATE if live.stored is None else Action.UPDATE
    before = None if live.stored is None else kind.canonical(live.stored)
    return Operation(
        kind=desired.kind,
        key=desired.key,
        name=desired.name,
        platform_name=live.name,
        action=action,
        desired=desired.body,
        live=before,
        live_hash=live_hash(live, kind),
        fields=diff.explain(before, desired.body) if action is Action.UPDATE else (),
        direction=_direction(action, before, desired.body, live, kind),
        place=desired.place,
        audit=kind.audit_fields(desired.body or before or {}) if (desired.body or before) else {},
    )


def _direction(
    action: Action, before: Body | None, after: Body | None, live: Live, kind: Kind
) -> Direction:
    """Return what an operation does to dialing. What dials without being stored is unknown, and unknown loosens."""
    if action is Action.RETIRE:
        return Direction.TIGHTEN
    if action is not Action.UPDATE or before is None or after is None:
        return Direction.LOOSEN
    step = effect.direction(before, after, kind.rules)
    return step if live.settled else effect.combine([step, Direction.LOOSEN])


def live_hash(live: Live, kind: Kind) -> str:
    """Return the SHA-256 of what an object holds and dials.

    Ids and instants stay outside: storing the same schedule again does not void an approval of what comes after it.
    """
    dials = "stored" if live.settled else "nothing" if live.active_id is None else "another"
    return sha256_of(
        {"dials": dials, "stored": None if live.stored is None else kind.canonical(live.stored)}
    )


def _blocking(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    errors: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.level is Level.ERROR and finding.key:
            errors.setdefault(finding.key, []).append(finding)
    return errors


def _judged(operation: Operation, errors: Iterable[Finding], held: str | None) -> Operation:
    """Return the operation with what stands in its way: a hold first, then the errors that count for its direction."""
    if held is not None:
        return replace(operation, action=Action.HELD, blocked=(held,))
    counts = [
        error for error in errors if error.stops or operation.direction is not Direction.TIGHTEN
    ]
    return replace(operation, blocked=tuple(error.rule for error in counts))
