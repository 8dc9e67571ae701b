"""Who moved what since it was last applied: git, somebody outside, or both.

*Base* is the body that the ledger says was applied last. A field that is as applied was not moved outside; a field that is
wanted as applied was not moved in git.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler import diff, effect
from reconciler.kinds import Kind
from reconciler.models import Body


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
        body: what the manifest wanted then, canonical; `None` when the schedule was removed. What was stored may be narrower: a narrowing by hand
            is kept, and stays one.
        direction: of that write.
        stored_id: the platform's id of what it stored; `None` when nothing, or unknown.
        stopped: when it was an emergency stop: the canonical body applied before that, and the one that the stop found (`None`: it saw none).
        emptied: whether the schedule was removed because what a hand and the manifest allowed together was nothing.
        unsure: whether it is the create of an interrupted apply, of which nobody can tell whether it was done.
        sent: the canonical body that was sent.
    """

    body: Body | None
    direction: effect.Direction = effect.Direction.LOOSEN
    stored_id: str | None = None
    stopped: tuple[Body | None, Body | None] | None = None
    emptied: bool = False
    unsure: bool = False
    sent: Body | None = None


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


def canonical_base(base: Base | None, kind: Kind) -> Base | None:
    """Return the base in today's canonical form: what an older version recorded may lack fields, or write values in another way."""
    if base is None:
        return None
    body = None if base.body is None else kind.canonical(base.body)
    sent = None if base.sent is None else kind.canonical(base.sent)
    if base.stopped is None:
        return replace(base, body=body, sent=sent)
    applied, found = (None if each is None else kind.canonical(each) for each in base.stopped)
    return replace(base, body=body, sent=sent, stopped=(applied, found))
