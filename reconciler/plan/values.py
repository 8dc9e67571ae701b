"""The values of a plan: operations, outcomes, and the digest that names what would be done."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, Final

from reconciler.diff import FieldChange
from reconciler.effect import Direction, Effect, combine
from reconciler.errors import Place
from reconciler.models import Body
from reconciler.plan.base import MovedBy
from reconciler.plan.strictness import Strictness
from reconciler.policies.base import Finding, Level

FORMAT_VERSION = 2
"""Version of the plan's serialised form, and so of its digest."""


class Action(StrEnum):
    """The action that one object needs."""

    CREATE = "create"
    UPDATE = "update"
    RETIRE = "retire"
    REFRESH = "refresh"
    """Tell the dialer to take a schedule that is stored as desired and not active."""
    HALT = "halt"
    """Remove the schedule at once, whatever its manifest says. Only an emergency stop does that; it is never planned."""
    HELD = "held"
    """Report only: a stop holds the object, or it was narrowed outside git."""


@dataclass(frozen=True)  # no slots, because `hash` is cached
class Operation:
    """One change to one object, from live to desired.

    Attributes:
        kind, key: the object.
        name: the manifest's name; `platform_name` the platform's own.
        action: see `Action`.
        desired: canonical body to store; `None` to remove.
        live: canonical stored body it was planned against; `None` when there is none.
        live_hash: hash of what the platform held and dialed.
        fields: live → desired.
        direction: of the whole operation, as far as its fields are known. It decides what runs first, what is held and what limits count.
        place: where the manifest stands.
        moved_by: who changed the object since it was last applied; `fields_moved_by`: the same for each top-level field.
        would: of a held operation that may be approved: the action that the approval runs.
        reverts: whether it widens what was narrowed outside git since it was last applied.
        blocked: why it does not run (rules of level error, or why it is held); empty when it runs.
        base: the body that counts as applied last afterwards, if not `desired`: a kept narrowing outside git stays a difference.
        finishes: it only makes the dialer take what our last write stored, or drop what it removed. That write was counted by the limits.
        after: in the second of two steps, the hash of the object's state before the first step.
        notes: sentences for the reviewer about changes outside git.
        audit: fields of the audit record that the desired body decides.
        dialing: whether an emergency stop holds the object and it still dials.
        dropped: names of the platform's fields that reconcile does not know and that the write drops. Outside the digest.
        effect: what the operation does to dialing, for people and machines that read the plan; `None` if nobody asked. Outside the digest.
    """

    kind: str
    key: str
    name: str
    platform_name: str
    action: Action
    desired: Body | None
    live: Body | None
    live_hash: str
    fields: tuple[FieldChange, ...]
    direction: Direction
    place: Place
    moved_by: MovedBy = MovedBy.UNKNOWN
    fields_moved_by: Mapping[str, MovedBy] = field(default_factory=dict)
    would: Action | None = None
    reverts: bool = False
    blocked: tuple[str, ...] = ()
    base: Body | None = None
    finishes: bool = False
    after: str | None = None
    notes: tuple[str, ...] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)
    dialing: bool = False
    dropped: tuple[str, ...] = ()
    effect: Effect | None = None

    @cached_property
    def hash(self) -> str:
        """SHA-256 over object, action, desired body, live hash and `reverts`.

        `reverts` is included so that an approval given before a narrowing outside git does not undo that narrowing.
        """
        return hash_of(
            {
                "action": self.would or self.action,
                "desired": self.desired,
                "key": self.key,
                "kind": self.kind,
                "live": self.live_hash,
            },
            reverts=self.reverts,
        )

    @property
    def called(self) -> str:
        """The name with the id. An object without a manifest is known to commands by its id alone."""
        return self.name if self.name == self.key else f"{self.name} ({self.key})"

    @property
    def verdict(self) -> Direction:
        """The direction that reports tell: a write that drops a field of unknown meaning counts as loosening.

        It does not decide the order of writes: a platform may add a field to every schedule, and then no narrowing would come
        before a widening.
        """
        return combine([self.direction, Direction.LOOSEN]) if self.dropped else self.direction

    @property
    def empties(self) -> bool:
        """Whether the operation removes a schedule because the times set outside git and the manifest's times do not overlap.

        A removal that only tells the dialer to drop an older schedule is none: nothing was stored any more.
        """
        return self.action is Action.RETIRE and self.base is not None and self.live is not None

    @property
    def executable(self) -> bool:
        """Whether apply would run the operation."""
        return self.action is not Action.HELD and not self.blocked

    @property
    def refused(self) -> bool:
        """Whether findings block the operation. A held operation is not refused."""
        return self.action is not Action.HELD and bool(self.blocked)


@dataclass(frozen=True, slots=True)
class Origin:
    """The tenant and commit that a plan is for, and the data that it depends on.

    Attributes:
        tenant: the tenant's name for people.
        url: URL of its platform.
        rules_version, tzdata_version: versions of the rules and the time zones.
        commit: the planned commit; `None` outside git.
        skew_s: seconds by which the platform's clock is ahead of ours.
        platform: identity of the platform, which an approval is bound to; the tenant's name if empty.
    """

    tenant: str
    url: str
    rules_version: str = ""
    tzdata_version: str = ""
    commit: str | None = None
    skew_s: float = 0.0
    platform: str = ""

    @property
    def where(self) -> tuple[str, str]:
        """The platform and its URL: the same for a folder that was renamed."""
        return self.platform or self.tenant, self.url


@dataclass(frozen=True, slots=True)
class Plan:
    """The changes that make live equal desired.

    Attributes:
        origin: see `Origin`.
        operations: sorted by key. Objects that are as desired have none.
        unchanged: keys of the objects that are as desired.
        unmanaged: keys of platform objects that have a schedule and no manifest.
        findings: all of them, errors first.
        at: the platform's clock when it was read.
        strictness: levels and waivers that decided the findings, and limits for carrying the plan out.
        noun: what the objects are called.
        unrecorded: keys of objects that are as desired but were not written by us. An apply records them, so that a later narrowing is noticed.
        total: the tenant's objects before this plan, of which limits count shares.
        unknown: names of fields that the platform sends and reconcile does not know. They are not compared.
    """

    origin: Origin
    operations: tuple[Operation, ...]
    unchanged: tuple[str, ...]
    unmanaged: tuple[str, ...]
    findings: tuple[Finding, ...]
    at: datetime
    strictness: Strictness = field(default_factory=Strictness)
    noun: str = "campaign"
    unrecorded: tuple[str, ...] = ()
    total: int = 0
    unknown: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 that names what would run and what is blocked; see `digest_of`."""
        blocked = (operation.hash for operation in self.operations if operation.refused)
        return digest_of(self.origin, (each.hash for each in self.executable), blocked)

    @property
    def executable(self) -> tuple[Operation, ...]:
        """The operations that apply would carry out."""
        return tuple(operation for operation in self.operations if operation.executable)

    @property
    def refused(self) -> bool:
        """Whether a finding of level error stands."""
        return any(finding.level is Level.ERROR for finding in self.findings)


class Result(StrEnum):
    """How an operation ended."""

    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    REFRESHED = "refreshed"
    CONFIRMED = "confirmed"
    """The answer was lost, and reading back showed that the write was done."""
    STORED_NOT_ACTIVE = "stored_not_active"
    """Stored, but the dialer has not taken it; the next run finishes it."""
    OVERTAKEN = "overtaken"
    """Stored, and changed by somebody else before it was verified."""
    NOT_AS_SENT = "not_as_sent"
    """Stored by the platform differently from what was sent, and that may dial more."""
    STALE = "stale"
    """The object changed since it was planned. Nothing was written."""
    REFUSED = "refused"
    """The platform refused, or a rule that was checked again just before the write. Nothing was written."""
    FAILED = "failed"
    """Could not be done."""
    UNKNOWN = "unknown"
    """A write was sent and its outcome is unknown. The next run finds out."""
    NOT_STARTED = "not_started"
    """Not begun: a tightening before it is not active, or the run was interrupted or out of time."""


DONE = frozenset(
    {Result.CREATED, Result.UPDATED, Result.DELETED, Result.REFRESHED, Result.CONFIRMED}
)
"""Results after which the desired schedule is stored and active."""


STORED = frozenset({Result.STORED_NOT_ACTIVE, Result.OVERTAKEN, Result.NOT_AS_SENT})
"""Results after which our write is stored, but not done."""


FAILURES = frozenset(
    {Result.FAILED, Result.OVERTAKEN, Result.NOT_AS_SENT, Result.REFUSED, Result.UNKNOWN}
)
"""Results that somebody must look at."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one operation.

    Attributes:
        operation: the operation.
        result: see `Result`.
        message: why the operation is not done; for a done one, the fields that the platform stored differently from what was sent.
        stored_id: the platform's id of the stored schedule.
        version: its ETag; `None` when the platform gave none.
        latency_s: seconds from stored to active, by the platform's clock; `None` when unknown.
        tries: writes that were sent.
        wrote: whether the platform's state changed, or may have changed.
        code: exit code of the error that ended the operation (DESIGN §7); 0 when none did.
        stored_at, activated_at: timestamps of the platform, as received; `None` when they are implausible.
        doubt: a sentence on how these instants contradict the platform's clock; empty when they do not.
    """

    operation: Operation
    result: Result
    message: str = ""
    stored_id: str | None = None
    version: str | None = None
    latency_s: float | None = None
    tries: int = 0
    wrote: bool = False
    code: int = 0
    stored_at: str | None = None
    activated_at: str | None = None
    doubt: str = ""

    @property
    def done(self) -> bool:
        """Whether the desired schedule is stored and active."""
        return self.result in DONE


def only(plan: Plan, keys: Collection[str]) -> Plan:
    """Return the plan for some of its objects, with its own digest. A finding about no object of the plan stays."""
    others = {*plan.unchanged, *(operation.key for operation in plan.operations)} - {*keys}
    return replace(
        plan,
        operations=tuple(operation for operation in plan.operations if operation.key in keys),
        unchanged=tuple(key for key in plan.unchanged if key in keys),
        unrecorded=tuple(key for key in plan.unrecorded if key in keys),
        findings=tuple(finding for finding in plan.findings if finding.key not in others),
    )


def hash_of(parts: Mapping[str, Any], *, reverts: bool) -> str:
    """Return the hash of an operation: `action`, `desired`, `key`, `kind`, `live`, and whether it reverts a narrowing outside git."""
    return sha256_of({**parts, "reverts": True} if reverts else parts)


def digest_of(origin: Origin, hashes: Iterable[str], blocked: Iterable[str] = ()) -> str:
    """Return the SHA-256 of a set of operations on a tenant. Findings, effect, commit, paths and time are not part of it.

    Blocked operations are listed apart from those that would run. Otherwise an approval would cover them once they are not blocked any more.

    Args:
        origin: where the operations would run.
        hashes: of the operations that would run.
        blocked: of the operations that findings block.
    """
    platform, url = origin.where
    return sha256_of(
        {
            "blocked": sorted(blocked),
            "format_version": FORMAT_VERSION,
            "operations": sorted(hashes),
            "rules_version": origin.rules_version,
            "tenant": platform,
            "tzdata_version": origin.tzdata_version,
            "url": url,
        }
    )


_CANONICAL: Final = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
)
"""Made once: `json.dumps` makes one for each value, which is a third of writing a small one."""


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces, ASCII only: the form in which everything here is hashed."""
    return _CANONICAL.encode(value)


def sha256_of(value: object) -> str:
    """Return the hex SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def state_hash(stored: Body | None, dials: str = "stored") -> str:
    """Return the SHA-256 of an object's state: its canonical stored body, and whether that, `another` schedule or `nothing` dials."""
    return sha256_of({"dials": dials, "stored": stored})
