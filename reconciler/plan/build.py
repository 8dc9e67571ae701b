"""Desired and live → plan. The only planner: what `plan` shows is what `apply` executes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from reconciler import diff, effect
from reconciler.effect import Direction
from reconciler.kinds import Kind
from reconciler.kinds.live import Live, Snapshot, still_dials, unsettled
from reconciler.models import Body, Desired
from reconciler.plan.base import Base, canonical_base, fields_moved_by, moved_by
from reconciler.plan.holds import folder_of, split, unless_stored
from reconciler.plan.strictness import Strictness
from reconciler.plan.values import Action, Operation, Origin, Plan, canonical_json, state_hash
from reconciler.policies import running
from reconciler.policies.base import Finding, Level


def build(  # noqa: PLR0913 - a plan is made of these facts and of nothing else; its length is their list and that of the plan's parts
    origin: Origin,
    desired: Iterable[Desired],
    snapshot: Snapshot,
    kinds: Mapping[str, Kind],
    *,
    findings: Sequence[Finding] = (),
    held: Mapping[str, str] | None = None,
    base: Mapping[str, Base] | None = None,
    revert: Collection[str] = (),
    strictness: Strictness | None = None,
) -> Plan:
    """Return the plan that makes the platform match the manifests.

    Args:
        origin: see `Origin`.
        desired: compiled manifests, at most one for each key.
        snapshot: the state of the platform.
        kinds: the dialect's kinds, by name.
        findings: every finding of every rule. An error blocks its object, unless the operation only tightens. An error about none of the
            desired objects blocks whatever widens.
        held: why an emergency stop holds an object, by key. No approval lifts that. What narrows or retires such an object while it
            dials is not held.
        base: the body applied last, by key; `None` without a ledger, when the origin of a change is unknown.
        revert: keys of objects whose narrowing outside git is to be undone.
        strictness: levels and waivers that decided the findings, and limits for carrying the plan out.
    """
    strictness, base_by_key = strictness or Strictness(), base or {}
    every = sorted(desired, key=lambda item: item.key)
    named = {wanted.key for wanted in every}
    blocking = _blocking(findings)
    at_large = _at_large(blocking, named)
    operations: list[Operation] = []
    unchanged, unrecorded = [], []
    for wanted in every:
        kind, key = kinds[wanted.kind], wanted.key
        live, applied = snapshot.objects.get(key) or Live(key, ""), base_by_key.get(key)
        hold, asked = (held or {}).get(key), key in revert
        steps = _plan_object(wanted, live, applied, kind, snapshot.at, hold=hold, asked=asked)
        if not steps:
            unchanged.append(key)
        if base is not None and _is_unrecorded(wanted, live, applied, kind, steps):
            unrecorded.append(key)
        errors = blocking.get(key, ())
        marked = (replace(step, finishes=_finishes(step, live, applied, kind)) for step in steps)
        blocked = (_block_at_large(_block(step, errors), at_large) for step in marked)
        operations += (_with_effect(step, live, kind, snapshot.at) for step in blocked)
    unknown = {name for live in snapshot.objects.values() for name in live.unknown}
    return Plan(
        origin,
        tuple(operations),
        tuple(unchanged),
        tuple(sorted(key for key in snapshot.objects.keys() - named if _stands(snapshot, key))),
        tuple(_findings_that_count(findings, operations)),
        snapshot.at,
        strictness,
        noun=next(iter(kinds.values())).words.object,
        unrecorded=tuple(unrecorded),
        total=_total(every, snapshot, base_by_key, strictness),
        unknown=tuple(sorted(unknown)),
    )


def _plan_object(
    wanted: Desired,
    live: Live,
    base: Base | None,
    kind: Kind,
    now: datetime,
    *,
    hold: str | None,
    asked: bool,
) -> tuple[Operation, ...]:
    """Return the operations on one object; none when it is as desired.

    An object that a stop holds is reported even when it is as desired: somebody stored its schedule again.
    """
    found = _operation(wanted, live, kind, now)
    if found is None and (hold is None or live.stored is None):
        return ()
    if (base := canonical_base(base, kind)) is not None:
        base = base.seen_for(wanted.body)
    steps: tuple[Operation, ...] = ()
    if found is not None:
        found = _finishing(_attribute(found, base), live, base, kind)
        steps = unless_stored(found, live, base, kind, asked=asked) or split(
            found, live, base, kind, now, asked=asked
        )
    return steps if hold is None else _halted(wanted, live, kind, now, found, steps, hold)


def _halted(
    wanted: Desired,
    live: Live,
    kind: Kind,
    now: datetime,
    found: Operation | None,
    steps: Iterable[Operation],
    hold: str,
) -> tuple[Operation, ...]:
    """Return the operations on an object that an emergency stop holds: the steps that narrow what still dials, and what is held."""
    is_silent = kind.is_silent(live)
    steps = () if is_silent else tuple(each for each in steps if _narrows(each, wanted))
    if steps and steps[-1].action is Action.RETIRE:
        return steps
    if found is None or (steps and found.direction is Direction.TIGHTEN):
        found = _describe(wanted, live, kind, Action.HELD, now)
    why = hold if is_silent else _why(hold, wanted, live)
    held = replace(found, action=Action.HELD, blocked=(why,), dialing=kind.dials(live))
    return (*steps, held)


def _narrows(step: Operation, wanted: Desired) -> bool:
    """Return whether a step narrows what dials, so that no stop keeps it back.

    What the stop removed, and the dialer has not dropped yet, is no step of an apply: after a stop of everything that would be many
    removals, which count against the limits.
    """
    if step.direction is not Direction.TIGHTEN or step.action is Action.HELD:
        return False
    return step.live is not None or wanted.retired


def _is_unrecorded(
    wanted: Desired, live: Live, base: Base | None, kind: Kind, steps: Sequence[Operation]
) -> bool:
    """Return whether an apply must record the object, although it writes nothing to it.

    That is so in two cases: the object matches its manifest but reconcile did not write it, or a manifest took the object over
    and every difference is held.
    """
    if not steps:
        return wanted.body is not None and (
            base is None or base.imported or base.body != wanted.body
        )
    if base is None or live.stored is None or any(step.would is None for step in steps):
        return False
    applied = canonical_base(base, kind)
    return applied is not None and applied.body != wanted.body


def _findings_that_count(
    findings: Sequence[Finding], operations: Iterable[Operation]
) -> list[Finding]:
    """Return the findings, except those of rule `running` about objects whose whole widening is held."""
    held, widened = set(), set()
    for operation in operations:
        if operation.action is Action.HELD and operation.would is not None:
            held.add(operation.key)
        elif operation.direction.widens:
            widened.add(operation.key)
    return [
        finding
        for finding in findings
        if finding.rule != running.ID or finding.key not in held - widened
    ]


def _total(
    desired: Iterable[Desired], snapshot: Snapshot, base: Mapping[str, Base], strictness: Strictness
) -> int:
    """Return the number of the tenant's objects before the change, of which limits count shares.

    An object counts if it was applied and not removed since, or if it is live and a manifest named it before the change. So
    the change itself cannot raise or lower the number.
    """
    applied = {key for key, each in base.items() if _was_managed(each)}
    named = {each.key for each in desired if each.place.file not in strictness.changed}
    return len(applied.union(key for key in named | strictness.claimed if _stands(snapshot, key)))


def _was_managed(base: Base) -> bool:
    """Return whether reconcile managed an object. An object that an emergency stop silenced later counts as managed, an imported one does not."""
    return (
        not base.imported and (base.body if base.stopped is None else base.stopped[0]) is not None
    )


def _stands(snapshot: Snapshot, key: str) -> bool:
    """Return whether the platform stores or dials a schedule for the object."""
    live = snapshot.objects.get(key)
    return live is not None and (live.stored is not None or live.active_id is not None)


def _why(hold: str, wanted: Desired, live: Live) -> str:
    """Return why an object is held that is not silent, and how to stop it again."""
    again = f"reconcile halt {folder_of(wanted.place)} {wanted.name} --reason TEXT"
    said = f"{unsettled(live)}: any refresh would make it dial" if live.idle else still_dials(live)
    return f"{said}. Stop it again with `{again}`; {hold}"


def _operation(desired: Desired, live: Live, kind: Kind, now: datetime) -> Operation | None:
    """Return the operation that an object needs; `None` when its schedule is as desired and active."""
    if diff.same(live.stored, desired.body, kind.canonical):
        if live.settled:
            return None
        action = Action.RETIRE if desired.retired else Action.REFRESH
    elif desired.retired:
        action = Action.RETIRE
    else:
        action = Action.CREATE if live.stored is None else Action.UPDATE
    return _describe(desired, live, kind, action, now)


def _describe(desired: Desired, live: Live, kind: Kind, action: Action, now: datetime) -> Operation:
    before = _stored(live, kind)
    return Operation(
        kind=desired.kind,
        key=desired.key,
        name=desired.name,
        platform_name=live.name,
        action=action,
        desired=desired.body,
        live=before,
        live_hash=_hash(live, before),
        fields=diff.explain(before, desired.body) if action is Action.UPDATE else (),
        direction=_direction(action, before, desired.body, live, kind, now),
        place=desired.place,
        audit=kind.audit_fields(desired.body or before or {}) if (desired.body or before) else {},
    )


def _with_effect(operation: Operation, live: Live, kind: Kind, now: datetime) -> Operation:
    """Return the operation with its effect.

    While the active schedule is not the stored one, what dials is unknown or nothing. A second step begins where the first one ends.
    A write that replaces the schedule drops its unknown fields. What that does is unknown, and the operation's notes say so.
    """
    before = operation.live
    if operation.after is None and not live.settled:
        before = None if live.active_id is None else _UNREAD
    found = effect.of_change(before, operation.desired, kind, now)
    stores = (operation.would or operation.action) in {Action.CREATE, Action.UPDATE}
    if stores and operation.after is None and live.unsent:
        notes = (_dropped(live.unsent), *operation.notes)
        operation = replace(operation, dropped=tuple(sorted(live.unsent)), notes=notes)
    return replace(operation, effect=found)


def _dropped(unsent: Body) -> str:
    held = [f"{name} {canonical_json(value)[:_SHOWN]}" for name, value in sorted(unsent.items())]
    more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
    return f"effect unknown, counts as loosening: the platform holds fields that reconcile does not know, and this write replaces the schedule without them: {', '.join(held[:_NAMED])}{more}"


_SHOWN: Final = 60
"""Most characters of an unknown field's value that a note shows."""

_NAMED: Final = 5


_UNREAD: Final[Body] = {}
"""The body of an active schedule that nobody can read."""


def _direction(
    action: Action,
    before: Body | None,
    after: Body | None,
    live: Live,
    kind: Kind,
    now: datetime,
) -> Direction:
    """Return the direction of an operation. A refresh may widen, because what dials now is unknown."""
    if action is Action.HELD:
        return Direction.NEUTRAL
    if action is Action.REFRESH:
        return Direction.LOOSEN
    return effect.of_write(before, after, kind, now, settled=live.settled)


def live_hash(live: Live, kind: Kind) -> str:
    """Return the SHA-256 of the schedule that an object holds, and of whether it is active.

    Ids and instants are not part of it, so storing the same schedule again does not void an approval.
    """
    return _hash(live, _stored(live, kind))


def _hash(live: Live, stored: Body | None) -> str:
    return state_hash(
        stored, "stored" if live.settled else "nothing" if live.active_id is None else "another"
    )


def _stored(live: Live, kind: Kind) -> Body | None:
    """Return the stored schedule in canonical form. This is the most expensive part of a plan, so it is done once for each difference."""
    return None if live.stored is None else kind.canonical(live.stored)


def _blocking(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    errors: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.level is Level.ERROR:
            errors.setdefault(finding.key, []).append(finding)
    return errors


def _at_large(blocking: Mapping[str, Sequence[Finding]], desired: Collection[str]) -> list[str]:
    """Return the rules of the errors that concern none of the desired objects."""
    rules = (
        error.rule for key, errors in blocking.items() if key not in desired for error in errors
    )
    return sorted(set(rules))


def _block_at_large(operation: Operation, rules: Sequence[str]) -> Operation:
    """Return the operation, blocked by errors without an object if it widens and no emergency stop holds it."""
    halted = operation.action is Action.HELD and operation.would is None
    if not rules or halted or not operation.direction.widens:
        return operation
    return replace(operation, blocked=(*operation.blocked, *rules))


def _finishing(operation: Operation, live: Live, base: Base | None, kind: Kind) -> Operation:
    """Return a refresh with the direction of our last write, if it finishes that write (`Base.refreshed`); else return it unchanged.

    A tightening that is stored and not active must become active before anything is loosened, whichever run stored it.
    """
    if operation.action is not Action.REFRESH or base is None:
        return operation
    return replace(operation, direction=base.refreshed(live, operation.desired, kind))


def _finishes(operation: Operation, live: Live, base: Base | None, kind: Kind) -> bool:
    """Return whether an operation only makes the dialer take what our last write stored, or drop what it removed.

    If that write was confirmed, the dialer changed since, and no apply counted what the operation does.
    """
    if base is None or base.stopped is not None or not base.unfinished:
        return False
    if operation.action is Action.RETIRE:
        return operation.live is None and (base.body is None or base.emptied is not None)
    return operation.action is Action.REFRESH and base.is_left(live, operation.desired, kind)


def _attribute(operation: Operation, base: Base | None) -> Operation:
    """Return the operation with `moved_by` and `fields_moved_by` set: who changed the object and its fields since base."""
    by = moved_by(base, operation.live, operation.desired)
    fields = (
        fields_moved_by(base, operation.live, operation.desired)
        if operation.live and operation.desired
        else {}
    )
    return replace(operation, moved_by=by, fields_moved_by=fields)


def _block(operation: Operation, errors: Sequence[Finding]) -> Operation:
    """Return the operation, blocked by the errors that count for its direction, unless an emergency stop holds it."""
    if not errors or (operation.action is Action.HELD and operation.would is None):
        return operation
    counts = [
        error for error in errors if error.stops or operation.direction is not Direction.TIGHTEN
    ]
    return replace(operation, blocked=(*operation.blocked, *(error.rule for error in counts)))
