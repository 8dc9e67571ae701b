"""The interface of a kind: its table of fields, and everything derived from the table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Final, NamedTuple

from reconciler import effect
from reconciler.calendar import Hours
from reconciler.effect import Rule
from reconciler.kinds.live import Live
from reconciler.models import Body, canonical_instant
from reconciler.models.zones import is_zone, primary_zone

CALLS_PER_SECOND: Final = "calls/s"
"""The unit of a dial rate."""

CALLS: Final = "calls"
"""The unit of calls in progress at the same time."""

AUDITED: Final = ("compliance_windows", "dial_rate", "max_concurrent")
"""Names in every audit entry (the brief's); `None` where the kind has no such field."""


class Form(NamedTuple):
    """A type of value.

    Attributes:
        name: what the value is. Dialects choose by form how to read what a platform sends.
        canonical: value as received → canonical value. A value without a canonical form is returned unchanged. Never
            raises, and never changes its argument.
    """

    name: str
    canonical: Callable[[Any], Any]


def _decimal(value: object) -> object:
    """Return an integer as a float, where a float can hold it exactly."""
    if type(value) is not int:
        return value
    try:
        number = float(value)
    except OverflowError:
        return value
    return number if number == value else value


def _whole(value: object) -> object:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _zone(value: object) -> object:
    return primary_zone(value) if isinstance(value, str) else value


def _same(value: object) -> object:
    return value


DECIMAL: Final = Form("decimal", _decimal)
WHOLE: Final = Form("whole number", _whole)
SECONDS: Final = Form("whole seconds", _whole)
FLAG: Final = Form("flag", _same)
IDENTITY: Final = Form("identity", _same)
TEXT: Final = Form("text", _same)
INSTANT: Final = Form("instant", canonical_instant)
ZONE: Final = Form("zone", _zone)
"""A time zone by its primary IANA name."""


class Field(NamedTuple):
    """One managed field: all its properties except those of its pydantic field.

    Attributes:
        name: in manifests and bodies.
        form: type of its values; gives the canonical form.
        meet: the most that two values both allow. The direction of a change follows from it (see `effect`).
        ceiling: the tenant has a limit of the same name.
        fixed: no write can change it: a body must state it as the platform has it.
        immediate: a write to a running object takes effect at once.
        timed: it is a part of the body's hours (`Kind.hours`), and its effect depends on the other parts.
        audit: its name in an audit entry; `None` leaves it out.
        label: its name in a report of audit entries.
        unit: of its values.
    """

    name: str
    form: Form
    meet: Rule = effect.unknown
    ceiling: bool = False
    fixed: bool = False
    immediate: bool = False
    timed: bool = False
    audit: str | None = None
    label: str | None = None
    unit: str | None = None


class Words(NamedTuple):
    """Words of a kind for findings and reports.

    Attributes:
        object, span: name of the scheduled object, and of the field or fields that limit when it runs at all.
        windows, scrubs: names of the fields with the calling windows, and with the do-not-call check.
        scrub, link, removal: how to turn on the do-not-call check, link a list to an object, and end a schedule without a manifest.
        gone: how to say in git that an object is to have no schedule any more.
    """

    object: str
    windows: str
    span: str
    scrubs: str
    scrub: str
    link: str
    removal: str
    gone: str


class Kind(ABC):
    """A kind of manifest, as the engine sees it. Bodies are canonical unless stated otherwise.

    Attributes:
        name: the manifest's `kind`.
        words: its words for findings and reports.
        fields: the managed fields, by name.
        rules: the meet of each managed field; the direction of a field without one is unknown.
        fixed, immediate, timed: names of the fields that are declared so.
        limits: names of the fields for which the tenant has a limit of the same name. No API accepts a 0 in them.
        rate: the field that limits dialing in calls per second; `None` when the kind has none.
        concurrency: the field that limits calls in progress; `None` when the kind has none.
        units: of the values of each managed field.
    """

    name: ClassVar[str]
    words: ClassVar[Words]
    fields: Mapping[str, Field]
    rules: Mapping[str, Rule]
    fixed: frozenset[str]
    immediate: frozenset[str]
    timed: frozenset[str]
    limits: tuple[str, ...]
    rate: str | None
    concurrency: str | None
    units: Mapping[str, str | None]

    def __init__(self, fields: Iterable[Field]) -> None:
        # Canonical forms and rules run once for each object of a plan: they are looked up here, not in the loops.
        self.fields = {field.name: field for field in fields}
        declared = self.fields.values()
        self.rules = {field.name: field.meet for field in declared}
        self.fixed = frozenset(field.name for field in declared if field.fixed)
        self.immediate = frozenset(field.name for field in declared if field.immediate)
        self.timed = frozenset(field.name for field in declared if field.timed)
        self.units = {field.name: field.unit for field in declared}
        measured = {field.unit: field.name for field in declared}
        self.rate, self.concurrency = measured.get(CALLS_PER_SECOND), measured.get(CALLS)
        self._forms = tuple((field.name, field.form.canonical) for field in declared)
        self.limits = tuple(field.name for field in declared if field.ceiling)
        of_audit = {field.audit: field.name for field in declared if field.audit}
        self._audited = tuple((dict.fromkeys(AUDITED, "") | of_audit).items())

    def canonical(self, raw: Body) -> dict[str, Any]:
        """Return the managed fields of a received body in canonical form; never raises.

        Unmanaged fields are dropped: the platform may add fields, and they are not a difference. A managed value without
        a canonical form is kept as received, and a missing one stays missing: both count as a difference.
        """
        return {name: form(raw[name]) for name, form in self._forms if name in raw}

    def ceilings(self, body: Body) -> Mapping[str, float]:
        """Return the quantities that the tenant limits, by the names of `Snapshot.ceilings`."""
        return {name: body[name] for name in self.limits}

    def audit_fields(self, body: Body) -> Mapping[str, Any]:
        """Return the fields of a body for an audit record. The body may lack fields: that of a removal comes from the platform."""
        return {name: body.get(field) for name, field in self._audited}

    @abstractmethod
    def storable(self, body: Body) -> Body | None:
        """Return a body that the platform can store and that allows at most what the merged `body` allows; `None`: no schedule."""

    @abstractmethod
    def hours(self, body: Body) -> Hours:
        """Return the hours in which the body lets the dialer call.

        Raises:
            AttributeError, KeyError, TypeError, ValueError, OverflowError: a part of them cannot be read: unknown.
        """

    def unknown_zones(self, body: Body) -> tuple[str, ...]:
        """Return the zones of the calling windows that this machine's tzdata does not know, sorted; empty if the hours cannot be read."""
        try:
            zones = self.hours(body).zones
        except effect.UNREADABLE:
            return ()
        return tuple(sorted(each for each in zones if each is not None and not is_zone(each)))

    @abstractmethod
    def end(self, body: Body) -> datetime | None:
        """Return the end of `hours`; `None` if there is none."""

    @abstractmethod
    def choices(self, body: Body) -> Mapping[str, frozenset[str]]:
        """Return the values that the body chooses from those of the platform, by field as in `Snapshot.offers`."""

    @abstractmethod
    def scrubs(self, body: Body) -> bool:
        """Return whether numbers are checked against do-not-call lists."""

    @abstractmethod
    def lists(self, body: Body) -> frozenset[str] | None:
        """Return the ids of the do-not-call lists in the body; `None` when lists are linked on the platform instead."""

    @abstractmethod
    def is_silent(self, live: Live) -> bool:
        """Return whether the object does not dial, and will not start by itself."""

    def dials(self, live: Live) -> bool:
        """Return whether the object dials: it is not silent, and not `idle`."""
        return not self.is_silent(live) and not live.idle

    @abstractmethod
    def silenced(self, body: Body | None) -> Body | None:
        """Return the stored body of an object after an emergency stop: `body` if stopping removes nothing, else `None`."""
