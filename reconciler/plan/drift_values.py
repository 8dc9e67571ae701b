"""The values of drift: what was changed outside git, how, and what the ledger knows about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from reconciler.errors import Place
from reconciler.models import Body
from reconciler.plan.base import Base


class Cause(StrEnum):
    """The way in which an object drifted."""

    DIALING = "dialing"
    CHANGED = "changed"
    RECREATED = "recreated"
    UNMANAGED = "unmanaged"
    UNREADABLE = "unreadable"
    UNRECORDED = "unrecorded"
    INACTIVE = "inactive"
    MISSING = "missing"
    HELD = "held"


class Way(StrEnum):
    """The effect of a change outside git on what the dialer may do."""

    WIDENED = "widened"
    MIXED = "mixed"
    UNKNOWN = "unknown"
    NARROWED = "narrowed"
    NEUTRAL = "neutral"

    @property
    def widens(self) -> bool:
        """Whether the dialer may do more than was applied; true for mixed and unknown changes."""
        return self in {Way.WIDENED, Way.MIXED, Way.UNKNOWN}


class Fate(StrEnum):
    """What the next apply does with a field that was changed outside git. Findings and limits can still stop the apply."""

    KEPT = "apply keeps it"
    SET_BACK = "apply sets it back"
    REPLACED = "apply stores the manifest's new value"
    MERGED = "apply takes back what was widened, and keeps what was narrowed"
    REMOVED = "apply removes the schedule"
    UNPLANNED = "apply changes nothing"


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """One field that differs from what was applied.

    Attributes:
        path: see `FieldChange`.
        applied, live: the value applied last, and the value now; `None` if the field is missing.
        way: effect on dialing.
        fate: what the next apply does with the top-level field.
    """

    path: str
    applied: Any
    live: Any
    way: Way
    fate: Fate


@dataclass(frozen=True, slots=True)
class LastWrite:
    """The last write of reconcile to an object, according to the ledger.

    Attributes:
        at: when it took effect, ISO 8601.
        commit: the commit that was applied.
        actor: who ran it; `None` if the record does not say.
        run_url: link to the run; `None` if there is none.
    """

    at: str
    commit: str
    actor: str | None = None
    run_url: str | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """A hold of an emergency stop.

    Attributes:
        by: who stopped the object; `None` if the record does not say.
        since: when, ISO 8601.
        until: when the hold ends, ISO 8601; `None`: by `reconcile release` only.
        reason: why.
    """

    by: str | None
    since: str
    until: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the ledger says about the objects of a tenant, by key.

    Attributes:
        base: the body applied last; `None` without a ledger.
        names: manifest names of the objects that were applied.
        last: the last write.
        holds: the holds in force.
        open: bodies of writes whose outcome an interrupted run did not record.
    """

    base: Mapping[str, Base] | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    last: Mapping[str, LastWrite] = field(default_factory=dict)
    holds: Mapping[str, Sequence[Hold]] = field(default_factory=dict)
    open: Mapping[str, Sequence[Body | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drifted:
    """One way in which one object drifted. An object that drifted in several ways has several of these.

    Attributes:
        cause: see `Cause`.
        way: effect on dialing.
        key: identity on the platform.
        name: the manifest's name, or the platform's for an object without a manifest.
        platform_name: the platform's name.
        fields: what differs from the body applied last. For `unrecorded`: from the manifest.
        applied, stored: the bodies that `fields` compares; `None` if there is none.
        by, at: who stored the schedule, and when, according to the platform; `None` if it does not say.
        last: the last write of reconcile; `None` if there is none.
        holds: of `held` and `dialing`.
        notes: sentences for the reader.
        place: where the manifest stands.
    """

    cause: Cause
    way: Way
    key: str
    name: str
    platform_name: str
    fields: tuple[FieldDrift, ...] = ()
    applied: Body | None = None
    stored: Body | None = None
    by: str | None = None
    at: str | None = None
    last: LastWrite | None = None
    holds: tuple[Hold, ...] = ()
    notes: tuple[str, ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of a tenant.

    Attributes:
        objects: worst first.
        matching: number of objects that are as they were applied.
        unapplied: names of objects that match their manifests, but that no apply has recorded.
        unsettled: names of objects whose last write an interrupted run did not record: they are as that write left them.
        stopped: names of objects that are silent since an emergency stop, and that nothing holds any more. The next apply creates them.
        stored_otherwise: names of objects of which the platform stores values that differ from what was sent, and are not wider.
    """

    objects: tuple[Drifted, ...]
    matching: int = 0
    unapplied: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    stopped: tuple[str, ...] = ()
    stored_otherwise: tuple[str, ...] = ()

    @property
    def widens(self) -> bool:
        """Whether any of it lets the dialer do more than was applied, or may do so."""
        return any(each.way.widens for each in self.objects)
