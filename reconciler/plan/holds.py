"""What of an operation may run when somebody changed its object outside git.

An object may need two steps: what a hand widened is taken back first, together with everything else that tightens; what git
widens comes after it. What a hand narrowed is held: a row of its own, which only `--revert` or its approval lets run.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace

from reconciler import diff, effect
from reconciler.dialects.base import Live
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.kinds import Kind
from reconciler.models import Body
from reconciler.plan.base import Base
from reconciler.plan.merge import Merged, merge
from reconciler.plan.values import Action, Operation, state_hash


def folder_of(place: Place) -> str:
    """Return the folder that a file stands in, for a command line."""
    return shlex.quote(posixpath.dirname(place.file) or ".")


def merged(
    operation: Operation, live: Live, base: Base | None, kind: Kind, *, asked: bool
) -> tuple[Operation, ...]:
    """Return an operation as the steps that may run, and what of it is held.

    Args:
        operation: desired as a whole, against what is stored now.
        live: what is stored now.
        base: what was applied last, canonical; `None` when nothing was.
        kind: of the object.
        asked: somebody asked to undo what was narrowed by hand (`--revert`).
    """
    desired = operation.desired
    if base is None or desired is None or operation.action not in {Action.CREATE, Action.UPDATE}:
        return (operation,)
    applied, seen = _compared(base, operation.live)
    if applied is None:
        return (operation,)
    if seen is None:
        return _absent(operation, live, base, kind, asked=asked)
    found = merge(applied, seen, desired, kind)
    kept = _normalised(base, live, seen, desired, kind)
    if asked and (found.held or kept):
        return (_whole(operation),)
    if kept and found.store == {**seen, **_again(desired, kept, found)}:
        return (_unlike(operation, applied, seen, found, kept),)
    return (
        *_steps(operation, live, (base, applied), found, kind),
        *_rest(operation, applied, seen, found, kind),
    )


def _why_absent(base: Base) -> str:
    if base.stopped is not None:
        return _UNSEEN
    return _UNSURE if base.unsure else _EMPTIED if base.emptied else _REMOVED


def _absent(
    operation: Operation, live: Live, base: Base, kind: Kind, *, asked: bool
) -> tuple[Operation, ...]:
    """Return an object whose schedule is gone: held until somebody asks for it again, and silenced where an older one still dials."""
    desired, applied = operation.desired, base.body
    decided = base.emptied and applied and desired and kind.hours(applied) != kind.hours(desired)
    if decided:  # hand and manifest had no hour in common, and a commit has changed the manifest's
        return (operation,)
    if asked:
        return (_whole(operation),)
    rest = _held(operation, _why_absent(base), keep=_TOMBSTONE)
    if live.active_id is None:
        return (rest,)
    silence = replace(
        operation,
        action=Action.RETIRE,
        desired=None,
        fields=(),
        direction=Direction.TIGHTEN,
        base=base.body,
        notes=(
            "no schedule is stored, and an older one still dials: the dialer is told to let go",
        ),
    )
    return (silence, rest)


def _normalised(base: Base, live: Live, seen: Body, desired: Body, kind: Kind) -> tuple[str, ...]:
    """Return the fields that the platform itself stored in another way than we sent them, and that allow no more like that.

    What is stored has the id that the platform gave our last write, so nobody wrote since: to send them again would change nothing.
    """
    if base.sent is None or base.stored_id is None or base.stored_id != live.stored_id:
        return ()
    return tuple(
        name
        for name in diff.moved(seen, desired)
        if name in seen
        and base.sent.get(name) == desired.get(name)
        and not effect.of_field(name, desired, seen, kind.rules).widens
    )


def _again(desired: Body, kept: Sequence[str], found: Merged) -> Body:
    """Return what a merge would send again of the fields that the platform stores in its own way."""
    return {name: desired[name] for name in kept if name not in found.held}


def _unlike(
    operation: Operation, applied: Body, seen: Body, found: Merged, kept: Sequence[str]
) -> Operation:
    """Return an object as held of which nothing is to be written but what the platform would store in its own way again."""
    desired = operation.desired or {}
    names = ", ".join(_moved(name, desired.get(name), seen.get(name)) for name in kept)
    said = [f"{names} {'is' if len(kept) == 1 else 'are'} stored by the platform in its own way"]
    by_hand = [name for name in found.held if name not in kept]
    said += [_narrowed(applied, seen, by_hand)] if by_hand else []
    return _held(operation, "; ".join(said), keep=_import(operation), undo="Send it again")


def _compared(base: Base, live: Body | None) -> tuple[Body | None, Body | None]:
    """Return what was applied and what a hand made of it. Where an emergency stop left nothing, what the stop found counts."""
    if base.stopped is None:
        return base.body, live
    applied, found = base.stopped
    return applied, found if live is None else live


def _steps(
    operation: Operation, live: Live, past: tuple[Base, Body], found: Merged, kind: Kind
) -> tuple[Operation, ...]:
    """Return what may run: one step, or two where taking back what a hand widened must not wait for what git widens.

    What is stored as it should be and does not dial yet is refreshed. A value that cannot be read cannot be stored again
    either, so then there is one step.
    """
    base, applied = past
    desired, notes = operation.desired, _notes(operation, found)
    first: tuple[Operation, ...] = ()
    whole = _step(operation, live, found.store, kind, notes)
    taken_back = _step(operation, live, found.meet, kind, ())
    readable = not any(_is_unreadable(desired or {}, name, kind) for name in found.unknown)
    if readable and whole.direction.widens and taken_back.direction is Direction.TIGHTEN:
        first = (replace(taken_back, base=applied),)
        whole = replace(
            _step(replace(operation, live=found.meet), None, found.store, kind, notes),
            live_hash=state_hash(found.meet),
            after=operation.live_hash,
        )
    if whole.desired == whole.live:
        if first or live.settled:
            return first
        ours = base.stored_id is not None and base.stored_id == live.stored_id
        whole = replace(
            whole,
            action=Action.REFRESH if whole.desired is not None else Action.RETIRE,
            direction=base.direction if ours else Direction.LOOSEN,
        )
    return (*first, replace(whole, base=None if whole.desired == desired else desired))


def _is_unreadable(desired: Body, name: str, kind: Kind) -> bool:
    """Return whether a field is unknown because of its live value, not because nobody can judge the field at all."""
    try:
        kind.rules[name](desired, desired, name)
    except effect.UNREADABLE:
        return False
    return True


def _rest(
    operation: Operation, applied: Body, seen: Body, found: Merged, kind: Kind
) -> tuple[Operation, ...]:
    """Return what is held: from what will be stored to desired."""
    if not found.held:
        return ()
    fields = diff.explain(found.store, operation.desired) if found.store else ()
    rest = replace(operation, fields=fields, direction=Direction.LOOSEN)
    keep = _keep(operation, seen, found.held) if _fits(seen, kind) else "leave it as it is"
    return (_held(rest, _narrowed(applied, seen, found.held), keep=keep),)


def _fits(body: Body, kind: Kind) -> bool:
    """Return whether a manifest can say what is stored: a closed day, for one, stands in no manifest."""
    try:
        return kind.storable(body) == body
    except effect.UNREADABLE:
        return True


def _step(
    operation: Operation, live: Live | None, body: Body | None, kind: Kind, notes: Sequence[str]
) -> Operation:
    """Return the operation that stores `body`. `live`: what dials now; `None` where what is stored before dials then."""
    before = operation.live
    action = Action.RETIRE if body is None else operation.action
    settled = live is None or live.settled
    return replace(
        operation,
        action=action,
        desired=body,
        fields=diff.explain(before, body) if action is Action.UPDATE else (),
        direction=Direction.NEUTRAL
        if body == before
        else effect.of_write(before, body, kind.rules, settled=settled),
        notes=tuple(notes),
        audit=kind.audit_fields(body or before or {}),
    )


def _whole(operation: Operation) -> Operation:
    """Return the operation that stores desired as a whole, and so undoes what somebody narrowed by hand."""
    return replace(operation, reverts=True)


def _held(operation: Operation, what: str, *, keep: str, undo: str = "Undo it") -> Operation:
    command = (
        f"reconcile apply {folder_of(operation.place)} {operation.name} --revert {operation.name}"
    )
    return replace(
        operation,
        action=Action.HELD,
        would=operation.action,
        reverts=True,
        blocked=(f"{what}. Keep it: {keep}. {undo}: `{command}`",),
    )


_REMOVED = "the schedule was removed outside git and will not be created again"
_EMPTIED = (
    "what was set outside git and what the manifest allows had no time in common, so the schedule was removed "
    "and will not be created again"
)
_UNSEEN = (
    "what an emergency stop ended could not be seen and may have been narrowed outside git, "
    "so it will not be created again"
)
_UNSURE = (
    "an interrupted apply may have created the schedule; it is absent now and may have been removed outside git, "
    "so it will not be created again"
)
_TOMBSTONE = "set `metadata.retired: true`"


def _keep(operation: Operation, seen: Body, names: Sequence[str]) -> str:
    """Return how git keeps what a hand narrowed: `import` edits single values, and no windows or lists."""
    lists = [f"`{name}`" for name in names if isinstance(seen.get(name), list | tuple | Mapping)]
    if not lists:
        return _import(operation)
    edited = f"edit {' and '.join(lists)} in {operation.place}, then commit"
    return edited if len(lists) == len(names) else f"{_import(operation)}, {edited}"


def _import(operation: Operation) -> str:
    return f"`reconcile import {folder_of(operation.place)} {operation.key}`"


def _narrowed(applied: Body, live: Body, names: Sequence[str]) -> str:
    *most, last = (_moved(name, applied.get(name), live.get(name)) for name in names)
    said = f"{', '.join(most)} and {last}" if most else last
    return f"{said} {'was' if len(names) == 1 else 'were'} narrowed outside git and will not be widened again"


def _moved(name: str, then: object, now: object) -> str:
    """Return a field with its two values, where they are short enough to be read in a sentence."""
    if isinstance(then, int | float | str) and isinstance(now, int | float | str):
        return f"`{name}` ({_short(then)} → {_short(now)})"
    return f"`{name}`"


def _short(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _notes(operation: Operation, found: Merged) -> tuple[str, ...]:
    live, desired = operation.live or {}, operation.desired or {}
    notes = [
        f"{_moved(name, desired.get(name), live.get(name))} was changed outside git, and we cannot tell whether it widens; the manifest's value is stored"
        for name in found.unknown
    ]
    if found.store is None:
        notes.append(
            "what was set outside git and what the manifest allows have no time in common, so the schedule is removed until somebody decides"
        )
    return tuple(notes)
