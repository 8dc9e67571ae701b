"""Split an operation when its object was changed outside git: steps that may run, and what is held.

What was narrowed outside git is held: an operation of its own that runs only with `--revert` or an approval.
What was widened outside git is undone. An object may need two steps for that: the first one tightens, and the second one
makes the changes of git that widen.
"""

from __future__ import annotations

import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler import diff, effect
from reconciler.effect import Direction
from reconciler.errors import SHORTENED_TO, Place, safe
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.models import Body, wall_time
from reconciler.plan.base import Base
from reconciler.plan.merge import Merged, merge
from reconciler.plan.values import Action, Operation, state_hash


def is_unseen(operation: Operation) -> bool:
    """Return whether an operation is held because the schedule stored before an emergency stop is unknown."""
    return any(each.startswith(UNSEEN) for each in operation.blocked)


def folder_of(place: Place) -> str:
    """Return the folder that a file stands in, for a command line."""
    return shlex.quote(posixpath.dirname(place.file) or ".")


def split(
    operation: Operation,
    live: Live,
    base: Base | None,
    kind: Kind,
    now: datetime,
    *,
    asked: bool,
) -> tuple[Operation, ...]:
    """Return an operation as the steps that may run, and the part that is held.

    Args:
        operation: from what is stored now to desired.
        live: what the platform holds now.
        base: what was applied last, canonical; `None` when nothing was.
        kind: kind of the object.
        now: the platform's clock.
        asked: whether `--revert` names the object. A missing schedule may also be created again after a release (`Base.missing`).
    """
    desired = operation.desired
    if desired is None or operation.action not in {Action.CREATE, Action.UPDATE}:
        return (operation,)
    applied, seen = (None, None) if base is None else _compared(base, operation.live)
    if base is None or applied is None:
        return (replace(operation, notes=_zone_notes(operation, kind)),)
    found = None if seen is None else merge(applied, seen, desired, kind)
    emptied = operation.live is None and base.stopped is None and not asked
    if seen is None or found is None or (emptied and found.store is None):
        return _absent(operation, live, base, kind, asked=asked)
    if (
        found.paused
    ):  # after an emergency stop, `seen` is what the stop found: it is not stored again
        found = found._replace(meet=operation.live, store=operation.live)
    kept = _normalised(base, live, seen, desired, kind)
    if asked and (found.held or kept):
        return (_whole(operation),)
    if kept and found.store == {**seen, **_again(desired, kept, found)}:
        return (_unlike(operation, applied, seen, found, kept),)
    return (
        *_steps(operation, live, (base, applied), found, kind, now),
        *_rest(operation, applied, seen, found, kind),
    )


def unless_stored(
    operation: Operation, live: Live, base: Base | None, kind: Kind, *, asked: bool
) -> tuple[Operation, ...]:
    """Return a hold if the platform did not keep a narrowing made outside git that our last write sent; else nothing.

    The stored schedule has the id of that write, so nobody wrote since, and git did not change the field. The apply that sent it did
    not let the dialer take it. What is stored wider than desired is taken back like any other value.

    The arguments are those of `split`. If `--revert` names the object, the whole operation is returned instead of a hold.
    """
    desired, stored = operation.desired, operation.live
    if base is None or base.stored_id is None or base.stored_id != live.stored_id:
        return ()
    applied, sent = base.body, base.sent
    if desired is None or stored is None or applied is None or sent is None:
        return ()
    names = [
        name
        for name in diff.moved(sent, stored)
        if name in sent
        and sent[name] != applied.get(name)
        and applied.get(name) == desired.get(name) == stored.get(name)
        and effect.of_field(name, sent, stored, kind.rules).widens
    ]
    if not names:
        return ()
    if asked:
        return (_whole(operation),)
    said = ", ".join(_moved(name, sent, stored) for name in names)
    what = f"the platform stored {said} wider than sent. It was narrowed outside git, so the dialer is not given what is stored"
    keep = f"commit a value that the platform can store to {operation.place}"
    return (_held(operation, what, keep=keep, undo="Dial with what is stored"),)


def _why_absent(base: Base) -> str:
    if base.stopped is not None:
        return _UNSEEN
    return _UNSURE if base.unsure else _REMOVED if base.emptied is None else _EMPTIED


def _absent(
    operation: Operation, live: Live, base: Base, kind: Kind, *, asked: bool
) -> tuple[Operation, ...]:
    """Return the operations on an object whose schedule was removed outside git: a hold, and a stop if an older schedule still dials."""
    if asked or base.missing:
        return (_whole(operation),)
    rest = _held(operation, _why_absent(base), keep=kind.words.gone)
    if live.active_id is None:
        return (rest,)
    silence = replace(
        operation,
        action=Action.RETIRE,
        desired=None,
        fields=(),
        direction=Direction.TIGHTEN,
        base=base.body if base.stopped is None else base.stopped[0],
    )
    return (silence, rest)


def _normalised(base: Base, live: Live, seen: Body, desired: Body, kind: Kind) -> tuple[str, ...]:
    """Return the fields that the platform stores differently from what was sent, and not wider.

    The stored schedule has the id of our last write, so nobody wrote since. Sending the same values again would change nothing.
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
    """Return the fields of a merge that the platform would again store differently from what is sent."""
    return {name: desired[name] for name in kept if name not in found.held}


def _unlike(
    operation: Operation, applied: Body, seen: Body, found: Merged, kept: Sequence[str]
) -> Operation:
    """Return a hold if the only remaining write would again be stored differently from what is sent."""
    desired = operation.desired or {}
    names = ", ".join(_moved(name, desired, seen) for name in kept)
    said = [f"the platform stores {names} differently from what was sent"]
    by_hand = [name for name in found.held if name not in kept]
    said += [_narrowed(applied, seen, by_hand)] if by_hand else []
    return _held(operation, "; ".join(said), keep=_import(operation), undo="Send it again")


def _compared(base: Base, live: Body | None) -> tuple[Body | None, Body | None]:
    """Return the body applied last and the body set outside git. Of a schedule that reconcile removed since, the latter is what it found."""
    applied, found = (base.body, base.emptied) if base.stopped is None else base.stopped
    if base.missing and base.stopped is None:
        found = None
    return applied, found if live is None else live


def _steps(
    operation: Operation,
    live: Live,
    past: tuple[Base, Body],
    found: Merged,
    kind: Kind,
    now: datetime,
) -> tuple[Operation, ...]:
    """Return the steps that may run: at most two, in order.

    There are two if git also widens the object: the first step undoes the widening made outside git, so that this does not
    wait for the widening from git.

    A schedule that is stored as desired and is not active yet is refreshed. A value that cannot be read cannot be stored
    again either, so then there is one step.
    """
    base, applied = past
    desired, notes = operation.desired, _notes(operation, found, kind)
    first: tuple[Operation, ...] = ()
    whole = _step(operation, live, found.store, kind, now, notes)
    taken_back = _step(operation, live, found.meet, kind, now)
    readable = not any(_is_unreadable(desired or {}, name, kind) for name in found.unknown)
    if readable and whole.direction.widens and taken_back.direction is Direction.TIGHTEN:
        first = (replace(taken_back, base=applied),)
        whole = replace(
            _step(replace(operation, live=found.meet), None, found.store, kind, now, notes),
            live_hash=state_hash(found.meet),
            after=operation.live_hash,
        )
    if whole.desired == whole.live:
        if first or live.settled:
            return first
        whole = _refresh(whole, live, base, kind)
    return (*first, replace(whole, base=None if whole.desired == desired else desired))


def _refresh(operation: Operation, live: Live, base: Base, kind: Kind) -> Operation:
    """Return the step that only makes the dialer take what is stored, or drop what is not."""
    if operation.desired is None:
        return replace(operation, action=Action.RETIRE, direction=Direction.TIGHTEN)
    direction = base.refreshed(live, operation.desired, kind)
    return replace(operation, action=Action.REFRESH, direction=direction)


def _is_unreadable(desired: Body, name: str, kind: Kind) -> bool:
    """Return whether a field's direction is unknown only because its live value is unreadable, and would be known for other values."""
    try:
        kind.rules[name](desired, desired, name)
    except effect.UNREADABLE:
        return False
    return True


def _rest(
    operation: Operation, applied: Body, seen: Body, found: Merged, kind: Kind
) -> tuple[Operation, ...]:
    """Return the held operation: from what will be stored to desired."""
    if not found.held:
        return ()
    fields = diff.explain(found.store, operation.desired) if found.store else ()
    rest = replace(operation, fields=fields, direction=Direction.LOOSEN)
    fits = _fits(seen, kind) and not found.paused
    keep = _keep(operation, seen, found.held) if fits else "leave it as it is"
    why = _narrowed(applied, seen, found.held) + (_PAUSED if found.paused else "")
    return (_held(rest, why, keep=keep),)


def _fits(body: Body, kind: Kind) -> bool:
    """Return whether a manifest can express what is stored. It cannot express a closed day, for example."""
    try:
        return kind.storable(body) == body
    except effect.UNREADABLE:
        return True


def _step(
    operation: Operation,
    live: Live | None,
    body: Body | None,
    kind: Kind,
    now: datetime,
    notes: Sequence[str] = (),
) -> Operation:
    """Return the operation that stores `body`. `live`: what dials now; `None` for a second step."""
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
        else effect.of_write(before, body, kind, now, settled=settled),
        notes=tuple(notes),
        audit=kind.audit_fields(body or before or {}),
    )


def _whole(operation: Operation) -> Operation:
    """Return the operation that stores the whole desired body, and so undoes every narrowing outside git."""
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
    "the times set outside git and the manifest's times did not overlap, so the schedule was removed "
    "and will not be created again"
)
UNSEEN = "an emergency stop removed the schedule, and what was stored before the stop is unknown"
_UNSEEN = f"{UNSEEN}: it may have been narrowed outside git, so it will not be created again"
_UNSURE = (
    "an interrupted apply may have created the schedule, and it may have been removed outside git since, "
    "so it will not be created again"
)
_PAUSED = (
    ". With a limit of 0 nothing dials, and the platform's API accepts no schedule with a 0, "
    "so no change to this schedule is written"
)


def _keep(operation: Operation, seen: Body, names: Sequence[str]) -> str:
    """Return how to keep in git what was narrowed. `import` edits single values, but no windows or lists."""
    lists = [f"`{name}`" for name in names if isinstance(seen.get(name), list | tuple | Mapping)]
    if not lists:
        return _import(operation)
    edited = f"edit {' and '.join(lists)} in {operation.place}, then commit"
    return edited if len(lists) == len(names) else f"{_import(operation)}, {edited}"


def _import(operation: Operation) -> str:
    return f"`reconcile import {folder_of(operation.place)} {operation.key}`"


def _narrowed(applied: Body, live: Body, names: Sequence[str]) -> str:
    *most, last = (_moved(name, applied, live) for name in names)
    said = f"{', '.join(most)} and {last}" if most else last
    return f"{said} {'was' if len(names) == 1 else 'were'} narrowed outside git and will not be widened again"


def _moved(name: str, before: Body, after: Body) -> str:
    """Return a field, with its values in two bodies where they are short."""
    then, now = before.get(name), after.get(name)
    if isinstance(then, int | float | str) and isinstance(now, int | float | str):
        return f"`{name}` ({_short(then, before)} → {_short(now, after)})"
    return f"`{name}`"


def _short(value: float | str, body: Body) -> str:
    """Return a value for people; an instant as a wall time of the body's zone."""
    if not isinstance(value, str):
        return repr(value).removesuffix(".0")
    zone_name = str(body.get("timezone"))
    try:
        return f"{wall_time(value, zone_name)} {zone_name}"
    except (ValueError, OverflowError):
        return value


def _notes(operation: Operation, found: Merged, kind: Kind) -> tuple[str, ...]:
    live, desired = operation.live or {}, operation.desired or {}
    unread = _unread_zones(live, kind)
    by_zone = [name for name in found.unknown if unread and name in kind.timed]
    notes = [
        f"{_moved(name, desired, live)} was changed outside git{f' to {unread}' if name in by_zone else ''}, and whether that widens"
        " dialing is unknown: the manifest's value is stored"
        for name in found.unknown
    ]
    notes += () if by_zone else _zone_notes(operation, kind)
    if found.store is None:
        notes.append(
            "the times set outside git and the manifest's times do not overlap, so the schedule is removed until a commit or --revert decides"
        )
    return tuple(notes)


def _zone_notes(operation: Operation, kind: Kind) -> tuple[str, ...]:
    """Return a note if what is stored has calling windows in a zone that nobody here can read."""
    unread = _unread_zones(operation.live or {}, kind)
    if not unread:
        return ()
    return (f"what is stored has calling windows in {unread}: they are removed",)


def _unread_zones(live: Body, kind: Kind) -> str:
    zones = ", ".join(safe(each, limit=SHORTENED_TO) for each in kind.unknown_zones(live))
    return f"a time zone that this machine's tzdata does not know ({zones})" if zones else ""
