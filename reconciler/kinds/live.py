"""What a platform holds, as values: objects, what is stored and what dials, do-not-call lists."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

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


@dataclass(frozen=True, slots=True)
class Live:
    """One object that the platform knows: what is stored for it, and whether that is what dials.

    Attributes:
        key: identity on the platform.
        name: the platform's own name for it.
        running: the platform's word on whether it dials at all now.
        stored: the stored body as received, without the platform's own fields; `None` when there is none.
        version: what a conditional write quotes (an ETag); `None` when the platform gave none.
        stored_id: the platform's id of what is stored.
        active_id: the platform's id of what dials; `None` when nothing does.
        stored_at, activated_at: the platform's clock, as it wrote them.
        unknown: names of the fields that the platform sends beside what a manifest or the contract knows.
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

    @property
    def settled(self) -> bool:
        """Whether what dials is what is stored (nothing and nothing counts)."""
        return self.active_id == self.stored_id


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the platform held at one moment.

    Attributes:
        objects: every object of the tenant, by key.
        ceilings: the tenant's limits, by the names that `Kind.ceilings` uses; a missing name is no limit.
        scrubs: the do-not-call lists linked to each object, by key.
        at: the platform's clock.
        lists: every do-not-call list, by id, where a body may choose among them.
        offers: what bodies may choose among, by the names of `Kind.choices`; a missing name is no limit.
        unfit: objects that the platform has and the dialect cannot manage: why, by key.
    """

    objects: Mapping[str, Live]
    ceilings: Mapping[str, float]
    scrubs: Mapping[str, tuple[ScrubList, ...]]
    at: datetime
    lists: Mapping[str, ScrubList] = field(default_factory=dict)
    offers: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unfit: Mapping[str, str] = field(default_factory=dict)

    def linked(self, key: str, chosen: frozenset[str] | None) -> tuple[ScrubList, ...]:
        """Return the lists that an object is checked against: those that its body chooses, or (`None`) those that the platform links."""
        if chosen is None:
            return self.scrubs.get(key, ())
        return tuple(self.lists[each] for each in sorted(chosen) if each in self.lists)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a write left behind.

    Attributes:
        id: the platform's; `None` after a removal.
        version: the new one.
        at: when, as the platform wrote it.
        body: what the platform's answer says that it stored; `None` when the answer does not say.
    """

    id: str | None
    version: str | None = None
    at: str | None = None
    body: Body | None = None
