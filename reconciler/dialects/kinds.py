"""What a kind of manifest is to the engine, whatever the API that holds it. Who only checks manifests needs no more than this."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from reconciler.calendar import Hours
from reconciler.effect import Rule
from reconciler.models import Body

if TYPE_CHECKING:  # an import of what conversations are made of costs more than the interpreter
    from reconciler.dialects.base import JSON, Live


class Words(NamedTuple):
    """What a kind calls the things that every kind has, for findings and reports.

    Attributes:
        object, span: what it is a schedule of, and what says when that runs at all.
        windows, scrubs: the fields that hold the calling windows, and that have do-not-call lists consulted.
        scrub, link, removal: how a manifest asks for that, how a list comes to an object, how what is gone is ended.
    """

    object: str
    windows: str
    span: str
    scrubs: str
    scrub: str
    link: str
    removal: str


class Kind(Protocol):
    """What the engine knows of a kind of manifest. Bodies are canonical unless said otherwise."""

    @property
    def name(self) -> str:
        """The manifest's `kind`."""

    @property
    def words(self) -> Words:
        """What it calls things."""

    @property
    def fixed(self) -> frozenset[str]:
        """Fields that a body states and no write can change: they must be as the platform has them."""

    @property
    def immediate(self) -> frozenset[str]:
        """Fields that act in the very moment of the write on an object that runs."""

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The meet of each managed field; a field that is not here is unknown."""

    def canonical(self, raw: Body) -> Body:
        """Return the one form in which equal means equal: instants in UTC, lists keyed and sorted, numbers of one type."""

    def storable(self, body: Body) -> Body | None:
        """Return the body that the platform can hold and that allows what `body`, merged of two, allows, or less; `None`: no schedule."""

    def hours(self, body: Body) -> Hours:
        """Return when the body lets the dialer call."""

    def ceilings(self, body: Body) -> Mapping[str, float]:
        """Return the quantities that the tenant limits, by the names of `Snapshot.ceilings`."""

    def choices(self, body: Body) -> Mapping[str, frozenset[str]]:
        """Return what the body names of what the platform offers, by field; the names of `Snapshot.offers`."""

    def scrubs(self, body: Body) -> bool:
        """Return whether numbers are checked against do-not-call lists."""

    def lists(self, body: Body) -> frozenset[str] | None:
        """Return the ids of the do-not-call lists that the body itself links; `None` when links are the platform's."""

    def is_silent(self, live: Live) -> bool:
        """Return whether the object dials nothing, and will not begin to by itself."""

    def silenced(self, body: Body | None) -> Body | None:
        """Return what is stored for an object once it is silenced: what was (`body`), where stopping removes nothing, or nothing."""

    def audit_fields(self, body: Body) -> Mapping[str, JSON]:
        """Return what an audit record says of the body (DESIGN §6)."""
