"""Drift: what was changed outside git since reconcile applied it last.

For each object, base (the body applied last, from the ledger) is compared with live. The planner's operations say what the
next apply would do about each field.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from reconciler import diff, effect
from reconciler.effect import Direction
from reconciler.kinds import Kind
from reconciler.kinds.live import Live, Snapshot, still_dials, unsettled
from reconciler.models import Body, Desired
from reconciler.plan.base import Base, canonical_base
from reconciler.plan.drift_values import Cause, Drift, Drifted, Fate, FieldDrift, Hold, Known, Way
from reconciler.plan.values import Action, Operation


def drift(
    desired: Iterable[Desired],
    snapshot: Snapshot,
    kinds: Mapping[str, Kind],
    known: Known,
    operations: Iterable[Operation],
    *,
    whole: bool = True,
) -> Drift:
    """Return what was changed outside git.

    Args:
        desired: compiled manifests, at most one for each key.
        snapshot: the state of the platform.
        kinds: the dialect's kinds, by name.
        known: see `Known`.
        operations: of the plan for the same manifests and snapshot.
        whole: whether `desired` is the whole tenant. Otherwise only its objects are looked at.
    """
    wanted = {each.key: each for each in desired}
    steps: dict[str, list[Operation]] = {}
    for operation in operations:
        steps.setdefault(operation.key, []).append(operation)
    base = known.base or {}
    keys = {*wanted, *base, *known.holds} if whole else {*wanted}
    found, lists = [], _Lists()
    kind = next(iter(kinds.values()))
    for key in sorted(keys):
        each, live = wanted.get(key), snapshot.objects.get(key) or Live(key, "")
        case = _Case(
            key,
            each,
            live,
            _before_stop(canonical_base(base.get(key), kind), live),
            kinds[each.kind] if each else kind,
            steps.get(key, ()),
            known,
            snapshot.unfit.get(key),
            snapshot.unreadable.get(key),
            snapshot.at,
        )
        rows = list(_of_object(case, lists))
        lists.matching += not rows and each is not None and lists.is_applied(case)
        found += rows
    if whole:
        found += _unmanaged(snapshot, wanted, kind, known)
    return Drift(
        tuple(sorted(found, key=_rank)),
        lists.matching,
        tuple(lists.unapplied),
        tuple(lists.unsettled),
        tuple(lists.stopped),
        tuple(lists.otherwise),
    )


def _before_stop(base: Base | None, live: Live) -> Base | None:
    """Return the base of an object that a stop may have left as it was: what was applied before the stop.

    No run saw such an object silent. The platform may have answered the removal with an error and not executed it, so what is
    stored now may be what was stored then.
    """
    if base is None or base.stopped is None or not base.unfinished or live.stored is None:
        return base
    applied = base.stopped[0]
    return None if applied is None else base._replace(body=applied, stopped=None)


@dataclass(slots=True)
class _Lists:
    """What is counted or noted while objects are compared."""

    matching: int = 0
    unapplied: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    otherwise: list[str] = field(default_factory=list)

    def is_applied(self, case: _Case) -> bool:
        """Return whether an object that did not drift is as it was applied; list one that is silent since a stop."""
        base, wanted = case.base, case.wanted
        if base is None or case.name in self.unsettled:
            return False
        if base.stopped is None or base.body is not None or wanted is None or wanted.retired:
            return True
        self.stopped.append(case.name)
        return False


@dataclass(frozen=True, slots=True)
class _Case:
    """One object, with all that is known of it."""

    key: str
    wanted: Desired | None
    live: Live
    base: Base | None
    kind: Kind
    steps: Sequence[Operation]
    known: Known
    unfit: str | None
    odd: str | None
    now: datetime

    @property
    def name(self) -> str:
        if self.wanted is not None:
            return self.wanted.name
        return self.known.names.get(self.key) or self.live.name or self.key

    @property
    def stored(self) -> Body | None:
        return None if self.live.stored is None else self.kind.canonical(self.live.stored)

    @property
    def is_unsettled(self) -> bool:
        """Whether the object is as an open write of reconcile leaves it."""
        writes = self.known.open.get(self.key, ())
        return any(
            self.stored == (None if body is None else self.kind.canonical(body)) for body in writes
        )

    def row(
        self,
        cause: Cause,
        way: Way,
        *,
        fields: tuple[FieldDrift, ...] = (),
        applied: Body | None = None,
        holds: tuple[Hold, ...] = (),
        notes: tuple[str, ...] = (),
    ) -> Drifted:
        told = () if cause in {Cause.INACTIVE, Cause.HELD} else self._told()
        live = self.live
        return Drifted(
            cause,
            way,
            self.key,
            self.name,
            live.name,
            fields,
            applied,
            self.stored if fields else None,
            None if cause is Cause.HELD else live.stored_by,
            None if cause is Cause.HELD else live.stored_at,
            self.known.last.get(self.key),
            holds,
            (*notes, *told),
            self.wanted.place if self.wanted else None,
        )

    def _told(self) -> tuple[str, ...]:
        """Return what the planner says about changes of this object outside git, and whether some of them may be reconcile's own."""
        cut = (_CUT_OFF,) if self.known.open.get(self.key) else ()
        held = (why for step in self.steps if step.action is Action.HELD for why in step.blocked)
        return tuple(
            dict.fromkeys([*cut, *(note for step in self.steps for note in step.notes), *held])
        )


_COUNTS_AS_DIALING = "it cannot be read, so it counts as dialing"
_CUT_OFF = "an earlier run of reconcile did not record the outcome of its write, so a part of this may be its own"


def _of_object(case: _Case, lists: _Lists) -> Iterable[Drifted]:
    live = case.live
    if case.odd is not None:
        yield case.row(Cause.UNREADABLE, Way.UNKNOWN, notes=(case.odd,))
    elif case.stored != (case.base.body if case.base else None):
        yield from _of_stored(case, lists)
    if not live.settled and case.odd is None:
        yield case.row(Cause.INACTIVE, Way.UNKNOWN, notes=(unsettled(live),))
    if holds := tuple(case.known.holds.get(case.key, ())):
        if not case.kind.dials(live):
            yield case.row(Cause.HELD, Way.NARROWED, holds=holds)
            return
        said = still_dials(live) if case.odd is None else _COUNTS_AS_DIALING
        yield case.row(Cause.DIALING, Way.WIDENED, holds=holds, notes=(said,))


def _of_stored(case: _Case, lists: _Lists) -> Iterable[Drifted]:
    """Yield how an object's stored schedule differs from what was applied."""
    base, stored = case.base, case.stored
    if case.is_unsettled:
        lists.unsettled.append(case.name)
    elif base is None or (base.body is None and case.kind.silenced(stored) is not None):
        # A stop of a kind that keeps its settings tells nothing of them.
        yield from _never_applied(case, lists)
    elif stored is None:
        yield _missing(case)
    elif base.body is None:
        applied = base.stopped[0] if base.stopped else None
        yield case.row(
            Cause.RECREATED, Way.WIDENED, fields=_fields(case, applied, stored), applied=applied
        )
    else:
        yield from _changed(case, base, base.body, stored, lists)


def _never_applied(case: _Case, lists: _Lists) -> Iterable[Drifted]:
    """Yield an object that has a manifest, and a schedule unlike it, although reconcile never wrote to the object."""
    if case.wanted is None or case.stored is None:
        return
    if case.stored == case.wanted.body:
        lists.unapplied.append(case.name)
        return
    applied = case.wanted.body
    fields = _fields(case, applied, case.stored)
    note = "reconcile never wrote this object, so the values are compared with the manifest's"
    yield case.row(Cause.UNRECORDED, Way.UNKNOWN, fields=fields, applied=applied, notes=(note,))


def _missing(case: _Case) -> Drifted:
    if case.unfit is not None:
        return case.row(Cause.MISSING, Way.UNKNOWN, notes=(case.unfit,))
    if not case.live.name:
        notes: tuple[str, ...] = ("the platform has no object with this id",)
    else:
        notes = ()
    return case.row(Cause.MISSING, Way.NARROWED, notes=notes)


def _changed(
    case: _Case, base: Base, applied: Body, stored: Body, lists: _Lists
) -> Iterable[Drifted]:
    """Yield an object with changed fields, except those that the platform stores differently from what was sent."""
    fields = _fields(case, applied, stored)
    ours = base.sent is not None and None is not base.stored_id == case.live.stored_id
    sent = base.sent or {}
    otherwise = {
        name for name in diff.moved(applied, stored) if ours and sent.get(name) != stored.get(name)
    }
    kept = tuple(each for each in fields if _top(each) not in otherwise or each.way.widens)
    if len(kept) < len(fields):
        lists.otherwise.append(case.name)
    if not kept:
        return
    note = (
        "the stored schedule has the id of reconcile's last write, so the platform stores it differently from what was sent",
    )
    yield case.row(
        Cause.CHANGED,
        combine(each.way for each in kept),
        fields=kept,
        applied=applied,
        notes=note if any(_top(each) in otherwise for each in kept) else (),
    )


def _unmanaged(
    snapshot: Snapshot, wanted: Mapping[str, Desired], kind: Kind, known: Known
) -> Iterable[Drifted]:
    """Yield the objects without a manifest that dial, or have a schedule by which they may dial."""
    for key in snapshot.objects.keys() - wanted.keys():
        live = snapshot.objects[key]
        if kind.is_silent(live):
            continue
        gone, odd = known.names.get(key), snapshot.unreadable.get(key)
        told = () if odd is None else (odd,)
        notes = (*told, f"its manifest {gone} is no longer in git") if gone else told
        yield Drifted(
            Cause.UNMANAGED if odd is None else Cause.UNREADABLE,
            Way.WIDENED if odd is None else Way.UNKNOWN,
            key,
            gone or live.name or key,
            live.name,
            by=live.stored_by,
            at=live.stored_at,
            last=known.last.get(key),
            notes=notes,
        )


def _fields(case: _Case, applied: Body | None, stored: Body) -> tuple[FieldDrift, ...]:
    """Return the fields that differ; the whole stored body, if nothing was applied."""
    if applied is None:
        fate = _fate(next(iter(stored), ""), {}, stored, case)
        return tuple(FieldDrift(name, None, stored[name], Way.WIDENED, fate) for name in stored)
    return tuple(
        FieldDrift(
            change.path,
            change.live,
            change.desired,
            way_of(_name(change.path), applied, stored, case.kind, case.now),
            _fate(_name(change.path), applied, stored, case),
        )
        for change in diff.explain(applied, stored)
    )


def _fate(name: str, applied: Body, stored: Body, case: _Case) -> Fate:
    runs = [step for step in case.steps if step.action is not Action.HELD]
    if not case.steps:
        return Fate.UNPLANNED
    after = runs[-1].desired if runs else stored
    if after is None:
        return Fate.REMOVED
    if after.get(name) == stored.get(name):
        return Fate.KEPT
    if after.get(name) == applied.get(name):
        return Fate.SET_BACK
    wanted = (case.wanted.body if case.wanted else None) or {}
    return Fate.REPLACED if after.get(name) == wanted.get(name) else Fate.MERGED


def _name(path: str) -> str:
    return path.partition("[")[0]


def _top(each: FieldDrift) -> str:
    return _name(each.path)


_WAYS = {
    Direction.LOOSEN: Way.WIDENED,
    Direction.TIGHTEN: Way.NARROWED,
    Direction.MIXED: Way.MIXED,
    Direction.NEUTRAL: Way.NEUTRAL,
}


def way_of(name: str, applied: Body, stored: Body, kind: Kind, now: datetime) -> Way:
    """Return the effect of the change of one field, from the body applied last to the stored one.

    A part of the hours that opens or closes nothing from `now` on is judged as the plan judges it (`effect.of_hours`).
    """
    try:
        with contextlib.suppress(effect.Disjoint):
            kind.rules[name](applied, stored, name)
    except effect.UNREADABLE:
        return Way.UNKNOWN
    way = effect.of_field(name, applied, stored, kind.rules)
    if name in kind.timed:
        way = _within(way, applied, stored, kind, now)
    return _WAYS[way]


def _within(way: Direction, applied: Body, stored: Body, kind: Kind, now: datetime) -> Direction:
    """Return what is left of the direction of a part of the hours, given the direction of the hours as a whole."""
    try:
        whole = effect.of_hours(kind.hours(applied), kind.hours(stored), now)
    except effect.UNREADABLE:
        return way
    if whole in {way, Direction.MIXED}:
        return way
    return whole if way is Direction.MIXED else Direction.NEUTRAL


def combine(ways: Iterable[Way]) -> Way:
    """Return the effect of several changes together. One that is unknown makes all of them unknown, unless one widens."""
    found = set(ways) - {Way.NEUTRAL}
    if Way.WIDENED in found and found & {Way.NARROWED, Way.MIXED}:
        return Way.MIXED
    return min(found, key=[*Way].index, default=Way.NEUTRAL)


def _rank(each: Drifted) -> tuple[bool, int, str]:
    """Return the sort key of a row: what may dial more comes first, then the order of causes."""
    return not each.way.widens, [*Cause].index(each.cause), each.key
