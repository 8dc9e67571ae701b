"""The state of a platform as values: objects with their stored and active schedules, and do-not-call lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple

from reconciler.models import Body


@dataclass(frozen=True, slots=True)
class ScrubList:
    """A do-not-call list as the platform reports it.

    Attributes:
        status: `ACTIVE`, `SYNCING` or `INACTIVE`.
        updated_at: as the platform wrote it.
    """

    id: str
    name: str
    status: str
    updated_at: str | None = None


class Live(NamedTuple):
    """One object of the platform: its stored schedule, and whether that schedule is active.

    Attributes:
        key: identity on the platform.
        name: the platform's own name for it.
        running: whether the object dials now, according to the platform.
        stored: the stored body as received, without the platform's own fields; `None` when there is none.
        version: the ETag for a conditional write; `None` when the platform gave none.
        stored_id: the platform's id of the stored schedule.
        active_id: the platform's id of the active schedule; `None` when nothing dials.
        stored_at, activated_at: timestamps of the platform, as received.
        stored_by: who stored the schedule, according to the platform; `None` if it does not say.
        unknown: names of received fields that neither a manifest nor the contract has.
        unsent: those of them that a write would drop, because it replaces the schedule as a whole; with their values.
    """

    key: str
    name: str
    running: bool = False
    stored: Body | None = None
    version: str | None = None
    stored_id: str | None = None
    active_id: str | None = None
    stored_at: str | None = None
    activated_at: str | None = None
    unknown: frozenset[str] = frozenset()
    unsent: Body = MappingProxyType({})
    stored_by: str | None = None

    @property
    def settled(self) -> bool:
        """Whether the stored schedule is the active one. Also true if there is neither."""
        return self.active_id == self.stored_id

    @property
    def idle(self) -> bool:
        """Whether a schedule is stored that the dialer does not use, nor any other. The next refresh would make it dial."""
        return self.active_id is None and not self.settled


def unsettled(live: Live) -> str:
    """Return for people how the dialer differs from what is stored, of an object that is not settled."""
    if live.stored is None:
        return "no schedule is stored, but the dialer still uses an older one"
    if live.active_id is None:
        return "the schedule is stored, but the dialer uses none"
    return "the dialer still uses another schedule than the stored one"


def still_dials(live: Live) -> str:
    """Return for people that an object dials which a stop should have silenced, and how its dialer differs from what is stored."""
    return "it still dials" if live.settled else f"it still dials: {unsettled(live)}"


def unread(key: str, name: str = "") -> Live:
    """Return an object whose answer cannot be read. It counts as dialing by a schedule that says nothing."""
    return Live(key, name, running=True, stored={}, stored_id="", active_id="")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the platform at one moment.

    Attributes:
        objects: every object of the tenant, by key.
        ceilings: the tenant's limits, by the names that `Kind.ceilings` uses; a missing name means "no limit".
        scrubs: the do-not-call lists linked to each object, by key.
        at: the platform's clock.
        lists: every do-not-call list, by id, if bodies choose their lists.
        offers: the values that bodies may choose from, by the names of `Kind.choices`; a missing name allows any value.
        unfit: reasons why existing objects cannot be managed by the dialect, by key.
        unreadable: what of an object's answer cannot be read, by key. Such an object is among `objects`, as `unread` returns it.
    """

    objects: Mapping[str, Live]
    ceilings: Mapping[str, float]
    scrubs: Mapping[str, tuple[ScrubList, ...]]
    at: datetime
    lists: Mapping[str, ScrubList] = field(default_factory=dict)
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)

    def readable(self, key: str) -> Live | None:
        """Return an object; `None` if there is none, or its answer cannot be read."""
        return None if key in self.unreadable else self.objects.get(key)

    def linked(self, key: str, chosen: frozenset[str] | None) -> tuple[ScrubList, ...]:
        """Return an object's do-not-call lists: the ones chosen by its body, or (`None`) the ones linked on the platform."""
        if chosen is None:
            return self.scrubs.get(key, ())
        return tuple(self.lists[each] for each in sorted(chosen) if each in self.lists)


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a write.

    Attributes:
        id: the platform's id of the stored schedule; `None` after a removal.
        version: the new ETag.
        at: timestamp of the write, as received.
        body: the stored body according to the answer; `None` when the answer does not contain it.
    """

    id: str | None
    version: str | None = None
    at: str | None = None
    body: Body | None = None
