"""Who changed an object, or a field, since it was last applied: git, somebody outside git, or both.

*Base* is the body that was applied last, from the ledger. If live equals base, nothing changed outside git. If desired
equals base, nothing changed in git.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from reconciler import diff, effect
from reconciler.kinds import Kind
from reconciler.kinds.live import Live
from reconciler.models import Body


class MovedBy(StrEnum):
    """Who changed a field, or an object, since base."""

    GIT = "git"
    OUTSIDE = "outside"
    BOTH = "both"
    UNKNOWN = "unknown"
    """Nothing was ever applied, so there is no base to compare with."""


class Base(NamedTuple):
    """The body applied last to one object, and how it was applied.

    Attributes:
        body: the manifest's canonical body then; `None` when the schedule was removed. What was stored may be narrower, where a narrowing
            outside git was kept.
        direction: direction of that write.
        stored_id: the platform's id of what it stored; `None` when nothing was stored, or the id is unknown.
        stopped: after an emergency stop: the canonical body applied before it, and the body that the stop found (`None`: it found none).
        emptied: the canonical body that was removed, because the times set outside git and the manifest's times did not overlap; else `None`.
        unfinished: whether no run saw the dialer take that write: its outcome is stored and not active, or unknown.
        unsure: whether the write was the create of an interrupted apply, and its outcome is unknown.
        sent: the canonical body that was sent.
        missing: a release lets the missing schedule be created again.
        imported: an import found the schedule, and nothing was applied since.
        imports: the bodies that imports found, in order. Any of them may have written the manifest.
    """

    body: Body | None
    direction: effect.Direction = effect.Direction.LOOSEN
    stored_id: str | None = None
    stopped: tuple[Body | None, Body | None] | None = None
    emptied: Body | None = None
    unfinished: bool = False
    unsure: bool = False
    sent: Body | None = None
    missing: bool = False
    imported: bool = False
    imports: tuple[Body, ...] = ()

    def is_left(self, live: Live, body: Body | None, kind: Kind) -> bool:
        """Return whether a refresh of the stored `body` finishes this write: it stored what it sent, and no run saw that active.

        The id alone does not tell: a platform may store another body than it was sent, and a commit may ask for that one since.
        """
        if not self.unfinished or self.stored_id is None or live.stored_id != self.stored_id:
            return False
        return diff.same(self.sent, body, kind.canonical)

    def refreshed(self, live: Live, body: Body | None, kind: Kind) -> effect.Direction:
        """Return the direction of a refresh of the stored `body`: that of this write, if it finishes it while something else dials."""
        finishes = live.active_id is not None and self.is_left(live, body, kind)
        return self.direction if finishes else effect.Direction.LOOSEN

    def seen_for(self, desired: Body | None) -> Base:
        """Return the base that a manifest is compared with: a value that any import found was not changed in git since."""
        if desired is None or not self.imports:
            return self
        same = {
            name: value
            for name, value in desired.items()
            if any(name in found and found[name] == value for found in self.imports)
        }
        applied = self.body if self.stopped is None else self.stopped[0]
        seen = {**(applied or {}), **same}
        if self.stopped is None:
            return self._replace(body=seen)
        return self._replace(stopped=(seen, self.stopped[1]))


def moved_by(base: Base | None, live: Body | None, desired: Body | None) -> MovedBy:
    """Return who changed an object whose live and desired bodies differ."""
    if base is None:
        return MovedBy.UNKNOWN
    if live == base.body:
        return MovedBy.GIT
    return MovedBy.OUTSIDE if desired == base.body else MovedBy.BOTH


def fields_moved_by(base: Base | None, live: Body, desired: Body) -> Mapping[str, MovedBy]:
    """Return who changed each top-level field that differs between live and desired."""
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
    """Return the base in today's canonical form: an older version may have recorded fewer fields, or other spellings of values."""
    if base is None:
        return None
    base = base._replace(imports=tuple(map(kind.canonical, base.imports)))
    body = None if base.body is None else kind.canonical(base.body)
    sent = None if base.sent is None else kind.canonical(base.sent)
    emptied = None if base.emptied is None else kind.canonical(base.emptied)
    base = base._replace(emptied=emptied)
    if base.stopped is None:
        return base._replace(body=body, sent=sent)
    applied, found = (None if each is None else kind.canonical(each) for each in base.stopped)
    return base._replace(body=body, sent=sent, stopped=(applied, found))
