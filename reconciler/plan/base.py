"""Who moved what since it was last applied: git, somebody outside, or both; and what was narrowed by hand.

*Base* is the body that the ledger says was applied last. A field that is as applied was not moved outside; a field that is
wanted as applied was not moved in git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from reconciler import diff, effect
from reconciler.dialects.kinds import Kind
from reconciler.models import Body

SCHEDULE: Final = "the schedule"
"""What was narrowed when all of it was removed."""

UNSEEN: Final = "what an emergency stop ended"
"""What may have been narrowed when nobody could see it."""


class MovedBy(StrEnum):
    """Who moved a field, or an object, since base."""

    GIT = "git"
    OUTSIDE = "outside"
    BOTH = "both"
    UNKNOWN = "unknown"
    """Nothing was ever applied, so there is nothing to compare with."""


@dataclass(frozen=True, slots=True)
class Base:
    """What was applied last to one object.

    Attributes:
        body: canonical; `None` when the schedule was removed.
        direction: of that write.
        stored_id: the platform's id of what it stored; `None` when nothing, or unknown.
        stopped: when it was an emergency stop: the canonical body applied before that, and the one that the stop found (`None`: it saw none).
    """

    body: Body | None
    direction: effect.Direction = effect.Direction.LOOSEN
    stored_id: str | None = None
    stopped: tuple[Body | None, Body | None] | None = None


def moved_by(base: Base | None, live: Body | None, desired: Body | None) -> MovedBy:
    """Return who moved an object whose live and desired bodies differ."""
    if base is None:
        return MovedBy.UNKNOWN
    if live == base.body:
        return MovedBy.GIT
    return MovedBy.OUTSIDE if desired == base.body else MovedBy.BOTH


def fields_moved_by(base: Base | None, live: Body, desired: Body) -> Mapping[str, MovedBy]:
    """Return who moved each top-level field that differs between live and desired."""
    applied = None if base is None else base.body
    if applied is None:
        return dict.fromkeys(diff.moved(live, desired), MovedBy.UNKNOWN)
    return {name: _field(applied, live, desired, name) for name in diff.moved(live, desired)}


def _field(applied: Body, live: Body, desired: Body, name: str) -> MovedBy:
    nothing = object()
    if live.get(name, nothing) == applied.get(name, nothing):
        return MovedBy.GIT
    return (
        MovedBy.OUTSIDE
        if desired.get(name, nothing) == applied.get(name, nothing)
        else MovedBy.BOTH
    )


def narrowed_by_hand(
    base: Base | None, live: Body | None, desired: Body | None, kind: Kind
) -> tuple[str, ...]:
    """Return what somebody narrowed since base and applying would widen again; empty when the manifest has moved since, too.

    A schedule that was removed by hand is the narrowest of all. What was widened by hand is not here: it is narrowed again like any change.
    Where an emergency stop left nothing, it is what the stop found that counts: to release it is not to undo what was narrowed before. What it
    could not see may have been narrowed.
    """
    if base is None:
        return ()
    if base.stopped is not None:
        body, found = base.stopped
        if live is None and found is None:
            return (UNSEEN,) if body is not None and desired == body else ()
        then = kind.canonical(found) if live is None and found is not None else live
        return narrowed_by_hand(Base(body), then, desired, kind)
    if base.body is None or desired != base.body:
        return ()
    if live is None:
        return (SCHEDULE,)
    return tuple(
        name for name in diff.moved(base.body, live) if _narrows(base.body, live, name, kind)
    )


def _narrows(applied: Body, live: Body, name: str, kind: Kind) -> bool:
    """Whether going back to what was applied would widen this field; a field that nobody can judge counts."""
    now, then = ({name: body[name]} if name in body else {} for body in (live, applied))
    return effect.direction(now, then, kind.rules).widens
