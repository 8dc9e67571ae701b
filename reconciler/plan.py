"""The plan: a value, sorted and serialisable, the same for the same inputs on any machine.

`build` is the only planner: what `plan` shows is what `apply` executes. The digest names exactly what would be done; an
approval of a digest is an approval of these operations and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from reconciler.diff import FieldChange
from reconciler.effect import Direction
from reconciler.errors import Place
from reconciler.models import Body
from reconciler.policies.base import Finding, Level

FORMAT_VERSION = 1
"""Version of the plan's serialised form, and so of its digest."""


class Action(StrEnum):
    """What has to happen to one object."""

    CREATE = "create"
    UPDATE = "update"
    RETIRE = "retire"
    REFRESH = "refresh"
    """Stored as desired, but the dialer has not taken it."""
    HELD = "held"
    """Reported, never done: a hold, or narrowed by hand since it was last applied."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One object that is not as its manifest says, and what would make it so.

    Attributes:
        kind, key: the object.
        name: the manifest's name; `platform_name` the platform's own.
        action: see `Action`.
        desired: canonical body to store; `None` to remove.
        live: canonical stored body it was planned against; `None` when there is none.
        live_hash: hash of what the platform held and dialed.
        fields: live → desired.
        direction: of the whole operation.
        place: where the manifest stands.
        blocked: why it will not be carried out (findings of level error), empty when it will.
        audit: what an audit record says of the desired body, without what only apply can know.
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
    blocked: tuple[str, ...] = ()
    audit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """SHA-256 over object, action, desired body and live hash."""
        return sha256_of(
            {
                "action": self.action,
                "desired": self.desired,
                "key": self.key,
                "kind": self.kind,
                "live": self.live_hash,
            }
        )

    @property
    def executable(self) -> bool:
        """Whether apply would carry it out."""
        return self.action is not Action.HELD and not self.blocked


@dataclass(frozen=True, slots=True)
class Plan:
    """What would make live equal desired.

    Attributes:
        tenant, url: where.
        operations: sorted by key; objects that are as desired are not among them.
        unchanged: keys of the objects that are as desired.
        unmanaged: keys of platform objects that hold a schedule and that no manifest names.
        findings: all of them, errors first.
        rules_version, tzdata_version: data that decided with us.
        at: the platform's clock when it was read.
        skew_s: how far that clock was ahead of ours, seconds.
        commit: the commit it was planned from; `None` outside git.
    """

    tenant: str
    url: str
    operations: tuple[Operation, ...]
    unchanged: tuple[str, ...]
    unmanaged: tuple[str, ...]
    findings: tuple[Finding, ...]
    rules_version: str
    tzdata_version: str
    at: datetime
    skew_s: float = 0.0
    commit: str | None = None

    @property
    def digest(self) -> str:
        """SHA-256 that names the operations: findings, effect, commit, paths and time stand outside it."""
        return sha256_of(
            {
                "format_version": FORMAT_VERSION,
                "operations": sorted(
                    operation.hash
                    for operation in self.operations
                    if operation.action is not Action.HELD
                ),
                "rules_version": self.rules_version,
                "tenant": self.tenant,
                "tzdata_version": self.tzdata_version,
                "url": self.url,
            }
        )

    @property
    def executable(self) -> tuple[Operation, ...]:
        """The operations that apply would carry out."""
        return tuple(operation for operation in self.operations if operation.executable)

    @property
    def refused(self) -> bool:
        """Whether a finding of level error stands."""
        return any(finding.level is Level.ERROR for finding in self.findings)


def canonical_json(value: object) -> str:
    """Return JSON with sorted keys, no spaces, ASCII only: the form in which everything here is hashed."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )


def sha256_of(value: object) -> str:
    """Return the hex SHA-256 of a JSON value's canonical form."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()
