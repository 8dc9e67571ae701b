"""Desired and live → plan. The only planner: what `plan` shows is what `apply` executes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from reconciler import diff, effect
from reconciler.dialects.base import Live, Snapshot
from reconciler.effect import Direction
from reconciler.kinds import Kind
from reconciler.models import Body, Desired
from reconciler.plan.base import Base, canonical_base, fields_moved_by, moved_by
from reconciler.plan.holds import folder_of, merged
from reconciler.plan.strictness import Strictness
from reconciler.plan.values import Action, Operation, Origin, Plan, state_hash
from reconciler.policies import running
from reconciler.policies.base import Finding, Level


def build(  # noqa: PLR0913 - a plan is made of these facts and of nothing else
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
    """Return the plan that makes `snapshot` say what `desired` says.

    Args:
        origin: see `Origin`.
        desired: compiled manifests; no two of one key.
        snapshot: what the platform holds.
        kinds: the dialect's kinds, by name.
        findings: every finding of every rule; errors block their object, unless the operation only tightens. An error about none of the
            desired objects blocks whatever widens.
        held: why an object is to be left as it is, by key: an emergency stop, which no approval lifts.
        base: what was applied last, by key; `None`: there is no ledger, so nobody can tell who moved what.
        revert: keys of objects whose narrowing by hand is to be undone.
        strictness: levels and waivers that decided the findings, and limits for carrying the plan out.
    """
    wanted_all = sorted(desired, key=lambda item: item.key)
    blocking = _blocking(findings)
    at_large = _at_large(blocking, {wanted.key for wanted in wanted_all})
    operations: list[Operation] = []
    unchanged, unrecorded = [], []
    for wanted in wanted_all:
        live = snapshot.objects.get(wanted.key) or Live(wanted.key, "")
        kind, key = kinds[wanted.kind], wanted.key
        found = _operation(wanted, live, kind)
        applied = (base or {}).get(key)
        if held and key in held and (found or live.stored is not None):
            # Also as desired and halted: it was stored again meanwhile, and somebody must hear of it.
            stopped = found or _described(wanted, live, kind, Action.HELD)
            dialing = not kind.is_silent(live)
            why = _why(held[key], wanted, dialing=dialing)
            stopped = _finishing(_attributed(stopped, applied), live, applied)
            operations.append(replace(stopped, action=Action.HELD, blocked=(why,), dialing=dialing))
            continue
        if found is None:
            unchanged.append(key)
            if base is not None and not _is_ours(wanted, applied):
                unrecorded.append(key)
            continue
        applied = canonical_base(applied, kind)
        found = _finishing(_attributed(found, applied), live, applied)
        each = merged(found, live, applied, kind, asked=key in revert)
        if all(part.action is Action.HELD for part in each) and _is_adopted(wanted, live, applied):
            unrecorded.append(key)
        operations += (
            _refused_at_large(_judged(part, blocking.get(key, ())), at_large) for part in each
        )
    findings = _that_count(findings, operations)
    named = {wanted.key for wanted in wanted_all}
    unmanaged = sorted(
        key for key in snapshot.objects if key not in named and _stands(snapshot, key)
    )
    return Plan(
        origin,
        tuple(operations),
        tuple(unchanged),
        tuple(unmanaged),
        tuple(findings),
        snapshot.at,
        strictness or Strictness(),
        noun=next(iter(kinds.values())).words.object,
        unrecorded=tuple(unrecorded),
        total=_total(wanted_all, snapshot, base or {}, strictness or Strictness()),
        unknown=tuple(
            sorted({name for live in snapshot.objects.values() for name in live.unknown})
        ),
    )


def _that_count(findings: Sequence[Finding], operations: Iterable[Operation]) -> list[Finding]:
    """Return the findings without those on a widening that acts at once, where all of that widening is held."""
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
    """Return how many objects the tenant has before the change, of which limits count shares.

    These are what was applied and not removed since, and what is live and was named by a manifest before the change. What the change
    itself names, points elsewhere or deletes moves the number neither way.
    """
    applied = {key for key, each in base.items() if _was_managed(each)}
    named = {each.key for each in desired if each.place.file not in strictness.changed}
    return len(applied.union(key for key in named | strictness.claimed if _stands(snapshot, key)))


def _was_managed(base: Base) -> bool:
    """Return whether an object had a schedule of ours; what an emergency stop ended has one still."""
    return (base.body if base.stopped is None else base.stopped[0]) is not None


def _stands(snapshot: Snapshot, key: str) -> bool:
    """Return whether an object holds or dials a schedule."""
    live = snapshot.objects.get(key)
    return live is not None and (live.stored is not None or live.active_id is not None)


def _is_ours(desired: Desired, base: Base | None) -> bool:
    """Return whether what is as desired was applied like that, or there is nothing that could be narrowed."""
    return desired.body is None or (base is not None and base.body == desired.body)


def _is_adopted(desired: Desired, live: Live, base: Base | None) -> bool:
    """Return whether what a manifest wants was found on the platform, but for what is held, and is not what was applied last."""
    return base is not None and live.stored is not None and base.body != desired.body


def _why(hold: str, wanted: Desired, *, dialing: bool) -> str:
    """Return why an object is held, and how to stop it again if it still dials."""
    if not dialing:
        return hold
    again = f"reconcile halt {folder_of(wanted.place)} {wanted.name} --reason TEXT"
    return f"it still dials, because the dialer has not dropped the schedule: stop it again with `{again}`; {hold}"


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
    return _described(desired, live, kind, action)


def _described(desired: Desired, live: Live, kind: Kind, action: Action) -> Operation:
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
        direction=_direction(action, before, desired.body, live, kind),
        place=desired.place,
        audit=kind.audit_fields(desired.body or before or {}) if (desired.body or before) else {},
    )


def _direction(
    action: Action, before: Body | None, after: Body | None, live: Live, kind: Kind
) -> Direction:
    """Return what an operation does to dialing. What is stored already and not active widens, as far as anyone knows."""
    if action is Action.HELD:
        return Direction.NEUTRAL
    if action is Action.REFRESH:
        return Direction.LOOSEN
    return effect.of_write(before, after, kind.rules, settled=live.settled)


def live_hash(live: Live, kind: Kind) -> str:
    """Return the SHA-256 of what an object holds and dials.

    Ids and instants stay outside: storing the same schedule again does not void an approval of what comes after it.
    """
    return _hash(live, _stored(live, kind))


def _hash(live: Live, stored: Body | None) -> str:
    return state_hash(
        stored, "stored" if live.settled else "nothing" if live.active_id is None else "another"
    )


def _stored(live: Live, kind: Kind) -> Body | None:
    """Return what is stored in canonical form. Nothing else in a plan costs as much: it is made once for what differs."""
    return None if live.stored is None else kind.canonical(live.stored)


def _blocking(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    errors: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.level is Level.ERROR:
            errors.setdefault(finding.key, []).append(finding)
    return errors


def _at_large(blocking: Mapping[str, Sequence[Finding]], desired: Collection[str]) -> list[str]:
    """Return the rules of the errors that are about none of the desired objects, and so block no operation of their own."""
    rules = (
        error.rule for key, errors in blocking.items() if key not in desired for error in errors
    )
    return sorted(set(rules))


def _refused_at_large(operation: Operation, rules: Sequence[str]) -> Operation:
    """Return the operation blocked by errors without an object, if it widens; an emergency stop needs no other reason."""
    halted = operation.action is Action.HELD and operation.would is None
    if not rules or halted or not operation.direction.widens:
        return operation
    return replace(operation, blocked=(*operation.blocked, *rules))


def _finishing(operation: Operation, live: Live, base: Base | None) -> Operation:
    """Return a refresh with the direction of the write that it finishes: while that is what is stored, what dials is older.

    A narrowing that is stored and not active must be active before anything is widened, whichever run stored it.
    """
    if operation.action is not Action.REFRESH or base is None or base.stored_id is None:
        return operation
    return (
        replace(operation, direction=base.direction)
        if live.stored_id == base.stored_id
        else operation
    )


def _attributed(operation: Operation, base: Base | None) -> Operation:
    """Return the operation with who moved it, and each of its fields, since base."""
    by = moved_by(base, operation.live, operation.desired)
    fields = (
        fields_moved_by(base, operation.live, operation.desired)
        if operation.live and operation.desired
        else {}
    )
    return replace(operation, moved_by=by, fields_moved_by=fields)


def _judged(operation: Operation, errors: Sequence[Finding]) -> Operation:
    """Return the operation with the errors that count for its direction; an emergency stop needs no other reason."""
    if not errors or (operation.action is Action.HELD and operation.would is None):
        return operation
    counts = [
        error for error in errors if error.stops or operation.direction is not Direction.TIGHTEN
    ]
    return replace(operation, blocked=(*operation.blocked, *(error.rule for error in counts)))
